"""The long short-term memory, a layer in one direction over all steps."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.recurrent import (
    ENDS,
    EVERY_STEP,
    before_of,
    both,
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


class LstmSaved(Saved):
    """What the backward needs: ``gates`` (T, N, 4H) are i, f, g and o, ``cells`` the C_t."""

    X: Any
    H: Any
    C: Any
    W: Any
    U: Any
    R: Any
    gates: Any
    cells: Any
    states: Any
    lengths: Any
    reverse: bool


def lstm_forward(
    X: Any,
    H: Any,
    C: Any,
    W: Any,
    U: Any,
    b: Any = None,
    d: Any = None,
    R: Any = None,
    lengths: Any = None,
    *,
    reverse: bool = False,
) -> tuple[tuple[Any, Any, Any], LstmSaved]:
    r"""Compute for t = 1 to T, with gates i, f, g and o from $Z = X_t W^\top + b + H_{t-1} U^\top
    + d$ (g by the hyperbolic tangent, the others by the sigmoid),

    $$C_t = f \odot C_{t-1} + i \odot g, \quad H_t = (o \odot \tanh C_t)\, R^\top.$$

    Args:
        X: inputs (T, N, I).
        H: the state at the beginning (N, P), P = H without R.
        C: the cells at the beginning (N, H).
        W: weights of the inputs (4H, I), the rows of i, f, g and o below one another.
        U: weights of the state (4H, P).
        b: biases (4H,), or None for none.
        d: more biases (4H,), or None; PyTorch's layers have two.
        R: the projection (P, H), or None for none.
        lengths: how many steps each sequence has (N,), at least 1; None for T.
        reverse: whether it goes from the last step to the first.

    Returns:
        Y (T, N, P), the state after each step, and the last state (N, P) and cells (N, H).

    Raises:
        ShapeError: if shapes do not fit, or there is no step.
        DTypeError: if an input holds integers, or dtypes differ.

    >>> import numpy as np
    >>> zeros, one = np.zeros((4, 1)), np.ones((1, 1))
    >>> _, _, C = lstm_forward(np.zeros((2, 1, 1)), one, one, zeros, zeros)[0]
    >>> C
    array([[0.25]])
    """
    check_shapes("lstm", 4, X, H, W, U, lengths)
    n = W.shape[0] // 4
    projected = (H.shape[-1], n) if R is None else tuple(R.shape)
    if tuple(C.shape) != (X.shape[1], n) or projected != (H.shape[-1], n) or (
        R is None and H.shape[-1] != n
    ):  # fmt: skip
        raise ShapeError(
            f"lstm: cells {tuple(C.shape)}, a state {tuple(H.shape)} and a projection "
            f"{None if R is None else tuple(R.shape)} do not fit {n} units"
        )
    xp = array_namespace(X)
    A, inside = of_inputs(X, W, b, d), inside_of(X, lengths)
    half = xp.full((n,), 0.5, dtype=X.dtype, device=X.device)
    scale = xp.concat([half, half, 2.0 * half, half])
    first, steps = (H, C), X.shape[0]
    states, cells, gates = [H] * steps, [C] * steps, [H] * steps
    for t in order_of(steps, reverse):
        Z = A[t, ...] + H @ U.T
        G = gates[t] = gates_of(xp, Z, scale)
        new = G[:, n : 2 * n] * C + G[:, :n] * G[:, 2 * n : 3 * n]
        out = G[:, 3 * n :] * xp.tanh(new)
        C = cells[t] = chosen(xp, inside, t, new, C)
        H = states[t] = chosen(xp, inside, t, out if R is None else out @ R.T, H)
    carried = xp.stack(states, axis=0)
    Y = carried if inside is None else xp.where(inside, carried, 0.0)
    kept = (xp.stack(gates, axis=0), xp.stack(cells, axis=0), carried)
    return (Y, H, C), LstmSaved(X, *first, W, U, R, *kept, lengths, reverse)


def lstm_backward(
    dY: tuple[Any, Any, Any], saved: LstmSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    r"""Return dX, dH, dC, dW, dU, db, dd and dR.

    With $dM = (dY_t + dH_t) R$ and $dc = dC_t + dM\, o\, (1 - \tanh^2 C_t)$ it is
    $dZ_i = dc\, g\, i (1 - i)$, $dZ_f = dc\, C_{t-1} f (1 - f)$, $dZ_g = dc\, i (1 - g^2)$,
    $dZ_o = dM \tanh(C_t)\, o (1 - o)$, and $dH_{t-1} = dZ\, U$, $dC_{t-1} = dc\, f$.
    """
    X, first, start, W, U, R, gates, cells, states, lengths, reverse = saved
    xp = array_namespace(X, *(one for one in dY if one is not None))
    n = start.shape[-1]
    inside = inside_of(X, lengths)
    i, f, g, o = [gates[..., k * n : (k + 1) * n] for k in range(4)]
    T = xp.tanh(cells)
    old = before_of(xp, cells, start, reverse)
    of_c = xp.concat([g * i * (1.0 - i), old * f * (1.0 - f), i * (1.0 - g * g)], axis=-1)
    of_m, through = T * o * (1.0 - o), o * (1.0 - T * T)
    dYs, dH, dC = dY
    dH = xp.zeros_like(first) if dH is None else dH
    dC = xp.zeros_like(start) if dC is None else dC
    parts, outer = [dC] * X.shape[0], [dH] * X.shape[0]
    for t in order_of(X.shape[0], not reverse):
        dh = outer[t] = dH if dYs is None else dH + dYs[t, ...]
        dM = dh if R is None else dh @ R
        dc = dC + dM * through[t, ...]
        dZ = xp.concat([xp.concat([dc] * 3, axis=-1) * of_c[t, ...], dM * of_m[t, ...]], axis=-1)
        parts[t] = chosen(xp, inside, t, dZ, xp.zeros_like(dZ))
        dH = chosen(xp, inside, t, dZ @ U, dH)
        dC = chosen(xp, inside, t, dc * f[t, ...], dC)
    dZ = xp.stack(parts, axis=0)
    before = before_of(xp, states, first, reverse)
    asked = (needs[0], needs[3], needs[4], needs[5] or needs[6])
    dX, dW, dU, dbias = of_weights(xp, dZ, X, before, W, asked)
    dR = None
    if needs[7]:
        dh = xp.stack(outer, axis=0)
        dh = dh if inside is None else xp.where(inside, dh, 0.0)
        dR = xp.reshape(dh, (-1, dh.shape[-1])).T @ xp.reshape(o * T, (-1, n))
    dbs = both(xp, dbias, needs[5], needs[6])
    return dX, own(xp, dH, needs[1]), own(xp, dC, needs[2]), dW, dU, *dbs, dR, None


LSTM = formula(
    lstm_forward,
    lstm_backward,
    outputs=("Y", "H_T", "C_T"),
    equation=r"Z = X_t W^\top + b + H_{t-1} U^\top + d, \quad i, f, o = \sigma(Z_i), \sigma(Z_f),"
    r" \sigma(Z_o), \quad g = \tanh Z_g \\ C_t = f \odot C_{t-1} + i \odot g, \quad"
    r" H_t = (o \odot \tanh C_t) R^\top",
    gradients={
        "X": r"\frac{\partial L}{\partial Z_t} W, \quad"
        r" \frac{\partial L}{\partial Z_i} = D \odot g \odot i \odot (1 - i), \quad"
        r" \frac{\partial L}{\partial Z_f} = D \odot C_{t-1} \odot f \odot (1 - f), \quad"
        r" \frac{\partial L}{\partial Z_g} = D \odot i \odot (1 - g^2), \quad"
        r" \frac{\partial L}{\partial Z_o} = G R \odot \tanh C_t \odot o \odot (1 - o) \\"
        r" D_t = \frac{\partial L}{\partial C_t} = D_{t+1} \odot f_{t+1}"
        r" + G_t R \odot o \odot (1 - \tanh^2 C_t), \quad"
        r" G_t = \frac{\partial L}{\partial H_t} = \frac{\partial L}{\partial Y_t}"
        r" + \frac{\partial L}{\partial Z_{t+1}} U",
        "H": r"\frac{\partial L}{\partial Z_1} U",
        "C": r"\frac{\partial L}{\partial C_1} \odot f_1",
        "W": r"\sum_t \frac{\partial L}{\partial Z_t}^\top X_t",
        "U": r"\sum_t \frac{\partial L}{\partial Z_t}^\top H_{t-1}",
        "b": r"\sum_t \sum_n \frac{\partial L}{\partial Z_{tn}}",
        "d": r"\sum_t \sum_n \frac{\partial L}{\partial Z_{tn}}",
        "R": r"\sum_t \frac{\partial L}{\partial H_t}^\top (o_t \odot \tanh C_t)",
    },
    shapes="X (T, N, I), H (N, P), C (N, H), W (4H, I), U (4H, P), b and d (4H,) or None, "
    "R (P, H) or None, lengths (N,) or None -> Y (T, N, P), H_T (N, P), C_T (N, H)",
    floats=("X", "H", "C", "W", "U", "b", "d", "R"),
    # Three gates and two tanh, three products and a sum.
    flops=lambda inputs, outputs: recurrent_flops((inputs[0], *inputs[3:8]), 9),
    source="Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000; projection: Sak, "
    "Senior and Beaufays 2014",
    analytic=True,
    derivation=(
        r"One step in lines: $$Z = X_t W^\top + b + H_{t-1} U^\top + d \\ i, f, o = \sigma(Z_i), "
        r"\sigma(Z_f), \sigma(Z_o) \\ g = \tanh Z_g \\ C_t = f \odot C_{t-1} + i \odot g \\ M_t = "
        r"o \odot \tanh C_t \\ H_t = M_t R^\top$$ Without a projection R is 1.",
        r"Let $G_t$ be what comes back to $H_t$. A factor $R^\top$ comes back as R, and the line "
        r"before gives each factor what it is multiplied by: $$\frac{\partial L}{\partial M_t} = "
        r"G_t R \\ \frac{\partial L}{\partial o} = G_t R \odot \tanh C_t$$",
        r"$C_t$ acts on $M_t$, by tanh with its slope $1 - \tanh^2$, and on $C_{t+1}$, with the "
        r"factor $f_{t+1}$: $$D_t = \frac{\partial L}{\partial C_t} = D_{t+1} \odot f_{t+1} + G_t "
        r"R \odot o \odot (1 - \tanh^2 C_t)$$ At the last step what comes back to the output "
        "$C_T$ stands in place of the first term.",
        r"What $C_t$ is made of, each times what stands beside it: $$\frac{\partial L}{\partial "
        r"i} = D_t \odot g \\ \frac{\partial L}{\partial g} = D_t \odot i \\ \frac{\partial "
        r"L}{\partial f} = D_t \odot C_{t-1}$$ and the cells of the step before get $D_t \odot "
        "f$. The slope of each gate's function leads on to Z: $i (1 - i)$, $f (1 - f)$, $o (1 - "
        "o)$ and $1 - g^2$.",
        r"$H_t$ acts on the loss as the output $Y_t$, and by $Z_{t+1}$: $$G_t = \frac{\partial "
        r"L}{\partial Y_t} + \frac{\partial L}{\partial Z_{t+1}} U$$ At the last step what comes "
        "back to the output $H_T$ stands in place of the second term. The first state and cells, "
        "which are the inputs H and C, act on the first step alone.",
        EVERY_STEP,
        ENDS,
    ),
)
