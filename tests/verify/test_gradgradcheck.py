"""Second derivatives that are wrong are found, and those that are right are not."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import cases
from nnscratch.formulas.checks import plain
from nnscratch.verify import assert_second_derivatives
from nnscratch.verify.gradients.elements import Verdict
from nnscratch.verify.gradients.problem import bits
from nnscratch.verify.gradients.second import _FirstGradients, second_problems

X = np.random.default_rng(2).standard_normal((3, 4))


def test_functions_of_tensors() -> None:
    weight = nnscratch.tensor(X[0], requires_grad=True)

    def right(x: Any) -> Any:
        return (x * weight).tanh().sum(1), x.exp()

    report = nnscratch.gradgradcheck(right, [X], parameters={"weight": weight})
    assert report, report.text()
    assert [t.name for t in report.tensors] == [
        "input",
        "the cotangent of output 0",
        "the cotangent of output 1",
        "weight",
    ]
    assert weight.grad is None


def test_a_cut_graph_is_found() -> None:
    def cut(x: Any) -> Any:
        return (x * x.detach()).sum()

    def whole(x: Any) -> Any:
        return (x * x).sum()

    assert nnscratch.gradgradcheck(whole, [X])
    # Its first gradient is x, whose derivative is 1; the graph says that it is none.
    assert not nnscratch.gradgradcheck(cut, [X])


class Watched(nnscratch.autograd.Function):
    """x³, whose backward takes down whether it is recorded."""

    recorded: ClassVar[list[bool]] = []

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        Watched.recorded.append(nnscratch.is_grad_enabled())
        return dy * 3 * x * x


@pytest.mark.parametrize("outside", [True, False])
def test_first_gradients_are_recorded_where_they_are_differentiated_only(outside: bool) -> None:
    Watched.recorded.clear()
    with nnscratch.set_grad_enabled(outside):
        report = nnscratch.gradgradcheck(Watched.apply, [X])
        assert nnscratch.is_grad_enabled() is outside
    assert report, report.text()
    assert Watched.recorded.count(False) >= report.evaluations > 100
    assert 0 < Watched.recorded.count(True) < 20


class Planted(nnscratch.autograd.Function):
    """x³, whose derivative has the wrong derivative."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return dy * (2 * x * x + (x * x).detach())


def test_a_wrong_second_derivative_is_found() -> None:
    assert nnscratch.gradcheck(Planted, [X])
    report = nnscratch.gradgradcheck(Planted, [X])
    assert report.verdict is Verdict.WRONG
    assert [t.name for t in report.tensors if t.verdict is Verdict.WRONG] == ["input"]
    with pytest.raises(nnscratch.GradcheckError, match="the gradient of apply"):
        assert_second_derivatives(Planted, [X])


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)),
        nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Dropout(0.5), nn.Softmax(1)),
    ],
)
def test_modules(model: nn.Module) -> None:
    report = nnscratch.gradgradcheck(model, [X])
    assert report, report.text()
    assert any("weight" in t.name for t in report.tensors)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_with_its_loss() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.SiLU(), nn.Linear(5, 3))
    labels = np.asarray([0, 2, 1])
    assert nnscratch.gradgradcheck((model, nn.CrossEntropyLoss()), [X, labels])
    assert nnscratch.gradgradcheck(model, [X, labels], loss=nn.CrossEntropyLoss())


def test_formulas_with_options_and_chosen_inputs() -> None:
    assert nnscratch.gradgradcheck("norm", [X], options={"p": 3.0, "axis": 1})
    report = nnscratch.gradgradcheck("multiply", [X, X + 1.0], check="input 1")
    assert report
    assert report.tensors[0].name == "input 1"


def test_cotangents_of_ones_own() -> None:
    weights = np.linspace(0.5, 1.5, 12).reshape(3, 4)
    assert nnscratch.gradgradcheck("tanh", [X], weights)
    assert nnscratch.gradgradcheck("tanh", [X], [nnscratch.tensor(weights)])
    with pytest.raises(ConfigurationError, match=r"grad_outputs of shapes \[\(3, 4\)\]"):
        nnscratch.gradgradcheck("tanh", [X], np.ones(3))


def test_what_has_no_second_derivative_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a backward on arrays returns has no derivative"):
        nnscratch.gradgradcheck((lambda x: (2 * x, ()), lambda dy, saved: 2 * dy), [X])
    with pytest.raises(ConfigurationError, match="gradgradcheck takes a formula"):
        nnscratch.gradgradcheck(torch.tanh, [torch.ones(2)])
    with pytest.raises(ConfigurationError, match="no formula is named 'nothing'"):
        nnscratch.gradgradcheck("nothing", [X])
    with pytest.raises(GradientError, match="no output depends on an input"):
        nnscratch.gradgradcheck(lambda x: x.detach(), [X])


@pytest.mark.parametrize("name", [n for n, f in FORMULAS.items() if f.backward is not None])
def test_a_formula_gives_the_same_bits_as_its_graph(name: str) -> None:
    """Where gradients are measured, a formula's two functions are called without tensors."""
    short = 0
    for case in cases(name):
        values = [plain(value) for value in case.build()]
        if sum(np.size(value) for value in values) > 40:
            continue
        options = {key: plain(value) for key, value in case.options.items()}
        try:
            (problem,) = second_problems(name, values, options=options)
        except GradientError:
            continue  # nothing that has a gradient
        assert isinstance(problem, _FirstGradients)
        if problem.formula is None:
            continue  # the graph computes it: complex numbers
        short += 1
        direct = problem.evaluate(problem.values64())
        problem.formula = None
        walked = problem.evaluate(problem.values64())
        assert [g.strides for g in direct] == [g.strides for g in walked]  # they order sums
        assert [bits(g) for g in direct] == [bits(g) for g in walked]
    assert short
