"""Checks for what a saved preprocessing holds: anyone may have written the file it comes from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnscratch.errors import CheckpointError

# Far above any real model; it bounds what a hostile file can make this code compare and store.
MOST_ENTRIES = 10_000_000


def has_form(value: Any, name: str) -> bool:
    """Whether this is a dictionary that says it is a `name`."""
    return isinstance(value, Mapping) and value.get("form") == name


def record(value: Any, keys: Sequence[str], what: str) -> Mapping[str, Any]:
    """A dictionary with exactly these keys."""
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{what}: expected a dictionary, found {_short(value)}")
    missing = [key for key in keys if key not in value]
    unexpected = [key for key in value if key not in keys]
    if missing or unexpected:
        raise CheckpointError(
            f"{what}: expected the keys {', '.join(map(repr, keys))}; "
            f"missing: {_short(missing)}, unexpected: {_short(unexpected)}"
        )
    return value


def form(value: Any, name: str, version: int, keys: Sequence[str]) -> Mapping[str, Any]:
    """A dictionary with these keys that says it is a `name` of a version that this code reads."""
    if not has_form(value, name):
        found = value.get("form") if isinstance(value, Mapping) else value
        raise CheckpointError(f"expected a saved {name!r}, found {_short(found)}")
    if value.get("version") != version or isinstance(value.get("version"), bool):
        raise CheckpointError(
            f"{name}: version {_short(value.get('version'))} is unknown to this nnscratch, "
            f"which reads version {version}"
        )
    return record(value, ("form", "version", *keys), name)


def entries(value: Any, what: str) -> Sequence[Any]:
    """A list."""
    if not isinstance(value, (list, tuple)) or len(value) > MOST_ENTRIES:
        raise CheckpointError(f"{what}: expected a list, found {_short(value)}")
    return value


def text(value: Any, what: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise CheckpointError(f"{what}: expected text, found {_short(value)}")
    return value


def number(value: Any, what: str, *, positive: bool = False) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CheckpointError(f"{what}: expected a number, found {_short(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result) or (positive and result <= 0.0):
        wanted = "a positive finite number" if positive else "a finite number"
        raise CheckpointError(f"{what}: expected {wanted}, found {_short(value)}")
    return result


def unique(values: Sequence[Any], what: str) -> None:
    """No value twice."""
    if len(set(values)) != len(values):
        raise CheckpointError(f"{what}: the same value is listed twice")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
