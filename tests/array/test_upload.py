"""Batches on their way to a GPU, on streams that do everything as late as they may."""

from __future__ import annotations

import types
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from nnscratch.array import upload
from nnscratch.array.memory import OutOfMemory
from nnscratch.array.upload import SLOTS, Upload
from nnscratch.data import DataLoader, TensorDataset


class Event:
    """A place in a stream."""

    def __init__(self, disable_timing: bool) -> None:
        assert disable_timing
        self.stream: Stream | None = None

    def record(self, stream: Stream) -> None:
        self.stream, self.place = stream, stream.asked

    def synchronize(self) -> None:
        assert self.stream is not None
        self.stream.run(self.place)


class Stream:
    """Work in order, of which nothing is done before somebody has to see it."""

    current: Stream

    def __init__(self, non_blocking: bool = False) -> None:
        self.work: list[Callable[[], None]] = []
        self.asked = self.done = 0

    def add(self, work: Callable[[], None]) -> None:
        self.work.append(work)
        self.asked += 1

    def wait_event(self, event: Event) -> None:
        stream, place = event.stream, event.place
        assert stream is not None
        self.add(lambda: stream.run(place))

    def run(self, until: int) -> None:
        while self.done < until:
            self.done += 1
            self.work[self.done - 1]()

    def __enter__(self) -> Stream:
        self._before, Stream.current = Stream.current, self
        return self

    def __exit__(self, *error: object) -> None:
        Stream.current = self._before


class There(np.ndarray):
    """An array on the GPU."""

    def set(self, host: Any, stream: Stream) -> None:
        assert host.flags.c_contiguous
        assert (host.shape, host.dtype) == (self.shape, self.dtype)
        # What CUDA reads is the memory as it is when the copy's turn comes.
        stream.add(lambda: np.copyto(self, host))

    def copy(self, order: Any = "C") -> Any:
        made = np.full(self.shape, 99, self.dtype).view(There)
        Stream.current.add(lambda: np.copyto(made, self))
        return made


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    Stream.current = Stream()
    made = types.SimpleNamespace(
        empty=lambda shape, dtype: np.empty(shape, dtype).view(There),
        cuda=types.SimpleNamespace(
            Device=nullcontext,
            Event=Event,
            Stream=Stream,
            alloc_pinned_memory=bytearray,
            get_current_stream=lambda: Stream.current,
        ),
    )
    monkeypatch.setattr(upload, "cupy", lambda: made)
    return made


def test_every_batch_arrives_however_late_the_gpu_is(library: Any) -> None:
    rng = np.random.default_rng(0)
    send = Upload("cuda")
    shapes = [(4, 3), (4, 3), (7, 3), (0, 3), (2, 3), (4, 3), (9, 3)]
    sent, received = [], []
    for shape in shapes:
        batch = [rng.standard_normal(shape).astype(np.float32), rng.integers(0, 9, shape[:1])]
        sent.append([array.copy() for array in batch])
        received.append(send(batch))
        for array in batch:  # the caller's memory is free again
            array[...] = 77
    Stream.current.run(Stream.current.asked)
    for batch, arrived in zip(sent, received, strict=True):
        for array, there in zip(batch, arrived, strict=True):
            assert there.dtype == array.dtype
            np.testing.assert_array_equal(there, array)


def test_the_host_waits_for_no_batch_before_its_memory_is_needed_again(library: Any) -> None:
    send = Upload("cuda")
    for n in range(SLOTS):
        send([np.full(3, n)])
    assert send._stream.done == 0
    send([np.zeros(3)])
    assert 0 < send._stream.done < send._stream.asked


def test_memory_is_taken_once_for_batches_of_one_size(library: Any) -> None:
    taken = []
    pinned = library.cuda.alloc_pinned_memory
    library.cuda.alloc_pinned_memory = lambda size: taken.append(size) or pinned(size)
    send = Upload("cuda")
    for _ in range(5):
        send([np.zeros((8, 4), np.float32), np.zeros(8, np.int64)])
    assert taken == [128, 64] * SLOTS


def test_too_large_a_batch(library: Any) -> None:
    def refuse(size: int) -> Any:
        raise MemoryError("Out of memory allocating 4,000 bytes")

    library.cuda.alloc_pinned_memory = refuse
    with pytest.raises(OutOfMemory, match="copying a batch to the GPU"):
        Upload("cuda")([np.zeros(1000, np.float32)])


def test_a_loader_sends_its_batches_by_it(library: Any) -> None:
    x, y = np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10)
    loader = DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True, seed=0)
    order = loader.order(0)
    batches = list(loader.on("cuda"))
    Stream.current.run(Stream.current.asked)
    assert all(isinstance(tensor.array, There) for batch in batches for tensor in batch)
    np.testing.assert_array_equal(np.concatenate([b[0].array for b in batches]), x[order])
    np.testing.assert_array_equal(np.concatenate([b[1].array for b in batches]), y[order])


@pytest.mark.parametrize("taken", [1, 3])
def test_memory_is_given_back_when_nothing_is_on_its_way(library: Any, taken: int) -> None:
    """After an epoch, and after one that was broken off: others may get the memory then."""
    loader = DataLoader(TensorDataset(np.arange(10, dtype=np.float32)), batch_size=4)
    batches = loader.on("cuda")
    kept = [next(batches)[0].array for _ in range(taken)]
    assert Stream.current.done < Stream.current.asked
    batches.close() if taken == 1 else list(batches)
    assert Stream.current.done == Stream.current.asked
    np.testing.assert_array_equal(kept[0], np.arange(4, dtype=np.float32))


def test_a_loader_for_a_cpu_needs_no_copy() -> None:
    loader = DataLoader(TensorDataset(np.zeros((4, 2), np.float32), np.zeros(4)), batch_size=2)
    assert [batch[0].array.shape for batch in loader.on("cpu")] == [(2, 2), (2, 2)]
    assert [batch[0].array.shape for batch in loader.on(None)] == [(2, 2), (2, 2)]
