"""What NumPy calls the words of formulas, and shorter texts of functions for its arrays alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import dtypes, maths, selection, short_axis
from nnscratch.errors import DTypeError, NNScratchError
from nnscratch.formulas import checks

WORDS: dict[Any, str] = {
    getattr(maths, name): f"np.{name}"
    for name in (
        *("exp", "expm1", "log", "log1p", "sqrt", "tanh", "sign", "floor", "maximum", "minimum"),
        *("where", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh"),
        *("log10", "log2", "sin", "sinh", "tan", "trunc", "exp2"),
    )
}
"""Functions that are one of NumPy's."""
WORDS |= {
    maths.absolute: "np.abs",
    maths.round_half_even: "np.round",
    selection.sign: "np.sign",
    selection.where: "np.where",
    selection.clip: "np.clip",
}

PASSED: dict[Any, int] = {maths.real: 0, maths.flushed: 0, checks.real: 1, checks.plain: 0}
"""Functions that give back one of their arguments here, where no number is complex."""

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
