"""NumPy as it is in a browser: its own integers and its indices have 32 bits.

Pyodide is WebAssembly of 32 bits, where ``np.intp`` and ``np.int_`` are int32, so that

- ``take``, ``bincount``, ``repeat`` and their like refuse indices of int64, which they cannot cast
  safely (some of them in some versions of NumPy only: here all of them do);
- arrays of Python integers, ``arange``, ``argmax``, ``nonzero``, sums of booleans and whatever else
  has NumPy's own integers are int32.

Indexing by ``[]``, and ``ufunc.at``, take int64 there too. ``emulate()`` makes the NumPy of this
process behave so, methods of arrays included; it has to be called before anything else imports
NumPy. What NumPy's C code makes of Python integers by itself stays int64: ``np.zeros(3, int)``.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

import numpy as np

NARROW = np.dtype(np.int32)
WIDE = np.dtype(np.int64)


def emulate() -> None:
    """Change this process's NumPy, for good."""
    if np.intp is np.int32:
        return
    _change_methods()
    _change_functions()
    np.intp = np.int_ = np.int32  # type: ignore[misc]


def refuse(index: Any) -> None:
    """Raise what NumPy raises for an array of indices that 32 bits may not hold."""
    dtype = getattr(index, "dtype", None)
    if isinstance(index, np.ndarray) and index.ndim and dtype.kind in "iu" and not _fits(dtype):
        raise TypeError(
            f"Cannot cast array data from dtype('{dtype}') to dtype('int32') according to the rule "
            "'safe'"
        )


def _fits(dtype: Any) -> bool:
    return bool(np.can_cast(dtype, NARROW))


def narrowed(made: Any) -> Any:
    """Return what NumPy would have made: int32 in the place of its own integers of 64 bits."""
    if isinstance(made, tuple):
        parts = [narrowed(one) for one in made]
        return type(made)(*parts) if hasattr(made, "_fields") else tuple(parts)
    if isinstance(made, np.ndarray | np.generic) and made.dtype == WIDE:
        return made.astype(NARROW)
    return made


def _given(arrays: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Say whether the dtype of a result is given, or that of an array that comes in."""
    if kwargs.get("dtype") is not None or kwargs.get("out") is not None:
        return True
    return any(_holds_wide(one) for one in (*arrays, *kwargs.values()))


def _holds_wide(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_wide(one) for one in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return not -(2**31) <= value < 2**31
    interface = getattr(value, "__array_interface__", None) or {"typestr": ""}
    return interface["typestr"][1:] in ("i8", "u4")


def _own_integers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose result has NumPy's own integers unless a dtype came in."""

    def call(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        dtypes = any(isinstance(one, type | np.dtype) for one in args)
        return made if dtypes or _given(args, kwargs) else narrowed(made)

    return _named(call, function)


def _indices(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose result are indices, whatever came in."""

    def call(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        return made if kwargs.get("out") is not None else narrowed(made)

    return _named(call, function)


def _refusing(function: Callable[..., Any], place: int, name: str) -> Callable[..., Any]:
    """A function that takes indices as the argument of a place or a name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        refuse(args[place] if len(args) > place else kwargs.get(name))
        return function(*args, **kwargs)

    return _named(call, function)


def _named(call: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    call.__name__ = getattr(function, "__name__", "call")
    call.__doc__ = function.__doc__
    return call


_REFUSING = {"take": (1, "indices"), "repeat": (1, "repeats"), "choose": (0, "a")}
_REFUSING |= {"put": (1, "indices"), "searchsorted": (3, "sorter")}
_FINDING = ("argmax", "argmin", "argsort", "argpartition", "searchsorted", "nonzero")
_SUMMING = ("sum", "prod", "cumsum", "cumprod", "trace")
_MAKING = ("array", "asarray", "ascontiguousarray", "arange", "full", "linspace", "indices")
_MAKING += ("stack", "concatenate", "unique", "sum", "prod", "cumsum", "cumprod", "concat")
_MORE_FINDING = ("flatnonzero", "argwhere", "bincount", "digitize", "count_nonzero", "lexsort")


def _change_methods() -> None:
    """Change the methods of arrays and of ufuncs, whose types are written in C."""
    methods: dict[str, Any] = gc.get_referents(np.ndarray.__dict__)[0]
    for name, (place, keyword) in _REFUSING.items():
        methods[name] = _refusing(methods[name], place, keyword)
    for name in _FINDING:
        methods[name] = _indices(methods[name])
    for name in _SUMMING:
        methods[name] = _own_integers(methods[name])
    of_ufuncs: dict[str, Any] = gc.get_referents(np.ufunc.__dict__)[0]
    of_ufuncs["reduceat"] = _refusing(of_ufuncs["reduceat"], 2, "indices")
    for kind in (np.ndarray, np.ufunc):
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


def _change_functions() -> None:
    for name in _MAKING:
        setattr(np, name, _own_integers(getattr(np, name)))
    for name in _MORE_FINDING:
        setattr(np, name, _indices(getattr(np, name)))
    for name in ("take_along_axis", "put_along_axis"):
        setattr(np, name, _refusing(getattr(np, name), 1, "indices"))
    np.bincount = _refusing(np.bincount, 0, "x")
    np.where = _where(np.where)


def _where(function: Callable[..., Any]) -> Callable[..., Any]:
    def where(*args: Any) -> Any:
        return narrowed(function(*args)) if len(args) == 1 else function(*args)

    return _named(where, function)
