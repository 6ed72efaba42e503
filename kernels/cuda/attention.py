"""Scaled dot-product attention as launches of kernels, in tiles of 32 queries and 32 keys."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from nnscratch.formulas.attention import AttentionSaved

from ..strided import TooManyAxesError, broadcast_strides, walk
from .copies import copy
from .implementation import CudaKernel, Inputs, Needs, Options
from .launch import FLOATS
from .sums import sum_axes
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]

TILE = 32
WIDEST = 128
"""Columns of queries, keys and values at most: what a block adds up stands in registers."""
_EIGHT = struct.Struct("=8q")


def _mask(M: Any, shape: tuple[int, ...]) -> tuple[Inputs, tuple[int, int], bytes]:
    """Return a mask as kernels take it: the arrays, its steps, and where that of an item is."""
    if M is None:
        return (None, None), (0, 0), _EIGHT.pack(1, 1, 1, 1, 0, 0, 0, 0)
    *lead, query, key = [step // M.itemsize for step in broadcast_strides(M, shape)]
    sizes, (steps,) = walk(shape[:-2], (tuple(lead),))
    given = (M, None) if M.dtype not in FLOATS else (None, M)
    return given, (query, key), _EIGHT.pack(*sizes, *steps)


def _scores(Q: Any, V: Any, M: Any, is_causal: bool, scale: float) -> tuple[Inputs, Inputs]:
    """Return the arrays of the mask, and what stands behind all arrays of a kernel."""
    queries, keys = Q.shape[-2], V.shape[-2]
    arrays, steps, items = _mask(M, (*Q.shape[:-1], keys))
    sizes = _EIGHT.pack(queries, keys, Q.shape[-1], V.shape[-1], int(is_causal), *steps, 0)
    return arrays, (sizes, items, scale)


def _grid(items: int, rows: int) -> tuple[int]:
    return (items * -(-rows // TILE),)


def _attention(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    Q, K, V, M = (*inputs, None)[:4]
    given, is_causal = options.get("scale"), bool(options.get("is_causal", False))
    scale = 1.0 / math.sqrt(max(Q.shape[-1], 1)) if given is None else float(given)
    Y = target.output(0, (*Q.shape[:-1], V.shape[-1]), Q.dtype)
    tops, sums = (target.empty((*Q.shape[:-1], 1), Q.dtype) for _ in range(2))
    mask, behind = _scores(Q, V, M, is_causal, scale)
    grid = _grid(math.prod(Q.shape[:-2]), Q.shape[-2])
    arguments = (Q, K, V, *mask, Y, tops, sums, *behind)
    target.launch("attention", "attention", Q.dtype, grid, arguments)
    return (Y,), AttentionSaved(Q, K, V, M, tops, sums, is_causal, scale)


def _attention_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, Q, K, V, M, tops, sums, is_causal, scale = inputs
    made = [
        target.output(place, one.shape, one.dtype) if needs[place] else None
        for place, one in enumerate((Q, K, V))
    ]
    mask, behind = _scores(Q, V, M, is_causal, scale)
    items, queries, keys = math.prod(Q.shape[:-2]), Q.shape[-2], K.shape[-2]
    shared = (Q, K, V, *mask, tops, sums, dY)
    deltas = target.empty(tops.shape, Q.dtype)
    grid = _grid(items, queries)
    target.launch("attention", "attention_deltas", Q.dtype, grid, (*shared, deltas, *behind))
    dS: Any = None
    dM: Any = None
    if needs[3]:
        dM, dS = target.output(3, M.shape, M.dtype), target.empty((*Q.shape[:-1], keys), Q.dtype)
        copy(target, 0.0, dS)
    if needs[0] or needs[3]:
        arguments = (*shared, deltas, made[0], dS, *behind)
        target.launch("attention", "attention_queries_backward", Q.dtype, grid, arguments)
    if needs[1] or needs[2]:
        arguments = (*shared, deltas, *made[1:], *behind)
        grid = _grid(items, keys)
        target.launch("attention", "attention_keys_backward", Q.dtype, grid, arguments)
    if dM is not None:
        front = dS.ndim - M.ndim
        summed = [k for k in range(dS.ndim) if k < front or M.shape[k - front] != dS.shape[k]]
        sum_axes(target, dS, tuple(summed), dM) if summed else copy(target, dS, dM)
    return (*made, dM), None


def _check(inputs: Inputs, options: Options) -> str | None:
    Q, K, V, M = (*inputs, None)[:4]
    if not all(hasattr(one, "dtype") and one.ndim >= 2 for one in (Q, K, V)):
        return "it takes arrays of at least two axes"
    if not Q.shape[:-2] == K.shape[:-2] == V.shape[:-2] or K.shape[-2] != V.shape[-2]:
        return "the sizes do not fit"  # the reference says what is wrong
    if Q.shape[-1] != K.shape[-1] or max(Q.shape[-1], V.shape[-1]) > WIDEST:
        return f"queries and keys differ, or rows are wider than {WIDEST}"
    if M is None:
        return None
    whole = (*Q.shape[:-1], K.shape[-2])
    try:
        if np.broadcast_shapes(M.shape, whole) != whole:
            return "the mask does not fit"
        # As its copy lies, which is in order.
        _mask(M if M.flags.c_contiguous else np.empty(M.shape, M.dtype), whole)
    except (TooManyAxesError, ValueError) as error:
        return str(error)
    known = M.dtype == Q.dtype or M.dtype == np.bool_
    return None if known else f"the mask is {M.dtype}"


def _check_backward(inputs: Inputs, options: Options) -> str | None:
    dY, Q, K, V, M = inputs[:5]
    if dY.shape != (*Q.shape[:-1], V.shape[-1]):
        return f"dY has shape {dY.shape}"
    return _check((Q, K, V, M), {})


SCALED_DOT_PRODUCT_ATTENTION_KERNEL = CudaKernel(
    "scaled_dot_product_attention",
    ("attention", "reductions", "copies", "elementwise"),
    {"forward": _attention, "backward": _attention_backward},
    {"forward": _check, "backward": _check_backward},
)
