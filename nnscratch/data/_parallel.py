"""Processing the rows of a large array by several threads."""

from collections.abc import Callable

from nnscratch.kernels.cpu.runtime.threads import limit

# From this many bytes on, starting threads for one pass over an array pays off.
PARALLEL = 1 << 24


def over_rows(work: Callable[[slice], None], count: int, size: int) -> None:
    """Call `work` on slices of `count` rows, in several threads if `size`, their bytes, is large.

    NumPy releases the GIL, and most of the time goes into page faults of new memory.
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
