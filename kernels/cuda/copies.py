"""Copies as launches of kernels: between arrays whose elements lie anyhow, and into order."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import numpy as np

from ..strided import TooManyAxesError, broadcast_strides, walk
from .driver import MOST_BLOCKS, cover
from .launch import FLOATS, Numbers, Strided
from .target import Target

AXES = 8
"""Axes that a copy goes over at most, once neighbours that lie behind one another are one."""
TILE, ROWS = 32, 8
LEAST = 8
"""Length of both axes from which a transpose goes in tiles."""
_LAYOUT = struct.Struct(f"={3 * AXES}q")
_KERNELS = {np.dtype("int64"): "copy_integers", np.dtype("bool"): "copy_masks"}


class Axes(NamedTuple):
    """Sizes, and the elements between neighbours in the source and in the target."""

    size: tuple[int, ...]
    source: tuple[int, ...]
    to: tuple[int, ...]

    def packed(self) -> bytes:
        """Return them as they lie in memory."""
        return _LAYOUT.pack(*self.size, *self.source, *self.to)

    def swapped(self, axis: int) -> Axes:
        """Return them with axis 1 and another one exchanged."""
        order = list(range(AXES))
        order[1], order[axis] = order[axis], order[1]
        return Axes(*(tuple([values[k] for k in order]) for values in self))

    def in_packs(self, width: int) -> Axes:
        """Return them counted in packs of elements."""
        return Axes(
            (self.size[0] // width, *self.size[1:]),
            *((1, *(step // width for step in steps[1:])) for steps in (self.source, self.to)),
        )


def why_not(array: Any) -> str | None:
    """Return why an array cannot be copied into order, or None."""
    if array.dtype not in FLOATS and array.dtype not in _KERNELS:
        return f"an array of {array.dtype} is not contiguous"
    if any(step % array.itemsize for step in array.strides):
        return "elements lie at no multiple of their size"
    return None


def copy(target: Target, source: Any, to: Any) -> None:
    """Add to = source, where source is a number, or an array that broadcasts to it.

    The target of a number is contiguous.
    """
    if not hasattr(source, "dtype"):
        value = Numbers(lambda given: (given["value"],), {"value": source})
        grid = cover(to.size, 4)
        target.launch("elementwise", "fill", to.dtype, grid, (to, to.size), numbers=value)
        return
    in_order = source.flags.c_contiguous and to.flags.c_contiguous
    if in_order and source.shape == to.shape and to.dtype in FLOATS:
        grid = cover(to.size, 4)
        target.launch("elementwise", "copy", to.dtype, grid, (source, to, to.size))
        return
    try:
        axes = _axes(source, to)
    except TooManyAxesError:  # several copies of fewer
        for k in range(len(to)):
            one = source if source.ndim < to.ndim else source[min(k, len(source) - 1)]
            copy(target, one, to[k])
        return
    arrays = (Strided(source), Strided(to))
    if to.dtype not in FLOATS:
        arguments: tuple[Any, ...] = (*arrays, to.size, axes.packed())
        target.launch("copies", _KERNELS[to.dtype], "float32", cover(to.size), arguments)
        return
    along = next((k for k in range(1, AXES) if axes.source[k] == 1 and axes.size[k] > 1), 0)
    if along and axes.to[0] == 1 and min(axes.size[0], axes.size[along]) >= LEAST:
        axes = axes.swapped(along)
        tiles = -(-axes.size[0] // TILE) * -(-axes.size[1] // TILE) * math.prod(axes.size[2:])
        arguments = (*arrays, tiles, axes.packed())
        grid = (min(tiles, MOST_BLOCKS),)
        target.launch("copies", "transpose_tiles", to.dtype, grid, arguments, (TILE, ROWS))
        return
    width = 16 // to.itemsize
    if _goes_in_packs(target, axes, source, to, width):
        axes, count = axes.in_packs(width), to.size // width
        arguments = (*arrays, count, axes.packed())
        target.launch("copies", "copy_packs", to.dtype, cover(count), arguments)
        return
    arguments = (*arrays, to.size, axes.packed())
    target.launch("copies", "copy_elements", to.dtype, cover(to.size), arguments)


def _axes(source: Any, to: Any) -> Axes:
    bytes_between = (broadcast_strides(source, to.shape), to.strides)
    sizes, (there, here) = walk(to.shape, bytes_between, AXES - 1)
    item = to.itemsize
    return Axes(sizes, tuple([n // item for n in there]), tuple([n // item for n in here]))


def _goes_in_packs(target: Target, axes: Axes, source: Any, to: Any, width: int) -> bool:
    """Say whether packs of both arrays lie at multiples of their size."""
    address = target.driver.address
    return (
        axes.source[0] == axes.to[0] == 1
        and axes.size[0] % width == 0
        and all(step % width == 0 for steps in axes[1:] for step in steps[1:])
        and address(source) % 16 == address(to) % 16 == 0
    )


def contiguous(target: Target, item: Any) -> Any:
    """Return an array whose elements lie in order: the given one, or a copy that is added."""
    if not hasattr(item, "dtype") or item.flags.c_contiguous:
        return item
    made = target.empty(item.shape, item.dtype)
    copy(target, item, made)
    return made
