"""What NumPy calls the words of formulas, and shorter texts of functions for its arrays alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import dtypes, maths, selection, short_axis
from nnscratch.errors import DTypeError, NNScratchError
from nnscratch.formulas import checks

PASSED: dict[Any, int] = {maths.real: 0, maths.flushed: 0, checks.real: 1, checks.plain: 0}
"""Functions that give back one of their arguments here, where no number is complex."""


def _words() -> dict[Any, str]:
    found = {maths.round_half_even: "np.round"}
    for module in (maths, selection):
        for name, function in vars(module).items():
            own = getattr(function, "__module__", "") == module.__name__
            # These two say more than NumPy's of integers and of 0.
            if own and hasattr(np, name) and name not in ("power", "floor_divide"):
                found[function] = f"np.{name}"
    return {function: word for function, word in found.items() if function not in PASSED}


WORDS = _words()
"""Functions that are one of NumPy's."""

CLASSES: dict[type, str] = {
    DTypeError: "TypeError",
    np.linalg.LinAlgError: "ValueError",
    NNScratchError: "ValueError",
}
"""What errors become."""

LEFT_OUT = frozenset({"transposed", "weight_in", "whole", "__repr__"})
"""Methods that are for backwards and kernels."""

REPLACED: dict[Callable[..., Any], str] = {
    dtypes.dtype_name: '''def dtype_name(dtype):
    """Return the name of a dtype."""
    return np.dtype(dtype).name''',
    dtypes.dtype_of: '''def dtype_of(namespace, dtype):
    """Return the dtype of that name."""
    return np.dtype(dtype)''',
    dtypes.is_floating: '''def is_floating(array):
    """Say whether an array is of real floating-point numbers."""
    return array.dtype.kind == "f"''',
    dtypes.is_complex: '''def is_complex(array):
    """Say whether an array is of complex numbers."""
    return array.dtype.kind == "c"''',
    dtypes.is_integer: '''def is_integer(array):
    """Say whether an array is of integers."""
    return array.dtype.kind in "iu"''',
    short_axis.max_along: '''def max_along(X, axis):
    """Return the maximum along an axis, which stays with size 1."""
    return np.max(X, axis=axis, keepdims=True)''',
}
"""Functions whose own text is longer, because other libraries or speed ask for it."""
