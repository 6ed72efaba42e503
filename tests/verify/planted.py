"""Pairs with a fault planted in the backward, and the words that the checker must find for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
RNG = np.random.default_rng(20)
X = RNG.normal(size=(6, 6))
W = RNG.normal(size=(6, 6))
B = RNG.normal(size=6)
TALL = RNG.normal(size=(5, 3))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def edited(change: Callable[[Array], None]) -> Callable[..., Array]:
    """A backward of x² whose right gradient is then changed in place."""

    def backward(dY: Array, x: Array) -> Array:
        gradient = 2 * x * dY
        change(gradient)
        return gradient

    return backward


def _zero_block(g: Array) -> None:
    g[2:4] = 0


def _one(g: Array) -> None:
    g[2, 3] *= 1.01


def _tail(g: Array) -> None:
    g[:, 4:] *= 0.5


def _mutates(dY: Array, x: Array) -> Array:
    dY *= 2 * x
    return dY


Pair = tuple[Callable[..., Any], Callable[..., Any]]
FAULTS: dict[str, tuple[Pair, list[Any], str]] = {
    "sign": ((lambda x: x**2, lambda d, x: -2 * d * x), [X], "sign"),
    "half": ((lambda x: x**2, lambda d, x: d * x), [X], "factor 1/2"),
    "twice": ((lambda x: x**2, lambda d, x: 4 * d * x), [X], "factor 2"),
    "another factor": ((lambda x: x**3, lambda d, x: 2 * d * x**2), [X], "a constant factor"),
    "mean without 1/N": (
        (lambda x: np.mean(x**2), lambda d, x: 2 * d * x), [X], "factor N: 36 times",
    ),
    "mean taken twice": (
        (lambda x: np.mean(x**2, axis=0), lambda d, x: 2 * d * x / 36), [X],
        "factor 1/N: 1/6 of the right gradient, and 6 is the batch size",
    ),
    "dY left out": ((lambda x: x**2, lambda d, x: 2 * x), [X], "dY is left out"),
    "dY twice": ((lambda x: x**2, lambda d, x: 2 * x * d * d), [X], "multiplied in twice"),
    "absolute value": (
        (lambda x: x**3, lambda d, x: np.abs(3 * x * x * d)), [X], "the absolute value",
    ),
    "input in place of the output": (
        (lambda x: (sigmoid(x), (x,)), lambda d, s: d * s[0] * (1 - s[0])), [X],
        "taken at x instead of at the output",
    ),
    "output in place of the input": (
        (lambda x: (np.sin(x), (np.sin(x),)), lambda d, s: d * np.cos(s[0])), [X],
        "taken at the output instead of at x",
    ),
    "output in place of the input, nothing saved": (
        (lambda x: np.sin(x), lambda d, x: d * np.cos(np.sin(x))), [X],
        "taken at the output instead of at the input",
    ),
    "saved arrays exchanged": (
        (lambda x, w: (x * w**2, (w, x)), lambda d, s: (d * s[1] ** 2, 2 * d * s[0] * s[1])),
        [X, W], "the backward uses x where it needs w",
    ),
    "transposed": (
        (lambda x, w: x @ w.T, lambda d, x, w: (d @ w, x.T @ d)), [X, W], "transpose",
    ),
    "transposed shape": (
        (lambda x, w: x @ w.T, lambda d, x, w: (d @ w, x.T @ d)), [TALL, RNG.normal(size=(4, 3))],
        "transpose",
    ),
    "missing un-broadcast": (
        (lambda x, b: x + b, lambda d, x, b: (d.copy(), d.copy())), [X, B],
        "missing un-broadcast",
    ),
    "kept dimension": (
        (lambda x, b: x + b, lambda d, x, b: (d.copy(), d.sum(0, keepdims=True))), [X, B],
        "missing un-broadcast",
    ),
    "mean in place of a sum": (
        (lambda x, b: x + b, lambda d, x, b: (d.copy(), d.mean(0))), [X, B], "factor 1/N",
    ),
    "gradients exchanged": (
        (lambda x, y: x * y, lambda d, x, y: (d * x, d * y)), [X, W], "this is the gradient of",
    ),
    "softmax without its sum": (
        (softmax, lambda d, x: d * softmax(x)), [X], "proportional to the output",
    ),
    "centring without its mean": (
        (lambda x: x - x.mean(-1, keepdims=True), lambda d, x: d * 1.0), [X],
        "the error is the same for all elements along axis 1",
    ),
    "a factor for each row": (
        (np.sin, lambda d, x: d * np.cos(x) * np.arange(1, 7)[:, None]), [X],
        "one factor, another for each slice",
    ),
    "zero block": ((lambda x: x**2, edited(_zero_block)), [X], "a block of zeros: [2:4, 0:6]"),
    "one element": ((lambda x: x**2, edited(_one)), [X], "one element is off: [2, 3]"),
    "an end left out": ((lambda x: x**2, edited(_tail)), [X], "from position 4 on along axis 1"),
    "one side of zero": (
        (lambda x: np.where(x > 0, x, 0.1 * x), lambda d, x: d * 1.0), [X],
        "only where the input is negative; there it is 10 times",
    ),
    "reversed": (
        (np.sin, lambda d, x: (d * np.cos(x))[::-1].copy()), [X], "reversed along axis 0",
    ),
    "zero": ((np.sin, lambda d, x: np.zeros_like(x)), [X], "zero everywhere"),
    "None": ((lambda x, y: x * y, lambda d, x, y: (d * y, None)), [X, W], "None"),
    "too few gradients": ((lambda x, y: x * y, lambda d, x, y: d * y), [X, W], "1 gradients for 2"),
    "not finite": ((np.sin, lambda d, x: d * np.cos(x) * np.inf), [X], "not finite"),
    "other dtype": (
        (lambda x: x**2, lambda d, x: (2 * x * d).astype(np.float32)), [X], "is float32",
    ),
    "output is the input": ((lambda x: x, lambda d, x: d.copy()), [X], "shares memory with x"),
    "gradient is dY": ((lambda x: x + 1.0, lambda d, x: d), [X], "shares memory with dY"),
    "dY changed": ((lambda x: x**2, _mutates), [X], "dY was changed"),
    "outside the slopes at a kink": (
        (lambda x: np.maximum(x, 0), lambda d, x: np.where(x == 0, 5 * d, d * (x > 0))),
        [np.round(X)], "only at kinks",
    ),
    "backward at random": (
        (lambda x: x * 1.0, lambda d, x: d * np.random.default_rng().normal()), [X],
        "Two runs of the backward",
    ),
}  # fmt: skip

RIGHT: dict[str, tuple[Pair, list[Any]]] = {
    "sigmoid": ((lambda x: (sigmoid(x), (sigmoid(x),)), lambda d, s: d * s[0] * (1 - s[0])), [X]),
    "relu with zeros": ((lambda x: np.maximum(x, 0), lambda d, x: d * (x > 0)), [np.round(X)]),
    "relu near zero": (
        (lambda x: np.maximum(x, 0), lambda d, x: d * (x > 0)), [np.array([1e-3, -1e-4, 3e-6])],
    ),
    "abs with zeros": ((np.abs, lambda d, x: d * np.sign(x)), [np.round(X)]),
    "log of small numbers": ((np.log, lambda d, x: d / x), [np.array([1e-6, 1e-3, 1.0, 1e5])]),
    "float16": ((lambda x: x**2, lambda d, x: 2 * x * d), [X.astype(np.float16)]),
    "product": ((lambda x, w: x @ w.T, lambda d, x, w: (d @ w, d.T @ x)), [X, W]),
    "softmax": (
        (softmax, lambda d, x: softmax(x) * (d - (d * softmax(x)).sum(-1, keepdims=True))), [X],
    ),
    "a number": ((np.sin, lambda d, x: d * np.cos(x)), [np.asarray(0.3)]),
    "nothing": ((np.sin, lambda d, x: d * np.cos(x)), [np.zeros((0, 3))]),
}  # fmt: skip
