"""The server and the exports where only a few small packages are installed; their sizes."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import subprocess
import sys

import numpy as np
from serving import QUICK, ROW, post, service, train, trees

from nnscratch.cli.doctor import needed, size_of

LIGHT = """
import sys
for name in ("numba", "llvmlite", "polars", "matplotlib", "PIL", "scipy", "sklearn", "torch"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
from nnscratch.cli import main
from serving import ROW, post, service
print(post(service(sys.argv[2]), {"rows": [ROW]}))
print(main(["export", sys.argv[2], "-o", sys.argv[3]]), main(["info", sys.argv[2]]))
"""


def test_server_and_exports_need_little(tmp_path):
    table = trees(tmp_path / "trees.csv")
    run = train(tmp_path / "run", table, "--target", "kind", "--exclude", "age", *QUICK)
    tests = os.path.dirname(os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, tests, run, tmp_path / "model.py"],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    first, *_, last = done.stdout.splitlines()
    status, found = ast.literal_eval(first)
    assert status == 200
    wanted = post(service(run), {"rows": [ROW]})[1]["predictions"][0]
    assert found["predictions"][0]["prediction"] == wanted["prediction"]
    np.testing.assert_allclose(
        found["predictions"][0]["probability"], wanted["probability"], rtol=1e-5
    )
    assert last == "0 0"
    assert (tmp_path / "model.py").stat().st_size > 10_000


def test_sizes_are_those_of_the_packages():
    assert needed("nnscratch", ()) >= {"numpy", "numba", "llvmlite", "safetensors"}
    assert "starlette" not in needed("nnscratch", ("cli",))
    assert needed("nnscratch", ("serve",)) >= {"starlette", "uvicorn", "msgspec", "anyio"}
    files = importlib.metadata.files("safetensors") or []
    assert size_of("safetensors") == sum(one.size or 0 for one in files) > 100_000
    assert size_of("no-such-package") is None
