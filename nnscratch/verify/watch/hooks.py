"""Hooks in the functions that copy arrays, set for a block: device moves, contiguity, dtypes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

import nnscratch.array.backend as backend
import nnscratch.array.device as device
from nnscratch.array import device_of, is_array
from nnscratch.errors import calling_frame

Tell = Callable[[str, str, int], None]


def caller() -> str:
    """Return file and line of the innermost code outside of this package."""
    frame = calling_frame()
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


@contextmanager
def watching_conversions(tell: Tell) -> Iterator[None]:
    """Tell of every device move and every copy for contiguity in the block.

    The functions are replaced wherever a module of the package holds them.
    """
    replaced = [
        (device.move, _move(tell)),
        (backend.to_numpy, _to_numpy(tell)),
    ]
    undo: list[tuple[Any, str, Any]] = []
    for module in [m for n, m in sys.modules.items() if n.split(".")[0] == "nnscratch"]:
        for name, held in list(vars(module).items()):
            for original, new in replaced:
                if held is original:
                    undo.append((module, name, original))
                    setattr(module, name, new)
    for name in ("ascontiguousarray", "asfortranarray"):
        undo.append((np, name, getattr(np, name)))
        setattr(np, name, _contiguous(getattr(np, name), name, tell))
    try:
        yield
    finally:
        for module, name, original in reversed(undo):
            setattr(module, name, original)


def _move(tell: Tell) -> Callable[..., Any]:
    original = device.move

    @wraps(original)
    def move(array: Any, *arguments: Any, **options: Any) -> Any:
        moved = original(array, *arguments, **options)
        if moved is not array and is_array(array):
            before, after = device_of(array), device_of(moved)
            if str(before) != str(after):
                tell("device copy", f"from {before} to {after}", int(moved.nbytes))
        return moved

    return move


def _to_numpy(tell: Tell) -> Callable[..., Any]:
    original = backend.to_numpy

    @wraps(original)
    def to_numpy(array: Any, *arguments: Any, **options: Any) -> Any:
        found = original(array, *arguments, **options)
        if not isinstance(array, np.ndarray) and is_array(array):
            where = str(device_of(array))
            if not where.startswith("cpu"):
                tell("device copy", f"from {where} to NumPy", int(found.nbytes))
        return found

    return to_numpy


def _contiguous(original: Callable[..., Any], name: str, tell: Tell) -> Callable[..., Any]:
    @wraps(original)
    def contiguous(array: Any, *arguments: Any, **options: Any) -> Any:
        made = original(array, *arguments, **options)
        copied = isinstance(array, np.ndarray) and not np.may_share_memory(made, array)
        if copied and array.size:
            tell("contiguous copy", f"numpy.{name}", int(made.nbytes))
        return made

    return contiguous
