"""What a model does besides its outputs, found out before ranks share its batches.

A part of a batch must draw the random numbers that its rows get in one process, and a model may
draw others: noise on its weights. By the shape of a single draw the two cannot be told apart:
(8, 6) may be 8 rows or 8 outputs. So the model is run with two and with three rows, and what has
grown is drawn for rows. Buffers that have changed are found too: they have to stay alike on all
ranks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.array.device import to_device_of
from nnscratch.array.random import ROWS_TOGETHER, row_scope
from nnscratch.errors import ConfigurationError
from nnscratch.nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, Module
from nnscratch.tensors.grad_mode import no_grad

_RUNNING = ("running_mean", "running_var")
_BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
FEW, MORE = 2, 3
"""How many rows a model is run with; a batch norm has no variance of one."""
Draws = list[tuple[int | None, int]]


class Habits(NamedTuple):
    """What a model does in training.

    Attributes:
        of_rows: for each of its draws of random numbers whether it is for rows; None if unknown.
        changed: the names of the buffers that it changes.
        together: how many rows have to stay together where a batch is divided: as many as fill
            whole blocks of random numbers, and two of a model that has a batch norm.
    """

    of_rows: Sequence[bool] | None = None
    changed: frozenset[str] = frozenset()
    together: int = ROWS_TOGETHER


def habits_of(model: Module, forward: Callable[[Any], Any], few: Any, more: Any) -> Habits:
    """Run a model with two rows and with three, and return what it does.

    Everything is as before afterwards: buffers, modes and generators.

    Args:
        model: the model.
        forward: runs it with a batch, and computes the loss.
        few: a batch of ``FEW`` rows.
        more: a batch of ``MORE`` rows.

    Raises:
        ConfigurationError: if random numbers are drawn for rows along another axis than the first.
    """
    before = _buffers(model)
    drawn: list[Draws] = []
    after: list[dict[str, Any]] = []
    for rows, batch in ((FEW, few), (MORE, more)):
        with _as_it_was(model, before), row_scope(0, rows, rows) as scope:
            try:
                with no_grad(), np.errstate(all="ignore"):
                    forward(batch)
            except Exception:  # a step of somebody's own may need gradients: nothing is known then
                return Habits()
            finally:
                scope.rewind()
            after.append(_buffers(model))
        drawn.append(scope.drawn)
    changed = {
        name
        for name, value in before.items()
        if any(one[name].tobytes() != value.tobytes() for one in after)
    }
    of_rows = _of_rows(*drawn)
    norms = any(isinstance(module, _BATCH_NORMS) for module in model.modules())
    return Habits(of_rows, frozenset(changed), max(_together(of_rows, drawn[0]), 1 + norms))


def _buffers(model: Module) -> dict[str, Any]:
    return {name: to_numpy(one.array).copy() for name, one in model.named_buffers()}


@contextmanager
def _as_it_was(model: Module, buffers: dict[str, Any]) -> Iterator[None]:
    """Return a context in which a model is in training mode, after which it is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for name, one in model.named_buffers():
            one.array[...] = to_device_of(buffers[name], one.array)
            one._version[0] += 1


def _of_rows(few: Draws, more: Draws) -> Sequence[bool] | None:
    """Tell the draws for rows from the others by what has grown with the rows."""
    if len(few) != len(more):
        return None
    found = []
    for (rows, count), (grown, larger) in zip(few, more, strict=True):
        along = bool(rows and grown and rows * MORE == grown * FEW)
        if not along and count != larger:
            raise ConfigurationError(
                f"the model draws {count} random numbers for {FEW} rows and {larger} for {MORE} of "
                "them, and not along the first axis: several ranks or shards cannot draw what one "
                "process does. Let the batch come first where it draws (batch_first=True)"
            )
        found.append(along)
    return tuple(found)


def _together(of_rows: Sequence[bool] | None, few: Draws) -> int:
    """Return how many rows fill whole blocks of random numbers, in every draw for rows."""
    if of_rows is None:
        return ROWS_TOGETHER
    each = [count // FEW for (_, count), rows in zip(few, of_rows, strict=True) if rows]
    return max([ROWS_TOGETHER // math.gcd(one, ROWS_TOGETHER) for one in each], default=1)


def statistics_of(model: Module) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the running statistics of a model by name, and what counts its batches."""
    running: dict[str, Any] = {}
    counted: dict[str, Any] = {}
    for path, module in model.named_modules():
        if getattr(module, "track_running_stats", False):
            for name, one in module.named_buffers(recurse=False):
                whole = f"{path}.{name}" if path else name
                (running if name in _RUNNING else counted)[whole] = one
    return running, counted
