"""``autograd.gradcheck`` takes PyTorch's arguments, and knows right from wrong where it does."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.autograd import gradcheck, gradgradcheck
from nnscratch.autograd import gradcheck as as_in_pytorch
from nnscratch.autograd.gradcheck import GradcheckError
from nnscratch.errors import ConfigurationError

R = np.random.default_rng(3)
X = R.standard_normal((2, 3))
Z = X + 1j * R.standard_normal((2, 3))


def function(
    library: Any, backward: Callable[..., Any], forward: Callable[[Any], Any], **given: Any
) -> Any:
    """Return ``apply`` of a Function of nnscratch's or PyTorch's."""

    class Made(library.autograd.Function):  # type: ignore[misc]
        pass

    def saving(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(given.get("zeros", True))
        return forward(x)

    Made.forward = staticmethod(saving)
    Made.backward = staticmethod(lambda ctx, *dys: backward(ctx.saved_tensors[0], *dys))
    return Made.apply


def both(
    values: np.ndarray, backward: Callable[..., Any], forward: Callable[[Any], Any], **given: Any
) -> list[tuple[bool, bool]]:
    """Return both libraries' answers: on gradients, and on their derivatives."""
    found = []
    for library in (nnscratch, torch):
        x = library.tensor(values, requires_grad=True)
        made = function(library, backward, forward, **given)
        found.append(
            tuple(
                check(made, (x,), raise_exception=False)
                for check in (library.autograd.gradcheck, library.autograd.gradgradcheck)
            )
        )
    return found


@pytest.mark.parametrize(
    ("values", "forward", "backward", "right"),
    [
        (X, lambda x: x**3, lambda x, dy: dy * 3 * x * x, (True, True)),
        (X, lambda x: x**3, lambda x, dy: dy * 2 * x * x, (False, True)),
        (X, lambda x: x**3, lambda x, dy: -dy * 3 * x * x, (False, True)),
        (X, lambda x: x**3, lambda x, dy: dy * 3 * (x * x).detach(), (True, False)),
        (X, lambda x: x**3, lambda x, dy: 3 * x * x, (False, True)),
        (X, lambda x: x.sum(0), lambda x, dy: dy.expand(2, 3), (True, True)),
        (X, lambda x: (x * 2, x * x), lambda x, a, b: 2 * a + 2 * x * b, (True, True)),
        (X, lambda x: (x * 2, x * x), lambda x, a, b: 2 * a + x * b, (False, True)),
        # The gradient of complex numbers is ∂L/∂Re + i ∂L/∂Im: the derivative's conjugate.
        (Z, lambda z: z * z, lambda z, dy: dy * 2 * z.conj(), (True, True)),
        (Z, lambda z: z * z, lambda z, dy: dy * 2 * z, (False, True)),
        (Z, lambda z: z.conj(), lambda z, dy: dy.conj(), (True, True)),
        (Z, lambda z: z.conj(), lambda z, dy: dy, (False, True)),
        (Z, lambda z: z.real, lambda z, dy: dy + 0j, (True, True)),
        (Z, lambda z: z.imag, lambda z, dy: dy + 0j, (False, True)),
        (X, lambda x: x * (2 + 1j), lambda x, dy: (dy * (2 - 1j)).real, (True, True)),
        (X, lambda x: x * (2 + 1j), lambda x, dy: (dy * (2 + 1j)).real, (False, True)),
    ],
)
def test_what_pytorch_says_too(
    values: np.ndarray,
    forward: Callable[[Any], Any],
    backward: Callable[..., Any],
    right: tuple[bool, bool],
) -> None:
    assert both(values, backward, forward) == [right, right]


def test_what_pytorch_does_not_see() -> None:
    """An error below its tolerance; two outputs whose gradients come at once; float32; a kink."""

    def once(x: Any, a: Any, b: Any) -> Any:
        if a is None and b is None:
            return None
        return 3 * b if a is None else 2 * a

    def outputs(x: Any) -> Any:
        return x * 2, x * 3

    ours, theirs = both(X, lambda x, dy: dy * 2e-6, lambda x: x * 1e-6)
    assert (ours[0], theirs[0]) == (False, True)
    ours, theirs = both(X, once, outputs, zeros=False)
    assert (ours[0], theirs[0]) == (False, True)
    single = nnscratch.tensor(X, dtype=nnscratch.float32, requires_grad=True)
    assert gradcheck(lambda x: (x * x).exp(), single)
    assert not gradcheck(lambda x: x * x.detach(), single, raise_exception=False)
    assert gradcheck(nnscratch.relu, nnscratch.zeros(3, dtype="float64", requires_grad=True))


def test_gradients_that_are_not_defined() -> None:
    """A backward that cannot do without one of its gradients is checked with all of them."""

    def needy(x: Any, a: Any, b: Any) -> Any:
        if a is None or b is None:
            raise RuntimeError("no gradient")
        return 2 * a + 3 * b

    made = function(nnscratch, needy, lambda x: (x * 2, x * 3), zeros=False)
    x = nnscratch.tensor(X, requires_grad=True)
    with pytest.raises(RuntimeError, match="no gradient"):
        gradcheck(made, x)
    assert gradcheck(made, x, check_undefined_grad=False)
    wrong = function(nnscratch, lambda x, a, b: 2 * a + b, lambda x: (x * 2, x * 3))
    assert not gradcheck(wrong, x, check_undefined_grad=False, raise_exception=False)


def test_the_error() -> None:
    x = nnscratch.tensor(X, requires_grad=True)

    def cut(x: Any) -> Any:
        return x * x.detach()

    for base in (RuntimeError, AssertionError, nnscratch.GradcheckError):
        with pytest.raises(base, match="half the right gradient") as caught:
            gradcheck(cut, x)
    assert type(caught.value) is GradcheckError
    assert caught.value.report.tensor("input").wrong
    assert gradcheck(cut, x, raise_exception=False) is False
    with pytest.raises(GradcheckError, match="the gradient of"):
        gradgradcheck(cut, x)
    assert gradgradcheck(cut, x, raise_exception=False) is False
    assert x.grad is None


def test_only_inputs_that_ask_are_checked() -> None:
    x, y = nnscratch.tensor(X, requires_grad=True), nnscratch.tensor(X)
    for check in (gradcheck, gradgradcheck):
        assert check(lambda x, y, n: x * y.detach() ** n, (x, y, 2))
        with pytest.raises(ConfigurationError, match="at least one input with requires_grad=True"):
            check(nnscratch.tanh, (y, y))
    assert not gradcheck(lambda x, y: x * y.detach(), (x, x), raise_exception=False)


def test_many_elements_and_few() -> None:
    large = nnscratch.tensor(R.standard_normal((40, 20)), requires_grad=True)
    for fast in (False, True):
        for x in (large, nnscratch.tensor(2.0, requires_grad=True)):
            assert gradcheck(nnscratch.sin, x, fast_mode=fast)
            assert gradgradcheck(nnscratch.sin, x, fast_mode=fast)
            wrong = function(nnscratch, lambda x, dy: dy * x.cos() * 1.01, lambda x: x.sin())
            assert not gradcheck(wrong, x, fast_mode=fast, raise_exception=False)


def test_backwards_that_differ_from_run_to_run() -> None:
    x = nnscratch.tensor(X, requires_grad=True)
    count = itertools.count()

    def shaken(x: Any, dy: Any) -> Any:
        return dy * (2 + 1e-9 * next(count))

    made = function(nnscratch, shaken, lambda x: x * 2)
    with pytest.raises(GradcheckError, match="Two runs of the backward give different gradients"):
        gradcheck(made, x)
    assert gradcheck(made, x, nondet_tol=1e-7)
    assert not gradcheck(made, x, nondet_tol=1e-10, raise_exception=False)


def test_gradients_of_outputs() -> None:
    x, v = nnscratch.tensor(Z, requires_grad=True), nnscratch.tensor(Z.conj())
    assert gradgradcheck(lambda z: z.exp(), x, v, gen_non_contig_grad_outputs=True)
    with pytest.raises(ConfigurationError, match=r"grad_outputs of shapes \[\(2, 3, 2\)\]"):
        gradgradcheck(lambda z: z.exp(), x, v[0])


def test_modules_in_complex_numbers() -> None:
    class Turned(nnscratch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nnscratch.nn.Parameter(nnscratch.tensor(Z[0]))
            self.register_buffer("shift", nnscratch.tensor(Z[1]))

        def forward(self, x: Any) -> Any:
            return ((x * self.weight + self.shift).exp()).abs()

    assert nnscratch.gradcheck(Turned(), [X])
    assert nnscratch.gradgradcheck(Turned(), [X])
    model = Turned()
    for tensor in (model.weight, model.shift):
        tensor.data = tensor.data.to(nnscratch.complex64)
    assert nnscratch.gradcheck(model, [X.astype("float32")])
    assert model.weight.dtype == model.shift.dtype == nnscratch.complex64


@pytest.mark.parametrize(
    "option", ["check_batched_grad", "check_batched_forward_grad", "check_forward_ad"]
)
def test_refusals(option: str) -> None:
    x = nnscratch.tensor(X, requires_grad=True)
    missing = "no vmap" if "batched" in option else "no forward-mode derivatives"
    with pytest.raises(ConfigurationError, match=rf"gradcheck: {option} must be False.*{missing}"):
        gradcheck(nnscratch.tanh, x, **{option: True})


def test_refusals_of_second_derivatives() -> None:
    x = nnscratch.tensor(X, requires_grad=True)
    with pytest.raises(ConfigurationError, match="check_fwd_over_rev must be False"):
        gradgradcheck(nnscratch.tanh, x, check_fwd_over_rev=True)
    with pytest.raises(ConfigurationError, match="leaves nothing to check"):
        gradgradcheck(nnscratch.tanh, x, check_rev_over_rev=False)
    with pytest.raises(ConfigurationError, match="leaves nothing to check"):
        gradcheck(nnscratch.tanh, x, check_backward_ad=False)


@pytest.mark.parametrize("name", ["gradcheck", "gradgradcheck"])
def test_arguments_are_those_of_pytorch(name: str) -> None:
    def arguments(function: Any) -> list[tuple[Any, ...]]:
        given = inspect.signature(function).parameters.values()
        return [(one.name, one.kind, one.default) for one in given]

    ours, theirs = getattr(nnscratch.autograd, name), getattr(torch.autograd, name)
    assert arguments(ours) == arguments(theirs)
    assert as_in_pytorch is nnscratch.autograd.gradcheck


def test_a_module_is_checked_in_the_mode_in_which_it_is() -> None:
    """Its derivatives are wrong in one of its modes only, and its second ones."""
    x = nnscratch.tensor(X, requires_grad=True)
    backwards: list[Callable[..., Any]] = [
        lambda x, dy: dy * 5 * x * x,
        lambda x, dy: dy * 3 * (x * x).detach(),
    ]
    for check, backward in zip((gradcheck, gradgradcheck), backwards, strict=True):
        made = function(nnscratch, backward, lambda x: x**3)

        class Cube(nn.Module):
            def __init__(self, wrong_in: bool, made: Any) -> None:
                super().__init__()
                self.wrong_in, self.made = wrong_in, made

            def forward(self, x: Any) -> Any:
                return self.made(x) if self.training is self.wrong_in else x**3

        for training, wrong_in in itertools.product((True, False), repeat=2):
            model = Cube(wrong_in, made).train(training)
            assert check(model, x, raise_exception=False) is (training is not wrong_in)
            assert model.training is training


def test_bfloat16_is_refused() -> None:
    pytest.importorskip("ml_dtypes")
    x, y = nnscratch.ones(2).bfloat16().requires_grad_(), nnscratch.ones(2, requires_grad=True)
    for check in (gradcheck, gradgradcheck, nnscratch.gradcheck, nnscratch.gradgradcheck):
        for given in (x, [x, y]):
            with pytest.raises(
                ConfigurationError, match=r"bfloat16 inputs .* call .float\(\) first"
            ):
                check(lambda *inputs: inputs[0] * inputs[-1], given)
    # One that is only there, as a constant.
    assert gradcheck(lambda x, y: x.float() * y, (x.detach(), y))
