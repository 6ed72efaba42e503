"""Kernels are loaded when the first array meets a formula, and by all threads or none."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from nnscratch.formulas import RELU, choosing, registry


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_import_loads_no_kernels() -> None:
    run(
        "import sys, nnscratch\n"
        "assert not [name for name in sys.modules if name.startswith('nnscratch.kernels.c')]\n"
        "nnscratch.ones(3).relu()\n"
        "assert 'nnscratch.kernels.cpu' in sys.modules\n"
        "assert 'nnscratch.kernels.cuda' not in sys.modules and 'numba' not in sys.modules\n"
        "assert 'nnscratch.kernels.cpu.convolution' not in sys.modules\n"
    )


def test_a_formula_made_before_the_first_call_has_loops(tmp_path: Any) -> None:
    (tmp_path / "thrice.py").write_text(
        "from nnscratch.formulas.pointwise import elementwise\n"
        "def thrice_forward(X):\n    return 3.0 * X\n"
        "def thrice_backward(dY):\n    return 3.0 * dY\n"
        "elementwise(thrice_forward, {'X': thrice_backward}, equation='Y = 3 X',\n"
        "    gradients={'X': '3'}, shapes='X -> Y', source='a test')\n"
    )
    run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import nnscratch, thrice\n"
        "from nnscratch.formulas import registry\n"
        "assert [one.name for one in registry.implementations('thrice')] == ['numba', 'cuda']\n"
    )


class Counted:
    """An implementation that says its name."""

    library = "numpy"

    def __init__(self, name: str) -> None:
        self.name = name

    def refuses(self, *given: Any) -> None:
        return None

    def worthwhile(self, *given: Any) -> bool:
        return True

    def forward(self, X: Any) -> Any:
        return RELU.forward(X)


@pytest.fixture
def unentered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_implementations", {})
    monkeypatch.setattr(choosing, "_later", {})
    monkeypatch.setattr(choosing, "_waiting", {})
    monkeypatch.setattr(choosing, "_mode", "auto")


def chosen() -> str:
    found: Any = registry.choose(RELU, "forward", (np.ones(3),), {})
    return str(found.name)


def test_one_entered_before_is_asked_before(unentered: None) -> None:
    registry.implement_later("numpy", lambda: {"relu": Counted("late")})  # type: ignore[dict-item]
    registry.implement("relu", Counted("early"))  # type: ignore[arg-type]
    assert chosen() == "early"
    assert [one.name for one in registry.implementations("relu")] == ["early", "late"]


def test_another_thread_waits_until_all_are_there(unentered: None) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def make() -> Any:
        made.append(1)
        begun.set()
        assert go_on.wait(60)
        return {"relu": Counted("late")}

    registry.implement_later("numpy", make)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(chosen())) for _ in range(2)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    assert not found
    go_on.set()
    for one in threads:
        one.join(60)
    assert found == ["late", "late"]
    assert made == [1]


def test_what_cannot_be_loaded_is_said_again(unentered: None) -> None:
    def broken() -> Any:
        raise ImportError("no such file")

    registry.implement_later("numpy", broken)
    for _ in range(2):
        with pytest.raises(ImportError, match="no such file"):
            chosen()
