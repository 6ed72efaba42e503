"""Matrix products in tiles: C = op(A) op(B). Imports Numba.

A product goes over C in panels of two vector registers of columns. The panel of B that belongs to
it is first laid end to end (and turned where B comes transposed, as W does in X Wᵀ), so that it
streams from the nearest cache while all rows of A pass by. Long sums are cut at DEPTH terms, for
the same reason. A single row needs none of that: it meets the rows of a transposed B one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from .runtime.intrinsics import INLINE, address_of, call_kernel, stack
from .runtime.parts import KINDS
from .runtime.processor import l2_bytes
from .tiles import CHUNK, LINE, ROWS, dots, lanes, lay, move, tile, turn

DEPTH = 256
"""Terms of a sum that are added up before C is touched: a panel of B this deep stays close by."""
BLOCK = 1024
"""Columns of C that all sums of a band pass over before the next ones: with a band, 2 megabytes."""
SMALL = 1 << 15
"""Bytes of B up to which it is read where it lies, if its rows do not have to be turned."""
FAR = 512
"""Bytes between two columns of a transposed A from which its tiles are laid end to end first."""
WIDE = 4096
"""Bytes between two rows of A from which they are copied closer: that far apart, they would share
few places of the caches, and each lies in a page of its own."""


def bands(dtype: str) -> int:
    """Return how many rows of A pass by a panel before the next one: half of the L2 cache of them.

    They are whole tiles, so that no row's tile depends on how the threads share the rows.
    """
    length = DEPTH * (4 if dtype == "float32" else 8)
    most = min(max(l2_bytes() // 2, 1 << 17), 1 << 19) // length
    return most // ROWS * ROWS


def _strip(V: int, partial: bool) -> Any:
    """Return a function that computes some rows of a panel of V registers, tile by tile.

    ``leap`` is how far apart the tiles of A are, ``row`` and ``step`` lie within them. The first
    ``pairs`` tiles ask for cache lines of the next panel, each ``jump`` bytes behind the other.
    """

    @njit(**INLINE)
    def strip(
        like, rows, add, k, a, leap, row, step, b, ldb, c, ldc, width,
        ahead, apart, pace, pairs, jump,
    ):  # fmt: skip
        for t in range(rows // ROWS):
            if t >= pairs:
                ahead, apart, pace = b, 0, 0
            tile(
                ROWS, V, partial, like, add, k, a, row, step, b, ldb, c, ldc, width,
                ahead, apart, pace,
            )  # fmt: skip
            a, c, ahead = a + leap, c + ROWS * ldc, ahead + jump
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
def share(m, n, tid, threads, panel):
    """A thread's rows and columns of C: (first row, last row, first column, last column).

    They begin at multiples of a tile, so the tiles, and the order of every sum, are the same for
    any number of threads.
    """
    bands, panels = (m + ROWS - 1) // ROWS, (n + panel - 1) // panel
    most_rows, most_columns = (bands + threads - 1) // threads, (panels + threads - 1) // threads
    if most_columns * bands <= most_rows * panels:
        first, last = panels * tid // threads, panels * (tid + 1) // threads
        return 0, m, first * panel, min(last * panel, n)
    first, last = bands * tid // threads, bands * (tid + 1) // threads
    return first * ROWS, min(last * ROWS, m), 0, n


@njit(**INLINE)
def turn_over(like, size, L, out, w, ldw, width, terms):
    """Lay out a panel of B which comes transposed."""
    whole, ldo = terms // L * L, 2 * L * size
    for j in range(0, width, L):
        last = min(L, width - j) - 1
        for l in range(0, whole, L):
            turn(like, w + j * ldw + l * size, ldw, last, out + l * ldo + j * size, ldo)
    for j in range(width):
        for l in range(whole, terms):
            move(like, w + j * ldw + l * size, out + l * ldo + j * size)


@njit(**INLINE)
def row_times(like, size, n, k, x, w, ldw, z, tid, threads):
    """Write z = W x for one row x; the threads share the rows of W."""
    blocks = (n + 7) // 8
    first, last = 8 * (blocks * tid // threads), 8 * (blocks * (tid + 1) // threads)
    for j in range(first, min(last, n) - 7, 8):
        dots(8, like, k, x, w + j * ldw, ldw, z + size * j)
    for j in range(max(first, n // 8 * 8), min(last, n)):
        dots(1, like, k, x, w + j * ldw, ldw, z + size * j)


# Here, and not in the factory: Numba's cache would take kernels that enclose functions of their own
# for new ones in every process.
both, both_cut = _strip(2, False), _strip(2, True)
one, one_cut = _strip(1, False), _strip(1, True)


@njit(**INLINE)
def pass_by(
    like, L, rows, add, k, a, leap, row, step, b, ldb, c, ldc, width,
    ahead, apart, pace, pairs, jump,
):  # fmt: skip
    """Let rows of A pass by a panel of which ``width`` columns exist."""
    if width == 2 * L:
        both(
            like, rows, add, k, a, leap, row, step, b, ldb, c, ldc, width,
            ahead, apart, pace, pairs, jump,
        )  # fmt: skip
    elif width > L:
        both_cut(
            like, rows, add, k, a, leap, row, step, b, ldb, c, ldc, width, b, 0, 0, 0, 0
        )  # fmt: skip
    elif width == L:
        one(like, rows, add, k, a, leap, row, step, b, ldb, c, ldc, width, b, 0, 0, 0, 0)
    else:
        one_cut(like, rows, add, k, a, leap, row, step, b, ldb, c, ldc, width, b, 0, 0, 0, 0)


def make_gemm_tiles(dtype: str) -> Callable[..., None]:
    """Return the kernel C = op(A) op(B); the threads share the rows of C, or its columns."""
    kind, size = KINDS[dtype], 4 if dtype == "float32" else 8
    L = lanes(dtype)
    panel = 2 * L
    high, block = bands(dtype), BLOCK // panel * panel
    aside = DEPTH + L
    laid, copied = DEPTH * panel, high * aside
    across = -(-ROWS // L)

    def kernel(a, s, tid, threads):
        ta, tb, m, n, k = a[1], a[2], a[3], a[4], a[5]
        x, y, z = a[6], a[8], a[10]
        lda, ldb, ldc = size * a[7], size * a[9], size * a[11]
        like = kind(0.0)
        if m == 1 and tb and not ta:
            row_times(like, size, n, k, x, y, ldb, z, tid, threads)
            return
        top, bottom, start, stop = share(m, n, tid, threads, panel)
        space, group = address_of(stack(laid, kind)), address_of(stack(copied, kind))
        direct = not tb and (
            bottom - top <= ROWS or ldb == size * panel or min(k, DEPTH) * ldb <= SMALL
        )
        # Rows or columns of a wide A lie too far apart for the cache.
        far = stop - start > 2 * panel and (lda >= FAR if ta else lda >= WIDE)
        for left in range(start, stop, block):
            right = min(left + block, stop)
            for band in range(top, bottom, high):
                rows = min(high, bottom - band)
                for depth in range(0, max(k, 1), DEPTH):
                    terms = min(DEPTH, k - depth)
                    row, step = (size, lda) if ta else (lda, size)
                    first, leap = x + band * row + depth * step, ROWS * row
                    if far and ta:
                        for i in range(0, rows, ROWS):
                            out = group + i * terms * size
                            lay(
                                across,
                                like,
                                terms,
                                first + i * row,
                                step,
                                rows - i,
                                out,
                                ROWS * size,
                            )
                        first, leap, row, step = group, ROWS * terms * size, size, ROWS * size
                    elif far:
                        for l in range(0, terms, panel):
                            out = group + l * size
                            lay(2, like, rows, first + l * size, lda, terms - l, out, aside * size)
                        first, leap, row = group, ROWS * aside * size, aside * size
                    for j in range(left, right, panel):
                        width = min(panel, n - j)
                        where, b, next_row = y + depth * ldb + j * size, space, size * panel
                        ahead, apart, pace, pairs, jump = space, 0, 0, 0, 0
                        if tb:
                            where = y + j * ldb + depth * size
                            turn_over(like, size, L, space, where, ldb, width, terms)
                        elif direct:
                            b, next_row = where, ldb
                        else:
                            lay(2, like, terms, where, ldb, width, space, next_row)
                        # While this panel is at work, the next one comes closer.
                        if tb and j + panel < right:
                            ahead, apart, pace = where + panel * ldb, ldb, LINE
                            pairs, jump = panel // 2, 2 * ldb
                        elif not direct and j + panel < right:
                            ahead, apart, pace = where + panel * size, LINE, ldb
                            pairs, jump = terms // CHUNK, CHUNK * ldb
                        c = z + band * ldc + j * size
                        pass_by(
                            like, L, rows, depth, terms, first, leap, row, step, b, next_row, c,
                            ldc, width, ahead, apart, pace, pairs, jump,
                        )  # fmt: skip

    return kernel


def make_gemm_batch(dtype: str) -> Callable[..., None]:
    """Return the kernel of many products of one size, shared out to the threads one by one.

    Where there are fewer products than threads, they share each of them. Each is computed by the
    kernel for one product, whose address is given.
    """

    def kernel(a, s, tid, threads):
        b0, b1, b2 = a[13], a[14], a[15]
        count = b0 * b1 * b2
        first, last, me, together = 0, count, tid, threads
        if count >= threads:
            first, last = count * tid // threads, count * (tid + 1) // threads
            me, together = 0, 1
        words = stack(12, np.int64)
        for k in range(12):
            words[k] = a[k + 1]
        for b in range(first, last):
            i0, rest = b % b0, b // b0
            i1, i2 = rest % b1, rest // b1
            words[6] = a[7] + i0 * a[16] + i1 * a[17] + i2 * a[18]
            words[8] = a[9] + i0 * a[19] + i1 * a[20] + i2 * a[21]
            words[10] = a[11] + i0 * a[22] + i1 * a[23] + i2 * a[24]
            call_kernel(a[0], address_of(words), address_of(s), me, together)

    return kernel
