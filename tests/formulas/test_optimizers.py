"""Optimizer updates and clipping against PyTorch's, over ten steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tolerances import PARITY

from nnscratch import optim
from nnscratch.formulas import (
    ADADELTA,
    ADAGRAD,
    ADAM,
    CLIP_BY_VALUE,
    NADAM,
    RMSPROP,
    SCALE_BY_NORM,
    SGD,
    SQUARED_NORM,
    Formula,
    registry,
)
from nnscratch.formulas.live import LiveFloat, LiveInt
from nnscratch.formulas.momentum import nadam_momentum

STEPS = 10
Array = np.ndarray[Any, Any]


def gradient(P: Array, step: int) -> Array:
    """A gradient that depends on the parameter, so that every error goes on."""
    noise = np.random.default_rng(step).standard_normal(P.shape)
    return np.asarray(P * 2.0 - 1.0 + noise, dtype=P.dtype)


def trace(
    formula: Formula, buffers: int, step_options: Callable[[int], dict[str, Any]], dtype: str
) -> list[Array]:
    P = np.random.default_rng(0).standard_normal((7, 5)).astype(dtype)
    state = [np.zeros_like(P) for _ in range(buffers)]
    found = []
    for step in range(1, STEPS + 1):
        options = step_options(step)
        kept: list[Any] = list(state)
        for missing in options.pop("missing", ()):
            kept[missing] = None
        with registry.use_kernels("off"):
            registry.update(formula, P, gradient(P, step), *kept, **options)
        found.append(P.copy())
    return found


def torch_trace(
    optimizer: Any, options: dict[str, Any], dtype: str, lrs: Any = None
) -> list[Array]:
    P = np.random.default_rng(0).standard_normal((7, 5)).astype(dtype)
    parameter = torch.nn.Parameter(torch.from_numpy(P.copy()))
    made = optimizer([parameter], foreach=False, **options)
    found = []
    for step in range(1, STEPS + 1):
        if lrs is not None:
            made.param_groups[0]["lr"] = lrs[step - 1]
        parameter.grad = torch.from_numpy(gradient(parameter.detach().numpy(), step))
        made.step()
        found.append(parameter.detach().numpy().copy())
    return found


def betas(options: dict[str, Any]) -> dict[str, Any]:
    """Return PyTorch's options of the Adam family in the formulas' names."""
    made = dict(options)
    made["beta1"], made["beta2"] = made.pop("betas", (0.9, 0.999))
    return made


SGD_OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"momentum": 0.9, "maximize": True, "weight_decay": 0.1},
]
ADAM_OPTIONS = [
    {},
    {"betas": (0.7, 0.9), "eps": 1e-3},
    {"weight_decay": 0.1},
    {"amsgrad": True},
    {"amsgrad": True, "weight_decay": 0.1, "maximize": True},
]
RMSPROP_OPTIONS = [
    {},
    {"alpha": 0.5, "eps": 1e-3, "weight_decay": 0.1},
    {"momentum": 0.9},
    {"centered": True},
    {"centered": True, "momentum": 0.5, "maximize": True},
]
ADAGRAD_OPTIONS = [{}, {"lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-3}, {"maximize": True}]
ADADELTA_OPTIONS = [{"lr": 1.0}, {"rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}, {"maximize": True}]
NADAM_OPTIONS = [
    {},
    {"betas": (0.7, 0.9), "eps": 1e-3, "momentum_decay": 0.1},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decoupled_weight_decay": True},
    {"maximize": True},
]

# Formula, PyTorch's optimizer, number of state buffers, its options, and which are in use.
Row = tuple[Formula, Any, int, dict[str, Any], dict[str, Any]]


def rows() -> list[Row]:
    made: list[Row] = []
    for o in SGD_OPTIONS:
        unused = {} if o.get("momentum") else {"missing": (0,)}
        made.append((SGD, torch.optim.SGD, 1, o, {**o, **unused}))
    for decoupled, optimizer in ((False, torch.optim.Adam), (True, torch.optim.AdamW)):
        for o in ADAM_OPTIONS:
            ours: dict[str, Any] = {"weight_decay": 0.01 if decoupled else 0.0, **betas(o)}
            ours["decoupled"] = decoupled
            if not ours.pop("amsgrad", False):
                ours["missing"] = (2,)
            made.append((ADAM, optimizer, 3, o, ours))
    for o in RMSPROP_OPTIONS:
        missing = [i for i, key in ((1, "momentum"), (2, "centered")) if not o.get(key)]
        made.append((RMSPROP, torch.optim.RMSprop, 3, o, {**o, "missing": tuple(missing)}))
    made += [(ADAGRAD, torch.optim.Adagrad, 1, o, o) for o in ADAGRAD_OPTIONS]
    made += [(ADADELTA, torch.optim.Adadelta, 2, o, o) for o in ADADELTA_OPTIONS]
    for o in NADAM_OPTIONS:
        ours = betas(o)
        ours["decoupled"] = ours.pop("decoupled_weight_decay", False)
        made.append((NADAM, torch.optim.NAdam, 2, o, ours))
    return made


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("changing", [False, True], ids=["one rate", "a new rate each step"])
@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[1].__name__}-{row[3]}")
def test_ten_steps(row: Row, changing: bool, dtype: str) -> None:
    formula, optimizer, buffers, theirs, ours = row
    rate = theirs.get("lr", 0.05)
    rates = [rate / (1 + step) if changing else rate for step in range(STEPS)]
    momenta = [
        nadam_momentum(ours.get("beta1", 0.9), ours.get("momentum_decay", 4e-3), t)
        for t in range(1, STEPS + 1)
    ]

    def options(step: int) -> dict[str, Any]:
        # Live numbers, as optimizers pass them: they must not promote a float32.
        made = {**ours, "lr": LiveFloat(rates[step - 1], 0, "lr")}
        if "step" in formula.options:
            made["step"] = LiveInt(step, 0, "step")
        if "mu_product" in formula.options:
            made["mu_product"] = LiveFloat(float(np.prod(momenta[:step])), 0, "mu_product")
        return made

    torch.set_default_dtype(getattr(torch, dtype))
    try:
        wanted = torch_trace(optimizer, {**theirs, "lr": rate}, dtype, rates)
    finally:
        torch.set_default_dtype(torch.float32)
    found = trace(formula, buffers, options, dtype)
    rtol, atol = PARITY[dtype]
    for step, (a, b) in enumerate(zip(found, wanted, strict=True), 1):
        assert a.dtype == b.dtype
        # Over ten steps float32 drifts by what its roundings do to the gradients.
        np.testing.assert_allclose(a, b, rtol=step * rtol, atol=atol, err_msg=f"step {step}")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_clip_by_norm(scale: float) -> None:
    arrays = [
        np.random.default_rng(k).standard_normal(shape) * scale
        for k, shape in enumerate([(3, 4), (5,), (1025,)])
    ]
    parameters = [torch.nn.Parameter(torch.zeros(a.shape, dtype=torch.float64)) for a in arrays]
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.grad = torch.from_numpy(array.copy())
    wanted = torch.nn.utils.clip_grad_norm_(parameters, 2.0)
    total = sum(registry.forward(SQUARED_NORM, array)[0] for array in arrays)
    norm = np.asarray(np.sqrt(total))
    np.testing.assert_allclose(norm, wanted.numpy(), rtol=1e-12)
    for parameter, array in zip(parameters, arrays, strict=True):
        registry.update(SCALE_BY_NORM, array, norm, max_norm=2.0)
        assert parameter.grad is not None
        np.testing.assert_allclose(array, parameter.grad.numpy(), rtol=1e-12)


def test_clip_by_value() -> None:
    G = np.random.default_rng(0).standard_normal((3, 5)) * 10
    parameter = torch.nn.Parameter(torch.zeros((3, 5), dtype=torch.float64))
    parameter.grad = torch.from_numpy(G.copy())
    torch.nn.utils.clip_grad_value_([parameter], 0.5)
    registry.update(CLIP_BY_VALUE, G, limit=0.5)
    np.testing.assert_array_equal(G, parameter.grad.numpy())


def test_a_step_by_hand() -> None:
    """SGD with momentum: M = 0.9 · 2 + 3 = 4.8, P = 1 - 0.1 · 4.8 = 0.52."""
    P, G, M = np.array([1.0]), np.array([3.0]), np.array([2.0])
    registry.update(SGD, P, G, M, lr=0.1, momentum=0.9, step=2)
    assert P == pytest.approx(0.52)
    assert M == pytest.approx(4.8)


@pytest.mark.parametrize(
    ("formula", "kind"),
    [
        (ADADELTA, optim.Adadelta),
        (ADAGRAD, optim.Adagrad),
        (ADAM, optim.Adam),
        (NADAM, optim.NAdam),
        (RMSPROP, optim.RMSprop),
        (SGD, optim.SGD),
    ],
    ids=lambda item: getattr(item, "name", ""),
)
def test_defaults_are_those_of_the_optimizer(formula: Formula, kind: Any) -> None:
    outside = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    if "betas" in outside:
        outside["beta1"], outside["beta2"] = outside["betas"]
    inside = inspect.signature(formula.forward).parameters
    compared = 0
    for name, parameter in inside.items():
        if parameter.default is not parameter.empty and name in outside:
            assert parameter.default == outside[name], name
            compared += 1
    assert compared >= 3
