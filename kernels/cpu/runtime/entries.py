"""The driver's functions, for Python to call: Numba's, or without it those of object files."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

from . import objects

WORDS = {"run_alone": 3, "lead": 5, "work": 4, "spin_many": 2}
"""How many integers each function of the driver takes."""


def driver_functions() -> Any:
    """Return what has the functions of the driver as its attributes.

    Numba's are called a little more quickly, and are taken if it is imported already. Where there
    are no object files yet, they are made and taken: to compile Numba's as well takes a second.
    """
    if "numba" not in sys.modules and (kept := _kept()) is not None:
        return kept
    missing = [name for name in WORDS if not objects.is_kept(_symbol(name))]
    if missing and objects.key() is not None and objects.folder() is not None:
        from . import driver
        from .cache import compile_function

        for name in missing:
            given = getattr(driver, name)
            own = FunctionType(given.__code__, given.__globals__)  # which gets another name
            compile_function(own, _symbol(name), WORDS[name])
        if (kept := _kept()) is not None:
            return kept
    return _dispatchers()


def _kept() -> SimpleNamespace | None:
    """Return the functions of object files, None unless all are there."""
    found = {name: objects.load(_symbol(name)) for name in WORDS}
    if None in found.values():
        return None
    made = {name: _callable(one.address, WORDS[name]) for name, one in found.items() if one}
    return SimpleNamespace(**made)


@functools.cache
def _dispatchers() -> SimpleNamespace:
    """Return Numba's functions."""
    from . import driver
    from .cache import compile_dispatcher

    made = {name: compile_dispatcher(getattr(driver, name), words) for name, words in WORDS.items()}
    return SimpleNamespace(**made)


def _symbol(name: str) -> str:
    return f"driver_{name}"


def _callable(address: int, words: int) -> Callable[..., int]:
    # As pointers, of 64 bits as well: ctypes takes a quarter of the time to make one of an int.
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * words)(address)
