"""A model beside its equal: where the two part, and the cause, which was planted.

Each cause is planted into a PyTorch model, and looked for twice: beside the model itself, and
beside a log of numbers alone, as another process would write it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keras_models import keras, table
from safetensors.numpy import save_file
from torch import nn as tnn

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.interop.comparing import Comparison, StepLog, compare, record_steps
from nnscratch.interop.keras import load_model
from nnscratch.interop.torch import from_torch

SOURCE = np.random.default_rng(0)
X, Y = SOURCE.normal(size=(6, 5)), SOURCE.integers(0, 4, 6)
CROSS = {"loss": nn.CrossEntropyLoss(), "other_loss": tnn.CrossEntropyLoss()}


def network(eps: float = 1e-5, bias: bool = True, form: str = "none", act: Any = None) -> Any:
    torch.manual_seed(0)
    return tnn.Sequential(
        tnn.Linear(5, 5, bias=bias), tnn.LayerNorm(5, eps=eps), act or tnn.GELU(approximate=form),
        tnn.BatchNorm1d(5), tnn.Dropout(0.0), tnn.Linear(5, 4),
    )  # fmt: skip


def same_weights(theirs: Any) -> Any:
    theirs.load_state_dict(network().state_dict(), strict=False)
    return theirs


def transposed() -> Any:
    theirs = network()
    theirs[0].weight.data = theirs[0].weight.data.T.contiguous()
    return theirs


class Rounding(tnn.Sequential):
    """It computes in 16 bits somewhere, as autocast does."""

    def forward(self, x: Any) -> Any:
        return super().forward(x).bfloat16().to(x.dtype)


class Transposing(tnn.Linear):
    """It takes its weight as (in, out)."""

    def forward(self, x: Any) -> Any:
        return tnn.functional.linear(x, self.weight.T, self.bias)


class Unbiased(tnn.Linear):
    """It has a bias, and forgets to add it."""

    def forward(self, x: Any) -> Any:
        return tnn.functional.linear(x, self.weight)


def with_first(kind: Any) -> Any:
    theirs = network()
    theirs[0] = kind(5, 5)
    return same_weights(theirs)


class KeepingGradients(tnn.Sequential):
    def zero_grad(self, set_to_none: bool = True) -> None:
        pass


class KerasMomentum(torch.optim.Optimizer):
    """v = μ v − η g, p = p + v: the rate is inside of the momentum."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                v = 0.9 * self.state[p].get("v", torch.zeros_like(p)) - group["lr"] * p.grad
                self.state[p]["v"] = v
                p += v


Make = Callable[[Any], Any]
SGD: Make = lambda p: optim.SGD(p, lr=0.1, momentum=0.9)  # noqa: E731
TSGD: Make = lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)  # noqa: E731


def steps(ours: str, theirs: str | None = None, **options: Any) -> dict[str, Any]:
    """Our optimizer with lr alone, and theirs with other settings."""
    mine = {
        k: options.pop(f"our_{k}") for k in ("momentum", "weight_decay") if f"our_{k}" in options
    }
    return {
        "ours": lambda p: getattr(optim, ours)(p, lr=0.1, **mine),
        "theirs": lambda p: getattr(torch.optim, theirs or ours)(p, **{"lr": 0.1, **options}),
    }


# What is planted: the model, the loss or the optimizers, and where and what is to be found.
PLANTED: dict[str, tuple[Callable[[], Any], dict[str, Any], str, str]] = {
    "epsilon": (lambda: same_weights(network(eps=1e-3)), {}, "epsilon", "step 0, the output of 1"),
    "a small epsilon": (lambda: same_weights(network(eps=1.1e-5)), {}, "epsilon",
                        "step 0, the output of 1"),
    "transposed weight": (transposed, {}, "transposed weight", "0.weight before the first step"),
    "weight used transposed": (lambda: with_first(Transposing), {}, "transposed weight",
                               "step 0, the output of 0"),
    "missing bias": (lambda: same_weights(network(bias=False)), {}, "missing bias",
                     "0.bias before the first step"),
    "bias not added": (lambda: with_first(Unbiased), {}, "missing bias", "step 0, the output of 0"),
    "dtype": (lambda: network().half(), {}, "dtype", "0.weight before the first step"),
    "dtype inside": (lambda: same_weights(Rounding(*network())), {}, "dtype",
                     "step 0, the output of the whole model"),
    "GELU form": (lambda: same_weights(network(form="tanh")), {}, "GELU form",
                  "step 0, the output of 2"),
    "mode": (lambda: same_weights(network()).eval(), {}, "mode", "step 0, the output of 3"),
    "label smoothing": (network, {"loss": tnn.CrossEntropyLoss(label_smoothing=0.13)},
                        "label smoothing", "step 0, the loss"),
    "reduction": (network, {"loss": tnn.CrossEntropyLoss(reduction="sum")}, "reduction",
                  "step 0, the loss"),
    "weight decay": (network, steps("SGD", weight_decay=0.01), "weight decay",
                     "step 0, 0.weight after the step"),
    "decoupled decay": (network, steps("Adam", "AdamW", our_weight_decay=0.01, weight_decay=0.01),
                        "weight decay", "step 0, 0.weight after the step"),
    "momentum": (network, steps("SGD", our_momentum=0.9, momentum=0.8), "momentum form",
                 "step 1, 0.weight after the step"),
    "nesterov": (network, steps("SGD", our_momentum=0.9, momentum=0.9, nesterov=True),
                 "momentum form", "step 0, 0.weight after the step"),
    "dampening": (network, steps("SGD", our_momentum=0.9, momentum=0.9, dampening=0.5),
                  "momentum form", "step 1, 0.weight after the step"),
    "rate inside of the momentum": (network, {"ours": SGD, "theirs": KerasMomentum,
                                              "rates": [0.1, 0.05, 0.01]}, "momentum form",
                                    "step 1, 0.weight after the step"),
    "epsilon of Adam": (network, steps("Adam", eps=1e-3), "epsilon",
                        "step 0, 0.weight after the step"),
    "learning rate": (network, steps("SGD", lr=0.03), "learning rate",
                      "step 0, 0.weight after the step"),
    "activation": (lambda: same_weights(network(act=tnn.SiLU())), {}, "activation",
                   "step 0, the output of 2"),
    "gradients kept": (lambda: same_weights(KeepingGradients(*network())), {},
                       "gradients added up", "step 1, the gradient of 5"),
}  # fmt: skip


def found(name: str, log: Path | None = None) -> Comparison:
    make, changes, _, _ = PLANTED[name]
    theirs, ours = make(), from_torch(network())
    mine, its = changes.get("ours", SGD), changes.get("theirs", TSGD)
    loss, rates = changes.get("loss", tnn.CrossEntropyLoss()), changes.get("rates")
    options = {"loss": CROSS["loss"], "optimizer": mine(ours.parameters()), "rates": rates}
    other = its(theirs.parameters())
    if log is None:
        options |= {"other_loss": loss, "other_optimizer": other}
        return compare(ours, theirs, (X, Y), **options)
    written = record_steps(theirs, (X, Y), loss, other, 3, rates=rates)
    written.settings = {}
    written.save(log)
    return compare(ours, log, (X, Y), **options)


@pytest.mark.parametrize("name", PLANTED)
def test_planted_causes(name: str) -> None:
    _, _, kind, place = PLANTED[name]
    made = found(name)
    assert made.first is not None
    assert made.first.place.startswith(place)
    assert made.cause is not None
    assert made.cause.kind == kind, str(made)
    assert made.cause.certain, str(made)


@pytest.mark.parametrize("name", PLANTED)
def test_planted_causes_in_numbers_alone(name: str, tmp_path: Path) -> None:
    _, _, kind, place = PLANTED[name]
    made = found(name, tmp_path / "log.safetensors")
    assert made.first is not None
    assert made.first.place.startswith(place)
    assert made.cause is not None
    assert made.cause.kind == kind, str(made)


def test_the_same_model_is_the_same(tmp_path: Path) -> None:
    for kind, options in (
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("AdamW", {}),
        ("RMSprop", {}),
    ):
        theirs = network()
        ours = from_torch(theirs)
        mine = getattr(optim, kind)(ours.parameters(), lr=0.01, **options)
        its = getattr(torch.optim, kind)(theirs.parameters(), lr=0.01, **options)
        before = [ours.state_dict(), theirs.state_dict()]
        before = [{k: v.detach().numpy().copy() for k, v in state.items()} for state in before]
        made = compare(ours, theirs, (X, Y), optimizer=mine, other_optimizer=its, **CROSS)
        assert made.same, str(made)
        assert made.cause is None
        assert str(made).startswith("equal to PyTorch in 13")
        assert made.steps == 3
        for state, model in zip(before, (ours, theirs), strict=True):
            for key, value in model.state_dict().items():
                assert np.array_equal(value.detach().numpy(), state[key]), key
        assert not mine.state
        assert not its.state
    assert compare(ours, theirs, (X,)).same
    assert compare(ours, ours, (X,)).same


class Functional(tnn.Module):
    """What stands between layers is no layer: its order and its activation."""

    def __init__(self, last: bool, form: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.hidden, self.head = tnn.Conv2d(2, 3, 3), tnn.Linear(27, 6), tnn.Linear(6, 4)
        self.last, self.form = last, form

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        x = x.permute(0, 2, 3, 1) if self.last else x
        return self.head(tnn.functional.gelu(self.hidden(x.flatten(1)), approximate=self.form))


def test_what_differs_between_layers() -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 5))
    ours = from_torch(Functional(False, "none"))
    made = compare(ours, Functional(True, "none"), (x,))
    assert made.cause is not None
    assert (made.cause.kind, made.first.place) == ("layout", "step 0, the input of hidden")
    made = compare(ours, Functional(False, "tanh"), (x,))
    assert made.cause is not None
    assert (made.cause.kind, made.first.place) == ("GELU form", "step 0, the input of head")


def test_layouts_of_weights() -> None:
    theirs = tnn.Conv2d(3, 3, 3)
    ours = from_torch(theirs)
    theirs.weight.data = theirs.weight.data.permute(2, 3, 1, 0).contiguous()
    log = record_steps(ours, (np.ones((1, 3, 4, 4)),))
    log.arrays["0/weights/weight"] = theirs.weight.detach().numpy()
    made = compare(ours, log, (np.ones((1, 3, 4, 4)),))
    assert made.cause is not None
    assert made.cause.kind == "layout"
    assert "(2, 3, 1, 0)" in made.cause.said


def test_running_statistics() -> None:
    theirs = tnn.Sequential(tnn.BatchNorm1d(5), tnn.Linear(5, 4))
    ours = from_torch(theirs)
    theirs[0].momentum = 0.25
    options = {"optimizer": SGD(ours.parameters()), "other_optimizer": TSGD(theirs.parameters())}
    made = compare(ours, theirs, (X, Y), **CROSS, **options)
    assert made.first is not None
    assert made.first.place == "step 0, 0.running_mean after the step"
    assert made.cause is not None
    assert made.cause.said == "momentum of the running statistics is 0.1 here and 0.25 there"


def test_dropout_in_training_is_random_or_the_mode() -> None:
    theirs = tnn.Sequential(tnn.Dropout(0.5), tnn.Linear(5, 4))
    ours = from_torch(theirs)
    both = compare(ours, theirs, (X,))
    assert both.cause is not None
    assert both.cause.kind == "random"
    one = compare(ours.eval(), theirs, (X,))
    assert one.cause is not None
    assert one.cause.kind == "mode"


def test_layers_of_other_names_are_matched_in_their_order() -> None:
    theirs = tnn.Sequential(tnn.Linear(5, 3), tnn.Tanh(), tnn.Linear(3, 3))

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(5, 3), nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x).tanh())

    ours = Named()
    state = theirs.state_dict()
    ours.load_state_dict({f"{'ab'[k[0] == '2']}.{k[2:]}": v for k, v in state.items()})
    assert compare(ours, theirs, (X,)).same
    theirs[2].weight.data = theirs[2].weight.data.T.contiguous()
    made = compare(ours, theirs, (X,))
    assert made.first is not None
    assert made.first.place == "b.weight (2.weight there) before the first step"
    longer = tnn.Sequential(*theirs, tnn.Linear(3, 3))
    assert "a, b here, and 0, 2, 3 there" in str(compare(ours, longer, (X,)))


def test_a_log_that_another_process_wrote_by_hand(tmp_path: Path) -> None:
    """Some arrays are enough, in float32, without any record of settings."""
    ours = nn.Sequential(nn.Linear(5, 4), nn.Tanh())
    weight, bias = (np.asarray(p.detach()) for p in ours.parameters())
    x = X.astype(np.float32)
    z = x @ weight.T + bias
    log = {"0/forward/0/output": z, "0/forward/1/output": np.tanh(z)}
    save_file(log, tmp_path / "log.safetensors")
    made = compare(ours, tmp_path / "log.safetensors", (x,))
    assert made.same, str(made)
    assert made.by_phase["forward"][0] == 2
    save_file(log | {"0/forward/1/output": np.maximum(z, 0)}, tmp_path / "log.safetensors")
    made = compare(ours, str(tmp_path / "log.safetensors"), (x,))
    assert made.cause is not None
    assert made.cause.said == "theirs is relu of the input"
    save_file({"forward/0": z}, tmp_path / "log.safetensors")
    with pytest.raises(CheckpointError, match="'forward/0' is no name of a log"):
        StepLog.load(tmp_path / "log.safetensors")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_beside_keras(tmp_path: Path) -> None:
    theirs = table()
    theirs.save(tmp_path / "a.keras")
    ours = load_model(tmp_path / "a.keras")
    x, y = SOURCE.normal(size=(6, 4)).astype("f4"), SOURCE.integers(0, 3, 6)
    losses = {
        "loss": nn.CrossEntropyLoss(),
        "other_loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    before = theirs.get_weights()

    def beside(mine: Any, its: Any, **options: Any) -> Comparison:
        made = mine(ours.parameters())
        return compare(
            ours, theirs, (x, y), optimizer=made, other_optimizer=its, **losses, **options
        )

    same = beside(SGD, keras.optimizers.SGD(0.1, momentum=0.9))
    assert same.same, str(same)
    assert set(same.by_phase) == {"weights", "forward", "loss", "backward", "gradient", "update"}
    inside = beside(SGD, keras.optimizers.SGD(0.1, momentum=0.9), rates=[0.1, 0.05, 0.01])
    assert "inside of it there, as in Keras" in str(inside)
    hat = beside(lambda p: optim.Adam(p, lr=0.1), keras.optimizers.Adam(0.1, epsilon=1e-3))
    assert "adds eps=0.001 to √v before the bias is corrected" in str(hat)
    dict(ours.named_modules())[f"layers.{theirs.layers[1].name}"].eps = 1e-5
    assert "epsilon: eps is 1e-05 here and 0.001 there" in str(compare(ours, theirs, (x,)))
    assert all(np.array_equal(a, b) for a, b in zip(theirs.get_weights(), before, strict=True))


def test_what_cannot_be_compared() -> None:
    ours, theirs = nn.Linear(5, 4), tnn.Linear(5, 4)
    for arguments, options, said in (
        ((theirs, theirs), {}, "expected a module of ours first, got Linear.*from_torch"),
        ((ours, 5), {}, "a torch.nn.Module or a Keras model, got int"),
        ((ours, theirs), {"loss": nn.MSELoss()}, "give loss= and other_loss="),
        ((ours, theirs), {"optimizer": SGD(ours.parameters())}, "give optimizer= and other_opt"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            compare(*arguments, (X,), **options)
    other = nn.Linear(5, 4)
    with pytest.raises(ConfigurationError, match="parameters that are not the model's"):
        record_steps(ours, (X,), None, SGD(other.parameters()))


def test_what_is_printed() -> None:
    ours = from_torch(network())
    said = str(compare(ours, same_weights(network(eps=1e-3)), (X, Y), **CROSS)).splitlines()
    assert said[0] == "parts from PyTorch at step 0, the output of 1"
    assert said[1].startswith("  element [0, 0]: -0.")
    assert said[2].startswith("  30 of 30 elements differ, by up to 0.00")
    assert said[3] == "  cause: epsilon: eps is 1e-05 here and 0.001 there"
    assert said[4] == "  weights at first: 11 arrays, equal"
    shapes = nnscratch.ones(2, 5)
    wide = compare(nn.Linear(5, 4), tnn.Linear(5, 3), (shapes,))
    assert "the shape (4, 5) here, the shape (3, 5) there" in str(wide)
