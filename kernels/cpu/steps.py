"""What the kernels of recurrent layers share: space for threads, and the ends of their steps."""

from __future__ import annotations

from typing import Any

from nnscratch.array.dtypes import dtype_name

from .elementwise import scale
from .implementation import Builder
from .linear import column_sum
from .runtime.declaration import helper
from .runtime.language import ROWS, given, part, pass_panel
from .runtime.threads import limit

SEQUENCES = 4
"""Threads share the sequences by this many: 32 of them in halves, where tiles of 6 make 18 and 14.
The sums of a tile of 4 rows have the order of those of a whole one, and lower tiles another."""


@helper
def sequences(n, tid, threads, spaces):
    """The range of sequences that belongs to one thread; none to one that has no space."""
    workers = min(threads, spaces)
    return part(n, tid, workers, SEQUENCES) if tid < workers else (0, 0)


@helper
def state_times(like, size, L, panel, rows, add, columns, terms, A, row, laid, C, length):
    """C = A B, or C += A B, for A (rows, terms) and B (terms, columns), laid out in panels.

    The rows are those of ``sequences``. They go by in whole tiles and in tiles of 4, and what is
    left of the last ones by itself: so the order of every sum is the same for any number of
    threads. Where a panel is one register wide that order is one for each height of a tile, so
    that all are of 4 rows.
    """
    fours = rows // SEQUENCES * SEQUENCES
    for j in range(0, columns, panel):
        b, width = laid + j * terms * size, min(panel, columns - j)
        i = 0
        while i < rows:
            left = fours - i
            count = left // ROWS * ROWS
            if left % ROWS % SEQUENCES:  # 2 rows and a tile of 6 are two tiles of 4
                count -= ROWS
            if count <= 0 or width <= L:
                count = SEQUENCES
            pass_panel(
                like, min(count, rows - i), add, terms, A + i * row, ROWS * row, row, size, b,
                panel * size, C + i * length + j * size, length, width, b, 0, 0, 0, 0,
            )  # fmt: skip
            i += count


@helper
def keep_last(last, states, begin, first, end):
    """Copy the state of the last step, which begins at ``begin``, for the rows of one thread."""
    for j in range(first, end):
        last[j] = states[begin + j]


@helper
def begin_gradient(like, gradient, of_last, first, end):
    """Begin with the gradient of the last state, or with zeros where there is none."""
    for j in range(first, end):
        gradient[j] = of_last[j] if given(of_last) else like


@helper
def gather(h, before, gradient, dY, y, s, old, p):
    """Write down the state before a step of one sequence, and add its own gradient to dH."""
    for j in range(h):
        before[y + j] = old[p + j]
    if given(dY):
        for j in range(h):
            gradient[s + j] += dY[y + j]


def spaces_for(
    builder: Builder, dtype: Any, n: int, terms: int, columns: tuple[int, ...]
) -> dict[str, Any]:
    """Return what the kernels of steps take: space for U, laid out, for each thread at work.

    ``columns`` are those of each part of Uᵀ or U (terms, columns), which is laid out by itself.
    """
    from . import tiles

    panel = 2 * tiles.lanes(dtype_name(dtype))
    count = sum(-(-one // panel) for one in columns) * panel * terms
    spaces = min(limit(), -(-n // SEQUENCES))
    space = builder.empty((spaces, count), dtype)
    return {"space": space, "spaces": spaces, "bytes_a_space": count * dtype.itemsize}


def bias_gradients(builder: Builder, dZ: Any, first: Any, second: Any) -> None:
    """Emit the sums over the rows of dZ for two biases that are added, where they are asked."""
    dtype, (rows, columns) = dtype_name(dZ.dtype), dZ.shape
    made = second if first is None else first
    if made is not None:
        column_sum.emit(builder, dtype, X=dZ, out=made, rows=rows, columns=columns, c=1.0)
    if first is not None and second is not None:
        scale.emit(builder, dtype, X=first, Y=second, factor=None, count=columns, c=1.0)
