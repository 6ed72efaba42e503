"""What must still be as it was while recording, for a plan to be replayed.

A plan has no Python in it, so whatever the step's code would have looked at is looked at here:
the tensors and gradients that it used, its modules with their parameters, buffers, modes and plain
attributes, the names that its code refers to (in closures, globals, and on ``self``), and values
that it read out of tensors.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array import to_numpy
from nnscratch.nn.module import Module

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_TABLES = ("_parameters", "_buffers", "_modules")
HOOKS = ("_hooks", "_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def module_state(module: Module) -> tuple[Any, ...]:
    """Return what a plan depends on of a module, but for the values of its tensors.

    Numbers and texts stand there themselves, everything else by its identity.
    """
    own = module.__dict__
    tables = [tuple([(n, id(v)) for n, v in own[table].items()]) for table in _TABLES]
    hooks = [tuple(map(id, own[name])) for name in HOOKS]
    aside = {*_TABLES, *HOOKS, *own["_parameters"].computed}
    rest = [
        (name, value if _is_plain(value) else id(value))
        for name, value in own.items()
        if name not in aside
    ]
    return (*tables, *hooks, *rest)


def held_by(module: Module) -> list[Any]:
    """Return the objects whose identity is in a module's state: nobody else may get it."""
    own = module.__dict__
    inside = [list(own[table].values()) for table in _TABLES] + [list(own[name]) for name in HOOKS]
    return [*inside, list(own.values())]


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


class Read:
    """A value from outside that the step looked at in Python."""

    __slots__ = ("_array", "_bytes")

    def __init__(self, array: Any) -> None:
        """Keep the value as it is now."""
        self._array, self._bytes = array, to_numpy(array).tobytes()

    def holds(self) -> bool:
        """Say whether it is still the same."""
        return to_numpy(self._array).tobytes() == self._bytes
