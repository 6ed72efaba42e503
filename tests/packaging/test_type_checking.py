"""What type checkers know of a tensor: its methods, those too that are made while it is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nnscratch.tensors import Tensor
from nnscratch.tensors.ops import calling, elementwise

ROOT = Path(__file__).parents[2]
KNOWN = """
from nnscratch.tensors.ops.methods import FunctionMethods

def known(x: FunctionMethods) -> None:
    x.sin(), x.cumsum(0), x.cumsum(axis=0), x.cumsum_(0), x.H, x // 2, x.arctan2(x)
    x.kthvalue(2, dim=0, keepdims=True), x.sin(out=x)
"""
MISTAKEN = """
def mistaken(x: FunctionMethods) -> None:
    x.sni()
    x.sin(1)
    x.cumsum_(0, out=x)
    x.kthvalue(k=2, dims=0)
"""


def mypy(tmp_path: Path, text: str) -> list[str]:
    """Return the errors that mypy finds, line and code, by the stub of the methods alone."""
    (tmp_path / "used.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir=/dev/null"]
    command += ["--follow-imports=skip", "--hide-error-context", "--no-error-summary"]
    stub = ROOT / "nnscratch" / "tensors" / "ops" / "methods.pyi"
    done = subprocess.run(
        [*command, str(tmp_path / "used.py"), str(stub)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    lines = [line.partition("used.py:")[2] for line in done.stdout.splitlines()]
    return [line for line in lines if ": note: " not in line]


def test_methods_that_are_functions_are_known_and_misspelt_ones_are_errors(tmp_path: Path) -> None:
    assert mypy(tmp_path, KNOWN) == []
    found = mypy(tmp_path, KNOWN + MISTAKEN)
    first = KNOWN.count("\n") + 3
    assert [(int(line.partition(":")[0]), line.rpartition("[")[2]) for line in found] == [
        (first, "attr-defined]"),
        (first + 1, "call-arg]"),
        (first + 2, "call-arg]"),
        (first + 3, "call-arg]"),
    ]


def test_every_public_method_of_a_tensor_is_described_somewhere() -> None:
    """In the stub, or in the class itself and the parts that it is put together of."""
    stub = Path(str(calling.__file__)).with_name("methods.pyi").read_text(encoding="utf-8")
    parts = {name for part in Tensor.__mro__[1:] for name in vars(part)}
    made = {
        name
        for name, method in vars(Tensor).items()
        if callable(method) and method.__module__ != Tensor.__module__
    }
    assert {"sin", "cumsum_", "__floordiv__"} < made
    assert {name for name in made - parts if f"def {name}(self" not in stub} == set()
    # Nothing says of any other name that it might be there.
    assert not hasattr(Tensor, "__getattr__")
    assert "sin" in elementwise.__all__
    text = Path(str(sys.modules[Tensor.__module__].__file__)).read_text(encoding="utf-8")
    assert "__getattr__" not in text
    assert "    FunctionMethods,\n):" in text
