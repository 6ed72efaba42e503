"""The linear layer, the activations, and both together, as instructions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.fused import FUSABLE, LinearActivationSaved
from nnscratch.formulas.linear import LinearSaved

from ..bodies import parsed
from .catalogue import gemm, kernel
from .implementation import Builder, CpuKernel, Inputs, Options
from .lower_elementwise import plus, same
from .operands import Operands

IDENTITY = "identity"
FEW_ROWS = 4


def product(
    builder: Builder,
    A: Any,
    B: Any,
    C: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    lda: int | None = None,
    ldb: int | None = None,
) -> None:
    """Emit C = op(A) op(B) for matrices; lda and ldb are the elements from row to row as stored.

    Where they are given, A and B have the shapes that op makes.
    """
    if lda is not None:
        m, n = C.shape
        made, library = gemm(dtype_name(C.dtype), m, n, A.shape[1])
        words = (
            library,
            transpose_a,
            transpose_b,
            *C.shape,
            A.shape[1],
            A,
            lda,
            B,
            ldb,
            C,
            C.shape[1],
        )
        builder.emit(made, words)
        return
    m, n = C.shape
    k = A.shape[0] if transpose_a else A.shape[1]
    made, library = gemm(dtype_name(C.dtype), m, n, k)
    words = (library, transpose_a, transpose_b, m, n, k, A, A.shape[1], B, B.shape[1], C, n)
    builder.emit(made, words)


def _rows(X: Any) -> Any:
    return X.reshape(-1, X.shape[-1])


def _check_linear(inputs: Inputs, options: Options) -> str | None:
    X, W = inputs[0], inputs[1]
    if not (isinstance(X, np.ndarray) and isinstance(W, np.ndarray)) or X.ndim < 2 or W.ndim != 2:
        return "it needs an input of at least two dimensions and a matrix of weights"
    b = inputs[2] if len(inputs) > 2 else None
    if X.shape[-1] != W.shape[1] or (b is not None and b.shape != W.shape[:1]):
        # The reference says what is wrong, and where.
        return "the shapes do not fit"
    return None


def _linear(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    X, W = inputs[0], inputs[1]
    b = inputs[2] if len(inputs) > 2 else None
    Z = builder.output(0, (*X.shape[:-1], W.shape[0]), X.dtype)
    _affine(builder, X, W, b, Z, Z, IDENTITY, (0.0, 0.0))
    return (Z,), LinearSaved(X, W)


def _affine(
    builder: Builder, X: Any, W: Any, b: Any, Z: Any, Y: Any, activation: str, scalars: Any
) -> None:
    product(builder, _rows(X), W, _rows(Z), transpose_b=True)
    if b is None and activation == IDENTITY:
        return
    # As a loop, so that what comes behind can be joined with it; the kernel if nothing is.
    loop = Operands(Z.shape, Z.dtype)
    node = loop.add(Z)
    if b is not None:
        node = loop.apply(parsed(plus), [node, loop.add(b)])
    if Z is not Y:
        loop.store(node if b is not None else loop.apply(parsed(same), [node]), Z)
    if activation != IDENTITY:
        words = FUSABLE[activation][0].pointwise
        numbers = [loop.add(number) for number in scalars[: len(words.options)]]
        node = loop.apply(parsed(words.forward), [node, *numbers])
    loop.store(node, Y)
    rows = _rows(Z)
    made = kernel("bias_activation", dtype_name(Z.dtype), activation)
    loop.alone = (made, (Z, b, Y, rows.shape[0], rows.shape[1]), scalars)
    loop.emit(builder)


def _linear_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    dZ, X, W = inputs
    return _pull_back(builder, dZ, X, W, needs, None, (0.0, 0.0), IDENTITY), None


def _pull_back(
    builder: Builder, dY: Any, X: Any, W: Any, needs: Any, kept: Any, scalars: Any, activation: str
) -> tuple[Any, ...]:
    """Emit dZ and db in one pass, then the two products."""
    rows = _rows(dY)
    dX = dW = db = None
    if needs[2]:
        db = builder.output(2, (W.shape[0],), W.dtype)
    dZ = dY
    if kept is not None:
        dZ = builder.empty(dY.shape, dY.dtype)
        made = kernel("activation_bias_backward", dtype_name(dY.dtype), activation)
        builder.emit(made, (dY, kept, dZ, db, rows.shape[0], rows.shape[1]), scalars)
    elif needs[2]:
        builder.emit(
            kernel("column_sum", dtype_name(dY.dtype)),
            (dY, db, rows.shape[0], rows.shape[1]),
            (1.0,),
        )
    if needs[1]:
        dW = builder.output(1, W.shape, W.dtype)
        product(builder, _rows(dZ), _rows(X), dW, transpose_a=True)
    if needs[0]:
        dX = builder.output(0, X.shape, X.dtype)
        product(builder, _rows(dZ), W, _rows(dX))
    return dX, dW, db


def _scalars(name: str, values: Any) -> tuple[float, float]:
    given = list(FUSABLE[name][0].pointwise.options.values())
    for index, value in enumerate(values):
        if value is not None and index < len(given):
            given[index] = value
    return tuple([*given, 0.0, 0.0][:2])


def _linear_activation(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    X, W = inputs[0], inputs[1]
    b = inputs[2] if len(inputs) > 2 else None
    name, alpha, beta = options["activation"], options.get("alpha"), options.get("beta")
    shape = (*X.shape[:-1], W.shape[0])
    Y = builder.output(0, shape, X.dtype)
    keeps_output = FUSABLE[name][0].pointwise.saved[0] == "Y"
    Z = Y if keeps_output else builder.empty(shape, X.dtype)
    _affine(builder, X, W, b, Z, Y, name, _scalars(name, (alpha, beta)))
    parameters = _parameters(name, alpha, beta)
    return (Y,), LinearActivationSaved(X, W, Z, name, *parameters)


def _parameters(name: str, alpha: Any, beta: Any) -> tuple[Any, Any]:
    """Return alpha and beta as the reference saves them: defaults filled in."""
    given: list[Any] = [None, None]
    filled = _scalars(name, (alpha, beta))
    for index in range(len(FUSABLE[name][1])):
        given[index] = filled[index]
    return given[0], given[1]


def _check_fused(inputs: Inputs, options: Options) -> str | None:
    if options.get("activation") not in FUSABLE:
        return f"no kernel knows the activation {options.get('activation')!r}"
    return _check_linear(inputs, options)


def _linear_activation_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    dY, X, W, kept, name, alpha, beta = inputs
    scalars = _scalars(name, (alpha, beta))
    return _pull_back(builder, dY, X, W, needs, kept, scalars, name), None


def _check_linear_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, W = inputs[:3]
    if not all(isinstance(item, np.ndarray) for item in (dY, X, W)) or X.ndim < 2:
        return "it needs an input of at least two dimensions"
    fits = dY.shape == (*X.shape[:-1], W.shape[0])
    return None if fits else f"dY has shape {dY.shape}"


def _not_few_rows(direction: str, inputs: Inputs) -> bool:
    """Say no to few rows: BLAS brings the weights from memory as quickly, and with less to do."""
    return direction == "backward" or math.prod(inputs[0].shape[:-1]) >= FEW_ROWS


LINEAR_KERNELS = {
    "linear": CpuKernel(
        {"forward": _linear, "backward": _linear_backward},
        {"forward": _check_linear, "backward": _check_linear_backward},
        pays=_not_few_rows,
    ),
    "linear_activation": CpuKernel(
        {"forward": _linear_activation, "backward": _linear_activation_backward},
        {"forward": _check_fused, "backward": _check_linear_backward},
    ),
}
