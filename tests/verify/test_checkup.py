"""The training check-up: what is right passes, and every planted mistake is named."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError
from nnscratch.nn import functional as F
from nnscratch.verify.checkups.report import CheckupReport
from nnscratch.verify.checkups.training import checkup

RNG = np.random.default_rng(1)
X = RNG.normal(size=(64, 6)).astype(np.float32)
CLASS = (X[:, 0] + X[:, 1] > 0).astype(np.int64)
NUMBER = X[:, :1] - 2 * X[:, 1:2]
SOFT = np.where(CLASS[:, None] == [0, 1], 0.7, 0.3).astype(np.float32)
CE = nn.CrossEntropyLoss()


def net(*last: nn.Module, inner: type[nn.Module] = nn.ReLU, outputs: int = 2) -> nn.Sequential:
    nnscratch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), inner(), nn.Linear(32, outputs), *last)


class Cut(nn.Module):
    """Detaches what its first layer computes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.last = nn.Linear(8, 2)

    def forward(self, x: Any) -> Any:
        return self.last(self.first(x).detach())


class Mixed(nn.Module):
    """Takes the mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        return self.last(x - x.mean(dim=0))


class Blind(nn.Module):
    """Does not look at its input."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(nnscratch.zeros(2))

    def forward(self, x: Any) -> Any:
        return self.bias + nnscratch.zeros(len(x), 2)


def scaled(model: nn.Module, factor: float) -> nn.Module:
    with nnscratch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return model


def dead(model: nn.Sequential) -> nn.Module:
    with nnscratch.no_grad():
        model[0].bias.fill_(-100.0)
    return model


def deep() -> nn.Module:
    nnscratch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(12):
        layers += [nn.Linear(6, 6), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(6, 2))


def spoilt() -> Any:
    x = X.copy()
    x[3, 2] = np.nan
    return x


def uneven() -> Any:
    return X * np.array([1, 1, 1, 1, 1, 1e5], dtype=np.float32)


MISTAKES: dict[str, tuple[Callable[[], nn.Module], Any, Any, Any]] = {
    "softmax twice": (lambda: net(nn.Softmax(dim=1)), CE, X, CLASS),
    "squashed logits": (lambda: net(nn.ReLU()), CE, X, CLASS),
    "sigmoid twice": (
        lambda: net(nn.Sigmoid(), outputs=1), nn.BCEWithLogitsLoss(), X,
        CLASS.reshape(-1, 1).astype(np.float32),
    ),
    "softmax without its logarithm": (lambda: net(nn.Softmax(dim=1)), nn.NLLLoss(), X, CLASS),
    "broadcasting target": (lambda: net(outputs=1), nn.MSELoss(), X, NUMBER.reshape(-1)),
    "no data": (net, CE, X[:0], CLASS[:0]),
    "unscaled inputs": (net, CE, X * 500, CLASS),
    "columns of different scale": (net, CE, uneven(), CLASS),
    "inputs not finite": (net, CE, spoilt(), CLASS),
    "constant inputs": (net, CE, np.ones_like(X), CLASS),
    "unscaled targets": (lambda: net(outputs=1), nn.MSELoss(), X, NUMBER * 1e4),
    "targets out of range": (net, CE, X, CLASS + 1),
    "one class": (net, CE, X, np.zeros_like(CLASS)),
    "loss at the start": (lambda: scaled(net(), 30.0), CE, X, CLASS),
    "dead units": (lambda: dead(net()), CE, X, CLASS),
    "saturated units": (lambda: scaled(net(inner=nn.Tanh), 60.0), CE, X, CLASS),
    "vanishing gradients": (deep, CE, X, CLASS),
    "no gradient": (Cut, CE, X, CLASS),
    "samples mix": (Mixed, CE, X, CLASS),
    "output without the input": (Blind, CE, X, CLASS),
    "overfit one batch": (Blind, CE, X, CLASS),
    "eval mode": (lambda: net().eval(), CE, X, CLASS),
    "loss is no number": (net, nn.CrossEntropyLoss(reduction="none"), X, CLASS),
    "no graph": (lambda: net().requires_grad_(False), CE, X, CLASS),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_named(kind: str) -> None:
    make, loss, x, y = MISTAKES[kind]
    report = checkup(make(), loss, x, y, steps=30 if kind == "overfit one batch" else 0)
    assert kind in report.kinds(), report
    symptom = next(s for s in report.symptoms if s.kind == kind)
    assert symptom.text.endswith((".", ")"))


@pytest.mark.parametrize(
    ("model", "loss", "y"),
    [
        (lambda: net(nn.Dropout(0.2)), CE, CLASS),
        (lambda: net(outputs=1), nn.MSELoss(), NUMBER),
        (lambda: net(outputs=1), nn.BCEWithLogitsLoss(), CLASS.reshape(-1, 1).astype(np.float32)),
        (lambda: net(nn.LogSoftmax(dim=1)), nn.NLLLoss(), CLASS),
        (net, nn.CrossEntropyLoss(label_smoothing=0.1), CLASS),
        (lambda: net(outputs=9), nn.CrossEntropyLoss(label_smoothing=0.2), CLASS * 3),
        (net, nn.CrossEntropyLoss(weight=nnscratch.tensor([1.0, 4.0])), CLASS),
        (net, CE, np.where(np.arange(64) < 30, -100, CLASS)),
        (net, CE, SOFT),
        (lambda: net(outputs=1), nn.BCEWithLogitsLoss(), SOFT[:, :1]),
        (
            lambda: net(outputs=1), nn.BCEWithLogitsLoss(pos_weight=nnscratch.tensor([3.0])),
            SOFT[:, :1],
        ),
        (lambda: net(nn.Sigmoid(), outputs=1), nn.BCELoss(), SOFT[:, :1]),
        (lambda: nn.Linear(6, 1), nn.MSELoss(), NUMBER),
        (lambda: nn.Linear(6, 2), CE, CLASS),
        (net, lambda output, target: F.cross_entropy(output, target), CLASS),
        (net, functools.partial(F.cross_entropy, label_smoothing=0.3), CLASS),
        (lambda: net(outputs=1), lambda y, t: ((y.squeeze(1) - t) ** 2).mean(), NUMBER[:, 0]),
    ],
)  # fmt: skip
def test_what_is_right_has_no_faults(model: Any, loss: Any, y: Any) -> None:
    made = model()
    report = checkup(made, loss, X, y, optimizer=optim.Adam(made.parameters(), lr=1e-3))
    assert report, report
    assert not report.kinds(), report
    assert report.kinds("fine") >= {"overfit one batch", "update ratio"}


def test_a_broadcasting_target_in_a_loss_of_ones_own() -> None:
    report = checkup(
        net(outputs=1), lambda y, t: ((y - t) ** 2).mean(), X, NUMBER.reshape(-1), steps=0
    )
    assert "broadcast to (64, 64)" in report.symptoms[0].text


def test_a_loss_that_refuses_the_target_is_named_once() -> None:
    report = checkup(net(), nn.MSELoss(), X, CLASS[:, None].repeat(3, 1).astype(np.float32))
    assert report.kinds() == {"does not run"}


def test_few_samples_prove_nothing() -> None:
    for count in (1, 2, 5):
        assert not checkup(net(), CE, X[:count], CLASS[:count]).kinds()


def test_the_gradient_of_one_number_may_be_zero() -> None:
    """Under L1Loss that of a last bias is 0 where half the signs are plus."""
    model = net(outputs=1)
    middle = model(nnscratch.tensor(X)).detach().numpy()
    target = middle + np.where(np.arange(64) < 32, 1, -1)[:, None].astype(np.float32)
    assert "zero gradient" not in checkup(model, nn.L1Loss(), X, target, steps=0).kinds()


def test_a_last_layer_of_zeros_is_no_low_learning_rate() -> None:
    model = net()
    nn.init.zeros_(model[2].weight)
    report = checkup(model, CE, X, CLASS, optimizer=optim.Adam(model.parameters(), lr=1e-3))
    assert report.kinds() == {"zero gradient"}


def test_what_cannot_be_examined() -> None:
    with pytest.raises(ConfigurationError, match="takes a module of nnscratch, got builtins"):
        checkup(3, CE, X, CLASS)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"write CrossEntropyLoss\(\)"):
        checkup(net(), nn.CrossEntropyLoss, X, CLASS)
    assert checkup(net(), lambda y, t: 0.5, X, CLASS).kinds() == {"loss is no number"}


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [
        (lambda m: optim.SGD(m.parameters(), lr=100.0), "update ratio"),
        (lambda m: optim.Adam(m.parameters(), lr=1e-9), "update ratio"),
        (lambda m: optim.Adam(m[0].parameters(), lr=1e-3), "not in the optimizer"),
    ],
)
def test_mistakes_of_the_optimizer(optimizer: Any, kind: str) -> None:
    model = net()
    report = checkup(model, CE, X, CLASS, optimizer=optimizer(model), steps=0)
    assert kind in report.kinds(), report


def test_everything_is_left_as_it_was() -> None:
    model = net(nn.Dropout(0.5)).eval()
    step = optim.Adam(model.parameters(), lr=1e-2)
    model(nnscratch.tensor(X)).sum().backward()
    step.step()
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    grads = [p.grad.numpy().copy() for p in model.parameters()]
    nnscratch.manual_seed(9)
    checkup(model, CE, X, CLASS, optimizer=step, steps=20)
    first = nnscratch.rand(2).numpy()
    nnscratch.manual_seed(9)
    assert (nnscratch.rand(2).numpy() == first).all()
    assert not model.training
    assert all((before[k] == v.numpy()).all() for k, v in model.state_dict().items())
    assert all((p.grad.numpy() == g).all() for p, g in zip(model.parameters(), grads, strict=True))


def test_a_step_after_the_check_up_is_the_step_without_it() -> None:
    results = []
    for examined in (False, True):
        model = net()
        step = optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(3):
            step.zero_grad()
            CE(model(nnscratch.tensor(X)), nnscratch.tensor(CLASS)).backward()
            step.step()
            if examined:
                checkup(model, CE, X, CLASS, optimizer=step, steps=3)
        results.append([p.detach().numpy().copy() for p in model.parameters()])
    assert all((a == b).all() for a, b in zip(*results, strict=True))


def test_the_report() -> None:
    report = checkup(net(nn.Softmax(dim=1)), CE, X, CLASS, steps=0)
    assert isinstance(report, CheckupReport)
    assert report.text().startswith("Sequential: 1 faults")
    assert "-> Leave the softmax out" in str(report)
    assert json.loads(report.json())["symptoms"][0]["kind"] == "softmax twice"
