"""The gradient checker on targets that are odd, and what it says of what cannot be checked."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.formulas import FORMULAS
from nnscratch.verify.gradients.checking import assert_gradients, gradcheck
from nnscratch.verify.gradients.elements import Element, TensorReport, Verdict
from nnscratch.verify.gradients.pictures import error_map

RNG = np.random.default_rng(11)
X = RNG.normal(size=(5, 4))
BIG = RNG.normal(size=(150, 160))
CUBE = RNG.normal(size=(5, 6, 7))


def square(x: Any) -> Any:
    return x**2


class WrongInEval(nn.Module):
    """Computes the same in both modes, but cuts the graph in one."""

    def forward(self, x: Any) -> Any:
        return x * 2 if self.training else x.detach() + x


def test_a_mode_with_equal_outputs_and_other_gradients_is_checked_too() -> None:
    report = gradcheck(WrongInEval(), [X])
    assert report.verdict is Verdict.WRONG
    assert [(t.mode, t.verdict) for t in report.tensors] == [
        ("train", Verdict.RIGHT),
        ("eval", Verdict.WRONG),
    ]
    assert "factor 1/2" in report.faults[0]


@pytest.mark.parametrize(
    ("pair", "inputs", "words"),
    [
        ((np.sin, lambda d, x: np.roll(np.cos(x) * d, 1, 0)), [BIG], "shifted by one along axis 0"),
        ((square, lambda d, x: 2 * x), [np.asarray(0.7)], "dY is left out"),
        ((np.floor, lambda d, x: d * 1.0), [X], "the right gradient is 0 everywhere"),
        (
            (lambda x, b: x + b, lambda d, x, b: (d * 1, d.mean((0, 1)))), [CUBE, CUBE[0, 0]],
            "factor 1/N: 1/30 of the right gradient, and 30 is the number of rows of x",
        ),
        ((square, lambda d, x: 2 * x * d + 0j), [X], "is complex128, the input is float64"),
        (
            (lambda x: (x * 1, {"x": x}), lambda d, s: d * (s["x"].__imul__(1.5) / s["x"])), [X],
            "x was changed",
        ),
    ],
    ids=["rolled", "no dY for a number", "flat", "rows of a cube", "complex", "saved in a dict"],
)  # fmt: skip
def test_what_is_wrong_is_named(pair: Any, inputs: list[Any], words: str) -> None:
    report = gradcheck(pair, [one.copy() for one in inputs])
    assert report.verdict is Verdict.WRONG
    assert words in " | ".join(report.faults), report


def test_a_gradient_of_nan_is_not_said_to_be_not_linear() -> None:
    report = gradcheck((square, lambda d, x: d * np.where(x > 0, 2 * x, np.nan)), [X])
    assert report.faults == ["x: the gradient is not finite where the function is"]


def test_extended_precision_is_compared_by_its_values() -> None:
    """Its bytes beyond the tenth are whatever was in memory."""
    assert_gradients((square, lambda d, x: 2 * x * d), [X.astype(np.longdouble)])


@pytest.mark.parametrize("scale", [np.inf, np.nan, 1e200])
def test_numbers_that_overflow_make_no_warnings(scale: float) -> None:
    x = np.array([1.0, scale, 2.0])
    report = gradcheck((square, lambda d, x: 2 * x * d), [x])
    assert report.verdict is Verdict.CANNOT_TELL


def test_tensors_around_the_limit_of_what_is_checked_one_by_one() -> None:
    for size in range(1, 8):
        assert_gradients((square, lambda d, x: 2 * x * d), [X.reshape(-1)[:size]], limit=1)


def test_an_input_that_nothing_depends_on_is_no_error() -> None:
    report = assert_gradients(lambda x, y: x * 2, [X, X])
    assert "input 1 has no gradient, and the output does not depend on it" in report.text()


class Layer:
    """Keeps what its backward needs, as many exercises have it."""

    def forward(self, x: Any) -> Any:
        self.x = x
        return x**3

    def backward(self, dY: Any) -> Any:
        return 3 * self.x**2 * dY


def test_a_backward_that_takes_dY_alone() -> None:
    layer = Layer()
    assert_gradients((layer.forward, layer.backward), [X])
    wrong = gradcheck((layer.forward, lambda dY: -layer.backward(dY)), [X])
    assert wrong.faults == ["x: sign: the gradient is the right one with the wrong sign"]


def test_a_function_that_computes_something_else_in_float64_cannot_be_judged() -> None:
    def forward(x: Any) -> Any:
        return x * (1.5 if x.dtype == np.float32 else 1.0)

    report = gradcheck((forward, lambda d, x: 1.5 * d), [X.astype(np.float32)])
    assert report.verdict is Verdict.CANNOT_TELL
    assert "Check with inputs in float64" in report.text()
    assert gradcheck((forward, lambda d, x: 1.5 * d), [X]).verdict is Verdict.WRONG


LINEAR = nn.Linear(4, 2)


@pytest.mark.parametrize(
    ("target", "inputs", "options", "error", "words"),
    [
        ((square, lambda d, x: d), [X], {"check": ["x", "w"]}, ConfigurationError, "named w"),
        ((square, lambda d, x: d), [2.0], {}, ConfigurationError, "an array of floats"),
        ((square, lambda d, x: d), [X], {"loss": square}, ConfigurationError, "loss= is for"),
        ((square, lambda d, x: d), [X], {"resolution": -1}, ConfigurationError, "more than 0"),
        ((lambda x: (x, x, x), square), [X], {}, ConfigurationError, "got 3 things"),
        ((square, lambda d, a, b: d), [X], {}, ConfigurationError, "2 things; it takes 3"),
        ((square, lambda d, x: d.tolist()), [X], {}, ConfigurationError, "an array for each"),
        ((lambda x: None, square), [X], {}, GradientError, "no output is an array of floats"),
        (lambda x: x.sum().item(), [X], {}, GradientError, "no output is an array of floats"),
        ("relu", [X, X], {}, ConfigurationError, "relu takes X and the options"),
        ("softmax", [X], {"options": {"dim": 1}}, ConfigurationError, "the options axis"),
        (nn.Linear, [X], {}, ConfigurationError, "not the class Linear"),
        ((LINEAR, nn.MSELoss()), [X], {}, ConfigurationError, "and then the target"),
        (LINEAR.forward, [X.astype("f4")], {}, GradientError, "does not run in float64"),
    ],
)
def test_what_makes_no_sense(
    target: Any, inputs: Any, options: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        gradcheck(target, inputs, **options)


def test_an_error_of_the_function_itself_is_shown_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda x: 1 / 0, [X.astype(np.float32)])


def test_names_may_be_given_alone_and_parameters_as_a_list() -> None:
    w = nnscratch.tensor(X.T, requires_grad=True)
    report = assert_gradients(lambda x: x @ w, [X], parameters=[w], check="parameter 0")
    assert [t.name for t in report.tensors] == ["parameter 0"]
    assert {t.mode for t in assert_gradients(WrongInEval(), [X], modes="train").tensors} == {
        "train"
    }


def test_pictures_of_what_is_not_there() -> None:
    empty = gradcheck((square, lambda d, x: 2 * x * d), [np.zeros((0, 3))])
    assert "data:image" not in empty.html()
    assert empty.plot().axes
    random = gradcheck((lambda x: x * RNG.normal(), lambda d, x: d * 1.0), [X])
    assert "not deterministic" in str(random.as_dict())
    with pytest.raises(ConfigurationError, match="no gradient was looked at"):
        random.plot()


def test_the_picture_of_errors_shows_nan_as_wrong_and_what_is_unknown_as_neither() -> None:
    nan, unknown = float("nan"), float("inf")
    made = TensorReport(
        "x", "", (4,), "float64", Verdict.WRONG, "five-point", 0,
        [
            Element((0,), 0.0, 1.0, 1.0, 1e-9, 1e-3, Verdict.RIGHT),
            Element((1,), 0.0, nan, 1.0, 1e-9, 1e-3, Verdict.WRONG),
            Element((2,), 0.0, 1.0, 1.0, unknown, 1e-3, Verdict.CANNOT_TELL),
        ],
    )  # fmt: skip
    right, wrong, neither, unchecked = error_map(made).reshape(-1)
    assert right < 0 < wrong
    assert neither == 0
    assert np.isnan(unchecked)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc"])
def test_the_gradient_of_a_staircase_is_not_called_wrong(name: str, dtype: str) -> None:
    # Steps of whole numbers find a slope of 1, and what is between the stairs looks like noise.
    rows = ([-1e4, 1e4, -1e4], [1894.24, -3788.7, 0.3], [179.85], [1103.86, -542.56])
    wide = 1.3e5 * np.random.default_rng(0).standard_normal(257)
    for values in (*rows, wide, [8.7e6 + 0.5, -8.7e6 + 0.3, 6.1e6]):
        report = gradcheck(FORMULAS[name], [np.array(values, dtype)])
        assert report.verdict is not Verdict.WRONG, str(report)


def test_rounding_of_long_recursions_is_not_called_wrong() -> None:
    # 33 frames: logarithms of some hundred, whose exponentials are the gradient.
    rng = np.random.default_rng(0)
    logP = 9.9 * rng.standard_normal((33, 2, 9)).astype("float32")
    labels, lengths = rng.integers(1, 9, (2, 5)), np.array([5, 4])
    report = gradcheck(FORMULAS["ctc"], [logP, labels, np.array([33, 30]), lengths])
    assert report.verdict is Verdict.RIGHT, str(report)


def test_zero_is_still_wrong_where_something_changes() -> None:
    def cut(dY: Any, saved: Any, needs: Any) -> Any:
        return (np.zeros_like(dY),)

    zero = dataclasses.replace(FORMULAS["sin"], backward=cut)
    for x in (X, 1e4 * X):
        assert gradcheck(zero, [x]).verdict is Verdict.WRONG


def test_an_infinite_gradient_is_right_where_the_dtype_has_no_other_number() -> None:
    x = np.array([95.0, -2.0, 3.0], "float32")  # e^95 is more than float32 can hold
    assert gradcheck(FORMULAS["exp"], [x]).verdict is Verdict.RIGHT

    def infinite(dY: Any, saved: Any, needs: Any) -> Any:
        return (np.full_like(dY, np.inf),)

    wrong = dataclasses.replace(FORMULAS["exp"], backward=infinite)
    assert gradcheck(wrong, [x]).verdict is Verdict.WRONG
