"""The ranks of a job: sums and messages among them, each with a deadline.

All waiting is done here, by asking again and again whether a message has come. So a rank that waits
for one that is gone, or stuck, notices it, and says which rank did not come, and where it waited.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from nnscratch.errors import ConfigurationError
from nnscratch.kernels.cpu.runtime import threads
from nnscratch.parallel.adding import RoundedTreeSum, extents_of, words_of
from nnscratch.parallel.ending import end_all, hear_errors
from nnscratch.parallel.launched import (
    come_together,
    launched,
    library_of,
    narrowed,
    strangers,
    two_mpis,
)
from nnscratch.parallel.remains import missing, own_segments, stale_segments
from nnscratch.parallel.repeated import DATA, RepeatedSums
from nnscratch.parallel.surviving import RankLost, Survival, goes_on

DEADLINE = 300.0
"""How many seconds a rank waits for another."""
_SPINS, _SPINS_CROWDED = 2000, 20
_PATIENCE, _ROLL_CALL = 0.05, 1.0
_SLEEP, _NAP = 5e-4, 5e-5
_WHO, _HERE = 2, 3
_NONE: tuple[Any, Any] = (None, None)


class World:
    """The ranks that train together; a process that no launcher started is a world of one.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
        local_rank: its number among those on this machine.
        threads: how many threads this rank may use.
        deadline: how many seconds to wait for another rank before giving up.
        place: what this rank is doing, in words, for those who wait for it.
        node: the name of this machine.
        spins: how often to ask for a message before letting others have the processor.
        bereft: why the ranks cannot go on without one that has died, in words, or empty.
        survival: what lets the ranks go on without those that die; None where that ends all.

    >>> World().size
    1
    """

    def __init__(self, mpi: Any = None) -> None:
        self.rank, self.size, self.local_rank = 0, 1, 0
        self.deadline, self.bereft = DEADLINE, ""
        self.place, self.launcher, self.library, self.node = "the start", "", "", ""
        self.survival: Survival | None = None
        self._mpi, self._comm, self._side = mpi, *_NONE
        self._sum, self._rounded = RepeatedSums(self, self._mpi), RoundedTreeSum(self)
        self.spins, self._patience = _SPINS, _PATIENCE
        self.threads = threads.available()
        if mpi is None:
            return
        self._comm, self._side = mpi.COMM_WORLD.Dup(), mpi.COMM_WORLD.Dup()
        self.rank, self.size = self._comm.rank, self._comm.size
        self.library = library_of(mpi)
        self.node = mpi.Get_processor_name()
        mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        found = self.gather((self.node, mine))
        here = [rank for rank, (node, _) in enumerate(found) if node == self.node]
        self.local_rank = here.index(self.rank)
        sharing = sum(found[rank][1] == mine for rank in here)
        self.threads = max(1, self.threads // sharing)
        # More ranks than processors: whoever waits takes time from those that it waits for.
        if mine and sharing > len(mine):
            self.spins, self._patience = _SPINS_CROWDED, 0.0
        # All ranks have opened their shared memory by now. Without a name it goes with the last,
        # also if they are killed. Each takes names away: what is one machine is MPI's to say.
        for path in own_segments() + stale_segments():
            with contextlib.suppress(OSError):
                os.unlink(path)
        self.barrier()
        if self.size > 1 and goes_on(self.library):
            self.survival = Survival(self)

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes files and shows progress."""
        return self.rank == 0

    # Sums and messages.

    def add_up(self, array: npt.NDArray[Any], rounded: bool = False) -> None:
        """Write the sum of all ranks' vectors into each, added by one fixed tree.

        Args:
            array: (n,) float32 or float64, the same on all ranks.
            rounded: whether it is float32 of numbers that bfloat16 holds, to be sent as that; each
                sum of the tree is rounded then.
        """
        if self.size > 1:
            (self._rounded if rounded else self._sum).add_up(array)

    def exchange(self, out: Any, into: Any, other: int) -> None:
        """Send a vector to another rank, which does the same, and receive its vector."""
        self.finish(lambda comm: [comm.Irecv(into, other, DATA), comm.Isend(out, other, DATA)])

    def send(self, array: Any, to: int) -> None:
        """Send a vector to another rank."""
        self.finish(lambda comm: [comm.Isend(array, to, DATA)])

    def receive(self, array: Any, source: int) -> None:
        """Receive a vector from another rank."""
        self.finish(lambda comm: [comm.Irecv(array, source, DATA)])

    def collect(self, array: npt.NDArray[Any], bounds: Sequence[int]) -> None:
        """Write into every rank's vector the parts that the others have of it.

        Args:
            array: (n,) of any dtype, the same on all ranks; of it rank r has set
                ``bounds[r] : bounds[r + 1]``.
            bounds: where the parts begin, and where the last one ends.
        """
        if self.size > 1:
            where = words_of(array), extents_of(bounds)
            self.finish(lambda comm: [comm.Iallgatherv(self._mpi.IN_PLACE, where)])

    def to_first(self, part: npt.NDArray[Any], bounds: Sequence[int]) -> Any:
        """Return on rank 0 the vector that the ranks have parts of, None on the others.

        Args:
            part: (``bounds[r + 1] - bounds[r]``,) of any dtype, the part of this rank r.
            bounds: as for ``collect``.
        """
        if self.size == 1:
            return part
        into = np.empty(bounds[-1], part.dtype) if self.leads else None
        where = None if into is None else (words_of(into), extents_of(bounds))
        self.finish(lambda comm: [comm.Igatherv(words_of(part), where, 0)])
        return into

    def gather(self, item: Any) -> list[Any]:
        """Return what every rank gave, in the order of the ranks; it has to be picklable."""
        if self.size == 1:
            return [item]
        mine = np.frombuffer(pickle.dumps(item), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self.finish(lambda comm: [comm.Iallgather(np.asarray([mine.size], np.int64), sizes)])
        into = np.empty(int(sizes.sum()), np.uint8)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        where = (into, (sizes.tolist(), starts[:-1].tolist()), self._mpi.UNSIGNED_CHAR)
        self.finish(lambda comm: [comm.Iallgatherv((mine, self._mpi.UNSIGNED_CHAR), where)])
        # What is read was written by this very program a moment ago, by the ranks of this job.
        return [
            pickle.loads(into[a:b].tobytes())  # noqa: S301
            for a, b in itertools.pairwise(starts)
        ]

    def agree(self) -> None:
        """End what is repeated if a rank dies (``surely``): from here on all have done it.

        Raises:
            RankLost: on all ranks, if one has not.
        """
        if self.survival is not None and self.survival.trying:
            self.survival.agree()

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

    def finish(self, begin: Callable[[Any], list[Any]], revoke: bool = True) -> None:
        """Begin something with other ranks, and wait until it is done.

        Args:
            begin: given the communicator, returns the requests to wait for.
            revoke: whether the failure of one ends what the others do in this communicator.

        Raises:
            RankLost: if a rank has died, and the others go on.
        """
        begun: list[Any] = []
        try:
            begun = begin(self._comm)
            for request in begun:
                self._wait(request)
        except self._mpi.Exception as error:
            if self.survival is not None and self.survival.trying:
                if revoke:
                    self._revoke(begun)
                raise RankLost from None
            reason = str(error).strip().splitlines()[-1]
            time.sleep(0.2)  # the launcher usually knows first, and ends this rank
            print(
                f"nnscratch: another rank has ended while rank {self.rank} waited for it at "
                f"{self.place} ({reason}){self.bereft}",
                file=sys.stderr,
            )
            self.leave(1)

    def _revoke(self, begun: list[Any]) -> None:
        """Let whatever is under way fail on all ranks, and wait until nothing writes here."""
        with contextlib.suppress(self._mpi.Exception):
            self._comm.Revoke()
        for request in begun:
            with contextlib.suppress(self._mpi.Exception):
                self._wait(request)

    def remaining(self) -> tuple[Any, list[int]]:
        """Return a communicator of the ranks that are alive, and the numbers that they had.

        MPI waits for them in here, whatever the deadline.
        """
        self._revoke([])
        comm = self._comm.Shrink()
        old, new = self._comm.Get_group(), comm.Get_group()
        return comm, self._mpi.Group.Translate_ranks(new, None, old)

    def settle(self, comm: Any) -> None:
        """Take over a communicator of the ranks that remain.

        Raises:
            RankLost: if another rank has died meanwhile.
        """
        self._comm, self.rank, self.size = comm, comm.rank, comm.size
        found: list[Any] = []

        def copy(whole: Any) -> list[Any]:
            side, request = whole.Idup()
            found.append(side)
            return [request]

        self.finish(copy)
        self._side = found[0]
        self._sum, self._rounded = RepeatedSums(self, self._mpi), RoundedTreeSum(self)

    def _wait(self, request: Any) -> None:
        for _ in range(self.spins):
            if request.Test():
                return
        self._wait_long(request)

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
        with self._among_dead():
            while self._side.Iprobe(self._mpi.ANY_SOURCE, _WHO):
                status = self._mpi.Status()
                self._side.recv(source=self._mpi.ANY_SOURCE, tag=_WHO, status=status)
                self._side.isend(self.place, status.Get_source(), _HERE)

    def _among_dead(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which questions to ranks that have died are no failure."""
        kinds = () if self.survival is None else (self._mpi.Exception,)
        return contextlib.suppress(*kinds)

    def _give_up(self) -> NoReturn:
        """Ask who else waits, say who does not, and end the job."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        kept = []
        for rank in others:
            with self._among_dead():
                kept.append(self._side.isend(None, rank, _WHO))
        places = {self.rank: self.place}
        until = time.monotonic() + _ROLL_CALL
        while time.monotonic() < until and len(places) < self.size:
            self._answer()
            status = self._mpi.Status()
            with self._among_dead():
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
        end_all(self._mpi, code)

    def hold_back(self) -> None:
        """Wait a moment before reporting an error, unless this is rank 0.

        An error that all ranks have is reported by rank 0, which then ends the others.
        """
        if not self.leads:
            time.sleep(1.0)


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

        # Not initialised yet: an MPI that does not know its launcher ends the process there.
        mpi4py.rc.initialize, mpi4py.rc.finalize = False, not goes_on("Open MPI")
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"this is rank {launch.rank} of {launch.size or 'several'}, started by "
            f"{launch.launcher}, and MPI cannot be used from Python ({reason}): "
            'pip install "nnscratch[mpi]", or start one process without a launcher'
        ) from None
    library = library_of(MPI)
    if strangers(launch.launcher, str(MPI.Get_library_version())):
        raise two_mpis(launch, library, "does not know it")
    if not MPI.Is_initialized():
        os.environ.update(narrowed(str(MPI.Get_library_version())))
        come_together(MPI, DEADLINE)
    seen = MPI.COMM_WORLD.Get_size()
    if launch.size is not None and seen != launch.size:
        raise two_mpis(launch, library, f"sees {seen}")
    made = World(MPI)
    made.launcher = launch.launcher
    if made.survival is not None:
        atexit.register(made.survival.close, MPI.Finalize)
    elif not mpi4py.rc.finalize:
        atexit.register(MPI.Finalize)
    if made.size > 1:
        hear_errors(made.hold_back, made.leave)
        if not os.environ.get("NNSCRATCH_THREADS", "").strip():
            threads.set_limit(made.threads)
    return made
