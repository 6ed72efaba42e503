"""``Size``, the shape of a tensor: a tuple that also knows how many elements there are."""

from __future__ import annotations

import math
from typing import Any


class Size(tuple[int, ...]):
    """The sizes of a tensor's dimensions: a tuple of integers, equal to the same plain tuple.

    >>> Size([2, 3]), Size([2, 3]).numel(), Size([2, 3])[:1].numel(), Size([2, 3]) == (2, 3)
    ((2, 3), 6, 2, True)
    """

    __slots__ = ()

    def numel(self) -> int:
        """Return the number of elements, the product of the sizes."""
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if type(index) is slice else found

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, other))

    def __mul__(self, count: Any) -> Size:
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__
