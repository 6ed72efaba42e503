"""The linear layer, the activations, and both together, as launches of kernels."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.activations import (
    EluSaved,
    HardtanhSaved,
    InputSaved,
    LeakyReluSaved,
    OutputSaved,
)
from nnscratch.formulas.fused import FUSABLE, LinearActivationSaved
from nnscratch.formulas.gelu import GeluSaved
from nnscratch.formulas.linear import LinearSaved
from nnscratch.formulas.sigmoids import SoftplusSaved

from .driver import Driver, cover, rows_of
from .implementation import CudaKernel, Inputs, Needs, Options

TILE = 16
LANES_X, LANES_Y = 32, 8
STRIPES = 128
"""Stripes of rows at most whose sums of columns are added up in the end."""

DEFAULTS: dict[str, tuple[float, ...]] = {
    "leaky_relu": (0.01,),
    "elu": (1.0,),
    "softplus": (1.0, 20.0),
    "hardtanh": (-1.0, 1.0),
}
KEEP_OUTPUT = ("relu", "sigmoid", "tanh")
SAVED: dict[str, Any] = {
    **{name: lambda V, p, q: OutputSaved(V) for name in KEEP_OUTPUT},
    **{name: lambda V, p, q: InputSaved(V) for name in ("selu", "silu", "softsign")},
    "leaky_relu": lambda V, p, q: LeakyReluSaved(V, p),
    "elu": lambda V, p, q: EluSaved(V, p),
    "softplus": SoftplusSaved,
    "hardtanh": HardtanhSaved,
    "gelu": lambda V, p, q: GeluSaved(V, "none"),
    "gelu_tanh": lambda V, p, q: GeluSaved(V, "tanh"),
}


def numbers(name: str, given: Any) -> tuple[float, float]:
    """Return the two numbers of an activation: those given, its defaults for the rest, else 0."""
    made = [*DEFAULTS.get(name, ()), 0.0, 0.0][:2]
    for index, value in enumerate(given):
        if value is not None and index < len(DEFAULTS.get(name, ())):
            made[index] = value
    return made[0], made[1]


def _product(driver: Driver, A: Any, B: Any, turn_a: bool = False, turn_b: bool = False) -> Any:
    """Return the product of two matrices, each turned over first where asked."""
    m, inner = A.shape[::-1] if turn_a else A.shape
    n = B.shape[0] if turn_b else B.shape[1]
    if m * n * inner > driver.tiled_limit or not inner:
        return driver.product(A.T if turn_a else A, B.T if turn_b else B)
    Y = driver.empty((m, n), A.dtype)
    _tiled(driver, "identity", A, B, None, None, Y, (turn_a, turn_b), (0.0, 0.0))
    return Y


def _tiled(
    driver: Driver, name: str, A: Any, B: Any, b: Any, Z: Any, Y: Any, turns: Any, pq: Any
) -> None:
    m, n = Y.shape
    steps_a = (1, A.shape[1]) if turns[0] else (A.shape[1], 1)
    steps_b = (1, B.shape[1]) if turns[1] else (B.shape[1], 1)
    inner = A.shape[0] if turns[0] else A.shape[1]
    grid = (-(-m // TILE) * -(-n // TILE),)
    arguments = (A, B, b, Z, Y, m, n, inner, *steps_a, *steps_b, *pq)
    driver.launch("matmul", f"matmul_{name}", A.dtype, grid, arguments, (TILE, TILE))


def _affine(
    driver: Driver, X: Any, W: Any, b: Any, name: str, pq: tuple[float, float]
) -> tuple[Any, Any]:
    """Return Z = X Wᵀ + b and Y = f(Z); Z is Y where the backward needs only that."""
    rows, inner = rows_of(X.shape)
    columns = W.shape[0]
    shape = (*X.shape[:-1], columns)
    alone = name == "identity" or name in KEEP_OUTPUT
    if rows * columns * inner <= driver.tiled_limit:
        Y = driver.empty((rows, columns), X.dtype)
        Z = None if alone else driver.empty((rows, columns), X.dtype)
        _tiled(driver, name, X.reshape(rows, inner), W, b, Z, Y, (False, True), pq)
    else:
        Y = driver.product(X.reshape(rows, inner), W.T)
        Z = None if alone else driver.empty((rows, columns), X.dtype)
        if b is not None or name != "identity":
            arguments = (Y, b, Z, Y, rows, columns, *pq)
            grid = cover(rows * columns, 4)
            driver.launch("linear", f"bias_activation_{name}", X.dtype, grid, arguments)
    Y = Y.reshape(shape)
    return Y if Z is None else Z.reshape(shape), Y


def _pull_back(
    driver: Driver, dY: Any, X: Any, W: Any, needs: Needs, kept: Any, name: str, pq: Any
) -> tuple[Any, ...]:
    """Return dX, dW and db, where dZ and db come of one pass."""
    rows, columns = rows_of(dY.shape)
    dZ, db = dY.reshape(rows, columns), None
    if kept is not None:
        dZ = driver.empty((rows, columns), dY.dtype)
        kernel = f"bias_activation_backward_{name}"
        db = column_sums(driver, dY, needs[2], (dY, kept, dZ), kernel, pq)
    elif needs[2]:
        db = column_sums(driver, dY, True, (dY,), "column_stripes")
    dX = dW = None
    if needs[0]:
        dX = _product(driver, dZ, W).reshape(X.shape)
    if needs[1]:
        dW = _product(driver, dZ, X.reshape(rows, W.shape[1]), turn_a=True)
    return dX, dW, db


def column_sums(
    driver: Driver, A: Any, wanted: bool, arrays: Any, kernel: str, pq: tuple[float, ...] = ()
) -> Any:
    """Launch a kernel that sums columns stripe by stripe; return their sums, if wanted."""
    rows, columns = rows_of(A.shape)
    stripes = max(1, min(STRIPES, -(-rows // (4 * LANES_Y))))
    stripe = -(-rows // stripes)
    stripes = -(-rows // stripe)
    partial = driver.empty((stripes, columns), A.dtype) if wanted else None
    grid = (-(-columns // LANES_X), stripes)
    arguments = (*arrays, partial, rows, columns, stripe, *pq)
    driver.launch("linear", kernel, A.dtype, grid, arguments, (LANES_X, LANES_Y))
    if partial is None or stripes == 1:
        return None if partial is None else partial.reshape(columns)
    sums = driver.empty((columns,), A.dtype)
    driver.launch(
        "linear", "column_finish", A.dtype, cover(columns), (partial, sums, stripes, columns)
    )
    return sums


def _linear(driver: Driver, inputs: Inputs, options: Options, needs: Needs) -> Any:
    X, W, b = (*inputs, None)[:3]
    return _affine(driver, X, W, b, "identity", (0.0, 0.0))[1], LinearSaved(X, W)


def _linear_backward(driver: Driver, inputs: Inputs, options: Options, needs: Needs) -> Any:
    dZ, X, W = inputs
    return _pull_back(driver, dZ, X, W, needs, None, "identity", ())


def _linear_activation(driver: Driver, inputs: Inputs, options: Options, needs: Needs) -> Any:
    X, W, b = (*inputs, None)[:3]
    name = options["activation"]
    pq = numbers(name, (options.get("alpha"), options.get("beta")))
    kept, Y = _affine(driver, X, W, b, name, pq)
    count = len(FUSABLE[name][1])
    alpha, beta = [*pq[:count], None, None][:2]
    return Y, LinearActivationSaved(X, W, kept, name, alpha, beta)


def _linear_activation_backward(
    driver: Driver, inputs: Inputs, options: Options, needs: Needs
) -> Any:
    dY, X, W, kept, name, alpha, beta = inputs
    return _pull_back(driver, dY, X, W, needs, kept, name, numbers(name, (alpha, beta)))


def _check_linear(inputs: Inputs, options: Options) -> str | None:
    X, W, b = (*inputs, None)[:3]
    if not (hasattr(X, "dtype") and hasattr(W, "dtype")) or X.ndim < 2 or W.ndim != 2:
        return "it needs an input of at least two dimensions and a matrix of weights"
    if X.shape[-1] != W.shape[1] or (b is not None and b.shape != W.shape[:1]):
        return "the shapes do not fit"  # the reference says what is wrong, and where
    return None


def _check_fused(inputs: Inputs, options: Options) -> str | None:
    if options.get("activation") not in FUSABLE:
        return f"no kernel knows the activation {options.get('activation')!r}"
    return _check_linear(inputs, options)


def _check_linear_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, W = inputs[:3]
    if not all(hasattr(item, "dtype") for item in (dY, X, W)) or X.ndim < 2:
        return "it needs an input of at least two dimensions"
    fits = dY.shape == (*X.shape[:-1], W.shape[0])
    return None if fits else f"dY has shape {dY.shape}"


def _same_shapes(inputs: Inputs, options: Options) -> str | None:
    dY, V = inputs[0], inputs[1]
    return None if dY.shape == V.shape else f"dY {dY.shape} is not of the shape {V.shape}"


def activation(formula_name: str) -> CudaKernel:
    """Return the kernels of one elementwise activation."""
    parameters = FUSABLE[formula_name][1]

    def forward(driver: Driver, inputs: Inputs, options: Options, needs: Needs) -> Any:
        (X,) = inputs
        name = "gelu_tanh" if options.get("approximate") == "tanh" else formula_name
        pq = numbers(name, [options.get(parameter) for parameter in parameters])
        Y = driver.empty(X.shape, X.dtype)
        arguments = (X, Y, X.size, *pq)
        driver.launch("activations", f"activation_{name}", X.dtype, cover(X.size, 4), arguments)
        return Y, SAVED[name](Y if name in KEEP_OUTPUT else X, *pq)

    def backward(driver: Driver, inputs: Inputs, options: Options, needs: Needs) -> Any:
        dY, V, *rest = inputs
        name = "gelu_tanh" if rest == ["tanh"] else formula_name
        dX = driver.empty(dY.shape, dY.dtype)
        pq = numbers(name, [item for item in rest if not isinstance(item, str)])
        arguments = (dY, V, dX, dY.size, *pq)
        kernel = f"activation_backward_{name}"
        driver.launch("activations", kernel, dY.dtype, cover(dY.size, 4), arguments)
        return (dX,)

    def check(inputs: Inputs, options: Options) -> str | None:
        known = options.get("approximate", "none") in ("none", "tanh")
        return None if known else "the approximation is unknown"

    return CudaKernel(
        ("activations",),
        {"forward": forward, "backward": backward},
        {"forward": check, "backward": _same_shapes},
    )


LINEAR_KERNELS = {
    "linear": CudaKernel(
        ("linear", "matmul"),
        {"forward": _linear, "backward": _linear_backward},
        {"forward": _check_linear, "backward": _check_linear_backward},
    ),
    "linear_activation": CudaKernel(
        ("linear", "matmul"),
        {"forward": _linear_activation, "backward": _linear_activation_backward},
        {"forward": _check_fused, "backward": _check_linear_backward},
    ),
    **{name: activation(name) for name in FUSABLE if name != "gelu_tanh"},
}
