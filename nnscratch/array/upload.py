"""Asynchronous copies of batches to a GPU: through pinned memory, on a CUDA stream of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.array.device import Device, cupy, place_on
from nnscratch.array.memory import explaining

SLOTS = 2
"""Double buffering: one batch is copied while the batch before it is used."""


class _Slot:
    """The buffers of one batch, in pinned host memory and on the GPU, and their events.

    Attributes:
        host: the pinned buffers, one for each array of the batch.
        there: the buffers on the GPU, in the same order.
        copied: a CUDA event, recorded after the copy from ``host`` to ``there``.
        taken: a CUDA event, recorded after the last read of ``there``.
        used: whether both events have been recorded.
    """

    def __init__(self, library: Any) -> None:
        self.host: list[Any] = []
        self.there: list[Any] = []
        self.copied = library.cuda.Event(disable_timing=True)
        self.taken = library.cuda.Event(disable_timing=True)
        self.used = False


class Upload:
    """Copies host arrays to a GPU while the GPU still computes the work queued before.

    Each array is copied three times: into pinned memory, from there on the stream of this object
    into a staging buffer on the GPU, and from there, on the caller's stream, into a new array.
    With two slots the host waits only for the copy before the last, whose pinned memory it
    overwrites.

    Args:
        device: the GPU.

    Raises:
        DeviceError: if this machine has no such device.
    """

    def __init__(self, device: Device | str) -> None:
        self._library = cupy()
        self._device = place_on(device) or self._library.cuda.Device()
        with self._device:
            self._stream = self._library.cuda.Stream(non_blocking=True)
            self._slots = [_Slot(self._library) for _ in range(SLOTS)]
        self._next = 0

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """Return copies of NumPy arrays on the GPU; they may be used at once.

        Raises:
            OutOfMemory: if they do not fit.
        """
        slot = self._slots[self._next]
        self._next = (self._next + 1) % SLOTS
        with self._device, explaining("copying a batch to the GPU"):
            if slot.used:
                slot.copied.synchronize()
                self._stream.wait_event(slot.taken)
            staged = [self._stage(slot, n, array) for n, array in enumerate(arrays)]
            slot.copied.record(self._stream)
            current = self._library.cuda.get_current_stream()
            current.wait_event(slot.copied)
            made = [array.copy() for array in staged]
            slot.taken.record(current)
            slot.used = True
        return made

    def close(self) -> None:
        """Wait for all copies in flight, so that CuPy may hand their buffers to other arrays."""
        for slot in self._slots:
            if slot.used:
                slot.copied.synchronize()
                slot.taken.synchronize()
                slot.used = False

    def _stage(self, slot: _Slot, number: int, array: Any) -> Any:
        """Start the copy of one array, and return the staging buffer on the GPU that it goes to."""
        if number == len(slot.host) or slot.host[number].nbytes < array.nbytes:
            pinned = self._library.cuda.alloc_pinned_memory(max(array.nbytes, 1))
            # CuPy rounds the size of an allocation up: view only the bytes that were asked for.
            host = np.frombuffer(pinned, np.uint8, max(array.nbytes, 1))
            with self._stream:
                there = self._library.empty(host.shape, np.uint8)
            slot.host[number:], slot.there[number:] = [host], [there]
        host, there = (
            memory[: array.nbytes].view(array.dtype).reshape(array.shape)
            for memory in (slot.host[number], slot.there[number])
        )
        np.copyto(host, array)
        there.set(host, stream=self._stream)
        return there
