"""Functions of one's own behave as PyTorch's do."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch.autograd import Function, grad
from nnscratch.autograd.function import once_differentiable
from nnscratch.errors import ConfigurationError, GradientError

BOTH = pytest.mark.parametrize("lib", [nnscratch, torch], ids=["nnscratch", "torch"])


def _cube(lib: Any) -> Any:
    class Cube(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            (x,) = ctx.saved_tensors
            return dy * 3 * x * x

    return Cube


def _tensor(lib: Any, values: Any, grad: bool = True) -> Any:
    return lib.tensor(values, dtype=lib.float64, requires_grad=grad)


@BOTH
def test_derivatives_of_every_order(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    y = _cube(lib).apply(x)
    assert "Cube" in repr(y.grad_fn)
    orders = []
    for _ in range(3):
        (y,) = lib.autograd.grad(y.sum(), x, create_graph=True)
        orders.append(y.tolist())
    assert orders == [[3.0, 12.0], [6.0, 12.0], [6.0, 6.0]]


@BOTH
def test_setup_context_and_options(lib: Any) -> None:
    class Scaled(lib.autograd.Function):
        @staticmethod
        def forward(x: Any, factor: Any, power: Any = 2) -> Any:
            return factor * x**power

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            x, ctx.factor, ctx.power = inputs
            ctx.save_for_backward(x, None, output)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            x, nothing, y = ctx.saved_tensors
            assert nothing is None
            assert ctx.needs_input_grad[0]
            assert not any(ctx.needs_input_grad[1:])
            return dy * ctx.power * y / x, None, None

    x = _tensor(lib, [1.0, 2.0])
    y = Scaled.apply(x, 3.0)
    (first,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    assert first.tolist() == [6.0, 12.0]
    # Through the saved output too.
    assert lib.autograd.grad(first.sum(), x)[0].tolist() == [6.0, 6.0]
    assert Scaled.apply(x, 3.0, 3).tolist() == [3.0, 24.0]


def _split(lib: Any, materialize: bool) -> Any:
    class Split(lib.autograd.Function):
        seen: Any = []

        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.set_materialize_grads(materialize)
            ctx.save_for_backward(x, y)
            whole = (x > 0).to(lib.int64)
            return x * y, x + y, whole, "text"

        @staticmethod
        def backward(ctx: Any, *dys: Any) -> Any:
            Split.seen = [dy if dy is None else dy.tolist() for dy in dys]
            x, y = ctx.saved_tensors
            product, total = dys[:2]
            product = lib.zeros_like(x) if product is None else product
            total = lib.zeros_like(x) if total is None else total
            return product * y + total, product * x + total

    return Split


@BOTH
def test_attributes_of_any_name(lib: Any) -> None:
    class Times(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, constant: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.constant, ctx.node, ctx.saved = constant, "a", "b"
            ctx.state = "c"
            return x * constant

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            assert (ctx.node, ctx.saved, ctx.state) == ("a", "b", "c")
            assert ctx.saved_tensors[0].tolist() == [1.0, 2.0]
            return dy * ctx.constant, None

    x = _tensor(lib, [1.0, 2.0])
    Times.apply(x, 3.0).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@BOTH
def test_several_outputs(lib: Any) -> None:
    Split = _split(lib, True)
    x, y = _tensor(lib, [1.0, -2.0]), _tensor(lib, [3.0, 4.0])
    product, total, whole, text = Split.apply(x, y)
    assert text == "text"
    assert not whole.requires_grad
    (product * total).sum().backward()
    # d (x y (x + y)) = 2 x y + y²
    assert x.grad.tolist() == [15.0, 0.0]
    assert y.grad.tolist() == [7.0, -12.0]


@BOTH
@pytest.mark.parametrize("materialize", [True, False])
def test_outputs_that_are_not_used(lib: Any, materialize: bool) -> None:
    Split = _split(lib, materialize)
    x, y = _tensor(lib, [1.0, -2.0]), _tensor(lib, [3.0, 4.0])
    Split.apply(x, y)[0].sum().backward()
    unused = [0.0, 0.0] if materialize else None
    assert Split.seen[:2] == [[1.0, 1.0], unused]
    assert x.grad.tolist() == [3.0, 4.0]


@BOTH
def test_second_derivatives_through_several_outputs(lib: Any) -> None:
    Split = _split(lib, True)
    x, y = _tensor(lib, [1.0, -2.0]), _tensor(lib, [3.0, 4.0])
    product, total, *_ = Split.apply(x, y)
    gx, gy = lib.autograd.grad((product * total).sum(), [x, y], create_graph=True)
    second = lib.autograd.grad((gx * gy).sum(), [x, y])
    # gx = 2xy + y², gy = 2xy + x²
    assert second[0].tolist() == [6 * 7 + 15 * 8.0, 8 * -12 + 0.0]
    assert second[1].tolist() == [(2 + 6) * 7 + 15 * 2.0, (-4 + 8) * -12.0]


@BOTH
def test_one_output_asked_for_at_a_time(lib: Any) -> None:
    Split = _split(lib, True)
    x, y = _tensor(lib, [1.0, -2.0]), _tensor(lib, [3.0, 4.0])
    product, total, *_ = Split.apply(x, y)
    assert lib.autograd.grad(total.sum(), x, retain_graph=True)[0].tolist() == [1.0, 1.0]
    assert lib.autograd.grad(product.sum(), x, retain_graph=True)[0].tolist() == [3.0, 4.0]
    # And with respect to an output.
    (one,) = lib.autograd.grad((product**2).sum(), product, retain_graph=True)
    assert one.tolist() == [6.0, -16.0]
    lib.autograd.backward([product.sum(), total.sum()])
    assert x.grad.tolist() == [4.0, 5.0]


@BOTH
def test_marks(lib: Any) -> None:
    class Sorted(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            double, half = 2 * x, x / 2
            ctx.mark_non_differentiable(half)
            return double, half

        @staticmethod
        def backward(ctx: Any, dy: Any, dhalf: Any) -> Any:
            assert dhalf.tolist() == [0.0, 0.0]
            return 2 * dy

    x = _tensor(lib, [1.0, 2.0])
    double, half = Sorted.apply(x)
    assert double.requires_grad
    assert not half.requires_grad
    (double * half).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]


@BOTH
def test_an_input_changed_in_place(lib: Any) -> None:
    class AddOne(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            x.add_(1.0)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return 5 * dy

    x = _tensor(lib, [1.0, 2.0])
    y = 2 * x
    z = AddOne.apply(y)
    assert z is y
    (z * z).sum().backward()
    assert x.grad.tolist() == [2 * 3 * 5 * 2.0, 2 * 5 * 5 * 2.0]
    with pytest.raises(RuntimeError, match="leaf"):
        AddOne.apply(x)


@BOTH
def test_an_input_handed_through(lib: Any) -> None:
    class Reverse(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return -dy

    x = _tensor(lib, [1.0, 2.0])
    y = Reverse.apply(x)
    assert y is not x
    (y * y).sum().backward()
    assert x.grad.tolist() == [-2.0, -4.0]
    assert x.is_leaf
    assert not y.is_leaf


@BOTH
def test_what_needs_no_gradient_is_not_recorded(lib: Any) -> None:
    Cube = _cube(lib)
    assert not Cube.apply(_tensor(lib, [1.0], False)).requires_grad
    with lib.no_grad():
        assert not Cube.apply(_tensor(lib, [1.0])).requires_grad


@BOTH
def test_gradients_are_brought_into_the_form_of_the_input(lib: Any) -> None:
    class Sum(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x + y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy.to(lib.float32), dy, None, None

    x, y = _tensor(lib, [[1.0], [2.0]]), _tensor(lib, [1.0, 2.0, 3.0])
    Sum.apply(x, y).sum().backward()
    assert x.grad.dtype == lib.float64
    assert x.grad.tolist() == [[3.0], [3.0]]
    assert y.grad.tolist() == [2.0, 2.0, 2.0]


@BOTH
def test_complex_numbers(lib: Any) -> None:
    class Parts(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Any) -> Any:
            return z * 2j, z.real

        @staticmethod
        def backward(ctx: Any, dz: Any, dx: Any) -> Any:
            return dz * -2j + dx

    z = lib.tensor([1.0 + 2.0j, 3.0j], requires_grad=True)
    turned, real = Parts.apply(z)
    assert turned.requires_grad
    assert real.requires_grad
    (turned.abs().sum() + (3 * real).sum()).backward()
    # ∂|2iz|/∂Re + i ∂|2iz|/∂Im = 2z / |z|
    expected = 2 * z.detach() / z.detach().abs() + 3
    np.testing.assert_allclose(z.grad.numpy(), expected.numpy(), rtol=1e-6)
    z.grad = None
    Parts.apply(z)[1].sum().backward()
    assert z.grad.tolist() == [1 + 0j, 1 + 0j]


def _returning(lib: Any, made: Any) -> Any:
    class Wrong(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, factor: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return made(dy)

    return Wrong


WRONG: dict[str, tuple[Any, str]] = {
    "too few": (lambda dy: dy, r"for each of the 2 arguments of its forward, and returned 1"),
    "too many": (lambda dy: (dy, None, dy), r"for each of the 2 arguments .* returned 3"),
    "another shape": (
        lambda dy: (dy.reshape(1, 2)[:, :1].reshape(1), None),
        r"gradient 0 of shape \(1,\), and its input has shape \(2,\)",
    ),
    "no tensor": (lambda dy: (1.0, None), r"returned float as gradient 0"),
    "complex": (
        lambda dy: (dy * 1j, None),
        r"returned a complex gradient 0, and its input is float64; return its real part",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_are_named(name: str) -> None:
    made, message = WRONG[name]
    x = _tensor(nnscratch, [1.0, 2.0])
    with pytest.raises(GradientError, match=f"Wrong.backward.*{message}"):
        _returning(nnscratch, made).apply(x, 2).sum().backward()
    assert x.grad is None


@BOTH
def test_gradients_for_what_is_no_tensor_are_refused(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    with pytest.raises(RuntimeError, match="gradient"):
        _returning(lib, lambda dy: (dy, dy)).apply(x, 2).sum().backward()


@BOTH
def test_none_is_no_gradient(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    _returning(lib, lambda dy: (None, None)).apply(x, 2).sum().backward()
    assert x.grad is None


@BOTH
def test_once_differentiable(lib: Any) -> None:
    mark = once_differentiable if lib is nnscratch else torch.autograd.function.once_differentiable

    class Square(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @mark
        def backward(ctx: Any, dy: Any) -> Any:
            (x,) = ctx.saved_tensors
            return lib.tensor(2 * dy.detach().numpy() * x.detach().numpy())

    x = _tensor(lib, [1.0, 2.0])
    Square.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    (first,) = lib.autograd.grad((Square.apply(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@BOTH
def test_a_graph_is_walked_once_unless_it_is_retained(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    y = _cube(lib).apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [6.0, 24.0]
    with pytest.raises(RuntimeError, match=r"freed|second time"):
        y.backward()


@BOTH
def test_saved_tensors_must_not_change(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    held = x * 1
    y = _cube(lib).apply(held)
    with lib.no_grad():
        held.add_(1.0)
    with pytest.raises(RuntimeError, match=r"changed in place|inplace"):
        y.sum().backward()


def test_a_saved_tensor_is_as_it_was() -> None:
    # A change that is part of a graph leaves the memory alone, so that nothing is lost.
    x = _tensor(nnscratch, [1.0, 2.0])
    held = x * 1
    y = _cube(nnscratch).apply(held)
    held.add_(1.0)
    (first,) = grad(y.sum(), x, create_graph=True)
    assert first.tolist() == [3.0, 12.0]
    assert grad(first.sum(), x)[0].tolist() == [6.0, 12.0]


def test_a_call_holds_no_cycle() -> None:
    class Exp(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * ctx.saved_tensors[0]

    x = _tensor(nnscratch, [0.0, 1.0])
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(x)
        y.sum().backward(retain_graph=True)
        seen = weakref.ref(y.grad_fn)
        del y
        assert seen() is None
    finally:
        gc.enable()
    (second,) = grad(grad(Exp.apply(x).sum(), x, create_graph=True)[0].sum(), x)
    np.testing.assert_allclose(second.numpy(), np.exp([0.0, 1.0]))


def test_misuse_is_named() -> None:
    Cube = _cube(nnscratch)
    with pytest.raises(ConfigurationError, match=r"call Cube.apply"):
        Cube()

    class Empty(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x, 3)
            return x

    x = _tensor(nnscratch, [1.0])
    with pytest.raises(ConfigurationError, match="got int as argument 1"):
        Empty.apply(x)

    class Forward(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, *, factor: Any = 1) -> Any:
            return x * 2

    with pytest.raises(ConfigurationError, match="factor can be given by keyword only"):
        Forward.apply(x, factor=2)
    with pytest.raises(ConfigurationError, match=r"static method backward"):
        Forward.apply(x).sum().backward()


def test_the_checkers_take_functions() -> None:
    Cube = _cube(nnscratch)
    x = np.asarray([0.5, -1.5])
    for target in (Cube, Cube.apply):
        assert nnscratch.gradcheck(target, [x])
        assert nnscratch.gradgradcheck(target, [x])

    class Halved(Cube):  # type: ignore[misc, valid-type]
        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return Cube.backward(ctx, dy) / 2

    assert not nnscratch.gradcheck(Halved.apply, [x])

    class Cut(Cube):  # type: ignore[misc, valid-type]
        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            (x,) = ctx.saved_tensors
            return dy * 3 * x.detach() * x

    assert nnscratch.gradcheck(Cut, [x])
    assert not nnscratch.gradgradcheck(Cut, [x])


def test_inside_a_module_that_trains() -> None:
    class Clipped(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.clamp(-1.0, 1.0)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy

    layer = nnscratch.nn.Linear(3, 2)
    optimizer = nnscratch.optim.Adam(layer.parameters(), lr=0.1)
    x = nnscratch.ones(4, 3)
    before = layer.weight.detach().clone()
    for _ in range(2):
        optimizer.zero_grad()
        (Clipped.apply(layer(x)) ** 2).sum().backward()
        optimizer.step()
    assert not (layer.weight == before).all()
