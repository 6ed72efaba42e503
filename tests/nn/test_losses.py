"""Losses that came after the first ones: values, gradients, second derivatives and corners."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, DataError, DTypeError, ShapeError

RNG = np.random.default_rng(1)
N, C = 5, 4
X, T, U = (RNG.normal(size=(N, C)) for _ in range(3))
RATES, COUNTS = RNG.uniform(0.2, 3.0, size=(2, N, C))
SIGNS = np.sign(T)
LABELS = RNG.integers(0, C, size=N)
MANY = np.array([[3, 0, -1, 1], [1, -1, -1, -1], [-1, 2, 0, 1], [0, 1, 2, 3], [2, 2, 1, -1]])
YES = (T > 0).astype(float)
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25])

LOSSES: dict[str, tuple[str, dict[str, Any], list[np.ndarray], list[bool]]] = {
    "poisson": ("PoissonNLLLoss", {}, [X, COUNTS], [True, True]),
    "poisson, all": (
        "PoissonNLLLoss", {"log_input": False, "full": True, "eps": 0.1},
        [RATES, COUNTS], [True, True],
    ),
    "gaussian": ("GaussianNLLLoss", {}, [X, T, RATES], [True] * 3),
    "gaussian, one a row": (
        "GaussianNLLLoss", {"full": True, "eps": 0.5}, [X, T, RATES[:, :1]], [True] * 3
    ),
    "gaussian, one a row without a dimension": (
        "GaussianNLLLoss", {}, [X, T, RATES[:, 0]], [True] * 3
    ),
    "gaussian, one target": ("GaussianNLLLoss", {}, [X[0], T[0, 0], RATES[0]], [True] * 3),
    "ranking": ("MarginRankingLoss", {"margin": 0.3}, [X, T, SIGNS], [True] * 3),
    "ranking, two against each": ("MarginRankingLoss", {}, [X, T[:, :1], SIGNS[:1]], [True] * 3),
    "ranking, one against each": ("MarginRankingLoss", {}, [X[:1], T, SIGNS[:1, :1]], [True] * 3),
    "soft margin": ("SoftMarginLoss", {}, [X, SIGNS], [True, False]),
    "multi-margin": ("MultiMarginLoss", {}, [X, LABELS], [True, False]),
    "multi-margin, all": (
        "MultiMarginLoss", {"p": 2, "margin": 0.7, "weight": WEIGHT}, [X, LABELS], [True, False]
    ),
    "multi-margin of one": ("MultiMarginLoss", {}, [X[0], LABELS[0]], [True, False]),
    "multi-margin of one, (1,)": ("MultiMarginLoss", {}, [X[0], LABELS[:1]], [True, False]),
    "multi-margin of a number": ("MultiMarginLoss", {}, [X[0, 0], np.array(0)], [True, False]),
    "multi-label": ("MultiLabelMarginLoss", {}, [X, MANY], [True, False]),
    "multi-label of one": ("MultiLabelMarginLoss", {}, [X[0], MANY[0]], [True, False]),
    "multi-label of a number": (
        "MultiLabelMarginLoss", {}, [X[0, 0], np.array(0)], [True, False]
    ),
    "multi-label, soft": ("MultiLabelSoftMarginLoss", {}, [X, YES], [True, False]),
    "multi-label, soft, weights": (
        "MultiLabelSoftMarginLoss", {"weight": WEIGHT}, [X, YES], [True, False]
    ),
    "triplets": ("TripletMarginLoss", {}, [X, T, U], [True] * 3),
    "triplets, all": (
        "TripletMarginLoss", {"margin": 0.5, "p": 1.0, "eps": 1e-3, "swap": True},
        [X, T, U], [True] * 3,
    ),
    "a triplet": ("TripletMarginLoss", {}, [X[0], T[0], U[0]], [True] * 3),
    "triplets with a distance": (
        "TripletMarginWithDistanceLoss", {"swap": True}, [X, T, U], [True] * 3
    ),
}  # fmt: skip


def made(library: Any, make: Any, kind: str, options: dict[str, Any], dtype: str) -> Any:
    given = {
        name: make(value.astype(dtype)) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }
    return getattr(library.nn, kind)(**given)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_against_pytorch(name: str, reduction: str, dtype: str) -> None:
    kind, options, arrays, needs = LOSSES[name]
    arrays = [np.asarray(a, dtype) if np.asarray(a).dtype.kind == "f" else a for a in arrays]
    options = {**options, "reduction": reduction}
    mine = made(nnscratch, ours, kind, options, dtype)
    check(mine, made(torch, theirs, kind, options, dtype), arrays, needs, times=2.0)


@pytest.mark.parametrize("name", ["gaussian", "triplets", "multi-label, soft", "poisson, all"])
def test_second_derivatives(name: str) -> None:
    kind, options, arrays, _ = LOSSES[name]

    def slope(library: Any, make: Any) -> Callable[[Any], Any]:
        loss = made(library, make, kind, options, "float64")

        def first(x: Any) -> Any:
            rest = [make(a) for a in arrays[1:]]
            (g,) = library.autograd.grad(loss(x, *rest), x, create_graph=True)
            return g

        return first

    check(slope(nnscratch, ours), slope(torch, theirs), arrays[:1], times=4.0)


def test_signatures_and_state_are_those_of_pytorch() -> None:
    for kind in {kind for kind, *_ in LOSSES.values()} | {"CTCLoss"}:
        mine, its = getattr(nn, kind), getattr(torch.nn, kind)
        a, b = (inspect.signature(one).parameters for one in (mine, its))
        assert [(p.name, p.default) for p in a.values()] == [
            (p.name, p.default) for p in b.values()
        ], kind
    weight = ours([1.0, 2.0])
    assert list(nn.MultiMarginLoss(weight=weight).state_dict()) == ["weight"]


def test_whole_numbers_beside_others() -> None:
    x, t = X[0].astype(np.float32), np.array([1, -1, 1, 1])
    for name in ("soft_margin_loss", "poisson_nll_loss", "l1_loss", "mse_loss"):
        mine, its = (getattr(one, name) for one in (nn.functional, torch.nn.functional))
        assert_same(mine(ours(x), ours(t)), its(theirs(x), theirs(t)))
    mine, its = nn.functional.margin_ranking_loss, torch.nn.functional.margin_ranking_loss
    assert_same(mine(ours(x), ours(x * 2), ours(t)), its(theirs(x), theirs(x * 2), theirs(t)))
    for kinds in (
        *("int64 int64 int64", "int64 float64 int64", "int64 float32 int64", "float64 int64 int64"),
        *("int32 int64 float64", "int64 int32 int64", "int32 float64 float64"),
    ):
        arrays = [a.astype(k) for a, k in zip((t, t * 2, t), kinds.split(), strict=True)]
        for reduction in ("mean", "sum", "none"):
            given, expected = (
                one(*map(make, arrays), margin=0.5, reduction=reduction)
                for one, make in ((mine, ours), (its, theirs))
            )
            assert_same(given, expected)


FRAMES = RNG.normal(size=(7, 3, 5))
ROWS = np.array([[1, 2, 2], [3, 4, 1], [2, 0, 0]])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("frames", [[7, 7, 7], [7, 4, 1]])
def test_ctc(frames: list[int], zero_infinity: bool, reduction: str) -> None:
    """With four frames for "2 2" and one for one label; with and without a log_softmax before."""
    lengths = [3, 2, 1]
    given = {"reduction": reduction, "zero_infinity": zero_infinity}

    def loss(library: Any, make: Any, targets: Any, scores: bool = False) -> Callable[[Any], Any]:
        criterion = library.nn.CTCLoss(**given)

        def run(x: Any) -> Any:
            y = x.log_softmax(2) if scores else x
            return criterion(y, make(targets), make(frames), make(lengths))

        return run

    logs = FRAMES - np.log(np.exp(FRAMES).sum(2, keepdims=True))
    together = np.array([1, 2, 2, 3, 4, 2])
    for targets in (ROWS, together):
        check(loss(nnscratch, ours, targets), loss(torch, theirs, targets), [logs], times=4.0)
    check(loss(nnscratch, ours, ROWS, True), loss(torch, theirs, ROWS, True), [FRAMES], times=4.0)


def test_ctc_that_cannot_be() -> None:
    logs = np.log(np.full((2, 1, 3), 1.0 / 3))
    for zero, expected in ((False, float("inf")), (True, 0.0)):
        mine = nn.functional.ctc_loss(ours(logs, True), [[1, 1]], [2], [2], zero_infinity=zero)
        its_input = theirs(logs, True)
        its = torch.nn.functional.ctc_loss(
            its_input, theirs([[1, 1]]), theirs([2]), theirs([2]), zero_infinity=zero
        )
        assert mine.item() == its.item() == expected


def test_ctc_of_one_sequence_and_of_no_frames() -> None:
    logs = FRAMES[:, 0] - np.log(np.exp(FRAMES[:, 0]).sum(1, keepdims=True))

    def one(library: Any, make: Any) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            return library.nn.functional.ctc_loss(
                x, make([1, 2]), make(np.array(7)), make(np.array(2)), blank=4, reduction="none"
            )

        return run

    check(one(nnscratch, ours), one(torch, theirs), [logs], times=4.0)
    F = nn.functional
    with pytest.raises(DataError, match="input_lengths from 0 to 7"):
        F.ctc_loss(ours(logs), ours([1, 2]), 8, 2)
    with pytest.raises(DataError, match="labels from 0 to 4"):
        F.ctc_loss(ours(logs), ours([1, 5]), 7, 2)
    with pytest.raises(ShapeError, match="add up to 3, but there are 2 labels"):
        F.ctc_loss(ours(FRAMES), ours([1, 2]), [7, 7, 7], [1, 1, 1])
    with pytest.raises(ConfigurationError, match="reduction is"):
        F.ctc_loss(ours(logs), ours([1, 2]), 7, 2, reduction="median")


def test_compiled_steps_are_the_eager_ones() -> None:
    def build() -> Any:
        nnscratch.manual_seed(0)
        model = nn.Linear(C, 2 * C)
        adam = nnscratch.optim.Adam(model.parameters())
        rank, ctc = nn.MarginRankingLoss(margin=0.5), nn.CTCLoss()
        many, labels, signs = nn.MultiMarginLoss(), ours(LABELS), ours(SIGNS.astype(np.float32))

        def step(x: Any) -> Any:
            adam.zero_grad()
            y = model(x)
            logs = y.reshape(N, 2, C).log_softmax(2)
            loss = rank(y[:, :C], y[:, C:], signs) + many(y, labels)
            loss = loss + ctc(logs, [[1, 2], [3, 3]], [N, N], [2, 2])
            loss.backward()
            adam.step()
            return loss

        return step

    eager, compiled = build(), nnscratch.compile(build())
    for k in range(4):
        x = ours((X * (k + 1)).astype(np.float32))
        assert_same(compiled(x).detach(), eager(x).detach().numpy(), times=4.0)


def test_what_does_not_fit() -> None:
    x, t = ours(X), ours(T)
    F = nn.functional
    with pytest.raises(ShapeError, match="reshape the target"):
        F.soft_margin_loss(x, ours(SIGNS.reshape(C, N)))
    with pytest.raises(DataError, match="variances from 0"):
        F.gaussian_nll_loss(x, t, ours(-RATES))
    with pytest.raises(ShapeError, match="expected variances of shape"):
        F.gaussian_nll_loss(x, t, ours(RATES[:2]))
    with pytest.raises(DTypeError, match=r"with \.long"):
        F.multi_margin_loss(x, t[:, 0])
    with pytest.raises(DataError, match="classes from 0 to 3"):
        F.multi_margin_loss(x, ours(LABELS + 4))
    with pytest.raises(ConfigurationError, match="p is 1 or 2"):
        F.multi_margin_loss(x, ours(LABELS), p=3)
    with pytest.raises(DataError, match="labels from 0 to 3"):
        F.multilabel_margin_loss(x, ours(MANY + 2))
    for shapes in ((N, C), (C,), (N, C)), ((C,), (N, C), (N, C)), ((N, C), (N, C), (1, N, C)):
        with pytest.raises(ShapeError, match=r"margin_ranking_loss: expected .* as many"):
            F.margin_ranking_loss(*(nnscratch.ones(*shape) for shape in shapes))
        with pytest.raises(RuntimeError, match="same dimension"):
            torch.nn.functional.margin_ranking_loss(*(torch.ones(*shape) for shape in shapes))
    with pytest.raises(ShapeError, match=r"margin_ranking_loss: .*do not broadcast"):
        F.margin_ranking_loss(x, x, ours(SIGNS[:2]))
    for wrong in (
        lambda: F.triplet_margin_loss(x, x, x, margin=0.0),
        lambda: nn.TripletMarginLoss(margin=-1.0),
        lambda: nn.TripletMarginWithDistanceLoss(margin=0.0),
    ):
        with pytest.raises(ConfigurationError, match="margin must be above 0"):
            wrong()
    with pytest.raises(ShapeError, match="same number of dimensions"):
        F.triplet_margin_loss(x, x, x[0])
    # Nothing to be summed is 0 (PyTorch returns memory that nobody has written).
    none = ours(np.zeros((0, C)))
    assert F.multi_margin_loss(none, ours(LABELS[:0]), reduction="sum").item() == 0.0
    assert F.multilabel_margin_loss(none, ours(MANY[:0]), reduction="sum").item() == 0.0
