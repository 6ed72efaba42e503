"""Going on without ranks that have died, where the MPI can: Open MPI's ULFM.

User-level failure mitigation (Bland and others 2013) lets an operation with a dead rank fail
instead of ending the job. What ranks do together is divided into attempts. An attempt ends with an
agreement: either all ranks have what it gave, or none has. If one has died, those that remain leave
the communicator behind, with whatever is under way in it, make one without the dead, put back
what the attempt has changed, and make it anew.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
_ASKED = "OMPI_MCA_mpi_ft_enable"


class RankLost(Exception):
    """Raised on the ranks that remain when one has died during an attempt."""


def goes_on(library: str, environment: Mapping[str, str] | None = None) -> bool:
    """Say whether the launcher was asked to let ranks go on: ``mpiexec --with-ft ulfm``.

    Args:
        library: what the library says of itself.
        environment: the environment variables, by default those of this process.

    >>> goes_on("Open MPI v5.0.11", {"OMPI_MCA_mpi_ft_enable": "1"})
    True
    >>> goes_on("Open MPI v5.0.11", {}), goes_on("MPICH Version: 5.0.1", {})
    (False, False)
    """
    given = os.environ if environment is None else environment
    return "Open MPI" in library and given.get(_ASKED) in ("1", "true")


class Survival:
    """What the ranks of a job that goes on agree on.

    Args:
        world: the ranks.

    Attributes:
        trying: whether an attempt is under way, whose failure is no end.
        names: the rank that each of the remaining ones had at the start.
    """

    def __init__(self, world: Any) -> None:
        self._world = world
        self.trying = False
        self.names = list(range(world.size))
        self._first_size = world.size
        self._agreed = 0
        self._open = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Let the death of a rank in the block raise ``RankLost``, once all have left the block.

        Raises:
            RankLost: if a rank has died before all had agreed.
        """
        before, self.trying = self.trying, True
        self._open = True
        try:
            yield
        except RankLost:
            if self._open:
                self._agree(False)  # the others wait for this rank's word
            raise
        finally:
            self.trying = before

    def agree(self) -> None:
        """End an attempt that has succeeded here.

        Raises:
            RankLost: on all ranks, if it has failed on one.
        """
        self._open = False
        if not self._agree(True):
            raise RankLost
        self._agreed += 1

    def _agree(self, fine: bool) -> bool:
        """Say whether all ranks are fine and alive; all of them get the same answer."""
        flag = np.array([fine], np.int32)
        try:
            self._world.finish(lambda comm: [comm.Iagree(flag)], revoke=False)
        except RankLost:
            return False
        return bool(flag[0])

    def close(self, finalize: Callable[[], Any]) -> None:
        """Finish MPI at the end of the process, as far as that is possible.

        Once a rank has died, ``MPI_Finalize`` of Open MPI 5.0 may wait for it for ever. A process
        that leaves without is none that has died, if its exit code is 0.

        Args:
            finalize: MPI's own.
        """
        self.trying = True
        if len(self.names) == self._first_size and self._agree(True):
            finalize()

    def shrink(self) -> None:
        """Leave the dead ranks behind: afterwards the world has those that remain, in their order.

        Each has the next free number, so that the lowest of them is rank 0.
        """
        world, names = self._world, self.names
        before, self.trying = self.trying, True
        place, world.place = world.place, "the count of those that remain"
        while True:
            with self._watched():
                comm, old = world.remaining()
            self.names = [self.names[rank] for rank in old]
            try:
                world.settle(comm)
                fine = True
                found = world.gather((self._agreed, world.node))
            except RankLost:
                fine, found = False, []
            if self._agree(fine):
                break
        self.trying, world.place = before, place
        if len({count for count, _ in found}) > 1:
            # Not seen, and not to be: an agreement has one answer.
            print("nnscratch: the ranks that remain are at different steps", file=sys.stderr)
            world.leave(1)
        nodes = [node for _, node in found]
        world.local_rank = nodes[: world.rank].count(world.node)
        if world.leads:
            print(self._said(names), file=sys.stderr, flush=True)

    def _said(self, names: list[int]) -> str:
        """Return the line that says who was lost.

        >>> from types import SimpleNamespace
        >>> one = Survival(SimpleNamespace(size=4, place="step 7"))
        >>> one.names = [0, 1, 3]
        >>> one._said([0, 1, 2, 3])
        'nnscratch: rank 2 was lost at step 7; the other 3 of 4 go on'
        """
        lost = ", ".join(str(one) for one in names if one not in self.names)
        left, were = len(self.names), "was" if len(names) - len(self.names) == 1 else "were"
        others = f"the other {left} of {self._first_size} go" if left > 1 else "one rank goes"
        return f"nnscratch: rank {lost} {were} lost at {self._world.place}; {others} on"

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """End this rank if the block, in which MPI waits, takes longer than the deadline."""
        deadline = self._world.deadline
        guard = threading.Timer(min(deadline, threading.TIMEOUT_MAX), self._world.leave, (1,))
        guard.daemon = True
        guard.start()
        try:
            yield
        finally:
            guard.cancel()


def surely(
    world: Any, attempt: Callable[[], T], undo: Callable[[], None], agrees: bool = True
) -> T:
    """Do what all ranks do together until all that remain have done it.

    Args:
        world: the ranks.
        attempt: what is done; it may be called several times.
        undo: called after an attempt in which a rank was lost: the ranks are others now.
        agrees: whether the end of an attempt is agreed on here, and not by the attempt itself.
    """
    survival: Survival | None = world.survival
    if survival is None:
        return attempt()
    while True:
        with contextlib.suppress(RankLost), survival.attempt():
            made = attempt()
            if agrees:
                survival.agree()
            return made
        survival.shrink()
        undo()
