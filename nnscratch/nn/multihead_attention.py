"""Attention of several heads: as a function of weights that are given, and as a layer."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas.attention import scores
from nnscratch.nn import init
from nnscratch.nn.attention import scaled_dot_product_attention
from nnscratch.nn.dropout import dropout
from nnscratch.nn.linear import Linear, linear
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import empty, zeros
from nnscratch.tensors.functions import cat

__all__ = ["MultiheadAttention", "multi_head_attention_forward"]


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return what ``nn.MultiheadAttention`` computes, of weights that are given.

    The query is (N, B, E) or (N, E); key and value have S rows. ``static_k`` and ``static_v`` are
    projected keys and values (B * heads, S, E / heads) that take the place of those of ``key`` and
    ``value``. The other arguments are those of the layer, and so are the results.

    Raises:
        ShapeError, ConfigurationError, DTypeError: as the layer.
    """
    q = as_tensor(query)
    k = q if key is query else as_tensor(key)
    v = k if value is key else as_tensor(value)
    if not q.ndim == k.ndim == v.ndim or q.ndim not in (2, 3):
        raise ShapeError(
            "attention: query, key and value are (rows, batch, features) or (rows, features), got "
            f"shapes {q.shape}, {k.shape} and {v.shape}"
        )
    batched = q.ndim == 3
    if is_causal and attn_mask is None:
        raise ConfigurationError(
            "attention: is_causal says what the mask is, and needs it as attn_mask; make it with "
            "nn.Transformer.generate_square_subsequent_mask"
        )
    if q.shape[-1] != embed_dim_to_check:
        raise ShapeError(
            f"attention: expected a query of {embed_dim_to_check} features, got shape {q.shape}"
        )
    if embed_dim_to_check % num_heads:
        raise ConfigurationError(
            f"attention: {num_heads} heads do not divide {embed_dim_to_check} features"
        )
    if k.shape[:-1] != v.shape[:-1] or (not use_separate_proj_weight and k.shape != v.shape):
        raise ShapeError(f"attention: key and value have shapes {k.shape} and {v.shape}")
    given = static_k is not None and static_v is not None  # in the place of key and value
    if batched and not given and q.shape[1] != k.shape[1]:
        raise ShapeError(
            f"attention: expected query and key of one batch, got {q.shape[1]} and {k.shape[1]} in "
            f"shapes (rows, batch, features) {q.shape} and {k.shape}"
        )
    if (bias_k is None) != (bias_v is None):
        raise ConfigurationError("attention: bias_k and bias_v are given together, or neither is")
    weights: list[Any]
    if use_separate_proj_weight:
        weights = [q_proj_weight, k_proj_weight, v_proj_weight]
    else:
        weights = [in_proj_weight]
    if any(weight is None for weight in weights):
        raise ConfigurationError("attention: a projection's weight is missing")
    same = (k is q and v is q, v is k)
    first = _batch_first(q)
    second = first if same[0] else _batch_first(k)
    third = second if same[1] else _batch_first(v)
    projected = _projected(first, second, third, weights, in_proj_bias)
    drop = dropout_p if training else 0.0
    mask, causal = _one_mask(
        attn_mask, key_padding_mask, first, second.shape[1], num_heads, need_weights, is_causal
    )
    # Heads (B, H, rows, E / H).
    Q, K, V = [_heads(one, num_heads) for one in projected]
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise ConfigurationError("attention: there is no bias of static keys and values")
        K, V = _row_more(K, bias_k, num_heads), _row_more(V, bias_v, num_heads)
        mask = _column_more(mask)
    K = K if static_k is None else _static(static_k, Q, num_heads)
    V = V if static_v is None else _static(static_v, Q, num_heads)
    if add_zero_attn:
        K, V = [cat([x, zeros(*x.shape[:2], 1, x.shape[3], dtype=x.dtype, device=x.device)], 2)
                for x in (K, V)]  # fmt: skip
        mask = _column_more(mask)
    if need_weights:
        Y, P = _with_weights(Q, K, V, mask, drop)
    else:
        Y, P = scaled_dot_product_attention(Q, K, V, mask, drop, causal), None
    joined = Y.permute(0, 2, 1, 3).reshape(*first.shape[:2], -1)
    out = linear(joined, out_proj_weight, out_proj_bias)
    if P is not None and average_attn_weights:
        P = P.mean(1)
    if not batched:
        return out[0], None if P is None else P[0]
    return out.transpose(0, 1), P


def _batch_first(x: Tensor) -> Tensor:
    """Return (B, rows, features) of (rows, B, features) or (rows, features)."""
    return x.transpose(0, 1) if x.ndim == 3 else x.unsqueeze(0)


def _projected(
    q: Tensor, k: Tensor, v: Tensor, weights: list[Any], bias: Tensor | None
) -> list[Tensor]:
    """Return queries, keys and values: one product where all are of one tensor."""
    if len(weights) == 1 and k is q and v is q:
        return list(linear(q, weights[0], bias).chunk(3, -1))
    if len(weights) == 1:
        weights = weights[0].chunk(3, 0)
    biases = [None] * 3 if bias is None else bias.chunk(3, 0)
    return [linear(x, w, b) for x, w, b in zip((q, k, v), weights, biases, strict=True)]


def _heads(x: Tensor, num_heads: int) -> Tensor:
    batch, rows, features = x.shape
    return x.reshape(batch, rows, num_heads, features // num_heads).permute(0, 2, 1, 3)


def _row_more(x: Tensor, bias: Tensor, num_heads: int) -> Tensor:
    """Return keys or values (B, H, S, D) with one more row, a learned one."""
    row = bias.reshape(1, num_heads, 1, x.shape[3]).expand(x.shape[0], -1, -1, -1)
    return cat([x, row], 2)


def _column_more(mask: Tensor | None) -> Tensor | None:
    """Return a mask with one more key, which every query sees."""
    if mask is None:
        return None
    column = zeros(*mask.shape[:-1], 1, dtype=mask.dtype, device=mask.device)
    return cat([mask, ~column if mask.dtype == "bool" else column], -1)


def _static(x: Tensor, Q: Tensor, num_heads: int) -> Tensor:
    if x.ndim != 3 or x.shape[0] != Q.shape[0] * num_heads or x.shape[2] != Q.shape[3]:
        raise ShapeError(
            f"attention: static keys and values are ({Q.shape[0] * num_heads}, S, {Q.shape[3]}), "
            f"got shape {x.shape}"
        )
    return x.reshape(Q.shape[0], num_heads, *x.shape[1:])


def _one_mask(
    attn_mask: Any,
    key_padding_mask: Any,
    q: Tensor,
    keys: int,
    num_heads: int,
    need_weights: bool,
    is_causal: bool,
) -> tuple[Tensor | None, bool]:
    """Return both masks as one of ``scaled_dot_product_attention``, and whether it is causal.

    In the masks of the layer True is what is not seen; in the one that is returned it is what is.
    """
    batch, queries, _ = q.shape
    masks = []
    if attn_mask is not None:
        mask = _checked(as_tensor(attn_mask), "attn_mask")
        if mask.shape not in ((queries, keys), (batch * num_heads, queries, keys)):
            raise ShapeError(
                f"attention: attn_mask is ({queries}, {keys}) or ({batch * num_heads}, {queries}, "
                f"{keys}), got shape {mask.shape}"
            )
        if is_causal and key_padding_mask is None and not need_weights:
            return None, True
        masks.append(mask if mask.ndim == 2 else mask.reshape(batch, num_heads, queries, keys))
    if key_padding_mask is not None:
        mask = _checked(as_tensor(key_padding_mask), "key_padding_mask")
        mask = mask if mask.ndim == 2 else mask.unsqueeze(0)
        if mask.shape != (batch, keys):
            raise ShapeError(
                f"attention: key_padding_mask is ({batch}, {keys}), got shape {mask.shape}"
            )
        masks.append(mask.reshape(batch, 1, 1, keys))
    if not masks:
        return None, False
    if all(mask.dtype == "bool" for mask in masks):
        hidden = masks[0] if len(masks) == 1 else masks[0] | masks[1]
        return ~hidden, False
    added = [_numbers(mask, q) for mask in masks]
    return added[0] if len(added) == 1 else added[0] + added[1], False


def _checked(mask: Tensor, name: str) -> Tensor:
    if mask.dtype != "bool" and not mask.is_floating_point():
        raise DTypeError(
            f"attention: {name} is bool (True for what is not seen) or floating, got {mask.dtype}"
        )
    return mask


def _numbers(mask: Tensor, q: Tensor) -> Tensor:
    """Return a mask as numbers to add: -inf where it was True."""
    if mask.dtype != "bool":
        return mask.to(q.dtype)
    nothing = zeros(*mask.shape, dtype=q.dtype, device=q.device)
    return nothing.masked_fill(mask, -math.inf)


def _with_weights(
    Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None, p: float
) -> tuple[Tensor, Tensor]:
    """Return the attention and its weights; of a query that sees no key both are NaN."""
    S: Tensor = scores(Q, K, mask, False, 1.0 / math.sqrt(Q.shape[-1]))
    weights: Tensor = S.softmax(-1)
    if p > 0.0:
        weights = dropout(weights, p)
    return weights @ V, weights


class NonDynamicallyQuantizableLinear(Linear):
    """A linear layer by the name that PyTorch shows for the last one of its attention."""


class MultiheadAttention(Module):
    r"""Attention of several heads: $[Y_1, \ldots, Y_H]\, W_O^\top + b_O$.

    $$Y_h = \mathrm{softmax}\left(\frac{Q_h K_h^\top}{\sqrt{E / H}} + M\right) V_h$$

    with queries, keys and values that are linear in the inputs. Vaswani et al. 2017.

    Args:
        embed_dim: E, of the query and the output.
        num_heads: H, which divides E.
        dropout: the probability of dropping a weight in training.
        bias: whether the projections have biases.
        add_bias_kv: whether there is one more, learned, key and value.
        add_zero_attn: whether there is one more key and value of zeros.
        kdim: the features of the key, E unless given.
        vdim: the features of the value, E unless given.
        batch_first: whether inputs and outputs are (B, rows, E), not (rows, B, E).

    Raises:
        ConfigurationError: if the heads do not divide the features.

    >>> from nnscratch import nn, randn
    >>> attention = nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = randn(4, 5, 8)
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    ((4, 5, 8), (4, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters from a generator, the default one unless another is given."""
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ConfigurationError(
                "MultiheadAttention: num_heads divides embed_dim, and both are positive; got "
                f"embed_dim={embed_dim} and num_heads={num_heads}"
            )
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.head_dim = embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        place = {"device": device, "dtype": dtype}
        packed = self.kdim == embed_dim == self.vdim
        shapes: dict[str, tuple[int, ...] | None] = {
            "in_proj_weight": (3 * embed_dim, embed_dim) if packed else None,
            "q_proj_weight": None if packed else (embed_dim, embed_dim),
            "k_proj_weight": None if packed else (embed_dim, self.kdim),
            "v_proj_weight": None if packed else (embed_dim, self.vdim),
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            made = None if shape is None else Parameter(empty(shape, **place))
            self.register_parameter(name, made)
        self.out_proj = NonDynamicallyQuantizableLinear(
            embed_dim, embed_dim, bias, **place, generator=generator
        )
        self._reset_parameters(generator)

    def _reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the projections anew (Glorot's uniform numbers), and biases of 0."""
        for name, parameter in self.named_parameters(recurse=False):
            if name.endswith("weight"):
                init.xavier_uniform_(parameter, generator=generator)
            elif name == "in_proj_bias":
                init.zeros_(parameter)
            else:
                init.xavier_normal_(parameter, generator=generator)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the output, and the weights of all queries and keys or None.

        A mask of booleans is True for what is *not* seen, another way round than in
        ``scaled_dot_product_attention``; one of numbers is added to the scores.

        Args:
            query: (N, B, E), (B, N, E) if ``batch_first``, or (N, E) without a batch.
            key: (S, B, kdim), (B, S, kdim) or (S, kdim).
            value: (S, B, vdim), (B, S, vdim) or (S, vdim).
            key_padding_mask: (B, S) or (S,): the keys that nobody sees.
            need_weights: whether the weights are returned, for which all are held. A query that
                sees no key is NaN with them, and 0 (before the last projection) without.
            attn_mask: (N, S) or (B * heads, N, S): the keys that each query does not see.
            average_attn_weights: whether the weights (B, N, S) are their mean over the heads, not
                (B, heads, N, S).
            is_causal: that ``attn_mask`` is the causal one, which is then not read if weights are
                not needed and no key is padding.

        Raises:
            ShapeError, DTypeError: if an input or a mask does not fit.
            ConfigurationError: if ``is_causal`` is said without a mask.
        """
        q = as_tensor(query)
        k = q if key is query else as_tensor(key)
        v = k if value is key else as_tensor(value)
        turn = self.batch_first and q.ndim == 3
        if turn and k.ndim == v.ndim == 3:
            first = q.transpose(0, 1)
            second = first if k is q else k.transpose(0, 1)
            q, k, v = first, second, second if v is k else v.transpose(0, 1)
        own = self._parameters
        found, weights = multi_head_attention_forward(
            q, k, v, self.embed_dim, self.num_heads,
            own["in_proj_weight"], own["in_proj_bias"], own["bias_k"], own["bias_v"],
            self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=own["in_proj_weight"] is None,
            q_proj_weight=own["q_proj_weight"],
            k_proj_weight=own["k_proj_weight"],
            v_proj_weight=own["v_proj_weight"],
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )  # fmt: skip
        return found.transpose(0, 1) if turn else found, weights
