"""Kernels are found in their files: each says its formula, and nothing lists them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nnscratch.formulas import FORMULAS, registry
from nnscratch.kernels import cpu, cuda
from nnscratch.kernels.cpu.elementwise import elementwise
from nnscratch.kernels.cpu.implementation import CpuKernel
from nnscratch.kernels.finding import KernelsOf

HEAD = "from nnscratch.kernels.cpu.implementation import CpuKernel\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of kernels that is there for one test."""
    made = tmp_path / "some_kernels"
    made.mkdir()
    (made / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [one for one in sys.modules if one.startswith("some_kernels")]:
        monkeypatch.delitem(sys.modules, name)
    return made


def found_in(folder: Path) -> KernelsOf[CpuKernel]:
    """The kernels of the package's files, and none of formulas' bodies."""
    return KernelsOf("some_kernels", [str(folder)], CpuKernel, lambda _: False, elementwise)


def test_a_kernel_costs_one_file_and_no_list(folder: Path) -> None:
    (folder / "factory.py").write_text(
        HEAD + "def made(name):\n    return CpuKernel(name, {}, {})\n", encoding="utf-8"
    )
    text = (
        HEAD + 'RELU_KERNEL = CpuKernel("relu", {}, {})\nTANH_KERNEL = CpuKernel("tanh", {}, {})\n'
    )
    (folder / "activations.py").write_text(text, encoding="utf-8")
    # One that another file imports is the same one, and the file need not name the class.
    (folder / "more.py").write_text(
        "from some_kernels.activations import RELU_KERNEL\nfrom some_kernels.factory import made\n"
        'ELU_KERNEL = made("elu")\n',
        encoding="utf-8",
    )
    (folder / "helper.py").write_text("raise ImportError('nothing needs it yet')", encoding="utf-8")
    found = found_in(folder)
    assert sorted(found) == ["elu", "relu", "tanh"]
    assert "some_kernels.activations" not in sys.modules  # before one is asked for
    assert found["tanh"] is found["tanh"]
    assert "some_kernels.more" not in sys.modules
    assert all(kernel.formula == name for name, kernel in found.items())


def test_two_kernels_of_one_formula_are_an_error_that_names_both_files(folder: Path) -> None:
    for file in ("first", "second"):
        text = HEAD + 'RELU_KERNEL = CpuKernel("relu", {}, {})\n'
        (folder / f"{file}.py").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"formula relu: .*first\.py.*second\.py") as caught:
        found_in(folder)
    assert "keep one of them" in str(caught.value)


def test_a_kernel_named_after_another_formula_is_an_error(folder: Path) -> None:
    text = HEAD + 'RELU_KERNEL = CpuKernel("tanh", {}, {})\n'
    (folder / "wrong.py").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"wrong\.py: expected RELU_KERNEL .* got that of tanh"):
        found_in(folder)["relu"]


@pytest.mark.parametrize("place", [cpu, cuda])
def test_every_kernel_is_entered_under_its_own_formula(place: object) -> None:
    kernels = place.IMPLEMENTATIONS  # type: ignore[attr-defined]
    assert {"linear", "softmax", "adam", "relu", "fill"} < set(kernels) <= set(FORMULAS)
    for name, kernel in kernels.items():
        assert kernel.formula == name
        assert kernel in registry.implementations(name)
