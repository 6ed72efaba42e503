"""Hooks and tables of modules, and the count of all changes that a compiled step depends on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from nnscratch.array.named import NamedValues


class _Structure:
    """Counts every change of a module's attributes and hooks, in all modules together.

    Whoever keeps something that depends on them (a compiled plan) looks at this one number first.
    """

    changes = 0


structure = _Structure()


def _counted(name: str) -> Any:
    method = getattr(dict, name)

    def change(self: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        structure.changes += 1
        return method(self, *args, **kwargs)

    return change


class Table(dict[str, Any]):
    """Parameters, buffers or modules by name: whatever is done to it is another structure."""

    @property
    def computed(self) -> Collection[str]:
        """Names of the module's plain attributes that each call of it computes anew."""
        return ()

    __setitem__, __delitem__, __ior__ = (
        _counted(name) for name in ("__setitem__", "__delitem__", "__ior__")
    )
    pop, popitem, clear = (_counted(name) for name in ("pop", "popitem", "clear"))
    update, setdefault = (_counted(name) for name in ("update", "setdefault"))


class Hook(NamedValues):
    """A hook, and how it wants to be called."""

    function: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False

    def before(self, module: Any, inputs: Any, options: Any) -> tuple[Any, Any]:
        """Call it in front of a forward; return the inputs and keyword arguments from then on.

        Raises:
            TypeError: if it takes keyword arguments and returns no pair.
        """
        if not self.with_kwargs:
            changed = self.function(module, inputs)
            if changed is None:
                return inputs, options
            return (changed if isinstance(changed, tuple) else (changed,)), options
        changed = self.function(module, inputs, options)
        if changed is None:
            return inputs, options
        if not isinstance(changed, tuple) or len(changed) != 2:
            raise TypeError(
                "a forward pre-hook with keyword arguments returns None or (inputs, keyword "
                f"arguments), got {type(changed).__name__}"
            )
        return changed

    def after(self, module: Any, inputs: Any, options: Any, output: Any) -> Any:
        """Call it behind a forward; return the output from then on."""
        given = (inputs, options, output) if self.with_kwargs else (inputs, output)
        changed = self.function(module, *given)
        return output if changed is None else changed


class Hooks(list[Hook]):
    """A module's hooks in their order: more or fewer of them are another structure."""

    def add(self, hook: Hook, first: bool) -> None:
        """Put a hook at the end, or in front of all others."""
        structure.changes += 1
        self.insert(0 if first else len(self), hook)

    def remove(self, hook: Hook) -> None:
        """Take a hook away."""
        structure.changes += 1
        super().remove(hook)
