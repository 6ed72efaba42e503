"""GPT-2: a decoder of Transformer blocks that says which token comes next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnscratch import nn
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor
from nnscratch.tensors.creation import arange, empty, zeros
from nnscratch.tensors.functions import cat

# The keys and values (N, H, T, D) of the tokens that a layer has seen.
Cache = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class GPT2Config:
    """The sizes of a GPT-2, by Hugging Face's names; those of the smallest unless said otherwise.

    Attributes:
        vocab_size: how many tokens there are.
        n_positions: the longest text, in tokens.
        n_embd: the width.
        n_layer: how many blocks there are.
        n_head: into how many heads the width is divided.
        dropout: the probability of dropping a feature, while training.
    """

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    dropout: float = 0.1


class Conv1D(nn.Module):
    """A linear layer whose weight is (in, out), as GPT-2's checkpoints have it: Y = X W + b."""

    def __init__(self, out_features: int, in_features: int) -> None:
        """Make the parameters: normal with a deviation of 0.02, and 0."""
        super().__init__()
        self.weight = nn.Parameter(empty(in_features, out_features))
        self.bias = nn.Parameter(zeros(out_features))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Any) -> Any:
        """Return x W + b."""
        return F.linear(x, self.weight.t(), self.bias)


class Attention(nn.Module):
    """Each token looks at those before it: softmax(Q Kᵀ / √D) V, for each head."""

    def __init__(self, config: GPT2Config) -> None:
        """Make the projections."""
        super().__init__()
        self.heads, self.dropout = config.n_head, config.dropout
        self.c_attn = Conv1D(3 * config.n_embd, config.n_embd)
        self.c_proj = Conv1D(config.n_embd, config.n_embd)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x: Any, past: Any = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Return the output (N, T, E), and the keys and values with those of ``past`` before."""
        N, T, E = x.shape
        parts = self.c_attn(x).reshape(N, T, 3, self.heads, E // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        if past is not None:
            k, v = cat([past[0], k], dim=2), cat([past[1], v], dim=2)
        mask = None
        if past is not None and T > 1:  # a new token sees all of the past, and those before it
            seen, device = k.shape[2], x.device
            mask = arange(seen, device=device) <= arange(seen - T, seen, device=device)[:, None]
        out = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=past is None and T > 1,
        )
        merged = out.transpose(1, 2).reshape(N, T, E)
        return self.resid_dropout(self.c_proj(merged)), (k, v)


class FeedForward(nn.Module):
    """Two linear layers, four times as wide in between."""

    def __init__(self, config: GPT2Config) -> None:
        """Make the layers."""
        super().__init__()
        self.c_fc = Conv1D(4 * config.n_embd, config.n_embd)
        self.c_proj = Conv1D(config.n_embd, 4 * config.n_embd)
        self.act = nn.GELU("tanh")
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Any) -> Any:
        """Return the output (N, T, E)."""
        return self.dropout(self.c_proj(self.act(self.c_fc(x))))


class Block(nn.Module):
    """Attention and an MLP, each normalised before and added to its input."""

    def __init__(self, config: GPT2Config) -> None:
        """Make the layers."""
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = FeedForward(config)

    def forward(self, x: Any, past: Any = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Return the output (N, T, E), and the keys and values that attention has."""
        attended, kept = self.attn(self.ln_1(x), past)
        x = x + attended
        return x + self.mlp(self.ln_2(x)), kept


class Transformer(nn.Module):
    """Embeddings of tokens and positions, the blocks, and a last normalisation."""

    def __init__(self, config: GPT2Config) -> None:
        """Make the layers."""
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)

    def forward(self, tokens: Any, past: Any = None) -> tuple[Any, Cache]:
        """Return the features (N, T, E) of tokens (N, T), and what the next call may pass on."""
        seen = 0 if past is None else past[0][0].shape[2]
        places = arange(seen, seen + tokens.shape[1], device=tokens.device)
        x = self.drop(self.wte(tokens) + self.wpe(places))
        kept = []
        for index, block in enumerate(self.h):
            x, pair = block(x, None if past is None else past[index])
            kept.append(pair)
        return self.ln_f(x), kept


class GPT2(nn.Module):
    """The scores of the next token at every place; 124,439,808 parameters in the smallest.

    The names, and so the checkpoints, are those of Hugging Face's ``GPT2LMHeadModel``. The last
    layer shares its weight with the embedding of tokens.

    Args:
        config: the sizes.

    Source: Radford, Wu, Child, Luan, Amodei and Sutskever 2019, Language models are unsupervised
    multitask learners.

    >>> from nnscratch import zeros
    >>> model = GPT2(GPT2Config(vocab_size=30, n_positions=16, n_embd=8, n_layer=1, n_head=2))
    >>> model(zeros(2, 5, dtype="int64")).shape
    (2, 5, 30)
    """

    def __init__(self, config: GPT2Config = GPT2Config()) -> None:
        """Make the layers; weights are normal with a deviation of 0.02, smaller before a sum."""
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
        for name, parameter in self.named_parameters():
            if name.endswith("c_proj.weight"):  # two of them are added in each block
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.n_layer))
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, tokens: Any) -> Any:
        """Return the scores (N, T, tokens) of tokens (N, T)."""
        return self.lm_head(self.transformer(tokens)[0])

    def step(self, tokens: Any, past: Cache | None = None) -> tuple[Any, Cache]:
        """Return the scores (N, tokens) behind the last token, and the cache for the next call.

        Args:
            tokens: the new tokens (N, T), which follow those in the cache.
            past: what the call before returned.
        """
        features, kept = self.transformer(tokens, past)
        return self.lm_head(features[:, -1]), kept
