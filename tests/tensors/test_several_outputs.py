"""Formulas with several outputs: each has a gradient of its own, and nobody has to ask for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import GradientError, ShapeError
from nnscratch.formulas import FORMULAS, SPLIT, VAR_MEAN, formula, registry
from nnscratch.tensors import apply, apply_first

BOTH = pytest.mark.parametrize("lib", [nnscratch, torch], ids=["nnscratch", "torch"])


class SinCosSaved(NamedTuple):
    """Both outputs, which the derivatives are made of."""

    S: Any
    C: Any


def sin_cos_forward(X: Any) -> Any:
    S, C = np.sin(X), np.cos(X)
    return (S, C), SinCosSaved(S, C)


def sin_cos_backward(dY: Any, saved: SinCosSaved, needs: tuple[bool, ...]) -> Any:
    dS, dC = dY
    S, C = saved
    dX = 0.0 if dS is None else dS * C
    return (dX if dC is None else dX - dC * S,)


@pytest.fixture(autouse=True)
def formulas_of_this_test() -> Iterator[None]:
    before = dict(FORMULAS)
    yield
    FORMULAS.clear()
    FORMULAS.update(before)


@pytest.fixture
def sin_cos() -> Any:
    return formula(
        sin_cos_forward,
        sin_cos_backward,
        outputs=("S", "C"),
        floats=("X",),
        equation=r"S = \sin X, C = \cos X",
        gradients={"X": r"dS \cos X - dC \sin X"},
        shapes="X (any) -> S and C (same)",
        source="a test",
    )


def leaf(*values: float) -> Any:
    return nnscratch.tensor(list(values), dtype="float64", requires_grad=True)


@pytest.mark.parametrize("asked", [(1, 0), (0, 1), (1, 1)])
def test_each_output_has_its_gradient(sin_cos: Any, asked: tuple[int, int]) -> None:
    x = leaf(0.3, -1.2)
    s, c = apply(sin_cos, x)
    assert s.node is not c.node
    sum(w * y.sum() for w, y in zip(asked, (s, c), strict=True) if w).backward()
    wanted = asked[0] * np.cos(x.detach().numpy()) - asked[1] * np.sin(x.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-15)


def test_nobody_asked(sin_cos: Any) -> None:
    with nnscratch.no_grad():
        s, c = apply(sin_cos, leaf(0.3))
    assert (s.node, c.requires_grad) == (None, False)


def test_an_output_that_was_saved_and_then_changed_is_noticed(sin_cos: Any) -> None:
    for changed in (0, 1):
        outputs = apply(sin_cos, leaf(0.3, -1.2))
        with nnscratch.no_grad():
            outputs[changed].add_(1.0)
        with pytest.raises(GradientError, match="backward of sin_cos needs was changed in place"):
            outputs[1 - changed].sum().backward()


def test_a_graph_is_used_up_once(sin_cos: Any) -> None:
    s, c = apply(sin_cos, leaf(0.3))
    (s + c).sum().backward(retain_graph=True)
    (s + c).sum().backward()
    for one in (s, c):
        with pytest.raises(GradientError, match="freed by an earlier backward"):
            one.sum().backward()


@pytest.mark.parametrize("index", [0, 1])
def test_second_derivatives_of_saved_outputs(sin_cos: Any, index: int) -> None:
    x = leaf(0.3, -1.2)
    y = apply(sin_cos, x)[index]
    (first,) = nnscratch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = nnscratch.autograd.grad(first.sum(), x)
    wanted = -(np.sin, np.cos)[index](x.detach().numpy())
    np.testing.assert_allclose(second.numpy(), wanted, rtol=1e-15)


def test_the_checker_takes_it(sin_cos: Any) -> None:
    assert nnscratch.gradcheck(sin_cos, [np.linspace(-1, 1, 5)]).verdict.value == "right"
    assert nnscratch.gradgradcheck(sin_cos, [np.linspace(-1, 1, 5)]).verdict.value == "right"


def test_the_checker_finds_a_gradient_that_one_output_spoils() -> None:
    def wrong(dY: Any, saved: SinCosSaved, needs: tuple[bool, ...]) -> Any:
        dS, dC = dY
        return (dS * saved.C + dC * saved.S,)

    def bad_forward(X: Any) -> Any:
        return sin_cos_forward(X)

    made = formula(
        bad_forward, wrong, outputs=("S", "C"), equation="", gradients={"X": ""}, shapes="",
        source="",
    )  # fmt: skip
    assert nnscratch.gradcheck(made, [np.linspace(-1, 1, 5)]).verdict.value == "wrong"


def test_an_output_of_integers_has_no_gradient() -> None:
    def largest_forward(X: Any) -> Any:
        return (np.max(X), np.argmax(X)), SinCosSaved(X, None)

    def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> Any:
        assert dY[1] is None
        return (np.where(np.max(saved.S) == saved.S, dY[0], 0.0),)

    made = formula(
        largest_forward, backward, outputs=("Y", "I"), equation="", gradients={"X": ""}, shapes="",
        source="",
    )  # fmt: skip
    x = leaf(1.0, 3.0, 2.0)
    value, index = apply(made, x)
    assert (value.requires_grad, index.requires_grad) == (True, False)
    assert index.item() == 1
    value.backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_observers_see_all_outputs_and_all_their_gradients(sin_cos: Any) -> None:
    calls: list[registry.Call] = []

    class Watcher(registry.Observer):
        def on_call(self, call: registry.Call) -> None:
            calls.append(call)

    with registry.observing(Watcher()):
        (S, C), saved = registry.forward(sin_cos, np.ones(2))
        registry.backward(sin_cos, (None, C), saved, (True,))
    assert calls[0].outputs == (S, C)
    assert calls[1].inputs == (None, C, *saved)
    assert sin_cos.output_names(2) == ["S", "C"]
    assert FORMULAS["split"].output_names(3) == ["pieces[0]", "pieces[1]", "pieces[2]"]


def test_float16_is_computed_in_float32_and_rounded_once() -> None:
    X = np.full(5000, 3.0, np.float16)
    (V, M), saved = registry.forward(VAR_MEAN, X)
    assert (V.dtype, M.dtype, float(M), float(V)) == (np.float16, np.float16, 3.0, 0.0)
    (dX,) = registry.backward(VAR_MEAN, (None, np.float16(1.0) + M * 0), saved, (True,))
    assert dX.dtype == np.float16


# Pieces.


@BOTH
def test_pieces(lib: Any) -> None:
    x = lib.arange(24.0).reshape(4, 6).requires_grad_()
    a, b, c = (x * 1).split([1, 2, 3], dim=1)
    assert [tuple(one.shape) for one in (a, b, c)] == [(4, 1), (4, 2), (4, 3)]
    (a.sum() + (c * c).sum()).backward()
    wanted = np.zeros((4, 6))
    wanted[:, :1] = 1
    wanted[:, 3:] = 2 * np.arange(24.0).reshape(4, 6)[:, 3:]
    assert np.array_equal(x.grad.numpy(), wanted)


@BOTH
def test_a_hook_of_one_piece_sees_its_own_gradient(lib: Any) -> None:
    x = lib.ones(4, requires_grad=True)
    a, b = (x * 1).chunk(2)
    seen = []
    b.register_hook(lambda g: seen.append(g.tolist()) or 10 * g)
    b.retain_grad()
    (a + 2 * b).sum().backward()
    assert seen == [[2.0, 2.0]]
    assert x.grad.tolist() == [1.0, 1.0, 20.0, 20.0]
    assert b.grad.tolist() == [20.0, 20.0]


def test_the_gradient_of_a_piece_that_was_changed_in_place() -> None:
    x = nnscratch.ones(4, requires_grad=True)
    whole = x * 1
    a, b = whole.split(2)
    b.mul_(3.0)
    assert whole.tolist() == [1.0, 1.0, 3.0, 3.0]
    (whole * whole).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 18.0, 18.0]
    del a


def test_sizes_that_do_not_add_up() -> None:
    with pytest.raises(ShapeError, match=r"sizes \[1, 2\] do not add up to 4"):
        nnscratch.ones(4).split([1, 2])
    with pytest.raises(ShapeError, match="do not add up"):
        nnscratch.ones(4).split([5, -1])


@BOTH
@pytest.mark.parametrize("name", ["var_mean", "std_mean"])
def test_spread_and_mean(lib: Any, name: str) -> None:
    x = lib.arange(12.0).reshape(3, 4).requires_grad_()
    spread, mean = getattr(lib, name)(x, dim=1, correction=0, keepdim=True)
    assert tuple(spread.shape) == tuple(mean.shape) == (3, 1)
    (spread.sum() + 3 * mean.sum()).backward()
    D = np.array([-1.5, -0.5, 0.5, 1.5])
    slope = D / 2 if name == "var_mean" else D / (4 * np.sqrt(1.25))
    np.testing.assert_allclose(x.grad.numpy(), np.tile(slope + 0.75, (3, 1)), rtol=1e-6)
    whole = getattr(lib, name)(x.detach(), False)
    assert [tuple(one.shape) for one in whole] == [(), ()]


# Compiled.


def test_a_compiled_step_with_pieces_of_which_one_is_not_used() -> None:
    torch.manual_seed(0)
    layer, twin = nn.Linear(3, 8), nn.Linear(3, 8)
    twin.load_state_dict(layer.state_dict())

    def step(model: Any, x: Any) -> Any:
        model.zero_grad()
        a, _, b, c = model(x).chunk(4, 1)
        loss = (a.sigmoid() * b.tanh() + c.relu()).sum()
        loss.backward()
        return loss

    compiled = nnscratch.compile(lambda x: step(twin, x))
    for seed in range(4):
        x = nnscratch.tensor(np.random.default_rng(seed).standard_normal((5, 3)), dtype="float32")
        wanted, got = step(layer, x), compiled(x)
        np.testing.assert_allclose(got.numpy(), wanted.detach().numpy(), rtol=1e-5)
        np.testing.assert_allclose(
            twin.weight.grad.numpy(), layer.weight.grad.numpy(), rtol=1e-5, atol=1e-6
        )
    assert compiled.plans[0].python == 0


def test_a_compiled_formula_of_ones_own(sin_cos: Any) -> None:
    compiled = nnscratch.compile(lambda x: apply(sin_cos, x))
    for shift in range(3):
        x = np.linspace(0, 1, 5) + shift
        s, c = compiled(nnscratch.tensor(x))
        np.testing.assert_allclose(s.numpy(), np.sin(x))
        np.testing.assert_allclose(c.numpy(), np.cos(x))


def test_views_are_views() -> None:
    x = nnscratch.arange(6.0)
    pieces = x.split(2)
    x.add_(10.0)
    assert [one.tolist() for one in pieces] == [[10.0, 11.0], [12.0, 13.0], [14.0, 15.0]]
    assert SPLIT.aliases


def test_only_the_first_output_is_a_part_of_the_graph(sin_cos: Any) -> None:
    x = leaf(0.3, -1.2)
    s, (c,) = apply_first(sin_cos, x)
    assert type(c) is np.ndarray
    np.testing.assert_array_equal(c, np.cos(x.detach().numpy()))
    seen: list[Any] = []
    s.register_hook(lambda gradient: seen.append(gradient.tolist()))
    (s * 2.0).sum().backward(retain_graph=True)
    assert seen == [[2.0, 2.0]]
    np.testing.assert_array_equal(x.grad.numpy(), 2.0 * np.cos(x.detach().numpy()))
    x.grad = None
    s.sum().backward()
    with pytest.raises(GradientError, match="freed"):
        s.sum().backward()


def test_only_the_first_output_and_nobody_asked(sin_cos: Any) -> None:
    with nnscratch.no_grad():
        s, _ = apply_first(sin_cos, leaf(0.3))
    assert (s.node, s.requires_grad) == (None, False)
    assert not apply_first(sin_cos, leaf(0.3).detach())[0].requires_grad


def test_the_first_output_is_changed_in_place_before_the_backward(sin_cos: Any) -> None:
    x = leaf(0.3)
    s, _ = apply_first(sin_cos, x)
    with nnscratch.no_grad():
        s += 1.0
    with pytest.raises(GradientError, match="changed in place"):
        s.sum().backward()


def test_second_derivatives_of_the_first_output(sin_cos: Any) -> None:
    """The other outputs are saved: they are found again from the inputs, as parts of the graph."""
    x = leaf(0.3, -1.2)
    values = x.detach().numpy()
    y, _ = apply_first(VAR_MEAN, x)
    (first,) = nnscratch.autograd.grad(y, x, create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), 2.0 * (values - values.mean()), rtol=1e-14)
    (second,) = nnscratch.autograd.grad(first[0], x)
    np.testing.assert_allclose(second.numpy(), [1.0, -1.0], rtol=1e-14)


@pytest.mark.parametrize("layer", ["LayerNorm", "BatchNorm1d", "InstanceNorm1d", "GroupNorm"])
def test_second_derivatives_of_layers_that_take_the_first_output(layer: str) -> None:
    made = getattr(nn, layer)(*((2, 4) if layer == "GroupNorm" else (4,))).double()
    shape = (3, 4, 4) if layer == "InstanceNorm1d" else (3, 4)
    x = nnscratch.tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)
    theirs = getattr(torch.nn, layer)(*((2, 4) if layer == "GroupNorm" else (4,))).double()
    xt = torch.tensor(x.detach().numpy(), requires_grad=True)
    found = []
    for lib, one, given in ((nnscratch, made, x), (torch, theirs, xt)):
        (gradient,) = lib.autograd.grad((one(given) ** 3).sum(), given, create_graph=True)
        (gradient**2).sum().backward()
        found.append(given.grad.detach().numpy())
    np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_gradients_added_at_once_are_those_of_the_formula(dtype: str) -> None:
    rng = np.random.default_rng(5)
    first, second = (nnscratch.tensor(rng.normal(size=(6, 7))).to(dtype) for _ in range(2))
    at_once, by_formula = first.clone().array, first.clone().array
    registry.add_to(at_once, second.array)
    registry.update(FORMULAS["accumulate"], by_formula, second.array)
    assert at_once.tobytes() == by_formula.tobytes()


def test_gradients_added_at_once_overflow_quietly_and_are_seen() -> None:
    most = np.full(3, np.finfo(np.float32).max)
    registry.add_to(most, most.copy())
    assert np.isinf(most).all()
    with registry.observing(registry.CallLog()) as log:
        registry.add_to(np.ones(3), np.ones(3))
    assert [name for name, _, _ in log.ran] == ["accumulate"]
    with pytest.raises(ShapeError):
        registry.add_to(np.ones(3), np.ones(2))
