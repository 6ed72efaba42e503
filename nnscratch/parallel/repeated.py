"""Sums of small vectors that come again and again, prepared once: persistent requests."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.array.addresses import numpy_address
from nnscratch.formulas.registry import kernels_mode
from nnscratch.kernels.cpu import import_problem
from nnscratch.kernels.cpu.runtime import exchanges
from nnscratch.parallel.adding import TreeSum

SMALL = 1 << 16
"""Up to how many bytes it matters how a sum is begun."""
DATA = 1
"""The tag of messages with numbers, of all ranks alike, whether they have prepared a sum or not."""


class RepeatedSums:
    """Adds up the vectors of all ranks as ``TreeSum`` does; one that comes again is prepared.

    The arrays that were added up last are kept alive, and as many for what comes, one of each size.

    Args:
        world: the ranks.
        mpi: what ``mpi4py`` has.
    """

    def __init__(self, world: Any, mpi: Any) -> None:
        self._world, self._mpi = world, mpi
        self._tree = TreeSum(world)
        self._functions = functions_of(mpi)
        self._seen: dict[int, Any] = {}
        self._ready: dict[int, PreparedSum] = {}

    def add_up(self, array: npt.NDArray[Any]) -> None:
        """Write the sum of all ranks' vectors into each.

        Args:
            array: (n,) float32 or float64, the same on all ranks.
        """
        ready: PreparedSum | None = self._ready.get(array.nbytes)
        if ready is None or ready.array is not array:
            ready = self._prepared(array)
        if ready is None:
            self._tree.add_up(array)
            return
        while begun := ready.go_on():
            ready.finish(begun - 1)

    def _prepared(self, array: Any) -> PreparedSum | None:
        """Return the sum of a vector prepared, None if that is not worth while or cannot be."""
        size = array.nbytes
        if self._functions is None or size > SMALL:
            return None
        if self._seen.get(size) is not array:
            self._seen[size] = array
            return None
        if size in self._ready:
            self._ready[size].free()
        made = PreparedSum(self._world, array, self._mpi, self._functions)
        self._ready[size] = made
        return made


class PreparedSum(TreeSum):
    """The sum of one vector, whose steps were written down instead of being done.

    ``MPI_Irecv`` and ``MPI_Isend`` take vectors, find out what they are, and make requests of them.
    Here that is done once (``MPI_Recv_init``, ``MPI_Send_init``), and a sum starts the requests
    that are there, in machine code. What is not done at once is waited for as everything is.

    Args:
        world: the ranks.
        array: the vector.
        mpi: what ``mpi4py`` has.
        functions: the addresses of ``MPI_Start`` and ``MPI_Test``.

    Attributes:
        array: the vector.
        go_on: begins a sum, or goes on with it behind the step that was finished; returns how many
            steps have begun, of which the last one is to be finished, 0 when all are done.
    """

    def __init__(self, world: Any, array: Any, mpi: Any, functions: tuple[int, int]) -> None:
        super().__init__(world)
        self.array = array
        self._world, self._mpi = world, mpi
        self._comm: Any = None
        self._steps: list[list[Any]] = []
        self._adds: list[bool] = []
        world.finish(self._write_down)
        entries = []
        for requests, adds in zip(self._steps, self._adds, strict=True):
            places = [mpi._addressof(request) for request in requests]
            entries += [*places, 0][:2] + [int(adds)]
        words = np.zeros(exchanges.FIRST + len(entries), np.int64)
        words[[exchanges.START, exchanges.TEST]] = functions
        words[exchanges.TRIES] = world.spins
        words[exchanges.ARRAY] = numpy_address(array)
        words[exchanges.ROOM] = numpy_address(self._room(array))
        words[exchanges.SIZE] = array.size
        words[exchanges.DOUBLE] = array.dtype == np.float64
        words[exchanges.STEPS] = len(self._steps)
        words[exchanges.FIRST :] = entries
        self._words = words
        self.go_on = partial(exchanges.exchange_sum(), numpy_address(words))

    def free(self) -> None:
        """Give the requests back to MPI."""
        for requests in self._steps:
            for request in requests:
                request.Free()

    def finish(self, step: int) -> None:
        """Wait for the requests of a step that has begun, as long as it takes."""
        requests = self._steps[step]
        if error := int(self._words[exchanges.ERROR]):
            requests = [_Failed(self._mpi.Exception(error)), *requests]
        self._world.finish(lambda comm: requests)
        if self._adds[step]:
            self._quiet.run(super()._add, self.array, self._room(self.array))

    def _write_down(self, comm: Any) -> list[Any]:
        self._comm = comm
        self._add_up(self.array)
        return []

    def _exchange(self, out: Any, into: Any, other: int) -> None:
        self._note(self._comm.Recv_init(into, other, DATA), self._comm.Send_init(out, other, DATA))

    def _send(self, array: Any, to: int) -> None:
        self._note(self._comm.Send_init(array, to, DATA))

    def _receive(self, array: Any, source: int) -> None:
        self._note(self._comm.Recv_init(array, source, DATA))

    def _note(self, *requests: Any) -> None:
        self._steps.append(list(requests))
        self._adds.append(False)

    def _add(self, array: Any, other: Any) -> None:
        self._adds[-1] = True


class _Failed:
    """A request that has failed."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def Test(self) -> bool:
        raise self._error


def functions_of(mpi: Any) -> tuple[int, int] | None:
    """Return the addresses of ``MPI_Start`` and ``MPI_Test``.

    None if nothing of MPI can be called from machine code here, or nothing is compiled.

    Args:
        mpi: what ``mpi4py`` has, None in a process that no launcher started.
    """
    path = getattr(mpi, "__file__", None)
    if path is None or kernels_mode() == "off" or import_problem() is not None:
        return None
    try:
        library = ctypes.CDLL(path)  # it is loaded, and reaches the symbols of MPI
        found = [ctypes.cast(one, ctypes.c_void_p) for one in (library.MPI_Start, library.MPI_Test)]
    except (OSError, AttributeError):
        return None
    return found[0].value or 0, found[1].value or 0
