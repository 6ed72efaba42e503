"""Memory that was freed stays for the next step."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import Any

import pytest

from nnscratch.kernels.cpu import heap

STEPS = """
import resource
import numpy as np
import nnscratch
from nnscratch import nn, optim
net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU())
optimizer = optim.SGD(net.parameters(), lr=0.01)
x = nnscratch.tensor(np.ones((2048, 784), np.float32))
def step():
    optimizer.zero_grad()
    net(x).sum().backward()
    optimizer.step()
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_eager_steps_take_no_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    # A step has 20 MB of arrays, 5,000 pages.
    assert int(done.stdout) < 5000


def test_what_the_user_has_told_the_library_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "100000")
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: pytest.fail("was told all the same"))
    assert not heap.keep_freed_memory()


def test_without_such_a_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in heap._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: object())
    assert not heap.keep_freed_memory()

    def missing(name: Any) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(heap.ctypes, "CDLL", missing)
    assert not heap.keep_freed_memory()


def test_glibc_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in heap._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert heap.keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
