"""The dtype policy: float32 by default, and a Python scalar never promotes an array.

Every array library has its own objects for dtypes, so they are compared and passed between
libraries as names ("float32").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.backend import array_namespace
from nnscratch.array.bfloat16 import bfloat16
from nnscratch.errors import DTypeError

FLOATS = ("float16", "bfloat16", "float32", "float64")
HALVES = frozenset({"float16", "bfloat16"})
"""Those of 16 bits, which are computed in float32."""
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
PARTS = {"complex64": "float32", "complex128": "float64"}
"""The dtype of the parts of complex numbers, by the name of theirs."""
_INEXACT = frozenset((*FLOATS, *PARTS))
_KNOWN = ("bool", *INTEGERS, *FLOATS, *PARTS)
_NAMES: dict[Any, str] = {}
_default = "float32"


def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype of any library.

    Raises:
        DTypeError: if there is no such dtype among those that nnscratch knows.

    >>> dtype_name(np.float32), dtype_name(np.dtype("int64")), dtype_name("bool")
    ('float32', 'int64', 'bool')
    """
    # The type is part of the key so that a lookup never compares dtypes of two libraries.
    key = type(dtype), dtype
    try:
        return _NAMES[key]
    except (KeyError, TypeError):
        pass
    name = "None"  # np.dtype(None) is float64, which nobody asked for
    if dtype is not None:
        try:
            name = str(np.dtype(dtype).name)
        except TypeError:
            name = str(dtype).rpartition(".")[2]
    if name not in _KNOWN:
        raise DTypeError(f"expected one of {', '.join(_KNOWN)}; got dtype {dtype!r}")
    if name == "bfloat16":
        bfloat16()  # from now on NumPy knows the name too
    try:
        _NAMES[key] = name
    except TypeError:
        pass
    return name


def dtype_of(namespace: Any, dtype: Any) -> Any:
    """Return the dtype object of one library, given a dtype of any library or its name.

    >>> dtype_of(np, "float64") == np.float64
    True
    """
    name = dtype_name(dtype)
    if name == "bfloat16":
        if "cupy" in namespace.__name__:
            raise DTypeError("bfloat16 is for arrays of the CPU only; call .float() or .half()")
        return bfloat16()
    return getattr(namespace, name)


def default_dtype() -> str:
    """Return the dtype of tensors made from Python floats, "float32" unless it was set."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype of tensors made from Python floats and of new parameters.

    Args:
        dtype: a floating one, of any library or as a name.

    Raises:
        DTypeError: if it is not a floating dtype.

    >>> set_default_dtype("float64")
    >>> default_dtype()
    'float64'
    >>> set_default_dtype("float32")
    """
    global _default
    name = dtype_name(dtype)
    if name not in FLOATS:
        raise DTypeError(f"the default dtype must be one of {', '.join(FLOATS)}; got {name}")
    _default = name


def is_floating(array: Any) -> bool:
    """Say whether the dtype is a real floating one, of 16, 32 or 64 bits."""
    return dtype_name(array.dtype) in FLOATS


def is_complex(array: Any) -> bool:
    """Say whether the dtype is complex."""
    return dtype_name(array.dtype).startswith("complex")


def is_inexact(array: Any) -> bool:
    """Say whether the dtype is a floating or a complex one, which has derivatives."""
    return dtype_name(array.dtype) in _INEXACT


def is_integer(array: Any) -> bool:
    """Say whether the dtype is an integer one; bool is not."""
    return dtype_name(array.dtype) in INTEGERS


def promote(*arrays: Any) -> str:
    """Return the name of the dtype to which arrays of several dtypes are promoted in PyTorch.

    The category (bool < integer < floating < complex) is the highest one present. Within it, the
    dtype is the widest of the arrays with dimensions; 0-d arrays count only if there are no others
    in the category. Beside complex numbers floating ones say the precision: float64 asks for
    complex128.

    >>> promote(np.ones(2, np.float32), np.ones(2, np.int64))
    'float32'
    >>> promote(np.ones(2, np.float32), np.asarray(2.0))
    'float32'
    >>> promote(np.ones(2, np.complex64), np.ones(2, np.float64))
    'complex128'
    """
    high = widest([dtype_name(array.dtype) for array in arrays if array.ndim])
    low = widest([dtype_name(array.dtype) for array in arrays if not array.ndim])
    if high is None or low is None:
        return str(high or low)
    if high in FLOATS and _category(low) == 3:
        return widest([high, "complex64"]) or high
    return low if _category(low) > _category(high) else high


def widest(names: list[str]) -> str | None:
    """Return the dtype that holds the numbers of several, by name; None of none."""
    if len(set(names)) < 2:
        return names[0] if names else None
    if "bfloat16" in names:
        # Neither of the two of 16 bits holds the other one's numbers.
        other = "float32" if "float16" in names else "float16"
        names = [other if name == "bfloat16" else name for name in names]
        if max(map(_category, names)) == 2 and not {"float32", "float64"} & {*names}:
            return "bfloat16"
    highest = max(map(_category, names))
    # NumPy's dtype of integers and floats together is wider than PyTorch's.
    lowest = 2 if highest == 3 else highest
    return str(np.result_type(*(name for name in names if _category(name) >= lowest)).name)


def _category(name: str) -> int:
    if name == "bool":
        return 0
    if name in INTEGERS:
        return 1
    return 2 if name in FLOATS else 3


def cast(array: Any, dtype: Any) -> Any:
    """Return the array in another dtype, the same object if it has that dtype already.

    >>> cast(np.arange(2), "float32")
    array([0., 1.], dtype=float32)
    """
    namespace = array_namespace(array)
    return namespace.astype(array, dtype_of(namespace, dtype), copy=False)
