"""Options of PyTorch's that say how memory is laid out, of which there is one way here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_OF_MEMORY = ("memory_format", "pin_memory")


def with_memory_options(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that makes a tensor take ``memory_format`` and ``pin_memory`` by name.

    They change nothing: elements are in row-major order, and a copy to a GPU waits until it is
    done, from any memory.

    >>> with_memory_options(lambda n: n + 1)(2, pin_memory=True)
    3
    """

    @functools.wraps(function)
    def accepting(*args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs:
            for name in _OF_MEMORY:
                kwargs.pop(name, None)
        return function(*args, **kwargs)

    return accepting
