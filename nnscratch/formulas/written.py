"""Functions whose text is made by the program, so that they are quick and can still be read."""

from __future__ import annotations

import functools
import itertools
import linecache
from collections.abc import Callable
from inspect import CO_VARARGS, Signature
from typing import Any, NamedTuple

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


class Parameters(NamedTuple):
    """The names of a function's parameters.

    Attributes:
        inputs: those that may be given by position.
        variadic: that of any number of them, empty if there is none.
        options: the keyword-only ones.
        defaults: the defaults of those that have one.
    """

    inputs: tuple[str, ...]
    variadic: tuple[str, ...]
    options: tuple[str, ...]
    defaults: dict[str, Any]


def parameters(function: Callable[..., Any]) -> Parameters:
    """Return the parameters of a function that is written out, without wrappers.

    ``inspect.signature`` says the same in 20 times the time, which all formulas together make half
    of an import.

    >>> parameters(written("f", ["def f(x, y=2, *, z): return x"], {}))
    Parameters(inputs=('x', 'y'), variadic=(), options=('z',), defaults={'y': 2})
    """
    told = getattr(function, "__signature__", None)
    if told is not None:
        return _told(told)
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None:
        return parameters(wrapped)
    code = function.__code__
    first, all_named = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames
    inputs = names[:first]
    defaults = function.__defaults__ or ()
    found = dict(zip(inputs[first - len(defaults) :], defaults, strict=True))
    found |= function.__kwdefaults__ or {}
    variadic = names[all_named : all_named + 1] if code.co_flags & CO_VARARGS else ()
    return Parameters(inputs, variadic, names[first:all_named], found)


def _told(signature: Signature) -> Parameters:
    known = signature.parameters.values()
    return Parameters(
        tuple(p.name for p in known if p.kind is p.POSITIONAL_OR_KEYWORD),
        tuple(p.name for p in known if p.kind is p.VAR_POSITIONAL),
        tuple(p.name for p in known if p.kind is p.KEYWORD_ONLY),
        {p.name: p.default for p in known if p.default is not p.empty},
    )


def lazily(make: Callable[[], Callable[..., Any]], like: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is made when it is first called; till then it looks like another one.

    >>> lazily(lambda: written("twice", ["def twice(x):", "    return 2 * x"], {}), abs)(3)
    6
    """
    made: list[Callable[..., Any]] = []

    def now() -> Callable[..., Any]:
        if not made:
            made.append(make())
        return made[0]

    @functools.wraps(like)
    def first(*inputs: Any, **options: Any) -> Any:
        return now()(*inputs, **options)

    first.now = now  # type: ignore[attr-defined]
    return first


def resolved(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function itself, where ``lazily`` has put it off."""
    now = getattr(function, "now", None)
    return function if now is None else resolved(now())
