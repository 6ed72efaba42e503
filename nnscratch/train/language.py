"""Language models: their descriptions, the loss of the next token, and how well they foresee it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnscratch.errors import ConfigurationError, DataError
from nnscratch.models.gpt2 import GPT2, GPT2Config
from nnscratch.models.lstm import CharLSTM
from nnscratch.nn import Module
from nnscratch.nn.functional import cross_entropy
from nnscratch.tensors import Tensor
from nnscratch.train.architectures import Architecture, fraction, whole
from nnscratch.train.evaluation import evaluating


@dataclass(frozen=True)
class GPTArchitecture(Architecture):
    """The description of a GPT-2 of any size.

    Args:
        vocabulary: how many tokens there are.
        block: how many tokens it sees at once.
        width: the size of a token's vector, which the heads divide.
        layers: how many blocks of attention and an MLP there are.
        heads: how many heads of attention each has.
        dropout: the share of features that is dropped in training.

    Raises:
        ConfigurationError: if a size makes no sense.

    >>> GPTArchitecture(65, block=64, width=128, layers=4, heads=4).parameters
    809856
    """

    vocabulary: int
    block: int = 128
    width: int = 128
    layers: int = 4
    heads: int = 4
    dropout: float = 0.1
    kind: ClassVar[str] = "gpt"

    def __post_init__(self) -> None:
        whole(vocabulary=self.vocabulary, block=self.block, width=self.width)
        whole(layers=self.layers, heads=self.heads)
        fraction(dropout=self.dropout)
        if self.width % self.heads:
            raise ConfigurationError(
                f"width must be a multiple of heads, got width {self.width} and heads {self.heads}"
            )

    def build(self) -> GPT2:
        """Return the model, its weights drawn from the default generator."""
        return GPT2(
            GPT2Config(
                self.vocabulary, self.block, self.width, self.layers, self.heads, self.dropout
            )
        )

    @property
    def parameters(self) -> int:
        """The number of weights and biases; the last layer has those of the embedding."""
        W = self.width
        block = 12 * W * W + 13 * W  # attention 4 W² + 4 W, MLP 8 W² + 5 W, two norms 4 W
        return (self.vocabulary + self.block) * W + self.layers * block + 2 * W

    @property
    def summary(self) -> str:
        """The sizes in a few words."""
        return (
            f"GPT of {self.layers} layers, width {self.width}, {self.heads} heads, block "
            f"{self.block}, dropout {self.dropout:g}"
        )


@dataclass(frozen=True)
class LSTMArchitecture(Architecture):
    """The description of a recurrent model of the next token.

    Args:
        vocabulary: how many tokens there are.
        block: over how many tokens gradients go back.
        width: the size of the state; a token's vector has a quarter of it.
        layers: how many LSTM layers stand on one another.
        dropout: the share of features that is dropped between layers in training.

    Raises:
        ConfigurationError: if a size makes no sense.
    """

    vocabulary: int
    block: int = 128
    width: int = 256
    layers: int = 2
    dropout: float = 0.1
    kind: ClassVar[str] = "char-lstm"

    def __post_init__(self) -> None:
        whole(vocabulary=self.vocabulary, block=self.block, width=self.width, layers=self.layers)
        fraction(dropout=self.dropout)

    @property
    def _embedding(self) -> int:
        return max(1, self.width // 4)

    def build(self) -> CharLSTM:
        """Return the model, its weights drawn from the default generator."""
        dropout = self.dropout if self.layers > 1 else 0.0
        return CharLSTM(self.vocabulary, self._embedding, self.width, self.layers, dropout)

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        W, E = self.width, self._embedding
        recurrent = 4 * W * (E + W + 2) + (self.layers - 1) * 4 * W * (2 * W + 2)
        return self.vocabulary * (E + W + 1) + recurrent

    @property
    def summary(self) -> str:
        """The sizes in a few words."""
        return (
            f"LSTM of {self.layers} layers, width {self.width}, block {self.block}, dropout "
            f"{self.dropout:g}"
        )


LanguageArchitecture = GPTArchitecture | LSTMArchitecture


def scores_of(model: Module, tokens: Any) -> Tensor:
    """Return the scores (N, T, tokens) of a model that may return its state with them."""
    found = model(tokens)
    scores: Tensor = found[0] if isinstance(found, tuple) else found
    return scores


def next_token_loss(model: Module, batch: Any) -> Tensor:
    """Return the mean of -log p of the token that really comes next, over all places.

    Args:
        model: gives the scores (N, T, tokens) of inputs (N, T).
        batch: the inputs, and the targets (N, T), which are the inputs one place further on.
    """
    inputs, targets = batch
    scores = scores_of(model, inputs).flatten(0, 1)
    loss: Tensor = cross_entropy(scores, targets.flatten())
    return loss


@dataclass(frozen=True)
class LanguageFigures:
    """How well a model foresees a text.

    Attributes:
        loss: the mean of -log p of each token.
        accuracy: the share of tokens that were the likeliest.
        tokens: how many were foreseen.
    """

    loss: float
    accuracy: float
    tokens: int

    @property
    def bits(self) -> float:
        """The loss in bits a token, log2 instead of log."""
        return self.loss / math.log(2.0)

    @property
    def perplexity(self) -> float:
        """exp(loss): as uncertain as among so many tokens that are equally likely."""
        return math.exp(min(self.loss, 700.0))


def foresee(
    model: Module, tokens: npt.NDArray[np.integer[Any]], block: int, batch: int = 32
) -> LanguageFigures:
    """Judge a model by a text, of which it sees a window of ``block`` tokens at a time.

    Every token but the first is foreseen once, from those before it in its window.

    Args:
        model: gives the scores of the next token, (N, T, tokens) or a tuple that begins with them.
        tokens: (T,) the text.
        block: how many tokens a window has.
        batch: how many windows are read at once.

    Raises:
        DataError: if there are fewer than two tokens.
    """
    if len(tokens) < 2:
        raise DataError("a text of two tokens is needed to judge a model, the second foreseen")
    count = (len(tokens) - 1) // block
    whole_part = count * block
    inputs, targets = tokens[:-1], tokens[1:]
    parts = [
        (inputs[start:stop].reshape(-1, block), targets[start:stop].reshape(-1, block))
        for start in range(0, whole_part, batch * block)
        for stop in (min(start + batch * block, whole_part),)
    ]
    if whole_part < len(inputs):
        parts.append((inputs[None, whole_part:], targets[None, whole_part:]))
    device = next(iter(model.parameters())).device
    loss, right = 0.0, 0
    with evaluating(model):
        for part in parts:
            x, y = (Tensor(one.astype(np.int64)).to(device=device) for one in part)
            scores = scores_of(model, x).flatten(0, 1)
            loss += float(cross_entropy(scores, y.flatten(), reduction="sum"))
            right += int((scores.argmax(1) == y.flatten()).sum())
    return LanguageFigures(loss / len(inputs), right / len(inputs), len(inputs))
