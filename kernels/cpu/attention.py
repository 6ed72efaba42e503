"""Attention in blocks of queries, and as instructions.

    S = s Q Kᵀ,   P = softmax S,   Y = P V
    dV = Pᵀ dY,   dS = P (dY Vᵀ - Σ P dY Vᵀ),   dQ = s dS K,   dK = s dSᵀ Q

The scores of QUERIES queries with all keys are held at a time, in the nearest caches, and never
more: what is kept of a row is its largest score and the sum of e^(S - largest). Kᵀ (and Vᵀ for the
backward) is laid out in panels once a head. With the causal mask, tiles of the products in which
every key is behind every query are left out. What is behind a query has the weight 0, and is in no
sum or in it 0 times: so whether an infinity or NaN there reaches the query's row depends on its
tile.

Heads lie anyhow in memory, so that no transposed copy of (batch, rows, heads, width) is needed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.attention import AttentionSaved

from .elementwise import contiguous
from .implementation import Builder, CpuKernel, Inputs, Options
from .laid_out import lay_out, lay_out_rows, of_tiles
from .runtime.declaration import Address, Constant, Floats, Number, helper, kernel
from .runtime.language import (
    KIND,
    LINE,
    ROWS,
    add_up,
    decay,
    larger,
    part,
    pass_panel,
    pointer,
)
from .runtime.threads import limit

Lowered = tuple[tuple[Any, ...], Any]
Strides = tuple[int, int, int]

QUERIES = 48
"""Queries whose scores are held at a time: whole tiles of 6 and of 8 rows."""
GROUP = 2
"""Tiles one above the other that take the same keys of a causal mask."""


@helper
def against(
    like, size, panel, causal, top_row, rows, add, keys, width, A, row, laid, out, length
):  # fmt: skip
    """C = A Bᵀ, or C += A Bᵀ, for A (rows, width) and ``keys`` rows of B, which are laid out.

    With the causal mask, tiles of which every row stands before all keys are left out.
    """
    for j in range(0, keys, panel):
        b = laid + j * width * size
        skip = max(0, j - top_row) // ROWS * ROWS if causal else 0
        pass_panel(
            like, rows - skip, add, width, A + skip * row, ROWS * row, row, size, b,
            panel * size, out + j * size + skip * length, length, min(panel, keys - j),
            b, 0, 0, 0, 0,
        )  # fmt: skip


@helper
def times(
    like, size, panel, causal, top_row, rows, keys, A, row, B, next_panel, row_b, columns,
    C, length_c,
):  # fmt: skip
    """C = A B for A (rows, keys) and B (keys, columns), whose panels are ``next_panel`` apart.

    With the causal mask a few rows at a time take as many keys as their last one sees.
    """
    group = GROUP * ROWS if causal else rows
    for j in range(0, columns, panel):
        b = B + j // panel * next_panel
        for i in range(0, rows, group):
            terms = min(keys, top_row + i + group) if causal else keys
            pass_panel(
                like, min(group, rows - i), 0, terms, A + i * row, ROWS * row, row, size, b,
                row_b, C + i * length_c + j * size, length_c, min(panel, columns - j),
                b, 0, 0, 0, 0,
            )  # fmt: skip


@helper
def add_transposed_times(
    like, size, panel, causal, top_row, rows, keys, A, row, B, row_b, columns, C, length_c
):  # fmt: skip
    """C += Aᵀ B for A (rows, keys) and B (rows, columns).

    With the causal mask a few keys at a time leave out the rows that stand before them.
    """
    for j in range(0, columns, panel):
        i = 0
        while i < keys:
            if not causal:
                count = keys
            elif i < top_row // ROWS * ROWS:
                count = min(top_row // ROWS * ROWS, keys)
            else:
                count = min(GROUP * ROWS, keys - i)
            skip = max(0, i - top_row) if causal else 0
            b = B + skip * row_b + j * size
            pass_panel(
                like, count, 1, rows - skip, A + i * size + skip * row, ROWS * size, size, row,
                b, row_b, C + i * length_c + j * size, length_c, min(panel, columns - j),
                b, 0, 0, 0, 0,
            )  # fmt: skip
            i += count


@helper
def powers(kind, row, count, scale):
    """Turn scores into e^(scale · score - largest); return the sum, and the largest."""
    top, total = kind(-np.inf), kind(0.0)
    for j in range(count):
        top = larger(top, row[j] * scale)
    if top == kind(-np.inf):
        top = kind(0.0)
    for j in range(count):
        power = decay(row[j] * scale - top)
        row[j] = power
        total = add_up(total, power)
    return (kind(1.0) if total == kind(0.0) else total), top


@kernel(
    cost=lambda batch0, batch1, n, keys, e, ev: (
        200.0 + batch0 * batch1 * n * keys * (e + ev + 30.0) / 70.0
    ),
    constants=of_tiles,
)
def attention(
    Q: Address, K: Address, V: Address, Y: Address, tops: Floats, sums: Floats,
    space: Address, spaces: int, bytes_a_space: int, batch: tuple[int, int],
    n: int, keys: int, e: int, ev: int, causal: int,
    Q_strides: tuple[int, int, int], K_strides: tuple[int, int, int],
    V_strides: tuple[int, int, int], scale: Number,
    tid, threads, *, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """Y (heads, n, ev), and the largest score and the sum of each row.

    Strides are bytes from one outer batch, one inner batch and one row to the next. The threads
    share the blocks of queries; each that has some takes one of the spaces.
    """
    like = KIND(0.0)
    workers = min(threads, spaces)
    blocks = (n + QUERIES - 1) // QUERIES
    if tid < workers:
        first, last = part(batch[0] * batch[1] * blocks, tid, workers, 1)
        laid = space + tid * bytes_a_space
        length = (keys + panel - 1) // panel * panel * size
        laid_v = laid + length * e
        S = laid_v + (ev + panel - 1) // panel * panel * keys * size
        length += LINE  # or rows would share few places of the caches
        loaded, rows_v, next_panel, row_v = -1, V, 0, 0
        for item in range(first, last):
            head, top_row = item // blocks, item % blocks * QUERIES
            outer, inner = head // batch[1], head % batch[1]
            if head != loaded:
                at_k = K + outer * K_strides[0] + inner * K_strides[1]
                lay_out(like, size, L, panel, laid, at_k, K_strides[2], keys, e)
                at_v = V + outer * V_strides[0] + inner * V_strides[1]
                rows_v, next_panel, row_v = at_v, panel * size, V_strides[2]
                if n >= QUERIES:  # it is repaid
                    rows_v, next_panel, row_v = laid_v, keys * panel * size, panel * size
                    lay_out_rows(like, size, panel, laid_v, at_v, V_strides[2], keys, ev)
                loaded = head
            rows = min(QUERIES, n - top_row)
            seen = min(keys, top_row + rows) if causal else keys
            at_q = Q + outer * Q_strides[0] + inner * Q_strides[1] + top_row * Q_strides[2]
            at_y = Y + (head * n + top_row) * ev * size
            against(
                like, size, panel, causal, top_row, rows, 0, seen, e, at_q, Q_strides[2], laid,
                S, length,
            )  # fmt: skip
            for i in range(rows):
                count = min(keys, top_row + i + 1) if causal else keys
                row = pointer(S + i * length, KIND)
                total, top = powers(KIND, row, count, scale)
                for j in range(count, seen):
                    row[j] = like
                tops[head * n + top_row + i] = top
                sums[head * n + top_row + i] = total
            times(
                like, size, panel, causal, top_row, rows, seen, S, length, rows_v, next_panel,
                row_v, ev, at_y, ev * size,
            )  # fmt: skip
            y = pointer(at_y, KIND)
            for i in range(rows):
                factor = KIND(1.0) / sums[head * n + top_row + i]
                for j in range(ev):
                    y[i * ev + j] *= factor


@kernel(
    cost=lambda batch0, batch1, n, keys, e, ev: (
        200.0 + batch0 * batch1 * n * keys * (3 * e + 2 * ev + 40.0) / 70.0
    ),
    constants=of_tiles,
)
def attention_backward(
    dY: Address, Q: Address, K: Address, V: Address, tops: Floats, sums: Floats,
    dQ: Address, dK: Address, dV: Address,
    space: Address, spaces: int, bytes_a_space: int, batch: tuple[int, int],
    n: int, keys: int, e: int, ev: int, causal: int,
    Y_strides: tuple[int, int, int], Q_strides: tuple[int, int, int],
    K_strides: tuple[int, int, int], V_strides: tuple[int, int, int], scale: Number,
    tid, threads, *, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """DQ, dK and dV, each left out where it is 0. The threads share the heads."""
    like = KIND(0.0)
    workers = min(threads, spaces)
    if tid < workers:
        first, last = part(batch[0] * batch[1], tid, workers, 1)
        length = (keys + panel - 1) // panel * panel * size
        laid_k = space + tid * bytes_a_space
        laid_v = laid_k + length * e
        rows_k = laid_v + length * ev
        S = rows_k + (e + panel - 1) // panel * panel * keys * size
        length += LINE
        D = S + length * QUERIES
        for head in range(first, last):
            outer, inner = head // batch[1], head % batch[1]
            at_k = K + outer * K_strides[0] + inner * K_strides[1]
            at_v = V + outer * V_strides[0] + inner * V_strides[1]
            lay_out(like, size, L, panel, laid_k, at_k, K_strides[2], keys, e)
            if dQ or dK:
                lay_out(like, size, L, panel, laid_v, at_v, V_strides[2], keys, ev)
            if dQ:
                lay_out_rows(like, size, panel, rows_k, at_k, K_strides[2], keys, e)
            if dK:
                nothing = pointer(dK + head * keys * e * size, KIND)
                for j in range(keys * e):
                    nothing[j] = like
            if dV:
                nothing = pointer(dV + head * keys * ev * size, KIND)
                for j in range(keys * ev):
                    nothing[j] = like
            for top_row in range(0, n, QUERIES):
                rows = min(QUERIES, n - top_row)
                seen = min(keys, top_row + rows) if causal else keys
                at_q = Q + outer * Q_strides[0] + inner * Q_strides[1] + top_row * Q_strides[2]
                at_y = dY + outer * Y_strides[0] + inner * Y_strides[1] + top_row * Y_strides[2]
                against(
                    like, size, panel, causal, top_row, rows, 0, seen, e, at_q, Q_strides[2],
                    laid_k, S, length,
                )  # fmt: skip
                if dQ or dK:
                    against(
                        like, size, panel, causal, top_row, rows, 0, seen, ev, at_y,
                        Y_strides[2], laid_v, D, length,
                    )  # fmt: skip
                for i in range(rows):
                    count = min(keys, top_row + i + 1) if causal else keys
                    p, d = pointer(S + i * length, KIND), pointer(D + i * length, KIND)
                    top = tops[head * n + top_row + i]
                    factor = KIND(1.0) / sums[head * n + top_row + i]
                    for j in range(count):
                        p[j] = decay(p[j] * scale - top) * factor
                    for j in range(count, seen):
                        p[j] = like
                    if dQ or dK:
                        total = like
                        for j in range(count):
                            total = add_up(total, p[j] * d[j])
                        for j in range(count):
                            d[j] = p[j] * (d[j] - total) * scale
                        for j in range(count, seen):
                            d[j] = like
                if dQ:
                    times(
                        like, size, panel, causal, top_row, rows, seen, D, length, rows_k,
                        keys * panel * size, panel * size, e,
                        dQ + (head * n + top_row) * e * size, e * size,
                    )  # fmt: skip
                if dK:
                    add_transposed_times(
                        like, size, panel, causal, top_row, rows, seen, D, length, at_q,
                        Q_strides[2], e, dK + head * keys * e * size, e * size,
                    )  # fmt: skip
                if dV:
                    add_transposed_times(
                        like, size, panel, causal, top_row, rows, seen, S, length, at_y,
                        Y_strides[2], ev, dV + head * keys * ev * size, ev * size,
                    )  # fmt: skip


def _heads(builder: Builder, A: Any) -> tuple[Any, Strides]:
    """Return an array (..., rows, width) whose rows are contiguous, and its strides in bytes."""
    if A.ndim > 4 or A.strides[-1] != A.itemsize:
        A = contiguous(builder, A)
        A = A.reshape(-1, *A.shape[-2:]) if A.ndim > 4 else A
    *front, row, _ = A.strides
    outer, inner = (0, 0, *front)[-2:]
    return A, (outer, inner, row)


def _batch(shape: tuple[int, ...]) -> tuple[int, int]:
    *front, _, _ = shape
    if len(front) > 2:
        return 1, math.prod(front)
    outer, inner = (1, 1, *front)[-2:]
    return outer, inner


def _space(
    builder: Builder, batch: tuple[int, int], blocks: int, keys: int, columns: tuple[int, ...],
    rows: int, held: int, dtype: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return room for what each thread lays out and holds.

    It lays out matrices of so many ``columns`` for each key on their side, one of ``rows`` numbers
    for each key as it is, and holds ``held`` blocks of scores.
    """
    from . import tiles

    panel = 2 * tiles.lanes(dtype_name(dtype))
    whole = -(-keys // panel) * panel
    line = tiles.LINE // np.dtype(dtype).itemsize
    count = whole * sum(columns) + -(-rows // panel) * panel * keys
    count += held * QUERIES * (whole + line)
    spaces = min(limit(), batch[0] * batch[1] * blocks)
    made = builder.empty((spaces, count), dtype)
    return {"space": made, "spaces": spaces, "bytes_a_space": count * np.dtype(dtype).itemsize}


def _forward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    Q, K, V = inputs[:3]
    causal, scale = bool(options.get("is_causal", False)), options.get("scale")
    scale = 1.0 / math.sqrt(Q.shape[-1]) if scale is None else float(scale)
    (n, e), (keys, ev) = Q.shape[-2:], V.shape[-2:]
    Y = builder.output(0, (*Q.shape[:-1], ev), Q.dtype)
    tops, sums = (builder.empty((*Q.shape[:-1], 1), Q.dtype) for _ in range(2))
    batch, blocks = _batch(Q.shape), -(-n // QUERIES)
    (q, of_q), (k, of_k), (v, of_v) = (_heads(builder, one) for one in (Q, K, V))
    attention.emit(
        builder, dtype_name(Q.dtype), Q=q, K=k, V=v, Y=Y, tops=tops, sums=sums, batch=batch, n=n,
        keys=keys, e=e, ev=ev, causal=causal, Q_strides=of_q, K_strides=of_k, V_strides=of_v,
        scale=scale, **_space(builder, batch, blocks, keys, (e,), ev, 1, Q.dtype),
    )  # fmt: skip
    return (Y,), AttentionSaved(Q, K, V, None, tops, sums, causal, scale)


def _backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    dY, Q, K, V, _, tops, sums, causal, scale = inputs
    (n, e), (keys, ev) = Q.shape[-2:], V.shape[-2:]
    made = [
        builder.output(place, one.shape, one.dtype) if need else None
        for place, (one, need) in enumerate(zip((Q, K, V), needs, strict=False))
    ]
    batch = _batch(Q.shape)
    arrays = [_heads(builder, one) for one in (dY, Q, K, V)]
    (d, of_y), (q, of_q), (k, of_k), (v, of_v) = arrays
    tops, sums = (contiguous(builder, one) for one in (tops, sums))
    attention_backward.emit(
        builder, dtype_name(Q.dtype), dY=d, Q=q, K=k, V=v, tops=tops, sums=sums, dQ=made[0],
        dK=made[1], dV=made[2], batch=batch, n=n, keys=keys, e=e, ev=ev, causal=causal,
        Y_strides=of_y, Q_strides=of_q, K_strides=of_k, V_strides=of_v, scale=scale,
        **_space(builder, batch, 1, keys, (e, ev), e, 2, Q.dtype),
    )  # fmt: skip
    return (*made, None), None


def _check(inputs: Inputs, options: Options) -> str | None:
    Q, K, V = inputs[:3]
    if len(inputs) > 3 and inputs[3] is not None:
        return "it takes no mask but the causal one"
    shapes = [tuple(one.shape) for one in (Q, K, V)]
    q, k, v = shapes
    fits = min(map(len, shapes)) > 1 and q[:-2] == k[:-2] == v[:-2]
    if not fits or q[-1] != k[-1] or k[-2] != v[-2]:
        return "the shapes do not fit"  # the reference says what is wrong, and where
    return None


def _check_backward(inputs: Inputs, options: Options) -> str | None:
    dY, Q, K, V, M = inputs[:5]
    if dY.shape != (*Q.shape[:-1], V.shape[-1]):
        return f"dY has shape {dY.shape}"
    return _check((Q, K, V, M), {})


SCALED_DOT_PRODUCT_ATTENTION_KERNEL = CpuKernel(
    "scaled_dot_product_attention",
    {"forward": _forward, "backward": _backward},
    {"forward": _check, "backward": _check_backward},
    passes=16,
    strided=True,
)
