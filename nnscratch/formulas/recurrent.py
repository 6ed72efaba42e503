r"""Recurrent layers: one layer in one direction over all T steps is one formula.

What a step needs of the inputs is one product for all steps, outside the loop. The loop of the
backward (backpropagation through time) carries the gradient of the state alone:
all slopes are computed before it, and all products for the weights behind it.

Sequences of one batch may have different ``lengths``. At the steps beyond its end a sequence keeps
its state, gives 0 and gets no gradient; in reverse it so begins at its own last step.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name, is_integer
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas.checks import real
from nnscratch.formulas.formula import Shapes, formula
from nnscratch.formulas.saved import Saved

SHAPES = (
    "X (T, N, I), H (N, H), W ({0}H, I), U ({0}H, H), b and d ({0}H,) or None, lengths (N,) or None"
)

# Steps of the derivations of all recurrent layers.
EVERY_STEP = (
    "The weights are the same at every step t and for every sequence n of the batch, and the "
    "chain rule adds up over both, as in a linear layer (see linear)."
)
ENDS = (
    "With `reverse` the steps are taken from the last to the first: t - 1 then means the one "
    "that was taken before t, which is t + 1. At the steps beyond the end of a sequence the "
    "state stays as it is and Y is 0: X and the weights get nothing from there, and what comes "
    "back to the state goes through unchanged."
)


def check_shapes(name: str, gates: int, X: Any, state: Any, W: Any, U: Any, lengths: Any) -> None:
    """Check the shapes of what all recurrent layers have.

    Raises:
        ShapeError: if they do not fit, or there is no step.
        DTypeError: if the lengths are no integers.
    """
    if X.ndim != 3 or X.shape[0] == 0:
        raise ShapeError(
            f"{name}: expected an input (steps, batch, features) of at least one step, got shape "
            f"{tuple(X.shape)}"
        )
    wide, width = W.shape[0], state.shape[-1]
    fits = state.ndim == 2 and state.shape[0] == X.shape[1] and wide % gates == 0
    if not fits or W.shape[1] != X.shape[2] or tuple(U.shape) != (wide, width):
        raise ShapeError(
            f"{name}: an input {tuple(X.shape)} with a state {tuple(state.shape)} does not fit "
            f"weights {tuple(W.shape)} and {tuple(U.shape)}"
        )
    if lengths is not None:
        if not is_integer(lengths):
            raise DTypeError(f"{name}: lengths are integers, got {dtype_name(lengths.dtype)}")
        if tuple(lengths.shape) != (X.shape[1],):
            raise ShapeError(
                f"{name}: expected a length for each of {X.shape[1]} sequences, got shape "
                f"{tuple(lengths.shape)}"
            )


def recurrent_flops(inputs: Shapes, cell: int) -> int:
    """Return the operations of all steps: both products with their sums, and those of the cell.

    Args:
        inputs: the shapes of X, W, U, b, d and, if there is one, of the projection R.
        cell: how many there are for each entry of the state.
    """
    X, W, U, b, d = inputs[:5]
    assert X is not None
    assert W is not None
    assert U is not None
    units = U[1] if len(inputs) < 6 or inputs[5] is None else inputs[5][1]
    step = 2 * (math.prod(W) + math.prod(U)) + W[0] * (1 + (b is not None) + (d is not None))
    step += cell * units
    if len(inputs) > 5 and inputs[5] is not None:
        step += 2 * math.prod(inputs[5])
    return X[0] * X[1] * step


def of_inputs(X: Any, W: Any, b: Any, d: Any = None) -> Any:
    """Return X Wᵀ + b + d for all steps at once."""
    A = X @ W.T
    for bias in (b, d):
        A = A if bias is None else A + bias
    return A


def order_of(steps: int, reverse: bool) -> Any:
    """Return the numbers of the steps in the order in which they are computed."""
    return range(steps - 1, -1, -1) if reverse else range(steps)


def inside_of(X: Any, lengths: Any) -> Any:
    """Return (T, N, 1), whether a step is one of its sequence; None where all are."""
    if lengths is None:
        return None
    xp = array_namespace(X)
    steps = xp.arange(X.shape[0], dtype=xp.int64, device=X.device)
    return xp.reshape(steps, (-1, 1, 1)) < xp.reshape(xp.astype(lengths, xp.int64), (1, -1, 1))


def chosen(xp: Any, inside: Any, t: int, new: Any, old: Any) -> Any:
    """Return the new value at the sequences that have step t, the old one at the others."""
    return new if inside is None else xp.where(inside[t, ...], new, old)


def gates_of(xp: Any, Z: Any, scale: Any) -> Any:
    """Return the sigmoid of Z for a ``scale`` of 0.5, and tanh for one of 1: s tanh(s Z) + 1 - s.

    As 1 / (1 + e^-Z) = (1 + tanh(Z / 2)) / 2, one tanh makes all gates at once, which cannot
    overflow. The logistic of the activations keeps digits of a sigmoid near 0, which a gate, a
    factor of what is added to larger numbers, does not need.
    """
    return scale * xp.tanh(scale * Z) + (1.0 - scale)


def before_of(xp: Any, states: Any, first: Any, reverse: bool) -> Any:
    """Return for each step the state (T, N, H) that it began with."""
    start = xp.expand_dims(first, axis=0)
    parts = [states[1:, ...], start] if reverse else [start, states[:-1, ...]]
    return xp.concat(parts, axis=0)


def of_weights(
    xp: Any, dZ: Any, X: Any, before: Any, W: Any, needs: tuple[bool, bool, bool, bool]
) -> tuple[Any, ...]:
    """Return dX, dW, dU and the gradient of a bias, for Z = X Wᵀ + before Uᵀ + bias.

    Args:
        xp: the namespace of dZ.
        dZ: (T, N, Z).
        X: (T, N, I).
        before: (T, N, H).
        W: (Z, I).
        needs: which of the four are asked for.
    """
    rows = xp.reshape(dZ, (-1, dZ.shape[-1]))
    dX = dZ @ W if needs[0] else None
    dW = rows.T @ xp.reshape(X, (-1, X.shape[-1])) if needs[1] else None
    dU = rows.T @ xp.reshape(before, (-1, before.shape[-1])) if needs[2] else None
    return dX, dW, dU, xp.sum(rows, axis=0) if needs[3] else None


class RnnSaved(Saved):
    """What the backward of ``rnn`` needs; ``states`` are those that are carried on."""

    X: Any
    H: Any
    W: Any
    U: Any
    states: Any
    lengths: Any
    nonlinearity: str
    reverse: bool


def rnn_forward(
    X: Any,
    H: Any,
    W: Any,
    U: Any,
    b: Any = None,
    d: Any = None,
    lengths: Any = None,
    *,
    nonlinearity: str = "tanh",
    reverse: bool = False,
) -> tuple[tuple[Any, Any], RnnSaved]:
    r"""Compute $H_t = \tanh(X_t W^\top + b + H_{t-1} U^\top + d)$ for t = 1 to T.

    Args:
        X: inputs (T, N, I).
        H: the state at the beginning (N, H).
        W: weights of the inputs (H, I).
        U: weights of the state (H, H).
        b: biases (H,), or None for none.
        d: more biases (H,), or None; PyTorch's layers have two.
        lengths: how many steps each sequence has (N,), at least 1; None for T.
        nonlinearity: "tanh", or "relu" in its place.
        reverse: whether it goes from the last step to the first.

    Returns:
        Y (T, N, H), the state after each step, and the last state (N, H).

    Raises:
        ShapeError: if shapes do not fit, or there is no step.
        DTypeError: if an input holds integers, or dtypes differ.
        ConfigurationError: for another nonlinearity.

    >>> import numpy as np
    >>> X, one = np.ones((3, 1, 1)), np.ones((1, 1))
    >>> Y, last = rnn_forward(X, np.zeros((1, 1)), one, one, nonlinearity="relu")[0]
    >>> Y.ravel(), last
    (array([1., 2., 3.]), array([[3.]]))
    """
    check_shapes("rnn", 1, X, H, W, U, lengths)
    if nonlinearity not in ("tanh", "relu"):
        raise ConfigurationError(f"rnn: nonlinearity is 'tanh' or 'relu', got {nonlinearity!r}")
    xp = array_namespace(X)
    A, inside = of_inputs(X, W, b, d), inside_of(X, lengths)
    first, states = H, [H] * X.shape[0]
    for t in order_of(X.shape[0], reverse):
        Z = A[t, ...] + H @ U.T
        new = xp.tanh(Z) if nonlinearity == "tanh" else xp.where(real(xp, Z) <= 0, 0.0, Z)
        H = states[t] = chosen(xp, inside, t, new, H)
    carried = xp.stack(states, axis=0)
    Y = carried if inside is None else xp.where(inside, carried, 0.0)
    return (Y, H), RnnSaved(X, first, W, U, carried, lengths, nonlinearity, reverse)


def rnn_backward(dY: tuple[Any, Any], saved: RnnSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    r"""Return dX, dH, dW, dU, db and dd.

    From the last step to the first, with $Z_t$ what is under the nonlinearity,
    $dZ_t = (dY_t + dH_t) \odot (1 - H_t^2)$ and $dH_{t-1} = dZ_t U$.
    """
    X, first, W, U, states, lengths, nonlinearity, reverse = saved
    xp = array_namespace(X, *(one for one in dY if one is not None))
    inside = inside_of(X, lengths)
    slope = 1.0 - states * states
    if nonlinearity == "relu":
        slope = xp.where(states <= 0, 0.0, xp.ones_like(states))  # 1 at NaN, as relu's own
    dYs, dH = dY
    dH = xp.zeros_like(first) if dH is None else dH
    parts = [dH] * X.shape[0]
    for t in order_of(X.shape[0], not reverse):
        dh = dH if dYs is None else dH + dYs[t, ...]
        parts[t] = chosen(xp, inside, t, dh * slope[t, ...], xp.zeros_like(dh))
        dH = chosen(xp, inside, t, parts[t] @ U, dH)
    dZ = xp.stack(parts, axis=0)
    before = before_of(xp, states, first, reverse)
    asked = (needs[0], needs[2], needs[3], needs[4] or needs[5])
    dX, dW, dU, dbias = of_weights(xp, dZ, X, before, W, asked)
    return dX, own(xp, dH, needs[1]), dW, dU, *both(xp, dbias, needs[4], needs[5]), None


def own(xp: Any, gradient: Any, need: bool) -> Any:
    """Return an array of its own where the gradient may be the one that was handed in."""
    return xp.asarray(gradient, copy=True) if need else None


def both(xp: Any, gradient: Any, first: bool, second: bool) -> tuple[Any, Any]:
    """Return the gradient of two biases that are added, an array for each."""
    return gradient if first else None, own(xp, gradient, second)


RNN = formula(
    rnn_forward,
    rnn_backward,
    outputs=("Y", "H_T"),
    equation=r"H_t = \tanh(X_t W^\top + b + H_{t-1} U^\top + d), \quad Y_t = H_t",
    gradients={
        "X": r"\frac{\partial L}{\partial Z_t} W, \quad \frac{\partial L}{\partial Z_t} ="
        r" \left(\frac{\partial L}{\partial Y_t} + \frac{\partial L}{\partial Z_{t+1}} U\right)"
        r" \odot (1 - H_t^2)",
        "H": r"\frac{\partial L}{\partial Z_1} U",
        "W": r"\sum_t \frac{\partial L}{\partial Z_t}^\top X_t",
        "U": r"\sum_t \frac{\partial L}{\partial Z_t}^\top H_{t-1}",
        "b": r"\sum_t \sum_n \frac{\partial L}{\partial Z_{tn}}",
        "d": r"\sum_t \sum_n \frac{\partial L}{\partial Z_{tn}}",
    },
    shapes=SHAPES.format("") + " -> Y (T, N, H), H_T (N, H)",
    floats=("X", "H", "W", "U", "b", "d"),
    flops=lambda inputs, outputs: recurrent_flops((inputs[0], *inputs[2:6]), 1),
    source="Elman 1990; Werbos 1990 (backpropagation through time)",
    kinks="where Z is 0, with relu",
    analytic=True,
    derivation=(
        r"Two lines a step, with what is under the nonlinearity by itself: $$Z_t = X_t W^\top + b "
        r"+ H_{t-1} U^\top + d \\ H_t = \tanh Z_t$$",
        "$H_t$ acts on the loss as the output $Y_t$, and as a factor in the next step; a factor "
        r"$U^\top$ comes back as U: $$\frac{\partial L}{\partial H_t} = \frac{\partial "
        r"L}{\partial Y_t} + \frac{\partial L}{\partial Z_{t+1}} U$$ After the last step there is "
        "none; in place of the second term stands what comes back to the output $H_T$.",
        r"The slope of tanh is $1 - \tanh^2$, and $\tanh Z_t$ is $H_t$: $$\frac{\partial "
        r"L}{\partial Z_t} = \frac{\partial L}{\partial H_t} \odot (1 - H_t^2)$$ With relu the "
        "bracket is $[Z_t > 0]$. Both equations in turn lead from the last step back to the "
        "first: backpropagation through time.",
        r"One entry of $Z_t$ has in it, of the sequence n, $$Z_{tnj} = \sum_i X_{tni} W_{ji} + "
        r"b_j + \sum_k H_{t-1,nk} U_{jk} + d_j$$ The slope by each factor is what stands beside "
        "it. $X_t$ acts on one step, and the first state, which is the input H, on $Z_1$ alone.",
        EVERY_STEP,
        ENDS,
    ),
)
