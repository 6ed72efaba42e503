"""Out of memory: what the error says on a GPU and on the host, and of which layer."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from nnscratch import nn
from nnscratch.array import OutOfMemory
from nnscratch.array.memory import explained, explaining, size
from nnscratch.errors import NNScratchError


class OutOfMemoryError(MemoryError):
    """CuPy's."""


OutOfMemoryError.__module__ = "cupy.cuda.memory"
CUPYS = OutOfMemoryError(
    "Out of memory allocating 3,200,000,512 bytes (allocated so far: 61,000,000,000 bytes)."
)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake: Any = types.ModuleType("cupy")
    runtime = types.SimpleNamespace(memGetInfo=lambda: (1_100_000_000, 80_000_000_000))
    fake.cuda = types.SimpleNamespace(runtime=runtime)
    fake.get_default_memory_pool = lambda: types.SimpleNamespace(
        used_bytes=lambda: 61_000_000_000, free_bytes=lambda: 5_000_000
    )
    monkeypatch.setitem(sys.modules, "cupy", fake)


def test_what_was_asked_what_is_free_and_what_to_try(gpu: None) -> None:
    text = str(explained(CUPYS, "linear"))
    assert text.startswith(
        "linear: out of memory on cuda: asked for 3.20 GB, 1.10 GB of 80.00 GB are free, arrays "
        "of this process take 61.00 GB, and 5.00 MB are kept for new ones. Try a smaller batch"
    )
    for try_this in ("no_grad()", "nvidia-smi"):
        assert try_this in text


def test_which_layer(gpu: None) -> None:
    class Greedy(nn.Module):
        def forward(self, x: Any) -> Any:
            with explaining("linear"):
                raise CUPYS

    model = nn.Sequential(nn.ReLU(), nn.Sequential(Greedy()))
    with pytest.raises(OutOfMemory, match=r"in 1\.0 \(Greedy\(\)\): linear: out of memory"):
        model(nn.Parameter(np.ones(2, np.float32)))


def test_without_any_answer_from_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    text = str(explained(OutOfMemoryError("cudaErrorMemoryAllocation"), "add"))
    assert text.startswith("add: out of memory on cuda: cudaErrorMemoryAllocation. Try")


def test_on_the_host() -> None:
    said = r"zeros: out of memory on the CPU: asked for .* TB"
    with pytest.raises(OutOfMemory, match=said) as e, explaining("zeros"):
        np.zeros(1 << 55)
    assert isinstance(e.value, MemoryError)
    assert isinstance(e.value, NNScratchError)
    assert isinstance(e.value.__cause__, MemoryError)
    assert explained(e.value, "again") is e.value


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match=r"^no$"), explaining("zeros"):
        raise ValueError("no")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1e3, "1.00 kB"), (2.5e6, "2.50 MB"), (7e12, "7.00 TB")]
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text
