"""Which calls of formulas that only move values have sizes that fit, on any device."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.addresses import address, shares_memory

Inputs = tuple[Any, ...]
Options = dict[str, Any]


def reshaped(A: Any, options: Options) -> tuple[int, ...]:
    """Return the shape that ``reshape`` makes of A, -1 in the option being what is left."""
    shape: tuple[int, ...] = np.empty(A.shape, np.uint8).reshape(options["shape"]).shape
    return shape


def why_not_reshape(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a forward of ``reshape``, or None."""
    try:
        reshaped(inputs[0], options)
    except (ValueError, TypeError):
        return "the shape does not fit"
    return None


def why_not_concatenate(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a forward of ``concatenate``, or None."""
    first, axis = inputs[0], options.get("axis", 0)
    if not -first.ndim <= axis < first.ndim:
        return "there is no such axis"
    axis %= first.ndim
    for one in inputs:
        if one.dtype != first.dtype:
            return f"{one.dtype} meets {first.dtype}"
        rest = (*one.shape[:axis], *one.shape[axis + 1 :])
        if rest != (*first.shape[:axis], *first.shape[axis + 1 :]) or one.ndim != first.ndim:
            return "the shapes do not fit"
    return None


def why_not_stack(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a forward of ``stack``, or None."""
    first, axis = inputs[0], options.get("axis", 0)
    if not -first.ndim - 1 <= axis <= first.ndim:
        return "there is no such axis"
    same = all(one.shape == first.shape and one.dtype == first.dtype for one in inputs)
    return None if same else "the shapes or dtypes differ"


def why_not_assign(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes an update of ``copy_into`` or ``accumulate``, or None."""
    target, source = inputs
    if not hasattr(source, "dtype") or source.shape != target.shape:
        return "target and source differ in shape"
    if source.dtype != target.dtype:
        return "target and source differ in dtype"
    same = address(source) == address(target) and source.strides == target.strides
    return None if same or not shares_memory(source, target) else "target and source overlap"


def never_alone(direction: str, inputs: Inputs) -> bool:
    """Say that a single call is not quicker than the array library's: values only move."""
    return False
