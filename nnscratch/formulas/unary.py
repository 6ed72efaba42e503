r"""Functions of each entry on its own: $Y = f(A)$, hence $\partial L/\partial A = \partial
L/\partial Y \odot f'$.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name, dtype_of, is_complex
from nnscratch.array.maths import absolute, exp, expm1, log, log1p, sign, sqrt
from nnscratch.formulas.formula import formula
from nnscratch.formulas.pointwise import elementwise
from nnscratch.formulas.saved import Saved

_SHAPES = "A (any) -> Y (same)"
_SOURCE = "document, section 4.2; the chain rule"


def negative_forward(A: Any) -> Any:
    """Compute -A."""
    return -A


def negative_backward(dY: Any) -> Any:
    """Return dA = -dY."""
    return -dY


NEGATIVE = elementwise(
    negative_forward,
    {"A": negative_backward},
    floats=False,
    equation=r"Y = -A",
    gradients={"A": r"-\frac{\partial L}{\partial Y}"},
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


def exp_forward(A: Any) -> Any:
    """Compute e^A, infinity where it is beyond the dtype.

    Raises:
        DTypeError: if A holds integers.
    """
    return exp(A)


def exp_backward(dY: Any, Y: Any) -> Any:
    """Return dA = dY · Y."""
    return dY * Y


EXP = elementwise(
    exp_forward,
    {"A": exp_backward},
    equation=r"Y = e^A",
    gradients={"A": r"\frac{\partial L}{\partial Y} \odot Y"},
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


def log_forward(A: Any) -> Any:
    """Compute the natural logarithm: -infinity at 0, NaN below.

    Raises:
        DTypeError: if A holds integers.
    """
    return log(A)


def log_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / A."""
    return dY / A


LOG = elementwise(
    log_forward,
    {"A": log_backward},
    equation=r"Y = \log A",
    gradients={"A": r"\frac{\partial L}{\partial Y} / A"},
    shapes=_SHAPES,
    source=_SOURCE,
    kinks=(0.0,),
    analytic=True,
)


def expm1_forward(A: Any) -> Any:
    """Compute e^A - 1.

    Raises:
        DTypeError: if A holds integers.

    >>> import numpy as np
    >>> float(expm1_forward(np.asarray(1e-20)))
    1e-20
    """
    return expm1(A)


def expm1_backward(dY: Any, Y: Any) -> Any:
    """Return dA = dY (Y + 1)."""
    return dY * (Y + 1.0)


EXPM1 = elementwise(
    expm1_forward,
    {"A": expm1_backward},
    equation=r"Y = e^A - 1",
    gradients={"A": r"\frac{\partial L}{\partial Y} \odot (Y + 1)"},
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


def log1p_forward(A: Any) -> Any:
    """Compute log(1 + A): -infinity at -1, NaN below.

    Raises:
        DTypeError: if A holds integers.
    """
    return log1p(A)


def log1p_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / (1 + A)."""
    return dY / (1.0 + A)


LOG1P = elementwise(
    log1p_forward,
    {"A": log1p_backward},
    equation=r"Y = \log(1 + A)",
    gradients={"A": r"\frac{\partial L}{\partial Y} / (1 + A)"},
    shapes=_SHAPES,
    source=_SOURCE,
    kinks=(-1.0,),
    analytic=True,
)


def sqrt_forward(A: Any) -> Any:
    """Compute the square root, NaN below 0.

    Raises:
        DTypeError: if A holds integers.
    """
    return sqrt(A)


def sqrt_backward(dY: Any, Y: Any) -> Any:
    """Return dA = dY / (2 Y), infinite at 0."""
    return dY / (2.0 * Y)


SQRT = elementwise(
    sqrt_forward,
    {"A": sqrt_backward},
    equation=r"Y = \sqrt{A}",
    gradients={"A": r"\frac{\partial L}{\partial Y} / (2 Y)"},
    shapes=_SHAPES,
    source=_SOURCE,
    kinks=(0.0,),
    analytic=True,
)


def abs_forward(A: Any) -> Any:
    """Compute |A|."""
    return absolute(A)


def abs_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY · sign A, where sign 0 = 0."""
    return dY * sign(A)


ABS = elementwise(
    abs_forward,
    {"A": abs_backward},
    floats=False,
    complexes=True,
    equation=r"Y = |A|",
    gradients={"A": r"\frac{\partial L}{\partial Y} \odot \mathrm{sign}(A)"},
    shapes=_SHAPES,
    source=_SOURCE,
    kinks=(0.0,),
)


class ClipSaved(Saved):
    """What the backward of ``clip`` needs."""

    A: Any
    min: float | None
    max: float | None


def clip_forward(
    A: Any, *, min: float | None = None, max: float | None = None
) -> tuple[Any, ClipSaved]:
    """Compute A held between ``min`` and ``max``, of which either may be None.

    NaN stays NaN; where ``min`` is above ``max``, ``max`` is the result.
    """
    xp = array_namespace(A)
    Y = A if min is None else xp.maximum(A, min)
    if max is not None:
        Y = xp.minimum(Y, max)
    elif min is None:
        Y = xp.asarray(A, copy=True)
    return Y, ClipSaved(A, min, max)


def clip_backward(dY: Any, saved: ClipSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY where min <= A <= max (the bounds are within), else 0."""
    A, low, high = saved
    xp = array_namespace(dY)
    if low is not None and high is not None:
        return (xp.where((A >= low) & (A <= high), dY, 0.0),)
    if low is not None:
        return (xp.where(A >= low, dY, 0.0),)
    if high is not None:
        return (xp.where(A <= high, dY, 0.0),)
    return (xp.asarray(dY, copy=True),)


CLIP = formula(
    clip_forward,
    clip_backward,
    equation=r"Y = \min(\max(A, a), b)",
    gradients={"A": r"\frac{\partial L}{\partial Y} \odot [a \le A \le b]"},
    shapes=_SHAPES,
    source=_SOURCE,
    kinks="at A = min and A = max",
    derivation=(
        r"There are three cases: $$Y = \begin{cases} a & A < a \\ A & a \le A \le b \\ b & A > b "
        r"\end{cases}$$ A bound that is None is none, and its case is missing. With a > b, Y is b "
        "everywhere.",
        r"A constant has the slope 0, and A by itself the slope 1: $$\frac{\partial Y}{\partial "
        r"A} = \begin{cases} 0 & A < a \\ 1 & a < A < b \\ 0 & A > b \end{cases}$$",
        "At the bounds there is no derivative, for the slopes on both sides are 0 and 1. The "
        "code takes 1: the bounds count as within.",
    ),
)


class CastSaved(Saved):
    """The name of the dtype that ``cast`` came from."""

    dtype: str


def cast_forward(A: Any, *, dtype: str) -> tuple[Any, CastSaved]:
    """Return a copy of A in another dtype; of complex numbers that become real the real part.

    Raises:
        DTypeError: if there is no such dtype.
    """
    xp, saved = array_namespace(A), CastSaved(dtype_name(A.dtype))
    return xp.astype(_real_for(A, dtype), dtype_of(xp, dtype), copy=True), saved


def cast_backward(dY: Any, saved: CastSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY, cast back."""
    xp = array_namespace(dY)
    return (xp.astype(_real_for(dY, saved.dtype), dtype_of(xp, saved.dtype), copy=True),)


def _real_for(A: Any, dtype: Any) -> Any:
    """Return the real part of complex numbers that become real ones; anything else as it is."""
    real = is_complex(A) and dtype_name(dtype) != "bool" and dtype_name(dtype)[0] != "c"
    return array_namespace(A).real(A) if real else A


CAST = formula(
    cast_forward,
    cast_backward,
    complexes=True,
    equation=r"Y = A \text{ in another dtype}",
    gradients={"A": r"\frac{\partial L}{\partial Y} \text{ in the dtype of } A"},
    shapes=_SHAPES,
    source=_SOURCE,
    moves=True,
    flops=lambda inputs, outputs: 0,
    derivation=(
        "The number stays the same but for rounding. Rounding is made of steps (see round), "
        "which say nothing of where the number goes, and is left out of the derivative: $$Y = A "
        r"\\ \frac{\partial Y}{\partial A} = 1$$",
        "So the gradient goes through as a number, and takes the dtype of A.",
        "Of a complex A that becomes real, the real part is Y and the imaginary part acts on "
        r"nothing: $\frac{\partial L}{\partial \mathrm{Re} A} = \frac{\partial L}{\partial Y}$ "
        r"and $\frac{\partial L}{\partial \mathrm{Im} A} = 0$, which is the gradient of Y as a "
        "complex number. A real A that becomes complex is the real part of Y, and gets the real "
        "part of its gradient.",
    ),
)
