"""Functions whose text is made by the program, so that they are quick and can still be read."""

from __future__ import annotations

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
