"""The ranks of a job: sums and messages among them, each with a deadline.

All waiting is done here, by asking again and again whether a message has come. So a rank that waits
for one that is gone, or stuck, notices it, and says which rank did not come, and where it waited.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from nnscratch.errors import ConfigurationError
from nnscratch.kernels.cpu.runtime import threads
from nnscratch.parallel.launched import launched

DEADLINE = 300.0
"""How many seconds a rank waits for another."""
_SPINS, _SPINS_CROWDED = 2000, 20
_PATIENCE = 0.05
_SLEEP, _NAP = 5e-4, 5e-5
_ROLL_CALL = 1.0
_DATA, _WHO, _HERE = 1, 2, 3
_HALVING = 1 << 15
"""From how many elements on the work of adding is divided among the ranks."""


class World:
    """The ranks that train together; a process that no launcher started is a world of one.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
        local_rank: its number among those on this machine.
        threads: how many threads this rank may use.
        deadline: how many seconds to wait for another rank before giving up.
        place: what this rank is doing, in words, for those who wait for it.

    >>> World().size
    1
    """

    def __init__(self, mpi: Any = None) -> None:
        self.rank, self.size, self.local_rank = 0, 1, 0
        self.deadline = DEADLINE
        self.place = "the start"
        self.launcher = self.library = ""
        self._mpi, self._comm, self._side = mpi, None, None
        self._rooms: dict[Any, npt.NDArray[Any]] = {}
        self._spins, self._patience = _SPINS, _PATIENCE
        self.threads = threads.available()
        if mpi is None:
            return
        self._comm, self._side = mpi.COMM_WORLD.Dup(), mpi.COMM_WORLD.Dup()
        self.rank, self.size = self._comm.rank, self._comm.size
        self.library = mpi.Get_library_version().splitlines()[0].rstrip("\0").strip()
        mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        found = self.gather((mpi.Get_processor_name(), mine))
        here = [rank for rank, (node, _) in enumerate(found) if node == found[self.rank][0]]
        self.local_rank = here.index(self.rank)
        sharing = sum(found[rank][1] == mine for rank in here)
        self.threads = max(1, self.threads // sharing)
        # More ranks than processors: whoever waits takes time from those that it waits for.
        self._spins, self._patience = (
            (_SPINS_CROWDED, 0.0) if mine and sharing > len(mine) else (_SPINS, _PATIENCE)
        )
        # All ranks have opened their shared memory by now. Without a name it goes with the last of
        # them, also if they are killed.
        if not self.local_rank:
            for path in _own_segments():
                with contextlib.suppress(OSError):
                    os.unlink(path)
        self.barrier()

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes files and shows progress."""
        return self.rank == 0

    # Sums and messages.

    def add_up(self, array: npt.NDArray[Any]) -> None:
        """Write the sum of all ranks' vectors into each, added by one fixed tree.

        The tree is ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)) of the ranks, whatever the vectors'
        length; ranks beyond a power of two are added to the first ones before. So every rank gets
        the same bits.

        Args:
            array: (n,) float32 or float64, the same on all ranks.
        """
        if self.size == 1:
            return
        power = 1 << (self.size.bit_length() - 1)
        if self.rank >= power:
            self._send(array, self.rank - power)
            self._receive(array, self.rank - power)
            return
        room = self._room(array)
        with np.errstate(all="ignore"):
            if self.rank + power < self.size:
                self._receive(room, self.rank + power)
                np.add(array, room, out=array)
            if power > 2 and array.size >= _HALVING:
                self._halve(array, room, power)
            else:
                self._double(array, room, power)
        if self.rank + power < self.size:
            self._send(array, self.rank + power)

    def _double(self, array: Any, room: Any, power: int) -> None:
        """Exchange whole vectors with the rank at distance 1, 2, 4, ..."""
        distance = 1
        while distance < power:
            self._exchange(array, room, self.rank ^ distance)
            np.add(array, room, out=array)
            distance *= 2

    def _halve(self, array: Any, room: Any, power: int) -> None:
        """Add halves, quarters, ... with the rank at distance 1, 2, ..., then collect the sums."""
        start, stop, distance = 0, array.size, 1
        taken = []
        while distance < power:
            middle = start + (stop - start) // 2
            upper = bool(self.rank & distance)
            mine = slice(middle, stop) if upper else slice(start, middle)
            theirs = slice(start, middle) if upper else slice(middle, stop)
            taken.append((distance, mine, theirs))
            self._exchange(array[theirs], room[mine], self.rank ^ distance)
            np.add(array[mine], room[mine], out=array[mine])
            start, stop, distance = mine.start, mine.stop, distance * 2
        for distance, mine, theirs in reversed(taken):
            self._exchange(array[mine], array[theirs], self.rank ^ distance)

    def _room(self, array: Any) -> Any:
        key = array.dtype, array.size
        if key not in self._rooms:
            self._rooms[key] = np.empty_like(array)
        return self._rooms[key]

    def _exchange(self, out: Any, into: Any, other: int) -> None:
        assert self._comm is not None
        coming = self._comm.Irecv(into, other, _DATA)
        going = self._comm.Isend(out, other, _DATA)
        self._wait(coming)
        self._wait(going)

    def _send(self, array: Any, to: int) -> None:
        assert self._comm is not None
        self._wait(self._comm.Isend(array, to, _DATA))

    def _receive(self, array: Any, source: int) -> None:
        assert self._comm is not None
        self._wait(self._comm.Irecv(array, source, _DATA))

    def gather(self, item: Any) -> list[Any]:
        """Return what every rank gave, in the order of the ranks; it has to be picklable."""
        if self.size == 1:
            return [item]
        assert self._comm is not None
        mine = np.frombuffer(pickle.dumps(item), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self._wait(self._comm.Iallgather(np.asarray([mine.size], np.int64), sizes))
        into = np.empty(int(sizes.sum()), np.uint8)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        where = (into, (sizes.tolist(), starts[:-1].tolist()), self._mpi.UNSIGNED_CHAR)
        self._wait(self._comm.Iallgatherv((mine, self._mpi.UNSIGNED_CHAR), where))
        # What is read was written by this very program a moment ago, by the ranks of this job.
        return [
            pickle.loads(into[a:b].tobytes())  # noqa: S301
            for a, b in itertools.pairwise(starts)
        ]

    def from_first(self, item: Any) -> Any:
        """Return what rank 0 gave."""
        return self.gather(item if self.leads else None)[0]

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        self.gather(None)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first rank of every machine run the block before its others, which find files.

        An error of the first lets the others run too: they have the same, or wait for it in vain.
        """
        if self.size > 1 and self.local_rank:
            self.barrier()
        try:
            yield
        finally:
            if self.size > 1 and not self.local_rank:
                self.barrier()

    # Waiting, and giving up.

    def _wait(self, request: Any) -> None:
        try:
            for _ in range(self._spins):
                if request.Test():
                    return
            self._wait_long(request)
        except self._mpi.Exception as error:
            reason = str(error).strip().splitlines()[-1]
            time.sleep(0.2)  # the launcher usually knows first, and ends this rank
            print(
                f"nnscratch: another rank has ended while rank {self.rank} waited for it at "
                f"{self.place} ({reason})",
                file=sys.stderr,
            )
            self.leave(1)

    def _wait_long(self, request: Any) -> None:
        began = time.monotonic()
        while not request.Test():
            waited = time.monotonic() - began
            if waited > self._patience:
                time.sleep(_SLEEP if waited > _PATIENCE else _NAP)
                self._answer()
            elif hasattr(os, "sched_yield"):
                os.sched_yield()
            if waited > self.deadline:
                self._give_up()

    def _answer(self) -> None:
        """Tell whoever asks that this rank waits, and where."""
        assert self._side is not None
        while self._side.Iprobe(self._mpi.ANY_SOURCE, _WHO):
            status = self._mpi.Status()
            self._side.recv(source=self._mpi.ANY_SOURCE, tag=_WHO, status=status)
            self._side.isend(self.place, status.Get_source(), _HERE)

    def _give_up(self) -> NoReturn:
        """Ask who else waits, say who does not, and end the job."""
        assert self._side is not None
        others = [rank for rank in range(self.size) if rank != self.rank]
        kept = [self._side.isend(None, rank, _WHO) for rank in others]
        places = {self.rank: self.place}
        until = time.monotonic() + _ROLL_CALL
        while time.monotonic() < until and len(places) < self.size:
            self._answer()
            status = self._mpi.Status()
            if self._side.Iprobe(self._mpi.ANY_SOURCE, _HERE, status):
                source = status.Get_source()
                places[source] = self._side.recv(source=source, tag=_HERE)
            time.sleep(_SLEEP)
        del kept
        if self.rank == min(places):
            print(f"nnscratch: {missing(places, self.size, self.deadline)}", file=sys.stderr)
        else:
            time.sleep(0.3)  # the rank that says it ends all others
        self.leave(1)

    def leave(self, code: int) -> NoReturn:
        """End all ranks of the job at once, with an exit code."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        if self._mpi is not None:
            # Where the launcher is out of reach, this process ends all the same.
            threading.Timer(1.0, os._exit, (code,)).start()
            with contextlib.suppress(OSError):  # what was said above stays the last line
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            self._mpi.COMM_WORLD.Abort(code)
        os._exit(code)

    def hear_errors(self) -> None:
        """Let an exception that nobody catches end all ranks, after its traceback was printed."""
        before = sys.excepthook

        def hook(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            self.hold_back()
            before(kind, error, trace)
            number = getattr(error, "signal", None)
            self.leave(1 if number is None else 128 + int(number))

        sys.excepthook = hook

    def hold_back(self) -> None:
        """Wait a moment before reporting an error, unless this is rank 0.

        An error that all ranks have is reported by rank 0, which then ends the others.
        """
        if not self.leads:
            time.sleep(1.0)


def _own_segments() -> list[str]:
    """Return the files of MPICH's shared memory that this very process has mapped."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return sorted(set(re.findall(r"/dev/shm/mpich_\S+", maps.read())))
    except OSError:
        return []


def missing(places: dict[int, str], size: int, deadline: float) -> str:
    """Return in words which ranks did not come, given where the others wait.

    >>> missing({0: "step 7", 2: "step 7"}, 3, 300.0)
    'rank 1 did not come to step 7 within 300 s, where rank 0, 2 wait: it is stuck, has ended, ...'
    """
    gone = [str(rank) for rank in range(size) if rank not in places]
    groups: dict[str, list[str]] = {}
    for rank in sorted(places):
        groups.setdefault(places[rank], []).append(str(rank))
    listed = "; ".join(f"rank {', '.join(ranks)} at {place}" for place, ranks in groups.items())
    if not gone:
        return (
            f"the ranks wait for one another since {deadline:g} s at different places: {listed}. "
            "All ranks have to call fit, evaluate and the like alike"
        )
    place, waiting = next(iter(groups.items()))
    return (
        f"rank {', '.join(gone)} did not come to {place} within {deadline:g} s, where rank "
        f"{', '.join(waiting)} wait: it is stuck, has ended, or cannot be reached. Train again "
        "with resume, or allow more time with deadline="
    )


_world: World | None = None


def world() -> World:
    """Return the ranks that the launcher started, a world of one without a launcher.

    Raises:
        ConfigurationError: if a launcher started several ranks and mpi4py is missing, or it and
            the library that mpi4py uses are of two MPIs.

    >>> world().rank, world().size
    (0, 1)
    """
    global _world
    if _world is None:
        _world = _found()
    return _world


def known() -> World:
    """Return the ranks if somebody has asked for them, a world of one otherwise."""
    return World() if _world is None else _world


def _found() -> World:
    launch = launched()
    if launch is None or launch.size == 1:
        return World()
    try:
        import mpi4py

        mpi4py.rc.thread_level = "serialized"
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"this is rank {launch.rank} of {launch.size or 'several'}, started by "
            f"{launch.launcher}, and MPI cannot be used from Python ({reason}): "
            'pip install "nnscratch[mpi]", or start one process without a launcher'
        ) from None
    seen = MPI.COMM_WORLD.Get_size()
    if launch.size is not None and seen != launch.size:
        library = MPI.Get_library_version().splitlines()[0].strip()
        raise ConfigurationError(
            f"{launch.launcher} started {launch.size} ranks, and the library that mpi4py uses "
            f"({library}) sees {seen}: launcher and library are of two MPIs. Start with the "
            "mpiexec that belongs to the library; `nnscratch doctor` says which is which"
        )
    made = World(MPI)
    made.launcher = launch.launcher
    if made.size > 1:
        made.hear_errors()
        if not os.environ.get("NNSCRATCH_THREADS", "").strip():
            threads.set_limit(made.threads)
    return made
