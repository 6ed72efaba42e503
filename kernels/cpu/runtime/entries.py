"""The driver's functions, for Python to call: Numba's, or without it those of object files."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from . import objects

WORDS = {"run_alone": 3, "lead": 5, "work": 4, "spin_many": 2}
"""How many integers each function of the driver takes."""


def driver_functions() -> Any:
    """Return what has the functions of the driver as its attributes.

    Numba's are called a little more quickly, and are taken if it is imported already. Where there
    are no object files yet, they are made: their loading is what later processes save.
    """
    if "numba" not in sys.modules:
        found = {name: objects.load(_symbol(name)) for name in WORDS}
        if None not in found.values():
            made = {name: _callable(one.address, WORDS[name]) for name, one in found.items() if one}
            return SimpleNamespace(**made)
    from . import driver
    from .cache import compile_function

    for name, words in WORDS.items():
        symbol = _symbol(name)
        if objects.key() is not None and not objects.is_kept(symbol):
            compile_function(getattr(driver, name).py_func, symbol, words)
    return driver


def _symbol(name: str) -> str:
    return f"driver_{name}"


def _callable(address: int, words: int) -> Callable[..., int]:
    # As pointers, of 64 bits as well: ctypes takes a quarter of the time to make one of an int.
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * words)(address)
