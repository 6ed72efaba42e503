"""Matrices laid out for products of few rows: in panels, as tiles of a product take them.

Where many products have one factor (the weights of all steps, the keys of all queries), it is laid
out once. Its panels then come from the nearest caches, however far apart its rows lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .runtime.declaration import Address, Constant, helper, kernel
from .runtime.language import KIND, copy_rows, part, put_rows, transpose, transpose_panel


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


@helper
def put_turned(like, L, number, rows, columns, source, lds, square, out, ldo):
    """Write the transpose of some rows; ``square`` is space for one of registers."""
    for i in range(0, rows, L):
        high = min(L, rows - i)
        for j in range(0, columns, L):
            wide = min(L, columns - j)
            here, there = source + i * lds + j * number, out + j * ldo + i * number
            if high == L and wide == L:
                transpose(like, here, lds, L - 1, there, ldo)
            else:
                transpose(like, here, lds, high - 1, square, L * number)
                put_rows(1, like, wide, square, L * number, high, there, ldo)


@kernel(cost=lambda n, k: 0.5 * n * k, constants=of_tiles)
def lay_panels(
    B: Address, out: Address, transpose_b: int, n: int, k: int, ldb: int,
    tid, threads, *, size: Constant, L: Constant, panel: Constant,
):  # fmt: skip
    """Lay out op(B) (k, n) in panels of its columns, one behind the other."""
    like = KIND(0.0)
    left, right = part(n, tid, threads, panel)
    goal, row = out + left * k * size, ldb * size
    if left < right and transpose_b:
        lay_out(like, size, L, panel, goal, B + left * row, row, right - left, k)
    elif left < right:
        lay_out_rows(like, size, panel, goal, B + left * size, row, k, right - left)


def laid_in_panels(builder: Any, B: Any, transpose_b: bool, n: int, k: int, ldb: int) -> Any:
    """Emit op(B) (k, n), a factor of products, laid out in panels."""
    from . import tiles

    name = dtype_name(B.dtype)
    panel = 2 * tiles.lanes(name)
    out = builder.empty((-(-n // panel) * panel * k,), B.dtype)
    lay_panels.emit(builder, name, B=B, out=out, transpose_b=transpose_b, n=n, k=k, ldb=ldb)
    return out
