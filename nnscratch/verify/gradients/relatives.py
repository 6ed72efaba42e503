"""Wrong gradients of a formula that learners often give for the right one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nnscratch.array import is_array
from nnscratch.array.integers import intp
from nnscratch.formulas import FORMULAS, Formula
from nnscratch.verify.gradients.faults import Fault, Kind
from nnscratch.verify.gradients.problem import Array

# What is applied to an array of a wrong answer to see whether it would be right; a power too many
# is taken back by its root.
TRANSFORMS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("a power of", np.square),
    ("a power of", lambda X: np.sqrt(np.abs(X))),
    ("a sign before", np.negative),
    ("the absolute value of", np.abs),
    ("the exponential of", np.exp),
    ("the logarithm of", np.log),
    ("a division by", np.reciprocal),
)


def transformed(kept: Any, names: Sequence[str]) -> Iterator[tuple[Fault, Any]]:
    """Yield what a forward kept with a function of one of its arrays, and that fault."""
    for name in names:
        array = getattr(kept, name, None)
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            continue
        for words, function in TRANSFORMS:
            fault = Fault(Kind.TRANSFORMED, name=name, needed=words)
            yield fault, kept._replace(**{name: function(array)})


def of_other_functions(
    formula: Formula, values: Sequence[Any], slot: int, dY: Any
) -> Iterator[tuple[Fault, Any]]:
    """Yield the gradients of formulas of the same inputs and shapes.

    Last come those of activations that are written with the output, such as the Y (1 - Y) of a
    sigmoid, with the output of this formula.
    """
    at_output = []
    loss = formula.public is not None and formula.public.kind == "loss"
    for other in tuple(FORMULAS.values()):
        theirs = other.public is not None and other.public.kind == "loss"
        alike = other.backward is not None and len(other.inputs) == len(formula.inputs)
        kin = (loss and theirs) or (
            not (loss or theirs) and _shapely(other) and _shapely(formula)
        )  # fmt: skip
        if other is formula or not (alike and kin) or other.outputs or _required(other):
            continue
        try:
            Y, saved = other.forward(*values)
            needs = tuple(place == slot for place in range(len(values)))
            if np.shape(Y) == np.shape(dY):
                assert other.backward is not None
                fault = Fault(Kind.ANOTHER_FUNCTION, name=other.name)
                yield fault, other.backward(dY, saved, needs)[slot]
                activates = other.public is not None and other.public.kind == "activation"
                if activates and formula.pointwise is not None and saved._fields == ("Y",):
                    ours = saved._replace(Y=formula.forward(*values)[0])
                    at_output.append((fault, other.backward(dY, ours, needs)[slot]))
        except Exception:  # another formula may refuse these inputs
            continue
    yield from at_output


def _shapely(formula: Formula) -> bool:
    """Say whether a formula gives one entry for each entry."""
    return formula.pointwise is not None or "softmax" in formula.name


def _required(formula: Formula) -> bool:
    parameters = inspect.signature(formula.forward).parameters
    return any(parameters[name].default is inspect.Parameter.empty for name in formula.options)


def along_other_axes(
    formula: Formula, saved: Any, slot: int, dY: Any, needs: tuple[bool, ...], ndim: int
) -> Iterator[tuple[Fault, Any]]:
    """Yield the formula's own gradient with other axes than those that its forward saved."""
    assert formula.backward is not None
    for field in ("axis", "axes"):
        held = getattr(saved, field, None)
        for axis in range(ndim):
            if held is None or axis in np.atleast_1d(held) % ndim:
                continue
            given = axis if isinstance(held, int) else (axis,)
            try:
                found = formula.backward(dY, saved._replace(**{field: given}), needs)[slot]
            except Exception:  # shapes need not fit along another axis
                continue
            yield Fault(Kind.WRONG_AXIS, axes=(axis,)), found


def diagonal(formula: Formula, saved: Any, slot: int, dY: Any, needs: tuple[bool, ...]) -> Any:
    """Return the gradient with the diagonal of the Jacobian alone."""
    assert formula.backward is not None
    found = np.zeros_like(dY)
    for index in np.ndindex(dY.shape):
        one = np.zeros_like(dY)
        one[index] = dY[index]
        found[index] = formula.backward(one, saved, needs)[slot][index]
    return found


def masks_in(kept: Any, shape: tuple[int, ...]) -> Iterator[tuple[Fault, Array]]:
    """Yield the masks and labels among the arrays that a forward kept."""
    return masks_among([(name, getattr(kept, name)) for name in kept._fields], shape)


def masks_among(
    named: Sequence[tuple[str, Any]], shape: tuple[int, ...]
) -> Iterator[tuple[Fault, Array]]:
    """Yield the masks, labels and indices among arrays, with where they would show, True there."""
    for name, array in named:
        array = getattr(array, "array", array)
        if not is_array(array):
            continue
        if array.shape == shape and np.isin(array, (0, 1)).all():
            yield Fault(Kind.MASK, name=name), array == 0
        if array.dtype.kind == "i" and array.ndim == 1 and shape and 0 < array.size:
            counts = np.bincount(intp(array[array >= 0]), minlength=shape[0])
            if counts.size == shape[0]:
                rows = np.broadcast_to((counts > 1).reshape(-1, *[1] * (len(shape) - 1)), shape)
                yield Fault(Kind.REPEATED, name=name), rows
        if array.dtype.kind == "i" and len(shape) == 2 and array.shape == shape[:1]:
            classes = np.arange(shape[1]) == array[:, None]
            yield Fault(Kind.LABELS, name=name), classes


def arrays_in(kept: Any, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of numbers that a forward kept and that broadcast to a shape."""
    for name in kept._fields:
        array = getattr(kept, name)
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.ndim:
            try:
                yield name, np.broadcast_to(array, shape)
            except ValueError:
                continue
