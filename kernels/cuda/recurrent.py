"""Recurrent layers over all steps as launches: a product and a kernel for each step.

The products with the inputs and for the weights are made for all steps at once. In a plan all of
this is part of one graph, so a step costs two launches by the device and none by the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnscratch.formulas.gru import GruSaved
from nnscratch.formulas.lstm import LstmSaved
from nnscratch.formulas.recurrent import RnnSaved

from .copies import copy
from .driver import cover
from .implementation import CudaKernel, Inputs, Needs, Options
from .linear import product
from .sums import sum_axes
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]

FILES = ("recurrent", "matmul", "reductions", "copies", "elementwise")


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _rows(A: Any) -> Any:
    return A.reshape(-1, A.shape[-1])


def _of_inputs(target: Target, X: Any, W: Any) -> Any:
    """Return X Wᵀ for all steps."""
    A = target.empty((*X.shape[:2], W.shape[0]), X.dtype)
    product(target, _rows(X), W, _rows(A), transpose_b=True)
    return A


class StateArrays(NamedTuple):
    """The states after each step, and what a kernel writes beside them if sequences end."""

    Y: Any
    carried: Any
    lengths: Any

    def at(self, t: int) -> tuple[Any, Any]:
        """Return where step t writes its state, and the output, None if they are one."""
        return self.carried[t], None if self.lengths is None else self.Y[t]


def _states(target: Target, X: Any, H: Any, lengths: Any) -> StateArrays:
    shape = (X.shape[0], *H.shape)
    Y = target.output(0, shape, X.dtype)
    return StateArrays(Y, Y if lengths is None else target.empty(shape, X.dtype), lengths)


def _last(target: Target, position: int, states: Any, reverse: bool) -> Any:
    """Return a copy of the state that the last step has left."""
    last = states[0 if reverse else -1]
    out = target.output(position, last.shape, last.dtype)
    copy(target, last, out)
    return out


def _before(target: Target, states: Any, first: Any, reverse: bool) -> Any:
    """Return for each step the state that it began with."""
    made = target.empty(states.shape, states.dtype)
    steps = len(states)
    copy(target, first, made[-1] if reverse else made[0])
    if steps > 1 and reverse:
        copy(target, states[1:], made[:-1])
    elif steps > 1:
        copy(target, states[:-1], made[1:])
    return made


def _start(target: Target, given: Any, like: Any) -> Any:
    """Return a new array with a gradient in it, zeros if there is none."""
    made = target.empty(like.shape, like.dtype)
    copy(target, 0.0 if given is None else given, made)
    return made


def _taken(target: Target, need: bool, position: int, like: Any) -> Any:
    """Return an array for a gradient that is needed, None for others."""
    return target.output(position, like.shape, like.dtype) if need else None


def _weights(
    target: Target, dZ: Any, given: tuple[Any, Any], out: tuple[Any, Any], biases: tuple[Any, ...]
) -> None:
    """Add what follows from dZ: dZ W in out[0] if W is given, dZᵀ of rows in out[1], and biases."""
    W, rows = given
    if out[0] is not None:
        product(target, _rows(dZ), W, _rows(out[0]))
    if out[1] is not None:
        product(target, _rows(dZ), _rows(rows), out[1], transpose_a=True)
    for one in biases:
        if one is not None:
            sum_axes(target, _rows(dZ), (0,), one)


def _bias(target: Target, need: bool, position: int, W: Any) -> Any:
    return target.output(position, (W.shape[0],), W.dtype) if need else None


def _rnn(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, H, W, U, b, d, lengths = (*inputs, None, None, None)[:7]
    kind, reverse = options.get("nonlinearity", "tanh"), options.get("reverse", False)
    A, Z = _of_inputs(target, X, W), target.empty(H.shape, X.dtype)
    states, before, units = _states(target, X, H, lengths), H, H.shape[1]
    for t in _order(len(X), reverse):
        product(target, before, U, Z, transpose_b=True)
        arguments = (A[t], Z, b, d, before, lengths, *states.at(t), H.size, units, t)
        target.launch("recurrent", "rnn_step", X.dtype, cover(H.size), (*arguments, kind == "relu"))
        before = states.carried[t]
    last = _last(target, 1, states.carried, reverse)
    return (states.Y, last), RnnSaved(X, H, W, U, states.carried, lengths, kind, reverse)


def _carry(target: Target, through: Any, add: Any, lengths: Any, dH: Any, t: int) -> None:
    arguments = (through, add, lengths, dH, dH.size, dH.shape[1], t)
    target.launch("recurrent", "carry_gradient", dH.dtype, cover(dH.size), arguments)


def _own(target: Target, gradient: Any, need: bool, position: int) -> Any:
    if not need:
        return None
    out = target.output(position, gradient.shape, gradient.dtype)
    copy(target, gradient, out)
    return out


def _rnn_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, dLast, X, H, W, U, states, lengths, kind, reverse = inputs
    dH, dZ = _start(target, dLast, H), target.empty(states.shape, X.dtype)
    through, units = target.empty(H.shape, X.dtype), H.shape[1]
    for t in _order(len(X), not reverse):
        given = None if dY is None else dY[t]
        arguments = (given, dH, states[t], lengths, dZ[t], H.size, units, t, kind == "relu")
        target.launch("recurrent", "rnn_step_backward", X.dtype, cover(H.size), arguments)
        product(target, dZ[t], U, through)
        _carry(target, through, None, lengths, dH, t)
    dX, dW, dU = (_taken(target, needs[k], k, one) for k, one in ((0, X), (2, W), (3, U)))
    biases = tuple([_bias(target, needs[k], k, W) for k in (4, 5)])
    _weights(target, dZ, (W, X), (dX, dW), biases)
    if dU is not None:
        _weights(target, dZ, (None, _before(target, states, H, reverse)), (None, dU), ())
    return (dX, _own(target, dH, needs[1], 1), dW, dU, *biases, None), None


def _lstm(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, H, C, W, U, b, d, R, lengths = (*inputs, None, None, None, None)[:9]
    reverse, units = options.get("reverse", False), C.shape[1]
    A, Z = _of_inputs(target, X, W), target.empty((X.shape[1], W.shape[0]), X.dtype)
    states, gates = _states(target, X, H, lengths), target.empty(A.shape, X.dtype)
    cells = target.empty((len(X), *C.shape), X.dtype)
    hidden = None if R is None else target.empty(C.shape, X.dtype)
    projected = None if R is None else target.empty(H.shape, X.dtype)
    before, cells_before = H, C
    for t in _order(len(X), reverse):
        product(target, before, U, Z, transpose_b=True)
        arguments: Inputs = (
            A[t], Z, b, d, cells_before, before, lengths, gates[t], cells[t], hidden,
            *states.at(t), C.size, units, t,
        )  # fmt: skip
        target.launch("recurrent", "lstm_step", X.dtype, cover(C.size), arguments)
        if R is not None:
            product(target, hidden, R, projected, transpose_b=True)
            arguments = (projected, before, lengths, *states.at(t), H.size, H.shape[1], t)
            target.launch("recurrent", "choose_state", X.dtype, cover(H.size), arguments)
        before, cells_before = states.carried[t], cells[t]
    ends = _last(target, 1, states.carried, reverse), _last(target, 2, cells, reverse)
    saved = LstmSaved(X, H, C, W, U, R, gates, cells, states.carried, lengths, reverse)
    return (states.Y, *ends), saved


def _lstm_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, dLast, dCells, X, H, C, W, U, R, gates, cells, states, lengths, reverse = inputs
    dH, dC = _start(target, dLast, H), _start(target, dCells, C)
    dZ, through = target.empty(gates.shape, X.dtype), target.empty(H.shape, X.dtype)
    outer = None if R is None else target.empty(states.shape, X.dtype)
    dM = None if R is None else target.empty(C.shape, X.dtype)
    order = _order(len(X), not reverse)
    for k, t in enumerate(order):
        cells_before = cells[order[k + 1]] if k + 1 < len(order) else C
        given = None if dY is None else dY[t]
        if outer is not None:
            arguments: Inputs = (given, dH, lengths, outer[t], H.size, H.shape[1], t)
            target.launch("recurrent", "given_gradient", X.dtype, cover(H.size), arguments)
            product(target, outer[t], R, dM)
        arguments = (
            None if outer is not None else given, None if outer is not None else dH, dM, gates[t],
            cells[t], cells_before, lengths, dC, dZ[t], C.size, C.shape[1], t,
        )  # fmt: skip
        target.launch("recurrent", "lstm_step_backward", X.dtype, cover(C.size), arguments)
        product(target, dZ[t], U, through)
        _carry(target, through, None, lengths, dH, t)
    dX, dW, dU = (_taken(target, needs[k], k, one) for k, one in ((0, X), (3, W), (4, U)))
    biases = tuple([_bias(target, needs[k], k, W) for k in (5, 6)])
    _weights(target, dZ, (W, X), (dX, dW), biases)
    if dU is not None:
        _weights(target, dZ, (None, _before(target, states, H, reverse)), (None, dU), ())
    dR = _taken(target, needs[7], 7, R)
    if dR is not None:
        hidden = target.empty(cells.shape, X.dtype)
        arguments = (gates, cells, hidden, hidden.size, C.shape[1])
        target.launch("recurrent", "lstm_hidden", X.dtype, cover(hidden.size), arguments)
        product(target, _rows(outer), _rows(hidden), dR, transpose_a=True)
    ends = _own(target, dH, needs[1], 1), _own(target, dC, needs[2], 2)
    return (dX, *ends, dW, dU, *biases, dR, None), None


def _gru(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, H, W, U, b, d, lengths = (*inputs, None, None, None)[:7]
    reverse, units = options.get("reverse", False), H.shape[1]
    A, Z = _of_inputs(target, X, W), target.empty((X.shape[1], W.shape[0]), X.dtype)
    states, gates = _states(target, X, H, lengths), target.empty(A.shape, X.dtype)
    products, before = target.empty((len(X), *H.shape), X.dtype), H
    for t in _order(len(X), reverse):
        product(target, before, U, Z, transpose_b=True)
        arguments = (
            A[t], Z, b, d, before, lengths, gates[t], products[t], *states.at(t), H.size, units, t,
        )  # fmt: skip
        target.launch("recurrent", "gru_step", X.dtype, cover(H.size), arguments)
        before = states.carried[t]
    last = _last(target, 1, states.carried, reverse)
    saved = GruSaved(X, H, W, U, gates, products, states.carried, lengths, reverse)
    return (states.Y, last), saved


def _gru_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, dLast, X, H, W, U, gates, products, states, lengths, reverse = inputs
    dH, dA = _start(target, dLast, H), target.empty(gates.shape, X.dtype)
    dB, direct = target.empty(gates.shape, X.dtype), target.empty(H.shape, X.dtype)
    through, before = target.empty(H.shape, X.dtype), _before(target, states, H, reverse)
    for t in _order(len(X), not reverse):
        arguments = (
            None if dY is None else dY[t], dH, gates[t], products[t], before[t], lengths, dA[t],
            dB[t], direct, H.size, H.shape[1], t,
        )  # fmt: skip
        target.launch("recurrent", "gru_step_backward", X.dtype, cover(H.size), arguments)
        product(target, dB[t], U, through)
        _carry(target, through, direct, lengths, dH, t)
    dX, dW, dU = (_taken(target, needs[k], k, one) for k, one in ((0, X), (2, W), (3, U)))
    db, dd = (_bias(target, needs[k], k, W) for k in (4, 5))
    _weights(target, dA, (W, X), (dX, dW), (db,))
    _weights(target, dB, (None, before), (None, dU), (dd,))
    return (dX, _own(target, dH, needs[1], 1), dW, dU, db, dd, None), None


def _sizes(X: Any, H: Any, W: Any, U: Any, lengths: Any, gates: int) -> str | None:
    """Refuse what the reference says more about."""
    if not all(hasattr(one, "dtype") for one in (X, H, W, U)) or X.ndim != 3 or H.ndim != 2:
        return "the axes do not fit"
    if H.shape[0] != X.shape[1] or W.shape[0] % gates or W.shape[1:] != X.shape[2:]:
        return "the sizes do not fit"
    if U.shape != (W.shape[0], H.shape[1]):
        return "the sizes do not fit"
    if lengths is not None and (lengths.dtype != np.int64 or lengths.shape != X.shape[1:2]):
        return "the lengths are not int64, one for each sequence"
    return None


def _biases(W: Any, *biases: Any) -> str | None:
    fit = all(one is None or one.shape == W.shape[:1] for one in biases)
    return None if fit else "the biases do not fit"


def _check_rnn(inputs: Inputs, options: Options) -> str | None:
    X, H, W, U, b, d, lengths = (*inputs, None, None, None)[:7]
    if options.get("nonlinearity", "tanh") not in ("tanh", "relu"):
        return "the nonlinearity is unknown"
    why = _sizes(X, H, W, U, lengths, 1) or _biases(W, b, d)
    return why or (None if W.shape[0] == H.shape[1] else "the sizes do not fit")


def _check_gru(inputs: Inputs, options: Options) -> str | None:
    X, H, W, U, b, d, lengths = (*inputs, None, None, None)[:7]
    why = _sizes(X, H, W, U, lengths, 3) or _biases(W, b, d)
    return why or (None if W.shape[0] == 3 * H.shape[1] else "the sizes do not fit")


def _check_lstm(inputs: Inputs, options: Options) -> str | None:
    X, H, C, W, U, b, d, R, lengths = (*inputs, None, None, None, None)[:9]
    why = _sizes(X, H, W, U, lengths, 4) or _biases(W, b, d)
    if why is not None:
        return why
    units = W.shape[0] // 4
    projected = (H.shape[1], units) if R is None else R.shape
    fits = C.shape == (X.shape[1], units) and projected == (H.shape[1], units)
    return None if fits and (R is not None or units == H.shape[1]) else "the cells do not fit"


def _kernel(formula: str, forward: Any, backward: Any, check: Any) -> CudaKernel:
    lowerings = {"forward": forward, "backward": backward}
    return CudaKernel(formula, FILES, lowerings, {"forward": check}, several=True)


RNN_KERNEL = _kernel("rnn", _rnn, _rnn_backward, _check_rnn)
LSTM_KERNEL = _kernel("lstm", _lstm, _lstm_backward, _check_lstm)
GRU_KERNEL = _kernel("gru", _gru, _gru_backward, _check_gru)
