"""The spectral norm of old: values, gradients, buffers and state dicts as in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError

LIBRARIES = ((nnscratch, nn), (torch, torch.nn))
START = {
    name: torch.nn.utils.spectral_norm(layer).state_dict()
    for name, layer in (
        ("Linear", torch.nn.Linear(3, 4)),
        ("Conv2d", torch.nn.Conv2d(3, 4, 2)),
        ("ConvTranspose2d", torch.nn.ConvTranspose2d(3, 4, 2)),
    )
}


@pytest.mark.parametrize("name", START)
def test_values_gradients_and_buffers(name: str) -> None:
    found = []
    for library, kinds in LIBRARIES:
        layer = getattr(kinds, name)(3, 4, *(() if name == "Linear" else (2,)))
        assert kinds.utils.spectral_norm(layer, "weight", n_power_iterations=2) is layer
        assert sorted(layer.state_dict()) == sorted(START[name])
        layer.load_state_dict({k: library.tensor(v.numpy()) for k, v in START[name].items()})
        x = library.ones(*((2, 3) if name == "Linear" else (1, 3, 4, 4)))
        seen = [layer(x), layer(x)]
        (seen[0] * seen[1]).sum().backward()
        layer.eval()
        seen += [layer(x), layer.weight_orig.grad, layer.weight_u, layer.weight_v, layer.weight]
        kinds.utils.remove_spectral_norm(layer)
        assert sorted(layer.state_dict()) == ["bias", "weight"]
        assert isinstance(layer.weight, kinds.Parameter)
        found.append([one.detach().numpy() for one in (*seen, layer.weight, layer(x))])
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=1e-5)


def test_a_spectral_norm_in_a_compiled_step() -> None:
    seen = []
    for compiled in (False, True):
        nnscratch.manual_seed(3)
        layer = nn.utils.spectral_norm(nn.Linear(3, 4))
        optimizer = nnscratch.optim.SGD(layer.parameters(), lr=0.01)

        def step(x: Any, layer: Any = layer, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = (layer(x) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        run = nnscratch.compile(step, on_unsupported="eager") if compiled else step
        seen.append([run(nnscratch.ones(2, 3)).item() for _ in range(5)])
    np.testing.assert_allclose(*seen, rtol=1e-5)


def test_what_has_no_spectral_norm() -> None:
    layer = nn.utils.spectral_norm(nn.Linear(3, 4))
    for call, said in (
        (lambda: nn.utils.spectral_norm(layer), "has no spectral_norm yet"),
        (lambda: nn.utils.spectral_norm(nn.ReLU()), "ReLU has no parameter 'weight'"),
        (
            lambda: nn.utils.spectral_norm(nn.Linear(1, 1), n_power_iterations=0),
            "must be at least 1",
        ),
        (lambda: nn.utils.remove_spectral_norm(layer, "bias"), "'bias' of Linear has no"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            call()
