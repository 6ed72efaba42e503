"""The kernels' text under the address and undefined-behaviour sanitizers.

The sanitizers' library has to be in a process first, so each run is a process of its own. It also
takes over the allocation of NumPy's arrays, which thus have red zones around them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from emulator import build

SCRIPT = str(build.HERE / "sanitized.py")
OPTIONS = "detect_leaks=0:abort_on_error=0:detect_stack_use_after_return=0"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "LD_PRELOAD": build.asan(),
        "ASAN_OPTIONS": OPTIONS,
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": os.pathsep.join([str(build.HERE.parent), str(build.HERE.parents[2])]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


PARTS = 6
"""Each compiles its own share of the texts: together they would take too long for one test."""


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_all_kernels_are_clean(part: int) -> None:
    done = run(str(part), str(PARTS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "launches" in done.stdout


def test_the_compiler_itself_runs_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", build.asan())
    assert build.run("sh", "-c", "echo $LD_PRELOAD") == "\n"


TAIL = ("i < n; i += stride()) scalar(i)", "i <= n; i += stride()) scalar(i)")
VECTORS = ("packed ? n / WIDTH : 0", "true ? n / WIDTH : 0")
LOOP = ("for (int k = 0; k < TILE; ++k) sum", "for (int k = 0; k <= TILE + 1; ++k) sum")
NOTHING = ("constexpr int TILE", "constexpr int TILE")


@pytest.mark.parametrize(
    ("file", "fault", "size", "message"),
    [
        ("matmul", NOTHING, 18, None),
        ("relu", TAIL, 1000, "AddressSanitizer: heap-buffer-overflow"),
        ("relu", VECTORS, 1000, "runtime error: .*misaligned address"),
        ("matmul", LOOP, 18, "insufficient space|index .* out of bounds|global-buffer-overflow"),
    ],
    ids=["none", "a tail", "vectors that are not aligned", "beyond a tile"],
)
def test_planted_faults(file: str, fault: tuple[str, str], size: int, message: str | None) -> None:
    done = run(file, *fault, str(size))
    if message is None:
        assert done.returncode == 0, done.stderr
        assert "nothing found" in done.stdout
    else:
        assert done.returncode != 0, done.stdout
        assert re.search(message, done.stderr), done.stderr
