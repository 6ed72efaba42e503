"""Jacobians, Hessians and products with them are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch.errors import ConfigurationError, GradientError, ShapeError

RNG = np.random.default_rng(7)
X, Y = RNG.standard_normal((2, 3)), RNG.standard_normal(3)
V, W = RNG.standard_normal((2, 3)), RNG.standard_normal(3)

# What takes one tensor and what takes two, with one element or several, or several outputs.
ONE: dict[str, Callable[..., Any]] = {
    "a cube": lambda lib, x: (x**3).sum(),
    "log of exponentials": lambda lib, x: x.exp().sum().log(),
    "softmax": lambda lib, x: lib.nn.functional.softmax(x, 1)[0, 1],
}
TWO: dict[str, Callable[..., Any]] = {
    "a product": lambda lib, x, y: ((x @ y) ** 2).sum(),
    "tanh": lambda lib, x, y: (x * y).tanh().sum(),
    "only one": lambda lib, x, y: (x**2).sum() * y.sum().exp(),
}


def _given(lib: Any, *arrays: Any) -> tuple[Any, ...]:
    return tuple(lib.tensor(a, dtype=lib.float64) for a in arrays)


def _same(got: Any, wanted: Any) -> None:
    if isinstance(wanted, tuple):
        assert isinstance(got, tuple)
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            _same(one, other)
        return
    assert got.shape == tuple(wanted.shape)
    assert not got.requires_grad
    np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("function", ["jacobian", "hessian", "vhp", "hvp", "vjp", "jvp"])
def test_of_one_tensor(name: str, function: str) -> None:
    found = []
    for lib in (nnscratch, torch):
        (x,), (v,) = _given(lib, X), _given(lib, V)
        more = [v] if function in ("vhp", "hvp", "jvp") else []
        call = getattr(lib.autograd.functional, function)
        found.append(call(lambda x, lib=lib: ONE[name](lib, x), x, *more))
    _same(*found)


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("function", ["jacobian", "hessian", "vhp", "hvp", "vjp", "jvp"])
def test_of_two_tensors(name: str, function: str) -> None:
    found = []
    for lib in (nnscratch, torch):
        xs, vs = _given(lib, X, Y), _given(lib, V, W)
        more = [vs] if function in ("vhp", "hvp", "jvp") else []
        call = getattr(lib.autograd.functional, function)
        found.append(call(lambda x, y, lib=lib: TWO[name](lib, x, y), xs, *more))
    _same(*found)


def test_of_several_outputs() -> None:
    for function in ("jacobian", "vjp", "jvp"):
        found = []
        for lib in (nnscratch, torch):
            xs, vs = _given(lib, X, Y), _given(lib, V, W)
            given = {"jacobian": [], "vjp": [(vs[0], vs[1])], "jvp": [vs]}[function]
            call = getattr(lib.autograd.functional, function)
            found.append(call(lambda x, y: (x * y, y.exp()), xs, *given))
        _same(*found)


def test_the_structure_follows_the_inputs() -> None:
    functional = nnscratch.autograd.functional
    (x,) = _given(nnscratch, Y)
    assert functional.jacobian(lambda x: x * x, x).shape == (3, 3)
    assert functional.jacobian(lambda x: x * x, (x,))[0].shape == (3, 3)
    assert functional.hessian(lambda x: (x * x).sum(), (x,))[0][0].shape == (3, 3)
    assert functional.jacobian(lambda x: (x, x), x)[1].shape == (3, 3)
    assert functional.jacobian(lambda x: x[:0], x).shape == (0, 3)


def test_vectorizing_and_strategies_change_nothing() -> None:
    functional = nnscratch.autograd.functional
    (x,) = _given(nnscratch, Y)
    plain = functional.hessian(lambda x: (x**3).sum(), x)
    for options in ({"vectorize": True}, {"outer_jacobian_strategy": "forward-mode"}):
        same = functional.hessian(lambda x: (x**3).sum(), x, **options)
        assert (same == plain).all()
    with pytest.raises(ConfigurationError, match="strategy is 'reverse-mode'"):
        functional.jacobian(lambda x: x, x, strategy="sideways")


def test_a_graph_of_the_result() -> None:
    functional = nnscratch.autograd.functional
    x = nnscratch.tensor([1.0, 2.0], requires_grad=True)
    hessian = functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
    hessian.sum().backward()
    assert x.grad.tolist() == [24.0, 48.0]
    value, product = functional.hvp(lambda x: (x**4).sum(), x, nnscratch.ones(2), create_graph=True)
    assert value.requires_grad
    (third,) = nnscratch.autograd.grad(product.sum(), x)
    assert third.tolist() == [24.0, 48.0]


def test_no_grad_is_left_and_none_is_needed() -> None:
    functional = nnscratch.autograd.functional
    x = nnscratch.tensor([1.0, 2.0], requires_grad=True)
    with nnscratch.no_grad():
        assert functional.jacobian(lambda x: x * x, x).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert x.grad is None


def test_strict_says_what_does_not_depend_on_what() -> None:
    functional = nnscratch.autograd.functional
    xs = _given(nnscratch, X, Y)
    constant = functional.jacobian(lambda x, y: x.sum(), xs)
    assert constant[1].tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(GradientError, match="do not depend on input 1"):
        functional.jacobian(lambda x, y: x.sum(), xs, strict=True)
    with pytest.raises(GradientError, match="output 0 of func does not depend"):
        functional.vjp(lambda x, y: nnscratch.tensor(1.0), xs, strict=True)
    with pytest.raises(GradientError, match="do not depend on input 0"):
        functional.hvp(lambda x: x.sum(), xs[:1], xs[:1], strict=True)


def test_what_does_not_fit_is_named() -> None:
    functional = nnscratch.autograd.functional
    (x,) = _given(nnscratch, Y)
    with pytest.raises(ShapeError, match=r"v is needed unless there is one output"):
        functional.vjp(lambda x: x * x, x)
    with pytest.raises(ShapeError, match=r"of shapes \[\(3,\)\], got \[\(2,\)\]"):
        functional.jvp(lambda x: x * x, x, nnscratch.ones(2))
    with pytest.raises(ShapeError, match=r"hessian: expected func to return .* got shape \(3,\)"):
        functional.hessian(lambda x: x * x, x)
    with pytest.raises(ConfigurationError, match="got float as input 1"):
        functional.jacobian(lambda x, y: x * y, (x, 2.0))
    with pytest.raises(ConfigurationError, match="expected a tensor or a tuple of tensors"):
        functional.jacobian(lambda x: x, 2.0)
    with pytest.raises(ConfigurationError, match=r"func to return a tensor .* got float"):
        functional.jacobian(lambda x: 2.0, x)
