"""Arithmetic of arrays of one shape, assignments and matrix products, as launches of kernels."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.formula import FORMULAS
from nnscratch.formulas.products import MatmulSaved

from .driver import cover
from .implementation import CudaKernel, Inputs, Lowering, Needs, Options
from .launch import Numbers
from .linear import product
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]
OPERATIONS = ("add", "subtract", "multiply", "divide")


def arithmetic(name: str) -> CudaKernel:
    """Return the kernel of one operation on arrays of the same shape."""

    def forward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        A, B = inputs
        Y = target.output(0, A.shape, A.dtype)
        _binary(target, name, A, B, Y)
        return (Y,), FORMULAS[name].pointwise.keep(inputs, Y, {})

    return CudaKernel(("elementwise",), {"forward": forward}, {"forward": _same_pair})


def _binary(target: Target, name: str, A: Any, B: Any, Y: Any) -> None:
    arguments = (A, B, Y, Y.size)
    target.launch("elementwise", f"binary_{name}", Y.dtype, cover(Y.size, 4), arguments)


def _copy_into(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    T, S = inputs
    target.launch("elementwise", "copy", T.dtype, cover(T.size, 4), (S, T, T.size))
    return (), None


def _accumulate(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    T, S = inputs
    _binary(target, "add", T, S, T)
    return (), None


def _fill(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (T,) = inputs
    value = Numbers(lambda given: (given["value"],), options)
    grid = cover(T.size, 4)
    target.launch("elementwise", "fill", T.dtype, grid, (T, T.size), numbers=value)
    return (), None


def _same_pair(inputs: Inputs, options: Options) -> str | None:
    A, B = inputs
    if not (hasattr(A, "dtype") and hasattr(B, "dtype")) or A.shape != B.shape:
        return "the operands are not two arrays of one shape"
    return None if A.dtype == B.dtype else f"{B.dtype} meets {A.dtype}"


def _matmul(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    A, B = inputs
    Y = target.output(0, (A.shape[0], B.shape[1]), A.dtype)
    product(target, A, B, Y)
    return (Y,), MatmulSaved(A, B)


def _matmul_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, A, B = inputs
    dA = dB = None
    if needs[0]:
        dA = target.output(0, A.shape, A.dtype)
        product(target, dY, B, dA, turn_b=True)
    if needs[1]:
        dB = target.output(1, B.shape, B.dtype)
        product(target, A, dY, dB, turn_a=True)
    return (dA, dB), None


def _check_matmul(inputs: Inputs, options: Options) -> str | None:
    A, B = inputs[-2:]
    if A.ndim != 2 or B.ndim != 2:
        return "it multiplies two matrices"
    return None if A.shape[1] == B.shape[0] else "the shapes do not fit"


def _made(lowering: Lowering, direction: str, refusal: Any = None) -> CudaKernel:
    refusals = {} if refusal is None else {direction: refusal}
    return CudaKernel(("elementwise",), {direction: lowering}, refusals)


ELEMENTWISE_KERNELS = {
    **{name: arithmetic(name) for name in OPERATIONS},
    "copy_into": _made(_copy_into, "update", _same_pair),
    "accumulate": _made(_accumulate, "update", _same_pair),
    "fill": _made(_fill, "update"),
    "matmul": CudaKernel(
        ("matmul",),
        {"forward": _matmul, "backward": _matmul_backward},
        {"forward": _check_matmul, "backward": _check_matmul},
    ),
}
