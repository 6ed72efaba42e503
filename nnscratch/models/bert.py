"""BERT: an encoder in which every token sees all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnscratch import nn
from nnscratch.nn import functional as F
from nnscratch.tensors.creation import arange, zeros_like


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT, by Hugging Face's names; those of the base model unless said otherwise.

    Attributes:
        vocab_size: how many tokens there are.
        hidden_size: the width.
        num_hidden_layers: how many layers there are.
        num_attention_heads: into how many heads the width is divided.
        intermediate_size: the width inside of a layer's MLP.
        max_position_embeddings: the longest text, in tokens.
        type_vocab_size: how many kinds of text one input may hold.
        dropout: the probability of dropping a feature, while training.
        layer_norm_eps: what is added to variances.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    dropout: float = 0.1
    layer_norm_eps: float = 1e-12


class Embeddings(nn.Module):
    """The sum of what a token, its position and the kind of its text say, normalised."""

    def __init__(self, config: BertConfig) -> None:
        """Make the tables."""
        super().__init__()
        width = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Any, kinds: Any = None) -> Any:
        """Return the features (N, T, E)."""
        places = arange(tokens.shape[1], device=tokens.device)
        kinds = zeros_like(tokens) if kinds is None else kinds
        x = self.word_embeddings(tokens) + self.token_type_embeddings(kinds)
        return self.dropout(self.LayerNorm(x + self.position_embeddings(places)))


class SelfAttention(nn.Module):
    """Attention of each head: softmax(Q Kᵀ / √D) V."""

    def __init__(self, config: BertConfig) -> None:
        """Make the projections."""
        super().__init__()
        width = config.hidden_size
        self.heads, self.dropout = config.num_attention_heads, config.dropout
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Any, mask: Any = None) -> Any:
        """Return the output (N, T, E); a mask (N, T) is True where a token may be seen."""
        N, T, E = x.shape
        q, k, v = (
            layer(x).reshape(N, T, self.heads, E // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        seen = None if mask is None else mask[:, None, None, :]
        p = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=p)
        return out.transpose(1, 2).reshape(N, T, E)


class Added(nn.Module):
    """A linear layer whose output is added to another input and normalised."""

    def __init__(self, in_features: int, config: BertConfig) -> None:
        """Make the layers."""
        super().__init__()
        self.dense = nn.Linear(in_features, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Any, beside: Any) -> Any:
        """Return the normalised sum."""
        return self.LayerNorm(self.dropout(self.dense(x)) + beside)


class Layer(nn.Module):
    """Attention and an MLP, each added to its input and normalised behind."""

    def __init__(self, config: BertConfig) -> None:
        """Make the layers, under the names of the checkpoints."""
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": SelfAttention(config), "output": Added(config.hidden_size, config)}
        )
        self.intermediate = nn.ModuleDict(
            {"dense": nn.Linear(config.hidden_size, config.intermediate_size)}
        )
        self.output = Added(config.intermediate_size, config)

    def forward(self, x: Any, mask: Any = None) -> Any:
        """Return the output (N, T, E)."""
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class Bert(nn.Module):
    """The features of every token, and those of the whole; 109,482,240 parameters in the base.

    The names, and so the checkpoints, are those of Hugging Face's ``BertModel``.

    Args:
        config: the sizes.

    Source: Devlin, Chang, Lee and Toutanova 2018, arXiv:1810.04805.

    >>> from nnscratch import zeros
    >>> model = Bert(BertConfig(30, 8, 1, 2, 16, 16)).eval()
    >>> features, whole = model(zeros(2, 5, dtype="int64"))
    >>> features.shape, whole.shape
    ((2, 5, 8), (2, 8))
    """

    def __init__(self, config: BertConfig = BertConfig()) -> None:
        """Make the layers; weights are normal of deviation 0.02, biases and the padding's row 0."""
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.hidden_size)})
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                nn.init.zeros_(module.weight[module.padding_idx])

    def forward(self, tokens: Any, mask: Any = None, kinds: Any = None) -> tuple[Any, Any]:
        """Return the features (N, T, E) of tokens (N, T), and of each text (N, E).

        Args:
            tokens: the indices of the tokens.
            mask: True where a token counts, False where it fills; all count unless given.
            kinds: which of the kinds of text a token is of; 0 unless given.
        """
        x = self.embeddings(tokens, kinds)
        for layer in self.encoder["layer"]:
            x = layer(x, mask)
        return x, self.pooler["dense"](x[:, 0]).tanh()
