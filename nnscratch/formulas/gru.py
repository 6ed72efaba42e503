"""The gated recurrent unit, a layer in one direction over all steps."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.formulas.formula import formula
from nnscratch.formulas.recurrent import (
    ENDS,
    EVERY_STEP,
    SHAPES,
    before_of,
    check_shapes,
    chosen,
    gates_of,
    inside_of,
    of_inputs,
    of_weights,
    order_of,
    own,
    recurrent_flops,
)
from nnscratch.formulas.saved import Saved


class GruSaved(Saved):
    """What the backward needs.

    ``gates`` (T, N, 3H) are r, z and n, and ``Q`` (T, N, H) is what r multiplies.
    """

    X: Any
    H: Any
    W: Any
    U: Any
    gates: Any
    Q: Any
    states: Any
    lengths: Any
    reverse: bool


def gru_forward(
    X: Any,
    H: Any,
    W: Any,
    U: Any,
    b: Any = None,
    d: Any = None,
    lengths: Any = None,
    *,
    reverse: bool = False,
) -> tuple[tuple[Any, Any], GruSaved]:
    r"""Compute for t = 1 to T, with gates r, z and n from $A = X_t W^\top + b$ and
    $B = H_{t-1} U^\top + d$,

    $$r = \sigma(A_r + B_r), \quad z = \sigma(A_z + B_z), \quad n = \tanh(A_n + r \odot B_n),
      \quad H_t = (1 - z) \odot n + z \odot H_{t-1}.$$

    Args:
        X: inputs (T, N, I).
        H: the state at the beginning (N, H).
        W: weights of the inputs (3H, I), the rows of r, z and n below one another.
        U: weights of the state (3H, H).
        b: biases (3H,), or None for none.
        d: biases (3H,), or None; those of n are inside the product with r.
        lengths: how many steps each sequence has (N,), at least 1; None for T.
        reverse: whether it goes from the last step to the first.

    Returns:
        Y (T, N, H), the state after each step, and the last state (N, H).

    Raises:
        ShapeError: if shapes do not fit, or there is no step.
        DTypeError: if an input holds integers, or dtypes differ.

    >>> import numpy as np
    >>> zeros = np.zeros((3, 1))
    >>> Y, _ = gru_forward(np.zeros((2, 1, 1)), np.ones((1, 1)), zeros, zeros)[0]
    >>> Y.ravel()
    array([0.5 , 0.25])
    """
    check_shapes("gru", 3, X, H, W, U, lengths)
    xp = array_namespace(X)
    A, inside = of_inputs(X, W, b), inside_of(X, lengths)
    n = H.shape[-1]
    first, states = H, [H] * X.shape[0]
    gates, products = list(states), list(states)
    for t in order_of(X.shape[0], reverse):
        B = of_inputs(H, U, d)
        S = gates_of(xp, A[t, :, : 2 * n] + B[:, : 2 * n], 0.5)
        R, Z, Q = S[:, :n], S[:, n:], B[:, 2 * n :]
        N = xp.tanh(A[t, :, 2 * n :] + R * Q)
        gates[t], products[t] = xp.concat([S, N], axis=1), Q
        H = states[t] = chosen(xp, inside, t, N + Z * (H - N), H)
    carried = xp.stack(states, axis=0)
    Y = carried if inside is None else xp.where(inside, carried, 0.0)
    kept = (xp.stack(gates, axis=0), xp.stack(products, axis=0), carried)
    return (Y, H), GruSaved(X, first, W, U, *kept, lengths, reverse)


def gru_backward(dY: tuple[Any, Any], saved: GruSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    r"""Return dX, dH, dW, dU, db and dd.

    With $dh = dY_t + dH_t$ it is $dA_n = dh (1 - z)(1 - n^2)$,
    $dA_z = dh (H_{t-1} - n) z (1 - z)$, $dA_r = dA_n B_n r (1 - r)$, $dB$ the same but
    $dB_n = dA_n r$, and $dH_{t-1} = dh z + dB\, U$.
    """
    X, first, W, U, gates, Q, states, lengths, reverse = saved
    xp = array_namespace(X, *(one for one in dY if one is not None))
    n = first.shape[-1]
    inside = inside_of(X, lengths)
    before = before_of(xp, states, first, reverse)
    R, Z, N = gates[..., :n], gates[..., n : 2 * n], gates[..., 2 * n :]
    of_n = (1.0 - Z) * (1.0 - N * N)
    of_rz = [of_n * Q * R * (1.0 - R), (before - N) * Z * (1.0 - Z)]
    slope = xp.concat([*of_rz, of_n * R], axis=-1)  # of B by dh
    dYs, dH = dY
    dH = xp.zeros_like(first) if dH is None else dH
    parts = [dH] * X.shape[0]
    for t in order_of(X.shape[0], not reverse):
        dh = dH if dYs is None else dH + dYs[t, ...]
        parts[t] = chosen(xp, inside, t, dh, xp.zeros_like(dh))
        new = dh * Z[t, ...] + (xp.concat([dh] * 3, axis=-1) * slope[t, ...]) @ U
        dH = chosen(xp, inside, t, new, dH)
    dh = xp.stack(parts, axis=0)
    dA = xp.concat([dh * one for one in (*of_rz, of_n)], axis=-1)
    dB = xp.concat([dh] * 3, axis=-1) * slope
    dX, dW, _, db = of_weights(xp, dA, X, before, W, (needs[0], needs[2], False, needs[4]))
    _, _, dU, dd = of_weights(xp, dB, X, before, W, (False, False, needs[3], needs[5]))
    return dX, own(xp, dH, needs[1]), dW, dU, db, dd, None


GRU = formula(
    gru_forward,
    gru_backward,
    outputs=("Y", "H_T"),
    equation=r"r = \sigma(A_r + B_r), \quad z = \sigma(A_z + B_z), \quad"
    r" n = \tanh(A_n + r \odot B_n), \quad H_t = (1 - z) \odot n + z \odot H_{t-1}"
    r" \\ A = X_t W^\top + b, \quad B = H_{t-1} U^\top + d",
    gradients={
        "X": r"\frac{\partial L}{\partial A_t} W, \quad"
        r" \frac{\partial L}{\partial A_n} = G \odot (1 - z) \odot (1 - n^2), \quad"
        r" \frac{\partial L}{\partial A_r} = \frac{\partial L}{\partial A_n} \odot B_n \odot r"
        r" \odot (1 - r), \quad \frac{\partial L}{\partial A_z} = G \odot (H_{t-1} - n) \odot z"
        r" \odot (1 - z), \quad G_t = \frac{\partial L}{\partial Y_t} + G_{t+1} \odot z_{t+1}"
        r" + \frac{\partial L}{\partial B_{t+1}} U",
        "H": r"G_1 \odot z_1 + \frac{\partial L}{\partial B_1} U, \quad"
        r" \frac{\partial L}{\partial B} = \frac{\partial L}{\partial A} \text{, but }"
        r" \frac{\partial L}{\partial B_n} = \frac{\partial L}{\partial A_n} \odot r",
        "W": r"\sum_t \frac{\partial L}{\partial A_t}^\top X_t",
        "U": r"\sum_t \frac{\partial L}{\partial B_t}^\top H_{t-1}",
        "b": r"\sum_t \sum_n \frac{\partial L}{\partial A_{tn}}",
        "d": r"\sum_t \sum_n \frac{\partial L}{\partial B_{tn}}",
    },
    shapes=SHAPES.format("3") + " -> Y (T, N, H), H_T (N, H)",
    floats=("X", "H", "W", "U", "b", "d"),
    # Two gates, a product, tanh, and three for the mean of the old and the new state.
    flops=lambda inputs, outputs: recurrent_flops((inputs[0], *inputs[2:6]), 7),
    source="Cho et al. 2014, with the reset gate behind the product as in cuDNN and PyTorch",
    analytic=True,
    derivation=(
        r"One step in lines, with $A = X_t W^\top + b$ and $B = H_{t-1} U^\top + d$; the last one "
        r"is the forward's with the bracket taken apart: $$r = \sigma(A_r + B_r) \\ z = "
        r"\sigma(A_z + B_z) \\ n = \tanh(A_n + r \odot B_n) \\ H_t = n - z \odot n + z \odot "
        "H_{t-1}$$",
        "Let G be what comes back to $H_t$. The last line gives each of its names what it is "
        r"multiplied by: $$\frac{\partial L}{\partial n} = G \odot (1 - z) \\ \frac{\partial "
        r"L}{\partial z} = G \odot (H_{t-1} - n)$$ and to $H_{t-1}$ directly $G \odot z$.",
        r"The slope of tanh is $1 - \tanh^2$. What is under it is a sum and a product: "
        r"$$\frac{\partial L}{\partial A_n} = \frac{\partial L}{\partial n} \odot (1 - n^2) \\ "
        r"\frac{\partial L}{\partial r} = \frac{\partial L}{\partial A_n} \odot B_n \\ "
        r"\frac{\partial L}{\partial B_n} = \frac{\partial L}{\partial A_n} \odot r$$",
        r"The slope of σ is $\sigma (1 - \sigma)$. A and B are added under it, so that both get "
        r"the same: $$\frac{\partial L}{\partial A_r} = \frac{\partial L}{\partial B_r} = "
        r"\frac{\partial L}{\partial r} \odot r \odot (1 - r) \\ \frac{\partial L}{\partial A_z} "
        r"= \frac{\partial L}{\partial B_z} = \frac{\partial L}{\partial z} \odot z \odot (1 - "
        "z)$$",
        "$H_t$ acts on the loss as the output $Y_t$, and in the next step directly and by B; a "
        r"factor $U^\top$ comes back as U: $$G_t = \frac{\partial L}{\partial Y_t} + G_{t+1} "
        r"\odot z_{t+1} + \frac{\partial L}{\partial B_{t+1}} U$$ At the last step what comes "
        "back to the output $H_T$ stands in place of the last two terms. The first state, which "
        "is the input H, has only those two.",
        EVERY_STEP,
        ENDS,
    ),
)
