"""Which layer a formula runs in: an observer that follows the calls of modules."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.observing import Call, Observer


class LayerObserver(Observer):
    """Knows the path of the innermost module that is running, backwards included.

    A backward runs after its module has returned: its path is that of the forward which saved the
    same arrays.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[Any, str]] = []
        self._paths: dict[int, tuple[Any, str]] = {}

    def on_module(self, module: Any) -> None:
        """Go into a module."""
        path = ""
        if self._stack:
            parent, above = self._stack[-1]
            name = next((n for n, child in parent.named_modules() if child is module), "")
            path = ".".join(part for part in (above, name or type(module).__name__) if part)
        self._stack.append((module, path))

    def on_module_left(self, module: Any) -> None:
        """Come out of a module."""
        if self._stack and self._stack[-1][0] is module:
            self._stack.pop()

    def layer(self, call: Call) -> str:
        """Return in words where a call runs: the path of its layer and what that is, or ""."""
        if call.direction == "backward":
            held = self._paths.get(id(call.saved))
            return held[1] if held is not None and held[0] is call.saved else ""
        where = self._here()
        if call.direction == "forward" and call.formula.backward is not None:
            self._paths[id(call.saved)] = (call.saved, where)
        return where

    def _here(self) -> str:
        if not self._stack:
            return ""
        module, path = self._stack[-1]
        inner = any(True for _ in module.children())
        words = type(module).__name__ if inner else repr(module)
        return f"{path} ({words})" if path else words

    def forget(self) -> None:
        """Forget the forwards whose backwards are not wanted any more."""
        self._paths.clear()
