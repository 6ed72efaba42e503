"""What there is for several processes on this machine, for ``nnscratch doctor``."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from nnscratch.array.cuda import cuda_problem, cupy
from nnscratch.errors import ConfigurationError
from nnscratch.kernels.cpu.runtime import threads
from nnscratch.parallel.launched import launched
from nnscratch.parallel.nccl import INSTALL
from nnscratch.parallel.starting import mpiexec

Rows = list[tuple[str, str]]
_LIMIT = 30.0
# Printed by two ranks, of a program without this package: the sizes that each of them sees.
_PROBE = "from mpi4py import MPI; print(MPI.COMM_WORLD.size, MPI.Get_library_version()[:200])"
_INSTALL = 'pip install "nnscratch[mpi]"'


def report() -> Rows:
    """Return what was found: mpi4py, the launcher, whether they belong together, processors.

    >>> "GPUs of several ranks" in dict(report())
    True
    """
    rows: Rows = []
    if importlib.util.find_spec("mpi4py") is None:
        rows.append(("mpi4py", f"not installed: {_INSTALL}"))
    else:
        rows += _launcher()
    try:
        found = launched()
        rows.append(
            (
                "this process",
                "no rank: no launcher started it"
                if found is None
                else f"rank {found.rank} of {found.size or 'several'}, by {found.launcher}",
            )
        )
    except ConfigurationError as error:
        rows.append(("this process", str(error)))
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rows.append(("processors to share", f"{bound} logical, {threads.available()} cores"))
    rows.append(("threads a rank", "the cores divided by the ranks, or NNSCRATCH_THREADS"))
    rows.append(("GPUs of several ranks", gpus()))
    return rows


def gpus() -> str:
    """Return in words how many ranks can each have a GPU on this machine, and by what."""
    problem = cuda_problem()
    if problem is not None:
        return f"none, several ranks train on CPUs: {problem}"
    library = cupy()
    if not library.cuda.nccl.available:
        return f"none, CuPy finds no NCCL: {INSTALL}"
    version = library.cuda.nccl.get_version()
    count = library.cuda.runtime.getDeviceCount()
    return f"{count}, one a rank, by NCCL {version // 10000}.{version // 100 % 100}.{version % 100}"


def _launcher() -> Rows:
    """Start two ranks, and see whether they know of one another."""
    try:
        path = mpiexec()
    except ConfigurationError as error:
        return [("launcher", str(error))]
    rows = [("launcher", path)]
    # A rank of another job would tell these two that they belong to that. Which library mpi4py is
    # to use (MPI4PY_LIBMPI) stays said.
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "HYD", "OMPI", "MPI_"))}
    try:
        done = subprocess.run(
            [path, "-n", "2", sys.executable, "-c", _PROBE],
            capture_output=True, text=True, timeout=_LIMIT, env=mine, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return [*rows, ("two ranks", f"could not be started: {error}")]
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        return [*rows, ("two ranks", f"could not be started: {last[:200]}")]
    rows.append(("library", lines[0].partition(" ")[2].rstrip("\0").strip()))
    together = lines[0].startswith("2")
    rows.append(
        (
            "together",
            "yes: two ranks see one another"
            if together
            else f"no: launcher and library are of two MPIs; {_INSTALL}, or use its mpiexec",
        )
    )
    return rows
