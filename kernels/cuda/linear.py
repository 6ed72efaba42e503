"""The linear layer, alone and with an activation behind it, as launches of kernels."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.fused import FUSABLE, LinearActivationSaved, senseless
from nnscratch.formulas.linear import LinearSaved

from .driver import cover, rows_of
from .implementation import CudaKernel, Inputs, Needs, Options
from .source import signatures
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]

TILE = 16
LONGEST = 8 * TILE
"""Terms of a sum that the tiled kernel takes at most: a block adds up one tile after the other,
while cuBLAS divides a long sum among blocks."""
LANES_X, LANES_Y = 32, 8
STRIPES = 128
"""Stripes of rows at most whose sums of columns are added up in the end."""


def keeps_output(name: str) -> bool:
    """Say whether the backward of an activation needs its output, not its input."""
    return bool(FUSABLE[name][0].pointwise.saved[0] == "Y")


def _unwritten(name: Any) -> str | None:
    """Refuse an activation that was made when the kernels had their text already."""
    known = name in FUSABLE and f"bias_activation_{name}" in signatures("linear")
    return None if known else f"no kernel knows the activation {name!r}"


def numbers(name: str, given: Any) -> tuple[float, float]:
    """Return the two numbers of an activation: those given, its defaults for the rest, else 0."""
    defaults = FUSABLE[name][0].pointwise.options.values()
    made = [*defaults, 0.0, 0.0][:2]
    for index, value in enumerate(given):
        if value is not None and index < len(defaults):
            made[index] = value
    return made[0], made[1]


def product(
    target: Target, A: Any, B: Any, Y: Any, transpose_a: bool = False, transpose_b: bool = False
) -> None:
    """Add Y = A B for matrices, each factor transposed first where asked."""
    inner = A.shape[0] if transpose_a else A.shape[1]
    if _is_for_tiles(target, Y.size, inner):
        _tiled(target, "identity", A, B, None, None, Y, (transpose_a, transpose_b), (0.0, 0.0))
    else:
        target.product(A, B, Y, transpose_a, transpose_b)


def _is_for_tiles(target: Target, outputs: int, inner: int) -> bool:
    return inner <= LONGEST and outputs * inner <= target.driver.tiled_limit


def _tiled(
    target: Target, name: str, A: Any, B: Any, b: Any, Z: Any, Y: Any, transposed: Any, pq: Any
) -> None:
    m, n = Y.shape
    steps_a = (1, A.shape[1]) if transposed[0] else (A.shape[1], 1)
    steps_b = (1, B.shape[1]) if transposed[1] else (B.shape[1], 1)
    inner = A.shape[0] if transposed[0] else A.shape[1]
    grid = (-(-m // TILE) * -(-n // TILE),)
    arguments = (A, B, b, Z, Y, m, n, inner, *steps_a, *steps_b, *pq)
    target.launch("matmul", f"matmul_{name}", A.dtype, grid, arguments, (TILE, TILE))


def _affine(
    target: Target, X: Any, W: Any, b: Any, name: str, pq: tuple[float, float]
) -> tuple[Any, Any]:
    """Return Z = X Wᵀ + b and Y = f(Z); Z is Y where the backward needs only that."""
    rows, inner = rows_of(X.shape)
    columns = W.shape[0]
    shape = (*X.shape[:-1], columns)
    Y = target.output(0, shape, X.dtype)
    alone = name == "identity" or keeps_output(name)
    Z = None if alone else target.empty(shape, X.dtype)
    flat = X.reshape(rows, inner), Y.reshape(rows, columns)
    if _is_for_tiles(target, rows * columns, inner):
        flat_z = None if Z is None else Z.reshape(rows, columns)
        _tiled(target, name, flat[0], W, b, flat_z, flat[1], (False, True), pq)
    else:
        target.product(flat[0], W, flat[1], False, True)
        if b is not None or name != "identity":
            arguments = (Y, b, Z, Y, rows, columns, *pq)
            grid = cover(rows * columns, 4)
            target.launch("linear", f"bias_activation_{name}", X.dtype, grid, arguments)
    return Y if Z is None else Z, Y


def _pull_back(
    target: Target, dY: Any, X: Any, W: Any, needs: Needs, kept: Any, name: str, pq: Any
) -> Lowered:
    """Return dX, dW and db, where dZ and db come of one pass."""
    rows, columns = rows_of(dY.shape)
    dZ = dY
    db = target.output(2, (columns,), dY.dtype) if needs[2] else None
    if kept is not None:
        dZ = target.empty(dY.shape, dY.dtype)
        kernel = f"bias_activation_backward_{name}"
        column_sums(target, dY, db, (dY, kept, dZ), kernel, pq)
    elif db is not None:
        column_sums(target, dY, db, (dY,), "column_stripes")
    dZ = dZ.reshape(rows, columns)
    dX = dW = None
    if needs[0]:
        dX = target.output(0, X.shape, X.dtype)
        product(target, dZ, W, dX.reshape(rows, W.shape[1]))
    if needs[1]:
        dW = target.output(1, W.shape, W.dtype)
        product(target, dZ, X.reshape(rows, W.shape[1]), dW, transpose_a=True)
    return (dX, dW, db), None


def column_sums(
    target: Target, A: Any, sums: Any, arrays: Any, kernel: str, pq: tuple[float, ...] = ()
) -> None:
    """Add a kernel that sums columns stripe by stripe, and what adds those up to ``sums``.

    Where ``sums`` is None the kernel does only what else it does.
    """
    rows, columns = rows_of(A.shape)
    stripes = max(1, min(STRIPES, -(-rows // (4 * LANES_Y))))
    stripe = -(-rows // stripes)
    stripes = -(-rows // stripe)
    partial = sums
    if sums is not None and stripes > 1:
        partial = target.empty((stripes, columns), A.dtype)
    grid = (-(-columns // LANES_X), stripes)
    arguments = (*arrays, partial, rows, columns, stripe, *pq)
    target.launch("linear", kernel, A.dtype, grid, arguments, (LANES_X, LANES_Y))
    if partial is not sums:
        finish = (partial, sums, stripes, columns)
        target.launch("linear", "column_finish", A.dtype, cover(columns), finish)


def _linear(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W, b = (*inputs, None)[:3]
    return (_affine(target, X, W, b, "identity", (0.0, 0.0))[1],), LinearSaved(X, W)


def _linear_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dZ, X, W = inputs
    return _pull_back(target, dZ, X, W, needs, None, "identity", ())


def _linear_activation(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W, b = (*inputs, None)[:3]
    name = options["activation"]
    pq = numbers(name, (options.get("alpha"), options.get("beta")))
    kept, Y = _affine(target, X, W, b, name, pq)
    count = len(FUSABLE[name][1])
    alpha, beta = [*pq[:count], None, None][:2]
    return (Y,), LinearActivationSaved(X, W, kept, name, alpha, beta)


def _linear_activation_backward(
    target: Target, inputs: Inputs, options: Options, needs: Needs
) -> Lowered:
    dY, X, W, kept, name, alpha, beta = inputs
    return _pull_back(target, dY, X, W, needs, kept, name, numbers(name, (alpha, beta)))


def _check_linear(inputs: Inputs, options: Options) -> str | None:
    X, W, b = (*inputs, None)[:3]
    if not (hasattr(X, "dtype") and hasattr(W, "dtype")) or X.ndim < 2 or W.ndim != 2:
        return "it needs an input of at least two dimensions and a matrix of weights"
    if X.shape[-1] != W.shape[1] or (b is not None and b.shape != W.shape[:1]):
        return "the shapes do not fit"  # the reference says what is wrong, and where
    return None


def _check_fused(inputs: Inputs, options: Options) -> str | None:
    why = _unwritten(options.get("activation")) or senseless(options)
    return why or _check_linear(inputs, options)


def _check_fused_backward(inputs: Inputs, options: Options) -> str | None:
    return _unwritten(inputs[4]) or _check_linear_backward(inputs, options)


def _check_linear_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, W = inputs[:3]
    if not all(hasattr(item, "dtype") for item in (dY, X, W)) or X.ndim < 2:
        return "it needs an input of at least two dimensions"
    fits = dY.shape == (*X.shape[:-1], W.shape[0])
    return None if fits else f"dY has shape {dY.shape}"


LINEAR_KERNEL = CudaKernel(
    "linear",
    ("linear", "matmul"),
    {"forward": _linear, "backward": _linear_backward},
    {"forward": _check_linear, "backward": _check_linear_backward},
)
LINEAR_ACTIVATION_KERNEL = CudaKernel(
    "linear_activation",
    ("linear", "matmul"),
    {"forward": _linear_activation, "backward": _linear_activation_backward},
    {"forward": _check_fused, "backward": _check_fused_backward},
)
