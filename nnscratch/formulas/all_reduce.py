"""What all ranks of a job have of an array together: its sum, or its parts."""

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


def all_gather_update(V: Any, *, over: Callable[[Any], None] | None = None) -> tuple[Any]:
    """Return an array of which each rank has set its part, with the parts of all.

    Args:
        V: a vector, of which this rank has set its part.
        over: sets the parts of the other ranks, in place; None for a single rank.

    >>> import numpy as np
    >>> all_gather_update(np.array([1.0, 2.0]))[0].tolist()
    [1.0, 2.0]
    """
    whole = array_namespace(V).asarray(V, copy=True)
    if over is not None:
        over(whole)
    return (whole,)


ALL_GATHER = formula(
    all_gather_update,
    equation=r"V \leftarrow (V_0, V_1, \dots, V_{p-1})",
    shapes="V (any) -> V",
    source="MPI: A Message-Passing Interface Standard 4.1, section 6.7",
    updates=("V",),
)
