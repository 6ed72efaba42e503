"""Optimizers are called, and written, as for PyTorch."""

from __future__ import annotations

import inspect
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, ours, theirs

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.train import Trainer, fit

KINDS = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam"]
X = np.random.default_rng(0).normal(size=(6, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_are_those_of_pytorch(kind: str) -> None:
    mine, its = (inspect.signature(getattr(o, kind)).parameters for o in (optim, torch.optim))
    assert list(mine) == list(its)
    for name in its:
        assert mine[name].kind == its[name].kind, name


@pytest.mark.parametrize("kind", KINDS)
def test_switches_between_implementations_change_nothing(kind: str) -> None:
    names = inspect.signature(getattr(optim, kind)).parameters
    switches = [{"foreach": True}, {"foreach": False}, {"capturable": True}, {"fused": True}]
    runs = []
    for given in ({}, *switches):
        if not set(given) <= set(names):
            continue
        p = ours(X, True)
        optimizer = getattr(optim, kind)([p], **given)
        for _ in range(3):
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
        runs.append(p.tolist())
    assert all(run == runs[0] for run in runs)
    with pytest.raises(ConfigurationError, match="not there"):
        getattr(optim, kind)([ours(X, True)], differentiable=True)
    if "fused" in names:
        with pytest.raises(ConfigurationError, match="choose one"):
            getattr(optim, kind)([ours(X, True)], foreach=True, fused=True)


def run(library: Any, kind: str, convert: Any, lr: Any, **options: Any) -> list[Any]:
    """Some steps, with a rate that is changed in the middle."""
    p = convert(X, True)
    optimizer = getattr(library.optim, kind)([p], lr=lr, **options)
    found = []
    for n in range(6):
        optimizer.zero_grad()
        (p * p * p).sum().backward()
        optimizer.step()
        if n == 2:
            optimizer.param_groups[0]["lr"] *= 0.5
        found.append(p.detach().clone())
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_that_is_a_tensor(kind: str) -> None:
    mine = run(nnscratch, kind, ours, nnscratch.tensor(0.05))
    its = run(torch, kind, theirs, torch.tensor(0.05))
    for one, other in zip(mine, its, strict=True):
        assert_same(one, other, times=10.0)


def test_a_rate_that_is_a_tensor_is_changed_in_place() -> None:
    for library in (nnscratch, torch):
        lr, p = library.tensor(0.5), library.ones(2, requires_grad=True)
        optimizer = library.optim.SGD([p], lr=lr)
        scheduler = library.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        p.sum().backward()
        optimizer.step()
        scheduler.step()
        assert lr.item() == 0.25
        optimizer.step()
        assert p.tolist() == [0.25, 0.25]
        state = optimizer.state_dict()
        lr.fill_(0.1)
        state["param_groups"][0]["lr"] = 0.125
        optimizer.load_state_dict(state)
        assert math.isclose(float(optimizer.param_groups[0]["lr"]), 0.125)


def test_a_rate_that_is_a_tensor_in_a_compiled_step() -> None:
    lr, p = nnscratch.tensor(0.5), nnscratch.zeros(1, requires_grad=True)
    optimizer = optim.SGD([p], lr=lr)

    def step() -> None:
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()

    compiled = nnscratch.compile(step)
    for n in range(4):
        lr.fill_(float(n))
        compiled()
    assert p.tolist() == [-6.0]


def test_adam_with_decoupled_decay_is_adamw() -> None:
    mine = run(nnscratch, "Adam", ours, 0.1, weight_decay=0.3, decoupled_weight_decay=True)
    its = run(torch, "AdamW", theirs, 0.1, weight_decay=0.3)
    for one, other in zip(mine, its, strict=True):
        assert_same(one, other, times=10.0)


def test_a_closure_runs_with_gradients() -> None:
    for library in (nnscratch, torch):
        p = library.ones(1, requires_grad=True)
        optimizer = library.optim.SGD([p], lr=0.5)

        def closure(p: Any = p, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        with library.no_grad():
            assert optimizer.step(closure).item() == 1.0
        assert p.tolist() == [0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_beside_a_parameter(kind: str) -> None:
    def see(library: Any, convert: Any) -> Any:
        p, q = convert(X, True), convert(X, True)
        options = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
        optimizer = getattr(library.optim, kind)([p, q], **options)
        before = {name for entry in optimizer.state.values() for name in entry} - {"step", "sum"}
        (p * p).sum().backward()
        optimizer.step()
        entry = optimizer.state[p]
        arrays = {k: v for k, v in entry.items() if getattr(v, "shape", ()) != ()}
        return before, dict(optimizer.state[q]) if kind != "Adagrad" else {}, arrays

    (_, empty, mine), (_, its_empty, its) = see(nnscratch, ours), see(torch, theirs)
    assert empty == its_empty == {}
    assert mine.keys() == its.keys()
    for name, value in its.items():
        assert_same(mine[name], value, name, times=4.0)


def test_the_state_is_shared_and_begins_anew() -> None:
    p = nnscratch.ones(2, requires_grad=True)
    optimizer = optim.Adam([p], lr=0.1)
    p.sum().backward()
    optimizer.step()
    assert optimizer.state[p]["step"] == 1
    optimizer.state[p]["exp_avg"].zero_()
    assert optimizer.state_dict()["state"][0]["exp_avg"].tolist() == [0.0, 0.0]
    with pytest.raises(ConfigurationError, match=r"state\[p\]\['exp_avg'\].copy_"):
        optimizer.state[p]["exp_avg"] = p
    with pytest.raises(ConfigurationError, match="load_state_dict"):
        optimizer.state = {p: {"step": 3}}
    optimizer.state = {}
    assert len(optimizer.state) == 0
    other = nnscratch.tensor(p.tolist(), requires_grad=True)
    fresh = optim.Adam([other], lr=0.1)
    other.sum().backward()
    fresh.step(), optimizer.step()
    assert p.tolist() == other.tolist()


@pytest.mark.parametrize("kind", ["Adafactor", "SparseAdam", "Muon"])
@pytest.mark.parametrize("way", ["assigned", "cleared"])
def test_the_state_of_whole_parameters_begins_anew(kind: str, way: str) -> None:
    def grow(p: Any, optimizer: Any, times: float) -> None:
        optimizer.zero_grad()
        (p * p * times).sum().backward()
        optimizer.step()

    p = nnscratch.tensor([[1.0, 2.0], [3.0, -1.0]], requires_grad=True)
    optimizer = getattr(optim, kind)([p], lr=0.1)
    grow(p, optimizer, 1.0)
    grow(p, optimizer, -3.0)
    saved = optimizer.state_dict()["state"][0]
    held = {k: v.tolist() for k, v in saved.items() if k != "step"}
    assert all(np.any(value) for value in held.values())
    if way == "assigned":
        optimizer.state = {}
    else:
        optimizer.state.clear()
    assert len(optimizer.state) == 0
    other = nnscratch.tensor(p.tolist(), requires_grad=True)
    fresh = getattr(optim, kind)([other], lr=0.1)
    for times in (1.0, 2.0):
        grow(p, optimizer, times)
        grow(other, fresh, times)
    assert p.tolist() == other.tolist()
    assert {k: v.tolist() for k, v in saved.items() if k != "step"} == held
    with pytest.raises(ConfigurationError, match="load_state_dict"):
        optimizer.state = {p: {"step": 3}}


@pytest.mark.parametrize("compile", [False, True])
def test_the_first_size_of_rprop_is_the_rate_before_the_first_step(compile: bool) -> None:
    def run(lib: Any, value: Any, wrap: Any) -> Any:
        p = value
        optimizer = lib.optim.Rprop([p], lr=0.1)
        schedule = lib.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1)

        @wrap
        def step() -> None:
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()

        for _ in range(3):
            step()
            schedule.step()
        return p.detach()

    mine = run(
        nnscratch, ours([1.0, -2.0], True), nnscratch.compile if compile else (lambda step: step)
    )
    its = run(torch, theirs([1.0, -2.0], True), lambda step: step)
    assert_same(mine, its, times=4.0)


def test_an_empty_state_beside_a_parameter_is_loaded() -> None:
    p, q = (nnscratch.ones(2, 2).requires_grad_() for _ in range(2))
    optimizer, other = optim.Adafactor([p]), optim.Adafactor([q])
    p.sum().backward()
    optimizer.step()
    optimizer.load_state_dict({**other.state_dict(), "state": {0: {}}})
    assert not optimizer.state.get(p)


def test_which_optimizers_are_chosen_by_name() -> None:
    assert "adafactor" in optim.Optimizer.kinds
    assert not {"muon", "sparseadam", "lbfgs"} & set(optim.Optimizer.kinds)


def test_a_state_of_pytorch_is_taken() -> None:
    for kind, options in (("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}), ("RMSprop", {})):
        p, q = ours(X, True), theirs(X, True)
        mine = getattr(optim, kind)([p], lr=0.1, **options)
        its = getattr(torch.optim, kind)([q], lr=0.1, **options)
        (q * q).sum().backward()
        its.step()
        state = its.state_dict()
        converted = {
            index: {k: v if v is None else ours(v.numpy()) for k, v in entry.items()}
            for index, entry in state["state"].items()
        }
        p.data.copy_(q.detach().numpy())
        mine.load_state_dict({"state": converted, "param_groups": state["param_groups"]})
        for x, optimizer in ((p, mine), (q, its)):
            optimizer.zero_grad()
            (x * x).sum().backward()
            optimizer.step()
        assert_same(p.detach(), q.detach(), kind, times=4.0)


# Optimizers that are written by hand.


def by_hand(library: Any) -> Any:
    class Hand(library.optim.Optimizer):
        """SGD with momentum and a warm-up, as in many a notebook."""

        def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.9) -> None:
            super().__init__(params, {"lr": lr, "momentum": momentum})

        @library.no_grad()
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    if len(state) == 0:
                        state["step"] = 0
                        state["buffer"] = library.zeros_like(p)
                    state["step"] += 1
                    state["buffer"].mul_(group["momentum"]).add_(p.grad)
                    p.add_(state["buffer"], alpha=-group["lr"] / state["step"])

    return Hand


def test_an_optimizer_written_by_hand() -> None:
    def see(library: Any, convert: Any) -> Any:
        p, q = convert(X, True), convert(X[:2], True)
        optimizer = by_hand(library)([{"params": [p]}, {"params": [q], "lr": 0.05}])
        scheduler = library.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        for n in range(5):
            optimizer.zero_grad()
            (p * p).sum().backward()
            if n % 2:
                (q * q * q).sum().backward()
            optimizer.step()
            scheduler.step()
            if n == 2:
                state = optimizer.state_dict()
                assert list(state["state"]) == [0, 1]
                optimizer = by_hand(library)([{"params": [p]}, {"params": [q], "lr": 0.05}])
                optimizer.load_state_dict(state)
                scheduler.optimizer = optimizer
        return p.detach(), q.detach()

    for one, other in zip(see(nnscratch, ours), see(torch, theirs), strict=True):
        assert_same(one, other)


def test_an_optimizer_written_by_hand_is_compiled_as_it_is_or_refused() -> None:
    def trained(compiled: bool) -> list[float]:
        p = nnscratch.ones(3, requires_grad=True)
        optimizer = by_hand(nnscratch)([p])

        def step() -> None:
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()

        run = nnscratch.compile(step, on_unsupported="eager") if compiled else step
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            for _ in range(6):
                run()
        return p.tolist()

    assert trained(True) == trained(False)


@pytest.mark.parametrize("compile", [False, True])
def test_optimizers_and_their_subclasses_train_in_fit(compile: bool, tmp_path: Any) -> None:
    class Mine(optim.Adam):
        pass

    data = (X.astype(np.float32), X.sum(1, keepdims=True).astype(np.float32))
    for make in (by_hand(nnscratch), Mine, lambda p: Mine(p, lr=0.1, foreach=True)):
        nnscratch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            history = fit(nn.Linear(3, 1), data, epochs=4, optimizer=make, compile=compile)
            trainers = []
            for epochs, resume in ((2, False), (4, True)):
                nnscratch.manual_seed(0)
                trainer = Trainer(
                    nn.Linear(3, 1), optimizer=make, compile=compile, run_dir=tmp_path / "run"
                )
                trainer.fit(data, epochs, resume=resume)
                trainers.append(trainer)
        assert history.rows[-1]["train_loss"] < history.rows[0]["train_loss"]
        losses = [row["train_loss"] for row in trainers[1].history.rows]
        np.testing.assert_allclose(losses, [row["train_loss"] for row in history.rows], rtol=1e-5)
        for file in (tmp_path / "run").iterdir():
            file.unlink()


def test_an_optimizer_without_a_step() -> None:
    class Nothing(optim.Optimizer):
        pass

    p = nnscratch.ones(1, requires_grad=True)
    with pytest.raises(TypeError, match="Nothing defines no step"):
        Nothing([p], {}).step()


def test_what_a_sum_starts_from_is_the_optimizers() -> None:
    """PyTorch passes over that of a group."""

    def see(library: Any, convert: Any) -> Any:
        p, q = convert(X, True), convert(X, True)
        groups = [{"params": [p]}, {"params": [q], "initial_accumulator_value": 0.5}]
        optimizer = library.optim.Adagrad(groups, lr=0.1, initial_accumulator_value=0.2)
        (p * p + q * q).sum().backward()
        optimizer.step()
        return p.detach(), q.detach()

    for mine, its in zip(see(nnscratch, ours), see(torch, theirs), strict=True):
        assert_same(mine, its)


@pytest.mark.parametrize(
    ("gradient", "error"),
    [
        (nnscratch.ones(2), ShapeError),
        (nnscratch.ones(1, 3), ShapeError),
        (nnscratch.ones(1), ShapeError),
        (nnscratch.ones(3, dtype="float64"), ShapeError),
        ([1.0, 2.0, 3.0], DTypeError),
    ],
)
def test_a_gradient_that_does_not_fit_its_parameter(gradient: Any, error: type[Exception]) -> None:
    p = nnscratch.ones(3, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)
    p.grad = gradient
    with pytest.raises(error, match="gradient"):
        optimizer.step()
    assert p.tolist() == [1.0] * 3


def test_callbacks_that_are_none() -> None:
    with pytest.raises(ConfigurationError, match=r"derived from nnscratch\.train\.Callback"):
        fit(nn.Linear(3, 1), (X, X[:, :1]), epochs=1, callbacks=[print])
