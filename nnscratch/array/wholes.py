"""Whole numbers among options: an array of no axes has ``__index__`` whatever its dtype is."""

from __future__ import annotations

import operator
from typing import Any

from nnscratch.errors import ConfigurationError


def as_index(value: Any) -> int | None:
    """Return a value as an integer, None if it is none (2.0 and an array of 2.0 are none)."""
    try:
        return operator.index(value)
    except TypeError:
        return None


def whole_number(said: str, value: Any, least: int | None = None) -> int:
    """Return a value as an integer.

    Args:
        said: what it is called in the error, as "Linear: in_features".
        value: an integer, or an array or a tensor with one.
        least: the smallest that it may be.

    Raises:
        ConfigurationError: if it is no integer, or less than ``least``.

    >>> whole_number("in_features", 3, 0)
    3
    """
    number = as_index(value)
    if number is None or (least is not None and number < least):
        bound = "" if least is None else f" from {least} on"
        raise ConfigurationError(f"{said} must be an integer{bound}, got {value!r}")
    return number
