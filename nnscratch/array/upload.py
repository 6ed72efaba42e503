"""Batches on their way to a GPU: through pinned memory, on a stream of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.array.device import Device, cupy, place_on
from nnscratch.array.memory import explaining

SLOTS = 2
"""One batch is copied while the one before is used."""


class _Slot:
    """Pinned memory and memory of the GPU for one batch, with what happened to them last.

    Attributes:
        copied: an event, when the copy to the GPU is done.
        taken: an event, when the GPU's memory was read for the last time.
    """

    def __init__(self, library: Any) -> None:
        self.host: list[Any] = []
        self.there: list[Any] = []
        self.copied = library.cuda.Event(disable_timing=True)
        self.taken = library.cuda.Event(disable_timing=True)
        self.used = False


class Upload:
    """Copies host arrays to a GPU while it computes what it was asked before.

    The arrays go into pinned memory, from there by a stream of their own into memory on the GPU
    that is theirs alone, and from that, on the stream of the caller, into new arrays. Nothing waits
    but the host, for the copy before the last, whose pinned memory it fills again.

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
        """Wait until nothing is on its way, before its memory goes back to CuPy for others."""
        for slot in self._slots:
            if slot.used:
                slot.copied.synchronize()
                slot.taken.synchronize()
                slot.used = False

    def _stage(self, slot: _Slot, number: int, array: Any) -> Any:
        """Start the copy of one array, and return where on the GPU it will be."""
        if number == len(slot.host) or slot.host[number].nbytes < array.nbytes:
            pinned = self._library.cuda.alloc_pinned_memory(max(array.nbytes, 1))
            # CuPy rounds sizes up: keep what is needed.
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
