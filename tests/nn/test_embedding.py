"""Embeddings and bags of them, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError, DTypeError, IndexRangeError, ShapeError

F, TF = nn.functional, torch.nn.functional
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(6, 3))
MATRIX = np.array([[1, 2, 2], [5, 1, 0]])
FLAT = np.array([4, 0, 2, 2, 1, 2])

LOOKUPS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "a matrix": (MATRIX, {}),
    "a number": (np.array(3), {}),
    "nothing": (np.zeros((0, 2), np.int64), {}),
    "int32": (MATRIX.astype(np.int32), {}),
    "not contiguous": (MATRIX.T[::-1], {}),
    "a padding": (MATRIX, {"padding_idx": 2}),
    "a padding from the end": (MATRIX, {"padding_idx": -1}),
    "by frequency": (MATRIX, {"scale_grad_by_freq": True}),
    "everything": (MATRIX, {"scale_grad_by_freq": True, "padding_idx": 0, "max_norm": 1.0}),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LOOKUPS)
def test_rows(name: str, dtype: str) -> None:
    index, options = LOOKUPS[name]
    mine, its = ours(index), theirs(index.copy())

    if "max_norm" in options:
        w, v = ours(TABLE.astype(dtype)), theirs(TABLE.astype(dtype))
        assert_same(F.embedding(mine, w, **options), TF.embedding(its, v, **options))
        assert_same(w, v, "the shortened weight")
        return
    check(
        lambda w: F.embedding(mine, w, **options),
        lambda w: TF.embedding(its, w, **options),
        [TABLE.astype(dtype)],
    )


BAGS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "rows": (MATRIX, {}),
    "offsets": (FLAT, {"offsets": np.array([0, 0, 3])}),
    "the last offset": (FLAT, {"offsets": np.array([0, 1, 6]), "include_last_offset": True}),
    "a padding": (FLAT, {"offsets": np.array([0, 2]), "padding_idx": 2}),
    "a padding from the end": (MATRIX, {"padding_idx": -1}),
    "int32": (FLAT.astype(np.int32), {"offsets": np.array([0, 5], np.int32)}),
    "nothing": (np.zeros(0, np.int64), {"offsets": np.array([0, 0])}),
}


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("name", BAGS)
def test_bags(name: str, mode: str) -> None:
    index, options = BAGS[name]

    def call(lib: Any, make: Any) -> Any:
        given = {
            key: make(value) if isinstance(value, np.ndarray) else value
            for key, value in options.items()
        }
        return lambda w: lib.embedding_bag(make(index), w, mode=mode, **given)

    for dtype in ("float64", "float32"):
        check(call(F, ours), call(TF, theirs), [TABLE.astype(dtype)])


@pytest.mark.parametrize("padding", [None, 2])
def test_weights_of_entries(padding: int | None) -> None:
    def call(lib: Any, make: Any) -> Any:
        return lambda w, s: lib.embedding_bag(
            make(FLAT), w, make(np.array([0, 2])), mode="sum", per_sample_weights=s,
            padding_idx=padding,
        )  # fmt: skip

    check(call(F, ours), call(TF, theirs), [TABLE, RNG.normal(size=6)])


def test_a_row_is_divided_by_its_own_frequency() -> None:
    # PyTorch 2.13 has 1/3 for row 2 as well, which occurs once.
    w = ours(TABLE, True)
    F.embedding_bag(
        [1, 1, 2, 1], w, nnscratch.tensor([0, 2]), mode="sum", scale_grad_by_freq=True
    ).sum().backward()
    assert w.grad is not None
    assert w.grad[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def test_half() -> None:
    check(lambda w: F.embedding(ours(FLAT), w), lambda w: TF.embedding(theirs(FLAT), w),
          [TABLE.astype(np.float16)])  # fmt: skip
    ones = nnscratch.ones(1, 1, dtype="float16", requires_grad=True)
    F.embedding(nnscratch.zeros(2049, dtype="int64"), ones).sum().backward()
    assert ones.grad is not None
    assert ones.grad.item() == 2048.0  # 2,049 rounds to it; added up in float16 it ends there too


def test_second_derivatives() -> None:
    for mine, its in (
        (lambda w: F.embedding(ours(MATRIX), w), lambda w: TF.embedding(theirs(MATRIX), w)),
        (
            lambda w: F.embedding(ours(MATRIX), w, padding_idx=2),
            lambda w: TF.embedding(theirs(MATRIX), w, padding_idx=2),
        ),
    ):
        found = []
        for lib, make, call in ((nnscratch, ours, mine), (torch, theirs, its)):
            w = make(TABLE, True)
            y: Any = call(w)
            (g,) = lib.autograd.grad((y**3).sum(), w, create_graph=True)
            found.append(lib.autograd.grad((g**2).sum(), w)[0])
        assert_same(*found)


def test_max_norm_shortens_the_rows_that_are_looked_up() -> None:
    w = nnscratch.tensor([[3.0, 4.0], [6.0, 8.0]])
    F.embedding([0], w, max_norm=1.0)
    assert nnscratch.allclose(w, nnscratch.tensor([[0.6, 0.8], [6.0, 8.0]]))
    mine, its = ours(TABLE), theirs(TABLE)
    F.embedding_bag(ours(MATRIX), mine, max_norm=0.5, norm_type=1.0)
    TF.embedding_bag(theirs(MATRIX), its, max_norm=0.5, norm_type=1.0)
    assert_same(mine, its)


def test_layers() -> None:
    for options in (
        {}, {"padding_idx": -1, "max_norm": 1.0, "scale_grad_by_freq": True, "sparse": True},
        {"max_norm": 2.0, "norm_type": 1.0},
    ):  # fmt: skip
        layer, twin = nn.Embedding(4, 3, **options), torch.nn.Embedding(4, 3, **options)
        assert repr(layer) == repr(twin)
        assert list(layer.state_dict()) == list(twin.state_dict())
    for more in ({}, {"mode": "sum", "padding_idx": 1}, {"mode": "max", "norm_type": 3.0}):
        bag, other = nn.EmbeddingBag(4, 3, **more), torch.nn.EmbeddingBag(4, 3, **more)
        if "norm_type" not in more:
            assert repr(bag) == repr(other)
    assert nn.Embedding(3, 2, padding_idx=1).weight[1].tolist() == [0.0, 0.0]
    assert nn.Embedding(3, 2, padding_idx=-1).padding_idx == 2
    drawn = nn.Embedding(200, 50).weight
    assert abs(drawn.mean().item()) < 0.05
    assert abs(drawn.std().item() - 1.0) < 0.05
    weight = nnscratch.ones(3, 2)
    assert nn.Embedding(3, 2, dtype="float64", _weight=None).weight.dtype == "float64"
    for made, learned in ((nn.Embedding, False), (nn.EmbeddingBag, False)):
        layer = made.from_pretrained(weight)
        assert layer.weight.requires_grad is learned
        assert made.from_pretrained(weight, freeze=False).weight.requires_grad
    # The row of the padding is returned as it is.
    assert F.embedding([1], weight, padding_idx=1).tolist() == [[1.0, 1.0]]


def test_adam_moves_rows_that_are_no_longer_looked_up() -> None:
    layer = nn.Embedding(2, 1)
    with nnscratch.no_grad():
        layer.weight.fill_(0.0)
    adam = optim.Adam(layer.parameters(), lr=0.1)
    for i in (0, 1):
        adam.zero_grad()
        layer([i]).sum().backward()
        adam.step()
    assert nnscratch.allclose(
        layer.weight.detach(), nnscratch.tensor([[-0.16697], [-0.07437]]), atol=1e-4
    )


def test_a_tied_weight_gets_both_gradients() -> None:
    w = nnscratch.ones(3, 1, requires_grad=True)
    F.linear(F.embedding([0], w), w).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [[4.0], [1.0], [1.0]]


def test_compiled() -> None:
    def build() -> tuple[Any, Any]:
        nnscratch.manual_seed(0)
        model = nn.ModuleList([nn.Embedding(5, 3, padding_idx=0, max_norm=1.0),
                               nn.EmbeddingBag(5, 3)])  # fmt: skip
        adam = optim.Adam(model.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            loss = (model[0](x) ** 2).sum() + (model[1](x) ** 2).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
            return loss

        return model, step

    (mine, eager), (other, step) = build(), build()
    compiled = nnscratch.compile(step)
    for i in range(4):
        x = ours(np.random.default_rng(i).integers(0, 5, (4, 6)))
        assert eager(x).item() == pytest.approx(compiled(x).item(), rel=1e-6)
    for p, q in zip(mine.parameters(), other.parameters(), strict=True):
        assert nnscratch.allclose(p, q, rtol=1e-5, atol=1e-6)


def test_refused() -> None:
    table = nnscratch.ones(3, 2)
    for index in ([3], [-1]):
        with pytest.raises(IndexRangeError, match=f"from 0 to 2, got {index[0]} at position 0"):
            F.embedding(index, table)
        with pytest.raises(IndexError, match="from 0 to 2"):
            F.embedding_bag([index], table)
    with pytest.raises(DTypeError, match=r"\.long\(\)"):
        F.embedding([1.0], table)
    with pytest.raises(ShapeError, match="rows, columns"):
        F.embedding([0], nnscratch.ones(3))
    with pytest.raises(IndexRangeError, match="padding_idx is a row from -3 to 2, got 3"):
        nn.Embedding(3, 2, padding_idx=3)
    with pytest.raises(ShapeError, match=r"expected a weight of shape \(3, 2\)"):
        nn.Embedding(3, 2, _weight=nnscratch.ones(2, 2))
    with pytest.raises(ShapeError, match="without offsets"):
        F.embedding_bag([0, 1], table)
    with pytest.raises(ShapeError, match="leave the offsets out"):
        F.embedding_bag([[0, 1]], table, [0])
    for offsets in ([1, 2], [0, 2, 1], [0, 5]):
        with pytest.raises(IndexRangeError, match="offsets start at 0, never fall"):
            F.embedding_bag([0, 1, 2], table, offsets)
    with pytest.raises(IndexRangeError, match="last offset is the number of indices, 3"):
        F.embedding_bag([0, 1, 2], table, [0, 2], include_last_offset=True)
    ones = nnscratch.ones(1, 2)
    with pytest.raises(ConfigurationError, match="per_sample_weights are for mode='sum'"):
        F.embedding_bag([[0, 1]], table, per_sample_weights=ones)
    with pytest.raises(ShapeError, match="one for each"):
        F.embedding_bag([[0, 1]], table, mode="sum", per_sample_weights=ones[:, :1])
    with pytest.raises(ConfigurationError, match="takes neither"):
        F.embedding_bag([[0, 1]], table, mode="max", scale_grad_by_freq=True)
    with pytest.raises(ConfigurationError, match="mode is one of"):
        F.embedding_bag([[0, 1]], table, mode="median")


@pytest.mark.parametrize("padding", [0, 1])
def test_a_padding_never_has_the_gradient_of_the_largest(padding: int) -> None:
    inf, nan = float("inf"), float("nan")
    W = np.array([[5.0, -inf, nan], [-inf, -inf, 1.0], [-inf, 2.0, -inf], [-inf, -inf, -inf]])
    for I in ([[0, 1, 2], [1, 0, 3]], [[0, 0, 3], [1, 1, 3]], [[0, 0, 0], [1, 1, 1]]):
        check(
            lambda w, I=I: F.embedding_bag(ours(I), w, mode="max", padding_idx=padding),
            lambda w, I=I: torch.nn.functional.embedding_bag(
                theirs(I), w, mode="max", padding_idx=padding),
            [W[:, :2] if padding else W],
        )  # fmt: skip
