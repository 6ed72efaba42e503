"""Who is right where losses part: the distance of a first step's gradients from those in float64.

A ReLU near 0 may have one sign in one float32 and the other in another, and a step later the losses
of two libraries that are both right differ by more than roundings. PyTorch's own step in float64,
with the same weights and batch, decides: who is about as near to it as PyTorch's float32 computes
the same network.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

EXACT = "torch, float64"
"""The competitor that decides; it is never timed."""
BY_CHANCE = 2.0
"""How many times as far from it as PyTorch's float32 somebody may be: roundings fall by chance."""


def distance(gradients: list[Any], exact: list[Any]) -> float:
    """Return the norm of all differences beside that of the exact gradients.

    >>> distance([np.array([3.0, 4.1])], [np.array([3.0, 4.0])])
    0.02
    """
    if [one.shape for one in gradients] != [one.shape for one in exact]:
        return math.inf
    pairs = zip(gradients, exact, strict=True)
    off = sum(float(np.square(a.astype(np.float64) - b).sum()) for a, b in pairs)
    found = math.sqrt(off / sum(float(np.square(one).sum()) for one in exact))
    return round(found, 12) if math.isfinite(found) else math.inf


def judged(
    exact: Callable[[], Any], makers: Mapping[str, Callable[[], Any]], threads: int
) -> dict[str, float]:
    """Return how far the gradients of a first step are from the exact ones, for each competitor.

    Args:
        exact: makes the work in float64.
        makers: for each competitor what makes its work: an object with ``run(count)``, which takes
            steps, and ``gradients()`` of the last one.
        threads: of each.

    Raises:
        RuntimeError: if a work cannot be made or fails.
    """
    truth = _first(exact, threads)
    return {who: distance(_first(make, threads), truth) for who, make in makers.items()}


def answer(pipe: Any) -> Any:
    """Return what a competitor's process sends: what was asked for, or in words why not."""
    try:
        return pipe.recv()
    except (EOFError, ConnectionError):
        return "its process died"


def _first(make: Callable[[], Any], threads: int) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_step, args=(there, make, threads), daemon=True)
    process.start()
    there.close()  # so that the end of the process is seen
    found = answer(here)
    process.join()
    if isinstance(found, str):
        raise RuntimeError(f"a competitor failed at its first step: {found}")
    return list(found)


def _step(pipe: Any, make: Callable[[], Any], threads: int) -> None:
    """Be a competitor's process: answer with the gradients of one step."""
    os.environ |= {"OMP_NUM_THREADS": str(threads), "NNSCRATCH_THREADS": str(threads)}
    try:
        work = make()
        work.run(1)
        pipe.send(work.gradients())
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}"[:300])
