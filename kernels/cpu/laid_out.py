"""Matrices laid out for products of few rows: in panels, as tiles of a product take them.

Where many products have one factor (the weights of all steps, the keys of all queries), it is laid
out once. Its panels then come from the nearest caches, however far apart its rows lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .runtime.declaration import helper
from .runtime.language import copy_rows, transpose_panel


def of_tiles(dtype: str) -> Mapping[str, Any]:
    """Return the bytes of a number, how many a register holds, and how many a panel."""
    from . import tiles

    L = tiles.lanes(dtype)
    return {"size": np.dtype(dtype).itemsize, "L": L, "panel": 2 * L}


@helper
def lay_out(like, size, L, panel, out, A, row, count, width):
    """Lay out Aᵀ for A (count, width) in panels of its columns, one behind the other."""
    for j in range(0, count, panel):
        transpose_panel(
            like, size, L, out + j * width * size, A + j * row, row, min(panel, count - j), width
        )


@helper
def lay_out_rows(like, size, panel, out, B, row, terms, columns):
    """Lay out B (terms, columns) in panels of its columns, one behind the other."""
    for j in range(0, columns, panel):
        copy_rows(
            2, like, terms, B + j * size, row, columns - j, out + j * terms * size, panel * size
        )
