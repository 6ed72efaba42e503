"""Optimizers beside their arithmetic: state, groups, moves, mistakes, clipping, saved schedules."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, ours, theirs

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import (
    CheckpointError,
    ConfigurationError,
    DTypeError,
    NonFiniteError,
    ShapeError,
)
from nnscratch.formulas import registry

schedules = optim.lr_scheduler


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def step(net: Any, optimizer: Any) -> float:
    optimizer.zero_grad()
    loss = net(nnscratch.ones(5, 3)).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def test_one_update_takes_all_parameters_of_a_group() -> None:
    net = model()
    optimizer = optim.Adam(net.parameters())
    step(net, optimizer)
    with registry.observing(registry.CallLog()) as log:
        optimizer.step()
    assert [(name, kind) for name, kind, _ in log.ran] == [("adam", "update")]


def test_parameters_are_views_of_one_buffer_and_stay_what_they_were() -> None:
    net = model()
    before = [p.tolist() for p in net.parameters()]
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    assert [p.tolist() for p in net.parameters()] == before
    owners = {id(p.array.base) for p in net.parameters()}
    assert len(owners) == 1
    step(net, optimizer)
    assert all(p.grad.array is p.grad_slot for p in net.parameters())


def test_values_given_later_are_taken_over() -> None:
    results = []
    for lib, make in ((nnscratch, ours), (torch, theirs)):
        p = make([1.0, 2.0], True)
        optimizer = lib.optim.SGD([p], lr=0.1, momentum=0.9)
        for value in ([5.0, 6.0], [7.0, 8.0]):
            (p * p).sum().backward()
            optimizer.step()
            p.data = make(value)
            p.grad = make([1.0, 1.0])
            optimizer.step()
        results.append(p.detach().numpy())
    np.testing.assert_allclose(*results, 1e-12)


def test_two_optimizers_over_one_parameter() -> None:
    results = []
    for lib, make in ((nnscratch, ours), (torch, theirs)):
        p, q = make([1.0, -2.0], True), make([0.5], True)
        first = lib.optim.SGD([p, q], lr=0.1, momentum=0.9)
        second = lib.optim.Adam([p], lr=0.05)
        for i in range(6):
            first.zero_grad()
            (p * p * q).sum().backward()
            (first if i % 2 else second).step()
            if i == 4:
                first.step()
        results.append((p, q))
    for a, b in zip(*results, strict=True):
        assert_same(a, b)


def test_parameters_without_a_gradient_stay_and_keep_no_state() -> None:
    net = model()
    optimizer = optim.Adam(net.parameters(), weight_decay=0.1)
    before = net[0].weight.tolist()
    net[2](nnscratch.ones(1, 4)).sum().backward()
    optimizer.step()
    assert net[0].weight.tolist() == before
    assert sorted(optimizer.state_dict()["state"]) == [2, 3]


def test_a_closure_is_called() -> None:
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = net(nnscratch.ones(5, 3)).square().mean()
        loss.backward()
        return loss

    first = optimizer.step(closure).item()
    assert optimizer.step(closure).item() < first
    assert optim.SGD(net.parameters()).step() is None


def test_zero_grad() -> None:
    net = model()
    optimizer = optim.SGD(net.parameters())
    step(net, optimizer)
    optimizer.zero_grad(set_to_none=False)
    assert net[0].bias.grad.tolist() == [0.0] * 4
    optimizer.zero_grad()
    assert net[0].bias.grad is None


def test_a_model_that_moved_after_its_optimizer_was_made() -> None:
    net = model()
    optimizer = optim.SGD(net.parameters())
    net.double()
    net(nnscratch.ones(1, 3, dtype="float64")).sum().backward()
    with pytest.raises(DTypeError, match=r"became float64 after .* made for float32; make the opt"):
        optimizer.step()


def test_one_group_may_have_several_dtypes() -> None:
    results = []
    for lib, make in ((nnscratch, ours), (torch, theirs)):
        params = [make(np.float32([1.0, 2.0]), True), make(np.float64([3.0]), True)]
        optimizer = lib.optim.Adam(params, lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (params[0].sum() * params[1]).sum().backward()
            optimizer.step()
        results.append(params)
    for a, b in zip(*results, strict=True):
        assert_same(a, b)


def test_named_parameters_and_generators() -> None:
    net = model()
    assert len(optim.SGD(net.named_parameters()).param_groups[0]["params"]) == 4
    assert len(optim.SGD(p for p in net.parameters()).param_groups[0]["params"]) == 4


def test_repr() -> None:
    text = repr(optim.SGD(model().parameters(), lr=0.5))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0.0\n    lr: 0.5\n")


P = nnscratch.ones(2, requires_grad=True)
MISTAKES: dict[str, tuple[Any, str]] = {
    "no parameters": (lambda: optim.SGD([]), "at least one parameter"),
    "one tensor": (lambda: optim.SGD(P), "list of parameters, got a single tensor"),
    "numbers": (lambda: optim.SGD([1.0]), "takes tensors, got float"),
    "results": (lambda: optim.SGD([P * 2]), "leaf tensors"),
    "twice": (lambda: optim.SGD([P, P]), "twice"),
    "in two groups": (lambda: optim.SGD([{"params": [P]}, {"params": [P]}]), "twice"),
    "lr": (lambda: optim.Adam([P], lr=-1.0), "lr must be at least 0"),
    "not a number": (lambda: optim.Adam([P], lr=math.nan), "lr must be"),
    "betas": (lambda: optim.Adam([P], betas=(0.9, 1.0)), "betas must be at least 0 and below 1"),
    "eps": (lambda: optim.RMSprop([P], eps=-1e-8), "RMSprop: eps"),
    "rho": (lambda: optim.Adadelta([P], rho=1.5), "Adadelta: rho"),
    "nesterov": (lambda: optim.SGD([P], nesterov=True), "nesterov needs a momentum"),
    "nesterov, damped": (
        lambda: optim.SGD([P], momentum=0.9, nesterov=True, dampening=0.1), "no dampening"
    ),
    "a group's own": (lambda: optim.SGD([{"params": [P], "lr": -1}]), "lr must be"),
    "schedule of nothing": (lambda: schedules.StepLR(None, 1), "needs an optimizer, got NoneType"),
    "step size": (lambda: schedules.StepLR(optim.SGD([P]), 0), "step_size must be at least 1"),
    "goes on": (lambda: schedules.StepLR(optim.SGD([P]), 1, last_epoch=3), "initial_lr"),
    "lambdas": (lambda: schedules.LambdaLR(optim.SGD([P]), []), "0 functions for 1 groups"),
    "factor": (lambda: schedules.ConstantLR(optim.SGD([P]), 2.0), "factor"),
    "warm-up": (lambda: schedules.LinearLR(optim.SGD([P]), 0.0), "start_factor"),
    "warm-up's end": (lambda: schedules.LinearLR(optim.SGD([P]), 0.5, 2.0), "end_factor"),
    "T_max": (lambda: schedules.CosineAnnealingLR(optim.SGD([P]), 0), "T_max"),
    "total_steps": (lambda: schedules.OneCycleLR(optim.Adam([P]), 0.1), "total_steps, or epochs"),
    "no momentum": (lambda: schedules.OneCycleLR(optim.Adagrad([P]), 0.1, 5), "Adagrad has no mom"),
    "without momentum": (lambda: schedules.OneCycleLR(optim.SGD([P]), 0.1, 5), "made without mom"),
    "pct_start": (lambda: schedules.OneCycleLR(optim.Adam([P]), 1, 5, pct_start=2.0), "pct_start"),
    "strategy": (
        lambda: schedules.OneCycleLR(optim.Adam([P]), 1, 5, anneal_strategy="x"), "'cos' or"
    ),
    "rates": (lambda: schedules.OneCycleLR(optim.Adam([P]), [1, 2], 5), "2 max_lr for 1 groups"),
    "plateau's factor": (lambda: schedules.ReduceLROnPlateau(optim.SGD([P]), factor=1), "below 1"),
    "plateau's mode": (lambda: schedules.ReduceLROnPlateau(optim.SGD([P]), "best"), "'min' or"),
    "plateau's threshold": (
        lambda: schedules.ReduceLROnPlateau(optim.SGD([P]), threshold_mode="x"), "'rel' or 'abs'"
    ),
    "plateau's rates": (
        lambda: schedules.ReduceLROnPlateau(optim.SGD([P]), min_lr=[0, 0]), "2 values of min_lr"
    ),
    "milestones": (lambda: schedules.SequentialLR(optim.SGD([P]), [], []), "0 schedules"),
    "another optimizer's": (
        lambda: schedules.SequentialLR(
            optim.SGD([P]), [schedules.StepLR(optim.SGD([P]), 1)], []
        ), "its own optimizer"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_say_what_to_do(name: str) -> None:
    function, message = MISTAKES[name]
    with pytest.raises(ConfigurationError, match=message):
        function()


def test_too_many_steps_of_one_cycle() -> None:
    schedule = schedules.OneCycleLR(optim.Adam([P]), 0.1, total_steps=2)
    schedule.step()
    schedule.step()
    with pytest.raises(ConfigurationError, match=r"for 2 steps, and step\(\) was called 3 times"):
        schedule.step()


def test_states_that_do_not_fit() -> None:
    net = model()
    optimizer = optim.Adam(net.parameters())
    step(net, optimizer)
    state = optimizer.state_dict()
    with pytest.raises(CheckpointError, match=r"groups with \[4\] parameters, this one has \[2\]"):
        optim.Adam(net[0].parameters()).load_state_dict(state)
    with pytest.raises(CheckpointError, match="another optimizer, or of other options"):
        optim.SGD(net.parameters(), momentum=0.9).load_state_dict(state)
    wide = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    with pytest.raises(CheckpointError, match=r"exp_avg.* of parameter 0 has shape \(4, 3\)"):
        optim.Adam(wide.parameters()).load_state_dict(state)
    with pytest.raises(CheckpointError, match="has a parameter 9"):
        optimizer.load_state_dict({**state, "state": {9: state["state"][0]}})
    with pytest.raises(CheckpointError, match="a StepLR needs"):
        schedules.StepLR(optimizer, 1).load_state_dict({"gamma": 1.0})
    both = [schedules.StepLR(optimizer, 1), schedules.StepLR(optimizer, 2)]
    with pytest.raises(CheckpointError, match="2 schedules in a row"):
        schedules.SequentialLR(optimizer, both, [3]).load_state_dict({"last_epoch": 1})


def test_a_state_loaded_from_plain_numbers_and_arrays() -> None:
    net = model()
    optimizer = optim.NAdam(net.parameters())
    step(net, optimizer)
    state = optimizer.state_dict()
    plain = {
        "state": {
            str(i): {k: v.numpy() if isinstance(v, nnscratch.Tensor) else v for k, v in e.items()}
            for i, e in state["state"].items()
        },
        "param_groups": json.loads(json.dumps(state["param_groups"])),
    }
    other = optim.NAdam(net.parameters())
    other.load_state_dict(plain)
    assert other.param_groups[0]["betas"] == (0.9, 0.999)
    again = other.state_dict()["state"]
    assert again[0]["step"] == 1
    assert again[0]["mu_product"] == state["state"][0]["mu_product"]
    assert nnscratch.equal(again[3]["exp_avg"], state["state"][3]["exp_avg"])


def late(lib: Any, make: Any, optimizer: Any, changes: dict[str, Any], when: int) -> Any:
    """Return parameters that took ten steps, hyper-parameters being changed before one of them."""
    params = [make([1.0, -2.0], True), make([[0.5]], True), make([2.0], True)]
    opt = optimizer(lib.optim, params)
    for i in range(10):
        if i == when:
            opt.param_groups[0].update(changes)
        opt.zero_grad()
        ((params[0] * params[1]).square().sum() + params[0].sum() * (i % 3)).backward()
        if i > 1:  # one step count of its own
            params[2].square().sum().backward()
        opt.step()
    return params


LATE: dict[str, Any] = {
    "momentum": (lambda o, p: o.SGD(p, lr=0.01), {"momentum": 0.9}),
    "damped": (
        lambda o, p: o.SGD(p, lr=0.01, weight_decay=0.1), {"momentum": 0.9, "dampening": 0.3}
    ),
    "nesterov": (
        lambda o, p: o.SGD(p, lr=0.01, maximize=True), {"momentum": 0.5, "nesterov": True}
    ),
    "none": (lambda o, p: o.SGD(p, lr=0.01, momentum=0.9, dampening=0.5), {"momentum": 0.0}),
    "amsgrad": (lambda o, p: o.Adam(p, lr=0.01), {"amsgrad": True}),
    "rmsprop": (lambda o, p: o.RMSprop(p), {"momentum": 0.9}),
    "centered": (lambda o, p: o.RMSprop(p), {"centered": True}),
}  # fmt: skip


@pytest.mark.parametrize("when", [0, 4])
@pytest.mark.parametrize("name", LATE)
def test_hyper_parameters_that_need_other_state(name: str, when: int) -> None:
    """Before the first step all is well; later it is for SGD alone, as in PyTorch."""
    made, changes = LATE[name]
    if when and "SGD" not in type(made(optim, [nnscratch.ones(1, requires_grad=True)])).__name__:
        with pytest.raises(KeyError):
            late(torch, theirs, made, changes, when)
        with pytest.raises(ConfigurationError, match="was not kept in the steps so far"):
            late(nnscratch, ours, made, changes, when)
        return
    mine, its = (
        late(lib, f, made, changes, when) for lib, f in ((nnscratch, ours), (torch, theirs))
    )
    for p, q in zip(mine, its, strict=True):
        assert_same(p, q)


COPIED: dict[str, Any] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.5),
    "nadam": lambda p: optim.NAdam(p, lr=0.1),
}


@pytest.mark.parametrize("name", COPIED)
def test_a_copy_of_a_model_and_its_optimizer_goes_on_by_itself(name: str) -> None:
    net = model()
    optimizer = COPIED[name](net.parameters())
    for _ in range(3):
        step(net, optimizer)
    other, its = copy.deepcopy((net, optimizer))
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert p.tolist() == q.tolist()
        assert q is not p
    assert [id(p) for p in its.param_groups[0]["params"]] == [id(p) for p in other.parameters()]
    for _ in range(3):
        expected = step(net, optimizer)
    values = [p.tolist() for p in net.parameters()]
    its.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"]
    for _ in range(3):
        got = step(other, its)
    assert got == expected
    assert [p.tolist() for p in other.parameters()] == values
    for _ in range(3):
        step(other, its)
    assert [p.tolist() for p in net.parameters()] == values
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert p.grad.array is p.grad_slot
        assert q.grad.array is q.grad_slot
        assert not np.shares_memory(p.grad_slot, q.grad_slot)
        assert not np.shares_memory(p.array, q.array)


def test_a_copy_of_an_optimizer_has_parameters_of_its_own() -> None:
    net = model()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    step(net, optimizer)
    before = [p.tolist() for p in net.parameters()]
    for made in (copy.deepcopy(optimizer), copy.deepcopy([net, optimizer])[1]):
        for p in made.param_groups[0]["params"]:
            p.grad = nnscratch.ones_like(p)
        made.step()
        assert made.state_dict()["state"][0]["step"] == 2
    assert [p.tolist() for p in net.parameters()] == before
    assert optimizer.state_dict()["state"][0]["step"] == 1


def test_an_optimizer_can_be_pickled_with_its_model() -> None:
    net = model()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    other, its = pickle.loads(pickle.dumps((net, optimizer)))
    assert step(other, its) == step(net, optimizer)
    assert step(other, its) == step(net, optimizer)
    assert all(q.grad.array is q.grad_slot for q in other.parameters())


MADE: dict[str, Any] = {
    "step": lambda o: schedules.StepLR(o, 3),
    "multi-step": lambda o: schedules.MultiStepLR(o, [2, 6]),
    "lambda": lambda o: schedules.LambdaLR(o, lambda t: 0.9**t),
    "cosine": lambda o: schedules.CosineAnnealingLR(o, 7),
    "one cycle": lambda o: schedules.OneCycleLR(o, 0.1, 20),
    "sequence": lambda o: schedules.SequentialLR(
        o, [schedules.LinearLR(o), schedules.CosineAnnealingLR(o, 6)], [5]
    ),
}


@pytest.mark.parametrize("name", [*MADE, "plateau"])
def test_schedules_go_on_from_a_state_in_json(name: str) -> None:
    def make() -> tuple[Any, Any]:
        optimizer = optim.Adam([nnscratch.ones(2, requires_grad=True)], lr=0.2)
        if name == "plateau":
            return optimizer, schedules.ReduceLROnPlateau(optimizer, patience=1)
        return optimizer, MADE[name](optimizer)

    def run(schedule: Any, start: int, stop: int) -> list[float]:
        rates = []
        for t in range(start, stop):
            if name == "plateau":
                schedule.step(1.0 + t % 4)
            else:
                schedule.step()
            rates += schedule.get_last_lr()
        return rates

    optimizer, schedule = make()
    run(schedule, 0, 4)
    saved = json.dumps([optimizer.state_dict()["param_groups"], schedule.state_dict()])
    expected = run(schedule, 4, 15)
    optimizer, schedule = make()
    groups, state = json.loads(saved)
    optimizer.load_state_dict({"state": {}, "param_groups": groups})
    schedule.load_state_dict(state)
    assert run(schedule, 4, 15) == expected


def gradients(make: Any, dtype: str = "float32") -> list[Any]:
    rng = np.random.default_rng(0)
    params = []
    for shape in [(3, 4), (5,), ()]:
        p = make(np.zeros(shape, dtype), True)
        p.grad = make(np.asarray(rng.normal(size=shape) * 3, dtype))
        params.append(p)
    params.append(make(np.zeros(2, dtype), True))
    return params


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm_type", [2.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 2, 1e3])
def test_clipping_by_norm(max_norm: float, norm_type: float, dtype: str) -> None:
    mine, its = gradients(ours, dtype), gradients(theirs, dtype)
    got = nn.utils.clip_grad_norm_(mine, max_norm, norm_type)
    assert_same(got, torch.nn.utils.clip_grad_norm_(its, max_norm, norm_type))
    for p, q in zip(mine, its, strict=True):
        assert_same(p.grad, q.grad)


def test_clipping_by_value() -> None:
    mine, its = gradients(ours), gradients(theirs)
    assert nn.utils.clip_grad_value_(mine, 1) is None
    torch.nn.utils.clip_grad_value_(its, 1)
    for p, q in zip(mine, its, strict=True):
        assert_same(p.grad, q.grad)


def test_clipping_reads_no_value_in_python() -> None:
    class Reads(registry.Observer):
        count = 0

        def on_read(self, array: Any, what: str) -> None:
            self.count += 1

    with registry.observing(Reads()) as reads:
        norm = nn.utils.clip_grad_norm_(gradients(ours), 1.0)
    assert reads.count == 0
    assert not norm.requires_grad


def test_clipping_of_nothing_and_of_nan() -> None:
    assert nn.utils.clip_grad_norm_([ours([1.0], True)], 1.0).item() == 0.0
    p = gradients(ours)[0]
    p.grad[0, 0] = math.nan
    with pytest.raises(NonFiniteError, match="norm of the gradients is nan"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert math.isnan(nn.utils.clip_grad_norm_(p, 1.0).item())


def test_the_ways_of_clipping_take_one_norm() -> None:
    mine, other = gradients(ours), gradients(theirs)
    both = []
    for utils, parameters in ((nn.utils, mine), (torch.nn.utils, other)):
        norm = utils.clip_grad_norm_(parameters, 5.0, foreach=False)
        utils.clip_grad_value_(parameters, 0.25, foreach=False)
        rest = utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        both.append((norm.item(), rest.item()))
    assert both[0] == pytest.approx(both[1], rel=1e-5)
    half = [nnscratch.full((300,), 16.0, dtype="float16")]
    assert nn.utils.get_total_norm(half).item() == pytest.approx(277.13, rel=1e-3)


@pytest.mark.parametrize("power", [0.5, 1, 3, math.inf])
def test_clipping_by_other_norms(power: float) -> None:
    mine, other = gradients(ours), gradients(theirs)
    found = nn.utils.clip_grad_norm_(mine, 1.0, norm_type=power)
    expected = torch.nn.utils.clip_grad_norm_(other, 1.0, norm_type=power)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for p, q in zip(mine, other, strict=True):
        if q.grad is not None:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)


def test_the_norm_of_half_gradients_is_added_up_in_single() -> None:
    p = nnscratch.zeros(300, dtype="float16").requires_grad_()
    p.grad = nnscratch.full((300,), 16.0, dtype="float16")
    norm = nn.utils.clip_grad_norm_(p, 1.0)
    assert norm.dtype == "float16"
    assert norm.item() == pytest.approx(277.13, rel=1e-3)  # their squares add up to 76,800
    np.testing.assert_allclose(p.grad.numpy(), 16 / 277.13, rtol=2e-3)


def test_one_vector_of_all_parameters() -> None:
    net = model()
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (sum(p.numel() for p in net.parameters()),)
    assert vector.requires_grad
    nn.utils.vector_to_parameters(vector.detach() * 2, net.parameters())
    assert nnscratch.allclose(nn.utils.parameters_to_vector(net.parameters()), vector.detach() * 2)
    with pytest.raises(ShapeError, match="vector of 26 elements"):
        nn.utils.vector_to_parameters(nnscratch.ones(3), net.parameters())
