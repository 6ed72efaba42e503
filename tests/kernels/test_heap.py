"""Memory that was freed stays for the next step."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

import pytest

from nnscratch.kernels.cpu.runtime import heap

ROUNDS = """
import resource
import sys
import numpy as np
from nnscratch.kernels.cpu.runtime.pool import pool
if sys.argv[1] == "kept":
    pool()
def round():
    held = [np.ones(1 << 19, np.float32) for _ in range(16)]
for _ in range(3):
    round()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    round()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Return the page faults of five rounds that take 32 MB, 8,192 pages, and free them again."""
    told = {name: value for name, value in os.environ.items() if name not in heap._VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS, how], env=told, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_what_was_freed_is_not_taken_anew() -> None:
    assert faults("kept") < 2000
    if platform.libc_ver()[0] == "glibc":
        assert faults("given back") > 20_000


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
