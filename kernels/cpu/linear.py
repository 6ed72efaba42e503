"""The linear layer, the activations behind it in the same pass, and both as instructions.

Z  = X Wᵀ + b           a product, then bias_activation
Y  = f(Z)
dZ = dY · f'(Z),  db = Σₙ dZₙ      activation_bias_backward, or column_sum
dX = dZ W,  dW = dZᵀ X             products
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.fused import FUSABLE, LinearActivationSaved, senseless
from nnscratch.formulas.linear import LinearSaved

from ..bodies import parsed
from .elementwise import contiguous, identity, plus
from .implementation import Builder, CpuKernel, Inputs, Options
from .operands import Operands
from .products import product
from .runtime.declaration import Constant, Floats, Number, OptionalFloats, kernel
from .runtime.language import KIND, given, part, same, stack
from .scalars import activation_of

NARROW = 64
"""Below this many columns, ROWS rows are taken together as one long row."""
ROWS = 16
WIDTH = 256
"""Columns that are summed at a time: their sums stay in the first-level cache."""
RUN = 64
"""Rows that are added up before they join the total, which keeps rounding errors small."""
IDENTITY = "identity"
FEW_ROWS = 4


def _activation(dtype: str, activation: int | str) -> Mapping[str, Any]:
    """Return the activation that a kernel is compiled for: f(x, p, q), and dY · f'(v)."""
    forward, backward = activation_of(str(activation), dtype)
    return {"forward": forward, "backward": backward}


@kernel(cost=lambda rows, columns: 0.3 * rows * columns, constants=_activation)
def bias_activation(
    Z: Floats, b: OptionalFloats, Y: Floats, rows: int, columns: int, p: Number, q: Number,
    tid, threads, *, activation: str, forward: Constant,
):  # fmt: skip
    """Z += b and Y = f(Z) in one pass. In place: Y = Z, and then only the output remains.

    p, q are the activation's parameters.
    """
    bias = b
    first, last = part(rows, tid, threads, ROWS)
    together, wide = 1, columns
    repeated = stack(1024, KIND)
    if columns < NARROW:  # ROWS rows as one, against ROWS copies of the bias
        together, wide = ROWS, columns * ROWS
        for i in range(ROWS):
            for j in range(columns):
                repeated[i * columns + j] = bias[j] if given(b) else KIND(0.0)
        bias = repeated
    for i in range(first, last, together):
        start = i * columns
        count = min(wide, (last - i) * columns)
        if not given(b) and columns >= NARROW:
            for j in range(start, start + count):
                Y[j] = forward(Z[j], p, q)
        elif not same(Z, Y):
            for j in range(count):
                total = Z[start + j] + bias[j]
                Z[start + j] = total
                Y[start + j] = forward(total, p, q)
        else:
            for j in range(count):
                Y[start + j] = forward(Y[start + j] + bias[j], p, q)


@kernel(cost=lambda rows, columns: 0.3 * rows * columns, constants=_activation)
def activation_bias_backward(
    dY: Floats, V: Floats, dZ: Floats, db: OptionalFloats, rows: int, columns: int,
    p: Number, q: Number, tid, threads, *, activation: str, backward: Constant,
):  # fmt: skip
    """DZ = dY f'(V) and db = Σₙ dZₙ in one pass. In place: dZ = dY.

    V is what the activation saves: the input or the output. The threads share the columns.
    """
    apart = not same(dY, dZ)
    if columns < NARROW:
        if tid != 0:
            return
        left, right, together, wide = 0, columns, ROWS, columns * ROWS
    else:
        left, right = part(columns, tid, threads, NARROW)
        together, wide = 1, WIDTH
    sums, total = stack(1024, KIND), stack(1024, KIND)
    for column in range(left, right, WIDTH if together == 1 else NARROW):
        width = min(wide, right - column) if together == 1 else wide
        for j in range(width):
            sums[j] = total[j] = KIND(0.0)
        for top in range(0, rows, RUN * together):
            last = min(top + RUN * together, rows)
            for i in range(top, last, together):
                start = i * columns + column
                count = min(width, (rows - i) * columns) if together > 1 else width
                if apart:
                    for j in range(count):
                        value = backward(dY[start + j], V[start + j], p, q)
                        dZ[start + j] = value
                        sums[j] += value
                else:
                    for j in range(count):
                        value = backward(dZ[start + j], V[start + j], p, q)
                        dZ[start + j] = value
                        sums[j] += value
            for j in range(width):
                total[j] += sums[j]
                sums[j] = KIND(0.0)
        if not given(db):
            continue
        if together == 1:
            for j in range(width):
                db[column + j] = total[j]
        else:
            for j in range(columns):
                folded = total[j]
                for i in range(1, ROWS):
                    folded += total[i * columns + j]
                db[j] = folded


@kernel(cost=lambda rows, columns: 0.2 * rows * columns)
def column_sum(X: Floats, out: Floats, rows: int, columns: int, c: Number, tid, threads):
    """Out = c Σₙ Xₙ over the rows; the threads share the columns.

    The order of the sums is that of ``activation_bias_backward``, so that db is the same bits
    whether a layer's backward is fused with its activation's or not.
    """
    if columns < NARROW:
        if tid != 0:
            return
        left, right, together, wide = 0, columns, ROWS, columns * ROWS
    else:
        left, right = part(columns, tid, threads, NARROW)
        together, wide = 1, WIDTH
    sums, total = stack(1024, KIND), stack(1024, KIND)
    for column in range(left, right, WIDTH if together == 1 else NARROW):
        width = min(wide, right - column) if together == 1 else wide
        for j in range(width):
            sums[j] = total[j] = KIND(0.0)
        for top in range(0, rows, RUN * together):
            for i in range(top, min(top + RUN * together, rows), together):
                start = i * columns + column
                count = min(width, (rows - i) * columns) if together > 1 else width
                for j in range(count):
                    sums[j] += X[start + j]
            for j in range(width):
                total[j] += sums[j]
                sums[j] = KIND(0.0)
        if together == 1:
            for j in range(width):
                out[column + j] = c * total[j]
        else:
            for j in range(columns):
                folded = total[j]
                for i in range(1, ROWS):
                    folded += total[i * columns + j]
                out[j] = c * folded


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
    X, W, b = (*_in_order(builder, inputs, 1), None)[:3]
    Z = builder.output(0, (*X.shape[:-1], W.shape[0]), X.dtype)
    _affine(builder, X, W, b, Z, Z, IDENTITY, (0.0, 0.0))
    return (Z,), LinearSaved(X, W)


def _in_order(builder: Builder, inputs: Inputs, weights: int) -> Inputs:
    """Return the inputs with their elements in order; the weights may be a transposed view."""
    W = inputs[weights]
    return tuple(
        [
            item if item is W and item.T.flags.c_contiguous else contiguous(builder, item)
            for item in inputs
        ]
    )


def _affine(
    builder: Builder, X: Any, W: Any, b: Any, Z: Any, Y: Any, activation: str, scalars: Any
) -> None:
    if W.flags.c_contiguous:
        product(builder, _rows(X), W, _rows(Z), transpose_b=True)
    else:
        product(builder, _rows(X), W.T, _rows(Z))
    if b is None and activation == IDENTITY:
        return
    # As a loop, so that what comes behind can be joined with it; the kernel if nothing is.
    loop = Operands(Z.shape, Z.dtype)
    node = loop.add(Z)
    if b is not None:
        node = loop.apply(parsed(plus), [node, loop.add(b)])
    if Z is not Y:
        loop.store(node if b is not None else loop.apply(parsed(identity), [node]), Z)
    if activation != IDENTITY:
        words = FUSABLE[activation][0].pointwise
        numbers = [loop.add(number) for number in scalars[: len(words.options)]]
        node = loop.apply(parsed(words.forward), [node, *numbers])
    loop.store(node, Y)
    rows, columns = _rows(Z).shape
    loop.alone = bias_activation.instruction(
        dtype_name(Z.dtype), activation, Z=Z, b=b, Y=Y, rows=rows, columns=columns,
        p=scalars[0], q=scalars[1],
    )  # fmt: skip
    loop.emit(builder)


def _linear_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    dZ, X, W = _in_order(builder, inputs, 2)
    return _pull_back(builder, dZ, X, W, needs, None, (0.0, 0.0), IDENTITY), None


def _pull_back(
    builder: Builder, dY: Any, X: Any, W: Any, needs: Any, kept: Any, scalars: Any, activation: str
) -> tuple[Any, ...]:
    """Emit dZ and db in one pass, then the two products."""
    rows, columns = _rows(dY).shape
    dX = dW = db = None
    if needs[2]:
        db = builder.output(2, (W.shape[0],), W.dtype)
    dZ = dY
    if kept is not None:
        dZ = builder.empty(dY.shape, dY.dtype)
        activation_bias_backward.emit(
            builder, dtype_name(dY.dtype), activation, dY=dY, V=kept, dZ=dZ, db=db, rows=rows,
            columns=columns, p=scalars[0], q=scalars[1],
        )  # fmt: skip
    elif needs[2]:
        column_sum.emit(
            builder, dtype_name(dY.dtype), X=dY, out=db, rows=rows, columns=columns, c=1.0
        )
    if needs[1]:
        if W.flags.c_contiguous:
            dW = builder.output(1, W.shape, W.dtype)
            product(builder, _rows(dZ), _rows(X), dW, transpose_a=True)
        else:  # what the weights are a view of has its gradient in order then
            dW = builder.turned(1, W.shape, W.dtype)
            product(builder, _rows(X), _rows(dZ), dW.T, transpose_a=True)
    if needs[0]:
        dX = builder.output(0, X.shape, X.dtype)
        if W.flags.c_contiguous:
            product(builder, _rows(dZ), W, _rows(dX))
        else:
            product(builder, _rows(dZ), W.T, _rows(dX), transpose_b=True)
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
    X, W, b = (*_in_order(builder, inputs, 1), None)[:3]
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
    return senseless(options) or _check_linear(inputs, options)


def _linear_activation_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    dY, X, W, kept, name, alpha, beta = _in_order(builder, inputs, 2)
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


def _multiplications(X: Any, W: Any) -> int:
    """Return how many multiplications X Wᵀ takes, as do the products of its backward."""
    return int(X.size * W.shape[0]) if W.ndim else 0


LINEAR_KERNEL = CpuKernel(
    "linear",
    {"forward": _linear, "backward": _linear_backward},
    {"forward": _check_linear, "backward": _check_linear_backward},
    pays=_not_few_rows,
    multiplications=_multiplications,
    strided=True,
)
LINEAR_ACTIVATION_KERNEL = CpuKernel(
    "linear_activation",
    {"forward": _linear_activation, "backward": _linear_activation_backward},
    {"forward": _check_fused, "backward": _check_linear_backward},
    multiplications=_multiplications,
    strided=True,
)
