"""Numbers that may change at every step: a learning rate, a step count, a random counter.

Eagerly they are plain Python numbers. While a plan records they are of these types, so that the
recorder can tell a value that it must ask for again from a constant. Arithmetic on them gives a
plain number, which would be frozen; a formula therefore takes them as options just as they come.
"""

from __future__ import annotations

from typing import Any


class LiveFloat(float):
    """A float that knows which entry of which host event produced it."""

    event: int
    key: Any

    def __new__(cls, value: float, event: int, key: Any) -> LiveFloat:
        """Make a live float of a value."""
        made = super().__new__(cls, value)
        made.event, made.key = event, key
        return made


class LiveInt(int):
    """An integer that knows which entry of which host event produced it."""

    event: int
    key: Any

    def __new__(cls, value: int, event: int, key: Any) -> LiveInt:
        """Make a live integer of a value."""
        made = super().__new__(cls, value)
        made.event, made.key = event, key
        return made


def live(value: Any, event: int) -> Any:
    """Mark every number of a tuple or dictionary that a host event produced."""
    if isinstance(value, dict):
        return {key: _mark(item, event, key) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_mark(item, event, index) for index, item in enumerate(value))
    return value


def split_live(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that stay as they are, and the live ones.

    >>> split_live({"eps": 1e-8, "lr": LiveFloat(0.5, 0, "lr")})
    ({'eps': 1e-08}, {'lr': 0.5})
    """
    live = {k: v for k, v in options.items() if isinstance(v, (LiveFloat, LiveInt))}
    return {k: v for k, v in options.items() if k not in live}, live


def is_live(value: Any) -> bool:
    """Say whether a value may change from step to step: a number may, a choice may not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _mark(value: Any, event: int, key: Any) -> Any:
    if not is_live(value):
        return value
    if isinstance(value, int):
        return LiveInt(value, event, key)
    return LiveFloat(value, event, key)
