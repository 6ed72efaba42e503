"""Matrix products, C = op(A) op(B): in tiles or by BLAS, one or many, and as instructions.

In tiles, a product goes over C in panels of two vector registers of columns. The panel of B that
belongs to it is first laid end to end (and transposed where B comes so, as W does in X Wᵀ), so that
it streams from the nearest cache while all rows of A pass by. Long sums are cut at DEPTH terms, for
the same reason. A few rows need none of that: they meet the rows of a transposed B one by one, and
each gets the bits that it gets alone. A constant B is laid out once for all products with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.products import MatmulSaved

from ..strided import TooManyAxesError, walk
from .elementwise import contiguous
from .implementation import Builder, CpuKernel, Inputs, Options
from .laid_out import laid_in_panels
from .runtime import language
from .runtime.blas import blas
from .runtime.declaration import Address, Constant, helper, kernel
from .runtime.kernel import Kernel
from .runtime.language import (
    ASKED,
    CHUNK,
    KIND,
    LINE,
    ROWS,
    address_of,
    call_kernel,
    copy_rows,
    pass_panel,
    pointer,
    rows_times,
    stack,
    transpose_panel,
)  # fmt: skip
from .runtime.processor import l2_bytes, multiplications
from .runtime.product_choice import in_tiles

Lowered = tuple[tuple[Any, ...], Any]

LIBRARY_BLOCK = 1024
"""Rows and columns that one call of BLAS computes: what it packs for them is soon repaid."""
FEW_BLOCKS = 8
"""Below this many blocks they are half as wide, so that more threads have some,"""
LEAST_BLOCK = 128
"""but no narrower than this."""
DEPTH = 256
"""Terms of a sum that are added up before C is touched: a panel of B this deep stays close by."""
BLOCK = 1024
"""Columns of C that all sums of a band pass over before the next ones: with a band, 2 megabytes."""
LAID = 2
"""In the place of the flag ``transpose_b``: B is laid out in panels by ``lay_panels``."""
FEW_ROWS = 8
"""Rows of A that are not worth laying panels of a transposed B end to end."""
EVEN = 32
"""Shares are as even as others if the largest of them is no longer by more than this part of it."""
SMALL = 1 << 15
"""Bytes of B up to which it is read where it lies, if its rows do not have to be turned."""
FAR = 512
"""Bytes between two columns of a transposed A from which its tiles are laid end to end first."""
WIDE = 4096
"""Bytes between two rows of A from which they are copied closer: that far apart, they would share
few places of the caches, and each lies in a page of its own."""


def bands(dtype: str, tile_rows: int) -> int:
    """Return how many rows of A pass by a panel before the next one, at most.

    They are half of the L2 cache, and an eighth more, or few rows that are left over would have
    all panels laid out once more. They are whole tiles, so that no row's tile depends on how the
    threads share the rows.
    """
    length = DEPTH * (4 if dtype == "float32" else 8)
    most = min(max(l2_bytes() // 2, 1 << 17), 1 << 19) // length
    return (most + most // 8) // tile_rows * tile_rows


@helper
def blocks_of(count, side):
    """How many blocks of at most ``side`` a range has."""
    return (count + side - 1) // side


def _of_library(dtype: str, bits: int | str) -> Mapping[str, Any]:
    """Return which of the library's functions is called, and the bytes of a number."""
    name = f"call_{'s' if dtype == 'float32' else 'd'}gemm_{bits}"
    return {"call_gemm": getattr(language, name), "size": np.dtype(dtype).itemsize}


# What BLAS does before it multiplies counts for 1 µs.
@kernel(cost=lambda m, n, k: 1000.0 + m * n * k / 45.0, constants=_of_library)
def gemm(
    blas: int, transpose_a: int, transpose_b: int, m: int, n: int, k: int,
    A: Address, lda: int, B: Address, ldb: int, C: Address, ldc: int,
    tid, threads, *, bits: int, call_gemm: Constant, size: Constant,
):  # fmt: skip
    """C (m, n) = op(A) op(B) by BLAS, row-major.

    op transposes where its flag is 1; lda, ldb, ldc are the lengths of the rows as stored. blas is
    the address and bits the width of an integer of the library's ?gemm; ``by_blas`` gives both.

    The threads share blocks of C that depend on its sizes only. Many a library adds up the rows at
    the edge of a product in another order than those inside, so parts that depended on the number
    of threads would have other bits for another number.
    """
    side = LIBRARY_BLOCK
    while side > LEAST_BLOCK and blocks_of(m, side) * blocks_of(n, side) < FEW_BLOCKS:
        side //= 2
    across = blocks_of(n, side)
    count = blocks_of(m, side) * across
    alpha, beta = KIND(1.0), KIND(0.0)
    for block in range(count * tid // threads, count * (tid + 1) // threads):
        top, left = block // across * side, block % across * side
        rows, columns = min(side, m - top), min(side, n - left)
        at_a = A + size * top * (1 if transpose_a else lda)
        at_b = B + size * left * (ldb if transpose_b else 1)
        at_c = C + size * (top * ldc + left)
        if k == 0:  # an empty sum, which not every BLAS accepts
            out = pointer(at_c, KIND)
            for i in range(rows):
                for j in range(columns):
                    out[i * ldc + j] = beta
        else:
            call_gemm(
                blas, transpose_a, transpose_b, rows, columns, k, alpha, at_a, lda, at_b, ldb,
                beta, at_c, ldc,
            )  # fmt: skip


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    """Return the sizes of tiles and of the space that they are laid out in."""
    from . import tiles

    size, L, rows = np.dtype(dtype).itemsize, tiles.lanes(dtype), tiles.ROWS
    panel, high = 2 * L, bands(dtype, rows)
    return {
        "size": size,
        "L": L,
        "panel": panel,
        "high": high,
        "block": BLOCK // panel * panel,
        "aside": DEPTH + L,
        "laid": DEPTH * panel,
        "copied": high * (DEPTH + L),
        "across": -(-rows // L),
        "wide": max(1, tiles.ASKED * tiles.LINE // (panel * size)),
    }


@helper
def share(m, n, turned, tid, threads, panel):
    """A thread's rows and columns of C: (first row, last row, first column, last column).

    They begin at multiples of a tile, so the tiles, and the order of every sum, are the same for
    any number of threads. ``turned`` is 1 where panels of B have to be turned, which takes about
    the time of a tile: threads that share the columns share that work too.
    """
    bands, panels = (m + ROWS - 1) // ROWS, (n + panel - 1) // panel
    most_rows, most_columns = (bands + threads - 1) // threads, (panels + threads - 1) // threads
    by_rows, by_columns = (most_rows + turned) * panels, most_columns * (bands + turned)
    # All threads lay out the factor that they do not share: the smaller one, if that is as even.
    if n >= m:
        columns_are_shared = by_columns - by_columns // EVEN <= by_rows
    else:
        columns_are_shared = by_columns < by_rows - by_rows // EVEN
    if columns_are_shared:
        first, last = panels * tid // threads, panels * (tid + 1) // threads
        return 0, m, first * panel, min(last * panel, n)
    first, last = bands * tid // threads, bands * (tid + 1) // threads
    return first * ROWS, min(last * ROWS, m), 0, n


# A few rows are as quick as their matrix comes from memory.
@kernel(
    cost=lambda m, n, k: (
        200.0 + m * n * k / (multiplications() if m > FEW_ROWS else min(7.5 * m, 45.0))
    ),
    constants=_of_tiles,
)
def gemm_tiles(
    blas: int, transpose_a: int, transpose_b: int, m: int, n: int, k: int,
    A: Address, lda: int, B: Address, ldb: int, C: Address, ldc: int,
    tid, threads, *, size: Constant, L: Constant, panel: Constant, high: Constant,
    block: Constant, aside: Constant, laid: Constant, copied: Constant, across: Constant,
    wide: Constant,
):  # fmt: skip
    """The same product in tiles of its own; blas is ignored.

    The threads share the rows of C, or its columns. B may be ``LAID``.
    """
    lda, ldb, ldc = size * lda, size * ldb, size * ldc  # in bytes
    like = KIND(0.0)
    if m <= FEW_ROWS and transpose_b == 1 and not transpose_a:
        rows_times(like, size, m, n, k, A, lda, B, ldb, C, ldc, tid, threads)
        return
    ready, turned = transpose_b == LAID, transpose_b == 1
    top, bottom, start, stop = share(m, n, turned, tid, threads, panel)
    space, group = address_of(stack(laid, KIND)), address_of(stack(copied, KIND))
    as_it_lies = bottom - top <= ROWS or ldb == size * panel or min(k, DEPTH) * ldb <= SMALL
    direct = ready or (as_it_lies and not turned)
    # Rows or columns of a wide A lie too far apart for the cache.
    far = stop - start > 2 * panel and (lda >= FAR if transpose_a else lda >= WIDE)
    bands = max(1, blocks_of(bottom - top, high))  # of about as many rows each
    tall = blocks_of(blocks_of(bottom - top, ROWS), bands) * ROWS
    for left in range(start, stop, block):
        right = min(left + block, stop)
        for band in range(top, bottom, max(tall, 1)):
            rows = min(tall, bottom - band)
            for depth in range(0, max(k, 1), DEPTH):
                terms = min(DEPTH, k - depth)
                row, step = (size, lda) if transpose_a else (lda, size)
                first, tile_stride = A + band * row + depth * step, ROWS * row
                if far and transpose_a:
                    for i in range(0, rows, ROWS):
                        out = group + i * terms * size
                        copy_rows(
                            across, like, terms, first + i * row, step, rows - i, out, ROWS * size
                        )  # fmt: skip
                    first, tile_stride, row, step = group, ROWS * terms * size, size, ROWS * size
                elif far:
                    for l in range(0, terms, panel):
                        out = group + l * size
                        copy_rows(
                            2, like, rows, first + l * size, lda, terms - l, out, aside * size
                        )
                    first, tile_stride, row = group, ROWS * aside * size, aside * size
                for j in range(left, right, panel):
                    width = min(panel, n - j)
                    where, b, next_row = B + depth * ldb + j * size, space, size * panel
                    prefetch, prefetch_line, prefetch_stride = space, 0, 0
                    prefetches, prefetch_jump = 0, 0
                    if ready:
                        b = B + (j * k + depth * panel) * size
                    elif turned:
                        where = B + j * ldb + depth * size
                        transpose_panel(like, size, L, space, where, ldb, width, terms)
                    elif direct:
                        b, next_row = where, ldb
                    else:
                        copy_rows(2, like, terms, where, ldb, width, space, next_row)
                    # While this panel is at work, the next one comes closer; of rows as they lie
                    # the next few panels, as ASKED lines one behind the other are quicker to come.
                    if turned:
                        soon, soon_depth = j + panel, depth
                    else:
                        number = (j - left) // panel
                        soon, soon_depth = left + (number // wide + 1) * wide * panel, depth
                    if soon >= right:
                        soon, soon_depth = left, depth + DEPTH
                    if turned and soon_depth < k:
                        prefetch = B + soon * ldb + soon_depth * size
                        prefetch_line, prefetch_stride = ldb, LINE
                        prefetches, prefetch_jump = panel // ASKED, ASKED * ldb
                    elif not direct and soon_depth < k:
                        first_row = soon_depth + number % wide * (terms // wide)
                        prefetch = B + first_row * ldb + soon * size
                        prefetch_line, prefetch_stride = LINE, ldb
                        prefetches, prefetch_jump = CHUNK // wide, terms // CHUNK * ldb
                    c = C + band * ldc + j * size
                    pass_panel(
                        like, rows, depth, terms, first, tile_stride, row, step, b, next_row, c,
                        ldc, width, prefetch, prefetch_line, prefetch_stride, prefetches,
                        prefetch_jump,
                    )  # fmt: skip


@kernel(
    cost=lambda batch0, batch1, batch2, m, n, k: (
        200.0 + batch0 * batch1 * batch2 * (100.0 + m * n * k / multiplications())
    )
)
def gemm_batch(
    kernel: int, blas: int, transpose_a: int, transpose_b: int, m: int, n: int, k: int,
    A: Address, lda: int, B: Address, ldb: int, C: Address, ldc: int,
    batch: tuple[int, int, int], A_strides: tuple[int, int, int],
    B_strides: tuple[int, int, int], C_strides: tuple[int, int, int],
    tid, threads,
):  # fmt: skip
    """Many products of one size, each by the kernel for one product at an address.

    The threads share the products one by one; where there are fewer of them than threads, they
    share each of them. ``batch`` has the axes over which they lie, the innermost first; the strides
    are the bytes along them, 0 where a factor is repeated.
    """
    count = batch[0] * batch[1] * batch[2]
    first, last, me, together = 0, count, tid, threads
    if count >= threads:
        first, last = count * tid // threads, count * (tid + 1) // threads
        me, together = 0, 1
    words = stack(12, np.int64)  # those of ``gemm``
    words[0], words[1], words[2] = blas, transpose_a, transpose_b
    words[3], words[4], words[5] = m, n, k
    words[7], words[9], words[11] = lda, ldb, ldc
    for b in range(first, last):
        i0, rest = b % batch[0], b // batch[0]
        i1, i2 = rest % batch[1], rest // batch[1]
        words[6] = A + i0 * A_strides[0] + i1 * A_strides[1] + i2 * A_strides[2]
        words[8] = B + i0 * B_strides[0] + i1 * B_strides[1] + i2 * B_strides[2]
        words[10] = C + i0 * C_strides[0] + i1 * C_strides[1] + i2 * C_strides[2]
        call_kernel(kernel, address_of(words), 0, me, together)


def by_tiles(dtype: str) -> tuple[Kernel, int]:
    """Return the kernel of products in tiles, and what it takes as ``blas``."""
    return gemm_tiles.kernel(dtype), 0


def by_blas(dtype: str) -> tuple[Kernel, int]:
    """Return the kernel of products by BLAS, and what it takes as ``blas``.

    Raises:
        LookupError: if there is no BLAS that can be called.
    """
    library = blas()
    if library is None:
        raise LookupError("NumPy's BLAS was not found: its products go to tiles")
    return gemm.kernel(dtype, library.bits), library.gemm(dtype)


def product_kernel(dtype: str, m: int, n: int, k: int) -> tuple[Kernel, int]:
    """Return the kernel for the product of (m, k) and (k, n), and what it takes as ``blas``."""
    return by_tiles(dtype) if in_tiles(dtype, m, n, k) else by_blas(dtype)


def product(
    builder: Builder,
    A: Any,
    B: Any,
    C: Any,
    transpose_a: bool = False,
    transpose_b: int = False,
    lda: int | None = None,
    ldb: int | None = None,
) -> None:
    """Emit C = op(A) op(B) for matrices; lda and ldb are the elements from row to row as stored.

    Where they are given, A and B have the shapes that op makes.
    """
    m, n = C.shape
    k = A.shape[0] if transpose_a and lda is None else A.shape[1]
    made, library = product_kernel(dtype_name(C.dtype), m, n, k)
    lda, ldb = A.shape[1] if lda is None else lda, B.shape[1] if ldb is None else ldb
    if not library and m > FEW_ROWS and builder.is_constant(B):
        B, transpose_b = builder.once(laid_in_panels, B, transpose_b, n, k, ldb), LAID
    # In the order of ``gemm``, of whose arguments every eager product would look up the names.
    builder.emit(made, (library, transpose_a, transpose_b, m, n, k, A, lda, B, ldb, C, n))


def _stored(builder: Builder, A: Any) -> tuple[Any, int, bool]:
    """Return an array of matrices, the elements from row to row, and whether it is transposed."""
    size = A.itemsize
    rows, columns = A.shape[-2:]
    down, along = A.strides[-2:]
    if along == size and down % size == 0 and down >= columns * size:
        return A, down // size, False
    if down == size and along % size == 0 and along >= rows * size:
        return A, along // size, True
    A = contiguous(builder, A) if not A.flags.c_contiguous else A
    return A, columns, False


def matmul(builder: Builder, A: Any, B: Any, C: Any) -> None:
    """Emit C = A B for arrays of matrices whose leading axes broadcast; C is contiguous."""
    if B.ndim == 2 and A.ndim > 2 and A.flags.c_contiguous:
        A, C = A.reshape(-1, A.shape[-1]), C.reshape(-1, C.shape[-1])
    (A, lda, transpose_a), (B, ldb, transpose_b) = _stored(builder, A), _stored(builder, B)
    m, n = C.shape[-2:]
    k = A.shape[-1]
    if C.ndim == 2:
        product(builder, A, B, C, transpose_a, transpose_b, lda, ldb)
        return
    batch = C.shape[:-2]
    strides = [_batch_strides(one, batch) for one in (A, B, C)]
    _batches(builder, (transpose_a, transpose_b, m, n, k), (A, B, C), (lda, ldb, n), batch, strides)


def _batches(
    builder: Builder, head: Any, arrays: Any, lengths: Any, batch: Any, strides: Any
) -> None:
    try:
        sizes, steps = walk(tuple(batch), tuple(strides), outer=2)
    except TooManyAxesError:
        for index in range(batch[0]):
            some = [
                a[index if a.shape[0] > 1 else 0] if a.ndim == len(batch) + 2 else a for a in arrays
            ]
            _batches(builder, head, some, lengths, batch[1:], [one[1:] for one in strides])
        return
    A, B, C = arrays
    lda, ldb, ldc = lengths
    transpose_a, transpose_b, m, n, k = head
    one, library = product_kernel(dtype_name(C.dtype), m, n, k)
    gemm_batch.emit(
        builder, dtype_name(C.dtype), kernel=one.address, blas=library,
        transpose_a=transpose_a, transpose_b=transpose_b, m=m, n=n, k=k,
        A=A, lda=lda, B=B, ldb=ldb, C=C, ldc=ldc, batch=sizes,
        A_strides=steps[0], B_strides=steps[1], C_strides=steps[2],
    )  # fmt: skip


def _batch_strides(array: Any, batch: tuple[int, ...]) -> tuple[int, ...]:
    own = array.shape[:-2]
    lead = len(batch) - len(own)
    steps = [0 if size == 1 else step for size, step in zip(own, array.strides, strict=False)]
    return (*(0,) * lead, *steps)


def _matmul(builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]) -> Lowered:
    A, B = inputs
    a, b = (A[None] if A.ndim == 1 else A), (B[:, None] if B.ndim == 1 else B)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows = () if A.ndim == 1 else (A.shape[-2],)
    columns = () if B.ndim == 1 else (B.shape[-1],)
    Y = builder.output(0, (*batch, *rows, *columns), A.dtype)
    matmul(builder, a, b, Y.reshape(*batch, a.shape[-2], b.shape[-1]))
    return (Y,), MatmulSaved(A, B)


def _matmul_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    dY, A, B = inputs
    a, b = (A[None] if A.ndim == 1 else A), (B[:, None] if B.ndim == 1 else B)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    d = contiguous(builder, dY).reshape(*batch, a.shape[-2], b.shape[-1])
    dA = dB = None
    if needs[0]:
        shape = (*batch, a.shape[-2], a.shape[-1])
        dA = builder.output(0, shape if A.ndim > 1 else (*batch, a.shape[-1]), A.dtype)
        matmul(builder, d, b.swapaxes(-1, -2), dA.reshape(shape))
    if needs[1]:
        if b.ndim == 2:  # one product for the whole batch instead of a sum of many
            rows = contiguous(builder, a).reshape(-1, a.shape[-1])
            dB = builder.output(1, B.shape, B.dtype)
            matmul(builder, rows.T, d.reshape(-1, d.shape[-1]), dB.reshape(b.shape))
        else:
            dB = builder.output(1, (*batch, *b.shape[-2:]), B.dtype)
            matmul(builder, a.swapaxes(-1, -2), d, dB)
    return (dA, dB), None


def _check_matmul(inputs: Inputs, options: Options) -> str | None:
    A, B = inputs[-2:]
    if not A.ndim or not B.ndim or A.shape[-1] != B.shape[-2 if B.ndim > 1 else 0]:
        return "the shapes do not fit"
    try:
        np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    except ValueError:
        return "the leading axes do not broadcast"
    return None if A.dtype == B.dtype else f"{A.dtype} meets {B.dtype}"


def _never_alone(direction: str, inputs: Inputs) -> bool:
    """Say that a single call is not quicker than NumPy's."""
    return False


def _multiplications(A: Any, B: Any) -> int:
    """Return how many multiplications one product of two of the matrices takes."""
    rows = A.shape[-2] if A.ndim > 1 else 1
    return rows * A.shape[-1] * (B.shape[-1] if B.ndim > 1 else 1) if A.ndim and B.ndim else 0


MATMUL_KERNEL = CpuKernel(
    "matmul",
    {"forward": _matmul, "backward": _matmul_backward},
    {"forward": _check_matmul, "backward": _check_matmul},
    pays=_never_alone,
    multiplications=_multiplications,
    strided=True,
)
