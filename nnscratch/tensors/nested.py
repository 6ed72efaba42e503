"""Numbers in nested lists: their common dtype, and the lists with tensors replaced by theirs."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import default_dtype, dtype_name, is_array
from nnscratch.array.dtypes import FLOATS, PARTS, widest
from nnscratch.tensors.base import TensorBase

_NUMBERS = frozenset({float, int, bool, complex})


def floats_of(value: Any) -> str | None:
    """Return the common floating dtype of the items of nested lists, None if no item is floating.

    A tensor, an array or a NumPy scalar has its own dtype; a Python float has the default dtype.
    Of complex numbers it is the dtype of their parts.
    """
    found: set[str] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, (list, tuple)):
            # Most lists hold only Python numbers: the set of types answers for all items at once.
            kinds = set(map(type, item))
            if kinds & _NUMBERS:
                found |= {default_dtype()} if kinds & {float, complex} else set()
            if kinds - _NUMBERS:
                todo += [one for one in item if type(one) not in _NUMBERS]
        elif isinstance(item, TensorBase) or is_array(item) or isinstance(item, np.generic):
            name = dtype_name(item.dtype)
            if name in FLOATS:
                found.add(name)
            elif name in PARTS:
                found.add(PARTS[name])
        elif isinstance(item, (float, complex)):
            found.add(default_dtype())
    return widest(list(found))


def numbers_in(value: Any) -> Any:
    """Return nested lists in which each tensor is replaced by its values as nested lists."""
    if isinstance(value, TensorBase):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [numbers_in(item) for item in value] if any(map(_holds, value)) else value
    return value


def _holds(value: Any) -> bool:
    return isinstance(value, TensorBase) or (
        isinstance(value, (list, tuple)) and any(map(_holds, value))
    )
