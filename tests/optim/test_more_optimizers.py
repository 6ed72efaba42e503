"""The optimizers beyond the usual ones, against PyTorch: steps, state, refusals, compiled steps."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, ours, theirs

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import CheckpointError, ConfigurationError

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adamax": ("Adamax", {"lr": 0.05}),
    "adamax, all": (
        "Adamax", {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}
    ),
    "radam": ("RAdam", {"lr": 0.05}),
    "radam, all": ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    "radam, decoupled": (
        "RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}
    ),
    "rprop": ("Rprop", {}),
    "rprop, all": (
        "Rprop", {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.2), "maximize": True}
    ),
    "asgd": ("ASGD", {"lr": 0.05}),
    "asgd, a mean": (
        "ASGD", {"lr": 0.05, "lambd": 0.1, "alpha": 0.5, "t0": 5, "weight_decay": 0.1}
    ),
    "adafactor": ("Adafactor", {}),
    "adafactor, all": (
        "Adafactor",
        {"lr": 0.3, "beta2_decay": -0.5, "eps": (1e-3, 0.1), "d": 2.0, "weight_decay": 0.1},
    ),
    "muon": ("Muon", {"lr": 0.05}),
    "muon, all": (
        "Muon",
        {"lr": 0.05, "weight_decay": 0.3, "momentum": 0.8, "nesterov": False, "ns_steps": 3,
         "adjust_lr_fn": "match_rms_adamw"},
    ),
}  # fmt: skip
SHAPES = [(3, 4), (4,), (2, 2, 2), ()]
MATRICES = [(3, 4), (4, 2)]


def loss_of(params: Any, step: int) -> Any:
    target = 1.0 + 0.5 * np.sin(step)
    if len(params) == 2:
        w, v = params
        return ((w @ v - target) ** 2).mean() + (w * w).sum() * 0.1
    w, b, cube, scale = params
    return ((w.sum(0) * b - target) ** 2).mean() + (
        (cube * scale + b[0]).tanh() - 0.3
    ).square().sum()


def run(library: Any, make: Any, kind: str, options: dict[str, Any], steps: int) -> Any:
    rng = np.random.default_rng(0)
    shapes = MATRICES if kind == "Muon" else SHAPES
    params = [make(np.asarray(rng.normal(size=shape)), True) for shape in shapes]
    optimizer = getattr(library.optim, kind)(params, **options)
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(params, step).backward()
        optimizer.step()
    return params, optimizer


@pytest.fixture(autouse=True)
def _in_float64(monkeypatch: pytest.MonkeyPatch) -> Any:
    """PyTorch keeps numbers in the default dtype, and computes Muon's matrices in bfloat16."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_thirty_steps(name: str) -> None:
    kind, options = OPTIMIZERS[name]
    mine, optimizer = run(nnscratch, ours, kind, options, 30)
    its, its_optimizer = run(torch, theirs, kind, options, 30)
    for p, q in zip(mine, its, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-11, 1e-12)
    state, expected = optimizer.state_dict()["state"], its_optimizer.state_dict()["state"]
    for index, entry in expected.items():
        names = set(entry) | ({"step"} if kind not in ("Muon",) else set())
        assert set(state[index]) == names
        for key, value in entry.items():
            np.testing.assert_allclose(
                np.asarray(state[index][key]), value.numpy(), 1e-10, 1e-12, err_msg=key
            )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_and_going_on(name: str) -> None:
    kind, options = OPTIMIZERS[name]
    mine, its = getattr(optim, kind), getattr(torch.optim, kind)
    a, b = (list(inspect.signature(one).parameters) for one in (mine, its))
    assert a == b
    start = [ours(np.ones((2, 2)), True)]
    defaults = its([theirs(np.ones((2, 2)), True)]).defaults
    for key, value in mine(start).defaults.items():
        assert value == pytest.approx(defaults[key], abs=1e-15), key
    params, optimizer = run(nnscratch, ours, kind, options, 7)
    twins = [nnscratch.tensor(p.detach(), requires_grad=True) for p in params]
    other = mine(twins)
    other.load_state_dict(optimizer.state_dict())
    assert repr(other) == repr(optimizer)
    for chosen, stepping in ((params, optimizer), (twins, other)):
        for step in range(4):
            stepping.zero_grad()
            loss_of(chosen, step).backward()
            stepping.step()
    for p, q in zip(params, twins, strict=True):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())


@pytest.mark.parametrize(
    "kind", ["Adamax", "RAdam", "Rprop", "ASGD", "Adafactor", "Muon", "SparseAdam"]
)
def test_a_compiled_step_is_the_eager_one(kind: str) -> None:
    def build() -> Any:
        nnscratch.manual_seed(0)
        model = nn.Linear(8, 4, bias=kind != "Muon")
        optimizer = getattr(optim, kind)(model.parameters(), lr=0.05)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step, optimizer

    (eager, one), (other, two) = build(), build()
    compiled = nnscratch.compile(other)
    for seed in range(8):
        if seed == 6:  # a state that is loaded is the one that the plan goes on from
            two.load_state_dict(one.state_dict())
            for group in (one.param_groups[0], two.param_groups[0]):
                group["lr"] = 0.02
        x = nnscratch.tensor(np.random.default_rng(seed).standard_normal((6, 8)), dtype="float32")
        np.testing.assert_allclose(compiled(x).item(), eager(x).item(), rtol=2e-5)
    if kind != "Muon":
        assert two.state_dict()["state"][0]["step"] == 8


def test_muon_beside_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    mine, _ = run(nnscratch, ours, "Muon", {"lr": 0.05}, 5)
    its, _ = run(torch, theirs, "Muon", {"lr": 0.05}, 5)
    for p, q in zip(mine, its, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=0.02)


@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.9), "eps": 1e-3, "maximize": True}])
def test_sparse_adam(options: dict[str, Any]) -> None:
    """The same rows as sparse gradients of an embedding in PyTorch."""
    start = np.random.default_rng(1).normal(size=(6, 3))
    mine, its = ours(start, True), theirs(start, True)
    a, b = (
        optim.SparseAdam([mine], lr=0.1, **options),
        torch.optim.SparseAdam([its], lr=0.1, **options),
    )
    for step in range(8):
        rows = np.array([step % 6, (2 * step) % 6])
        a.zero_grad()
        b.zero_grad()
        (mine[ours(rows)] ** 2).sum().backward()
        (torch.nn.functional.embedding(theirs(rows), its, sparse=True) ** 2).sum().backward()
        a.step()
        b.step()
        np.testing.assert_allclose(mine.detach().numpy(), its.detach().numpy(), 1e-12, 1e-13)
    for name in ("exp_avg", "exp_avg_sq"):
        np.testing.assert_allclose(a.state[mine][name].numpy(), b.state[its][name].numpy(), 1e-12)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("options", [{}, {"lr": 0.5, "history_size": 3, "max_iter": 6}])
def test_lbfgs(options: dict[str, Any], search: str | None) -> None:
    def trained(library: Any, make: Any) -> Any:
        x = make(np.array([-1.2, 1.0, 0.5]), True)
        other = make(np.array(0.7), True)
        lbfgs = library.optim.LBFGS([x, other], line_search_fn=search, **options)
        calls = []

        def closure() -> Any:
            lbfgs.zero_grad()
            loss = (1 - x[:-1]).square().sum() + 5 * (x[1:] - x[:-1] ** 2).square().sum()
            loss = loss + (other - x[0]) ** 2
            loss.backward()
            calls.append(loss.item())
            return loss

        losses = [lbfgs.step(closure).item() for _ in range(4)]
        state = next(iter(lbfgs.state_dict()["state"].values()))
        return losses, calls, x.detach().numpy(), state["func_evals"], state["n_iter"]

    mine, its = trained(nnscratch, ours), trained(torch, theirs)
    np.testing.assert_allclose(mine[0], its[0], 1e-8, 1e-12)
    assert (len(mine[1]), *mine[3:]) == (len(its[1]), *its[3:])
    np.testing.assert_allclose(mine[2], its[2], 1e-7, 1e-9)


def test_what_makes_no_sense() -> None:
    one, vector = [ours(np.ones((2, 2)), True)], [ours(np.ones(2), True)]
    for wrong, match in (
        (lambda: optim.Rprop(one, etas=(1.5, 1.2)), "etas are"),
        (lambda: optim.ASGD(one, lr=-1.0), "lr must be"),
        (lambda: optim.RAdam(one, betas=(0.9, 1.0)), "betas must be"),
        (lambda: optim.Adafactor(one, d=0.5), "d not below 1"),
        (lambda: optim.Muon(vector), r"got one of shape \(2,\); give it to another"),
        (lambda: optim.Muon(one, adjust_lr_fn="own"), "adjust_lr_fn is"),
        (lambda: optim.SparseAdam(one, lr=0.0), "lr must be"),
        (lambda: optim.LBFGS([{"params": one}, {"params": vector}]), "one group"),
        (lambda: optim.LBFGS(one, line_search_fn="armijo"), "line_search_fn is"),
        (lambda: optim.LBFGS(one).step(), "needs a closure"),
        (lambda: optim.Adamax(one, differentiable=True), "differentiable=True asks"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            wrong()
    _, optimizer = run(nnscratch, ours, "Adafactor", {}, 1)
    with pytest.raises(CheckpointError, match="has the shapes"):
        optim.Muon(one).load_state_dict({**optimizer.state_dict(), "param_groups": [
            {**optim.Muon(one).param_groups[0], "params": [0]}
        ]})  # fmt: skip


def test_zero_gradients_before_anything_is_rectified_are_no_nan() -> None:
    p = ours(np.ones(3), True)
    p.grad = ours(np.zeros(3))
    optim.RAdam([p], eps=0.0).step()
    assert_same(p, theirs(np.ones(3)))
