"""Who watches what goes through the registry: recorders, audits, logs, each in its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from nnscratch.formulas.formula import Formula

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that went through the registry, as an observer sees it.

    ``outputs`` are those of a forward, the gradients of a backward, the updated inputs of an
    update. ``saved`` is what the forward left for the backward, whose ``inputs`` are the gradients
    of all outputs and, behind them, what was saved.
    """

    formula: Formula
    direction: str
    implementation: str
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    outputs: tuple[Any, ...]
    saved: Any
    needs: tuple[bool, ...] = ()


class Observer:
    """What may watch the calls of its thread; a subclass overrides what it wants to see."""

    def on_call(self, call: Call) -> None:
        """Called after every forward, backward and update."""

    def on_failure(self, formula: Formula, direction: str, inputs: tuple[Any, ...]) -> None:
        """Called when a forward or a backward raised."""

    def on_read(self, array: Any, what: str) -> None:
        """Called when Python reads a value out of an array (``item()``, a branch, ``numpy()``)."""

    def on_move(self, array: Any, device: str) -> None:
        """Called when a tensor is moved to another device."""

    def on_create(self, array: Any, what: str) -> None:
        """Called when an array is made from Python values inside the observed code."""

    def on_copied(self, array: Any) -> None:
        """Called when the values of an array that is no tensor's are copied into a tensor."""

    def on_inputs(self, inputs: tuple[Any, ...]) -> None:
        """Called with the tensors, arrays and numbers that a formula is about to be applied to."""

    def on_module(self, module: Any, inputs: tuple[Any, ...]) -> None:
        """Called when a module is called."""

    def on_module_left(self, module: Any, output: Any) -> None:
        """Called when a module that was called returns or raises; the output is None then."""

    def on_gradient(self, tensor: Any, what: str) -> None:
        """Called before a leaf's gradient is "cleared", "zeroed", "added" to, or "seen".

        It is seen where somebody looks whether there is one, as optimizers and clipping do.
        """

    def on_host(self, produce: Callable[[], Any]) -> Any:
        """Called for Python work that must happen at every step; returns what it produced."""
        return produce()


class _Watching(threading.local):
    def __init__(self) -> None:
        self.observers: tuple[Observer, ...] = ()


WATCHING = _Watching()


@contextmanager
def observing(observer: Observer) -> Iterator[Observer]:
    """Let an observer watch every call that this thread makes in the block."""
    before = WATCHING.observers
    WATCHING.observers = (*before, observer)
    try:
        yield observer
    finally:
        WATCHING.observers = before


class CallLog(Observer):
    """An observer that keeps which implementation ran for each call.

    >>> import numpy as np
    >>> from nnscratch.formulas import RELU, registry
    >>> with observing(CallLog()) as log:
    ...     _ = registry.forward(RELU, np.ones(2))
    >>> log.ran
    [('relu', 'forward', 'reference')]
    """

    def __init__(self) -> None:
        self.ran: list[tuple[str, str, str]] = []

    def on_call(self, call: Call) -> None:
        """Note the call."""
        self.ran.append((call.formula.name, call.direction, call.implementation))


def observers() -> tuple[Observer, ...]:
    """Return who watches this thread; mostly nobody."""
    return WATCHING.observers


def notify_read(array: Any, what: str) -> None:
    """Tell the observers that Python reads a value out of an array."""
    for observer in WATCHING.observers:
        observer.on_read(array, what)


def notify_move(array: Any, device: str) -> None:
    """Tell the observers that an array moves to another device."""
    for observer in WATCHING.observers:
        observer.on_move(array, device)


def notify_create(array: Any, what: str) -> None:
    """Tell the observers that an array was made from Python values."""
    for observer in WATCHING.observers:
        observer.on_create(array, what)


def notify_copied(array: Any) -> None:
    """Tell the observers that the values of an array were copied into a tensor."""
    for observer in WATCHING.observers:
        observer.on_copied(array)


def notify_seen(tensors: Iterable[Any]) -> None:
    """Tell the observers that somebody looks whether leaves have gradients."""
    for observer in WATCHING.observers:
        for tensor in tensors:
            observer.on_gradient(tensor, "seen")


def host(produce: Callable[[], T]) -> T:
    """Do Python work that belongs to every step (advance a counter, read a learning rate).

    Eagerly it just runs. A recorder keeps ``produce`` and runs it again at every replay, and
    returns numbers that it can tell from constants (``nnscratch.formulas.live``).
    """
    for observer in WATCHING.observers:
        produce = partial(observer.on_host, produce)
    return produce()
