"""`explain` with an optimizer: the update of each parameter is PyTorch's, and only tried."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError
from nnscratch.inspect.steps import Step

RNG = np.random.default_rng(7)
X, Y = RNG.normal(size=(4, 2)), RNG.normal(size=(4, 1))
# PyTorch's names of the state, by those of the equations.
STATE = {
    "SGD": {"M": "momentum_buffer"},
    "Adam": {"M": "exp_avg", "V": "exp_avg_sq"},
    "AdamW": {"M": "exp_avg", "V": "exp_avg_sq"},
    "RMSprop": {"V": "square_avg", "M": "momentum_buffer"},
    "Adagrad": {"S": "sum"},
    "Adafactor": {},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9},
    "RMSprop": {"lr": 0.1, "momentum": 0.5},
    "Adagrad": {"initial_accumulator_value": 0.25},
}


def _models() -> tuple[Any, Any]:
    theirs = torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    ).double()
    ours = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    return ours, theirs


def _updates(model: Any, optimizer: Any) -> dict[str, Step]:
    found = nnscratch.explain(model, X, loss=nn.MSELoss(), target=Y, optimizer=optimizer)
    return {one.layer: one for one in found.steps if one.direction == "update"}


def _step(model: Any, optimizer: Any, kit: Any) -> None:
    optimizer.zero_grad()
    loss = kit.nn.functional.mse_loss(model(kit.tensor(X)), kit.tensor(Y))
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("name", STATE)
def test_every_update_is_that_of_pytorch(name: str, before: int) -> None:
    ours, theirs = _models()
    options = OPTIONS.get(name, {})
    mine = getattr(optim, name)(ours.parameters(), **options)
    its = getattr(torch.optim, name)(theirs.parameters(), **options)
    for _ in range(before):
        _step(ours, mine, nnscratch)
        _step(theirs, its, torch)
    was = {k: v.numpy().copy() for k, v in ours.state_dict().items()}
    state = str(mine.state_dict())
    found = _updates(ours, mine)
    assert str(mine.state_dict()) == state
    for key, value in ours.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), was[key])
    kept = {k: {n: v.clone() for n, v in its.state[p].items() if torch.is_tensor(v)}
            for k, p in theirs.named_parameters()}  # fmt: skip
    _step(theirs, its, torch)
    assert list(found) == [key for key, _ in theirs.named_parameters()]
    for key, parameter in theirs.named_parameters():
        given = {one.name: one.values for one in found[key].inputs}
        made = {one.name: one.values for one in found[key].outputs}
        assert found[key].where == f"{key} (Linear)"
        close = {"rtol": 1e-6, "atol": 1e-9}
        np.testing.assert_allclose(given["P"], was[key].reshape(-1), **close)
        np.testing.assert_allclose(given["G"], parameter.grad.reshape(-1), **close)
        np.testing.assert_allclose(made["P"], parameter.detach().reshape(-1), **close)
        for letter, entry in STATE[name].items():
            right = its.state[parameter][entry].reshape(-1)
            np.testing.assert_allclose(made[letter], right, **close)
            if before:
                np.testing.assert_allclose(given[letter], kept[key][entry].reshape(-1), **close)


def test_a_name_a_class_and_an_optimizer_say_the_same() -> None:
    ours, _ = _models()
    made = optim.Adam(ours.parameters())
    by = [_updates(ours, one) for one in ("adam", "Adam", optim.Adam, made)]
    assert all(one == by[0] for one in by)
    assert dict(by[0]["0.weight"].options)["step"] == "1"


@pytest.mark.parametrize(
    "name", [n for n in optim.Optimizer.kinds if n not in ("adamw", "adafactor")]
)
def test_every_optimizer_that_fit_takes(name: str) -> None:
    ours, _ = _models()
    found = _updates(ours, name)
    assert len(found) == 4
    for one in found.values():
        assert one.inputs[0].values != one.outputs[0].values
        assert one.formula.name in name or name == "adamw"


def test_the_page_has_a_third_part() -> None:
    ours, _ = _models()
    found = nnscratch.explain(ours, X, loss="mse", target=Y, optimizer="sgd")
    plain = nnscratch.explain(ours, X, loss="mse", target=Y)
    assert "then the <b" in found.html
    assert "then the <b" not in plain.html
    assert "update  2.bias (Linear)  sgd" in found.text
    assert found.steps[: len(plain.steps)] == plain.steps


def test_a_frozen_parameter_is_not_updated() -> None:
    ours, _ = _models()
    ours[0].weight.requires_grad_(False)
    assert list(_updates(ours, "sgd")) == ["0.bias", "2.weight", "2.bias"]


def test_what_is_no_optimizer_of_the_model_is_said() -> None:
    ours, _ = _models()
    others = optim.SGD(_models()[0].parameters(), lr=0.1)
    for optimizer, words in (
        ("adem", "adam"),
        (3, "a name, a class or an optimizer, got 3"),
        (others, "parameters that are not the model's"),
        (optim.LBFGS, "LBFGS is no formula of one parameter"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            _updates(ours, optimizer)
    with pytest.raises(ConfigurationError, match="optimizer are of a training step"):
        nnscratch.explain(ours, X, optimizer="sgd")
