"""Sums that are prepared: what machine code asks of MPI, here of one that is played."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnscratch.parallel.repeated import PreparedSum, functions_of

PLACE = ctypes.c_void_p
NO_ERROR, FAILURE = 0, 75


class PlayedError(Exception):
    """What a call raises in the place of ``MPI.Exception``."""


class PlayedRequest:
    """A persistent request.

    Args:
        mpi: what it belongs to.
        into: the vector that it receives; None if it sends one.
    """

    def __init__(self, mpi: PlayedMpi, into: Any) -> None:
        self.mpi, self.into = mpi, into
        self.handle = ctypes.c_int64()
        self.under_way = self.freed = False
        mpi.requests[ctypes.addressof(self.handle)] = self

    def Test(self) -> bool:
        if self.under_way and not self.mpi.late:
            self.under_way = False
            if self.into is not None:
                self.into[:] = self.mpi.came
        return not self.under_way

    def Free(self) -> None:
        self.freed = True


class PlayedMpi:
    """What a sum takes of MPI: its requests, and its functions as C calls them.

    Attributes:
        came: what each message has.
        late: how often it is asked before a message is there; each time one less.
        fails: which function has an error, "start" or "test".
    """

    Exception = PlayedError

    def __init__(self) -> None:
        self.requests: dict[int, PlayedRequest] = {}
        self.came: Any = None
        self.late, self.fails, self.asked = 0, "", 0
        self._start = ctypes.CFUNCTYPE(ctypes.c_int, PLACE)(self._started)
        test = ctypes.CFUNCTYPE(ctypes.c_int, PLACE, ctypes.POINTER(ctypes.c_int), PLACE)
        self._test = test(self._tested)
        self.functions = (self._address(self._start), self._address(self._test))

    @staticmethod
    def _address(function: Any) -> int:
        return ctypes.cast(function, PLACE).value or 0

    @staticmethod
    def _addressof(request: PlayedRequest) -> int:
        return ctypes.addressof(request.handle)

    def _started(self, place: int) -> int:
        request = self.requests[place]
        assert not request.under_way
        request.under_way = self.fails != "start"
        return FAILURE if self.fails == "start" else NO_ERROR

    def _tested(self, place: int, flag: Any, status: int) -> int:
        self.asked += 1
        if self.fails == "test":
            return FAILURE
        flag[0] = self.requests[place].Test()
        self.late = max(0, self.late - 1)
        return NO_ERROR

    def Recv_init(self, array: Any, source: int, tag: int) -> PlayedRequest:
        return PlayedRequest(self, array)

    def Send_init(self, array: Any, to: int, tag: int) -> PlayedRequest:
        return PlayedRequest(self, None)


class PlayedWorld:
    """A rank of several, for which the others are played."""

    spins = 10

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.mpi = PlayedMpi()
        self.waited = 0

    def finish(self, begin: Callable[[Any], list[Any]]) -> None:
        for request in begin(self.mpi):
            self.waited += 1
            self.mpi.late = 0
            while not request.Test():
                pass


def add_up(one: PreparedSum) -> int:
    """Add up as the ranks do, and return how many steps were finished outside of machine code."""
    finished = 0
    while begun := one.go_on():
        one.finish(begun - 1)
        finished += 1
    return finished


def prepared(world: PlayedWorld, array: Any) -> PreparedSum:
    world.mpi.came = np.ones_like(array)
    return PreparedSum(world, array, world.mpi, world.mpi.functions)


# How often a rank of so many adds what came: once a level of the tree, and once more for a rank
# beyond it.
ADDS = {(0, 2): 1, (1, 2): 1, (0, 3): 2, (1, 3): 1, (3, 4): 2, (0, 5): 3, (5, 8): 3}


@pytest.mark.parametrize("late", [0, 3, 1000])
@pytest.mark.parametrize(("rank", "size"), ADDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_has_the_steps_of_the_tree(rank: int, size: int, late: int, dtype: Any) -> None:
    world = PlayedWorld(rank, size)
    array = np.zeros(37, dtype)
    one = prepared(world, array)
    for _ in range(3):
        array[:] = np.arange(37)
        world.mpi.late = late
        assert add_up(one) == (late > world.spins)
        np.testing.assert_array_equal(array, np.arange(37) + ADDS[rank, size])
    assert bool(world.waited) == (late > world.spins)


@pytest.mark.parametrize(("rank", "size"), [(2, 3), (4, 5)])
def test_a_rank_beyond_the_tree_sends_its_vector_and_gets_the_sum(rank: int, size: int) -> None:
    world = PlayedWorld(rank, size)
    array = np.zeros(5, np.float32)
    assert add_up(prepared(world, array)) == 0
    np.testing.assert_array_equal(array, 1.0)


def test_it_asks_no_longer_than_a_rank_may_wait_awake() -> None:
    world = PlayedWorld(0, 2)
    one = prepared(world, np.zeros(5, np.float32))
    world.mpi.late = 1000
    assert one.go_on() == 1
    assert world.mpi.asked == world.spins


@pytest.mark.parametrize("fails", ["start", "test"])
def test_an_error_of_mpi_is_raised_where_all_are_waited_for(fails: str) -> None:
    world = PlayedWorld(0, 4)
    array = np.zeros(5, np.float32)
    one = prepared(world, array)
    world.mpi.fails = fails
    assert one.go_on() == 1
    world.mpi.fails = ""
    with pytest.raises(PlayedError, match=str(FAILURE)):
        one.finish(0)
    assert not array.any()


def test_an_infinite_sum_is_no_warning() -> None:
    world = PlayedWorld(0, 2)
    array = np.full(5, np.finfo(np.float32).max)
    one = prepared(world, array)
    world.mpi.came[:] = array
    world.mpi.late = 1000
    assert add_up(one) == 1
    assert np.isinf(array).all()


def test_what_was_prepared_is_given_back() -> None:
    world = PlayedWorld(0, 4)
    prepared(world, np.zeros(5, np.float32)).free()
    assert len(world.mpi.requests) == 4
    assert all(one.freed for one in world.mpi.requests.values())


def test_without_a_library_nothing_is_prepared() -> None:
    assert functions_of(None) is None
    assert functions_of(PlayedMpi()) is None
