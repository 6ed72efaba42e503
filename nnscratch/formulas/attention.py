r"""Scaled dot-product attention: each query's mean of the values, weighted by a softmax of scores.

$$S = s\, Q K^\top + M, \quad P = \mathrm{softmax}(S), \quad Y = P V$$

What is saved of P (N x S) are two numbers for each row, its largest score m and the sum of
$e^{S - m}$: the backward finds P again from Q and K (Rabe and Staats 2021; Dao, Fu, Ermon, Rudra
and Ré 2022, who save the logarithm of the sum of $e^S$, which loses digits where scores are large).
Queries go in blocks, so that memory does not grow with the square of the length. All of them are
one block where calls are recorded for second derivatives, and in the backward of a mask that has a
gradient: P is held whole there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.dtypes import dtype_name
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import broadcast_shape, real
from nnscratch.formulas.formula import Shapes, formula
from nnscratch.formulas.saved import Saved

NAME = "scaled_dot_product_attention"
BLOCK = 1 << 22
"""About how many scores are held at once."""


class AttentionSaved(Saved):
    """What the backward needs; ``tops`` and ``sums`` are (..., N, 1), those of each row."""

    Q: Any
    K: Any
    V: Any
    M: Any
    tops: Any
    sums: Any
    is_causal: bool
    scale: float


def scores(Q: Any, K: Any, M: Any, is_causal: bool, scale: float, first: int = 0) -> Any:
    """Return S (..., N, S), -inf where a query does not see a key.

    Args:
        Q: (..., N, E), of the queries from number ``first`` on.
        K: (..., S, E).
        M: what is added, or where a key is seen (bool), broadcasting to (..., N, S); None for none.
        is_causal: whether query i sees the keys up to number i alone.
        scale: s.
        first: the number of the first query.
    """
    xp = array_namespace(Q, K)
    S = scale * (Q @ xp.matrix_transpose(K))
    if M is not None:
        S = xp.where(M, S, -math.inf) if dtype_name(M.dtype) == "bool" else S + M
    if is_causal:
        queries = xp.arange(first, first + Q.shape[-2], dtype=xp.int64, device=Q.device)
        keys = xp.arange(K.shape[-2], dtype=xp.int64, device=Q.device)
        S = xp.where(keys <= xp.expand_dims(queries, axis=1), S, -math.inf)
    return S


def _check(Q: Any, K: Any, V: Any, M: Any) -> None:
    shapes = [tuple(one.shape) for one in (Q, K, V)]
    q, k, v = shapes
    if min(map(len, shapes)) < 2 or not q[:-2] == k[:-2] == v[:-2]:
        raise ShapeError(
            f"{NAME}: expected query (..., N, E), key (..., S, E) and value (..., S, Ev), got "
            f"{q}, {k} and {v}"
        )
    if q[-1] != k[-1] or k[-2] != v[-2]:
        raise ShapeError(
            f"{NAME}: query and key have the same last dimension, key and value as many rows; got "
            f"{q}, {k} and {v}"
        )
    whole = (*q[:-1], k[-2])
    if M is not None and broadcast_shape(f"{NAME} (mask)", tuple(M.shape), whole) != whole:
        raise ShapeError(f"{NAME}: a mask {tuple(M.shape)} does not broadcast to {whole}")


def _blocks(Q: Any, K: Any, M: Any, whole: bool) -> Iterator[tuple[int, Any, Any]]:
    """Yield blocks of queries: the number of the first one, all of them, and their mask."""
    n = Q.shape[-2]
    if whole or n == 0:
        yield 0, slice(0, n), M
        return
    size = max(1, BLOCK // max(1, math.prod(Q.shape[:-2]) * K.shape[-2]))
    for first in range(0, n, size):
        rows = slice(first, min(first + size, n))
        sliced = M is not None and M.ndim > 1 and M.shape[-2] != 1
        yield first, rows, M[..., rows, :] if sliced else M


def scaled_dot_product_attention_forward(
    Q: Any, K: Any, V: Any, M: Any = None, *, is_causal: bool = False, scale: float | None = None
) -> tuple[Any, AttentionSaved]:
    r"""Compute $Y = \mathrm{softmax}(s\, Q K^\top + M)\, V$.

    Args:
        Q: queries (..., N, E).
        K: keys (..., S, E).
        V: values (..., S, Ev).
        M: a mask that broadcasts to (..., N, S): what is added to the scores, or bool, True where
            a query sees a key. A query that sees none has Y = 0.
        is_causal: whether query i sees the keys up to number i alone.
        scale: s, 1 / sqrt(E) unless given.

    Returns:
        Y (..., N, Ev), and what the backward needs.

    Raises:
        ShapeError: if shapes do not fit.
        DTypeError: if one holds integers, or the dtypes of Q, K and V differ.

    >>> import numpy as np
    >>> K, V = np.ones((3, 2)), np.array([[0.0], [1.0], [5.0]])
    >>> scaled_dot_product_attention_forward(np.ones((3, 2)), K, V, is_causal=True)[0]
    array([[0. ],
           [0.5],
           [2. ]])
    """
    _check(Q, K, V, M)
    s = 1.0 / math.sqrt(max(Q.shape[-1], 1)) if scale is None else float(scale)
    xp = array_namespace(Q, K, V, M)
    outputs: list[Any] = []
    tops: list[Any] = []
    sums: list[Any] = []
    for first, rows, mask in _blocks(Q, K, M, is_recorded(Q)):
        S = scores(Q[..., rows, :], K, mask, is_causal, s, first)
        if K.shape[-2]:
            m = xp.max(real(xp, S), axis=-1, keepdims=True)
            m = xp.where(m == -math.inf, 0.0, m)
        else:
            m = xp.zeros((*S.shape[:-1], 1), dtype=S.dtype, device=S.device)
        E = xp.exp(S - m)
        total = xp.sum(E, axis=-1, keepdims=True)
        total = xp.where(total == 0, 1.0, total)  # of a query that sees no key
        outputs.append((E @ V) / total)
        tops.append(m)
        sums.append(total)
    Y, m, total = (_joined(xp, parts) for parts in (outputs, tops, sums))
    return Y, AttentionSaved(Q, K, V, M, m, total, is_causal, s)


def _joined(xp: Any, parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=-2)


def scaled_dot_product_attention_backward(
    dY: Any, saved: AttentionSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    r"""Return dQ, dK, dV and dM.

    With $dP = dY V^\top$ it is $dS = P \odot (dP - \sum_j P_{ij} dP_{ij})$, as of any softmax, and
    then $dQ = s\, dS K$, $dK = s\, dS^\top Q$, $dV = P^\top dY$ and dM = dS, summed where M was
    broadcast.
    """
    Q, K, V, M, tops, sums, is_causal, scale = saved
    xp = array_namespace(dY)
    parts: list[Any] = []
    dK = dV = dM = None
    for first, rows, mask in _blocks(Q, K, M, is_recorded(dY) or needs[3]):
        Qb, dYb = Q[..., rows, :], dY[..., rows, :]
        S = scores(Qb, K, mask, is_causal, scale, first)
        P = xp.exp(S - tops[..., rows, :]) / sums[..., rows, :]
        if needs[2]:
            part = xp.matrix_transpose(P) @ dYb
            dV = part if dV is None else dV + part
        if not (needs[0] or needs[1] or needs[3]):
            continue
        dP = dYb @ xp.matrix_transpose(V)
        dS = P * (dP - xp.sum(P * dP, axis=-1, keepdims=True))
        if needs[0]:
            parts.append(scale * (dS @ K))
        if needs[1]:
            part = scale * (xp.matrix_transpose(dS) @ Qb)
            dK = part if dK is None else dK + part
        if needs[3]:
            dM = _summed_to(xp, dS, tuple(M.shape))
    return _joined(xp, parts) if parts else None, dK, dV, dM


def _summed_to(xp: Any, A: Any, shape: tuple[int, ...]) -> Any:
    """Return A summed over the axes along which an array of that shape was repeated."""
    front = tuple(range(A.ndim - len(shape)))
    A = xp.sum(A, axis=front) if front else A
    ones = tuple(i for i, n in enumerate(shape) if n == 1 and A.shape[i] != 1)
    return xp.sum(A, axis=ones, keepdims=True) if ones else A


def _flops(inputs: Shapes, outputs: Sequence[tuple[int, ...]]) -> int:
    """Return the operations of both products, and of one softmax over all scores."""
    Q, K = inputs[:2]
    assert Q is not None
    assert K is not None
    rows = math.prod(outputs[0][:-1])
    return rows * K[-2] * (2 * Q[-1] + 1 + 2 * outputs[0][-1])


SCALED_DOT_PRODUCT_ATTENTION = formula(
    scaled_dot_product_attention_forward,
    scaled_dot_product_attention_backward,
    equation=r"P = \mathrm{softmax}(s Q K^\top + M), \quad Y = P V",
    gradients={
        "Q": r"s \frac{\partial L}{\partial S} K",
        "K": r"s \left(\frac{\partial L}{\partial S}\right)^\top Q",
        "V": r"P^\top \frac{\partial L}{\partial Y}",
        "M": r"\frac{\partial L}{\partial S} = P \odot \left(\frac{\partial L}{\partial P} -"
        r" \sum_j P_j \frac{\partial L}{\partial P_j}\right), \quad \frac{\partial L}{\partial P} ="
        r" \frac{\partial L}{\partial Y} V^\top",
    },
    shapes="Q (..., N, E), K (..., S, E), V (..., S, Ev), M to (..., N, S) or None "
    "-> Y (..., N, Ev)",
    floats=("Q", "K", "V"),
    flops=_flops,
    source="Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin 2017",
    analytic=True,
    derivation=(
        r"Three lines, with the scores S by themselves: $$S = s Q K^\top + M \\ P = "
        r"\mathrm{softmax}(S) \\ Y = P V$$",
        r"The last line is a product of matrices (see matmul): $$\frac{\partial L}{\partial "
        r"V} = P^\top \frac{\partial L}{\partial Y} \\ \frac{\partial L}{\partial P} = "
        r"\frac{\partial L}{\partial Y} V^\top$$",
        r"The second one is a softmax of each row (see softmax): $$\frac{\partial L}{\partial "
        r"S} = P \odot \left(\frac{\partial L}{\partial P} - \sum_j P_j \frac{\partial "
        r"L}{\partial P_j}\right)$$",
        "The first one is a product again, with the factor s; M is added as it is, so its "
        "gradient is that of S.",
    ),
)
