r"""Powers and logarithms of other bases, the error function, and sums of exponentials of two."""

from __future__ import annotations

from typing import Any

from nnscratch.array.maths import (
    absolute,
    erf,
    erfc,
    erfinv,
    exp,
    exp2,
    hypot,
    like,
    log,
    log1p,
    log2,
    log10,
    maximum,
    where,
)
from nnscratch.formulas.formula import Formula
from nnscratch.formulas.pointwise import Body, elementwise

_LOG2, _LOG10 = 0.6931471805599453, 2.302585092994046
_TWO_BY_ROOT_PI, _HALF_ROOT_PI = 1.1283791670955126, 0.8862269254527580
_PAIR = "A and B (shapes that broadcast, or Python numbers) -> Y (their common shape)"


def exp2_forward(A: Any) -> Any:
    """Compute 2 to the power of A.

    Raises:
        DTypeError: if A holds integers.
    """
    return exp2(A)


def exp2_backward(dY: Any, Y: Any) -> Any:
    """Return dA = dY Y log 2."""
    return dY * (Y * _LOG2)


def log2_forward(A: Any) -> Any:
    """Compute the logarithm of base 2: -infinity at 0, NaN below; errors as in ``exp2``."""
    return log2(A)


def log2_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / (A log 2)."""
    return dY / (A * _LOG2)


def log10_forward(A: Any) -> Any:
    """Compute the logarithm of base 10: -infinity at 0, NaN below; errors as in ``exp2``."""
    return log10(A)


def log10_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / (A log 10)."""
    return dY / (A * _LOG10)


def erf_forward(A: Any) -> Any:
    r"""Compute the error function, $2/\sqrt\pi$ times the integral of $e^{-t^2}$ from 0 to A.

    Raises:
        DTypeError: if A holds integers.
    """
    return erf(A)


def erf_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY 2 e^(-A²) / √π."""
    return dY * (_TWO_BY_ROOT_PI * exp(-(A * A)))


def erfc_forward(A: Any) -> Any:
    """Compute 1 - erf A, exact where that is small; errors as in ``erf``."""
    return erfc(A)


def erfc_backward(dY: Any, A: Any) -> Any:
    """Return dA = -dY 2 e^(-A²) / √π."""
    return -dY * (_TWO_BY_ROOT_PI * exp(-(A * A)))


def erfinv_forward(A: Any) -> Any:
    """Compute the number whose error function is A: ±infinity at ±1, NaN beyond them.

    Raises:
        DTypeError: if A holds integers.
    """
    return erfinv(A)


def erfinv_backward(dY: Any, Y: Any) -> Any:
    """Return dA = dY √π e^(Y²) / 2."""
    return dY * (_HALF_ROOT_PI * exp(Y * Y))


def _function(
    forward: Body,
    backward: Body,
    equation: str,
    slope: str,
    kinks: tuple[float, ...] = (),
    analytic: bool = False,
) -> Formula:
    return elementwise(
        forward,
        {"A": backward},
        loops=False,
        equation=f"Y = {equation}",
        gradients={"A": rf"\frac{{\partial L}}{{\partial Y}} {slope}"},
        shapes="A (any) -> Y (same)",
        source="Abramowitz and Stegun 1964, sections 4.1, 4.2 and 7.1; the chain rule",
        kinks=kinks,
        analytic=analytic,
    )


_DENSITY = r"\frac{2}{\sqrt\pi} e^{-A^2}"
EXP2 = _function(exp2_forward, exp2_backward, "2^A", r"\odot Y \log 2", analytic=True)
LOG2 = _function(log2_forward, log2_backward, r"\log_2 A", r"/ (A \log 2)", (0.0,), analytic=True)
LOG10 = _function(
    log10_forward, log10_backward, r"\log_{10} A", r"/ (A \log 10)", (0.0,), analytic=True
)
ERF = _function(erf_forward, erf_backward, r"\operatorname{erf} A", rf"\odot {_DENSITY}")
ERFC = _function(erfc_forward, erfc_backward, r"1 - \operatorname{erf} A", rf"\odot (-{_DENSITY})")
ERFINV = _function(
    erfinv_forward,
    erfinv_backward,
    r"\operatorname{erf}^{-1} A",
    r"\odot \frac{\sqrt\pi}{2} e^{Y^2}",
    (-1.0, 1.0),
)


def hypot_forward(A: Any, B: Any) -> Any:
    """Compute √(A² + B²) without an overflow on the way.

    Args:
        A: an array or a Python number.
        B: likewise; one of the two is an array, and two arrays have one dtype.

    Raises:
        ShapeError: if the shapes do not broadcast.
        DTypeError: if one of them holds integers.

    >>> import numpy as np
    >>> float(hypot_forward(np.array(3.0), np.array(4.0)))
    5.0
    """
    return hypot(A, B)


def hypot_backward_A(dY: Any, A: Any, Y: Any) -> Any:
    """Return dA = dY A / Y."""
    return dY * (A / Y)


def hypot_backward_B(dY: Any, B: Any, Y: Any) -> Any:
    """Return dB = dY B / Y."""
    return dY * (B / Y)


HYPOT = elementwise(
    hypot_forward,
    {"A": hypot_backward_A, "B": hypot_backward_B},
    loops=False,
    equation=r"Y = \sqrt{A^2 + B^2}",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot A / Y",
        "B": r"\frac{\partial L}{\partial Y} \odot B / Y",
    },
    shapes=_PAIR,
    source="the chain rule",
    kinks="where A = 0 and B = 0",
)


def logaddexp_forward(A: Any, B: Any) -> Any:
    """Compute log(e^A + e^B) without an overflow on the way; arguments and errors as in ``hypot``.

    >>> import numpy as np
    >>> float(logaddexp_forward(np.array(1000.0), np.array(-1000.0)))
    1000.0
    """
    return where(A == B, A + _LOG2, maximum(A, B) + log1p(exp(-absolute(A - B))))


def logaddexp_backward_A(dY: Any, A: Any, B: Any) -> Any:
    """Return dA = dY / (1 + e^(B - A))."""
    return dY / (1.0 + exp(where(A == B, 0.0, B - A)))


def logaddexp_backward_B(dY: Any, A: Any, B: Any) -> Any:
    """Return dB = dY / (1 + e^(A - B))."""
    return dY / (1.0 + exp(where(A == B, 0.0, A - B)))


LOGADDEXP = elementwise(
    logaddexp_forward,
    {"A": logaddexp_backward_A, "B": logaddexp_backward_B},
    loops=False,
    equation=r"Y = \log(e^A + e^B)",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} / (1 + e^{B - A})",
        "B": r"\frac{\partial L}{\partial Y} / (1 + e^{A - B})",
    },
    shapes=_PAIR,
    source="the chain rule",
)


def xlogy_forward(A: Any, B: Any) -> Any:
    """Compute A log B, 0 where A is 0 and B no NaN; arguments and errors as in ``hypot``."""
    A, B = like(A, B), like(B, A)
    Z = A * log(where(A == 0, 1.0, B))
    return where(B == B, Z, B)


def xlogy_backward_A(dY: Any, A: Any, B: Any) -> Any:
    """Return dA = dY log B, 0 where A is 0 and B not positive."""
    return dY * where((A == 0) & (B <= 0), 0.0, log(like(B, dY)))


def xlogy_backward_B(dY: Any, A: Any, B: Any) -> Any:
    """Return dB = dY A / B."""
    return dY * (A / B)


XLOGY = elementwise(
    xlogy_forward,
    {"A": xlogy_backward_A, "B": xlogy_backward_B},
    loops=False,
    equation=r"Y = A \log B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot \log B",
        "B": r"\frac{\partial L}{\partial Y} \odot A / B",
    },
    shapes=_PAIR,
    source="the product rule",
    kinks="where A = 0, and where B is not positive",
    derivation=(
        r"The product rule, with the slope of the logarithm: $$\frac{\partial Y}{\partial A} = "
        r"\log B \\ \frac{\partial Y}{\partial B} = A \cdot \frac{1}{B}$$",
        "Where A is 0, Y is 0 for every B, so that its slope by B is 0, as A / B says; only at A "
        r"= B = 0 that is NaN. By A the slope is $\log B$ there too, but where B is not positive "
        "there is none, and the code has 0.",
        "Each entry of Y depends on the entries in the same place alone, so that the chain rule "
        "multiplies the gradient of Y by these slopes, entry by entry.",
    ),
)
