"""Resampling and pooling by windows of any layout, put together of PyTorch's functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

Tensor = torch.Tensor


def resample(x: Tensor, *, lines: Any) -> Tensor:
    """Return the entries that each result reads, times their weights, added up axis by axis."""
    for axis, line in enumerate(lines, x.ndim - len(lines)):
        read = x.movedim(axis, -1)[..., torch.from_numpy(line.index)]
        weight = torch.from_numpy(line.weight).to(x.dtype)
        x = torch.where(weight != 0, read * weight, 0).sum(-2).to(x.dtype).movedim(-1, axis)
    return x


def max_pool(x: Tensor, *, lines: Any) -> tuple[Tensor, Tensor]:
    """Return the largest of all that each window of the plane reads, and where it is."""
    numbers, outs = np.zeros((1, 1), np.int64), tuple(line.out for line in lines)
    for line in lines:
        parts = numbers[:, None, :, None] * line.size + line.index[None, :, None, :]
        numbers = parts.reshape(parts.shape[0] * parts.shape[1], -1)
    table = torch.from_numpy(numbers)
    read = x.flatten(x.ndim - len(lines))[..., table]
    # The first of the largest; the last of several NaN.
    order = torch.where(read.isnan(), torch.arange(len(table))[:, None] + 1, 0)
    best = read.max(-2, keepdim=True).values
    first = (read == best).to(torch.int8).argmax(-2, keepdim=True)
    where = torch.where(order.amax(-2, keepdim=True) > 0, order.argmax(-2, keepdim=True), first)
    values = read.gather(-2, where).squeeze(-2)
    places = table.expand(read.shape).gather(-2, where).squeeze(-2)
    return values.unflatten(-1, outs), places.unflatten(-1, outs)


def max_unpool(x: Tensor, i: Tensor, *, sizes: tuple[int, ...]) -> Tensor:
    """Return zeros with the entries at their numbers in the plane."""
    zeros = x.new_zeros((*x.shape[: x.ndim - len(sizes)], math.prod(sizes)))
    places, entries = i.flatten(-len(sizes)), x.flatten(-len(sizes))
    return zeros.scatter(-1, places, entries).unflatten(-1, sizes)
