"""Text token by token with what the model keeps is the text that it would write anew each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch.array.random import Generator
from nnscratch.errors import ConfigurationError, NonFiniteError
from nnscratch.models import GPT2, CharLSTM, GPT2Config
from nnscratch.models.generation import generate

TOKENS, POSITIONS = 30, 12
OPTIONS: dict[str, dict[str, Any]] = {
    "the likeliest": {"temperature": 0.0},
    "all": {},
    "a few": {"top_k": 5, "temperature": 0.7},
    "a share": {"top_p": 0.8},
    "a share of a few, boldly": {"top_k": 10, "top_p": 0.5, "temperature": 1.5},
}


def model_of(kind: str) -> Any:
    """A model whose choices depend on all that it has read."""
    nnscratch.manual_seed(3)
    config = GPT2Config(TOKENS, POSITIONS, 16, 2, 2)
    model: Any = GPT2(config) if kind == "gpt2" else CharLSTM(TOKENS, 8, 16)
    with nnscratch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(3.0 if kind != "gpt2" else 60.0 if "wpe" in name else 8.0)
    return model.eval()


def written_anew(
    model: Any,
    prompt: list[int],
    length: int,
    generator: Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Iterator[int]:
    """Read the whole text again for each token; the second half of one that gets too long."""
    most = POSITIONS if isinstance(model, GPT2) else 10**9
    text, seen = list(prompt), list(prompt[-most:])
    for _ in range(length):
        if len(seen) > most:
            seen = text[-(most // 2) :]
        with nnscratch.no_grad():
            scores = model(nnscratch.tensor([seen]))
        scores = scores[0] if isinstance(scores, tuple) else scores
        row = np.asarray(scores)[0, -1].astype(np.float64)
        if temperature == 0.0:
            token = int(row.argmax())
        else:
            order = np.argsort(-row, kind="stable")[:top_k]
            share = np.exp((row[order] - row.max()) / temperature)
            share /= share.sum()
            if top_p is not None:
                share = share[: np.searchsorted(np.cumsum(share), top_p) + 1]
                share /= share.sum()
            drawn = float(generator.uniform((1,), "float64")[0])
            token = int(order[np.searchsorted(np.cumsum(share), drawn, "right")])
        yield token
        text.append(token)
        seen.append(token)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", ["gpt2", "char lstm"])
def test_what_is_kept_changes_nothing(kind: str, options: dict[str, Any]) -> None:
    model = model_of(kind)
    for count in (3, POSITIONS + 5):
        prompt = [(7 * place) % TOKENS for place in range(count)]
        quick, again = (
            list(generate(model, prompt, 20, generator=Generator(5), **options)) for _ in range(2)
        )
        assert quick == again == list(written_anew(model, prompt, 20, Generator(5), **options))
        assert len(set(quick)) > 1
    if options != OPTIONS["the likeliest"]:
        assert quick != list(generate(model, prompt, 20, generator=Generator(6), **options))


def test_tokens_come_one_by_one_until_the_last() -> None:
    model = model_of("gpt2")
    asked: list[int] = []
    step = model.step
    model.step = lambda tokens, past=None: (asked.append(tokens.shape[1]), step(tokens, past))[1]
    tokens = generate(model, [1, 2, 3], 10**6, temperature=0.0)
    first, second = next(tokens), next(tokens)
    assert asked == [3, 1]
    assert list(generate(model, [1, 2, 3], 50, temperature=0.0, stop=second)) == [first, second]


def test_what_generate_refuses() -> None:
    model = model_of("gpt2")
    for prompt in ([], [1.5]):
        with pytest.raises(ConfigurationError, match="prompt"):
            next(generate(model, prompt, 5))  # type: ignore[arg-type]
    with nnscratch.no_grad():
        model.transformer.ln_f.weight.fill_(float("nan"))
    for temperature in (0.0, 1.0):
        with pytest.raises(NonFiniteError, match="NaN behind 2 tokens"):
            next(generate(model, [1, 2], 5, temperature=temperature))
