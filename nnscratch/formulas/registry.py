"""The one way to compute a formula: its implementation is chosen, and observers are told.

Which one computes is chosen in ``choosing``; who watches stands in ``observing``. What the rest of
the project needs of both is named here as well.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, asarray, same_device
from nnscratch.array.addresses import NOWHERE, on_device_of
from nnscratch.array.memory import explained
from nnscratch.formulas.choosing import (
    Implementation,
    KernelRefused,
    awaits,
    choose,
    entered,
    implement,
    implement_later,
    implementations,
    kernels_mode,
    plannable,
    use_kernels,
)
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
    "add_to",
    "awaits",
    "backward",
    "choose",
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

REFERENCE = "reference"
"""The name of the implementation that a formula itself is."""


def forward(formula: Formula, *inputs: Any, **options: Any) -> tuple[Any, Any]:
    """Compute a formula and return its output (a tuple of several) and what its backward needs.

    Raises:
        DeviceError: if the arrays live on two devices or belong to two libraries.
        ShapeError, DTypeError: as the formula says.
    """
    try:
        if len(inputs) > 1:
            _check_devices(formula, inputs)
        chosen = choose(formula, "forward", inputs, options)
        if chosen is not None:
            Y, saved = chosen.forward(*inputs, **options)
        elif (where := _device_of(inputs)) is NOWHERE:  # to enter it takes a tenth of a small call
            Y, saved = formula.forward(*inputs, **options)
        else:
            with where:
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
        chosen = choose(formula, "backward", given, {})
        made: tuple[Any, ...]
        if chosen is None:
            where = _device_of(given) if formula.outputs else on_device_of(dY)
            if where is NOWHERE:
                made = formula.backward(dY, saved, needs)
            else:
                with where:
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
    chosen = choose(formula, "update", inputs, options)
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
    if small and kernels_mode() == "auto" and not WATCHING.observers:
        target[...] = source
    else:
        update(FORMULAS["copy_into"], target, source)


def add_to(target: Any, source: Any) -> None:
    """Add an array to one of its shape, in place: the update ``accumulate``.

    Between two small arrays of NumPy the addition costs a tenth of the way through ``update``.
    """
    small = type(target) is type(source) is np.ndarray and target.size < _SMALL
    alike = small and target.shape == source.shape and target.dtype == source.dtype
    usual = alike and target.dtype.char in _ROUNDED_ONCE
    if usual and kernels_mode() == "auto" and not WATCHING.observers:
        with np.errstate(all="ignore"):
            np.add(target, source, out=target)
    else:
        update(FORMULAS["accumulate"], target, source)


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
_ROUNDED_ONCE = frozenset("fd")  # a formula says of 16-bit numbers how they are computed
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
