"""What must still be as it was while recording, for a plan to be replayed.

A plan has no Python in it, so whatever the step's code would have looked at is looked at here:
the tensors and gradients that it used, its modules with their parameters, buffers, modes and plain
attributes, the names that its code refers to (in closures, globals, and on ``self``), and values
that it read out of tensors.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

from nnscratch.array import to_numpy
from nnscratch.nn.module import Module

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_TABLES = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_hooks", "_pre_hooks")


def module_state(module: Module) -> tuple[Any, ...]:
    """Return what a plan depends on of a module, but for the values of its tensors.

    Numbers and texts stand there themselves, everything else by its identity.
    """
    own = module.__dict__
    tables = [tuple([(n, id(v)) for n, v in own[table].items()]) for table in _TABLES]
    hooks = [tuple(map(id, own[name])) for name in _HOOKS]
    rest = [
        (name, value if _is_plain(value) else id(value))
        for name, value in own.items()
        if name not in _TABLES and name not in _HOOKS
    ]
    return (*tables, *hooks, *rest)


def held_by(module: Module) -> list[Any]:
    """Return the objects whose identity is in a module's state: nobody else may get it."""
    own = module.__dict__
    inside = [list(own[table].values()) for table in _TABLES] + [list(own[name]) for name in _HOOKS]
    return [*inside, list(own.values())]


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


class Names:
    """The objects that a function's code refers to by names that are not its own."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Look up what stands behind every name now."""
        self._tables: list[tuple[dict[str, Any], str, Any]] = []
        self._cells: list[tuple[Any, Any]] = []
        for inner, owner in _functions(function):
            for cell in inner.__closure__ or ():
                try:
                    self._cells.append((cell, cell.cell_contents))
                except ValueError:  # a name that has no value yet
                    pass
            names = set(_names(inner.__code__))
            tables = [inner.__globals__]
            if not isinstance(owner, Module) and hasattr(owner, "__dict__"):
                tables.append(owner.__dict__)
            for table in tables:
                for name in names & table.keys():
                    if not isinstance(table[name], types.ModuleType):
                        self._tables.append((table, name, table[name]))

    def hold(self) -> bool:
        """Say whether every name still stands for what it stood for."""
        for table, name, value in self._tables:
            now = table.get(name)
            if now is not value and not _equal(now, value):
                return False
        for cell, value in self._cells:
            now = cell.cell_contents
            if now is not value and not _equal(now, value):
                return False
        return True


def _equal(now: Any, value: Any) -> bool:
    return type(now) is type(value) and isinstance(value, _PLAIN) and bool(now == value)


def _functions(function: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the Python functions behind something that can be called, with their ``self``."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, Module):
        yield from _functions(function.forward)
    elif isinstance(function, types.MethodType):
        if isinstance(function.__func__, types.FunctionType):
            yield function.__func__, function.__self__
    elif isinstance(function, types.FunctionType):
        yield function, None
        if (wrapped := getattr(function, "__wrapped__", None)) is not None:
            yield from _functions(wrapped)
    elif isinstance(made := vars(type(function)).get("__call__"), types.FunctionType):
        yield made, function


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


class Read:
    """A value from outside that the step looked at in Python."""

    __slots__ = ("_array", "_bytes")

    def __init__(self, array: Any) -> None:
        """Keep the value as it is now."""
        self._array, self._bytes = array, to_numpy(array).tobytes()

    def holds(self) -> bool:
        """Say whether it is still the same."""
        return to_numpy(self._array).tobytes() == self._bytes
