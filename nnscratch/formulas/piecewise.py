r"""Activations of straight pieces and parabolas, which clip, shrink or imitate smooth ones.

Each saves the input X, then its options; one that clips saves its output where that says as much.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array.maths import maximum, minimum, where
from nnscratch.errors import ConfigurationError
from nnscratch.formulas.pointwise import activation


def relu6_forward(X: Any) -> Any:
    """Compute X held between 0 and 6; NaN stays NaN.

    Raises:
        DTypeError: if X holds integers.
    """
    return minimum(maximum(X, 0.0), 6.0)


def relu6_backward(dY: Any, Y: Any) -> Any:
    """Return dX = dY strictly between 0 and 6, where Y lies if X does, else 0."""
    return where((Y <= 0.0) | (Y >= 6.0), 0.0, dY)


RELU6 = activation(
    relu6_forward,
    relu6_backward,
    module="ReLU6",
    inplace=True,
    equation=r"Y = \min(\max(X, 0), 6)",
    slope=r"[0 < X < 6]",
    source="Krizhevsky 2010; Howard and others 2017, arXiv:1704.04861",
    kinks=(0.0, 6.0),
)


def hardsigmoid_forward(X: Any) -> Any:
    """Compute X / 6 + 1/2 held between 0 and 1, the sigmoid of three straight pieces.

    Raises:
        DTypeError: if X holds integers.
    """
    return minimum(maximum(X + 3.0, 0.0), 6.0) / 6.0


def hardsigmoid_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY / 6 strictly between -3 and 3, else 0."""
    return where((X > -3.0) & (X < 3.0), dY / 6.0, 0.0)


HARDSIGMOID = activation(
    hardsigmoid_forward,
    hardsigmoid_backward,
    module="Hardsigmoid",
    inplace=True,
    equation=r"Y = \tfrac{1}{6} \min(\max(X + 3, 0), 6)",
    slope=r"\tfrac{1}{6} [-3 < X < 3]",
    source="Courbariaux, Bengio and David 2015, arXiv:1511.00363",
    kinks=(-3.0, 3.0),
)


def hardswish_forward(X: Any) -> Any:
    """Compute X times its hardsigmoid.

    Raises:
        DTypeError: if X holds integers.
    """
    return X * minimum(maximum(X + 3.0, 0.0), 6.0) / 6.0


def hardswish_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY (X / 3 + 1/2) between -3 and 3, 0 below and dY above."""
    return where(X <= -3.0, 0.0, where(X < 3.0, dY * (X / 3.0 + 0.5), dY))


HARDSWISH = activation(
    hardswish_forward,
    hardswish_backward,
    module="Hardswish",
    inplace=True,
    equation=r"Y = \tfrac{1}{6} X \min(\max(X + 3, 0), 6)",
    slope=r"\left((\tfrac{1}{3} X + \tfrac{1}{2}) [-3 < X < 3] + [X \ge 3]\right)",
    source="Howard and others 2019, arXiv:1905.02244",
    kinks=(-3.0, 3.0),
)


def _need_distance(*, lambd: float) -> None:
    if not lambd >= 0:
        raise ConfigurationError(f"softshrink: lambd must be at least 0, got {lambd}")


def softshrink_forward(X: Any, *, lambd: float = 0.5) -> Any:
    """Compute X moved by ``lambd`` towards 0, and 0 where that is nearer.

    Args:
        X: any shape, floating.
        lambd: how far it is moved, λ, at least 0.

    Raises:
        ConfigurationError: if λ is negative.
        DTypeError: if X holds integers.
    """
    return where(X > lambd, X - lambd, where(X < -lambd, X + lambd, 0.0 * X))


def softshrink_backward(dY: Any, X: Any, *, lambd: float) -> Any:
    """Return dX = dY outside of the bounds, else 0."""
    return where((X >= -lambd) & (X <= lambd), 0.0, dY)


SOFTSHRINK = activation(
    softshrink_forward,
    softshrink_backward,
    module="Softshrink",
    need=_need_distance,
    variants={"lambd 1.25": {"lambd": 1.25}},
    equation=r"Y = \mathrm{sign}(X) \max(|X| - \lambda, 0)",
    slope=r"[|X| > \lambda]",
    source="Donoho 1995, De-noising by soft-thresholding",
    kinks=("-lambd", "lambd"),
)


def hardshrink_forward(X: Any, *, lambd: float = 0.5) -> Any:
    """Compute X outside of ±``lambd``, 0 within.

    Args:
        X: any shape, floating.
        lambd: the bound λ.

    Raises:
        DTypeError: if X holds integers.
    """
    return where((X >= -lambd) & (X <= lambd), 0.0, X)


def hardshrink_backward(dY: Any, X: Any, *, lambd: float) -> Any:
    """Return dX = dY outside of the bounds, else 0."""
    return where((X >= -lambd) & (X <= lambd), 0.0, dY)


HARDSHRINK = activation(
    hardshrink_forward,
    hardshrink_backward,
    module="Hardshrink",
    variants={"lambd 1.25": {"lambd": 1.25}},
    equation=r"Y = X [|X| > \lambda]",
    slope=r"[|X| > \lambda]",
    source="Donoho and Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage",
    kinks=("-lambd", "lambd"),
)


def threshold_forward(X: Any, *, threshold: float, value: float) -> Any:
    """Compute X above the threshold, and ``value`` elsewhere.

    Args:
        X: any shape, floating.
        threshold: what X has to be above, t.
        value: what stands elsewhere, v.

    Raises:
        DTypeError: if X holds integers.
    """
    return where(X <= threshold, value, X)


def threshold_backward(dY: Any, X: Any, *, threshold: float) -> Any:
    """Return dX = dY above the threshold, else 0."""
    return where(X <= threshold, 0.0, dY)


THRESHOLD = activation(
    threshold_forward,
    threshold_backward,
    module="Threshold",
    inplace=True,
    variants={"above 0.125": {"threshold": 0.125, "value": 20.0}},
    equation=r"Y = X [X > t] + v [X \le t]",
    slope=r"[X > t]",
    source="Nair and Hinton 2010, with another value than 0",
    kinks=("threshold",),
)
