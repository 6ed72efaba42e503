"""Work on the rows of a large array by several threads."""

from collections.abc import Callable

from nnscratch.kernels.cpu.runtime.threads import limit

# Bytes from which several threads are worth starting for one pass over an array.
PARALLEL = 1 << 24


def over_rows(work: Callable[[slice], None], count: int, size: int) -> None:
    """Do work on parts of `count` rows that hold `size` bytes, on all processors if they are many.

    NumPy lets go of the interpreter, and most of the time goes into pages that are new.
    """
    threads = limit() if size >= PARALLEL else 1
    if threads == 1:
        work(slice(0, count))
        return
    from concurrent.futures import ThreadPoolExecutor

    parts = 4 * threads
    edges = [count * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, map(slice, edges, edges[1:])))
