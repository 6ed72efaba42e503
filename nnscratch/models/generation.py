"""Text from a model of the next token, one token after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nnscratch.array.random import Generator, default_generator
from nnscratch.array.wholes import whole_number
from nnscratch.errors import ConfigurationError, NonFiniteError
from nnscratch.tensors import Tensor
from nnscratch.tensors.creation import tensor
from nnscratch.tensors.grad_mode import no_grad


class LanguageModel(Protocol):
    """A model that says which token comes next, and keeps what it knows of those before."""

    def step(self, tokens: Any, past: Any = None) -> tuple[Tensor, Any]:
        """Return the scores (N, tokens) behind new tokens (N, T), and what the next call needs."""


def generate(
    model: LanguageModel,
    prompt: Iterable[int],
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: int | None = None,
    longest: int | None = None,
    generator: Generator | None = None,
) -> Iterator[int]:
    """Yield the tokens that a model continues a prompt with, each as soon as it is known.

    The model reads each token once: it keeps the keys and values, or the state, of those before.
    A model in training mode drops features as in training; call ``model.eval()`` first.

    Args:
        model: GPT2, CharLSTM, or what has a ``step`` like theirs.
        prompt: the tokens to begin with, one at least.
        length: how many tokens to yield at most.
        temperature: the scores are divided by it; 0 takes the likeliest token always.
        top_k: choose among the likeliest so many tokens only.
        top_p: choose among the likeliest tokens that together have this probability only.
        stop: a token behind which to end.
        longest: how many tokens the model can read; the positions of its configuration unless
            given. Where the text gets longer, the model reads its second half anew.
        generator: where chance comes from, the default one unless given.

    Raises:
        ConfigurationError: if the prompt is empty or an option makes no sense.
        NonFiniteError: if a score is NaN: the model has diverged.

    >>> from nnscratch.models import GPT2, GPT2Config
    >>> model = GPT2(GPT2Config(vocab_size=30, n_positions=8, n_embd=8, n_layer=1, n_head=2)).eval()
    >>> len(list(generate(model, [1, 2, 3], 20, top_k=5)))
    20
    """
    text = [whole_number("generate: a token of the prompt", token) for token in prompt]
    if not text:
        raise ConfigurationError("generate: the prompt is empty; it needs one token at least")
    _check(temperature, top_k, top_p)
    config = getattr(model, "config", None)
    most = longest or getattr(config, "n_positions", None)
    chance = generator or default_generator
    new, past, read = text if most is None else text[-most:], None, 0
    for _ in range(length):
        if most is not None and read + len(new) > most:
            new, past, read = text[-max(1, most // 2) :], None, 0
        with no_grad():
            scores, past = model.step(tensor([new]), past)
        read += len(new)
        row = np.asarray(scores.detach().to("cpu"))[0].astype(np.float64)
        if np.isnan(row).any():
            raise NonFiniteError(
                f"generate: the score of token {int(np.isnan(row).argmax())} is NaN behind "
                f"{len(text)} tokens; the model's weights have diverged"
            )
        token = _choose(row, temperature, top_k, top_p, chance)
        yield token
        if token == stop:
            return
        text.append(token)
        new = [token]


def _check(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not temperature >= 0.0:
        raise ConfigurationError(f"generate: temperature is a number from 0 on, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ConfigurationError(f"generate: top_k is a whole number from 1 on, got {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ConfigurationError(f"generate: top_p is above 0 and at most 1, got {top_p}")


def _choose(
    scores: npt.NDArray[np.float64],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: Generator,
) -> int:
    """Draw a token by the softmax of its scores, among the likeliest."""
    if temperature == 0.0:
        return int(scores.argmax())
    order = np.argsort(-scores, kind="stable")[:top_k]
    share = np.exp((scores[order] - scores[order[0]]) / temperature)
    share /= share.sum()
    if top_p is not None:  # all before the sum reaches p, and the one that makes it
        kept = int(np.searchsorted(np.cumsum(share), top_p)) + 1
        order, share = order[:kept], share[:kept] / share[:kept].sum()
    drawn = float(generator.uniform((1,), "float64")[0])
    return int(order[min(int(np.searchsorted(np.cumsum(share), drawn, "right")), len(order) - 1)])
