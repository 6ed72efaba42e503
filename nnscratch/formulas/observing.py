"""Observers of the calls that go through the registry: recorders, audits, logs, one per thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from nnscratch.formulas.formula import Formula

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that went through the registry, as an observer sees it.

    Attributes:
        formula: the formula.
        direction: "forward", "backward" or "update".
        implementation: the name of the implementation that ran, such as "reference" or "numba".
        inputs: the inputs of a forward or update; of a backward the gradients of all outputs,
            followed by what the forward saved.
        options: the keyword arguments.
        outputs: the outputs of a forward, the gradients of a backward, the updated inputs of an
            update.
        saved: what the forward saved for the backward.
        needs: for each input of the formula, whether the backward had to compute its gradient.
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
    """The base of observers; a subclass overrides the methods for the events that it needs.

    An observer is notified of the events of the thread in which ``observing`` was entered.

    Attributes:
        records: whether it records a step that will run again with other values, which Python
            must not read.
    """

    records: ClassVar[bool] = False

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

        It is "seen" when code checks whether it is None, as optimizers and clipping do.
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
    """Return a context in which an observer is notified of every call that this thread makes."""
    before = WATCHING.observers
    WATCHING.observers = (*before, observer)
    try:
        yield observer
    finally:
        WATCHING.observers = before


class CallLog(Observer):
    """An observer that records the implementation that ran for each call.

    Attributes:
        ran: (formula, direction, implementation) by name, for each call.

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
        """Record the call."""
        self.ran.append((call.formula.name, call.direction, call.implementation))


def observers() -> tuple[Observer, ...]:
    """Return the observers of this thread; usually there are none."""
    return WATCHING.observers


def is_recording() -> bool:
    """Say whether an observer records a step in which no value must be read."""
    return any(observer.records for observer in WATCHING.observers)


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
    """Notify the observers that code checks whether the gradients of leaves are None."""
    for observer in WATCHING.observers:
        for tensor in tensors:
            observer.on_gradient(tensor, "seen")


def host(produce: Callable[[], T]) -> T:
    """Return ``produce()``, which must run at every step: advance a counter, read a learning rate.

    In eager mode it is called once. A tracer keeps it and calls it again at every replay; the
    numbers that it returns are dynamic scalars then (``nnscratch.formulas.live``).
    """
    for observer in WATCHING.observers:
        produce = partial(observer.on_host, produce)
    return produce()
