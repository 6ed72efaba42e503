"""The answers that the equation pages print for arithmetic and functions of each entry, as NumPy."""

from __future__ import annotations

import numpy as np
from verify.answers.spelled import Answers

ANSWERS: Answers = {
    "add": {
        "A": (
            r"\frac{\partial L}{\partial Y}",
            lambda dY: dY,
        ),
        "B": (
            r"\frac{\partial L}{\partial Y}",
            lambda dY: dY,
        ),
    },
    "divide": {
        "A": (
            r"\frac{\partial L}{\partial Y} / B",
            lambda dY, B: dY / B,
        ),
        "B": (
            r"-\frac{\partial L}{\partial Y} \odot A / B^2",
            lambda dY, A, B: -dY * A / B**2,
        ),
    },
    "maximum": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot ([A > B] + \tfrac{1}{2} [A = B])",
            lambda dY, A, B: dY * ((A > B) + 1 / 2 * (A == B)),
        ),
        "B": (
            r"\frac{\partial L}{\partial Y} \odot ([B > A] + \tfrac{1}{2} [A = B])",
            lambda dY, A, B: dY * ((B > A) + 1 / 2 * (A == B)),
        ),
    },
    "minimum": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot ([A < B] + \tfrac{1}{2} [A = B])",
            lambda dY, A, B: dY * ((A < B) + 1 / 2 * (A == B)),
        ),
        "B": (
            r"\frac{\partial L}{\partial Y} \odot ([B < A] + \tfrac{1}{2} [A = B])",
            lambda dY, A, B: dY * ((B < A) + 1 / 2 * (A == B)),
        ),
    },
    "multiply": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot B",
            lambda dY, B: dY * B,
        ),
        "B": (
            r"\frac{\partial L}{\partial Y} \odot A",
            lambda dY, A: dY * A,
        ),
    },
    "power": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot B \odot A^{B - 1}",
            lambda dY, A, B: dY * B * A ** (B - 1),
        ),
        "B": (
            r"\frac{\partial L}{\partial Y} \odot Y \odot \log A",
            lambda dY, A, Y: dY * Y * np.log(A),
        ),
    },
    "subtract": {
        "A": (
            r"\frac{\partial L}{\partial Y}",
            lambda dY: dY,
        ),
        "B": (
            r"-\frac{\partial L}{\partial Y}",
            lambda dY: -dY,
        ),
    },
    "where": {
        "A": (
            r"[C] \odot \frac{\partial L}{\partial Y}",
            lambda dY, C: C * dY,
        ),
        "B": (
            r"[\neg C] \odot \frac{\partial L}{\partial Y}",
            lambda dY, C: ~C * dY,
        ),
    },
    "erf": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \frac{2}{\sqrt\pi} e^{-A^2}",
            lambda dY, A: dY * 2 / np.sqrt(np.pi) * np.exp(-(A**2)),
        ),
    },
    "erfc": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot (-\frac{2}{\sqrt\pi} e^{-A^2})",
            lambda dY, A: dY * (-2 / np.sqrt(np.pi) * np.exp(-(A**2))),
        ),
    },
    "erfinv": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \frac{\sqrt\pi}{2} e^{Y^2}",
            lambda dY, Y: dY * np.sqrt(np.pi) / 2 * np.exp(Y**2),
        ),
    },
    "exp2": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot Y \log 2",
            lambda dY, Y: dY * Y * np.log(2),
        ),
    },
    "hypot": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot A / Y",
            lambda dY, A, Y: dY * A / Y,
        ),
        "B": (
            r"\frac{\partial L}{\partial Y} \odot B / Y",
            lambda dY, B, Y: dY * B / Y,
        ),
    },
    "log10": {
        "A": (
            r"\frac{\partial L}{\partial Y} / (A \log 10)",
            lambda dY, A: dY / (A * np.log(10)),
        ),
    },
    "log2": {
        "A": (
            r"\frac{\partial L}{\partial Y} / (A \log 2)",
            lambda dY, A: dY / (A * np.log(2)),
        ),
    },
    "logaddexp": {
        "A": (
            r"\frac{\partial L}{\partial Y} / (1 + e^{B - A})",
            lambda dY, A, B: dY / (1 + np.exp(B - A)),
        ),
        "B": (
            r"\frac{\partial L}{\partial Y} / (1 + e^{A - B})",
            lambda dY, A, B: dY / (1 + np.exp(A - B)),
        ),
    },
    "xlogy": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \log B",
            lambda dY, B: dY * np.log(B),
        ),
        "B": (
            r"\frac{\partial L}{\partial Y} \odot A / B",
            lambda dY, A, B: dY * A / B,
        ),
    },
    "ceil": {
        "A": (
            r"0",
            lambda A: 0 * A,
        ),
    },
    "floor": {
        "A": (
            r"0",
            lambda A: 0 * A,
        ),
    },
    "floor_divide": {
        "A": (
            r"0",
            lambda A: 0 * A,
        ),
        "B": (
            r"0",
            lambda B: 0 * B,
        ),
    },
    "fmod": {
        "A": (
            r"\frac{\partial L}{\partial Y}",
            lambda dY: dY,
        ),
        "B": (
            r"-\frac{\partial L}{\partial Y} \odot \operatorname{trunc}(A / B)",
            lambda dY, A, B: -dY * np.trunc(A / B),
        ),
    },
    "remainder": {
        "A": (
            r"\frac{\partial L}{\partial Y}",
            lambda dY: dY,
        ),
        "B": (
            r"-\frac{\partial L}{\partial Y} \odot \lfloor A / B \rfloor",
            lambda dY, A, B: -dY * np.floor(A / B),
        ),
    },
    "round": {
        "A": (
            r"0",
            lambda A: 0 * A,
        ),
    },
    "sign": {
        "A": (
            r"0",
            lambda A: 0 * A,
        ),
    },
    "trunc": {
        "A": (
            r"0",
            lambda A: 0 * A,
        ),
    },
    "acos": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot (-(1 - A^2)^{-1/2})",
            lambda dY, A: dY * -((1 - A**2) ** (-1 / 2)),
        ),
    },
    "acosh": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot (A^2 - 1)^{-1/2}",
            lambda dY, A: dY * (A**2 - 1) ** (-1 / 2),
        ),
    },
    "asin": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot (1 - A^2)^{-1/2}",
            lambda dY, A: dY * (1 - A**2) ** (-1 / 2),
        ),
    },
    "asinh": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot (A^2 + 1)^{-1/2}",
            lambda dY, A: dY * (A**2 + 1) ** (-1 / 2),
        ),
    },
    "atan": {
        "A": (
            r"\frac{\partial L}{\partial Y} / (1 + A^2)",
            lambda dY, A: dY / (1 + A**2),
        ),
    },
    "atan2": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \frac{B}{A^2 + B^2}",
            lambda dY, A, B: dY * B / (A**2 + B**2),
        ),
        "B": (
            r"-\frac{\partial L}{\partial Y} \odot \frac{A}{A^2 + B^2}",
            lambda dY, A, B: -dY * A / (A**2 + B**2),
        ),
    },
    "atanh": {
        "A": (
            r"\frac{\partial L}{\partial Y} / (1 - A^2)",
            lambda dY, A: dY / (1 - A**2),
        ),
    },
    "cos": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot (-\sin A)",
            lambda dY, A: dY * -np.sin(A),
        ),
    },
    "cosh": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \sinh A",
            lambda dY, A: dY * np.sinh(A),
        ),
    },
    "sin": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \cos A",
            lambda dY, A: dY * np.cos(A),
        ),
    },
    "sinc": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \frac{\cos \pi A - Y}{A}",
            lambda dY, A, Y: dY * (np.cos(np.pi * A) - Y) / A,
        ),
    },
    "sinh": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \cosh A",
            lambda dY, A: dY * np.cosh(A),
        ),
    },
    "tan": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot (1 + Y^2)",
            lambda dY, Y: dY * (1 + Y**2),
        ),
    },
    "abs": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot \mathrm{sign}(A)",
            lambda dY, A: dY * np.sign(A),
        ),
    },
    "clip": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot [a \le A \le b]",
            lambda dY, A, min, max: dY * ((min <= A) & (A <= max)),
        ),
    },
    "exp": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot Y",
            lambda dY, Y: dY * Y,
        ),
    },
    "expm1": {
        "A": (
            r"\frac{\partial L}{\partial Y} \odot (Y + 1)",
            lambda dY, Y: dY * (Y + 1),
        ),
    },
    "log": {
        "A": (
            r"\frac{\partial L}{\partial Y} / A",
            lambda dY, A: dY / A,
        ),
    },
    "log1p": {
        "A": (
            r"\frac{\partial L}{\partial Y} / (1 + A)",
            lambda dY, A: dY / (1 + A),
        ),
    },
    "negative": {
        "A": (
            r"-\frac{\partial L}{\partial Y}",
            lambda dY: -dY,
        ),
    },
    "sqrt": {
        "A": (
            r"\frac{\partial L}{\partial Y} / (2 Y)",
            lambda dY, Y: dY / (2 * Y),
        ),
    },
    "cast": {
        "A": (
            r"\frac{\partial L}{\partial Y} \text{ in the dtype of } A",
            lambda dY, A: dY.astype(A.dtype),
        ),
    },
}
