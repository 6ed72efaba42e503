"""Talking to the processes of the competitors."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.competitors.workload import PRECISION
from nnscratch.kernels.cpu import available

THREAD_VARIABLES = (
    "NNSCRATCH_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
SEARCHED = "NNSCRATCH_BENCH_PATH"
"""The variable that tells a process where this one finds its modules."""
WORKER = str(Path(__file__).with_name("worker.py"))


class CompetitorError(Exception):
    """A competitor failed, died, or did not answer in time."""


PROCESSORS = "NNSCRATCH_BENCH_PROCESSORS"
# What JAX calls the precisions of PyTorch and nnscratch.
_JAX_NAMES = {"highest": "float32", "high": "tensorfloat32", "medium": "bfloat16"}


def environment(threads: int | None, device: str, precision: str = "highest") -> dict[str, str]:
    """Return the variables that pin every library to one number of threads and one device.

    Args:
        threads: as many, on as many processors; None for a thread on each core, anywhere.
        device: "cpu" or "cuda".
        precision: of float32 products on a GPU, as in ``set_float32_matmul_precision``.
    """
    made = dict.fromkeys(THREAD_VARIABLES, str(available() if threads is None else threads))
    if threads is not None:
        made[PROCESSORS] = str(threads)
    made["JAX_PLATFORMS"] = "cuda,cpu" if device == "cuda" else "cpu"
    made["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Competitors share the GPU: JAX would otherwise take most of its memory at once.
    made["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if device == "cuda":
        # Everybody alike: left alone, JAX rounds the factors to TF32 and PyTorch does not.
        made["JAX_DEFAULT_MATMUL_PRECISION"] = _JAX_NAMES[precision]
        made[PRECISION] = precision
    return made


def busy(seconds: float = 1.0) -> float:
    """Return how many processors are at work while this process sleeps for that long.

    Where that cannot be told, the load average, which also counts what this process did before.
    """
    try:
        before = _ticks()
        time.sleep(seconds)
        after = _ticks()
    except (OSError, ValueError, IndexError):
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    working, idle = after[0] - before[0], after[1] - before[1]
    return working / max(1, working + idle) * (os.cpu_count() or 1)


def _ticks() -> tuple[int, int]:
    with open("/proc/stat", encoding="ascii") as file:
        numbers = [int(word) for word in file.readline().split()[1:]]
    idle = numbers[3] + numbers[4]
    return sum(numbers[:8]) - idle, idle


@contextmanager
def pinned(variables: Mapping[str, str]) -> Iterator[None]:
    """Keep processes that are started in the block on as many processors as the variables say."""
    count = int(variables.get(PROCESSORS, 0))
    if not count or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Client:
    """The process of one competitor, started when it is entered and ended when it is left."""

    def __init__(
        self,
        target: str,
        arguments: Mapping[str, Any],
        variables: Mapping[str, str],
        timeout: float = 900.0,
    ) -> None:
        """Say what to start; nothing happens yet.

        Args:
            target: the class, as ``module:Class``.
            arguments: its arguments, in JSON's types.
            variables: for the environment of the process.
            timeout: seconds that one answer may take.
        """
        self.target, self.arguments, self.timeout = target, dict(arguments), timeout
        self._variables = {**os.environ, **variables, SEARCHED: json.dumps(sys.path)}
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        # Open as long as the process, so no context manager.
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115

    def __enter__(self) -> Client:
        """Start the process and let it make its competitor.

        Raises:
            CompetitorError: if it cannot.
        """
        with pinned(self._variables):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.stopwatch.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=self._variables,
                text=True,
            )
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()
        try:
            self.started = self.ask("make", target=self.target, arguments=self.arguments)
        except CompetitorError:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self.close()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def ask(self, do: str, **more: Any) -> Any:
        """Send a request and return the answer.

        Raises:
            CompetitorError: if it failed, died, or took too long.
        """
        if self._process is None:
            raise CompetitorError("the process has ended")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=self.timeout)
        except (queue.Empty, BrokenPipeError) as error:
            late = isinstance(error, queue.Empty)
            why = f"no answer within {self.timeout:g} s" if late else self._last_words()
            self.close()
            raise CompetitorError(why) from None
        if line is None:
            why = self._last_words()
            self.close()
            raise CompetitorError(why)
        reply = json.loads(line)
        if "error" in reply:
            raise CompetitorError(reply["error"])
        return reply["value"]

    def evidence(self, count: int) -> Any:
        """Return the numbers that have to agree."""
        return self.ask("evidence", count=count)

    def seconds(self, count: int, warm: bool = True) -> float:
        """Run that many times and return how long it took."""
        return float(self.ask("run", count=count, warm=warm))

    def _last_words(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return f"the process ended with {code}" + (f": {lines[-1][:200]}" if lines else "")

    def close(self) -> None:
        """End the process; nothing happens if it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._listener.join()
        process.stdout.close()
        self._errors.close()
