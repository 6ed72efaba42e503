"""Dropout of channels and alpha dropout: what is dropped, and PyTorch's corners."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.nn import functional

CHANNELS = {
    "Dropout1d": [(50, 8, 3), (40, 3)],
    "Dropout2d": [(50, 8, 2, 2)],
    "Dropout3d": [(50, 8, 2, 1, 2), (40, 2, 1, 2)],
}
NAMES = [*CHANNELS, "AlphaDropout", "FeatureAlphaDropout"]


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_are_dropped_as_a_whole(name: str) -> None:
    nnscratch.manual_seed(0)
    for shape in CHANNELS[name]:
        for dtype in ("float32", "float64", "float16"):
            x = nnscratch.ones(shape, dtype=dtype).requires_grad_()
            y = getattr(nn, name)(0.25)(x)
            assert y.dtype == x.dtype
            assert y.shape == x.shape
            y.sum().backward()
            got = np.asarray(y.detach()).astype("float64")
            assert np.array_equal(np.asarray(x.grad), np.asarray(y.detach()))
            axes = 2 if len(shape) == len(CHANNELS[name][0]) else 1
            rows = got.reshape(*shape[:axes], -1)
            assert (rows == rows[..., :1]).all()
            near = np.isclose(rows, 4 / 3, rtol=1e-3)
            assert ((rows == 0) | near).all()
            assert 0 < (rows == 0).mean() < 0.55
            assert axes == 1 or 0.15 < (rows == 0).mean() < 0.35


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    nnscratch.manual_seed(0)
    for name in ("AlphaDropout", "FeatureAlphaDropout"):
        x = nnscratch.randn(500, 200, requires_grad=True)
        y = getattr(nn, name)(0.3)(x)
        got = np.asarray(y.detach())
        assert abs(got.mean()) < 0.02
        assert abs(got.std() - 1.0) < 0.02
        values = np.unique(got.round(4), return_counts=True)
        dropped = values[0][values[1].argmax()]
        torch.manual_seed(0)
        theirs = getattr(torch.nn, name)(0.3)(torch.zeros(40, 40)).numpy()
        assert np.isclose(dropped, theirs.min(), atol=1e-4)
        ours = getattr(nn, name)(0.3)(nnscratch.zeros(40, 40))
        assert np.allclose(np.unique(np.asarray(ours)), np.unique(theirs), atol=1e-6)
        y.sum().backward()
        slopes = np.unique(np.asarray(x.grad))
        assert slopes[0] == 0
        assert len(slopes) == 2
    pictures = nn.FeatureAlphaDropout(0.5)(nnscratch.zeros(9, 9, 2))
    assert np.array_equal(np.asarray(pictures[..., 0]), np.asarray(pictures[..., 1]))


@pytest.mark.parametrize("name", NAMES)
def test_options(name: str) -> None:
    shape = CHANNELS.get(name, [(4, 3)])[0]
    make = getattr(nn, name)
    its = getattr(torch.nn, name)
    assert repr(make(0.2)) == repr(its(0.2))
    assert repr(make(0.2, True)) == repr(its(0.2, True))
    x = nnscratch.ones(shape)
    assert make(0.5).eval()(x) is x
    assert make(0.0)(x) is x
    assert np.asarray(make(1.0)(x)).sum() == 0.0
    assert make(0.5)(nnscratch.ones(0, *shape[1:])).shape == (0, *shape[1:])
    a, b = (make(0.5, generator=nnscratch.Generator(3))(x) for _ in range(2))
    assert np.array_equal(np.asarray(a), np.asarray(b))
    written = make(0.5, inplace=True)(x)
    assert written is x
    for bad in (-0.1, 1.1):
        with pytest.raises(ConfigurationError, match=f"{name}: p is a probability"):
            make(bad)
    with pytest.raises(DTypeError, match="floating"):
        make(0.5)(nnscratch.ones(shape).long())


def test_axes_are_pytorchs() -> None:
    x = nnscratch.ones
    for shape in ((4,), (2, 4, 3, 3)):
        with pytest.raises(ShapeError, match="dropout1d: expected"):
            functional.dropout1d(x(*shape))
    with pytest.warns(UserWarning, match="taken for \\(N, C, L\\)"):
        y = functional.dropout2d(x(30, 20, 2))
    assert np.array_equal(np.asarray(y[..., 0]), np.asarray(y[..., 1]))
    warned: list[tuple[Any, tuple[int, ...]]] = [
        (functional.dropout2d, (4, 3)),
        (functional.dropout2d, (2, 3, 2, 2, 2)),
        (functional.dropout3d, (4, 3, 2)),
    ]
    for function, shape in warned:
        with pytest.warns(UserWarning, match="axes"):
            assert function(x(*shape)).shape == shape
    with pytest.warns(UserWarning, match="axes"), pytest.raises(ShapeError, match="N, C"):
        functional.dropout2d(x(4))
    with pytest.raises(ShapeError, match="N, C"):
        functional.feature_alpha_dropout(x(4), 0.5, True)
    assert functional.alpha_dropout(x(4)).tolist() == [1.0] * 4  # not in training by default
    assert functional.feature_alpha_dropout(x(4)).tolist() == [1.0] * 4


def test_a_compiled_step_draws_what_the_eager_one_draws() -> None:
    nnscratch.manual_seed(0)
    eager = nn.Sequential(
        nn.Linear(5, 12), nn.Unflatten(1, (4, 3)), nn.Dropout1d(0.3), nn.Unflatten(2, (1, 3)),
        nn.Dropout2d(0.3), nn.Unflatten(2, (1, 1)), nn.Dropout3d(0.2), nn.FeatureAlphaDropout(0.2),
        nn.Flatten(), nn.AlphaDropout(0.2), nn.Linear(12, 2),
    ).double()  # fmt: skip
    compiled = copy.deepcopy(eager)
    x = nnscratch.randn(6, 5).double()

    def run(model: Any, compiling: bool) -> list[float]:
        nnscratch.manual_seed(1)
        optimizer = nnscratch.optim.SGD(model.parameters(), lr=0.1)

        def step() -> Any:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        call = nnscratch.compile(step) if compiling else step
        return [call().item() for _ in range(4)]

    expected = run(eager, False)
    assert len(set(expected)) == 4
    assert np.allclose(run(compiled, True), expected, rtol=1e-9)
