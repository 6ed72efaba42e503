"""Dynamic scalars: numbers that may change at every step, such as a learning rate or step count.

In eager mode they are plain Python numbers. While a step is traced they are of the types here, so
that the tracer can tell them from constants: a replay calls the host function that produced a
dynamic scalar again, whereas a constant is frozen into the trace. Arithmetic on a dynamic scalar
gives a plain number, which would be frozen; so it is passed to a formula as an option, unchanged.
"""

from __future__ import annotations

from typing import Any


class LiveFloat(float):
    """A dynamic scalar of type float.

    Attributes:
        event: the number of the host function, in the trace, whose result it is a part of.
        key: its index or key in that result.
    """

    event: int
    key: Any

    def __new__(cls, value: float, event: int, key: Any) -> LiveFloat:
        """Make a live float of a value."""
        made = super().__new__(cls, value)
        made.event, made.key = event, key
        return made


class LiveInt(int):
    """A dynamic scalar of type int.

    Attributes:
        event: the number of the host function, in the trace, whose result it is a part of.
        key: its index or key in that result.
    """

    event: int
    key: Any

    def __new__(cls, value: int, event: int, key: Any) -> LiveInt:
        """Make a live integer of a value."""
        made = super().__new__(cls, value)
        made.event, made.key = event, key
        return made


def live(value: Any, event: int) -> Any:
    """Return the result of a host function, a tuple or dictionary, with its numbers dynamic."""
    if isinstance(value, dict):
        return {key: _mark(item, event, key) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_mark(item, event, index) for index, item in enumerate(value))
    return value


def split_live(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the constant options, and the dynamic scalars among the options.

    >>> split_live({"eps": 1e-8, "lr": LiveFloat(0.5, 0, "lr")})
    ({'eps': 1e-08}, {'lr': 0.5})
    """
    live = {k: v for k, v in options.items() if is_dynamic(v)}
    return {k: v for k, v in options.items() if k not in live}, live


def is_dynamic(value: Any) -> bool:
    """Say whether a value is a dynamic scalar."""
    return isinstance(value, (LiveFloat, LiveInt))


def is_live(value: Any) -> bool:
    """Say whether a value may become a dynamic scalar: a number may, a bool or a string may not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _mark(value: Any, event: int, key: Any) -> Any:
    if not is_live(value):
        return value
    if isinstance(value, int):
        return LiveInt(value, event, key)
    return LiveFloat(value, event, key)
