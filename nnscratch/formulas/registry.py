"""The one place that decides which implementation of a formula runs, and that observers watch.

A reference formula is always there. An implementation (a kernel) declares what it accepts; the
registry asks it, and falls back to the reference. Nothing else in the project chooses.

``NNSCRATCH_KERNELS`` is ``auto`` (a kernel where it accepts the arrays), ``off`` (the reference
everywhere) or ``require`` (an error where a formula has a kernel for this library that refuses).
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np

from nnscratch.array import array_namespace, asarray, same_device
from nnscratch.array.addresses import NOWHERE, on_device_of
from nnscratch.array.memory import explained
from nnscratch.errors import ConfigurationError, NNScratchError
from nnscratch.formulas.formula import FORMULAS, Formula
from nnscratch.formulas.observing import (
    WATCHING,
    Call,
    CallLog,
    Observer,
    host,
    is_recording,
    notify_copied,
    notify_create,
    notify_move,
    notify_read,
    notify_seen,
    observers,
    observing,
)

__all__ = [
    "REFERENCE",
    "Call",
    "CallLog",
    "Implementation",
    "KernelRefused",
    "Observer",
    "awaits",
    "backward",
    "chosen",
    "entered",
    "forward",
    "host",
    "implement",
    "implement_later",
    "implementations",
    "is_recording",
    "kernels_mode",
    "note_update",
    "notify_copied",
    "notify_create",
    "notify_move",
    "notify_read",
    "notify_seen",
    "observers",
    "observing",
    "plannable",
    "update",
    "use_kernels",
    "write",
]

MODES = ("auto", "off", "require")
REFERENCE = "reference"


class Implementation(Protocol):
    """A faster way to compute a formula: same inputs, same outputs, same ``saved``.

    ``refuses`` returns None if it can take these arrays, or the reason why not, and ``worthwhile``
    whether a single call pays: that depends on sizes only, so a run repeats. ``direction`` is
    "forward", "backward" or "update"; for "backward" the inputs are ``(dY, *saved)``, of a formula
    with several outputs ``(*dY, *saved)``.
    """

    @property
    def name(self) -> str:
        """The name of the implementation: "numba" or "cuda"."""

    @property
    def library(self) -> str:
        """Whose arrays it is for: "numpy" or "cupy"."""

    def refuses(
        self, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> str | None:
        """Return the reason for which it cannot take the arrays, or None."""

    def worthwhile(self, direction: str, inputs: tuple[Any, ...]) -> bool:
        """Say by their sizes alone whether taking the arrays is quicker than the reference."""

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute what the formula's forward computes."""

    def backward(self, dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Compute what the formula's backward computes."""

    def update(self, *inputs: Any, **options: Any) -> None:
        """Write the new values straight into the inputs that the formula updates."""


class KernelRefused(NNScratchError, RuntimeError):
    """In mode ``require``: a kernel that was wanted did not accept the arrays."""


_implementations: dict[str, list[Implementation]] = {}
_later: dict[str, Callable[[], Mapping[str, Implementation]]] = {}
_entering = threading.RLock()
_libraries: dict[type, str] = {}


def _checked_mode(mode: str) -> str:
    if mode not in MODES:
        raise ConfigurationError(
            f"NNSCRATCH_KERNELS must be one of {', '.join(MODES)}; got {mode!r}"
        )
    return mode


_mode = _checked_mode(os.environ.get("NNSCRATCH_KERNELS", "auto"))


def kernels_mode() -> str:
    """Return which kernels may run: "auto", "off" or "require"."""
    return _mode


@contextmanager
def use_kernels(mode: str) -> Iterator[None]:
    """Set for the block, in all threads, which kernels may run.

    >>> with use_kernels("off"):
    ...     kernels_mode()
    'off'
    """
    global _mode
    before, _mode = _mode, _checked_mode(mode)
    try:
        yield
    finally:
        _mode = before


def implement(name: str, implementation: Implementation) -> None:
    """Enter an implementation of the formula of that name, to be asked before earlier ones.

    Raises:
        ConfigurationError: if there is no such formula; a kernel always has a reference.
    """
    if name not in FORMULAS:
        raise ConfigurationError(f"no formula is named {name!r}: a kernel implements a formula")
    _implementations.setdefault(name, []).insert(0, implementation)


def implement_later(library: str, make: Callable[[], Mapping[str, Implementation]]) -> None:
    """Enter implementations by their formulas' names when arrays of that library first meet one.

    There are many of them, and their files take longer to load than the formulas. They are asked
    after those that ``implement`` has entered by then.
    """
    _later[library] = make


def awaits(library: str) -> bool:
    """Say whether there are implementations for arrays of that library still to be entered."""
    return library in _later


def _enter(library: str) -> None:
    with _entering:  # another thread that needs them too waits until all are there
        if library in _later:
            for name, implementation in _later[library]().items():
                _implementations.setdefault(name, []).append(implementation)
            del _later[library]


def entered() -> dict[str, list[Implementation]]:
    """Return the implementations of all formulas, by name; those that waited are entered first."""
    for library in tuple(_later):
        _enter(library)
    return _implementations


def implementations(name: str) -> tuple[Implementation, ...]:
    """Return the implementations of a formula besides its reference."""
    return tuple(entered().get(name, ()))


def _choose(
    formula: Formula, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Implementation | None:
    if _mode == "off":
        return None
    library = "numpy" if inputs and type(inputs[0]) is np.ndarray else _library(inputs)
    if library in _later:
        _enter(library)
    candidates = _implementations.get(formula.name)
    if candidates is None:
        return None
    refusals = []
    for candidate in candidates:
        if candidate.library != library:
            continue
        if _mode == "auto" and not candidate.worthwhile(direction, inputs):
            continue
        refusal = candidate.refuses(direction, inputs, options)
        if refusal is None:
            return candidate
        refusals.append(f"{candidate.name}: {refusal}")
    if _mode == "require" and refusals:
        raise KernelRefused(
            f"NNSCRATCH_KERNELS=require, but no kernel takes the {direction} of {formula.name}: "
            + "; ".join(refusals)
        )
    return None


def _library(inputs: tuple[Any, ...]) -> str | None:
    """Return whose arrays a call was given, None if there are none."""
    for item in inputs:
        kind = type(item)
        library = _libraries.get(kind)
        if library is None:
            module = kind.__module__.partition(".")[0] if hasattr(item, "dtype") else ""
            library = _libraries[kind] = module
        if library:
            return library
    return None


def chosen(
    formula: Formula, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Implementation | None:
    """Return the implementation that such a call would take, None for the reference."""
    return _choose(formula, direction, inputs, options)


def plannable(
    formula: Formula, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """Return the implementation that can lower such a call into a plan's instructions, or None.

    Inside a plan a kernel costs no dispatch, so it need not be worthwhile by itself.
    """
    if _mode == "off":
        return None
    library = _library(inputs)
    if library in _later:
        _enter(library)
    for candidate in _implementations.get(formula.name, ()):
        if candidate.library != library or not hasattr(candidate, "lower"):
            continue
        if candidate.refuses(direction, inputs, options) is None:
            return candidate
    return None


def forward(formula: Formula, *inputs: Any, **options: Any) -> tuple[Any, Any]:
    """Compute a formula and return its output (a tuple of several) and what its backward needs.

    Raises:
        DeviceError: if the arrays live on two devices or belong to two libraries.
        ShapeError, DTypeError: as the formula says.
    """
    try:
        if len(inputs) > 1:
            _check_devices(formula, inputs)
        chosen = _choose(formula, "forward", inputs, options)
        if chosen is not None:
            Y, saved = chosen.forward(*inputs, **options)
        else:
            with _device_of(inputs):
                Y, saved = formula.forward(*inputs, **options)
    except Exception as error:
        raise _failed(error, formula, "forward", inputs) from error.__cause__
    Y = tuple(map(asarray, Y)) if formula.outputs else asarray(Y)
    for observer in WATCHING.observers:
        name = REFERENCE if chosen is None else chosen.name
        made = Y if formula.outputs else (Y,)
        observer.on_call(Call(formula, "forward", name, inputs, options, made, saved))
    return Y, saved


def backward(
    formula: Formula,
    dY: Any,
    saved: Any,
    needs: tuple[bool, ...],
    into: tuple[Any, ...] = (),
) -> tuple[Any, ...]:
    """Return the gradients of a formula's inputs, None for inputs that ``needs`` excludes.

    Args:
        formula: the formula.
        dY: the gradient of its output; for several outputs a tuple with a gradient, or None, for
            each.
        saved: what the forward saved.
        needs: for each input, whether its gradient is needed.
        into: for each input an array or None. An implementation may write the gradient into that
            array and return the array itself.
    """
    assert formula.backward is not None
    given = (*dY, *saved) if formula.outputs else (dY, *saved)
    try:
        chosen = _choose(formula, "backward", given, {})
        made: tuple[Any, ...]
        if chosen is None:
            with on_device_of(dY) if not formula.outputs else _device_of(given):
                made = formula.backward(dY, saved, needs)
        elif into and hasattr(chosen, "backward_into"):
            made = chosen.backward_into(into, dY, saved, needs)
        else:
            made = chosen.backward(dY, saved, needs)
        gradients = tuple([None if one is None else asarray(one) for one in made])
    except Exception as error:
        raise _failed(error, formula, "backward", given) from error.__cause__
    for observer in WATCHING.observers:
        name = REFERENCE if chosen is None else chosen.name
        observer.on_call(Call(formula, "backward", name, given, {}, gradients, saved, needs))
    return gradients


def _failed(
    error: Exception, formula: Formula, direction: str, inputs: tuple[Any, ...]
) -> Exception:
    """Notify the observers of a failure, and return the error, explained if it is out of memory."""
    for observer in WATCHING.observers:
        observer.on_failure(formula, direction, inputs)
    return explained(error, formula.name) if isinstance(error, MemoryError) else error


def update(formula: Formula, *inputs: Any, **options: Any) -> None:
    """Compute a formula that updates state, in place: write its results into the updated inputs."""
    _check_devices(formula, inputs)
    # Trailing inputs may be left out: an optimizer without momentum keeps no buffer for it.
    targets = tuple([inputs[i] if i < len(inputs) else None for i in _places(formula)])
    chosen = _choose(formula, "update", inputs, options)
    if chosen is None:
        with _device_of(inputs):
            results = formula.forward(*inputs, **options)
            for target, result in zip(targets, results, strict=True):
                if target is not None:
                    target[...] = result
    else:
        chosen.update(*inputs, **options)
    for observer in WATCHING.observers:
        name = REFERENCE if chosen is None else chosen.name
        observer.on_call(Call(formula, "update", name, inputs, options, targets, None))


def write(target: Any, source: Any) -> None:
    """Copy an array into one of its shape and dtype, in place: the update ``copy_into``.

    Between two small arrays of NumPy the assignment costs a tenth of the way through ``update``.
    """
    small = type(target) is type(source) is np.ndarray and target.size < _SMALL
    if small and _mode == "auto" and not WATCHING.observers:
        target[...] = source
    else:
        update(FORMULAS["copy_into"], target, source)


def note_update(formula: Formula, *inputs: Any) -> None:
    """Report an update to the observers without running it.

    It is for a caller that has already written the updated values into the inputs, so that a
    recording contains the same update as if the formula had run.
    """
    targets = tuple([inputs[i] for i in _places(formula)])
    for observer in WATCHING.observers:
        observer.on_call(Call(formula, "update", REFERENCE, inputs, {}, targets, None))


@functools.cache
def _places(formula: Formula) -> tuple[int, ...]:
    """Return the positions among a formula's inputs of those that it updates."""
    return tuple(map(formula.inputs.index, formula.updates))


_SMALL = 1 << 15  # below it no kernel pays
_ON_THE_CPU = frozenset({np.ndarray, type(None), bool, int, float, complex})


def _check_devices(formula: Formula, inputs: tuple[Any, ...]) -> None:
    # One NumPy: one device. The full check is for libraries that have several.
    for array in inputs:
        if type(array) not in _ON_THE_CPU:
            break
    else:
        return
    names = formula.inputs
    if len(names) < len(inputs):
        names = tuple(f"{names[0]}[{index}]" for index in range(len(inputs)))
    same_device(formula.name, **dict(zip(names, inputs, strict=False)))
    array_namespace(*inputs)


def _device_of(inputs: tuple[Any, ...]) -> AbstractContextManager[Any]:
    """Return a context in which the GPU of the inputs is current, as CuPy's operations require."""
    for array in inputs:
        if type(array) is np.ndarray:
            return NOWHERE
        if type(array) not in _ON_THE_CPU:
            return on_device_of(array)
    return NOWHERE
