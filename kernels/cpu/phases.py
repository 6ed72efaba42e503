"""Pixels of an image that are as many rows and columns apart as a stride says."""

from __future__ import annotations

from typing import Any

from nnscratch.array.dtypes import dtype_name

from .asked import asking, needed
from .implementation import Builder
from .runtime.declaration import Address, kernel
from .runtime.language import KIND, part, pointer


@kernel(cost=lambda planes, rows, columns: 1.0 * planes * rows * columns)
def put_phase(
    Z: Address, X: Address, planes: int, rows: int, columns: int, pixels: int, first: int,
    down: int, along: int, asked: Address, questions: int,
    tid, threads,
):  # fmt: skip
    """Write planes of Z into those of X, some rows and columns apart, from pixel ``first`` on.

    A plane of X has so many ``pixels``; ``down`` and ``along`` are those of X from one row, and one
    column, of Z to the next. Where the int64 at ``asked`` are all 0, nothing is written.
    """
    if not needed(asked, questions):
        return
    source, goal = pointer(Z, KIND), pointer(X, KIND)
    begin, end = part(planes, tid, threads, 1)
    for plane in range(begin, end):
        for i in range(rows):
            at, to = (plane * rows + i) * columns, plane * pixels + first + i * down
            for j in range(columns):
                goal[to + j * along] = source[at + j]


def emit_phase(builder: Builder, Z: Any, X: Any, phases: Any, stride: Any, asked: Any) -> None:
    """Emit X[..., a::s, b::t] = Z for images X of one plane, phases (0, a, b), stride (1, s, t)."""
    rows, columns = Z.shape[-2:]
    height, width = X.shape[-2:]
    put_phase.emit(
        builder, dtype_name(Z.dtype), Z=Z, X=X, planes=Z.shape[0] * Z.shape[1], rows=rows,
        columns=columns, pixels=height * width, first=phases[1] * width + phases[2],
        down=stride[1] * width, along=stride[2], **asking(asked),
    )  # fmt: skip
