"""Initialisation: bounds and deviations are PyTorch's, the numbers are a matter of the seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, ShapeError

CASES: dict[str, Any] = {
    "uniform": lambda init, w: init.uniform_(w, -2.0, 3.0),
    "normal": lambda init, w: init.normal_(w, 1.0, 0.3),
    "constant": lambda init, w: init.constant_(w, 0.3),
    "zeros": lambda init, w: init.zeros_(w),
    "ones": lambda init, w: init.ones_(w),
    "xavier uniform": lambda init, w: init.xavier_uniform_(w, gain=1.5),
    "xavier normal": lambda init, w: init.xavier_normal_(w),
    "kaiming uniform": lambda init, w: init.kaiming_uniform_(w),
    "kaiming uniform, out": lambda init, w: init.kaiming_uniform_(
        w, a=0.3, mode="fan_out", nonlinearity="leaky_relu"
    ),
    "kaiming normal": lambda init, w: init.kaiming_normal_(w, nonlinearity="relu"),
    "kaiming normal, out": lambda init, w: init.kaiming_normal_(w, mode="fan_out"),
}


@pytest.mark.parametrize("shape", [(300, 200), (40, 30, 7, 5)])
@pytest.mark.parametrize("name", CASES)
def test_the_spread_is_that_of_pytorch(name: str, shape: tuple[int, ...]) -> None:
    nnscratch.manual_seed(0)
    torch.manual_seed(0)
    mine = nn.Parameter(nnscratch.empty(*shape))
    its = torch.nn.Parameter(torch.empty(shape))
    assert CASES[name](nn.init, mine) is mine
    CASES[name](torch.nn.init, its)
    a, b = mine.detach().numpy(), its.detach().numpy()
    assert mine.requires_grad
    assert mine.is_leaf
    assert a.mean() == pytest.approx(b.mean(), abs=float(0.02 * b.std()) + 1e-6)
    assert a.std() == pytest.approx(b.std(), rel=0.02, abs=1e-6)
    if "normal" not in name:
        assert a.min() == pytest.approx(b.min(), rel=1e-3, abs=1e-6)
        assert a.max() == pytest.approx(b.max(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu"])
def test_gains(name: str) -> None:
    assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))


@pytest.mark.parametrize("slope", [None, 0.0, 0.2, math.sqrt(5)])
def test_gains_of_leaky_relu(slope: float | None) -> None:
    expected = torch.nn.init.calculate_gain("leaky_relu", slope)
    assert nn.init.calculate_gain("leaky_relu", slope) == pytest.approx(expected)


def test_a_linear_layer_starts_within_its_bounds() -> None:
    layer = nn.Linear(100, 400)
    for p in layer.parameters():
        assert p.detach().abs().max().item() == pytest.approx(0.1, rel=0.02)
    assert abs(layer.weight.detach().mean().item()) < 1e-3


def test_the_seed_decides() -> None:
    def made() -> list[Any]:
        nnscratch.manual_seed(7)
        return [p.tolist() for p in nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).parameters()]

    assert made() == made()
    one, two = (nn.Linear(3, 4, generator=nnscratch.Generator(3)) for _ in range(2))
    assert nnscratch.equal(one.weight, two.weight)
    before = one.weight.tolist()
    one.reset_parameters(nnscratch.Generator(4))
    assert one.weight.tolist() != before
    a, b = nnscratch.empty(5), nnscratch.empty(5)
    nn.init.uniform_(a, generator=nnscratch.Generator(1))
    nn.init.uniform_(b, generator=nnscratch.Generator(1))
    assert np.array_equal(a.numpy(), b.numpy())


def test_mistakes() -> None:
    with pytest.raises(ShapeError, match=r"at least 2 dimensions, got \(3,\)"):
        nn.init.xavier_uniform_(nnscratch.empty(3))
    with pytest.raises(ConfigurationError, match="'fan_in' or 'fan_out', got 'fan'"):
        nn.init.kaiming_normal_(nnscratch.empty(3, 3), mode="fan")
    with pytest.raises(ConfigurationError, match="got 'swish'"):
        nn.init.calculate_gain("swish")


def of_old(init: Any, w: Any) -> dict[str, Any]:
    return {
        "constant": init.constant(w, val=0.5), "eye": init.eye(w), "dirac": init.dirac(w[None]),
        "uniform": init.uniform(w, 0.5, 0.5), "normal": init.normal(w, mean=2.0, std=0.0),
        "xavier_uniform": init.xavier_uniform(w, gain=0.0), "sparse": init.sparse(w, 0.5, 0.0),
        "xavier_normal": init.xavier_normal(w, gain=0.0), "orthogonal": init.orthogonal(w, 0.0),
        "kaiming_uniform": init.kaiming_uniform(w, mode="fan_out"),
        "kaiming_normal": init.kaiming_normal(w, nonlinearity="relu"),
    }  # fmt: skip


def test_names_of_old_warn_and_fill() -> None:
    made = []
    for library, kinds in ((nnscratch, nn), (torch, torch.nn)):
        w = library.zeros(2, 2)
        with pytest.warns(FutureWarning, match=r"nn.init.*_") as warned:
            found = of_old(kinds.init, w)
        assert all(one is w for name, one in found.items() if name != "dirac")
        with pytest.warns(FutureWarning):
            made.append([kinds.init.normal(w, 2.0, 0.0).tolist(), len(warned)])
        for name in found:
            assert getattr(kinds.init, name).__name__ == name
    assert made[0] == made[1]
