"""Where Numba cannot be imported, everything runs on the reference formulas, and says so once."""

from __future__ import annotations

import os
import subprocess
import sys

TRAINING = """
import sys, warnings
if {hide}:
    sys.modules["numba"] = sys.modules["llvmlite"] = None
import numpy as np
import nnscratch as ns
from nnscratch import nn
from nnscratch.train import fit
ns.manual_seed(0)
x = ns.randn(96, 256).numpy()
y = (x[:, 0] > 0).astype(np.int64)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for compiled in (False, True):
        ns.manual_seed(1)
        model = nn.Sequential(nn.Linear(256, 200), nn.GELU(), nn.Linear(200, 2))
        fit(model, (x, y), epochs=3, batch_size=32, seed=0, compile=compiled)
        print(sum(p.detach().numpy().astype(np.float64).sum() for p in model.parameters()))
print([str(one.message) for one in caught])
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_takes_the_reference_and_says_so_once() -> None:
    *sums, said = run(TRAINING.format(hide=True)).splitlines()
    *expected, nothing = run(TRAINING.format(hide=False), NNSCRATCH_KERNELS="off").splitlines()
    assert sums == expected
    assert sums[0] == sums[1]
    assert nothing == "[]"
    assert said.count("Numba cannot be imported") == 1
    assert "Install numba" in said


def test_commands_say_what_is_missing() -> None:
    code = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None
from nnscratch.cli import main
print(main(["doctor"]), main(["warmup"]))
"""
    shown = run(code, NNSCRATCH_KERNELS="off")
    assert "Numba cannot be imported" in shown
    assert shown.split()[-2:] == ["0", "2"]
