"""Computing outputs for requests: one row's are the same alone and in company."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.array import to_numpy
from nnscratch.cli.serving.reading import BadRequestError
from nnscratch.nn import Module
from nnscratch.plan.compiling import compile as compiled
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad

Array = npt.NDArray[Any]
_BLOCKS = (64, 16, 8, 4, 2)
_GAIN = 0.7
"""A block is taken where a row in it takes at most this share of the time of one alone."""
_QUICK = 1e-3
"""Seconds of computing that do not keep other requests waiting noticeably."""
_LONG = 0.3
"""Seconds that are enough for measuring one size of blocks."""
_AT_ONCE = 1024


class RowComputer:
    """Computes the outputs of rows, each with the same bits alone and among others.

    A product of another size may add up in another order. So rows are computed one by one, or in
    blocks of those sizes that were seen to give the same bits and to be quicker.

    Args:
        model: in evaluation mode.
        shape: of one row of features.

    Attributes:
        blocks: how many rows are computed at once, the largest number first and 1 last.
        seconds: how long a row takes in the largest block.
    """

    def __init__(self, model: Module, shape: tuple[int, ...]) -> None:
        self._model = compiled(model, freeze=True)
        self._bound: dict[int, Callable[[list[Any]], Any] | None] = {}
        rng = np.random.default_rng(0)
        rows = rng.standard_normal((_BLOCKS[0], *shape)).astype(np.float32)
        alone, least = self._timed(1, rows)
        self.seconds = least
        blocks = []
        for block in _BLOCKS:
            found, seconds = self._timed(block, rows)
            if seconds <= _GAIN * least and found.tobytes() == alone.tobytes():
                blocks.append(block)
                self.seconds = min(self.seconds, seconds)
                if least > _QUICK:
                    break  # what is left over of larger blocks does not matter
        self.blocks = (*blocks, 1)

    def _timed(self, block: int, rows: Array) -> tuple[Array, float]:
        """Return the outputs in blocks of a size, and the least seconds that a row took."""
        with no_grad():  # nothing changes the model any more
            self._bound[block] = self._model.bound(Tensor(rows[:block]))
        least, began = float("inf"), time.perf_counter()
        outputs: list[Array] = []
        for _ in range(5):
            start = time.perf_counter()
            outputs = [self._forward(rows[n : n + block]) for n in range(0, len(rows), block)]
            now = time.perf_counter()
            least = min(least, now - start)
            if now - began > _LONG:
                break
        return np.concatenate(outputs), least / len(rows)

    def _forward(self, rows: Array) -> Array:
        bound = self._bound.get(len(rows))
        if bound is not None:
            made = bound([rows])
        else:
            with no_grad():
                made = self._model(Tensor(np.ascontiguousarray(rows)))
        return to_numpy(made.array)

    def __call__(self, features: Array) -> Array:
        """Return the outputs (N, K) of features (N, ...)."""
        if len(features) == 1:
            return self._forward(features)
        parts, start = [], 0
        for block in self.blocks:
            while len(features) - start >= block:
                parts.append(self._forward(features[start : start + block]))
                start += block
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(eq=False)
class _Job:
    features: Array
    result: asyncio.Future[Array]


class RequestQueue:
    """Lets requests wait for the computer, in order, and never too many or for too long.

    What takes less than a millisecond is computed at once. Other requests are computed in a thread,
    so that the server still answers; those that have come meanwhile are computed together.

    Args:
        compute: the outputs of features.
        seconds: how long a row takes.
        most: how many requests may wait.
        timeout: how many seconds one may.
    """

    def __init__(
        self, compute: Callable[[Array], Array], seconds: float, most: int, timeout: float
    ) -> None:
        self._compute, self._seconds = compute, seconds
        self._most, self._timeout = most, timeout
        self._waiting: list[_Job] = []
        self._thread = ThreadPoolExecutor(1, "nnscratch-serve")
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def quick(self, rows: int) -> bool:
        """Say whether so many rows are computed at once, without waiting."""
        return self._task is None and rows * self._seconds <= _QUICK

    def now(self, features: Array) -> Array:
        """Compute features at once."""
        return self._compute(features)

    async def later(self, features: Array) -> Array:
        """Compute features when it is their turn.

        Raises:
            BadRequestError: 503 if too many requests wait, or this one waited too long.
        """
        if len(self._waiting) >= self._most:
            raise BadRequestError(503, "too many requests are waiting", **{"retry-after": "1"})
        job = _Job(features, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        try:
            async with asyncio.timeout(self._timeout):
                return await job.result
        except TimeoutError:
            reason = f"the request has waited {self._timeout:g} s for its turn"
            raise BadRequestError(503, reason, **{"retry-after": "1"}) from None
        finally:
            if job in self._waiting:
                self._waiting.remove(job)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                jobs = self._taken()
                joined = np.concatenate([job.features for job in jobs])
                try:
                    outputs = await loop.run_in_executor(self._thread, self._compute, joined)
                    start = 0
                    for job in jobs:
                        _settle(job, outputs[start : start + len(job.features)])
                        start += len(job.features)
                except Exception:  # of one request, which must not be the others'
                    for job in jobs:
                        await self._alone(loop, job)
        finally:
            self._task = None

    def _taken(self) -> list[_Job]:
        jobs, rows = [self._waiting.pop(0)], 0
        rows = len(jobs[0].features)
        while self._waiting and rows + len(self._waiting[0].features) <= _AT_ONCE:
            jobs.append(self._waiting.pop(0))
            rows += len(jobs[-1].features)
        return jobs

    async def _alone(self, loop: asyncio.AbstractEventLoop, job: _Job) -> None:
        try:
            _settle(job, await loop.run_in_executor(self._thread, self._compute, job.features))
        except Exception as error:  # it is answered with 500
            if not job.result.done():
                job.result.set_exception(error)

    def close(self) -> None:
        """End the thread, once what it computes is done."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def _settle(job: _Job, outputs: Array) -> None:
    # The request may have been given up.
    if not job.result.done():
        job.result.set_result(outputs)
