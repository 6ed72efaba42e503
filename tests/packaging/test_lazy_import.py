"""`import nnscratch` stays light: what is heavy loads where it is first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = {"click", "cupy", "llvmlite", "matplotlib", "numba", "onnx", "polars", "rich", "scipy"}
HEAVY |= {"PIL", "safetensors", "sklearn", "torch"}


def test_importing_nnscratch_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, nnscratch; print(*{name.partition('.')[0] for name in sys.modules})"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "nnscratch" in out.split()
    assert not HEAVY & set(out.split())
