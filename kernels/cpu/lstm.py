"""The LSTM over all steps, and as instructions.

What a step needs of the inputs is one product for all steps. Behind it each thread takes some
sequences through all steps by itself, so that no step waits for another thread: the product with
the state goes straight into the gates, which are in a cache then. Of few sequences each thread
takes some units through all steps, and the threads meet at every step (``steps``).
"""

from __future__ import annotations

from typing import Any

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.lstm import LstmSaved

from .implementation import Builder, CpuKernel, Inputs, Options
from .laid_out import lay_out_rows, of_tiles
from .products import product
from .runtime.declaration import Address, Constant, Floats, OptionalFloats, kernel
from .runtime.language import (
    KIND,
    address_of,
    given,
    meet,
    pointer,
    sigmoid,
    tanh,
)
from .steps import (
    begin_gradient,
    bias_gradients,
    gather,
    keep_last,
    lay_out_gates,
    shares,
    spaces_for,
    state_times,
)

Lowered = tuple[tuple[Any, ...], Any]


@kernel(
    cost=lambda steps, n, h: 200.0 + steps * n * h * (4.0 * h / 60.0 + 12.0), constants=of_tiles
)
def lstm_steps(
    G: Address, U: Address, b: OptionalFloats, d: OptionalFloats, H: Floats, C: Floats,
    states: Floats, cells: Floats, last: Floats, last_cells: Floats,
    space: Address, spaces: int, bytes_a_space: int, state: Address,
    steps: int, n: int, h: int, reverse: int,
    tid, threads, *, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """G (steps, n, 4h) from X Wᵀ to the gates i, f, g and o; states and cells (steps, n, h)."""
    like = KIND(0.0)
    first, end, left, right = shares(n, h, tid, threads, spaces, state, panel)
    wide = 4 * h
    gates = pointer(G, KIND)
    several, columns = (1, wide) if state == 0 else (4, right - left)
    laid = space + tid * bytes_a_space + 4 * left * h * size
    if first < end:
        lay_out_gates(like, size, L, panel, laid, U, h, several, left, columns)
    for step in range(steps if first < end else 0):
        t = steps - 1 - step if reverse else step
        before = t + 1 if reverse else t - 1
        top = (t * n + first) * wide
        if given(b) or given(d):
            for i in range(end - first):
                g = top + i * wide
                for k in range(0, wide, h):
                    for j in range(k + left, k + right):
                        bias = b[j] if given(b) else like
                        more = d[j] if given(d) else like
                        gates[g + j] = gates[g + j] + bias + more
        old = H if step == 0 else states
        place = first * h if step == 0 else (before * n + first) * h
        at = address_of(old) + place * size
        if state != 0 and step > 0:
            meet(state, tid, min(threads, spaces), step)
        state_times(
            like, size, L, panel, end - first, 1, several, columns, h, at, h * size, laid,
            G + (top + left) * size, wide * size, step,
        )  # fmt: skip
        old_cells = C if step == 0 else cells
        for i in range(end - first):
            g, y = top + i * wide, (t * n + first + i) * h
            c = place + i * h
            for j in range(left, right):
                gates[g + j] = sigmoid(gates[g + j])
            for j in range(left, right):
                gates[g + h + j] = sigmoid(gates[g + h + j])
            for j in range(left, right):
                gates[g + 2 * h + j] = tanh(gates[g + 2 * h + j])
            for j in range(left, right):
                gates[g + 3 * h + j] = sigmoid(gates[g + 3 * h + j])
            for j in range(left, right):
                value = gates[g + h + j] * old_cells[c + j]
                value += gates[g + j] * gates[g + 2 * h + j]
                cells[y + j] = value
            for j in range(left, right):
                states[y + j] = gates[g + 3 * h + j] * tanh(cells[y + j])
    final = 0 if reverse else steps - 1
    keep_last(last, states, final * n * h, h, first, end, left, right)
    keep_last(last_cells, cells, final * n * h, h, first, end, left, right)


@kernel(cost=lambda steps, n, h: 200.0 + steps * n * h * (4.0 * h / 60.0 + 8.0), constants=of_tiles)
def lstm_steps_backward(
    dY: OptionalFloats, dH: OptionalFloats, dC: OptionalFloats, G: Floats, cells: Floats,
    states: Floats, H: Floats, C: Floats, U: Address, dZ: Floats, before: Floats,
    first_dH: Floats, first_dC: Floats,
    space: Address, spaces: int, bytes_a_space: int, state: Address,
    steps: int, n: int, h: int, reverse: int,
    tid, threads, *, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """DZ (steps, n, 4h), the gradients of the first state and cells, and the state before each."""
    like = KIND(0.0)
    first, end, left, right = shares(n, h, tid, threads, spaces, state, panel)
    wide = 4 * h
    begin_gradient(like, first_dH, dH, h, first, end, left, right)
    begin_gradient(like, first_dC, dC, h, first, end, left, right)
    laid = space + tid * bytes_a_space + left * wide * size
    if first < end:
        lay_out_rows(like, size, panel, laid, U + left * size, h * size, wide, right - left)
    for step in range(steps if first < end else 0):
        t = step if reverse else steps - 1 - step
        earlier = t + 1 if reverse else t - 1
        start = step == steps - 1
        old_cells = C if start else cells
        for i in range(first, end):
            g, y, s = (t * n + i) * wide, (t * n + i) * h, i * h
            p = s if start else (earlier * n + i) * h
            gather(left, right, before, first_dH, dY, y, s, H if start else states, p)
            # Short loops of few arrays: longer ones are not computed many numbers at a time.
            for j in range(left, right):
                dZ[g + 3 * h + j] = tanh(cells[y + j])
            for j in range(left, right):
                out, squashed = G[g + 3 * h + j], dZ[g + 3 * h + j]
                dh = first_dH[s + j]
                first_dC[s + j] += dh * out * (KIND(1.0) - squashed * squashed)
                dZ[g + 3 * h + j] = dh * squashed * out * (KIND(1.0) - out)
            for j in range(left, right):
                in_, new, dc = G[g + j], G[g + 2 * h + j], first_dC[s + j]
                dZ[g + j] = dc * new * in_ * (KIND(1.0) - in_)
                dZ[g + 2 * h + j] = dc * in_ * (KIND(1.0) - new * new)
            for j in range(left, right):
                forget, dc = G[g + h + j], first_dC[s + j]
                dZ[g + h + j] = dc * old_cells[p + j] * forget * (KIND(1.0) - forget)
                first_dC[s + j] = dc * forget
        if state != 0:
            meet(state, tid, min(threads, spaces), step)
        at = address_of(dZ) + (t * n + first) * wide * size
        state_times(
            like, size, L, panel, end - first, 0, 1, right - left, wide, at, wide * size, laid,
            address_of(first_dH) + (first * h + left) * size, h * size, step,
        )  # fmt: skip


def _forward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    X, H, C, W, U, b, d = (*inputs, None, None)[:7]
    reverse = bool(options.get("reverse", False))
    (steps, n, width), h = X.shape, H.shape[1]
    dtype = dtype_name(X.dtype)
    gates = builder.empty((steps, n, 4 * h), X.dtype)
    rows = steps * n
    product(builder, X.reshape(rows, width), W, gates.reshape(rows, 4 * h), transpose_b=True)
    Y = builder.output(0, (steps, n, h), X.dtype)
    last, last_cells = (builder.output(k, (n, h), X.dtype) for k in (1, 2))
    cells = builder.empty((steps, n, h), X.dtype)
    lstm_steps.emit(
        builder, dtype, G=gates, U=U, b=b, d=d, H=H, C=C, states=Y, cells=cells, last=last,
        last_cells=last_cells, **spaces_for(builder, X.dtype, n, h, (4 * h,)), steps=steps, n=n,
        h=h, reverse=reverse,
    )  # fmt: skip
    saved = LstmSaved(X, H, C, W, U, None, gates, cells, Y, None, reverse)
    return (Y, last, last_cells), saved


def _backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    dY, dH, dC, X, H, C, W, U, _, gates, cells, states, _, reverse = inputs
    (steps, n, width), h = X.shape, H.shape[1]
    dtype, rows = dtype_name(X.dtype), steps * n
    dZ = builder.empty((steps, n, 4 * h), X.dtype)
    before = builder.empty((steps, n, h), X.dtype)
    outs = [
        builder.output(place, one.shape, one.dtype) if needs[place] else None
        for place, one in enumerate((X, H, C, W, U))
    ]
    dX, first_dH, first_dC, dW, dU = outs
    lstm_steps_backward.emit(
        builder, dtype, dY=dY, dH=dH, dC=dC, G=gates, cells=cells, states=states, H=H, C=C, U=U,
        dZ=dZ, before=before,
        first_dH=builder.empty(H.shape, H.dtype) if first_dH is None else first_dH,
        first_dC=builder.empty(C.shape, C.dtype) if first_dC is None else first_dC,
        **spaces_for(builder, X.dtype, n, 4 * h, (h,)), steps=steps, n=n, h=h, reverse=reverse,
    )  # fmt: skip
    flat = dZ.reshape(rows, 4 * h)
    if dX is not None:
        product(builder, flat, W, dX.reshape(rows, width))
    if dW is not None:
        product(builder, flat, X.reshape(rows, width), dW, transpose_a=True)
    if dU is not None:
        product(builder, flat, before.reshape(rows, h), dU, transpose_a=True)
    biases = [
        builder.output(place, (4 * h,), X.dtype) if needs[place] else None for place in (5, 6)
    ]
    bias_gradients(builder, flat, *biases)
    return (dX, first_dH, first_dC, dW, dU, *biases, None, None), None


def _check(inputs: Inputs, options: Options) -> str | None:
    X, H, C, W, U, b, d, R, lengths = (*inputs, None, None, None, None)[:9]
    if R is not None or lengths is not None:
        return "it takes no projection and no lengths"
    shapes = X.ndim == 3 and H.ndim == C.ndim == W.ndim == U.ndim == 2
    if not shapes or W.shape[0] % 4:
        return "the shapes do not fit"  # the reference says what is wrong, and where
    h = W.shape[0] // 4
    fits = W.shape[1] == X.shape[2] and U.shape == (4 * h, h)
    fits = fits and H.shape == C.shape == (X.shape[1], h)
    fits = fits and all(one is None or one.shape == (4 * h,) for one in (b, d))
    return None if fits else "the shapes do not fit"


def _check_backward(inputs: Inputs, options: Options) -> str | None:
    dY, dH, dC, X, H, C, W, U, R, _, _, _, lengths, _ = inputs
    for one, shape in ((dY, (*X.shape[:2], H.shape[1])), (dH, H.shape), (dC, C.shape)):
        if one is not None and one.shape != shape:
            return f"a gradient has shape {one.shape}"
    return _check((X, H, C, W, U, None, None, R, lengths), {})


LSTM_KERNEL = CpuKernel(
    "lstm",
    {"forward": _forward, "backward": _backward},
    {"forward": _check, "backward": _check_backward},
    passes=8,
    several=True,
)
