"""Every file reader against damaged and hostile files: refused in one line, or read; never more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faults.scale import count, say

FORMATS = [
    ["weights", "run weights", "checkpoint"],
    ["idx", "idx.gz", "npz", "csv", "history.csv"],
    ["toml", "report.json", "history.json", "config.json", "preprocessing.json"],
    ["onnx"],
    ["pt", "legacy.pt", "index.json", "steps"],
    ["keras", "weights.h5"],
]
TESTS = Path(__file__).parents[1]


def fuzz(folder: Path, names: list[str], number: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "faults.fuzz", str(folder), str(number), str(seed)]
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")}
    done = subprocess.run(
        [*command, *names],
        env=os.environ | one | {"PYTHONPATH": str(TESTS), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=count(120, 1500),
    )
    now = folder / "inside" / "now"
    last = now.read_text() if now.exists() else "the start"
    assert done.returncode == 0, f"died at {last}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.timeout(1600)
@pytest.mark.parametrize("names", FORMATS, ids=" ".join)
def test_whatever_stands_in_a_file(tmp_path: Path, names: list[str]) -> None:
    result = fuzz(tmp_path, names, count(16, 1500), count(0, 1))
    for name, found in result["formats"].items():
        assert found["files"] > 15
        say(
            f"{name}: {found['files']:,} files, {found['refused']:,} refused, {found['read']:,} "
            f"read, {found['commands']:,} commands"
        )
    say(f"slowest {result['slowest']} s, most memory {result['largest'] / 2**20:.1f} MiB")
    faults = result["faults"]
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(f"  {one}" for one in faults[:40])
