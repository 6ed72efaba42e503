"""Weights that are computed of others, in training: fitted, compiled, and no parameters."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.train import Trainer

RNG = np.random.default_rng(0)
U = nn.utils


class Noisy(nn.Module):
    """Weights with noise, in training."""

    def forward(self, weight: Any) -> Any:
        return nn.functional.dropout(weight, 0.2, self.training)


COMPUTED = {
    "weight norm": U.parametrizations.weight_norm,
    "spectral norm": U.parametrizations.spectral_norm,
    "own": lambda layer: U.parametrize.register_parametrization(layer, "weight", Noisy()),
    "old weight norm": U.weight_norm,
    "old spectral norm": U.spectral_norm,
}


@pytest.mark.parametrize("name", COMPUTED)
def test_a_network_with_a_computed_weight_is_fitted_as_it_is_and_compiled(name: str) -> None:
    data, labels = nnscratch.tensor(RNG.normal(size=(24, 3))), np.arange(24) % 3
    losses = []
    for compiled in (False, True):
        nnscratch.manual_seed(0)
        model = nn.Sequential(COMPUTED[name](nn.Linear(3, 8)), nn.Tanh(), nn.Linear(8, 3))
        trainer = Trainer(model.double(), lr=0.01, seed=0, compile=compiled)
        history = trainer.fit((data, labels), 3, validation=(data, labels), batch_size=8)
        assert all(one.training for one in model.modules())
        losses.append([row[key] for row in history for key in ("train_loss", "val_loss")])
        if compiled:
            # One of the step, recorded once: what each call computes is no other structure.
            assert len(trainer._stepper._step.plans) == 1  # type: ignore[union-attr]
    np.testing.assert_allclose(losses[1], losses[0], 1e-9)
    assert losses[0][-1] < losses[0][1]


@pytest.mark.parametrize("name", COMPUTED)
def test_a_computed_weight_is_no_parameter_of_its_layer(name: str) -> None:
    layer = COMPUTED[name](nn.Linear(3, 8))
    old = name.startswith("old")  # whose weight, as in PyTorch, cannot be copied with its graph
    for one in [layer] if old else [layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]:
        one.training, one.in_features, one.more = False, 3, nn.Linear(1, 1)
        assert "weight" not in one._parameters
        assert "weight" not in dict(one.named_parameters())
        assert one.eval()(np.ones((4, 3), np.float32)).shape == (4, 8)
        if not old:
            with pytest.raises(AttributeError, match="deleter"):
                del one.weight
        with pytest.raises(KeyError, match="weight"):
            one.register_parameter("weight", nn.Parameter(layer.bias))
