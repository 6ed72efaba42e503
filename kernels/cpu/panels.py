"""Panels of matrix products: the rows of A that pass by a panel of B. Imports Numba.

A panel is two vector registers of columns of B, laid end to end so that it streams from the nearest
cache; a strip is the tiles that some rows of A make with it.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from .runtime.intrinsics import INLINE
from .tiles import ROWS, dots, move, tile, transpose


def _strip(V: int, partial: bool) -> Any:
    """Return a function that computes some rows of a panel of V registers, tile by tile.

    ``tile_stride`` is the bytes from one tile of A to the next, ``row`` and ``step`` those within
    one. The first ``prefetches`` tiles ask for cache lines of the next panel, each
    ``prefetch_jump`` bytes behind the other.
    """

    @njit(**INLINE)
    def strip(
        like, rows, add, k, a, tile_stride, row, step, b, ldb, c, ldc, width,
        prefetch, prefetch_line, prefetch_stride, prefetches, prefetch_jump,
    ):  # fmt: skip
        for t in range(rows // ROWS):
            if t >= prefetches:
                prefetch, prefetch_line, prefetch_stride = b, 0, 0
            tile(
                ROWS, V, partial, like, add, k, a, row, step, b, ldb, c, ldc, width,
                prefetch, prefetch_line, prefetch_stride,
            )  # fmt: skip
            a, c, prefetch = a + tile_stride, c + ROWS * ldc, prefetch + prefetch_jump
        rest = rows % ROWS
        if rest & 4:
            tile(4, V, partial, like, add, k, a, row, step, b, ldb, c, ldc, width, b, 0, 0)
            a, c = a + 4 * row, c + 4 * ldc
        if rest & 2:
            tile(2, V, partial, like, add, k, a, row, step, b, ldb, c, ldc, width, b, 0, 0)
            a, c = a + 2 * row, c + 2 * ldc
        if rest & 1:
            tile(1, V, partial, like, add, k, a, row, step, b, ldb, c, ldc, width, b, 0, 0)

    return strip


@njit(**INLINE)
def transpose_panel(like, size, L, out, w, ldw, width, terms):
    """Lay out a panel of B which comes transposed."""
    whole, ldo = terms // L * L, 2 * L * size
    for j in range(0, width, L):
        last = min(L, width - j) - 1
        for l in range(0, whole, L):
            transpose(like, w + j * ldw + l * size, ldw, last, out + l * ldo + j * size, ldo)
    for j in range(width):
        for l in range(whole, terms):
            move(like, w + j * ldw + l * size, out + l * ldo + j * size)


@njit(**INLINE)
def rows_times(like, size, m, n, k, x, ldx, w, ldw, z, ldz, tid, threads):
    """Write Z = X Wᵀ for a few rows of X; the threads share the rows of W.

    The rows of X pass by 8 rows of W at a time, which stay in the nearest cache meanwhile: three of
    them by four of W, as 12 sums are the most that 16 registers hold beside what is multiplied.
    """
    blocks = (n + 7) // 8
    first, last = 8 * (blocks * tid // threads), 8 * (blocks * (tid + 1) // threads)
    for j in range(first, min(last, n) - 7, 8):
        here = w + j * ldw
        for i in range(0, m - 2, 3):
            a, c = x + i * ldx, z + i * ldz + size * j
            dots(4, 3, like, k, a, ldx, here, ldw, c, ldz)
            dots(4, 3, like, k, a, ldx, here + 4 * ldw, ldw, c + 4 * size, ldz)
        if m % 3 == 2:
            a, c = x + (m - 2) * ldx, z + (m - 2) * ldz + size * j
            dots(4, 2, like, k, a, ldx, here, ldw, c, ldz)
            dots(4, 2, like, k, a, ldx, here + 4 * ldw, ldw, c + 4 * size, ldz)
        elif m % 3 == 1:
            dots(8, 1, like, k, x + (m - 1) * ldx, ldx, here, ldw, z + (m - 1) * ldz + size * j, 0)
    for j in range(max(first, n // 8 * 8), min(last, n)):
        for i in range(m):
            dots(1, 1, like, k, x + i * ldx, ldx, w + j * ldw, ldw, z + i * ldz + size * j, 0)


# Here, and not where they are used: Numba's cache would take kernels that enclose functions of
# their own for new ones in every process.
both, both_cut = _strip(2, False), _strip(2, True)
one, one_cut = _strip(1, False), _strip(1, True)


@njit(**INLINE)
def pass_panel(
    like, L, rows, add, k, a, tile_stride, row, step, b, ldb, c, ldc, width,
    prefetch, prefetch_line, prefetch_stride, prefetches, prefetch_jump,
):  # fmt: skip
    """Let rows of A pass by a panel of which ``width`` columns exist."""
    if width == 2 * L:
        both(
            like, rows, add, k, a, tile_stride, row, step, b, ldb, c, ldc, width,
            prefetch, prefetch_line, prefetch_stride, prefetches, prefetch_jump,
        )  # fmt: skip
    elif width > L:
        both_cut(
            like, rows, add, k, a, tile_stride, row, step, b, ldb, c, ldc, width, b, 0, 0, 0, 0
        )  # fmt: skip
    elif width == L:
        one(like, rows, add, k, a, tile_stride, row, step, b, ldb, c, ldc, width, b, 0, 0, 0, 0)
    else:
        one_cut(like, rows, add, k, a, tile_stride, row, step, b, ldb, c, ldc, width, b, 0, 0, 0, 0)
