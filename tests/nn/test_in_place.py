"""Activations with an underscore: the values, the gradients and the tensor itself as in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn

CALLS: dict[str, Any] = {
    "celu_": lambda f, x: f.celu_(x, 0.5),
    "elu_": lambda f, x: f.elu_(x, alpha=0.5),
    "hardtanh_": lambda f, x: f.hardtanh_(x, -0.5, max_val=0.75),
    "leaky_relu_": lambda f, x: f.leaky_relu_(x, negative_slope=0.25),
    "relu_": lambda f, x: f.relu_(x),
    "rrelu_": lambda f, x: f.rrelu_(x, 0.25, upper=0.5),
    "selu_": lambda f, x: f.selu_(x),
    "threshold_": lambda f, x: f.threshold_(x, 0.25, value=-3.0),
}


@pytest.mark.parametrize("name", CALLS)
def test_activations_in_place(name: str) -> None:
    found = []
    for library, kinds in ((nnscratch, nn), (torch, torch.nn)):
        x = library.tensor([-2.0, -0.375, 0.125, 1.5], dtype=library.float64, requires_grad=True)
        y = x * 1.0
        made = CALLS[name](kinds.functional, y)
        assert made is y
        made.sum().backward()
        found.append((made.detach().numpy(), x.grad.numpy()))
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)
