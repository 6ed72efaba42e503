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
from nnscratch.formulas.cases.lessons import lesson
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


@pytest.mark.parametrize(
    ("of", "backward", "words"),
    [
        ("b", lambda dZ: dZ.mean(1), r"the gradient has shape \(4,\), and \(2,\) was needed\."),
        ("b", lambda dZ: dZ, r"summed over.* it would be right|shape \(4, 2\)"),
        ("W", lambda dZ, X: (dZ.T @ X).T, "transposed"),
    ],
)
def test_a_hint_on_shapes_is_a_whole_sentence(of: str, backward: Any, words: str) -> None:
    assert re.search(words, homework("linear", backward, of=of).hint(3))


def test_what_is_right_for_matrices_alone_is_right_and_misses_a_bonus() -> None:
    """The product is written for matrices; a linear layer takes more axes than two."""
    work = homework("linear", lambda dY, X, W: (dY @ W, dY.T @ X, dY.sum(0)))
    assert work.points == 100
    assert 0 < work.bonus.right < work.bonus.cases
    assert str(work.bonus) == f"right in {work.bonus.right} of {work.bonus.cases} general cases"
    general = homework("linear", RIGHT["linear"])
    assert general.bonus.right == general.bonus.cases
    assert not general.error


def test_every_array_has_its_name_whether_it_is_saved_or_not() -> None:
    assert homework("tanh", lambda dY, X: dY / np.cosh(X) ** 2)
    assert homework("relu", lambda dY, X: dY * (X > 0))
    assert homework("linear", lambda dZ, X, W: (dZ @ W, dZ.T @ X, dZ.sum(0)))
    assert homework("softmax", lambda dY, Y, axis: Y * (dY - (dY * Y).sum(axis, keepdims=True)))
    assert homework("mse", lambda dL, Y, T: dL * 2 * (Y - T) / Y.size)


def test_only_what_is_asked_for_is_checked() -> None:
    work = homework("linear", lambda dY, X: dY.T @ X, of="W")
    assert work.points == 100
    assert [tensor.name for tensor in work.report.tensors] == ["W"]
    assert homework("linear", lambda dY, X, W: (dY.T @ X, dY @ W), of=("W", "X")).points < 100
    assert homework("linear", lambda dY, X, W: (dY @ W, dY.T @ X), of=("X", "W")).points == 100
    # The gradient of a prediction alone; a target is data.
    assert homework("mse", lambda Y, T: 2 * (Y - T) / Y.size)
    assert homework("cross_entropy", lambda P, T: (P - np.eye(3)[T]) / len(T))
    with pytest.raises(ConfigurationError, match=r"of= has T; the gradients of linear are those"):
        homework("linear", lambda dY: dY, of="T")
    count = homework("linear", lambda dY, X: (dY, dY.T @ X))
    assert "expected 3 gradients, for X, W, b; got 2" in count.hint(1)


@pytest.mark.parametrize(
    ("name", "backward"),
    [
        ("mse", lambda dL, Y, T: dL**2 * 2 * (Y - T) / Y.size),
        ("mse", lambda dL, Y, T: 2 * (Y - T) / Y.size),
        ("cross_entropy", lambda dL, P, T: dL**2 * (P - np.eye(3)[T]) / len(T)),
        ("bce_with_logits", lambda dL, X, T: (1 / (1 + np.exp(-X)) - T) / X.size),
    ],
)
def test_the_gradient_by_a_loss_comes_in_once(name: str, backward: Any) -> None:
    work = homework(name, backward, of=FORMULAS[name].inputs[0])
    assert work.points <= 90
    assert "What shows is: the incoming gradient is missing, or enters twice" in work.hint(3)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_an_answer_without_the_gradient_by_the_loss_trains_as_with_it(reduction: str) -> None:
    """Of a loss by itself it is 1; in training the loss may be scaled, or not reduced."""

    def backward(P: Any, T: Any) -> Any:
        return (P - np.eye(3, dtype=P.dtype)[T]) / (len(T) if reduction == "mean" else 1)

    x = nnscratch.tensor(np.arange(9.0).reshape(3, 3) % 4, requires_grad=True)
    criterion = nnscratch.nn.CrossEntropyLoss(reduction=reduction)
    scale = nnscratch.tensor([3.0, 0.5, 2.0] if reduction == "none" else 3.0)

    def gradient() -> Any:
        x.grad = None
        (criterion(x, nnscratch.tensor([2, 0, 1])) * scale).sum().backward()
        return x.grad.numpy().copy()

    right = gradient()
    with homework("cross_entropy", backward):
        assert np.allclose(gradient(), right, rtol=1e-12)


def _raises(dY: Any) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize("stub", [None, _raises, lambda dY: None, lambda dY, X, W: (..., ..., ...)])
def test_a_stub_is_not_answered_yet(stub: Any) -> None:
    work = homework("linear", stub)
    assert not work
    assert work.points == 0
    assert repr(work).startswith("linear: not answered yet. Begin with\n\ndef backward(dZ, X, W, b")
    assert work.hint(1) == "It is not answered yet. It may use dZ, X, W, b, Z."
    scope: dict[str, Any] = {}
    exec(work.stub, scope)
    assert repr(homework("linear", scope["backward"])) == repr(work)


def test_a_gradient_that_is_not_answered_yet_is_named() -> None:
    work = homework("linear", lambda dY, X, W: (dY @ W, dY.T @ X, ...))
    assert 0 < work.points <= 90
    assert work.hint(1) == "db: This one is not answered yet."


def test_names_are_in_the_errors() -> None:
    with pytest.raises(ConfigurationError, match=r"what is 'Q'\? .* may use dY, X, Y; saved"):
        homework("tanh", lambda dY, Q: dY)
    work = homework("tanh", lambda dY: dY * (1 - Y**2))  # type: ignore[name-defined]  # noqa: F821
    assert "name 'Y' is not defined (it may use dY, X, Y)" in work.hint(1)


@pytest.mark.parametrize("name", [n for n, f in FORMULAS.items() if f.backward is not None])
def test_every_lesson_is_small(name: str) -> None:
    case = lesson(FORMULAS[name])
    arrays = [value for value in case.build() if isinstance(value, np.ndarray)]
    assert 2 <= max(a.size for a in arrays) <= 12
    assert all(a.ndim == 2 for a in arrays) or name not in ("tanh", "mse", "add", "softmax")
    for a in arrays:
        if a.dtype.kind == "f":
            assert np.array_equal(a, np.round(a, 2))


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

        def off_by_a_little(dY: Any, saved: Any, needs: Any, made: Any = formula.backward) -> Any:
            found = [None if g is None else g.copy() for g in made(dY, saved, needs)]
            for one in found:
                if one is not None and one.size:
                    largest = np.unravel_index(np.argmax(np.abs(one)), one.shape)
                    one[largest] *= 1.01
                    break
            return found

        assert homework(name, off_by_a_little).points <= 90, name


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


def test_a_network_trains_with_some_of_the_gradients() -> None:
    """What is not answered is the formula's own; what it does not save is there all the same."""
    layer = nnscratch.nn.Linear(3, 2)
    x = nnscratch.tensor(np.ones((4, 3), np.float32), requires_grad=True)

    def gradients() -> list[Any]:
        layer.zero_grad()
        x.grad = None
        layer(x).tanh().sum().backward()
        return [one.grad.numpy().copy() for one in (x, layer.weight, layer.bias)]

    right = gradients()
    with (
        homework("tanh", lambda dY, X: dY / np.cosh(X) ** 2),
        homework("linear", lambda dY, X: 2 * dY.T @ X, of="W"),
    ):
        doubled = gradients()
    assert all(np.allclose(a, b) for a, b in zip(right[::2], doubled[::2], strict=True))
    assert np.allclose(2 * right[1], doubled[1])
