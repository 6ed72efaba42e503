"""Gradients on request, and gradients that are parts of a graph, are PyTorch's."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch.autograd import backward, grad
from nnscratch.errors import ConfigurationError, GradientError, ShapeError
from nnscratch.formulas import registry

BOTH = pytest.mark.parametrize("lib", [nnscratch, torch], ids=["nnscratch", "torch"])
# That a gradient with a graph and its leaf hold each other, which Python sees.
pytestmark = pytest.mark.filterwarnings("ignore:Using backward.. with create_graph:UserWarning")
RNG = np.random.default_rng(11)


def _tensor(lib: Any, values: Any, asks: bool = True) -> Any:
    return lib.tensor(values, dtype=lib.float64, requires_grad=asks)


@BOTH
def test_derivatives_of_a_power(lib: Any) -> None:
    x = _tensor(lib, 2.0)
    y, orders = x**4, []
    for _ in range(4):
        (y,) = lib.autograd.grad(y, x, create_graph=True)
        orders.append(y.item())
    assert orders == [32.0, 48.0, 48.0, 24.0]
    assert x.grad is None


@BOTH
def test_with_respect_to_what_is_no_leaf(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    h = x * 3
    y = (h**2).sum() + x.sum()
    gh, gx = lib.autograd.grad(y, [h, x])
    assert gh.tolist() == [6.0, 12.0]
    assert gx.tolist() == [19.0, 37.0]
    assert not gh.requires_grad


@BOTH
def test_what_was_not_walked_is_not_used_up(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    h = x * x
    y = (h**2).sum()
    (gh,) = lib.autograd.grad(y, h)
    h.backward(gh)
    assert x.grad.tolist() == [4.0, 32.0]
    assert lib.autograd.grad(y, y)[0].item() == 1.0


@BOTH
def test_retained_gradients_are_those_behind_all_hooks(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    h = x * x
    assert not h.retains_grad
    h.register_hook(lambda g: g * 2)
    h.retain_grad()
    h.retain_grad()
    handle = h.register_hook(lambda g: g + 100)
    h.register_hook(lambda g: g * 3)
    assert h.retains_grad
    handle.remove()
    h.sum().backward()
    assert h.grad.tolist() == [6.0, 6.0]
    assert x.grad.tolist() == [12.0, 24.0]
    x.retain_grad()
    assert not x.retains_grad
    with pytest.raises(RuntimeError, match=r"retain_grad"):
        x.detach().retain_grad()


@BOTH
def test_only_what_is_asked_for_is_changed(lib: Any) -> None:
    x, w = _tensor(lib, [1.0, 2.0]), _tensor(lib, [3.0, 4.0])
    loss = (x * w).sum()
    loss.backward(inputs=[x], retain_graph=True)
    assert x.grad.tolist() == [3.0, 4.0]
    assert w.grad is None
    lib.autograd.grad(loss, w)
    assert w.grad is None
    with pytest.raises(RuntimeError, match=r"freed|second time"):
        lib.autograd.grad(loss, w)


@BOTH
def test_several_outputs_at_once(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    h = x * x
    found = lib.autograd.grad(
        [h, h.sum(), x],
        x,
        [_tensor(lib, [1.0, 10.0], False), None, _tensor(lib, [5.0, 5.0], False)],
    )
    assert found[0].tolist() == [2.0 + 2.0 + 5.0, 40.0 + 4.0 + 5.0]
    h = x * x
    lib.autograd.backward([h.sum(), h], [None, _tensor(lib, [1.0, 10.0], False)])
    assert x.grad.tolist() == [4.0, 44.0]


@BOTH
def test_the_same_tensor_twice(lib: Any) -> None:
    x = _tensor(lib, 3.0)
    y = x * x
    a, b, c = lib.autograd.grad(y, [x, x, y])
    assert [a.item(), b.item(), c.item()] == [6.0, 6.0, 1.0]


def test_gradients_share_no_memory() -> None:
    x, y = _tensor(nnscratch, [1.0, 2.0]), _tensor(nnscratch, [3.0, 4.0])
    seed = nnscratch.ones(2, dtype="float64")
    z = x + y
    found = grad(z, [x, y, z], seed)
    for index, one in enumerate(found):
        one.mul_(index + 2.0)
    assert [one.tolist() for one in found] == [[2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]
    assert seed.tolist() == [1.0, 1.0]


@BOTH
def test_inputs_that_are_not_used(lib: Any) -> None:
    x, w = _tensor(lib, [1.0, 2.0]), _tensor(lib, [3.0, 4.0])
    y = (x * x).sum()
    with pytest.raises(RuntimeError, match=r"allow_unused"):
        lib.autograd.grad(y, [x, w], retain_graph=True)
    gx, gw = lib.autograd.grad(y, [x, w], retain_graph=True, allow_unused=True)
    assert gx.tolist() == [2.0, 4.0]
    assert gw is None
    gw = lib.autograd.grad(y, [w], materialize_grads=True)[0]
    assert gw.tolist() == [0.0, 0.0]
    assert gw.dtype == lib.float64


@BOTH
def test_variables_are_tensors(lib: Any) -> None:
    x = lib.tensor([1.0, 2.0])
    v = lib.autograd.Variable(x, requires_grad=True)
    (v * v).sum().backward()
    assert v.grad.tolist() == [2.0, 4.0]
    assert not x.requires_grad
    assert isinstance(v, lib.autograd.Variable)
    x.add_(1.0)
    assert v.tolist() == [2.0, 3.0]
    assert not lib.autograd.Variable(x).requires_grad


def test_misuse_is_named() -> None:
    x = _tensor(nnscratch, [1.0, 2.0])
    y = x * x
    with pytest.raises(GradientError, match=r"requires_grad=True, got input 0 of shape \(2,\)"):
        grad(y.sum(), _tensor(nnscratch, [1.0, 2.0], False))
    with pytest.raises(GradientError, match=r"grad\(\) on a tensor without a graph"):
        grad(nnscratch.tensor(1.0), x)
    with pytest.raises(ShapeError, match=r"grad\(\) without a gradient needs one element"):
        grad(y, x)
    with pytest.raises(ShapeError, match=r"gradient must have shape \(2,\), got \(3,\)"):
        grad(y, x, nnscratch.ones(3))
    with pytest.raises(ConfigurationError, match="a gradient for each of 1 tensors"):
        grad(y, x, [nnscratch.ones(2), nnscratch.ones(2)])
    with pytest.raises(ConfigurationError, match="is_grads_batched=True is not supported"):
        grad(y, x, nnscratch.ones(1, 2), is_grads_batched=True)
    with pytest.raises(ConfigurationError, match="only_inputs=False is not supported"):
        grad(y.sum(), x, only_inputs=False)
    with pytest.raises(ConfigurationError, match="allow_unused=False cannot hold"):
        grad(y.sum(), x, allow_unused=False, materialize_grads=True)
    with pytest.raises(ConfigurationError, match="in inputs, got str"):
        grad(y.sum(), ["x"])
    with pytest.raises(ConfigurationError, match="at least one tensor in inputs"):
        backward(y.sum(), inputs=[])
    with pytest.raises(ConfigurationError, match="grad_variables is an earlier name"):
        backward(y.sum(), [None], grad_variables=[None])


# Gradients as parts of a graph.


@BOTH
def test_backward_with_a_graph(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    (x**3).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    assert first.tolist() == [3.0, 12.0]
    assert first.requires_grad
    assert not first.is_leaf
    first.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]
    # What comes on top is added, and belongs to the graph.
    (x**2).sum().backward(create_graph=True)
    assert x.grad.tolist() == [8.0, 16.0]
    assert x.grad.requires_grad


@BOTH
def test_create_graph_retains_the_graph(lib: Any) -> None:
    x = _tensor(lib, 2.0)
    y = x**3
    y.backward(create_graph=True)
    y.backward(create_graph=True)
    assert x.grad.item() == 24.0
    z = x**3
    (first,) = lib.autograd.grad(z, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match=r"freed|second time"):
        lib.autograd.grad(z * first, x)


@BOTH
def test_grad_modes_inside(lib: Any) -> None:
    x = _tensor(lib, 2.0)
    y = x**3
    with lib.no_grad():
        (first,) = lib.autograd.grad(y, x, create_graph=True)
    assert first.requires_grad
    assert lib.autograd.grad(first, x)[0].item() == 12.0
    assert lib.is_grad_enabled()


@BOTH
def test_hooks_see_and_change_graphs(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    h = x * x
    h.retain_grad()
    seen = []
    h.register_hook(lambda g: seen.append(g.requires_grad))
    h.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: g * 3)
    (h**2).sum().backward(create_graph=True)
    # 3 · 2 · 4 x³, whose derivative is 72 x² (and 3 once more for the hook of x).
    assert x.grad.tolist() == [24.0, 192.0]
    assert seen == [True]
    assert h.grad.requires_grad
    first, x.grad = x.grad, None
    first.sum().backward()
    assert np.isfinite(x.grad.tolist()).all()
    (again,) = lib.autograd.grad((x * x).sum(), x)
    assert again.tolist() == [6.0, 12.0]


def test_hooks_in_second_order() -> None:
    found = []
    for lib in (nnscratch, torch):
        x = _tensor(lib, [1.0, 2.0])
        h = x**3
        h.register_hook(lambda g: g * 2)
        (first,) = lib.autograd.grad((h**2).sum(), x, create_graph=True)
        # The hook changes the second walk too, where it comes by h.
        (second,) = lib.autograd.grad(first.sum(), x)
        found.append([first.tolist(), second.tolist()])
    assert found[0] == found[1]


FLAT: dict[str, Callable[[Any, Any], Any]] = {
    "relu": lambda lib, x: lib.nn.functional.relu(x),
    "leaky_relu": lambda lib, x: lib.nn.functional.leaky_relu(x),
    "hardtanh": lambda lib, x: lib.nn.functional.hardtanh(x),
    "abs": lambda lib, x: x.abs(),
    "l1": lambda lib, x: lib.nn.functional.l1_loss(x, lib.zeros_like(x)),
}


@BOTH
@pytest.mark.parametrize("name", FLAT)
def test_derivatives_that_are_constant_between_kinks_have_one_of_zero(lib: Any, name: str) -> None:
    x = _tensor(lib, [[0.5, -2.0], [3.0, -0.25]])
    (first,) = lib.autograd.grad(FLAT[name](lib, x).sum(), x, create_graph=True)
    assert first.requires_grad
    first.sum().backward(create_graph=True)
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    x.grad = None
    (first * x).sum().backward()
    assert x.grad.tolist() == first.tolist()


def test_maxima_and_clipping_have_one_too() -> None:
    x = _tensor(nnscratch, [[0.5, -2.0], [3.0, -0.25]])
    for y in (x.max(), x.amax(1), x.clamp(-1.0, 1.0), nnscratch.maximum(x, x.T), x.norm(1)):
        (first,) = grad(y.sum(), x, create_graph=True)
        assert grad(first.sum(), x)[0].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    # A linear function has none, as in PyTorch.
    assert not grad((2 * x).sum(), x, create_graph=True)[0].requires_grad


@BOTH
def test_one_array_of_two_tensors(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    for y, wanted in (
        ((x * x.detach()).sum(), None),
        ((x.detach() * x * x).sum(), [2.0, 4.0]),
        ((x * x).sum(), [2.0, 2.0]),
    ):
        (first,) = lib.autograd.grad(y, x, create_graph=True)
        if wanted is None:
            assert not first.requires_grad
        else:
            assert lib.autograd.grad(first.sum(), x)[0].tolist() == wanted


@BOTH
def test_changes_in_place_are_seen(lib: Any) -> None:
    x = _tensor(lib, [1.0, 2.0])
    h = x * 1
    y = (h**3).sum()
    (first,) = lib.autograd.grad(y, h, create_graph=True)
    with lib.no_grad():
        h.add_(1.0)
    with pytest.raises(RuntimeError, match=r"changed in place|inplace"):
        lib.autograd.grad(first.sum(), x)


def test_what_only_a_recorded_walk_needs_may_change_before_a_plain_one() -> None:
    # The logits of a cross-entropy are not needed by its first derivative.
    z = _tensor(nnscratch, [[1.0, 2.0]]) * 1
    loss = nnscratch.nn.functional.cross_entropy(z, nnscratch.tensor([0]))
    with nnscratch.no_grad():
        z.add_(1.0)
    with pytest.raises(GradientError, match="cross_entropy needs was changed in place"):
        grad(loss, z, create_graph=True)
    assert grad(loss, z)[0].shape == (1, 2)


@BOTH
def test_zero_grad_of_gradients_with_a_graph(lib: Any) -> None:
    layer = lib.nn.Linear(2, 1)
    optimizer = lib.optim.SGD(layer.parameters(), lr=0.1)
    for set_to_none in (False, True):
        (layer(lib.ones(3, 2)) ** 2).sum().backward(create_graph=True)
        before = layer.weight.detach().clone()
        optimizer.step()
        assert not (layer.weight == before).all()
        optimizer.zero_grad(set_to_none=set_to_none)
        if not set_to_none:
            assert layer.weight.grad.tolist() == [[0.0, 0.0]]
            assert not layer.weight.grad.requires_grad


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "indexing": lambda lib, x: (x[1:, ::2] ** 3).sum() + x[0, 1] ** 2,
    "indexing by arrays": lambda lib, x: (x[[0, 1, 1], [2, 0, 0]] ** 3).sum(),
    "a mask": lambda lib, x: (x[x > 0] ** 3).sum(),
    "max of rows": lambda lib, x: (x.max(1).values ** 3).sum(),
    "amax": lambda lib, x: (x.amax((0, 1)) ** 3).sum(),
    "norm": lambda lib, x: x.norm() ** 3,
    "norm of rows": lambda lib, x: (x.norm(dim=1) ** 3).sum(),
    "std": lambda lib, x: (x.std(1) ** 3).sum(),
    "var": lambda lib, x: (x.var(0) ** 2).sum(),
    "cat": lambda lib, x: (lib.cat([x, x * x], 1) ** 3).sum(),
    "stack": lambda lib, x: (lib.stack([x, x.exp()]) ** 3).sum(),
    "where": lambda lib, x: (lib.where(x > 0, x**3, x**2)).sum(),
    "clamp": lambda lib, x: (x.clamp(-1.0, 1.0) ** 3).sum(),
    "matmul": lambda lib, x: ((x @ x.T) ** 2).sum(),
    "mean": lambda lib, x: (x.mean(0) ** 3).sum(),
    "permute and reshape": lambda lib, x: (x.permute(1, 0).reshape(-1)[2:] ** 3).sum(),
    "broadcasting": lambda lib, x: ((x[:, :1] * x[:1]) ** 2).sum(),
    "sigmoid": lambda lib, x: x.sigmoid().prod() if lib is torch else _product(x.sigmoid()),
    "logsumexp": lambda lib, x: (x.logsumexp(1) ** 2).sum(),
    "log_softmax": lambda lib, x: (lib.nn.functional.log_softmax(x, 1) ** 2).sum(),
    "gelu": lambda lib, x: (lib.nn.functional.gelu(x) ** 2).sum(),
    "normalize": lambda lib, x: (lib.nn.functional.normalize(x, dim=1) ** 3).sum(),
    "in place": lambda lib, x: ((x * x).mul_(x) ** 2).sum(),
    "dtypes": lambda lib, x: (x.to(lib.float32).to(lib.float64) ** 3).sum(),
    "a view written into": lambda lib, x: _written(x),
}


def _product(x: Any) -> Any:
    made = 1.0
    for row in x:
        for one in row:
            made = made * one
    return made


def _written(x: Any) -> Any:
    y = x * x
    y[0].mul_(x[1])
    return (y**2).sum()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_three_orders(name: str) -> None:
    values = RNG.standard_normal((2, 3))
    found = []
    for lib in (nnscratch, torch):
        x = _tensor(lib, values)
        y, orders = FUNCTIONS[name](lib, x), []
        for order in range(3):
            (y,) = lib.autograd.grad(y, x, create_graph=True, materialize_grads=True)
            orders.append(np.asarray(y.detach()))
            weights = lib.arange(1.0, 7.0).reshape(2, 3).to(lib.float64)
            if not y.requires_grad:
                break
            y = (y * weights).sum() + 0 * order
        found.append(orders)
    assert len(found[0]) >= min(len(found[1]), 2)
    for mine, theirs in zip(*found, strict=False):
        single = name == "dtypes"
        rtol, atol = (1e-5, 1e-6) if single else (1e-9, 1e-11)
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=atol)


# What second derivatives are for.


def _critic(lib: Any) -> Any:
    layers = [lib.nn.Linear(4, 8), lib.nn.LeakyReLU(0.2), lib.nn.Linear(8, 8), lib.nn.Tanh()]
    model = lib.nn.Sequential(*layers, lib.nn.Linear(8, 1))
    rng = np.random.default_rng(5)
    with lib.no_grad():
        for parameter in model.parameters():
            values = rng.standard_normal(tuple(parameter.shape)) / 2
            parameter.copy_(lib.tensor(values, dtype=lib.float32))
    return model


def test_a_gradient_penalty() -> None:
    real, fake, mix = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 4)), RNG.random((6, 1))
    found = []
    for lib in (nnscratch, torch):
        model = _critic(lib)
        optimizer = lib.optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for _ in range(5):
            a, b, m = (lib.tensor(v, dtype=lib.float32) for v in (real, fake, mix))
            between = (m * a + (1 - m) * b).requires_grad_(True)
            scores = model(between)
            (slope,) = lib.autograd.grad(
                outputs=scores,
                inputs=between,
                grad_outputs=lib.ones_like(scores),
                create_graph=True,
                retain_graph=True,
                only_inputs=True,
            )
            penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
            loss = model(b).mean() - model(a).mean() + 10 * penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found.append((losses, [np.asarray(p.detach()) for p in model.parameters()]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    for mine, theirs in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)


def test_learning_to_learn() -> None:
    """MAML: the loss after steps of gradient descent, differentiated through these steps."""
    xs, ys = RNG.standard_normal((8, 3)), RNG.standard_normal((8, 2))
    W, b = RNG.standard_normal((2, 3)), RNG.standard_normal(2)
    found = []
    for lib in (nnscratch, torch):
        x, y = _tensor(lib, xs, False), _tensor(lib, ys, False)
        start = [_tensor(lib, W), _tensor(lib, b), _tensor(lib, 0.1)]
        weight, bias, rate = start
        for _ in range(3):
            inner = ((lib.nn.functional.linear(x, weight, bias).tanh() - y) ** 2).mean()
            gw, gb = lib.autograd.grad(inner, [weight, bias], create_graph=True)
            weight, bias = weight - rate * gw, bias - rate * gb
        outer = lib.nn.functional.mse_loss(lib.nn.functional.linear(x, weight, bias).tanh(), y)
        outer.backward()
        found.append([np.asarray(t.grad) for t in start])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_an_mlp_with_cross_entropy() -> None:
    x, labels = RNG.standard_normal((8, 4)), RNG.integers(0, 1, 8)
    found = []
    for lib in (nnscratch, torch):
        model = _critic(lib)
        scores = lib.cat([model(lib.tensor(x, dtype=lib.float32)), lib.zeros(8, 2)], 1)
        loss = lib.nn.functional.cross_entropy(scores, lib.tensor(labels), label_smoothing=0.1)
        first = lib.autograd.grad(loss, list(model.parameters()), create_graph=True)
        sum((g**2).sum() for g in first).backward()
        found.append([np.asarray(p.grad) for p in model.parameters()])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-6)


def test_kernels_compute_what_a_recorded_backward_is_written_in() -> None:
    x = _tensor(nnscratch, RNG.standard_normal((64, 256)))
    found = []
    for kernels in ("auto", "off"):
        with registry.use_kernels(kernels):
            y = (nnscratch.nn.functional.softmax(x, 1) ** 2).sum()
            (first,) = grad(y, x, create_graph=True)
            found.append(grad((first**2).sum(), x)[0].numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-15)


def test_a_formula_without_a_second_derivative_is_named() -> None:
    from nnscratch.formulas.formula import FORMULAS, formula

    def sorted_of_tests_forward(X: Any) -> Any:
        from nnscratch.formulas.checks import NOTHING

        return X * 1.0, NOTHING

    def sorted_of_tests_backward(dY: Any, saved: Any, needs: Any) -> Any:
        from nnscratch.array import array_namespace

        return (array_namespace(dY).sort(dY),)

    made = formula(
        sorted_of_tests_forward,
        sorted_of_tests_backward,
        equation="Y = X",
        gradients={"X": "sort"},
        shapes="any",
        source="tests",
    )
    try:
        x = _tensor(nnscratch, [1.0, 2.0])
        y = nnscratch.tensors.apply(made, x)
        with pytest.raises(GradientError, match=r"sorted_of_tests has no second .* 'sort'"):
            grad(y.sum(), x, create_graph=True)
        y = nnscratch.tensors.apply(made, x)
        assert grad(y.sum(), x)[0].tolist() == [1.0, 1.0]
    finally:
        FORMULAS.pop("sorted_of_tests", None)


def test_a_walk_that_fails_leaves_the_mode_as_it_was() -> None:
    x = _tensor(nnscratch, [1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GradientError, match="freed"):
        grad(y, x, create_graph=True)
    assert nnscratch.is_grad_enabled()
    with nnscratch.no_grad():
        with pytest.raises(GradientError, match="freed"):
            grad(y, x, create_graph=True)
        assert not nnscratch.is_grad_enabled()


def test_what_was_used_up_is_never_left_out() -> None:
    x, w = _tensor(nnscratch, [1.0, 2.0]), _tensor(nnscratch, [3.0, 4.0])
    used = x * w
    used.sum().backward()
    # A sum over the other way alone would be wrong.
    with pytest.raises(GradientError, match="freed"):
        grad((x * used).sum(), x)
    # Nothing behind what is asked for is needed.
    assert grad((x.detach() * used).sum(), used)[0].tolist() == [1.0, 2.0]


def test_a_graph_of_gradients_goes_with_them() -> None:
    gc.collect()
    x = _tensor(nnscratch, [1.0, 2.0])
    (first,) = grad((x**3).sum(), x, create_graph=True)
    seen = weakref.ref(first.grad_fn)
    del first
    gc.collect()
    assert seen() is None
