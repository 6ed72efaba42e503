"""The gradient checker at points where some element has no derivative, no number, or none in range.

What cannot be told of one element must not hide the fault of another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch.autograd import Function
from nnscratch.errors import ConfigurationError
from nnscratch.verify.gradients.checking import gradcheck
from nnscratch.verify.gradients.differences import norm
from nnscratch.verify.gradients.elements import Verdict
from nnscratch.verify.gradients.noise import together
from nnscratch.verify.gradients.report import Report


def checked(forward: Any, backward: Any, x: Any) -> Report:
    return gradcheck((lambda a: (forward(a), a), backward), [np.array(x)])


def verdicts(report: Report) -> dict[int, Verdict]:
    tensor = report.tensors[0]
    return {e.index[0]: e.verdict for e in (*tensor.elements, *tensor.kinks)}


@pytest.mark.parametrize(
    ("at_kink", "verdict"),
    [(-1.0, "right"), (-0.5, "right"), (0.0, "right"), (1.0, "wrong"), (-2.0, "wrong")],
)
@pytest.mark.parametrize("other", [0.3, 3.0])
def test_a_kink_that_is_not_at_zero(at_kink: float, verdict: str, other: float) -> None:
    # One rounding error takes the input to another side, and the gradient with it.
    report = checked(
        lambda a: np.maximum(0, 1 - a),
        lambda dy, a: dy * np.where(a < 1, -1.0, np.where(a == 1, at_kink, 0.0)),
        [1.0, 0.0, other],
    )
    assert report.verdict == verdict


@pytest.mark.parametrize("function", [np.floor, np.ceil, np.sign])
def test_a_jump_hides_no_fault_elsewhere(function: Any) -> None:
    x = [1.0, 0.5, 2.0, 0.0]
    right = checked(lambda a: a - function(a), lambda dy, a: 1 * dy, x)
    wrong = checked(lambda a: a - function(a), lambda dy, a: 2 * dy, x)
    assert right.verdict is not Verdict.WRONG
    assert wrong.verdict is Verdict.WRONG
    assert verdicts(wrong)[1] is Verdict.WRONG
    assert verdicts(right)[1] is Verdict.RIGHT


@pytest.mark.parametrize("x", [[-1.0, 2.0, 3.0], [2.0, np.nan, 3.0], [0.0, 2.0, np.inf]])
def test_outputs_that_are_not_finite_hide_no_fault_elsewhere(x: list[float]) -> None:
    right = checked(np.log, lambda dy, a: dy / a, x)
    wrong = checked(np.log, lambda dy, a: 2 * dy / a, x)
    assert right.verdict is Verdict.CANNOT_TELL
    assert wrong.verdict is Verdict.WRONG
    assert verdicts(wrong)[x.index(2.0)] is Verdict.WRONG
    assert "not finite at these inputs" in str(right)


def test_a_gradient_that_is_not_finite_where_the_function_is_not_either() -> None:
    report = gradcheck(lambda a: a.sqrt(), [np.array([-1.0, 2.0])])
    assert report.verdict is Verdict.CANNOT_TELL
    assert verdicts(report) == {0: Verdict.CANNOT_TELL, 1: Verdict.RIGHT}


@pytest.mark.parametrize("size", [1e18, 1e100, 1e200, 1e300])
def test_what_is_lost_beside_a_large_number_is_not_called_right(size: float) -> None:
    for factor in (1.0, 2.0):
        report = checked(lambda a: a + size, lambda dy, a, f=factor: f * dy, [0.3, -2.0])
        assert report.verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize("size", [1e-200, 1e-170, 1e170, 1e200])
def test_sizes_whose_squares_are_out_of_range(size: float) -> None:
    for factor, verdict in ((1.0, Verdict.RIGHT), (1.01, Verdict.WRONG)):
        report = checked(
            lambda a: size * np.sin(a),
            lambda dy, a, f=factor: f * size * np.cos(a) * dy,
            [0.3, -2.0, 1.1],
        )
        assert report.verdict is verdict
    assert norm(np.array([3 * size, 4 * size])) == pytest.approx(5 * size)


def test_a_backward_that_depends_on_the_order_of_memory() -> None:
    def backward(dy: Any, a: Any) -> Any:
        return (2 * a.ravel(order="K") * dy.ravel(order="K")).reshape(a.shape)

    x = np.random.default_rng(0).normal(size=(4, 5))
    assert gradcheck((lambda a: (a * a, a), backward), [x]).verdict is Verdict.RIGHT
    fortran = np.asfortranarray(x)
    assert gradcheck((lambda a: (a * a, a), backward), [fortran]).verdict is Verdict.WRONG


class WritesIntoItsGradient(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (x,) = ctx.saved_tensors
        return gradient.mul_(2 * x)


def test_a_backward_that_writes_into_its_incoming_gradient() -> None:
    report = gradcheck(WritesIntoItsGradient, [np.array([1.0, 2.0])])
    assert report.verdict is Verdict.WRONG
    assert "dY was changed in place by a backward" in report.faults[0]


def test_a_gather_that_forgets_what_is_taken_twice() -> None:
    def backward(dy: Any, saved: Any) -> Any:
        gradient = np.zeros(saved[0])
        gradient[saved[1]] = dy
        return gradient, None

    inputs = [np.arange(3.0), np.array([0, 0, 2])]
    report = gradcheck((lambda a, i: (a[i], (a.shape, i)), backward), inputs)
    assert report.tensors[0].fault == (
        "wrong only where i has an index twice: a sum over the repetitions is missing"
    )


def test_a_sum_that_keeps_its_axis() -> None:
    def backward(dy: Any, saved: Any) -> Any:
        return dy * saved[1], (dy * saved[0]).sum(0, keepdims=True)

    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(4, 5)), rng.normal(size=5)]
    report = gradcheck((lambda a, b: (a * b, (a, b)), backward), inputs)
    fault = report.tensor("b").fault
    assert fault == (
        "missing un-broadcast: the gradient has shape (1, 5); summed over axis 0 it would be right"
    )


def test_random_numbers_of_the_default_dtype_are_named() -> None:
    report = gradcheck(lambda a: a * nnscratch.rand(4), [np.arange(4.0)])
    assert report.verdict is Verdict.CANNOT_TELL
    assert "in the default dtype" in str(report)
    assert gradcheck(lambda a: a * nnscratch.rand_like(a), [np.arange(4.0)])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.arange(3), r"got a \(int64 \(3,\)\); integers have no gradient, give them as floats$"),
        (np.ones(2) + 1j, r"got a \(complex128 \(2,\)\); complex numbers are checked in functions"),
        (3.0, r"got a \(float\); give a number as an array: np.array\(3.0\)$"),
        (None, r"got a \(NoneType\)$"),
    ],
)
def test_inputs_without_a_gradient_are_named(value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        gradcheck((lambda a: (a, ()), lambda dy, saved: 1 * dy), [value])


def test_an_option_of_a_backward_is_not_taken_for_needs() -> None:
    for name in ("f", "needs"):
        scope: dict[str, Any] = {}
        exec(f"def backward(dy, saved, {name}=2.0): return dy * ({name} != 2.0) + 2 * dy", scope)
        report = gradcheck((lambda a: (2 * a, ()), scope["backward"]), [np.ones(3)])
        assert report.verdict is (Verdict.RIGHT if name == "f" else Verdict.WRONG)


def test_noise_of_no_values() -> None:
    assert together(np.zeros((7, 0))) == 0.0
