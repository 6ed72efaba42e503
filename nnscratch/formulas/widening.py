"""Numbers of 16 bits are for storing: what is computed from them is computed in float32.

It is rounded once, at the end: a sum of 2,049 ones is not 2,048, and a sum of squares does not
overflow where its root does not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array.bfloat16 import brain
from nnscratch.array.dtypes import cast

Forward = Callable[..., Any]
Backward = Callable[..., tuple[Any, ...]]

_SINGLE = np.dtype("float32")
# Sets, because the dtype of an array of a pickle is equal to these, but another object.
_HALF = frozenset({np.dtype("float16")})
_PAIRS = frozenset({np.dtype("complex64"), np.dtype("complex128")})
_HALF_OR_PAIRS = _HALF | _PAIRS


def is_half(*inputs: Any) -> bool:
    """Say whether one of the inputs is an array of 16-bit floating-point numbers."""
    for one in inputs:
        kind = getattr(one, "dtype", None)
        if kind in _HALF or kind is brain.dtype:
            return True
    return False


def is_brain(*inputs: Any) -> bool:
    """Say whether one of the inputs is an array of bfloat16, with which NumPy computes nothing."""
    for one in inputs:  # noqa: SIM110
        if getattr(one, "dtype", None) is brain.dtype:
            return True
    return False


def is_half_or_complex(*inputs: Any) -> bool:
    """Say whether one of the inputs is an array of 16-bit or of complex numbers."""
    for one in inputs:
        kind = getattr(one, "dtype", None)
        if kind in _HALF_OR_PAIRS or kind is brain.dtype:
            return True
    return False


def is_brain_or_complex(*inputs: Any) -> bool:
    """Say whether one of the inputs is an array of bfloat16 or of complex numbers."""
    for one in inputs:
        kind = getattr(one, "dtype", None)
        if kind in _PAIRS or kind is brain.dtype:
            return True
    return False


def in_single(forward: Forward, updates: tuple[int, ...] = ()) -> Forward:
    """Return a forward that computes 16-bit numbers in float32; what it saves stays float32.

    Args:
        forward: the forward in float32.
        updates: the positions of the inputs whose new values it returns, each in the dtype of the
            old ones; it then saves nothing. Empty if it returns others.
    """

    def wide(*inputs: Any, **options: Any) -> Any:
        half = next((one.dtype for one in inputs if is_half(one)), None)
        made = forward(*[_widened(one) for one in inputs], **options)
        if half is None:
            return made
        if updates:
            # Trailing inputs may be left out.
            old: list[Any] = [inputs[i] if i < len(inputs) else None for i in updates]
            pairs = zip(made, old, strict=True)
            return tuple([_narrowed(new, it.dtype) if is_half(it) else new for new, it in pairs])
        return _narrowed(made[0], half), made[1]

    return wide


def backward_in_single(backward: Backward) -> Backward:
    """Return a backward for what ``in_single`` saved."""

    @functools.wraps(backward)
    def wide(dY: Any, saved: Any, needs: tuple[bool, ...]) -> Any:
        if type(dY) is np.ndarray and dY.dtype is _SINGLE:  # what it nearly always is
            return backward(dY, saved, needs)
        parts = dY if type(dY) is tuple else (dY,)
        if not is_half(*parts):
            return backward(dY, saved, needs)
        half = next(one.dtype for one in parts if is_half(one))
        if type(saved) is not tuple and isinstance(saved, tuple) and is_half(*saved):
            saved = type(saved)(*[_widened(one) for one in saved])
        gradients = backward(_widened(dY), saved, needs)
        return tuple([_narrowed(one, half) for one in gradients])

    return wide


def _widened(array: Any) -> Any:
    if type(array) is tuple:
        return tuple([_widened(one) for one in array])
    return _cast(array, _SINGLE) if is_half(array) else array


def _narrowed(array: Any, half: Any) -> Any:
    if type(array) is tuple:
        return tuple([_narrowed(one, half) for one in array])
    return _cast(array, half) if getattr(array, "dtype", None) == _SINGLE else array


def _cast(array: Any, dtype: Any) -> Any:
    return array.astype(dtype) if hasattr(array, "astype") else cast(array, dtype)
