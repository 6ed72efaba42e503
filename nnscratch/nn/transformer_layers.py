"""The layers of a Transformer's encoder and decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.nn.activations import gelu
from nnscratch.nn.dropout import Dropout
from nnscratch.nn.layer_norm import LayerNorm
from nnscratch.nn.linear import Linear
from nnscratch.nn.module import Module
from nnscratch.nn.multihead_attention import MultiheadAttention
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.functions import relu

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]

Activation = str | Callable[[Tensor], Tensor]


class _Layer(Module):
    """What both kinds of layers have: attention to itself, and two linear layers."""

    def _make(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Activation,
        layer_norm_eps: float,
        batch_first: bool,
        norm_first: bool,
        bias: bool,
        attentions: tuple[str, ...],
        **place: Any,
    ) -> None:
        """Make the modules, one attention and one norm more of a decoder."""
        for name in attentions:
            made = MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, **place
            )
            setattr(self, name, made)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        count = len(attentions) + 1
        for number in range(1, count + 1):
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
            setattr(self, f"norm{number}", norm)
        for number in range(1, count + 1):
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _activation(activation)

    def _attended(
        self, attention: MultiheadAttention, x: Tensor, to: Tensor, *masks: Any
    ) -> Tensor:
        mask, padding, causal = masks
        options: dict[str, Any] = {"attn_mask": mask, "is_causal": causal}
        found: Tensor = attention(x, to, to, padding, need_weights=False, **options)[0]
        return found

    def _fed_forward(self, x: Tensor) -> Tensor:
        inner: Any = self.activation
        found: Tensor = self.linear2(self.dropout(inner(self.linear1(x))))
        return found


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise ConfigurationError(
            f"a Transformer's activation is 'relu', 'gelu' or a function, got {activation!r}"
        )
    return gelu if activation == "gelu" else relu


class TransformerEncoderLayer(_Layer):
    r"""Attention of a sequence to itself, and two linear layers for each of its places.

    $$x \leftarrow \mathrm{norm}_1(x + \mathrm{attention}(x)), \quad
      x \leftarrow \mathrm{norm}_2(x + W_2\, a(W_1 x + b_1) + b_2)$$

    Args:
        d_model: E, the features.
        nhead: the heads of the attention.
        dim_feedforward: the width between the two linear layers.
        dropout: the probability of dropping, behind the attention and each linear layer.
        activation: a, "relu", "gelu", or a function.
        layer_norm_eps: what is added to the variances.
        batch_first: whether sequences are (B, T, E), not (T, B, E).
        norm_first: whether the norms come before the attention and the linear layers, not behind
            the sums.
        bias: whether linear layers, projections and norms have biases.

    Raises:
        ConfigurationError: for sizes or an activation that do not fit.

    >>> from nnscratch import nn, randn
    >>> nn.TransformerEncoderLayer(8, 2, 16)(randn(5, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the modules."""
        super().__init__()
        options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first)
        self._make(d_model, nhead, *options, bias, ("self_attn",), device=device, dtype=dtype)

    def forward(
        self,
        src: Any,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Return the sequence (T, B, E) after the layer.

        Args:
            src: (T, B, E), (B, T, E) if ``batch_first``, or (T, E) without a batch.
            src_mask: (T, T) or (B * heads, T, T), what is not seen (bool) or is added to scores.
            src_key_padding_mask: (B, T), the places that nobody sees.
            is_causal: that ``src_mask`` is the causal one.

        Raises:
            ShapeError, DTypeError: as ``MultiheadAttention``.
        """
        x, masks = as_tensor(src), (src_mask, src_key_padding_mask, is_causal)
        y: Tensor
        if self.norm_first:
            y = self.norm1(x)
            x = x + self.dropout1(self._attended(self.self_attn, y, y, *masks))
            y = x + self.dropout2(self._fed_forward(self.norm2(x)))
            return y
        x = self.norm1(x + self.dropout1(self._attended(self.self_attn, x, x, *masks)))
        y = self.norm2(x + self.dropout2(self._fed_forward(x)))
        return y


class TransformerDecoderLayer(_Layer):
    r"""Attention of a sequence to itself, then to a memory, and two linear layers.

    The arguments are those of ``TransformerEncoderLayer``.

    >>> from nnscratch import nn, randn
    >>> nn.TransformerDecoderLayer(8, 2, 16)(randn(5, 3, 8), randn(4, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the modules."""
        super().__init__()
        options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first)
        names = ("self_attn", "multihead_attn")
        self._make(d_model, nhead, *options, bias, names, device=device, dtype=dtype)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Return the sequence (T, B, E) after the layer.

        Args:
            tgt: (T, B, E), (B, T, E) if ``batch_first``, or (T, E) without a batch.
            memory: (S, B, E), (B, S, E) or (S, E): what the encoder returned.
            tgt_mask: (T, T) or (B * heads, T, T), what is not seen (bool) or is added to scores.
            memory_mask: the same for the memory, (T, S).
            tgt_key_padding_mask: (B, T), the places of the sequence that nobody sees.
            memory_key_padding_mask: (B, S), the places of the memory that nobody sees.
            tgt_is_causal: that ``tgt_mask`` is the causal one.
            memory_is_causal: that ``memory_mask`` is.

        Raises:
            ShapeError, DTypeError: as ``MultiheadAttention``.
        """
        x, to = as_tensor(tgt), as_tensor(memory)
        y: Tensor
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            y = self.norm1(x)
            x = x + self.dropout1(self._attended(self.self_attn, y, y, *own))
            x = x + self.dropout2(self._attended(self.multihead_attn, self.norm2(x), to, *other))
            y = x + self.dropout3(self._fed_forward(self.norm3(x)))
            return y
        x = self.norm1(x + self.dropout1(self._attended(self.self_attn, x, x, *own)))
        x = self.norm2(x + self.dropout2(self._attended(self.multihead_attn, x, to, *other)))
        y = self.norm3(x + self.dropout3(self._fed_forward(x)))
        return y
