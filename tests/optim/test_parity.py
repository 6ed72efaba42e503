"""Fifty steps of every optimizer, and every schedule, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, ours, theirs

import nnscratch
from nnscratch import optim

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.05}),
    "sgd, momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "sgd, everything": (
        "SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}
    ),
    "sgd, nesterov": ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    "sgd, uphill": ("SGD", {"lr": 0.001, "momentum": 0.5, "maximize": True}),
    "adam": ("Adam", {"lr": 0.05}),
    "adam, everything": (
        "Adam",
        {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-4, "weight_decay": 0.1, "amsgrad": True},
    ),
    "adam, uphill": ("Adam", {"maximize": True}),
    "adamw": ("AdamW", {"lr": 0.05}),
    "adamw, amsgrad": ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
    "rmsprop": ("RMSprop", {"lr": 0.01}),
    "rmsprop, everything": (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "momentum": 0.7, "centered": True, "weight_decay": 0.1},
    ),
    "rmsprop, centered": ("RMSprop", {"centered": True}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad, everything": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5},
    ),
    "adadelta": ("Adadelta", {}),
    "adadelta, everything": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    "nadam": ("NAdam", {"lr": 0.01}),
    "nadam, everything": (
        "NAdam", {"lr": 0.01, "betas": (0.8, 0.99), "momentum_decay": 0.1, "weight_decay": 0.1}
    ),
    "nadam, decoupled": ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
}  # fmt: skip
SHAPES = [(3, 4), (4,), (2, 2, 2), ()]


def start(dtype: str, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape), dtype) for shape in SHAPES]


def loss_of(lib: Any, params: Any, step: int) -> Any:
    """Something whose minimum moves, so that no gradient dies out."""
    w, b, cube, scale = params
    target = 1.0 + 0.5 * np.sin(step)
    return ((w.sum(0) * b - target) ** 2).mean() + (
        (cube * scale + b[0]).tanh() - 0.3
    ).square().sum()


def run(lib: Any, make: Any, kind: str, options: dict[str, Any], dtype: str, steps: int) -> Any:
    params = [make(array, True) for array in start(dtype)]
    optimizer = getattr(lib.optim, kind)(params, **options)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(lib, params, step)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return params, losses, optimizer


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps(name: str, dtype: str) -> None:
    kind, options = OPTIMIZERS[name]
    try:
        # NAdam keeps one number of its state in the default dtype.
        torch.set_default_dtype(getattr(torch, dtype))
        its, its_losses, its_optimizer = run(torch, theirs, kind, options, dtype, 50)
    finally:
        torch.set_default_dtype(torch.float32)
    mine, losses, optimizer = run(nnscratch, ours, kind, options, dtype, 50)
    # Fifty roundings in a row: ten times the tolerance of one.
    for p, q, shape in zip(mine, its, SHAPES, strict=True):
        assert_same(p, q, f"parameter {shape}", times=10.0)
    np.testing.assert_allclose(losses, its_losses, 1e-4 if dtype == "float32" else 1e-6)
    state, expected = optimizer.state_dict()["state"], its_optimizer.state_dict()["state"]
    assert set(state) >= set(expected)
    for index, entry in expected.items():
        for key, value in entry.items():
            if key in ("step", "mu_product"):
                assert abs(float(state[index][key]) - float(value)) < 1e-5
            elif value is not None:
                assert_same(state[index][key], value, f"{key} of {index}", times=10.0)


def test_every_default_is_that_of_pytorch() -> None:
    for kind in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam"):
        mine = getattr(optim, kind)([ours([1.0], True)]).defaults
        its = getattr(torch.optim, kind)([theirs([1.0], True)]).defaults
        for key, value in mine.items():
            assert its[key] == value, f"{kind}: {key}"
        rest = set(its) - set(mine) - {"decoupled_weight_decay"}
        assert rest <= {"foreach", "capturable", "differentiable", "fused"}, kind


@pytest.mark.parametrize("name", ["sgd, everything", "adam, everything", "nadam", "rmsprop"])
def test_groups_and_parameters_that_come_and_go(name: str) -> None:
    """A group with its own rate, a frozen parameter, one that has a gradient every third step."""
    kind, options = OPTIMIZERS[name]
    results = []
    for lib, make in ((nnscratch, ours), (torch, theirs)):
        params = [make(array, True) for array in start("float64")]
        groups = [
            {"params": params[:2]},
            {"params": params[2:3], "lr": 0.003, "weight_decay": 0.2},
        ]
        optimizer = getattr(lib.optim, kind)(groups, **options)
        optimizer.add_param_group({"params": params[3]})
        params[1].requires_grad_(False)
        for step in range(12):
            optimizer.zero_grad()
            loss = loss_of(lib, params, step)
            if step % 3:
                loss = (params[0] * params[2].sum() - 1.0).square().mean()
            loss.backward()
            if step == 6:
                optimizer.param_groups[0]["lr"] = 0.02
            optimizer.step()
        results.append(params)
    for p, q in zip(*results, strict=True):
        assert_same(p, q, times=4.0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_going_on_from_a_saved_state_is_bit_for_bit_the_same(name: str) -> None:
    kind, options = OPTIMIZERS[name]
    params, _, optimizer = run(nnscratch, ours, kind, options, "float32", 7)
    twins = [nnscratch.tensor(p.detach(), requires_grad=True) for p in params]
    other = getattr(optim, kind)(twins)
    if other.state_names(other.param_groups[0]) != optimizer.state_names(optimizer.param_groups[0]):
        other = getattr(optim, kind)(twins, **options)
    other.load_state_dict(optimizer.state_dict())
    assert repr(other) == repr(optimizer)
    for chosen, stepping in ((params, optimizer), (twins, other)):
        for step in range(5):
            stepping.zero_grad()
            loss_of(nnscratch, chosen, step).backward()
            stepping.step()
    for p, q in zip(params, twins, strict=True):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())


SCHEDULES: dict[str, Any] = {
    "step": lambda s, o: s.StepLR(o, 3, gamma=0.5),
    "multi-step": lambda s, o: s.MultiStepLR(o, [7, 2, 2, 15], gamma=0.3),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, T_max=10, eta_min=0.01),
    "cosine, up again": lambda s, o: s.CosineAnnealingLR(o, 5),
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 1.0 / (1.0 + t)),
    "lambdas": lambda s, o: s.LambdaLR(o, [lambda t: 0.9**t, lambda t: float(t + 1)]),
    "multiplied": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.95 + 0.01 * t),
    "multiplied, each": lambda s, o: s.MultiplicativeLR(o, [lambda t: 0.9, lambda t: 1.1]),
    "polynomial": lambda s, o: s.PolynomialLR(o, 9, 2.0),
    "polynomial, line": lambda s, o: s.PolynomialLR(o),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.5, 3, 4),
    "cyclic, halved": lambda s, o: s.CyclicLR(
        o, [0.01, 0.1], [0.5, 0.2], 4, mode="triangular2", base_momentum=0.7, max_momentum=0.8
    ),
    "cyclic, falling": lambda s, o: s.CyclicLR(
        o, 0.01, 0.5, 3, mode="exp_range", gamma=0.9, cycle_momentum=False
    ),
    "cyclic, own heights": lambda s, o: s.CyclicLR(
        o, 0.01, 0.5, 3, scale_fn=lambda x: 1.0 / (1.0 + x), scale_mode="iterations"
    ),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, 2, eta_min=0.01),
    "restarts, even": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5),
    "at once": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)]
    ),
    "one after another, restarts": lambda s, o: s.SequentialLR(
        o, [s.PolynomialLR(o, 4), s.CosineAnnealingWarmRestarts(o, 6)], milestones=[4]
    ),
    "constant": lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=6),
    "linear": lambda s, o: s.LinearLR(o),
    "linear, down": lambda s, o: s.LinearLR(o, 1.0, 0.1, total_iters=12),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=25),
    "one cycle, lines": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.1], epochs=5, steps_per_epoch=6, anneal_strategy="linear", pct_start=0.2,
        base_momentum=0.7, max_momentum=[0.9, 0.8], div_factor=10.0, final_div_factor=100.0
    ),
    "one cycle, three phases": lambda s, o: s.OneCycleLR(o, 0.5, 30, three_phase=True),
    "one cycle, momentum stays": lambda s, o: s.OneCycleLR(o, 0.5, 30, cycle_momentum=False),
    "one after another": lambda s, o: s.SequentialLR(
        o,
        [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 8), s.ExponentialLR(o, 0.5)],
        milestones=[4, 14],
    ),
    "one after another, factors": lambda s, o: s.SequentialLR(
        o,
        [s.ConstantLR(o, 0.5, 3), s.StepLR(o, 2, 0.5), s.LambdaLR(o, lambda t: 0.8**t)],
        milestones=[5, 12],
    ),
}  # fmt: skip


def two_groups(lib: Any, make: Any, kind: str) -> Any:
    params = [make([1.0], True), make([2.0], True)]
    options = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.3}]
    optimizer = getattr(lib.optim, kind)(groups, lr=0.2, **options)
    for p in params:
        p.grad = make([0.1])
    return optimizer


def settings(optimizer: Any) -> list[float]:
    found = []
    for group in optimizer.param_groups:
        found += [group["lr"], group.get("momentum", 0.0), *group.get("betas", ())]
    return found


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str, kind: str) -> None:
    mine, its = two_groups(nnscratch, ours, kind), two_groups(torch, theirs, kind)
    a = SCHEDULES[name](optim.lr_scheduler, mine)
    b = SCHEDULES[name](torch.optim.lr_scheduler, its)
    for step in range(24):
        assert settings(mine) == pytest.approx(settings(its), rel=1e-12, abs=1e-15), step
        assert a.get_last_lr() == pytest.approx(b.get_last_lr(), rel=1e-12, abs=1e-15)
        assert getattr(a, "last_epoch", None) == getattr(b, "last_epoch", None)
        for optimizer, schedule in ((mine, a), (its, b)):
            optimizer.step()
            schedule.step()


def test_two_schedules_at_once() -> None:
    mine, its = two_groups(nnscratch, ours, "SGD"), two_groups(torch, theirs, "SGD")
    both = [
        (optimizer, [s.ExponentialLR(optimizer, 0.9), s.StepLR(optimizer, 4)])
        for optimizer, s in ((mine, optim.lr_scheduler), (its, torch.optim.lr_scheduler))
    ]
    for _ in range(10):
        for optimizer, schedules in both:
            optimizer.step()
            for schedule in schedules:
                schedule.step()
        assert settings(mine) == pytest.approx(settings(its), rel=1e-12)


PLATEAUS: dict[str, dict[str, Any]] = {
    "usual": {"patience": 2},
    "at once": {"patience": 0, "factor": 0.5},
    "highest": {"mode": "max", "patience": 1},
    "absolute": {"threshold_mode": "abs", "threshold": 0.3, "patience": 1},
    "highest, absolute": {"mode": "max", "threshold_mode": "abs", "patience": 1},
    "cooldown": {"patience": 1, "cooldown": 3},
    "lowest rates": {"patience": 0, "min_lr": [0.01, 0.2]},
    "no small changes": {"patience": 0, "eps": 0.05},
}


@pytest.mark.parametrize("name", PLATEAUS)
def test_plateaus(name: str) -> None:
    metrics = [
        3.0,
        2.0,
        2.1,
        2.0,
        2.2,
        1.9999,
        1.5,
        1.5,
        1.5,
        1.6,
        1.4,
        5.0,
        4.0,
        4.0,
        4.0,
        0.1,
        0.2,
    ]
    mine, its = two_groups(nnscratch, ours, "SGD"), two_groups(torch, theirs, "SGD")
    a = optim.lr_scheduler.ReduceLROnPlateau(mine, **PLATEAUS[name])
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(its, **PLATEAUS[name])
    for metric in [*metrics, float("nan"), *metrics]:
        a.step(nnscratch.tensor(metric))
        b.step(torch.tensor(metric))
        assert settings(mine) == pytest.approx(settings(its), rel=1e-12)
        assert (a.best, a.num_bad_epochs) == (b.best, b.num_bad_epochs)
    assert a.get_last_lr() == pytest.approx(b.get_last_lr())
