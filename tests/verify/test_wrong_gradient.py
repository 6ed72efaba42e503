"""The lesson of a wrong gradient that learns: only the comparison with numeric slopes notices."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from nnscratch.verify.gradients.elements import Verdict
from nnscratch.verify.gradients.faults import Kind

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "wrong_gradient.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wrong_gradient", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "kind", "where"),
    [
        ("none", None, set()),
        ("tanh' doubled", Kind.DOUBLE, {"input 0", "0.weight", "0.bias"}),
        ("db as a mean", Kind.OVER_LENGTH, {"0.bias", "2.bias"}),
        ("dW / N", Kind.OVER_LENGTH, {"0.weight", "2.weight"}),
    ],
)
def test_who_notices(example: ModuleType, name: str, kind: Kind | None, where: set[str]) -> None:
    accuracy, symptoms, report, work = example.examine(example.FAULTS[name])
    assert accuracy == 1.0
    assert symptoms == []
    wrong = {t.name: t.diagnosis.kind for t in report.tensors if t.verdict is not Verdict.RIGHT}
    assert wrong == dict.fromkeys(where, kind)
    if work is None:
        assert report
    else:
        assert not work
        assert work.report.tensors[0].diagnosis.kind is kind or work.of
        assert {t.diagnosis.kind for t in work.report.tensors} == {kind}


def test_the_right_derivatives_are_back_afterwards(example: ModuleType) -> None:
    example.examine(example.FAULTS["dW / N"])
    *_, report, work = example.examine(None)
    assert report
    assert work is None
