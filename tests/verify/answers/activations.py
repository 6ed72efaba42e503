"""The answers that the equation pages print for activations and dropout, as NumPy."""

from __future__ import annotations

import math

import numpy as np
from verify.answers.spelled import Answers, sigmoid

ALPHA, LAMBDA = 1.6732632423543772, 1.0507009873554805


def normal_distribution(X):
    return np.vectorize(math.erf)(X / np.sqrt(2)) / 2 + 1 / 2


def normal_density(X):
    return np.exp(-(X**2) / 2) / np.sqrt(2 * np.pi)


def inner(X):
    return np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3))


def of_mish(X):
    return np.tanh(np.log(1 + np.exp(X)))


ANSWERS: Answers = {
    "celu": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot ([X > 0] + e^{X / \alpha} [X \le 0])",
            lambda dY, X, alpha: dY * ((X > 0) + np.exp(X / alpha) * (X <= 0)),
        ),
    },
    "elu": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot ([X > 0] + \alpha e^X [X \le 0])",
            lambda dY, X, alpha: dY * ((X > 0) + alpha * np.exp(X) * (X <= 0)),
        ),
    },
    "hardtanh": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot [a < X < b]",
            lambda dY, X, min_val, max_val: dY * ((min_val < X) & (X < max_val)),
        ),
    },
    "leaky_relu": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot ([X > 0] + a [X \le 0])",
            lambda dY, X, negative_slope: dY * ((X > 0) + negative_slope * (X <= 0)),
        ),
    },
    "prelu": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot ([X > 0] + W_c [X \le 0])",
            lambda dY, X, W: dY * ((X > 0) + W * (X <= 0)),
        ),
        "W": (
            r"\sum_{n, \ldots} \frac{\partial L}{\partial Y} \odot \min(X, 0)",
            lambda dY, X: (dY * np.minimum(X, 0)).sum(0),
        ),
    },
    "relu": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot [Y > 0]",
            lambda dY, Y: dY * (Y > 0),
        ),
    },
    "selu": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \lambda ([X > 0] + \alpha e^X [X \le 0])",
            lambda dY, X: dY * LAMBDA * ((X > 0) + ALPHA * np.exp(X) * (X <= 0)),
        ),
    },
    "gelu": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot (\Phi(X) + X \varphi(X))",
            lambda dY, X: dY * (normal_distribution(X) + X * normal_density(X)),
        ),
    },
    "gelu_tanh": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \tfrac{1}{2} (1 + T + X (1 - T^2) \sqrt{2/\pi} (1 + 3 \cdot 0.044715 X^2))",
            lambda dY, X: (
                dY
                * 1
                / 2
                * (
                    1
                    + inner(X)
                    + X * (1 - inner(X) ** 2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * X**2)
                )
            ),
        ),
    },
    "hardshrink": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot [|X| > \lambda]",
            lambda dY, X, lambd: dY * (np.abs(X) > lambd),
        ),
    },
    "hardsigmoid": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \tfrac{1}{6} [-3 < X < 3]",
            lambda dY, X: dY * 1 / 6 * ((X > -3) & (X < 3)),
        ),
    },
    "hardswish": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \left((\tfrac{1}{3} X + \tfrac{1}{2}) [-3 < X < 3] + [X \ge 3]\right)",
            lambda dY, X: dY * ((X / 3 + 1 / 2) * ((X > -3) & (X < 3)) + (X >= 3)),
        ),
    },
    "relu6": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot [0 < X < 6]",
            lambda dY, X: dY * ((X > 0) & (X < 6)),
        ),
    },
    "softshrink": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot [|X| > \lambda]",
            lambda dY, X, lambd: dY * (np.abs(X) > lambd),
        ),
    },
    "threshold": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot [X > t]",
            lambda dY, X, threshold: dY * (X > threshold),
        ),
    },
    "logsigmoid": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \sigma(-X)",
            lambda dY, X: dY * sigmoid(-X),
        ),
    },
    "mish": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot (T + X (1 - T^2) \sigma(X))",
            lambda dY, X: dY * (of_mish(X) + X * (1 - of_mish(X) ** 2) * sigmoid(X)),
        ),
    },
    "sigmoid": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot Y \odot (1 - Y)",
            lambda dY, Y: dY * Y * (1 - Y),
        ),
    },
    "silu": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \sigma(X) (1 + X (1 - \sigma(X)))",
            lambda dY, X: dY * sigmoid(X) * (1 + X * (1 - sigmoid(X))),
        ),
    },
    "softplus": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \sigma(\beta X)",
            lambda dY, X, beta: dY * sigmoid(beta * X),
        ),
    },
    "softsign": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \frac{1}{(1 + |X|)^2}",
            lambda dY, X: dY * 1 / (1 + np.abs(X)) ** 2,
        ),
    },
    "tanh": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot (1 - Y^2)",
            lambda dY, Y: dY * (1 - Y**2),
        ),
    },
    "tanhshrink": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \tanh^2 X",
            lambda dY, X: dY * np.tanh(X) ** 2,
        ),
    },
    "dropout": {
        "X": (
            r"\frac{\partial L}{\partial Y} \odot \frac{M}{1 - p}",
            lambda dY, M, p: dY * M / (1 - p),
        ),
    },
}
