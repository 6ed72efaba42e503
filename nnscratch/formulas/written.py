"""Functions whose text is made by the program, so that they are quick and can still be read."""

from __future__ import annotations

import functools
import itertools
import linecache
from collections.abc import Callable
from typing import Any

_numbers = itertools.count()


def written(name: str, lines: list[str], scope: dict[str, Any]) -> Callable[..., Any]:
    """Return the function of that name that some lines of Python define.

    Debuggers and tracebacks show its lines.

    >>> written("twice", ["def twice(x):", "    return 2 * x"], {})(3)
    6
    """
    text = "\n".join(lines) + "\n"
    file = f"<{name} {next(_numbers)}, written by nnscratch>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), scope)
    made: Callable[..., Any] = scope[name]
    return made


def lazily(make: Callable[[], Callable[..., Any]], like: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is made when it is first called; till then it looks like another one.

    >>> lazily(lambda: written("twice", ["def twice(x):", "    return 2 * x"], {}), abs)(3)
    6
    """
    now = functools.cache(make)

    @functools.wraps(like)
    def first(*inputs: Any, **options: Any) -> Any:
        return now()(*inputs, **options)

    first.now = now  # type: ignore[attr-defined]
    return first


def resolved(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function itself, where ``lazily`` has put it off."""
    now = getattr(function, "now", None)
    return function if now is None else resolved(now())
