"""The sum of a small vector over several ranks, in machine code: MPI's functions, and additions.

What MPI is asked for is prepared (persistent requests), so that a sum is a list of steps: start one
request or two, ask until they are done, and add what came to the vector or not. A message takes a
few hundred nanoseconds, as long as one call from Python of a function of MPI. It is not waited for
here for long: who calls learns which step has begun, finishes that, and calls again for the rest.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np

from . import objects
from .declaration import helper, in_scope
from .language import call_start, call_test, pointer

BEGUN, ERROR, FLAG, START, TEST, TRIES, ARRAY, ROOM, SIZE, DOUBLE, STEPS = range(11)
"""The words of a sum, int64.

How many steps have begun, 0 once all are done; MPI's error, and its answer. The addresses of
``MPI_Start`` and ``MPI_Test``, and how often to ask in a step; the addresses of the vector and of
what comes, the number of elements, and whether they are float64; how many steps there are.
"""
STATUS, FIRST = 11, 19
"""Where MPI writes about a message (it takes 20 to 32 bytes), and where the first step stands."""
STEP_WORDS = 3
"""Words of a step: the addresses of its requests, 0 if there is no second, and whether to add."""
_SYMBOL = "exchange_sum"


@helper
def _add(array, room, size):
    for i in range(size):
        array[i] += room[i]


def _sum(words):
    """Go on with a sum at its first step that has not begun; 0 when all are done.

    Otherwise the number of steps that have begun, of which the last one is to be finished by the
    caller: MPI has an error, or no answer yet.
    """
    head = pointer(words, np.int64)
    step = head[BEGUN]
    while step < head[STEPS]:
        todo = pointer(words + 8 * (FIRST + STEP_WORDS * step), np.int64)
        requests = 2 if todo[1] != 0 else 1
        step += 1
        head[BEGUN] = step
        for k in range(requests):
            head[ERROR] = call_start(head[START], todo[k])
            if head[ERROR] != 0:
                return step
        tries = head[TRIES]
        for k in range(requests):
            head[FLAG] = 0
            while head[FLAG] == 0:
                if tries == 0:
                    return step
                tries -= 1
                head[ERROR] = call_test(head[TEST], todo[k], words + 8 * FLAG, words + 8 * STATUS)
                if head[ERROR] != 0:
                    return step
        if todo[2] != 0 and head[DOUBLE] != 0:
            _add(pointer(head[ARRAY], np.float64), pointer(head[ROOM], np.float64), head[SIZE])
        elif todo[2] != 0:
            _add(pointer(head[ARRAY], np.float32), pointer(head[ROOM], np.float32), head[SIZE])
    head[BEGUN] = 0
    return 0


@functools.cache
def exchange_sum() -> Callable[[int], int]:
    """Return the compiled function: of the address of the words of a sum.

    It keeps the GIL, for to let it go and take it again takes as long as a message.
    """
    found = objects.load(_SYMBOL)
    if found is None:
        with objects.alone(_SYMBOL):
            found = objects.load(_SYMBOL) or _compiled()
    # As a pointer, of 64 bits as well: ctypes takes a quarter of the time to make one of an int.
    return ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(found.address)


@functools.cache
def _compiled():
    """Keep what Numba has compiled alive."""
    from .cache import compile_function

    return compile_function(in_scope(_sum, {}), _SYMBOL, 1)
