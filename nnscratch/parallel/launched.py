"""What a launcher of MPI left in the environment; nothing is imported to find out."""

from __future__ import annotations

import contextlib
import faulthandler
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from nnscratch.errors import ConfigurationError


class LaunchedRank(NamedTuple):
    """What a launcher says: its name, the rank of this process, and how many there are.

    The size is None where the launcher leaves it to the library.
    """

    launcher: str
    rank: int
    size: int | None


_OPEN_MPI, _PMI, _SRUN = "mpirun of Open MPI", "mpiexec (PMI)", "srun (PMI)"
_PMIX = "PMIx"
_KNOWN = (
    (_OPEN_MPI, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("mpiexec of MVAPICH", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    (_PMI, "PMI_RANK", "PMI_SIZE"),
    (_PMIX, "PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
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
            name = _SRUN if name == _PMI and _of_slurm(given) else name
            return LaunchedRank(name, int(given[rank]), int(count) if count.isdecimal() else None)
    tasks = given.get("SLURM_STEP_NUM_TASKS", "")
    if tasks.isdecimal() and int(tasks) > 1 and "SLURM_PROCID" in given:
        raise ConfigurationError(
            f"srun started {tasks} tasks that do not know of one another: each would train the "
            "whole model by itself. Start them with srun --mpi=pmi2 (or --mpi=pmix with Open MPI), "
            "or train in one task with srun -n 1"
        )
    return None


def _of_slurm(given: Mapping[str, str]) -> bool:
    """Say whether it is Slurm's own PMI: mpiexec in a batch script has its own, also by srun."""
    return "SLURM_PROCID" in given and "MPI_LOCALRANKID" not in given


def strangers(launcher: str, library: str) -> bool:
    """Say whether a launcher and a library are known to be of two MPIs, before that is tried.

    Args:
        launcher: the name of a launcher, as ``launched`` returns it.
        library: what the library says of itself.

    >>> strangers("mpirun of Open MPI", "MPICH Version: 5.0.1")
    True
    >>> strangers("mpiexec (PMI)", "MPICH Version: 5.0.1")
    False
    """
    if launcher == _OPEN_MPI:
        return "MPICH" in library or "Intel" in library
    if launcher == _PMIX:
        return "MPICH configure:" in library and "pmix" not in library
    return launcher == _PMI and "Open MPI" in library


def narrowed(library: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return environment variables that an MPI needs to start under a launcher.

    Slurm, when it speaks MPICH's first PMI, garbles lines of over 1,024 characters. The addresses
    that MPICH's UCX sends between nodes are longer: such ranks wait for one another for ever, or
    die. Those of libfabric (OFI) are short.

    Args:
        library: what the library says of itself.
        environment: the environment variables, by default those of this process.

    >>> under = {"PMI_RANK": "0", "SLURM_PROCID": "0", "SLURM_STEP_NUM_NODES": "2"}
    >>> narrowed("MPICH Device: ch4:ucx ofi", under)
    {'MPIR_CVAR_CH4_NETMOD': 'ofi'}
    """
    given = os.environ if environment is None else environment
    nodes = given.get("SLURM_STEP_NUM_NODES", "")
    device = next((one for one in library.splitlines() if one.startswith("MPICH Device:")), "")
    chosen = any(name in given for name in ("MPIR_CVAR_CH4_NETMOD", "MPICH_CH4_NETMOD"))
    several = nodes.isdecimal() and int(nodes) > 1 and "PMI_RANK" in given
    if several and _of_slurm(given) and not chosen and {"ch4:ucx", "ofi"} <= set(device.split()):
        return {"MPIR_CVAR_CH4_NETMOD": "ofi"}
    return {}


def two_mpis(launch: LaunchedRank, library: str, wrong: str) -> ConfigurationError:
    """Return the error for a launcher and a library that do not belong together."""
    mend = "with the mpiexec that belongs to the library; `nnscratch doctor` says which is which"
    if launch.launcher in (_SRUN, _PMIX):
        mend = "with srun --mpi=pmi2 (MPICH) or --mpi=pmix (Open MPI), as the library needs it"
    return ConfigurationError(
        f"{launch.launcher} started {launch.size or 'several'} ranks, and the library that mpi4py "
        f"uses ({library.partition(', ')[0]}) {wrong}: launcher and library are of two MPIs. Start "
        f"{mend}"
    )


def library_of(mpi: Any) -> str:
    """Return what the library that mpi4py uses says of itself, in one line."""
    return str(mpi.Get_library_version()).splitlines()[0].rstrip("\0").strip()


def come_together(mpi: Any, deadline: float) -> None:
    """Start MPI, which waits for all ranks; end this one if they are not there at the deadline.

    MPI starts without letting other threads of Python run: what ends this rank is a thread of C,
    which says where it was.
    """
    with contextlib.suppress(Exception):  # a standard error without a file
        faulthandler.dump_traceback_later(deadline, exit=True)
    mpi.Init_thread(mpi.THREAD_SERIALIZED)
    faulthandler.cancel_dump_traceback_later()
