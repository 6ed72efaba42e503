"""What a launcher of MPI left in the environment; nothing is imported to find out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from nnscratch.errors import ConfigurationError


class LaunchedRank(NamedTuple):
    """What a launcher says: its name, the rank of this process, and how many there are.

    The size is None where the launcher leaves it to the library.
    """

    launcher: str
    rank: int
    size: int | None


_KNOWN = (
    ("mpirun of Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("mpiexec of MVAPICH", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("mpiexec (PMI)", "PMI_RANK", "PMI_SIZE"),
    ("PMIx", "PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
)


def launched(environment: Mapping[str, str] | None = None) -> LaunchedRank | None:
    """Return what the launcher says that started this process, None if none did.

    Args:
        environment: the environment variables, by default those of this process.

    Raises:
        ConfigurationError: if Slurm started several tasks and did not tell them of one another.

    >>> launched({"PMI_RANK": "1", "PMI_SIZE": "4"})
    LaunchedRank(launcher='mpiexec (PMI)', rank=1, size=4)
    >>> launched({}) is None
    True
    """
    given = os.environ if environment is None else environment
    for name, rank, size in _KNOWN:
        if given.get(rank, "").isdecimal():
            count = given.get(size, "")
            return LaunchedRank(name, int(given[rank]), int(count) if count.isdecimal() else None)
    tasks = given.get("SLURM_STEP_NUM_TASKS", "")
    if tasks.isdecimal() and int(tasks) > 1 and "SLURM_PROCID" in given:
        raise ConfigurationError(
            f"srun started {tasks} tasks that do not know of one another: each would train the "
            "whole model by itself. Start them with srun --mpi=pmi2 (or --mpi=pmix with Open MPI), "
            "or train in one task with srun -n 1"
        )
    return None
