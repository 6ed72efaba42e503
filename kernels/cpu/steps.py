"""What the kernels of recurrent layers share: space for threads, and the ends of their steps."""

from __future__ import annotations

from typing import Any

from nnscratch.array.dtypes import dtype_name

from .elementwise import scale
from .implementation import Builder
from .laid_out import lay_out
from .linear import column_sum
from .runtime.declaration import helper
from .runtime.language import ROWS, given, part, pass_panel
from .runtime.pool import pool
from .runtime.threads import limit

SEQUENCES = 4
"""Threads share the sequences by this many: 32 of them in halves, where tiles of 6 make 18 and 14.
The sums of a tile of 4 rows have the order of those of a whole one, and lower tiles another.
Fewer sequences would be one thread's: there the threads share the units, and meet at every step."""
WORTH_MEETING = 1 << 14
"""Multiplications of a step for which a thread is worth waiting for."""


@helper
def shares(n, h, tid, threads, spaces, state, panel):
    """The ranges of sequences and of units that belong to one thread: no sequence without a space.

    Where there is a ``state`` of the pool, by which threads meet, they are some units of all.
    """
    workers = min(threads, spaces)
    if tid >= workers:
        return 0, 0, 0, 0
    if state != 0:
        left, right = part(h, tid, workers, panel)
        return 0, n, left, right
    first, end = part(n, tid, workers, SEQUENCES)
    return first, end, 0, h


@helper
def lay_out_gates(like, size, L, panel, laid, U, h, gates, first, columns):
    """Lay out Uᵀ (h, gates of h columns) for ``state_times``: some columns of each gate."""
    space = (columns + panel - 1) // panel * panel * h * size
    for k in range(gates):
        here = U + (k * h + first) * h * size
        lay_out(like, size, L, panel, laid + k * space, here, h * size, columns, h)


@helper
def state_times(
    like, size, L, panel, rows, add, gates, columns, terms, A, row, laid, C, length, turn
):
    """C = A B, or C += A B, for A (rows, terms) and B (terms, columns), laid out in panels.

    Of several gates, B and C have some columns of each, which in C begin ``terms`` apart. The rows
    are those of one thread's ``shares``. They go by in whole tiles and in tiles of 4, and what is
    left of the last ones by itself: so the order of every sum is the same for any number of
    threads. Where a panel is one register wide that order is one for each height of a tile, so
    that all are of 4 rows. After every other ``turn`` the panels begin with the last one, which is
    in the nearest cache from the turn before.
    """
    fours = rows // SEQUENCES * SEQUENCES
    panels = (columns + panel - 1) // panel
    for p in range(gates * panels):
        which = gates * panels - 1 - p if turn % 2 else p
        j = which % panels * panel
        b, width = laid + which * panel * terms * size, min(panel, columns - j)
        c = C + (which // panels * terms + j) * size
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
                panel * size, c + i * length, length, width, b, 0, 0, 0, 0,
            )  # fmt: skip
            i += count


@helper
def keep_last(last, states, begin, h, first, end, left, right):
    """Copy the state of the last step, which begins at ``begin``, for the part of one thread."""
    for i in range(first, end):
        for j in range(i * h + left, i * h + right):
            last[j] = states[begin + j]


@helper
def begin_gradient(like, gradient, of_last, h, first, end, left, right):
    """Begin with the gradient of the last state, or with zeros where there is none."""
    for i in range(first, end):
        for j in range(i * h + left, i * h + right):
            gradient[j] = of_last[j] if given(of_last) else like


@helper
def gather(left, right, before, gradient, dY, y, s, old, p):
    """Write down the state before a step of one sequence, and add its own gradient to dH."""
    for j in range(left, right):
        before[y + j] = old[p + j]
    if given(dY):
        for j in range(left, right):
            gradient[s + j] += dY[y + j]


def spaces_for(
    builder: Builder, dtype: Any, n: int, terms: int, columns: tuple[int, ...]
) -> dict[str, Any]:
    """Return what the kernels of steps take: space for U, laid out, for each thread at work.

    ``columns`` are those of each part of Uᵀ or U (terms, columns), which is laid out by itself. Of
    few sequences all threads share one space.
    """
    from . import tiles

    panel, state = 2 * tiles.lanes(dtype_name(dtype)), 0
    workers = n * sum(columns) * terms // WORTH_MEETING
    if n < SEQUENCES and workers > 1:
        h = min(terms, *columns)
        count = sum(columns) // h * -(-h // panel) * panel * terms
        spaces, apart, state = min(limit(), workers), 0, pool().address
        space = builder.empty((count,), dtype)
    else:
        count = sum(-(-one // panel) for one in columns) * panel * terms
        spaces, apart = min(limit(), -(-n // SEQUENCES)), count * dtype.itemsize
        space = builder.empty((spaces, count), dtype)
    return {"space": space, "spaces": spaces, "bytes_a_space": apart, "state": state}


def bias_gradients(builder: Builder, dZ: Any, first: Any, second: Any) -> None:
    """Emit the sums over the rows of dZ for two biases that are added, where they are asked."""
    dtype, (rows, columns) = dtype_name(dZ.dtype), dZ.shape
    made = second if first is None else first
    if made is not None:
        column_sum.emit(builder, dtype, X=dZ, out=made, rows=rows, columns=columns, c=1.0)
    if first is not None and second is not None:
        scale.emit(builder, dtype, X=first, Y=second, factor=None, count=columns, c=1.0)
