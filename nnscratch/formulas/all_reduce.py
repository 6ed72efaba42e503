"""The sum of an array over all ranks of a job, each of which has its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.formulas.formula import formula


def all_reduce_update(G: Any, *, over: Callable[[Any], None] | None = None) -> tuple[Any]:
    """Return the sum of the ranks' arrays, which is the array itself where there is one rank.

    Args:
        G: what this rank has of it, a vector.
        over: adds the other ranks' arrays to one, in place; None for a single rank.

    >>> import numpy as np
    >>> all_reduce_update(np.array([1.0, 2.0]))[0].tolist()
    [1.0, 2.0]
    """
    total = array_namespace(G).asarray(G, copy=True)
    if over is not None:
        over(total)
    return (total,)


ALL_REDUCE = formula(
    all_reduce_update,
    equation=r"G \leftarrow \sum_r G_r",
    shapes="G (any) -> G",
    source="MPI: A Message-Passing Interface Standard 4.1, section 6.9.6",
    updates=("G",),
)
