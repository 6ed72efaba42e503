"""ViT: an image as a sequence of patches, read by a Transformer's encoder."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from nnscratch import nn
from nnscratch.tensors.creation import empty, zeros
from nnscratch.tensors.functions import cat


class EncoderBlock(nn.Module):
    """Attention and an MLP, each normalised before and added to its input."""

    def __init__(self, width: int, heads: int, mlp: int, dropout: float) -> None:
        """Make the layers, under torchvision's names."""
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Any) -> Any:
        """Return the output (N, T, E)."""
        normed = self.ln_1(x)
        attended, _ = self.self_attention(normed, normed, normed, need_weights=False)
        x = x + self.dropout(attended)
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Positions added, the blocks, and a last normalisation."""

    def __init__(
        self, length: int, layers: int, width: int, heads: int, mlp: int, dropout: float
    ) -> None:
        """Make the layers."""
        super().__init__()
        self.pos_embedding = nn.Parameter(empty(1, length, width))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            OrderedDict(
                (f"encoder_layer_{index}", EncoderBlock(width, heads, mlp, dropout))
                for index in range(layers)
            )
        )
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Any) -> Any:
        """Return the output (N, T, E)."""
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


class ViT(nn.Module):
    """A vision Transformer; 86,567,656 parameters as ViT-B/16 with 1000 classes.

    The names are torchvision's.

    Args:
        image_size: height and width of an image.
        patch_size: those of a patch.
        layers: how many blocks there are.
        heads: into how many heads the width is divided.
        width: the size of a patch's vector.
        mlp: the width inside of a block's MLP.
        num_classes: how many classes there are.
        dropout: the probability of dropping a feature.
        in_channels: the channels of an image.

    Raises:
        ValueError: if patches do not divide the image.

    Source: Dosovitskiy and others 2020, arXiv:2010.11929.

    >>> from nnscratch import zeros
    >>> ViT(16, 8, 1, 2, 8, 16, num_classes=3)(zeros(2, 3, 16, 16)).shape
    (2, 3)
    """

    def __init__(
        self,
        image_size: int = 224,
        patch_size: int = 16,
        layers: int = 12,
        heads: int = 12,
        width: int = 768,
        mlp: int = 3072,
        num_classes: int = 1000,
        dropout: float = 0.0,
        in_channels: int = 3,
    ) -> None:
        """Make the layers."""
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"ViT: patches of {patch_size} do not divide an image of {image_size}")
        patches = (image_size // patch_size) ** 2
        self.conv_proj = nn.Conv2d(in_channels, width, patch_size, stride=patch_size)
        self.class_token = nn.Parameter(zeros(1, 1, width))
        self.encoder = Encoder(patches + 1, layers, width, heads, mlp, dropout)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(width, num_classes)))

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes) of images (N, channels, height, width)."""
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        start = self.class_token.expand(len(x), -1, -1)
        x = self.encoder(cat([start, x], dim=1))
        return self.heads(x[:, 0])
