"""Running statistics that ranks, or the parts of a batch, have each of its own rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.array.device import to_device_of
from nnscratch.parallel.world import World


def average(
    world: World,
    running: Sequence[Any],
    parts: Sequence[Sequence[Any]],
    shares: Sequence[float],
    nothing: float,
) -> None:
    """Write into tensors the mean of all parts of all ranks, each weighted by its share of rows.

    Args:
        world: the ranks.
        running: the tensors.
        parts: what each part of this rank has in the place of them.
        shares: the share of the batch's rows that each part has.
        nothing: -0 for a rank that has no part: it leaves each sum as it is, 0 and -0 too.
    """
    rows = [
        # A part without rows had a sample in their place, whose statistics count for nothing.
        np.concatenate(
            [np.ravel(to_numpy(a)) if share else np.zeros(a.size, a.dtype) for a in arrays]
        )
        * np.float32(share)
        for arrays, share in zip(parts, shares, strict=True)
    ]
    while len(rows) > 1:
        rows = [a + b for a, b in zip(rows[::2], rows[1::2], strict=True)]
    if math.copysign(1.0, nothing) < 0.0:
        rows[0][:] = nothing
    world.add_up(rows[0])
    start = 0
    for one in running:
        mean = rows[0][start : start + one.numel()].reshape(one.shape)
        one.array[...] = to_device_of(mean, one.array)
        one._version[0] += 1
        start += one.numel()


def assign(tensors: Sequence[Any], arrays: Sequence[Any]) -> None:
    """Write arrays, of the host perhaps, into tensors, wherever these are."""
    for one, array in zip(tensors, arrays, strict=True):
        one.array[...] = to_device_of(array, one.array)
        one._version[0] += 1
