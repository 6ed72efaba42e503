"""Panels of matrix products: the rows of A that pass by a panel of B. Imports Numba.

A panel is two vector registers of columns of B, laid end to end so that it streams from the nearest
cache; a strip is the tiles that some rows of A make with it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from .runtime.cache import call_shared
from .runtime.intrinsics import I64, INLINE, VOID
from .tiles import ROWS, _Emitter, dots, move, transpose, write_tile

_WORDS = 17
"""How many integers ``pass_panel`` takes."""


def _write_strip(e: _Emitter, V: int, cut: bool, given: Sequence[Any]) -> None:
    """Write some rows of a panel of V registers, tile by tile; see ``pass_panel``."""
    builder = e.builder
    rows, add, k, a, tile_stride, row, step, b, ldb, c, ldc, width, *ahead = given
    prefetch, prefetch_line, prefetch_stride, prefetches, prefetch_jump = ahead

    def some_tile(R: int, a: Any, c: Any, *prefetch: Any) -> None:
        write_tile(e, R, V, cut, add, k, a, row, step, b, ldb, c, ldc, width, *prefetch)

    def behind(start: Any, step: Any, times: Any) -> Any:
        return builder.add(start, builder.mul(step, times))

    def whole_tile(t: Any, *prefetch: Any) -> None:
        some_tile(ROWS, behind(a, tile_stride, t), behind(c, length, t), *prefetch)

    length = builder.mul(ldc, I64(ROWS))
    tiles = builder.sdiv(rows, I64(ROWS))
    asking = I64(0)
    if V == 2 and not cut:
        asking = builder.select(builder.icmp_signed("<", prefetches, tiles), prefetches, tiles)
        with e.each(asking) as t:
            whole_tile(t, behind(prefetch, prefetch_jump, t), prefetch_line, prefetch_stride)
    with e.each(tiles, asking) as t:
        whole_tile(t)
    a, c = behind(a, tile_stride, tiles), behind(c, length, tiles)
    rest = builder.srem(rows, I64(ROWS))
    for R in (4, 2, 1):
        there = builder.and_(rest, I64(R))
        with builder.if_then(builder.icmp_signed("!=", there, I64(0))):
            some_tile(R, a, c)
        a, c = behind(a, row, there), behind(c, ldc, there)


def _write_panel(kind: Any, module: Any, symbol: str) -> None:
    """Write ``pass_panel`` for a dtype of Numba: a function of integers."""
    function = ir.Function(module, ir.FunctionType(VOID, [I64] * _WORDS), symbol)
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block())
    e = _Emitter(cpu_target.target_context, builder, kind)
    width = function.args[11]
    for V in (2, 1):
        for cut in (False, True):
            order, registers = (">", V - 1) if cut else ("==", V)
            with builder.if_then(builder.icmp_signed(order, width, I64(registers * e.count))):
                _write_strip(e, V, cut, function.args)
                builder.ret_void()
    builder.ret_void()


@intrinsic
def pass_panel(
    typingctx, like, rows, add, k, a, tile_stride, row, step, b, ldb, c, ldc, width,
    prefetch, prefetch_line, prefetch_stride, prefetches, prefetch_jump,
):  # fmt: skip
    """Let rows of A pass by a panel of which ``width`` columns exist.

    ``tile_stride`` is the bytes from one tile of A to the next, ``row`` and ``step`` those within
    one. The first ``prefetches`` tiles of a whole panel ask for cache lines of the next one, each
    ``prefetch_jump`` bytes behind the other; of the rest see ``write_tile``.

    Its tiles are compiled once, as a function of its own that all kernels call.
    """

    def codegen(context, builder, signature, args):
        call_shared(builder, f"pass_panel_{like}", functools.partial(_write_panel, like), args[1:])
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * _WORDS), codegen


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
