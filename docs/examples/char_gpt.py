"""A small GPT learns to write like Python's own help pages, one character after another.

Run it by `python docs/examples/char_gpt.py`. The text comes with Python: what `help()` shows of its
topics, about 465,000 characters; `--data FILE` takes another. The last tenth is not trained on.
"""

from __future__ import annotations

import argparse
import math
import pydoc_data.topics
import time
from collections.abc import Sequence

import numpy as np

import nnscratch
from nnscratch import nn, optim
from nnscratch.data import CharacterTokenizer, read_text
from nnscratch.models.generation import generate
from nnscratch.models.gpt2 import GPT2, GPT2Config
from nnscratch.nn import functional as F

BLOCK, BATCH = 64, 16


def sample(model: GPT2, tokenizer: CharacterTokenizer, prompt: str, length: int) -> str:
    """Let a model go on with a text, without dropout, and leave the model in training."""
    model.eval()
    made = list(generate(model, tokenizer.encode(prompt), length, temperature=0.8))
    model.train()
    return prompt + tokenizer.decode(made)


def help_pages() -> str:
    """Return what Python's `help()` shows of its topics."""
    topics = pydoc_data.topics.topics
    return "\n\n".join(topics[name].strip() for name in sorted(topics))


def train(
    epochs: float = 7.3,
    data: str | None = None,
    width: int = 128,
    layers: int = 4,
    say: bool = True,
) -> float:
    """Train a model, let it write, and return its bits a character on what it has not seen.

    Args:
        epochs: how often to go through the text, in windows that begin anywhere.
        data: a file with a text; None for Python's help.
        width: the size of a character's vector.
        layers: how many blocks the model has.
        say: whether to print a line and a sample every 500 steps.
    """
    nnscratch.manual_seed(0)
    text = help_pages() if data is None else read_text(data).text
    tokenizer = CharacterTokenizer.fit(text)
    tokens = tokenizer.encode(text).astype(np.int64)
    train_part, held_out = np.split(tokens, [len(tokens) * 9 // 10])
    steps = max(1, round(epochs * len(train_part) / (BLOCK * BATCH)))

    model = GPT2(GPT2Config(tokenizer.size, BLOCK, width, layers, n_head=4, dropout=0.1))
    optimizer = optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    random = np.random.default_rng(0)

    def batch(part: np.ndarray, starts: np.ndarray) -> tuple[nnscratch.Tensor, nnscratch.Tensor]:
        windows = part[starts[:, None] + np.arange(BLOCK + 1)]
        return nnscratch.tensor(windows[:, :-1]), nnscratch.tensor(windows[:, 1:])

    @nnscratch.compile
    def step(x: nnscratch.Tensor, y: nnscratch.Tensor) -> nnscratch.Tensor:
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    def bits(part: np.ndarray) -> float:
        model.eval()
        total, starts = 0.0, np.arange(0, len(part) - BLOCK - 1, BLOCK)
        with nnscratch.no_grad():
            for some in np.array_split(starts, max(1, len(starts) // 64)):
                x, y = batch(part, some)
                total += F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item() * len(some)
        model.train()
        return total / len(starts) / math.log(2)

    if say:
        count = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"{len(tokens):,} characters, {tokenizer.size} of them different; {count:,} parameters"
        )
    began, loss = time.perf_counter(), 0.0
    for number in range(1, steps + 1):
        x, y = batch(train_part, random.integers(0, len(train_part) - BLOCK - 1, BATCH))
        loss += float(step(x, y))
        schedule.step()
        if say and number % 500 == 0:
            seconds, mean = time.perf_counter() - began, loss / 500 / math.log(2)
            print(f"step {number}: {mean:.3f} bits a character in training, "
                  f"{bits(held_out):.3f} on what is held out, {seconds:.0f} s")  # fmt: skip
            print("    " + sample(model, tokenizer, "The ", 200).replace("\n", "\n    "))
            loss = 0.0
    return bits(held_out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="a text; by default what Python's help() shows")
    parser.add_argument("--epochs", type=float, default=7.3, help="(%(default)s)")
    given = parser.parse_args(arguments)
    print(f"{train(given.epochs, given.data):.3f} bits a character on what is held out")


if __name__ == "__main__":
    main()
