"""No kernel touches memory before or behind its arrays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SIDES = ("start", "end")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
    return subprocess.run(
        [sys.executable, str(HERE / "guarded.py"), *arguments],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip


@pytest.mark.timeout(1200)  # every kernel is compiled, where no test has done so before
@pytest.mark.parametrize("side", SIDES)
def test_all_cases_between_walls(side: str) -> None:
    done = run(side)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 2000


@pytest.mark.parametrize("side", SIDES)
def test_an_element_too_many_is_seen(side: str) -> None:
    done = run(side, "planted")
    assert done.returncode == -signal.SIGSEGV, done.stdout
