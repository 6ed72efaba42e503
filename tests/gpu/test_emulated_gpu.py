"""The GPU that a CPU plays: what it lets pass, what it must not, and what a step asks of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import small_training
from gpu.emulated.load import hurried

import nnscratch
from nnscratch import nn, optim
from nnscratch.array import to_numpy, upload
from nnscratch.data import DataLoader, TensorDataset

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("counts")]


def batches_arrive() -> bool:
    """Whether a loader's batches are what was to be loaded, if each is used as it comes."""
    data = np.arange(6000, dtype=np.float32).reshape(60, 100)
    sums = [x + x for (x,) in DataLoader(TensorDataset(data), batch_size=6).on("cuda")]
    return np.array_equal(np.concatenate([to_numpy(one.array) for one in sums]), 2 * data)


class Event:
    """One of CuPy's, for which the host may not wait."""

    def __init__(self, event: Any, deaf: str) -> None:
        self.event, self.deaf, self.ptr = event, deaf, event.ptr

    def record(self, stream: Any) -> None:
        self.event.record(getattr(stream, "stream", stream))

    def synchronize(self) -> None:
        if self.deaf != "host":
            self.event.synchronize()


class Current:
    """The stream of the caller, which may not wait for events."""

    def __init__(self, stream: Any, deaf: str) -> None:
        self.stream, self.deaf, self.ptr = stream, deaf, stream.ptr

    def wait_event(self, event: Event) -> None:
        if self.deaf != "caller":
            self.stream.wait_event(event.event)


@pytest.mark.parametrize("deaf", ["", "host", "copies", "caller"])
def test_each_wait_of_an_upload_is_needed(deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import cupy

    class OfCopies(cupy.cuda.Stream):  # type: ignore[misc]
        def wait_event(self, event: Event) -> None:
            if deaf != "copies":
                super().wait_event(event.event)

    init, current = upload._Slot.__init__, cupy.cuda.get_current_stream

    def made(slot: Any, library: Any) -> None:
        init(slot, library)
        slot.copied, slot.taken = Event(slot.copied, deaf), Event(slot.taken, deaf)

    monkeypatch.setattr(upload._Slot, "__init__", made)
    monkeypatch.setattr(cupy.cuda, "Stream", OfCopies)
    monkeypatch.setattr(cupy.cuda, "get_current_stream", lambda: Current(current(), deaf))
    late = batches_arrive()
    with hurried():
        assert (late and batches_arrive()) == (not deaf)


def model(dropout: float = 0.1) -> tuple[nn.Module, Callable[[Any, Any], Any], Any, Any]:
    nnscratch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(33, 65), nn.GELU(), nn.Dropout(dropout), nn.Linear(65, 10)
    ).to("cuda")  # fmt: skip
    optimizer, loss = optim.Adam(net.parameters()), nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        value = loss(net(x), y)
        value.backward()
        optimizer.step()
        return value

    rng = np.random.default_rng(0)
    x = nnscratch.tensor(rng.standard_normal((70, 33)).astype(np.float32)).to("cuda")
    return net, step, x, nnscratch.tensor(rng.integers(0, 10, 70)).to("cuda")


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_neither_waits_nor_brings_anything_to_the_host(compiled: bool, counts: Any) -> None:
    _, step, x, y = model()
    step = nnscratch.compile(step) if compiled else step
    for _ in range(5):
        step(x, y)
    before = counts.to_host, counts.to_device, counts.waits, counts.graphs, counts.launches
    losses = [step(x, y) for _ in range(10)]
    after = counts.to_host, counts.to_device, counts.waits, counts.graphs, counts.launches
    to_host, to_device, waits, graphs, launches = np.subtract(after, before)
    assert (to_host, to_device, waits) == (0, 0, 0)
    assert graphs == (10 if compiled else 0)
    if compiled:
        # The numbers of the step, and the loss in an array of its own.
        assert launches <= 2 * 10
    assert np.isfinite(losses[-1].item())


def test_an_epoch_brings_figures_to_the_host_once(counts: Any) -> None:
    """And its batches from there, without waiting for the steps."""
    X, Y = small_training.blobs(600)
    run = small_training.trainer(device="cuda", compile=True)
    run.fit((X, Y), epochs=2, batch_size=10)
    before = counts.to_host, counts.waits
    run.fit((X, Y), epochs=3, batch_size=10)
    to_host, waits = np.subtract((counts.to_host, counts.waits), before)
    assert to_host < 20, "60 steps of one epoch"
    assert waits < 20


def child(code: str) -> subprocess.CompletedProcess[str]:
    head = "from gpu.emulated.load import load; load(); import cupy\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", head + code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_host_cannot_read_the_memory_of_the_gpu() -> None:
    done = child("import ctypes; ctypes.string_at(cupy.zeros(4).data.ptr, 8)")
    assert done.returncode == -signal.SIGSEGV, done.stderr


def test_a_kernel_cannot_read_the_memory_of_the_host() -> None:
    done = child(
        "import numpy as np\n"
        "kernel = cupy.RawKernel('extern \"C\" __global__ void f(float* x) { x[0] = 1; }', 'f')\n"
        "kernel((1,), (1,), (np.uint64(np.zeros(4).ctypes.data),))\n"
        "cupy.cuda.Device().synchronize()"
    )
    assert done.returncode == 1
    assert "f is given the address" in done.stderr
    assert "cudaErrorIllegalAddress" in done.stderr


def test_a_stream_that_is_captured_must_not_be_waited_for() -> None:
    done = child(
        "with cupy.cuda.Stream(non_blocking=True) as s:\n"
        "    s.begin_capture()\n"
        "    cupy.zeros(3) + 1\n"
        "    s.synchronize()"
    )
    assert done.returncode == 1
    assert "cudaErrorStreamCaptureUnsupported" in done.stderr


def test_new_memory_is_not_zero() -> None:
    done = child("print(cupy.cuda.runtime, bool(cupy.isnan(cupy.empty(5)).all()))")
    assert "True" in done.stdout, done.stderr
