"""A fault is data: words are made of it at the end, and nothing depends on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import gradcheck
from nnscratch.verify import homework
from nnscratch.verify.gradients import sentences
from nnscratch.verify.gradients.faults import Fault, Kind, Region, RegionKind
from nnscratch.verify.gradients.sentences import SENTENCES, sentence

WHOLE: dict[str, Any] = {
    "factor": 3.0,
    "length": 7,
    "name": "X",
    "needed": "W",
    "axes": (1,),
    "region": Region(RegionKind.LARGE, limit=2.0),
    "given": (2, 3),
    "shape": (3,),
    "counts": (1, 9),
}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_words_of_its_own(kind: Kind) -> None:
    text = sentence(Fault(kind, indices=((0, 1), (2, 1)), **WHOLE))
    assert text
    assert "{" not in text
    others = [k for k in Kind if k is not kind]
    assert text not in [sentence(Fault(k, indices=((0, 1), (2, 1)), **WHOLE)) for k in others]


@pytest.mark.parametrize("place", RegionKind)
def test_every_place_has_words_of_its_own(place: RegionKind) -> None:
    text = sentences.where(Region(place, 2.0, 3, 1, 8))
    assert text.startswith("wrong ")
    assert text not in [
        sentences.where(Region(p, 2.0, 3, 1, 8)) for p in RegionKind if p is not place
    ]


@pytest.mark.parametrize(
    ("kind", "spoiled"),
    [
        (Kind.SIGN, lambda g: -g),
        (Kind.DOUBLE, lambda g: 2 * g),
        (Kind.HALF, lambda g: -g / 2),
        (Kind.OVER_LENGTH, lambda g: g / 5),
        (Kind.TIMES_LENGTH, lambda g: 5 * g),
        (Kind.FACTOR, lambda g: 1.7 * g),
        (Kind.ZERO, lambda g: 0 * g),
        (Kind.MAGNITUDE, np.abs),
        (Kind.ROUNDED, lambda g: g.astype(np.float32).astype(np.float64)),
        (Kind.NOT_FINITE, lambda g: g * np.nan),
        (Kind.SHAPE, lambda g: g[:2]),
        (Kind.RESHAPED, lambda g: g.reshape(-1)),
        (Kind.NONE, lambda g: None),
        (Kind.REVERSED, lambda g: g[::-1].copy()),
        (Kind.TRANSPOSED, lambda g: g.T.copy()),
        (Kind.FEW, lambda g: g * (np.arange(15).reshape(5, 3) != 4)),
    ],
)
def test_the_numbers_of_a_fault(kind: Kind, spoiled: Any) -> None:
    X = np.random.default_rng(0).standard_normal((5, 3))

    def forward(X: Any) -> Any:
        return X**3, (X,)

    report = gradcheck((forward, lambda dY, saved: spoiled(3 * saved[0] ** 2 * dY)), [X])
    fault = report.tensors[0].diagnosis
    assert fault is not None
    assert fault.kind is kind
    assert report.tensors[0].fault == sentence(fault)
    if kind in (Kind.OVER_LENGTH, Kind.TIMES_LENGTH):
        assert (fault.length, fault.name) == (5, "the batch size")
        assert fault.factor == pytest.approx(5 if kind is Kind.TIMES_LENGTH else 1 / 5)
    if kind is Kind.HALF:
        assert fault.factor == pytest.approx(-0.5)
    if kind is Kind.FEW:
        assert fault.indices == ((1, 1),)


def test_a_single_element_that_is_n_times_the_right_one() -> None:
    """As the bias of one output where the 1/N of a mean is missing."""
    X, b = np.random.default_rng(0).standard_normal((6, 1)), np.ones(1)

    def forward(X: Any, b: Any) -> Any:
        return np.mean((X + b) ** 2), (X + b,)

    def backward(dY: Any, saved: Any) -> Any:
        dX = 2 * saved[0] * dY / 6
        return dX, 6 * dX.sum(0)

    fault = gradcheck((forward, backward), [X, b]).tensors[1].diagnosis
    assert fault is not None
    assert (fault.kind, fault.length) == (Kind.TIMES_LENGTH, 6)


def test_a_module_that_computes_in_float32() -> None:
    class Net(nnscratch.nn.Module):
        def forward(self, x: Any) -> Any:
            return (x.float() * 3).double()

    fault = gradcheck(Net(), [np.random.default_rng(0).standard_normal((3, 4))]).tensors[0]
    assert fault.diagnosis is not None
    assert fault.diagnosis.kind is Kind.ROUNDED
    assert "float32" in fault.fault


def test_other_words_change_no_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    def graded(factor: float) -> tuple[int, str, str]:
        work = homework("tanh", lambda dY, Y: factor * dY * (1 - Y**2))
        return work.points, work.hint(1), work.hint(2)

    before = [graded(factor) for factor in (-1.0, 2.0, 0.5, 1.3)]
    for kind in Kind:
        monkeypatch.setitem(SENTENCES, kind, "quite other words")
    assert [graded(factor) for factor in (-1.0, 2.0, 0.5, 1.3)] == before
    assert len({hint for _, hint, _ in before}) == 2
