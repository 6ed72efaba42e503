"""The Transformer: stacks of encoder and decoder layers, and both together."""

from __future__ import annotations

import copy
from typing import Any

from nnscratch.array import default_dtype
from nnscratch.errors import ShapeError
from nnscratch.nn import init
from nnscratch.nn.containers import ModuleList
from nnscratch.nn.layer_norm import LayerNorm
from nnscratch.nn.module import Module
from nnscratch.nn.transformer_layers import (
    Activation,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import arange, zeros

__all__ = ["Transformer", "TransformerDecoder", "TransformerEncoder"]


class TransformerEncoder(Module):
    """A stack of copies of an encoder layer, and a norm behind it if one is given.

    All copies start with the same parameters, as in PyTorch. ``enable_nested_tensor`` and
    ``mask_check`` are there for PyTorch's sake: padded places are computed like all others here,
    while PyTorch, when it evaluates without gradients, may return 0 for them.

    >>> from nnscratch import nn, randn
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16)
    >>> nn.TransformerEncoder(layer, 2)(randn(5, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        """Copy the layer ``num_layers`` times."""
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self,
        src: Any,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """Return the sequence after all layers; the arguments are those of a layer."""
        x = as_tensor(src)
        for layer in self.layers:
            x = layer(
                x,
                src_mask=mask,
                is_causal=bool(is_causal),
                src_key_padding_mask=src_key_padding_mask,
            )
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """A stack of copies of a decoder layer, and a norm behind it if one is given.

    >>> from nnscratch import nn, randn
    >>> layer = nn.TransformerDecoderLayer(8, 2, 16)
    >>> nn.TransformerDecoder(layer, 2)(randn(5, 3, 8), randn(4, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        """Copy the layer ``num_layers`` times."""
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Return the sequence after all layers; the arguments are those of a layer."""
        x = as_tensor(tgt)
        for layer in self.layers:
            x = layer(
                x,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    r"""An encoder of one sequence and a decoder of another that attends to what the first returns.

    Vaswani et al. 2017. Matrices start as Glorot's uniform numbers.

    Args:
        d_model: E, the features.
        nhead: the heads of each attention.
        num_encoder_layers: the layers of the encoder.
        num_decoder_layers: the layers of the decoder.
        custom_encoder: a module in the place of the encoder.
        custom_decoder: a module in the place of the decoder.

    The other arguments are those of ``TransformerEncoderLayer``.

    >>> from nnscratch import nn, randn
    >>> model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> model(randn(3, 4, 8), randn(3, 5, 8)).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make both stacks."""
        super().__init__()
        options: tuple[Any, ...] = (d_model, nhead, dim_feedforward, dropout, activation)
        options += (layer_norm_eps, batch_first, norm_first, bias, device, dtype)
        last: dict[str, Any] = {"eps": layer_norm_eps, "bias": bias}
        last |= {"device": device, "dtype": dtype}
        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(*options)
            norm = LayerNorm(d_model, **last)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is None:
            layer, norm = TransformerDecoderLayer(*options), LayerNorm(d_model, **last)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self) -> None:
        """Draw all matrices anew."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Return the second sequence after the decoder.

        Args:
            src: (S, B, E), (B, S, E) if ``batch_first``, or (S, E) without a batch.
            tgt: (T, B, E), (B, T, E) or (T, E).

        The masks are those of the layers: what is not seen (bool), or is added to scores.

        Raises:
            ShapeError: if batches or features differ.
        """
        first, second = as_tensor(src), as_tensor(tgt)
        batch = 0 if self.batch_first else 1
        if first.shape[-1] != self.d_model or second.shape[-1] != self.d_model or (
            first.ndim == 3 and first.shape[batch] != second.shape[batch]
        ):  # fmt: skip
            raise ShapeError(
                f"Transformer: expected two sequences of one batch and {self.d_model} features, "
                f"got shapes {first.shape} and {second.shape}"
            )
        memory = self.encoder(
            first, mask=src_mask, src_key_padding_mask=src_key_padding_mask,
            is_causal=src_is_causal,
        )  # fmt: skip
        found: Tensor = self.decoder(
            second,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return found

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """Return the mask (sz, sz) that is 0 up to the diagonal and -inf behind it.

        >>> from nnscratch import nn
        >>> nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[  0., -inf],
                [  0.,   0.]])
        """
        numbers = arange(sz, device=device)
        nothing = zeros(sz, sz, dtype=dtype or default_dtype(), device=device)
        return nothing.masked_fill(numbers.unsqueeze(1) < numbers, float("-inf"))
