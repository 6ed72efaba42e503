"""Homework: a learner's derivative is graded, and the hints do not give the answer away."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import FORMULAS, registry
from nnscratch.verify.gradients.lessons import homework

RIGHT: dict[str, Callable[..., Any]] = {
    "relu": lambda dY, Y: dY * (Y > 0),
    "tanh": lambda dY, Y: dY * (1 - Y**2),
    "softmax": lambda dY, saved: (
        saved.Y * (dY - (dY * saved.Y).sum(axis=saved.axis, keepdims=True))
    ),
    "linear": lambda dY, X, W: (
        dY @ W, dY.reshape(-1, W.shape[0]).T @ X.reshape(-1, W.shape[1]),
        dY.reshape(-1, W.shape[0]).sum(0),
    ),
}  # fmt: skip
WRONG: dict[str, tuple[str, Callable[..., Any], str]] = {
    "sign": ("tanh", lambda dY, Y: -dY * (1 - Y**2), "minus"),
    "no dY": ("tanh", lambda dY, Y: 1 - Y**2, "chain rule"),
    "not squared": ("tanh", lambda dY, Y: dY * (1 - Y), "."),
    "softmax's sum": ("softmax", lambda dY, Y: dY * Y, "sum"),
    "transposed": (
        "linear",
        lambda dY, X, W: (
            dY @ W,
            (dY.reshape(-1, W.shape[0]).T @ X.reshape(-1, W.shape[1])).T,
            dY.reshape(-1, W.shape[0]).sum(0),
        ),
        "dW",
    ),
    "one side": ("relu", lambda dY, Y: dY * 1.0, "negative|zero|slope"),
    "None": ("linear", lambda dY, W: (dY @ W, None, None), "gradient"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_homework(name: str) -> None:
    work = homework(name, RIGHT[name])
    assert work, work
    assert work.points == 100
    assert "nothing to hint at" in work.hint(1)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_homework(name: str) -> None:
    formula, backward, words = WRONG[name]
    work = homework(formula, backward)
    assert not work
    assert work.points < 100
    hints = [work.hint(level) for level in (1, 2, 3)]
    assert re.search(words, " ".join(hints)), hints
    assert len(set(hints)) > 1
    for hint in hints:
        # No solution: neither the formula's own gradient nor any right number.
        assert all(equation not in hint for equation in FORMULAS[formula].gradients.values())
        assert not re.search(r"\d\.\d\d", hint), hint
    assert hints[0] in repr(work)


def given_by_name(dY: Any, scale: float = 1.0, Y: Any = None) -> Any:
    return scale * dY * (1 - Y**2)


@pytest.mark.parametrize(
    "backward",
    [
        given_by_name,
        lambda Y, dY: dY * (1 - Y**2),
        lambda dY, *, Y: dY * (1 - Y**2),
        lambda gradient, Y: gradient * (1 - Y**2),
        functools.partial(lambda k, dY, Y: k * dY * (1 - Y**2), 1.0),
    ],
)
def test_parameters_are_filled_by_their_names(backward: Any) -> None:
    assert homework("tanh", backward)


@pytest.mark.parametrize(
    ("backward", "words"),
    [
        (lambda dY, Y: dY.__imul__(1 - Y**2), "on an array that was given to you"),
        (lambda dY, Y: dY.sum(), "the shape of its input"),
        (lambda dY, Y: (dY * (1 - Y**2)).astype("f4"), "the dtype of its input"),
        (lambda dY, Y: dY * (1 - Y**2) * np.random.default_rng().normal(), "each time"),
    ],
)
def test_hints_on_what_is_no_value(backward: Any, words: str) -> None:
    work = homework("tanh", backward)
    assert not work
    assert words in " ".join(work.hint(level) for level in (1, 2, 3)), work.report


def test_what_runs_in_some_cases_only_gets_points_for_these() -> None:
    """The product is written for matrices; a linear layer takes more axes than two."""
    work = homework("linear", lambda dY, X, W: (dY @ W, dY.T @ X, dY.sum(0)))
    assert 0 < work.points < 100
    assert re.match(r"It does not run for X of shape \(\d+, \d+, \d+(, \d+)*\), W of", work.hint(1))


def test_the_formulas_own_backwards_pass_and_others_do_not() -> None:
    for name, formula in FORMULAS.items():
        if formula.backward is None or set(formula.gradients.values()) == {"0"}:
            continue

        def scaled(
            dY: Any, saved: Any, needs: Any, by: float = 1.0, made: Any = formula.backward
        ) -> Any:
            return [None if g is None else g * by for g in made(dY, saved, needs)]

        assert homework(name, scaled), name
        work = homework(name, functools.partial(scaled, by=1.01))
        assert not work, name
        assert len({work.hint(level) for level in (1, 2, 3)}) == 3, name


def test_code_that_does_not_run_is_graded_too() -> None:
    def broken(dY: Any, Y: Any) -> Any:
        raise ZeroDivisionError("oh")

    work = homework("tanh", broken)
    assert work.points == 0
    assert "ZeroDivisionError: oh" in work.hint(1)


def test_what_cannot_be_homework() -> None:
    with pytest.raises(ConfigurationError, match="no formula is named"):
        homework("tanhh", RIGHT["tanh"])
    with pytest.raises(ConfigurationError, match="has no derivative"):
        homework("argmax", RIGHT["tanh"])
    with pytest.raises(ConfigurationError, match="what is 'Z'"):
        homework("tanh", lambda dY, Z: dY)
    with pytest.raises(ConfigurationError, match="has to be a function"):
        homework("tanh", 3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="what is 'things'"):
        homework("tanh", lambda *things: things[0])
    with pytest.raises(ConfigurationError, match="levels 1, 2 and 3"):
        homework("tanh", RIGHT["tanh"]).hint(4)


def test_in_a_block_the_learners_derivative_is_the_one_that_runs() -> None:
    x = nnscratch.tensor([0.5, -0.5], requires_grad=True)

    def gradient() -> Any:
        x.grad = None
        x.tanh().sum().backward()
        return x.grad.numpy().copy()

    right = gradient()
    with (
        homework("tanh", lambda dY, Y: 3 * dY * (1 - Y**2)),
        registry.observing(registry.CallLog()) as log,
    ):
        tripled = gradient()
    assert np.allclose(tripled, 3 * right)
    assert ("tanh", "backward", "homework") in log.ran
    assert (gradient() == right).all()
    assert all(one.name != "homework" for one in registry.implementations("tanh"))
