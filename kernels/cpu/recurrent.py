"""The gated recurrent unit and the plain recurrent network over all steps, as the LSTM is.

One product for all steps says what they need of the inputs; behind it each thread takes some
sequences through all steps by itself, or some units of few sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.gru import GruSaved
from nnscratch.formulas.recurrent import RnnSaved

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
Needs = tuple[bool, ...]
KINDS = {"tanh": 0, "relu": 1}


def _of_tiles(dtype: str, relu: int) -> Mapping[str, Any]:
    return of_tiles(dtype)


@kernel(
    cost=lambda steps, n, h: 200.0 + steps * n * h * (3.0 * h / 60.0 + 10.0), constants=of_tiles
)
def gru_steps(
    G: Address, Q: Address, U: Address, b: OptionalFloats, d: OptionalFloats, H: Floats,
    states: Floats, last: Floats,
    space: Address, spaces: int, bytes_a_space: int, state: Address,
    steps: int, n: int, h: int, reverse: int,
    tid, threads, *, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """G (steps, n, 3h) from X Wᵀ to the gates r, z and n; Q is what r multiplies (steps, n, h)."""
    like = KIND(0.0)
    first, end, left, right = shares(n, h, tid, threads, spaces, state, panel)
    wide = 3 * h
    several, columns = (1, 2 * h) if state == 0 else (2, right - left)
    laid = space + tid * bytes_a_space + 3 * left * h * size
    behind = laid + several * ((columns + panel - 1) // panel) * panel * h * size
    if first < end:
        lay_out_gates(like, size, L, panel, laid, U, h, several, left, columns)
        last_rows = U + 2 * h * h * size
        lay_out_gates(like, size, L, panel, behind, last_rows, h, 1, left, right - left)
    gates, products = pointer(G, KIND), pointer(Q, KIND)
    for step in range(steps if first < end else 0):
        t = steps - 1 - step if reverse else step
        before = t + 1 if reverse else t - 1
        top, own = (t * n + first) * wide, (t * n + first) * h
        for i in range(end - first):
            g, q = top + i * wide, own + i * h
            if given(b):
                for k in range(0, wide, h):
                    for j in range(k + left, k + right):
                        gates[g + j] += b[j]
            if given(d):
                for k in range(0, 2 * h, h):
                    for j in range(k + left, k + right):
                        gates[g + j] += d[j]
            for j in range(left, right):
                products[q + j] = d[2 * h + j] if given(d) else like
        old = H if step == 0 else states
        place = first * h if step == 0 else (before * n + first) * h
        at = address_of(old) + place * size
        if state != 0 and step > 0:
            meet(state, tid, min(threads, spaces), step)
        state_times(
            like, size, L, panel, end - first, 1, several, columns, h, at, h * size, laid,
            G + (top + left) * size, wide * size, step,
        )  # fmt: skip
        state_times(
            like, size, L, panel, end - first, 1, 1, right - left, h, at, h * size, behind,
            Q + (own + left) * size, h * size, step,
        )  # fmt: skip
        for i in range(end - first):
            g, y, p = top + i * wide, own + i * h, place + i * h
            for k in range(0, 2 * h, h):
                for j in range(k + left, k + right):
                    gates[g + j] = sigmoid(gates[g + j])
            for j in range(left, right):
                gates[g + 2 * h + j] += gates[g + j] * products[y + j]
            for j in range(left, right):
                gates[g + 2 * h + j] = tanh(gates[g + 2 * h + j])
            for j in range(left, right):
                new = gates[g + 2 * h + j]
                states[y + j] = new + gates[g + h + j] * (old[p + j] - new)
    final = 0 if reverse else steps - 1
    keep_last(last, states, final * n * h, h, first, end, left, right)


@kernel(cost=lambda steps, n, h: 200.0 + steps * n * h * (3.0 * h / 60.0 + 8.0), constants=of_tiles)
def gru_steps_backward(
    dY: OptionalFloats, dH: OptionalFloats, G: Floats, Q: Floats, states: Floats, H: Floats,
    U: Address, dA: Floats, dB: Floats, before: Floats, first_dH: Floats,
    space: Address, spaces: int, bytes_a_space: int, state: Address,
    steps: int, n: int, h: int, reverse: int,
    tid, threads, *, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """DA and dB (steps, n, 3h), the gradient of the first state, and the state before each."""
    like, one = KIND(0.0), KIND(1.0)
    first, end, left, right = shares(n, h, tid, threads, spaces, state, panel)
    wide = 3 * h
    begin_gradient(like, first_dH, dH, h, first, end, left, right)
    laid = space + tid * bytes_a_space + left * wide * size
    if first < end:
        lay_out_rows(like, size, panel, laid, U + left * size, h * size, wide, right - left)
    for step in range(steps if first < end else 0):
        t = step if reverse else steps - 1 - step
        earlier = t + 1 if reverse else t - 1
        start = step == steps - 1
        for i in range(first, end):
            g, y, s = (t * n + i) * wide, (t * n + i) * h, i * h
            p = s if start else (earlier * n + i) * h
            gather(left, right, before, first_dH, dY, y, s, H if start else states, p)
            # Short loops of few arrays: longer ones are not computed many numbers at a time.
            for j in range(left, right):
                z, new = G[g + h + j], G[g + 2 * h + j]
                dA[g + 2 * h + j] = first_dH[s + j] * (one - z) * (one - new * new)
            for j in range(left, right):
                r, of_n = G[g + j], dA[g + 2 * h + j]
                dA[g + j] = of_n * Q[y + j] * r * (one - r)
            for j in range(left, right):
                z, new = G[g + h + j], G[g + 2 * h + j]
                dA[g + h + j] = first_dH[s + j] * (before[y + j] - new) * z * (one - z)
            for j in range(left, right):
                first_dH[s + j] *= G[g + h + j]
            for k in range(0, 2 * h, h):
                for j in range(g + k + left, g + k + right):
                    dB[j] = dA[j]
            for j in range(left, right):
                dB[g + 2 * h + j] = dA[g + 2 * h + j] * G[g + j]
        if state != 0:
            meet(state, tid, min(threads, spaces), step)
        at = address_of(dB) + (t * n + first) * wide * size
        state_times(
            like, size, L, panel, end - first, 1, 1, right - left, wide, at, wide * size, laid,
            address_of(first_dH) + (first * h + left) * size, h * size, step,
        )  # fmt: skip


@kernel(cost=lambda steps, n, h: 200.0 + steps * n * h * (h / 60.0 + 4.0), constants=_of_tiles)
def rnn_steps(
    Z: Address, U: Address, b: OptionalFloats, d: OptionalFloats, H: Floats, states: Floats,
    last: Floats,
    space: Address, spaces: int, bytes_a_space: int, state: Address,
    steps: int, n: int, h: int, reverse: int,
    tid, threads, *, relu: int, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """States (steps, n, h) from Z = X Wᵀ, by the hyperbolic tangent or by relu."""
    like = KIND(0.0)
    first, end, left, right = shares(n, h, tid, threads, spaces, state, panel)
    laid = space + tid * bytes_a_space + left * h * size
    if first < end:
        lay_out_gates(like, size, L, panel, laid, U, h, 1, left, right - left)
    sums = pointer(Z, KIND)
    for step in range(steps if first < end else 0):
        t = steps - 1 - step if reverse else step
        before = t + 1 if reverse else t - 1
        top = (t * n + first) * h
        for i in range(end - first):
            for j in range(left, right):
                bias = b[j] if given(b) else like
                more = d[j] if given(d) else like
                sums[top + i * h + j] = sums[top + i * h + j] + bias + more
        old = H if step == 0 else states
        at = address_of(old) + (first if step == 0 else before * n + first) * h * size
        if state != 0 and step > 0:
            meet(state, tid, min(threads, spaces), step)
        state_times(
            like, size, L, panel, end - first, 1, 1, right - left, h, at, h * size, laid,
            Z + (top + left) * size, h * size, step,
        )  # fmt: skip
        for i in range(end - first):
            for j in range(top + i * h + left, top + i * h + right):
                if relu:
                    states[j] = like if sums[j] <= like else sums[j]
                else:
                    states[j] = tanh(sums[j])
    final = 0 if reverse else steps - 1
    keep_last(last, states, final * n * h, h, first, end, left, right)


@kernel(cost=lambda steps, n, h: 200.0 + steps * n * h * (h / 60.0 + 3.0), constants=_of_tiles)
def rnn_steps_backward(
    dY: OptionalFloats, dH: OptionalFloats, states: Floats, H: Floats, U: Address, dZ: Floats,
    before: Floats, first_dH: Floats,
    space: Address, spaces: int, bytes_a_space: int, state: Address,
    steps: int, n: int, h: int, reverse: int,
    tid, threads, *, relu: int, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """DZ (steps, n, h), the gradient of the first state, and the state before each."""
    like = KIND(0.0)
    first, end, left, right = shares(n, h, tid, threads, spaces, state, panel)
    begin_gradient(like, first_dH, dH, h, first, end, left, right)
    laid = space + tid * bytes_a_space + left * h * size
    if first < end:
        lay_out_rows(like, size, panel, laid, U + left * size, h * size, h, right - left)
    for step in range(steps if first < end else 0):
        t = step if reverse else steps - 1 - step
        earlier = t + 1 if reverse else t - 1
        start = step == steps - 1
        for i in range(first, end):
            y, s = (t * n + i) * h, i * h
            p = s if start else (earlier * n + i) * h
            gather(left, right, before, first_dH, dY, y, s, H if start else states, p)
            for j in range(left, right):
                value = states[y + j]
                if relu:
                    slope = like if value <= like else KIND(1.0)
                else:
                    slope = KIND(1.0) - value * value
                dZ[y + j] = first_dH[s + j] * slope
        if state != 0:
            meet(state, tid, min(threads, spaces), step)
        at = address_of(dZ) + (t * n + first) * h * size
        state_times(
            like, size, L, panel, end - first, 0, 1, right - left, h, at, h * size, laid,
            address_of(first_dH) + (first * h + left) * size, h * size, step,
        )  # fmt: skip


def _of_inputs(builder: Builder, X: Any, W: Any) -> Any:
    """Emit X Wᵀ for all steps."""
    steps, n, width = X.shape
    made = builder.empty((steps, n, W.shape[0]), X.dtype)
    product(builder, X.reshape(steps * n, width), W, made.reshape(steps * n, -1), transpose_b=True)
    return made


def _gru(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, H, W, U, b, d = (*inputs, None, None)[:6]
    reverse = bool(options.get("reverse", False))
    (steps, n, _), h = X.shape, H.shape[1]
    gates, Q = _of_inputs(builder, X, W), builder.empty((steps, n, h), X.dtype)
    Y, last = builder.output(0, (steps, n, h), X.dtype), builder.output(1, (n, h), X.dtype)
    gru_steps.emit(
        builder, dtype_name(X.dtype), G=gates, Q=Q, U=U, b=b, d=d, H=H, states=Y, last=last,
        **spaces_for(builder, X.dtype, n, h, (2 * h, h)), steps=steps, n=n, h=h, reverse=reverse,
    )  # fmt: skip
    return (Y, last), GruSaved(X, H, W, U, gates, Q, Y, None, reverse)


def _gru_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, dH, X, H, W, U, gates, Q, states, _, reverse = inputs
    (steps, n, width), h = X.shape, H.shape[1]
    dtype, rows = dtype_name(X.dtype), steps * n
    dA, dB = (builder.empty((steps, n, 3 * h), X.dtype) for _ in range(2))
    before = builder.empty((steps, n, h), X.dtype)
    dX, first_dH, dW, dU, db, dd = _outputs(builder, needs, X, H, W, U)
    gru_steps_backward.emit(
        builder, dtype, dY=dY, dH=dH, G=gates, Q=Q, states=states, H=H, U=U, dA=dA, dB=dB,
        before=before, first_dH=builder.empty(H.shape, H.dtype) if first_dH is None else first_dH,
        **spaces_for(builder, X.dtype, n, 3 * h, (h,)), steps=steps, n=n, h=h, reverse=reverse,
    )  # fmt: skip
    of_inputs, of_states = dA.reshape(rows, 3 * h), dB.reshape(rows, 3 * h)
    _products(builder, of_inputs, X.reshape(rows, width), W, dX, dW)
    _products(builder, of_states, before.reshape(rows, h), U, None, dU)
    bias_gradients(builder, of_inputs, db, None)
    bias_gradients(builder, of_states, dd, None)
    return (dX, first_dH, dW, dU, db, dd, None), None


def _rnn(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, H, W, U, b, d = (*inputs, None, None)[:6]
    reverse, how = bool(options.get("reverse", False)), options.get("nonlinearity", "tanh")
    (steps, n, _), h = X.shape, H.shape[1]
    Y, last = builder.output(0, (steps, n, h), X.dtype), builder.output(1, (n, h), X.dtype)
    rnn_steps.emit(
        builder, dtype_name(X.dtype), KINDS[how], Z=_of_inputs(builder, X, W), U=U, b=b, d=d, H=H,
        states=Y, last=last, **spaces_for(builder, X.dtype, n, h, (h,)), steps=steps, n=n, h=h,
        reverse=reverse,
    )  # fmt: skip
    return (Y, last), RnnSaved(X, H, W, U, Y, None, how, reverse)


def _rnn_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, dH, X, H, W, U, states, _, how, reverse = inputs
    (steps, n, width), h = X.shape, H.shape[1]
    rows = steps * n
    dZ, before = (builder.empty((steps, n, h), X.dtype) for _ in range(2))
    dX, first_dH, dW, dU, db, dd = _outputs(builder, needs, X, H, W, U)
    rnn_steps_backward.emit(
        builder, dtype_name(X.dtype), KINDS[how], dY=dY, dH=dH, states=states, H=H, U=U, dZ=dZ,
        before=before, first_dH=builder.empty(H.shape, H.dtype) if first_dH is None else first_dH,
        **spaces_for(builder, X.dtype, n, h, (h,)), steps=steps, n=n, h=h, reverse=reverse,
    )  # fmt: skip
    flat = dZ.reshape(rows, h)
    _products(builder, flat, X.reshape(rows, width), W, dX, dW)
    _products(builder, flat, before.reshape(rows, h), U, None, dU)
    bias_gradients(builder, flat, db, dd)
    return (dX, first_dH, dW, dU, db, dd, None), None


def _outputs(builder: Builder, needs: Needs, X: Any, H: Any, W: Any, U: Any) -> list[Any]:
    """Return arrays for the gradients of X, H, W, U and both biases; None for what is not asked."""
    shapes = [X.shape, H.shape, W.shape, U.shape, *[(W.shape[0],)] * 2]
    return [
        builder.output(place, shape, X.dtype) if needs[place] else None
        for place, shape in enumerate(shapes)
    ]


def _products(builder: Builder, dZ: Any, X: Any, W: Any, dX: Any, dW: Any) -> None:
    """Emit dX = dZ W and dW = dZᵀ X where they are asked."""
    if dX is not None:
        product(builder, dZ, W, dX.reshape(X.shape))
    if dW is not None:
        product(builder, dZ, X, dW, transpose_a=True)


def _check_with(gates: int) -> Any:
    """Return the check of a layer whose weights have so many times the rows of its units."""

    def check(inputs: Inputs, options: Options) -> str | None:
        X, H, W, U, b, d, lengths = (*inputs, None, None, None)[:7]
        if lengths is not None:
            return "it takes no lengths"
        if X.ndim != 3 or not H.ndim == W.ndim == U.ndim == 2 or W.shape[0] % gates:
            return "the shapes do not fit"  # the reference says what is wrong, and where
        h = W.shape[0] // gates
        fits = W.shape[1] == X.shape[2] and U.shape == (gates * h, h)
        fits = fits and H.shape == (X.shape[1], h)
        fits = fits and all(one is None or one.shape == (gates * h,) for one in (b, d))
        if options.get("nonlinearity", "tanh") not in KINDS:
            return f"it knows the nonlinearities {', '.join(KINDS)}"
        return None if fits else "the shapes do not fit"

    return check


def _check_backward_with(gates: int) -> Any:
    """Return the same of the backward."""
    check = _check_with(gates)

    def check_backward(inputs: Inputs, options: Options) -> str | None:
        dY, dH, X, H, W, U = inputs[:6]
        for one, shape in ((dY, (*X.shape[:2], H.shape[1])), (dH, H.shape)):
            if one is not None and one.shape != shape:
                return f"a gradient has shape {one.shape}"
        lengths = inputs[9] if gates == 3 else inputs[7]
        return check((X, H, W, U, None, None, lengths), {})  # type: ignore[no-any-return]

    return check_backward


GRU_KERNEL = CpuKernel(
    "gru",
    {"forward": _gru, "backward": _gru_backward},
    {"forward": _check_with(3), "backward": _check_backward_with(3)},
    passes=8,
    several=True,
)
RNN_KERNEL = CpuKernel(
    "rnn",
    {"forward": _rnn, "backward": _rnn_backward},
    {"forward": _check_with(1), "backward": _check_backward_with(1)},
    passes=4,
    several=True,
)
