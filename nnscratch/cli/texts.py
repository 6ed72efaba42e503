"""Reading a person's text: encoded, split, and the settings that fit it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.cli.settings import TEXT_MODELS, TrainingSettings
from nnscratch.data import (
    BytePairTokenizer,
    CharacterTokenizer,
    Tokenizer,
    read_text,
    split_text,
)
from nnscratch.errors import ConfigurationError
from nnscratch.train.architectures import Architecture
from nnscratch.train.language import (
    GPTArchitecture,
    LSTMArchitecture,
)

# Endings of files that are texts more often than tables.
_PROSE = (".txt", ".md", ".rst", ".text", ".txt.gz", ".tex")
# About so many steps are taken unless --epochs says otherwise.
_STEPS = 2500
Tokens = npt.NDArray[np.int32]

_NOT_FOR_TEXTS = (
    *("target", "task", "exclude", "separator", "hidden", "loss", "class_weight"),
    *("size", "augment"),
)


@dataclass
class PreparedText:
    """A text that is ready to train on.

    Args:
        name: what to call it.
        path: where it was found, from the root.
        tokenizer: what made its tokens, and will make those of prompts.
        train: the tokens to train on.
        validation: those to validate; None for none.
        test: those that are held out.
        fingerprint: what tells this text from others, for a run that goes on.
        notes: what was recognised or decided in reading it, a line each.
    """

    name: str
    path: str
    tokenizer: Tokenizer
    train: Tokens
    validation: Tokens | None
    test: Tokens
    fingerprint: str
    notes: tuple[str, ...]

    def sizes(self) -> dict[str, Any]:
        """What config.json keeps of it."""
        return {
            "name": self.name,
            "path": self.path,
            "kind": "text",
            "train": len(self.train),
            "validation": 0 if self.validation is None else len(self.validation),
            "test": len(self.test),
            "fingerprint": self.fingerprint,
        }


def prepare_text(settings: TrainingSettings, tokenizer: Tokenizer | None = None) -> PreparedText:
    """Read, encode and split the text that the settings name.

    Args:
        settings: those of the training.
        tokenizer: that of a run that goes on; None to make the one that the settings name.

    Raises:
        DataError: if the text cannot be read, or is too short.
        ConfigurationError: if a setting is not for texts.
    """
    for name in _NOT_FOR_TEXTS:
        if getattr(settings, name):
            raise ConfigurationError(
                f"--{name.replace('_', '-')} is not for texts: --model {settings.model} learns "
                "which character or token comes next; leave it out"
            )
    if not settings.data:
        raise ConfigurationError(
            f"name the text: `nnscratch train FILE.txt --model {settings.model}`"
        )
    file = read_text(settings.data)
    notes = [] if file.encoding == "UTF-8" else [f"the text is in {file.encoding}"]
    if file.compression:
        notes.append(f"unpacked ({file.compression})")
    made = tokenizer or make_tokenizer(settings, file.text)
    tokens = made.encode(file.text, file.source)
    parts = split_text(tokens, settings.block, settings.validation, settings.held_out, file.source)
    assert parts[2] is not None
    hashed = hashlib.blake2b(file.text.encode(), digest_size=16)
    hashed.update(json.dumps([len(part) for part in parts if part is not None]).encode())
    name = Path(settings.data).name.partition(".")[0] or "text"
    path = os.path.abspath(settings.data)
    return PreparedText(name, path, made, *parts[:2], parts[2], hashed.hexdigest(), tuple(notes))


def make_tokenizer(settings: TrainingSettings, text: str) -> Tokenizer:
    """Return the tokenizer that the settings name: "characters", "bpe", or a tokenizer.json.

    Raises:
        ConfigurationError: if it is none of these.
    """
    wanted = settings.tokenizer
    if wanted == "characters":
        return CharacterTokenizer.fit(text)
    if wanted == "bpe":
        return BytePairTokenizer.fit(text, settings.vocabulary)
    if wanted.endswith(".json"):
        return BytePairTokenizer.read(wanted)
    raise ConfigurationError(
        f"there is no tokenizer {wanted!r}: choose characters, bpe, or name a tokenizer.json"
    )


def resolve_text(settings: TrainingSettings, data: PreparedText) -> TrainingSettings:
    """Return the settings with a value, chosen to fit the text, for each that was None."""
    gpt = settings.model == "gpt"
    batch = settings.batch or 16
    steps = max(1, len(data.train) // (settings.block * batch * settings.accumulate))
    decided: dict[str, Any] = {
        "width": 128 if gpt else 256,
        "layers": 4 if gpt else 2,
        "dropout": 0.1,
        "lr": {"sgd": 0.5, "adadelta": 1.0}.get(settings.optimizer, 2e-3 if gpt else 4e-3),
        "weight_decay": 0.05 if settings.optimizer == "adamw" else 0.0,
        "epochs": min(max(1, round(_STEPS / steps)), 50),
        "batch": batch,
        "patience": 0,
        "clip_norm": 1.0,
        "test": settings.held_out,
    }
    return replace(settings, **{k: v for k, v in decided.items() if getattr(settings, k) is None})


def architecture_of(settings: TrainingSettings, vocabulary: int) -> Architecture:
    """Return the architecture that resolved settings describe.

    Raises:
        ConfigurationError: if its sizes do not fit one another.
    """
    kind = GPTArchitecture if settings.model == "gpt" else LSTMArchitecture
    names = [one.name for one in fields(kind) if one.name != "vocabulary"]
    return kind(vocabulary, **{name: getattr(settings, name) for name in names})


def default_prompt(tokenizer: Tokenizer) -> list[int]:
    """Return what a text begins with if nobody says: an empty line, or the first token."""
    if isinstance(tokenizer, CharacterTokenizer) and "\n" not in tokenizer.characters:
        return [0]
    return [int(one) for one in tokenizer.encode("\n")]


def refuse_prose(path: str) -> None:
    """Raise a ConfigurationError if a file without a target column is rather a text than a table.

    Raises:
        ConfigurationError: by the ending of its name.
    """
    if path.lower().endswith(_PROSE):
        raise ConfigurationError(
            f"{path}: to train a language model on this text, add --model gpt or --model "
            "char-lstm; if it is a table, say which column to predict with --target"
        )


def refuse_text_settings(settings: TrainingSettings) -> None:
    """Raise a ConfigurationError if settings of texts are given for another model.

    Raises:
        ConfigurationError: naming the first of them.
    """
    plain = TrainingSettings()
    for name in ("tokenizer", "vocabulary", "block", "width", "layers", "heads"):
        if getattr(settings, name) != getattr(plain, name):
            raise ConfigurationError(
                f"--{name} is for models of texts: add --model {' or --model '.join(TEXT_MODELS)}, "
                f"or leave --{name} out"
            )
