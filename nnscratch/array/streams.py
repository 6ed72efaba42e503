"""The order of work on a GPU's streams: one lets what another one has to do come first.

On the CPU there is nothing to order, and nobody asks.
"""

from __future__ import annotations

from typing import Any


def follow(before: Any) -> Any:
    """Return CuPy's current stream, for work on the results of the stream ``before``.

    If the two differ, the current stream waits for all that ``before`` has to do by now.
    """
    import cupy

    stream = cupy.cuda.get_current_stream()
    if before is not None and stream.ptr != before.ptr:
        wait(stream, before)
    return stream


def wait(stream: Any, before: Any) -> None:
    """Let a stream wait for all that another one has to do by now.

    One that is captured neither waits nor is waited for: CUDA would give up the capture.
    """
    import cupy

    if stream.is_capturing():
        return
    if is_foreign(before):
        cupy.cuda.runtime.deviceSynchronize()
    elif not before.is_capturing():
        reached = cupy.cuda.Event(disable_timing=True)
        reached.record(before)
        stream.wait_event(reached)


def is_foreign(stream: Any) -> bool:
    """Say whether a stream may have been destroyed, which CuPy's own are not while we hold them."""
    import cupy

    return isinstance(stream, cupy.cuda.ExternalStream)
