"""Guesses at why two logs part, and what each is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = {
    "eps": "epsilon",
    "training": "mode",
    "approximate": "GELU form",
    "weight_decay": "weight decay",
    "decoupled_weight_decay": "weight decay",
    "momentum": "momentum form",
    "nesterov": "momentum form",
    "dampening": "momentum form",
    "lr": "learning rate",
    "label_smoothing": "label smoothing",
}
"""The names of causes by those of settings."""


@dataclass
class Cause:
    """Why two logs part.

    Attributes:
        kind: in a word or two: "epsilon", "layout", "transposed weight", "missing bias", "dtype",
            "momentum form", "weight decay", "mode", "GELU form", "label smoothing" and others.
        said: in a sentence.
        certain: whether computing with it gives the other's numbers.
    """

    kind: str
    said: str
    certain: bool = True


Guess = tuple[str, str, Any]
"""The kind of a cause, a sentence, and the numbers that it would give, None if it gives none."""


def changed(
    ours: dict[str, Any] | None, theirs: dict[str, Any] | None
) -> list[tuple[str, Any, Any]]:
    """Return the settings that both sides have with other values."""
    if not ours or not theirs:
        return []
    both = [name for name in ours if name in theirs and name != "class"]
    return [(name, ours[name], theirs[name]) for name in both if ours[name] != theirs[name]]
