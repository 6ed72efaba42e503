"""Whether operations are recorded for a backward pass: ``no_grad`` and its relatives."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _GradMode(threading.local):
    enabled = True


mode = _GradMode()


def is_grad_enabled() -> bool:
    """Say whether operations of this thread are recorded for a backward pass."""
    return mode.enabled


class _GradModeContext:
    """Sets the grad mode in a ``with`` block, or during calls of a function that it decorates."""

    wanted: bool

    def __enter__(self) -> None:
        # The same object may be entered again inside its own block: hence a stack of modes.
        before = self.__dict__.setdefault("_before", [])
        before.append(mode.enabled)
        mode.enabled = self.wanted

    def __exit__(self, *_: object) -> None:
        mode.enabled = self.__dict__["_before"].pop()

    def __call__(self, function: F) -> F:
        """Wrap a function so that it runs in this mode; a generator runs in it between yields."""
        if inspect.isgeneratorfunction(function):
            return _generator_in(self.wanted, function)  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            before, mode.enabled = mode.enabled, self.wanted
            try:
                return function(*args, **kwargs)
            finally:
                mode.enabled = before

        return wrapped  # type: ignore[return-value]


def _generator_in(wanted: bool, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a generator function whose body runs in a mode, without changing the caller's mode."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        running = function(*args, **kwargs)
        go_on, value = running.send, None
        while True:
            before, mode.enabled = mode.enabled, wanted
            try:
                made = go_on(value)
            except StopIteration as end:
                return end.value
            finally:
                mode.enabled = before
            try:
                value = yield made
                go_on = running.send
            except GeneratorExit:
                before, mode.enabled = mode.enabled, wanted
                try:
                    running.close()
                finally:
                    mode.enabled = before
                raise
            except BaseException as error:
                go_on, value = running.throw, error

    return wrapped


class set_grad_enabled(_GradModeContext):
    """Switch recording on or off, from the call on; as a ``with`` block or decorator, within it.

    >>> with set_grad_enabled(False):
    ...     is_grad_enabled()
    False
    >>> is_grad_enabled()
    True
    """

    def __init__(self, mode: bool) -> None:
        """Set the mode at once, as PyTorch does, and restore it when a ``with`` block ends."""
        self.wanted = bool(mode)
        self._found = is_grad_enabled()
        _set(self.wanted)

    def __enter__(self) -> None:
        self.__dict__.setdefault("_before", []).append(self._found)
        _set(self.wanted)

    def __call__(self, function: F) -> F:
        """Wrap a function so that it runs in this mode."""
        _set(self._found)
        return super().__call__(function)


def _set(enabled: bool) -> None:
    mode.enabled = enabled


class no_grad(_GradModeContext):
    """Switch recording off, for evaluation and for updates of parameters.

    Use it as a ``with`` block, or as a decorator with or without parentheses. Tensors computed
    within have ``requires_grad=False``.

    >>> @no_grad()
    ... def evaluate():
    ...     return is_grad_enabled()
    >>> evaluate()
    False
    """

    wanted = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Self:
        """Make the context, or wrap a function at once if it is written ``@no_grad``."""
        made = super().__new__(cls)
        return made if function is None else made(function)  # type: ignore[return-value]


class enable_grad(no_grad):
    """Switch recording on within a ``no_grad`` block; used in the same ways.

    >>> with no_grad(), enable_grad():
    ...     is_grad_enabled()
    True
    """

    wanted = True


class inference_mode(_GradModeContext):
    """Switch recording off, as ``no_grad`` does; with ``mode=False`` switch it on.

    Use it as a ``with`` block, or as a decorator with or without parentheses. A tensor that was
    computed within may take part in a graph later; PyTorch forbids that.

    >>> with inference_mode():
    ...     is_grad_enabled()
    False
    """

    def __new__(cls, mode: Any = True) -> Self:
        """Make the context, or wrap a function at once if it is written ``@inference_mode``."""
        made = super().__new__(cls)
        made.wanted = not mode
        return made(mode) if callable(mode) else made
