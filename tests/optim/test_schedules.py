"""Schedules as people write and use them for PyTorch, step by step beside it."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.train import Trainer, fit

Library = Any
LIBRARIES = [nnscratch, torch]


def optimizer_of(library: Library, rates: list[Any]) -> Any:
    groups = [{"params": [library.ones(1, requires_grad=True)], "lr": rate} for rate in rates]
    return library.optim.SGD(groups, lr=0.1, momentum=0.9)


def make(library: Library, name: str, optimizer: Any, **options: Any) -> Any:
    """A schedule by name, the subclasses of a user's own among them."""
    kinds = library.optim.lr_scheduler

    class Root(kinds.LRScheduler):
        def get_lr(self) -> list[float]:
            return [base / math.sqrt(self.last_epoch + 1) for base in self.base_lrs]

    class Chained(kinds.LRScheduler):
        def get_lr(self) -> list[float]:
            factor = 1.0 if self.last_epoch == 0 else 0.9
            return [group["lr"] * factor for group in self.optimizer.param_groups]

    class Twice(kinds.StepLR):
        def get_lr(self) -> list[float]:
            return [rate * 1.01 for rate in super().get_lr()]

    class Counting(kinds.ExponentialLR):
        def step(self, *args: Any) -> None:
            self.calls = getattr(self, "calls", 0) + 1
            super().step(*args)

    makers = {
        "step": lambda: kinds.StepLR(optimizer, 3, 0.5, **options),
        "multi": lambda: kinds.MultiStepLR(optimizer, [2, 5, 5], 0.5, **options),
        "exponential": lambda: kinds.ExponentialLR(optimizer, 0.8, **options),
        "constant": lambda: kinds.ConstantLR(optimizer, 0.3, 4, **options),
        "linear": lambda: kinds.LinearLR(optimizer, 0.2, 0.9, 5, **options),
        "cosine": lambda: kinds.CosineAnnealingLR(optimizer, 4, 0.01, **options),
        "lambda": lambda: kinds.LambdaLR(optimizer, lambda t: 0.9**t, **options),
        "multiplicative": lambda: kinds.MultiplicativeLR(optimizer, lambda t: 0.9, **options),
        "polynomial": lambda: kinds.PolynomialLR(optimizer, 5, 2.0, **options),
        "one cycle": lambda: kinds.OneCycleLR(optimizer, 1.0, 30, **options),
        "root": lambda: Root(optimizer, **options),
        "chained": lambda: Chained(optimizer, **options),
        "twice": lambda: Twice(optimizer, 3, **options),
        "counting": lambda: Counting(optimizer, 0.7, **options),
    }
    return makers[name]()


NAMES = ["step", "multi", "exponential", "constant", "linear", "cosine", "lambda",
         "multiplicative", "polynomial", "one cycle", "root", "chained", "twice",
         "counting"]  # fmt: skip


def rates(optimizer: Any, *schedules: Any) -> list[float]:
    found = [float(group["lr"]) for group in optimizer.param_groups]
    return found + [float(rate) for one in schedules for rate in one.get_last_lr()]


def alike(see: Any) -> None:
    """Assert that both libraries have the same rates."""
    mine, its = (see(library) for library in LIBRARIES)
    np.testing.assert_allclose(np.concatenate(mine), np.concatenate(its), rtol=1e-6)


def steps(optimizer: Any, schedule: Any, count: int, seen: list[list[float]]) -> None:
    for _ in range(count):
        optimizer.step()
        schedule.step()
        seen.append(rates(optimizer, schedule))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["number", "tensor", "changed by hand"])
def test_step_by_step(name: str, how: str) -> None:
    def see(library: Library) -> list[list[float]]:
        given: list[Any] = [0.3, 0.7]
        if how == "tensor":
            given = [library.tensor(rate) for rate in given]
        optimizer = optimizer_of(library, given)
        schedule = make(library, name, optimizer)
        seen = [rates(optimizer, schedule)]
        steps(optimizer, schedule, 6, seen)
        if how == "changed by hand":
            optimizer.param_groups[0]["lr"] *= 2.0
            # The rates of the last step are not what somebody has set since.
            seen.append(rates(optimizer, schedule))
        steps(optimizer, schedule, 6, seen)
        return seen

    alike(see)


@pytest.mark.parametrize("name", NAMES)
def test_going_on_from_an_epoch(name: str) -> None:
    def see(library: Library) -> list[list[float]]:
        optimizer = optimizer_of(library, [0.3, 0.7])
        schedule = make(library, name, optimizer)
        seen: list[list[float]] = []
        steps(optimizer, schedule, 4, seen)
        again = optimizer_of(library, [0.1, 0.1])
        again.load_state_dict(optimizer.state_dict())
        schedule = make(library, name, again, last_epoch=schedule.last_epoch)
        seen.append(rates(again, schedule))
        steps(again, schedule, 5, seen)
        return seen

    alike(see)


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.filterwarnings("ignore:scheduler.step")
@pytest.mark.filterwarnings("ignore:Detected call")
@pytest.mark.parametrize("name", NAMES)
def test_steps_to_an_epoch(name: str) -> None:
    def see(library: Library) -> list[list[float]]:
        optimizer = optimizer_of(library, [0.3, 0.7])
        schedule = make(library, name, optimizer)
        seen = []
        for epoch in (3, None, 7, None, 0, 2, None):
            optimizer.step()
            schedule.step() if epoch is None else schedule.step(epoch)
            seen.append(rates(optimizer, schedule))
        return seen

    alike(see)


def test_a_step_to_an_epoch_is_the_way_of_old() -> None:
    schedule = make(nnscratch, "step", optimizer_of(nnscratch, [0.1]))
    with pytest.warns(UserWarning, match="call step\\(\\) once an epoch"):
        schedule.step(3)
    with pytest.warns(UserWarning, match="leave out the epoch"):
        optim.lr_scheduler.ReduceLROnPlateau(schedule.optimizer).step(1.0, epoch=3)


@pytest.mark.parametrize("name", ["step", "multi", "exponential", "constant", "linear", "chained"])
def test_a_group_that_is_added_behind_a_schedule(name: str) -> None:
    def see(library: Library) -> list[list[float]]:
        optimizer = optimizer_of(library, [0.3])
        schedule = make(library, name, optimizer)
        seen: list[list[float]] = []
        steps(optimizer, schedule, 3, seen)
        optimizer.add_param_group({"params": [library.ones(1, requires_grad=True)], "lr": 0.9})
        steps(optimizer, schedule, 6, seen)
        return seen

    alike(see)


@pytest.mark.parametrize("name", ["lambda", "one cycle", "root"])
def test_schedules_that_cannot_know_a_later_group(name: str) -> None:
    optimizer = optimizer_of(nnscratch, [0.3])
    schedule = make(nnscratch, name, optimizer)
    optimizer.add_param_group({"params": [nnscratch.ones(1, requires_grad=True)]})
    with pytest.raises(ConfigurationError, match=r"added|rates for 2 groups"):
        schedule.step()


def plateau(library: Library, **options: Any) -> list[list[float]]:
    optimizer = optimizer_of(library, [0.3, 0.7])
    kinds = library.optim.lr_scheduler

    class Mine(kinds.ReduceLROnPlateau):
        def step(self, metrics: Any, *args: Any) -> None:
            super().step(metrics * 1.0, *args)

    schedule = Mine(optimizer, factor=0.5, patience=1, **options)
    numbers, seen = random.Random(1), []
    for n in range(20):
        schedule.step(numbers.choice([1.0, 0.5, 2.0, math.nan, math.inf]))
        seen.append(rates(optimizer, schedule))
        if n == 9 and not isinstance(options.get("min_lr"), list):
            optimizer.add_param_group({"params": [library.ones(1, requires_grad=True)], "lr": 0.9})
    return seen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_lr": 0.1},
        {"min_lr": [0.1, 0.2]},
        {"mode": "max", "threshold": 0.2},
        {"threshold_mode": "abs", "cooldown": 2},
        {"eps": 0.06},
    ],
)
def test_plateaus_and_their_subclasses(options: dict[str, Any]) -> None:
    alike(lambda library: plateau(library, **options))


def test_plateaus_of_groups_that_are_not_known() -> None:
    optimizer = optimizer_of(nnscratch, [0.3])
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1])
    optimizer.add_param_group({"params": [nnscratch.ones(1, requires_grad=True)]})
    schedule.step(1.0)
    with pytest.raises(ConfigurationError, match=r"set scheduler\.min_lrs"):
        schedule.step(1.0)
    with pytest.raises(ConfigurationError, match="needs an optimizer"):
        optim.lr_scheduler.ReduceLROnPlateau([0.1])  # type: ignore[arg-type]
    for kind in (optim.lr_scheduler.ReduceLROnPlateau, optim.lr_scheduler.SequentialLR):
        assert issubclass(kind, optim.lr_scheduler.LRScheduler)


@pytest.mark.parametrize("second", NAMES)
@pytest.mark.parametrize("first", ["linear", "chained", "lambda", "multiplicative", "polynomial"])
def test_one_after_another(first: str, second: str) -> None:
    def see(library: Library) -> list[list[float]]:
        optimizer = optimizer_of(library, [0.3, 0.7])
        parts = [make(library, first, optimizer), make(library, second, optimizer)]
        schedule = library.optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[4])
        seen = [rates(optimizer, schedule)]
        steps(optimizer, schedule, 12, seen)
        return seen

    alike(see)


def test_two_at_once() -> None:
    def see(library: Library) -> list[list[float]]:
        optimizer = optimizer_of(library, [0.3, 0.7])
        one, two = make(library, "linear", optimizer), make(library, "exponential", optimizer)
        seen = []
        for _ in range(8):
            optimizer.step()
            one.step()
            two.step()
            seen.append(rates(optimizer, one, two))
        return seen

    alike(see)


@pytest.mark.parametrize("name", NAMES)
def test_states_go_through_json(name: str) -> None:
    optimizer = optimizer_of(nnscratch, [0.3, 0.7])
    schedule = make(nnscratch, name, optimizer)
    steps(optimizer, schedule, 5, [])
    state = json.loads(json.dumps(schedule.state_dict()))
    kept = optimizer.state_dict()
    again = optimizer_of(nnscratch, [0.1, 0.1])
    other = make(nnscratch, name, again)
    again.load_state_dict(kept)
    other.load_state_dict(state)
    expected: list[list[float]] = []
    found: list[list[float]] = []
    steps(optimizer, schedule, 5, expected)
    steps(again, other, 5, found)
    assert found == expected


class Decay:
    """A function of t that remembers something, as PyTorch saves it."""

    def __init__(self) -> None:
        self.calls, self.seen = 0, (1, 2)

    def __call__(self, t: int) -> float:
        self.calls += 1
        return 1.0 / (t + self.calls)


def test_functions_with_attributes_are_saved() -> None:
    optimizer = optimizer_of(nnscratch, [0.3])
    schedule = optim.lr_scheduler.LambdaLR(optimizer, Decay())
    steps(optimizer, schedule, 3, [])
    state = json.loads(json.dumps(schedule.state_dict()))
    assert state["lr_lambdas"] == [{"calls": 4, "seen": [1, 2]}]
    other = optim.lr_scheduler.LambdaLR(optimizer_of(nnscratch, [0.3]), Decay())
    other.load_state_dict(state)
    assert other.lr_lambdas[0].calls == 4
    assert other.lr_lambdas[0].seen == (1, 2)
    with pytest.raises(CheckpointError, match="2 functions"):
        optim.lr_scheduler.LambdaLR(optimizer_of(nnscratch, [0.1, 0.1]), Decay()).load_state_dict(
            state
        )


# In fit.


class Bare:
    """A scheduler of a user's own: it has a step, and is derived from nothing."""

    def __init__(self, optimizer: Any) -> None:
        self.groups, self.n = optimizer.param_groups, 0

    def step(self) -> None:
        self.n += 1
        for group in self.groups:
            group["lr"] = 0.1 / (self.n + 1)


class Wrapping:
    """A warm-up in front of another schedule, as one finds it on GitHub."""

    def __init__(self, optimizer: Any) -> None:
        self.opt, self.n = optimizer, np.int64(0)
        self.after = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def step(self) -> None:
        self.n += 1
        if self.n > 1:
            self.after.step()


class Noisy(optim.lr_scheduler.LRScheduler):
    def get_lr(self) -> list[Any]:
        self.late = self.last_epoch > 0
        return [np.float64(base) / (self.last_epoch + 1) for base in self.base_lrs]


X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
SCHEDULERS: list[Any] = [
    Bare,
    Wrapping,
    Noisy,
    lambda o: optim.lr_scheduler.LambdaLR(o, lambda t: 0.5**t),
    lambda o: type("Mine", (optim.lr_scheduler.ReduceLROnPlateau,), {})(
        o, patience=0, threshold=9.0
    ),
    lambda o: type("Mine", (optim.lr_scheduler.StepLR,), {})(o, 1, 0.5),
    lambda o: optim.lr_scheduler.SequentialLR(
        o, [optim.lr_scheduler.ConstantLR(o), optim.lr_scheduler.ExponentialLR(o, 0.5)], [2]
    ),
]


@pytest.mark.parametrize("every", ["epoch", "batch"])
@pytest.mark.parametrize("number", range(len(SCHEDULERS)))
def test_schedulers_of_a_users_own_train_and_resume(number: int, every: str, tmp_path: Any) -> None:
    def trainer(**options: Any) -> Trainer:
        nnscratch.manual_seed(1)
        return Trainer(
            nn.Linear(3, 1), optimizer="sgd", lr=0.1, scheduler=SCHEDULERS[number],
            schedule_every=every, **options,
        )  # fmt: skip

    whole = trainer()
    whole.fit((X, Y), 5, batch_size=8)
    trainer(run_dir=tmp_path / "run").fit((X, Y), 3, batch_size=8)
    resumed = trainer(run_dir=tmp_path / "run")
    resumed.fit((X, Y), 5, batch_size=8, resume=True)
    assert [r["lr"] for r in resumed.history.rows] == [r["lr"] for r in whole.history.rows]
    assert len({r["lr"] for r in whole.history.rows}) > 1
    assert resumed.model.weight.tolist() == whole.model.weight.tolist()


def test_a_scheduler_of_another_optimizer_is_refused() -> None:
    schedule = optim.lr_scheduler.StepLR(optimizer_of(nnscratch, [0.1]), 1)
    with pytest.raises(ConfigurationError, match="another optimizer"):
        fit(nn.Linear(3, 1), (X, Y), epochs=1, scheduler=schedule)
