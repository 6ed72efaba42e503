"""The state that the threads of a pool share, and the words of a table, by their names.

The state is an array of int64. Each thing that threads write has a line of the cache of its own; a
name below is its distance from the start in bytes.
"""

from __future__ import annotations

from .threads import MAX_THREADS

LINE = 64
"""Bytes of a cache line."""
GENERATION = 0
"""(number of the run) * 256 + (threads taking part)."""
ARRIVED = LINE
"""Threads that have arrived at the barrier."""
OPENED = 2 * LINE
"""How many barriers have opened."""
CODE, COUNT, QUIT = 3 * LINE, 3 * LINE + 8, 3 * LINE + 16
"""Address of the table, number of its instructions, whether the threads shall end."""
SCHED_YIELD, SET_THREADS, GET_THREADS = 4 * LINE, 4 * LINE + 8, 4 * LINE + 16
"""Addresses of sched_yield, and of BLAS's thread switch and getter; 0 where there is none."""
SPINS = 4 * LINE + 24
"""Spins before a thread offers its processor to others."""
LOCK, USERS, FORMER = 5 * LINE, 5 * LINE + 8, 5 * LINE + 16
"""Of BLAS: a lock, how many runs use it, and the threads that it had before."""
ASLEEP = 8 * LINE
"""Whether thread t sleeps, t lines behind this."""
MET = ASLEEP + (1 + MAX_THREADS) * LINE
"""The last meeting within an instruction at which thread t was, t lines behind this."""
BYTES = MET + MAX_THREADS * LINE

WORDS = 4
"""Entries of one instruction in a table: kernel, its two buffers, flags."""
NO_BARRIER = 1
"""Flag: the next instruction's part reads only what the same thread's part of this one wrote."""
ALONE = 2
"""Flag: thread 0 does the whole instruction, as if it were alone."""
STOP = 4
"""Flag: the run ends behind the instruction if it raised its status. See ``table.stops_at``."""
