"""``Size``, the shape of a tensor: a tuple that also knows how many elements there are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array import is_array

_item, _joined, _repeated = tuple.__getitem__, tuple.__add__, tuple.__mul__


class Size(tuple[int, ...]):
    """The sizes of a tensor's dimensions: a tuple of integers, equal to the same plain tuple.

    With an array of NumPy it is added and multiplied as that array says, element by element.

    >>> Size([2, 3]), Size([2, 3]).numel(), Size([2, 3])[:1].numel(), Size([2, 3]) == (2, 3)
    ((2, 3), 6, 2, True)
    """

    __slots__ = ()

    def numel(self) -> int:
        """Return the number of elements, the product of the sizes."""
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        found = _item(self, index)
        return Size(found) if found.__class__ is tuple else found

    def __add__(self, other: Any) -> Size:
        return Size(_joined(self, other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> Size:
        return Size(_joined(other, self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: Any) -> Size:
        if is_array(count) and not isinstance(count, np.generic):
            return NotImplemented  # an array without dimensions could be an index, too
        return Size(_repeated(self, count)) if hasattr(count, "__index__") else NotImplemented

    __rmul__ = __mul__


class Sizes(dict[tuple[int, ...], Size]):
    """The ``Size`` of each shape that was met, made once: it takes longer to make than to find."""

    def __missing__(self, shape: tuple[int, ...]) -> Size:
        if len(self) >= 4096:
            self.clear()
        made = self[shape] = Size(shape)
        return made


SIZES = Sizes()
