"""Updates that write plain values into existing arrays: copy, fill, add."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.formulas.formula import formula


def _fits(where: str, target: Any, source: Any) -> None:
    if target.shape == source.shape:
        return
    if broadcast_shape(where, target, source) != tuple(target.shape):
        raise ShapeError(
            f"{where}: an array of shape {tuple(source.shape)} does not fit into one of shape "
            f"{tuple(target.shape)}"
        )


def copy_into_update(target: Any, source: Any) -> tuple[Any]:
    """Return the values of ``source`` in the dtype of ``target``.

    Raises:
        ShapeError: if ``source`` does not broadcast to the shape of ``target``.
    """
    _fits("copy_into", target, source)
    if source.shape == target.shape and source.dtype == target.dtype:
        return (source,)
    xp = array_namespace(target, source)
    return (xp.broadcast_to(xp.astype(source, target.dtype, copy=False), target.shape),)


COPY_INTO = formula(
    copy_into_update,
    complexes=True,
    equation=r"T \leftarrow S",
    shapes="target (any), source (broadcasts to it) -> target",
    source="assignment",
    updates=("target",),
    aliases=True,
)


def fill_update(target: Any, *, value: float) -> tuple[Any]:
    """Return ``target`` with every entry replaced by ``value``."""
    return (array_namespace(target).full_like(target, value),)


FILL = formula(
    fill_update,
    complexes=True,
    equation=r"T \leftarrow c",
    shapes="target (any) -> target",
    source="assignment",
    updates=("target",),
)


def accumulate_update(target: Any, source: Any) -> tuple[Any]:
    """Return target + source, as where gradients of several batches add up.

    Raises:
        ShapeError: if ``source`` does not broadcast to the shape of ``target``.
    """
    _fits("accumulate", target, source)
    return (target + source,)


ACCUMULATE = formula(
    accumulate_update,
    complexes=True,
    equation=r"T \leftarrow T + S",
    shapes="target (any), source (broadcasts to it) -> target",
    source="document, section 4.2; the sum rule",
    updates=("target",),
)
