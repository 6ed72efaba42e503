"""Recurrent layers and cells, against PyTorch."""

from __future__ import annotations

import itertools
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, ours, theirs, values

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas import registry
from nnscratch.nn.utils import rnn

RNG = np.random.default_rng(0)
T, B, I, H = 4, 3, 2, 5
LENGTHS = [2, 4, 1]


def twins(kind: str, *sizes: int, dtype: str = "float64", **options: Any) -> tuple[Any, Any]:
    """A layer and PyTorch's with the same weights."""
    its = getattr(torch.nn, kind)(*sizes, dtype=getattr(torch, dtype), **options)
    mine = getattr(nn, kind)(*sizes, dtype=dtype, **options)
    assert repr(mine) == repr(its)
    assert list(mine.state_dict()) == list(its.state_dict())
    mine.load_state_dict({name: ours(p.detach()) for name, p in its.state_dict().items()})
    return mine, its


def flat(made: Any) -> list[Any]:
    """The tensors of what a layer returned."""
    if isinstance(made, (nnscratch.Tensor, torch.Tensor)):
        return [made]
    if hasattr(made, "batch_sizes"):
        return [made.data]
    return [one for part in made for one in flat(part)]


def compare(mine: Any, its: Any, calls: Any, leaves: list[tuple[Any, Any]], times: float) -> None:
    """Compare all outputs and all gradients of their weighted sum."""
    got, expected = flat(calls[0](mine)), flat(calls[1](its))
    upstream = [RNG.normal(size=one.shape).astype(values(one).dtype) for one in expected]
    for one, two in zip(got, expected, strict=True):
        assert_same(one, two, "output", times)
    sum(((y * ours(c)).sum() for y, c in zip(got, upstream, strict=True)), 0.0).backward()
    sum(((y * theirs(c)).sum() for y, c in zip(expected, upstream, strict=True)), 0.0).backward()
    for x, y in leaves:
        assert_same(x.grad, y.grad, "gradient of an input", times)
    for (name, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad, name, times)


def start(kind: str, *shape: int, dtype: str = "float64", proj: int = 0) -> list[np.ndarray]:
    widths = [proj or H, H] if kind == "LSTM" else [H]
    return [RNG.normal(size=(*shape, n)).astype(dtype) for n in widths]


OPTIONS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "no bias": {"bias": False, "num_layers": 3},
    "everything": {"num_layers": 2, "bidirectional": True, "batch_first": True},
}
KINDS = ("RNN", "LSTM", "GRU")
CASES = [(kind, options) for kind in KINDS for options in OPTIONS.values()]
CASES += [("RNN", {"nonlinearity": "relu", "num_layers": 2}), ("LSTM", {"proj_size": 3}),
          ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True})]  # fmt: skip


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("form", ["batch", "states", "alone", "packed"])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_layers(kind: str, options: dict[str, Any], form: str) -> None:
    for dtype in ("float64", "float32") if form == "states" else ("float64",):
        mine, its = twins(kind, I, H, dtype=dtype, **options)
        shape = [B, T] if options.get("batch_first") else [T, B]
        x = RNG.normal(size=(*([T] if form == "alone" else shape), I)).astype(dtype)
        count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
        batch = () if form == "alone" else (B,)
        given = [] if form == "batch" else start(
            kind, count, *batch, dtype=dtype, proj=options.get("proj_size", 0)
        )  # fmt: skip
        leaves = [(ours(a, True), theirs(a, True)) for a in (x, *given)]

        def call(side: int) -> Any:
            inputs: list[Any] = [pair[side] for pair in leaves]  # noqa: B023 - called at once
            hx = None
            if len(inputs) > 1:
                hx = tuple(inputs[1:]) if kind == "LSTM" else inputs[1]
            data = inputs[0]
            if form == "packed":
                pack = (rnn, torch.nn.utils.rnn)[side].pack_padded_sequence
                data = pack(data, LENGTHS, options.get("batch_first", False), enforce_sorted=False)
            return lambda layer: layer(data, hx)

        compare(mine, its, (call(0), call(1)), leaves, 10.0 if dtype == "float32" else 1.0)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"nonlinearity": "relu"}])
@pytest.mark.parametrize("kind", KINDS)
def test_cells(kind: str, options: dict[str, Any]) -> None:
    if "nonlinearity" in options and kind != "RNN":
        options = {}
    mine, its = twins(f"{kind}Cell", I, H, **options)
    for batch, with_state in itertools.product(((B,), ()), (True, False)):
        x = RNG.normal(size=(*batch, I))
        given = start(kind, *batch) if with_state else []
        leaves = [(ours(a, True), theirs(a, True)) for a in (x, *given)]

        def call(side: int) -> Any:
            data, *states = [pair[side] for pair in leaves]  # noqa: B023 - called at once
            hx = None if not states else tuple(states) if kind == "LSTM" else states[0]
            return lambda layer: layer(data, hx)

        compare(mine, its, (call(0), call(1)), leaves, 1.0)
        mine.zero_grad()
        its.zero_grad()


def test_the_slope_of_relu_at_nan_is_1() -> None:
    inputs = []
    for lib in (nnscratch, torch):
        x = lib.tensor([[[2.0], [float("nan")]], [[1.0], [-9.0]]], requires_grad=True)
        layer = lib.nn.RNN(1, 1, nonlinearity="relu")
        with lib.no_grad():
            for parameter in layer.parameters():
                parameter.fill_(0.5)
        with registry.use_kernels("off") if lib is nnscratch else nullcontext():
            layer(x)[0].sum().backward()
        inputs.append(np.asarray(x.grad))
    np.testing.assert_allclose(*inputs)
    assert inputs[0][0, 1, 0] == 0.75  # through both steps, the second of which is NaN too


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind: str) -> None:
    mine, its = twins(kind, I, H, bidirectional=True)
    x, found = RNG.normal(size=(T, B, I)), []
    for lib, layer, make in ((nnscratch, mine, ours), (torch, its, theirs)):
        given = make(x, True)
        y = flat(layer(given))[0]
        leaves = [given, *layer.parameters()]
        g = lib.autograd.grad((y**2).sum(), leaves, create_graph=True)
        found.append(lib.autograd.grad(sum((one**2).sum() for one in g), leaves))
    for one, two in zip(*found, strict=True):
        assert_same(one, two, times=10.0)


def test_gates() -> None:
    cell = nn.LSTMCell(1, 1)
    with nnscratch.no_grad():
        for p in cell.parameters():
            p.fill_(0.0)
        cell.bias_ih.copy_(nnscratch.tensor([0.0, 1.0, 2.0, 3.0]))  # i, f, g, o
    zero, one = nnscratch.zeros(1, 1), nnscratch.ones(1, 1)
    assert [round(x.item(), 4) for x in cell(zero, (zero, one))] == [0.7979, 1.2131]
    gru = nn.GRUCell(1, 1)
    with nnscratch.no_grad():
        for p in gru.parameters():
            p.fill_(0.0)
        gru.bias_hh[2] = 1.0  # inside the product with the reset gate
        gru.bias_ih[2] = 0.5
    assert round(gru(zero, zero).item(), 4) == 0.3808


def test_shapes() -> None:
    y, (h, c) = nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True)(nnscratch.zeros(7, 4, 3))
    assert (y.shape, h.shape, c.shape) == ((7, 4, 10), (4, 7, 5), (4, 7, 5))
    y, (h, c) = nn.LSTM(3, 5, proj_size=2)(nnscratch.zeros(4, 7, 3))
    assert (y.shape, h.shape, c.shape) == ((4, 7, 2), (1, 7, 2), (1, 7, 5))
    assert nn.LSTM(3, 5)(nnscratch.zeros(4, 0, 3))[0].shape == (4, 0, 5)
    layer = nn.GRU(300, 4)
    assert 0.49 < layer.weight_ih_l0.abs().max().item() <= 0.5
    assert [len(one) for one in nn.LSTM(3, 5, 2, proj_size=2).all_weights] == [5, 5]
    assert (
        nn.GRU(3, 5, dtype="float16")(nnscratch.zeros(2, 1, 3, dtype="float16"))[0].dtype
        == "float16"
    )


def test_an_output_is_not_the_memory_of_a_state() -> None:
    y, h = nn.GRU(2, 3)(nnscratch.ones(4, 1, 2))
    before = h.clone()
    y.detach().zero_()
    assert nnscratch.equal(h, before)


def test_dropout_is_between_layers() -> None:
    nnscratch.manual_seed(0)
    layer = nn.LSTM(3, 50, 2, dropout=0.9)
    x = nnscratch.ones(1, 1, 3)
    assert (layer(x)[0] != 0).all()  # not behind the last one
    assert not nnscratch.allclose(layer(x)[0], layer(x)[0])
    layer.eval()
    assert nnscratch.equal(layer(x)[0], layer(x)[0])
    with pytest.warns(UserWarning, match="dropout acts behind every layer but the last"):
        nn.LSTM(3, 5, 1, dropout=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_compiled(kind: str) -> None:
    def build() -> Any:
        nnscratch.manual_seed(0)
        layer = getattr(nn, kind)(I, H, 2, dropout=0.25, bidirectional=True)
        adam = optim.Adam(layer.parameters(), lr=0.01)

        def step(x: Any) -> Any:
            loss = (layer(x)[0] ** 2).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
            return loss

        return layer, step

    batches = [RNG.normal(size=(T, B, I)).astype(np.float32) for _ in range(4)]
    (layer, eager), (other, step) = build(), build()
    nnscratch.manual_seed(1)
    losses = [eager(ours(x)).item() for x in batches]
    compiled = nnscratch.compile(step)
    nnscratch.manual_seed(1)
    assert losses == pytest.approx([compiled(ours(x)).item() for x in batches], rel=1e-5)
    for p, q in zip(layer.parameters(), other.parameters(), strict=True):
        assert nnscratch.allclose(p, q, rtol=1e-4, atol=1e-5)


def test_refused() -> None:
    for kind in (nn.RNN, nn.GRU):
        with pytest.raises(ConfigurationError, match="for LSTM only"):
            kind(3, 5, proj_size=2)
    with pytest.raises(ConfigurationError, match="below hidden_size, 5; got 5"):
        nn.LSTM(3, 5, proj_size=5)
    for sizes in ((3, 0), (3, 5, 0), (3, 2.5)):
        with pytest.raises(ConfigurationError, match="integer above 0"):
            nn.LSTM(*sizes)
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        nn.GRU(3, 5, 2, dropout=1.5)
    for made in (lambda: nn.RNN(3, 5, nonlinearity="elu"),
                 lambda: nn.RNNCell(3, 5, nonlinearity="elu")(nnscratch.zeros(1, 3))):  # fmt: skip
        with pytest.raises(ConfigurationError, match="nonlinearity is 'tanh' or 'relu'"):
            made()
    layer = nn.LSTM(3, 5)
    with pytest.raises(ShapeError, match="at least one step"):
        layer(nnscratch.zeros(0, 7, 3))
    with pytest.raises(ShapeError, match=r"expected an input \(steps, batch, 3\)"):
        layer(nnscratch.zeros(4, 7, 2))
    with pytest.raises(DTypeError, match=r"model.to\('float64'\)"):
        layer(nnscratch.zeros(4, 7, 3, dtype="float64"))
    with pytest.raises(ShapeError, match=r"a state of shape \(1, 7, 5\), got \(1, 6, 5\)"):
        layer(nnscratch.zeros(4, 7, 3), (nnscratch.zeros(1, 6, 5), nnscratch.zeros(1, 7, 5)))
    with pytest.raises(ShapeError, match=r"pair \(h, c\)"):
        layer(nnscratch.zeros(4, 7, 3), nnscratch.zeros(1, 7, 5))
    with pytest.raises(ShapeError, match=r"a state of shape \(2, 5\), got \(3, 5\)"):
        nn.GRUCell(3, 5)(nnscratch.zeros(2, 3), nnscratch.zeros(3, 5))
    with pytest.raises(ShapeError, match=r"\(batch, 3\) or \(3,\)"):
        nn.GRUCell(3, 5)(nnscratch.zeros(2, 4))


def test_that_pytorch_says_the_same_of_too_few_layers() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.nn.LSTM(3, 5, 1, dropout=0.5)
    assert "all but last recurrent layer" in str(caught[0].message)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell", "RNN"])
def test_a_dtype_that_is_not_that_of_the_weights_is_refused(kind: str) -> None:
    layer = getattr(nn, kind)(2, 3)
    with pytest.raises(DTypeError, match=r"float64 but the weights are float32; use x\.to\("):
        layer(nnscratch.ones(4, 2, dtype="float64"))
    with pytest.raises(DTypeError, match="expected floating-point input, got int64"):
        layer(nnscratch.ones(4, 2, dtype="int64"))
