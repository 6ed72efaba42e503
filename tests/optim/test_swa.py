"""Averaged weights, the rates for them, and schedules that go to an epoch, against PyTorch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, ours, theirs

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import CheckpointError, ConfigurationError


def models() -> tuple[Any, Any]:
    mine = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    its = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    return mine, its


AVERAGES = {
    "all the same": lambda s: {},
    "moving": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.9)},
    "moving, one by one": lambda s: {"avg_fn": s.get_ema_avg_fn(0.8), "use_buffers": True},
    "all the same, lists": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    "own": lambda s: {"avg_fn": lambda mean, p, n: mean * 0.5 + p * 0.5},
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averages(name: str) -> None:
    mine, its = models()
    a = optim.swa_utils.AveragedModel(mine, **AVERAGES[name](optim.swa_utils))
    b = torch.optim.swa_utils.AveragedModel(its, **AVERAGES[name](torch.optim.swa_utils))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    for _ in range(4):
        for (_, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
            new = rng.normal(size=p.shape).astype(np.float32)
            nnscratch.no_grad()(p.copy_)(ours(new))
            torch.no_grad()(q.copy_)(theirs(new))
        mine(ours(x))
        its(theirs(x))
        a.update_parameters(mine)
        b.update_parameters(its)
    assert list(a.state_dict()) == list(b.state_dict())
    for key, value in b.state_dict().items():
        assert_same(a.state_dict()[key], value, key, times=4.0)
    loader = [rng.normal(size=(6, 3)).astype(np.float32) for _ in range(3)]
    optim.swa_utils.update_bn([(ours(one), None) for one in loader], a)
    torch.optim.swa_utils.update_bn([(theirs(one), None) for one in loader], b)
    for part in ("running_mean", "running_var"):
        assert_same(getattr(a.module[1], part), getattr(b.module[1], part), part, times=4.0)
    assert a.module[1].momentum == 0.1
    assert_same(a.eval()(ours(x)).detach(), b.eval()(theirs(x)).detach(), times=8.0)


@pytest.mark.parametrize("momentum", [1, None, 0.5])
def test_statistics_are_computed_anew(momentum: Any) -> None:
    mine, its = models()
    mine[1].momentum = its[1].momentum = momentum
    rng = np.random.default_rng(0)
    loader = [rng.normal(2.0, size=(6, 3)).astype(np.float32) for _ in range(3)]
    optim.swa_utils.update_bn([ours(one) for one in loader], mine)
    torch.optim.swa_utils.update_bn([theirs(one) for one in loader], its)
    for part in ("running_mean", "running_var"):
        assert_same(getattr(mine[1], part), getattr(its[1], part), part, times=4.0)
    assert mine[1].momentum == momentum


def test_what_makes_no_sense() -> None:
    swa = optim.swa_utils
    with pytest.raises(ConfigurationError, match="not both"):
        swa.AveragedModel(nn.Linear(1, 1), avg_fn=max, multi_avg_fn=max)
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        swa.get_ema_avg_fn(1.5)
    sgd = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    schedules = optim.lr_scheduler
    for wrong, match in (
        (lambda: swa.SWALR(sgd, 0.1, anneal_strategy="own"), "anneal_strategy is"),
        (lambda: swa.SWALR(sgd, [0.1, 0.2]), "2 values for 1 groups"),
        (lambda: schedules.CyclicLR(sgd, 0.1, 0.2, mode="own"), "mode is one of"),
        (
            lambda: schedules.CyclicLR(optim.Adagrad(nn.Linear(1, 1).parameters()), 0.1, 0.2),
            "say cycle_momentum=False",
        ),
        (lambda: schedules.CosineAnnealingWarmRestarts(sgd, 0), "from 1 on"),
        (lambda: schedules.CosineAnnealingWarmRestarts(sgd, 3).step(-1), "negative"),
        (lambda: schedules.ChainedScheduler([]), "at least one"),
        (lambda: schedules.ChainedScheduler([schedules.ReduceLROnPlateau(sgd)]), "no metric"),
        (lambda: schedules.PolynomialLR(sgd, 0), "at least 1"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            wrong()
    both = schedules.ChainedScheduler([schedules.StepLR(sgd, 2)])
    with pytest.raises(CheckpointError, match="schedules at once"):
        both.load_state_dict({})


@pytest.mark.parametrize("options", [{}, {"anneal_strategy": "linear", "anneal_epochs": 3},
                                     {"anneal_epochs": 0}])  # fmt: skip
def test_the_rate_for_averaging(options: dict[str, Any]) -> None:
    rates = []
    for library, make in ((nnscratch, ours), (torch, theirs)):
        groups = [{"params": [make([1.0], True)]}, {"params": [make([2.0], True)], "lr": 0.3}]
        sgd = library.optim.SGD(groups, lr=0.1)
        before = library.optim.lr_scheduler.ExponentialLR(sgd, 0.9)
        swa = library.optim.swa_utils.SWALR(sgd, [0.05, 0.01], **options)
        seen = []
        for step in range(14):
            sgd.step()
            (before if step < 4 else swa).step()
            seen.append([group["lr"] for group in sgd.param_groups])
        rates.append(seen)
    np.testing.assert_allclose(rates[0], rates[1], 1e-12)


def test_restarts_at_an_epoch_and_going_on() -> None:
    made = []
    for library, make in ((nnscratch, ours), (torch, theirs)):
        sgd = library.optim.SGD([make([1.0], True)], lr=0.1)
        schedule = library.optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, 3, 2)
        seen = []
        for epoch in (0.5, 1.25, 3.0, 7.5, 22, None, None, 2, None):
            sgd.step()
            schedule.step(epoch)
            seen.append((sgd.param_groups[0]["lr"], schedule.last_epoch))
        made.append(seen)
    np.testing.assert_allclose(made[0], made[1], 1e-12)


KINDS = {
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.5, 3, mode="triangular2"),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, 2),
    "polynomial": lambda s, o: s.PolynomialLR(o, 9, 2.0),
    "multiplied": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.9),
    "chained": lambda s, o: s.ChainedScheduler([s.ExponentialLR(o, 0.9), s.StepLR(o, 2)]),
}


@pytest.mark.parametrize("name", KINDS)
def test_state_and_compiled_steps(name: str) -> None:
    def build() -> Any:
        nnscratch.manual_seed(0)
        model = nn.Linear(3, 2)
        sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        schedule = KINDS[name](optim.lr_scheduler, sgd)

        def step(x: Any) -> Any:
            sgd.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            sgd.step()
            schedule.step()
            return loss

        return step, sgd, schedule

    (eager, one, schedule), (other, two, _) = build(), build()
    compiled = nnscratch.compile(other)
    x = nnscratch.ones(4, 3)
    for _ in range(7):
        np.testing.assert_allclose(compiled(x).item(), eager(x).item(), 1e-5, 1e-8)
        assert one.param_groups[0]["lr"] == two.param_groups[0]["lr"]
    state = json.loads(json.dumps(schedule.state_dict()))
    _, third, again = build()
    third.load_state_dict(one.state_dict())
    again.load_state_dict(state)
    for _ in range(5):
        schedule.step()
        again.step()
        assert one.param_groups[0]["lr"] == pytest.approx(third.param_groups[0]["lr"], rel=1e-12)
