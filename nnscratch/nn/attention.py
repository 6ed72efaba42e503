"""Scaled dot-product attention as a function."""

from __future__ import annotations

import math
from typing import Any

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas.attention import scores
from nnscratch.nn.dropout import dropout
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.functions import where

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    r"""Return $\mathrm{softmax}(s\, Q K^\top + M)\, V$.

    Nothing of the size N x S is kept for the backward pass, except with dropout and where calls
    are recorded for second derivatives; the backward of a mask that has a gradient makes such an
    array.

    Args:
        query: Q (..., N, E).
        key: K (..., S, E).
        value: V (..., S, Ev); leading dimensions of the three broadcast.
        attn_mask: M, which broadcasts to (..., N, S): numbers that are added to the scores, or
            booleans, True where a query sees a key. A query that sees none gets 0.
        dropout_p: the probability of dropping a weight; it acts whatever the mode of a module is.
        is_causal: whether query i sees the keys up to number i alone (counted from the first one,
            also where there are more keys than queries).
        scale: s, 1 / sqrt(E) unless given.
        enable_gqa: whether key and value may have fewer heads (dimension -3) than the query; each
            of theirs then serves as many consecutive heads of the query.

    Returns:
        A tensor (..., N, Ev).

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if dtypes differ, or the mask is neither bool nor of the query's dtype.
        ConfigurationError: if ``dropout_p`` is no probability.

    >>> from nnscratch import ones, tensor
    >>> v = tensor([[0.0], [1.0], [5.0]])
    >>> scaled_dot_product_attention(ones(3, 2), ones(3, 2), v, is_causal=True)
    tensor([[0. ],
            [0.5],
            [2. ]])
    """
    q, k, v = as_tensor(query), as_tensor(key), as_tensor(value)
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ShapeError(
            "scaled_dot_product_attention: query, key and value have at least 2 dimensions, got "
            f"shapes {q.shape}, {k.shape} and {v.shape}"
        )
    if enable_gqa:
        k, v = _heads_like(k, q), _heads_like(v, q)
    q, k, v = _of_one_batch(q, k, v)
    mask = None if attn_mask is None else _fitting(as_tensor(attn_mask), q)
    if not 0.0 <= dropout_p <= 1.0:
        raise ConfigurationError(
            f"scaled_dot_product_attention: dropout_p is from 0 to 1, got {dropout_p}"
        )
    if dropout_p > 0.0:
        return _with_dropout(q, k, v, mask, dropout_p, is_causal, scale)
    options = {"is_causal": bool(is_causal), "scale": None if scale is None else float(scale)}
    return apply(f.SCALED_DOT_PRODUCT_ATTENTION, q, k, v, mask, **options)


def _heads_like(x: Tensor, query: Tensor) -> Tensor:
    """Return a key or value with each head repeated for as many heads of the query."""
    if min(x.ndim, query.ndim) < 3 or query.shape[-3] % max(x.shape[-3], 1):
        raise ShapeError(
            "scaled_dot_product_attention: with enable_gqa the heads (dimension -3) of key and "
            f"value divide those of the query; got shapes {x.shape} and {query.shape}"
        )
    heads, times = x.shape[-3], query.shape[-3] // max(x.shape[-3], 1)
    if times == 1:
        return x
    *front, rows, columns = x.shape
    repeated = x.unsqueeze(-3).expand(*front, times, rows, columns)
    return repeated.reshape(*front[:-1], heads * times, rows, columns)


def _of_one_batch(*tensors: Tensor) -> list[Tensor]:
    """Return tensors with their leading dimensions broadcast to one another."""
    fronts = [tuple(one.shape[:-2]) for one in tensors]
    if all(front == fronts[0] for front in fronts):
        return list(tensors)
    count = max(map(len, fronts))
    padded = [(1,) * (count - len(front)) + front for front in fronts]
    sizes = [[n for n in column if n != 1] or [1] for column in zip(*padded, strict=True)]
    if any(len(set(column)) > 1 for column in sizes):
        raise ShapeError(
            "scaled_dot_product_attention: the leading dimensions do not broadcast: shapes "
            f"{' and '.join(str(one.shape) for one in tensors)} (heads in groups: enable_gqa=True)"
        )
    front = [column[0] for column in sizes]
    return [one.expand(*front, *one.shape[-2:]) for one in tensors]


def _fitting(mask: Tensor, query: Tensor) -> Tensor:
    """Return a mask that is bool or of the query's dtype."""
    if mask.dtype in ("bool", query.dtype):
        return mask
    if mask.dtype != "float32":
        raise DTypeError(
            f"scaled_dot_product_attention: a mask is bool, float32 or {query.dtype} as the query, "
            f"got {mask.dtype}"
        )
    return mask.to(query.dtype)


def _with_dropout(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    p: float,
    is_causal: bool,
    scale: float | None,
) -> Tensor:
    """Return the attention with weights dropped by probability p, which are all held for it."""
    s = 1.0 / math.sqrt(max(q.shape[-1], 1)) if scale is None else float(scale)
    S: Tensor = scores(q, k, mask, is_causal, s)
    if mask is None or S.shape[-1] == 0:
        return dropout(S.softmax(-1), p) @ v
    unseen = (S == -math.inf).all(-1, keepdim=True)  # a softmax of such a row is NaN
    weights = where(unseen, 0.0, where(unseen, 0.0, S).softmax(-1))
    return dropout(weights, p) @ v
