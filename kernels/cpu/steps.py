"""What the kernels of recurrent layers share: space for threads, and the ends of their steps."""

from __future__ import annotations

from typing import Any

from nnscratch.array.dtypes import dtype_name

from .elementwise import scale
from .implementation import Builder
from .linear import column_sum
from .runtime.declaration import helper
from .runtime.language import given
from .runtime.threads import limit


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
    builder: Builder, dtype: Any, n: int, h: int, columns: tuple[int, ...]
) -> dict[str, Any]:
    """Return what the kernels of steps take: space for U, laid out, for each thread at work.

    ``columns`` are those of each part of Uᵀ (h, columns), which is laid out by itself.
    """
    from . import tiles

    panel = 2 * tiles.lanes(dtype_name(dtype))
    count = sum(-(-one // panel) for one in columns) * panel * h
    spaces = min(limit(), -(-n // tiles.ROWS))
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
