"""The chain rule on any graph: branches, reuse, depth, memory, hooks, changes in place."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import formulas as f
from nnscratch import nn
from nnscratch.errors import GradientError, ShapeError
from nnscratch.tensors import apply


def leaf(*shape: int) -> nnscratch.Tensor:
    return nnscratch.randn(*shape, dtype="float64", requires_grad=True)


GRAPHS = {
    "branches": lambda x, w: (x * w).tanh() + (x - w).exp(),
    "one input twice": lambda x, w: x * x * w,
    "a result used three times": lambda x, w: (lambda h: h * h + h.exp() * h)(x + w),
    "residual sums": lambda x, w: x + (x @ w + (x @ w).relu()) + x,
    "one input as both operands": lambda x, w: x / (x * x + 1.0) + (w - w),
    "broadcast rows": lambda x, w: x * w[0] + w.sum(0),
    "broadcast columns": lambda x, w: x + w[:, :1] * x,
    "a scalar out of a matrix": lambda x, w: x * w.mean() - w.max(),
    "views of views": lambda x, w: x.reshape(-1).reshape(2, 8).T[::2] + w[:, :2],
    "two heads": lambda x, w: (x @ w).relu().sum() + (x @ w).softmax(1)[0].sum() + w.norm(),
    "same leaf at three depths": lambda x, w: ((x @ w).tanh() @ w).tanh() @ w,
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_have_the_gradients_of_pytorch(name: str) -> None:
    rng = np.random.default_rng(1)
    check(GRAPHS[name], GRAPHS[name], [rng.normal(size=(4, 4)), rng.normal(size=(4, 4))])


def test_a_parameter_used_twice_adds_up() -> None:
    w = leaf(3)
    ((w * 2.0).sum() + (w * 3.0).sum()).backward()
    assert np.array_equal(w.grad.numpy(), [5.0] * 3)


def test_gradients_add_up_over_backwards_and_not_into_shared_memory() -> None:
    x, y = leaf(3), leaf(3)
    total = (x + y).sum()
    total.backward()
    assert x.grad.array is not y.grad.array
    (x * 2.0).sum().backward()
    assert np.array_equal(x.grad.numpy(), [3.0] * 3)
    assert np.array_equal(y.grad.numpy(), [1.0] * 3)


def test_the_cotangent_that_was_passed_is_kept_as_it_was() -> None:
    x, given = leaf(3), nnscratch.ones(3, dtype="float64")
    (x + 0.0).backward(given)
    (x + 0.0).backward(given)
    assert np.array_equal(given.numpy(), [1.0] * 3)
    assert np.array_equal(x.grad.numpy(), [2.0] * 3)


@pytest.mark.parametrize("depth", [5_000, 20_000])
def test_a_deep_graph_does_not_hit_the_recursion_limit(depth: int) -> None:
    x = leaf(2)
    y = x
    for _ in range(depth):
        y = y + 1.0
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), [1.0, 1.0])


def test_a_deep_graph_is_dropped_without_a_backward() -> None:
    y = leaf(2)
    for _ in range(20_000):
        y = y * 1.0
    reference = weakref.ref(y.node)
    del y
    assert reference() is None


def test_a_wide_graph_of_long_chains() -> None:
    x = leaf(2)
    total = sum(((x * float(i)).tanh() for i in range(300)), start=x * 0.0)
    total.sum().backward()
    z = theirs(np.asarray(x.detach()), True)
    sum(((z * float(i)).tanh() for i in range(300)), start=z * 0.0).sum().backward()
    assert_same(x.grad, z.grad)


def test_backward_frees_the_graph_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        x = leaf(4)
        h = x * 2.0
        kept = weakref.ref(h.node)
        array = weakref.ref(h.tanh().array)
        loss = h.exp().sum()
        del h
        loss.backward()
        assert kept() is None
        assert array() is None
        assert loss.node is not None
        assert loss.node.edges == ()
    finally:
        gc.enable()


def test_steps_of_training_do_not_grow_the_memory() -> None:
    model = nn.Sequential(nn.Linear(20, 50), nn.Tanh(), nn.Linear(50, 3))
    x, y = nnscratch.randn(64, 20), nnscratch.randint(0, 3, (64,))
    optimizer = nnscratch.optim.Adam(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    for _ in range(5):
        step()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        step()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            step()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    # One activation a step would be 20 * 64 * 50 * 4 = 256,000 bytes.
    assert after - before < 100_000


def test_retain_grad_holds_no_cycle() -> None:
    gc.disable()
    try:
        h = leaf(3) * 2.0
        h.retain_grad()
        reference = weakref.ref(h)
        del h
        assert reference() is None
    finally:
        gc.enable()


def test_the_graph_can_be_walked_twice_only_if_it_is_retained() -> None:
    x = leaf(3)
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert np.allclose(x.grad.numpy(), 4.0 * x.detach().numpy())
    with pytest.raises(GradientError, match=r"freed by an earlier backward.*retain_graph=True"):
        loss.backward()


def test_half_of_a_graph_can_be_walked_twice() -> None:
    x = leaf(3)
    h = x * x
    h.sum().backward(retain_graph=True)
    (h * 2.0).sum().backward()
    assert np.allclose(x.grad.numpy(), 6.0 * x.detach().numpy())


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add_(1.0),
        lambda x: x.detach().mul_(2.0),
        lambda x: x.data.zero_(),
        lambda x: x.detach().__setitem__(0, 5.0),
        lambda x: x.detach()[1:].fill_(3.0),
        lambda x: x.detach().reshape(1, 3).T.mul_(3.0),
        lambda x: x.copy_(x * 2.0),
        lambda x: x.clamp_(0.0, 1.0),
    ],
)
def test_a_change_in_place_that_a_backward_would_miss_is_an_error(change: object) -> None:
    x = leaf(3)
    loss = (x * x).sum()
    with nnscratch.no_grad():
        change(x)  # type: ignore[operator]
    with pytest.raises(GradientError, match=r"backward of multiply needs was changed in place"):
        loss.backward()


def test_a_change_in_place_that_no_backward_needs_is_none() -> None:
    x = leaf(3)
    loss = (x + x).sum()
    with nnscratch.no_grad():
        x.add_(1.0)
    loss.backward()
    assert np.array_equal(x.grad.numpy(), [2.0] * 3)


def test_an_optimizer_step_between_forward_and_backward_is_noticed() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    optimizer = nnscratch.optim.SGD(model.parameters(), lr=0.1)
    loss = model(nnscratch.randn(2, 3)).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(GradientError, match="changed in place"):
        loss.backward()


def test_leaves_and_graphs_refuse_changes_that_would_be_lost() -> None:
    x = leaf(3)
    for change in (lambda: x.add_(1.0), lambda: x.zero_(), lambda: x.copy_(x)):
        with pytest.raises(GradientError, match=r"leaf .* no_grad"):
            change()
    with pytest.raises(GradientError, match=r"leaf .* no_grad"):
        x[0] = 1.0
    with pytest.raises(GradientError, match="overwritten"):
        (x * 2.0).normal_()


def inplace(library: object, x: object, w: object) -> object:
    h = x * w  # type: ignore[operator]
    h += x
    h *= 2.0
    out = (x * 0.0).detach()  # type: ignore[operator]
    out.add_(h)
    out.sub_(w, alpha=0.5)
    h.div_(w)
    return out + h


def test_in_place_arithmetic_in_a_graph_is_recorded() -> None:
    rng = np.random.default_rng(3)
    check(
        lambda x, w: inplace(nnscratch, x, w),
        lambda x, w: inplace(torch, x, w),
        [rng.normal(size=(3, 2)), rng.uniform(1, 2, size=(3, 2))],
    )


def test_hooks_see_and_replace_gradients_and_can_be_removed() -> None:
    seen = []
    for library, make in ((nnscratch, ours), (torch, theirs)):
        x = make([1.0, 2.0, 3.0], True)
        h = x * 3.0
        h.register_hook(lambda gradient: gradient * 10.0)
        handle = h.register_hook(lambda gradient: gradient * 1000.0)
        handle.remove()
        sums: list[object] = []
        x.register_hook(lambda gradient, sums=sums: sums.append(gradient.sum().item()))
        x.register_hook(lambda gradient: gradient + 1.0)
        (h.sum() + (x * x).sum()).backward()
        seen.append((x.grad.tolist(), sums))
        assert library is nnscratch or seen[0] == seen[1]


def test_a_hook_needs_a_gradient() -> None:
    with pytest.raises(GradientError, match="requires_grad=True"):
        nnscratch.ones(2).register_hook(lambda gradient: gradient)


def test_retain_grad_keeps_the_gradient_of_a_result() -> None:
    x, z = ours([1.0, 2.0], True), theirs([1.0, 2.0], True)
    h, k = x * 2.0, z * 2.0
    for item in (h, k):
        item.retain_grad()
        (item * item).sum().backward()
    assert_same(h.grad, k.grad)
    assert_same(x.grad, z.grad)
    assert (x * 2.0).grad is None


def test_no_grad_as_block_decorator_and_inside_out() -> None:
    x = leaf(2)

    @nnscratch.no_grad()
    def with_parentheses() -> nnscratch.Tensor:
        return x * 2.0

    @nnscratch.no_grad
    def without() -> nnscratch.Tensor:
        """A docstring."""
        return x * 2.0

    assert not with_parentheses().requires_grad
    assert not without().requires_grad
    assert without.__doc__ == "A docstring."
    with nnscratch.no_grad():
        assert not (x * 2.0).requires_grad
        with nnscratch.enable_grad():
            assert (x * 2.0).requires_grad
        assert not nnscratch.is_grad_enabled()
    assert (x * 2.0).requires_grad
    with pytest.raises(ZeroDivisionError), nnscratch.no_grad():
        _ = 1 / 0
    assert nnscratch.is_grad_enabled()


def test_set_grad_enabled_also_works_as_a_call() -> None:
    nnscratch.set_grad_enabled(False)
    assert not nnscratch.is_grad_enabled()
    nnscratch.set_grad_enabled(True)
    with nnscratch.set_grad_enabled(False):
        assert not nnscratch.is_grad_enabled()
    assert nnscratch.is_grad_enabled()

    @nnscratch.set_grad_enabled(False)
    def decorated() -> bool:
        return nnscratch.is_grad_enabled()

    assert nnscratch.is_grad_enabled()
    assert not decorated()


def test_recording_is_a_matter_of_each_thread() -> None:
    seen = []
    with nnscratch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(nnscratch.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_what_backward_refuses() -> None:
    x = leaf(3)
    with pytest.raises(ShapeError, match=r"one element.*\.sum\(\) or \.mean\(\)"):
        (x * 2.0).backward()
    with pytest.raises(ShapeError, match=r"shape \(3,\), got \(2,\)"):
        (x * 2.0).backward(nnscratch.ones(2))
    with pytest.raises(GradientError, match="without a graph"):
        nnscratch.ones(1).backward()
    with pytest.raises(GradientError, match="without a graph"), nnscratch.no_grad():
        (x * 2.0).sum().backward()
    with pytest.raises(GradientError, match="detach"):
        (x * 2.0).requires_grad_(False)


def test_backward_of_a_leaf_and_of_a_cotangent_in_another_dtype() -> None:
    x = ours(np.float32([1.0, 2.0]), True)
    x.backward(ours([3.0, 4.0]))
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3.0, 4.0]


def test_gradients_come_back_in_the_dtype_and_shape_of_each_input() -> None:
    def mixed(x: object, y: object, z: object) -> object:
        return (x * y + z) * x.double()  # type: ignore[operator, attr-defined]

    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=(2, 3)).astype("float32"),
        rng.normal(size=(3,)),
        rng.normal(size=(2, 1)).astype("float32"),
    ]
    check(mixed, mixed, arrays)


def test_detach_cuts_the_graph() -> None:
    def cut(x: object) -> object:
        return x * (x * 2.0).detach()  # type: ignore[operator]

    check(cut, cut, [[1.0, 2.0, 3.0]])


def test_only_what_asks_is_recorded() -> None:
    x, y = leaf(2), nnscratch.ones(2, dtype="float64")
    assert (y * y).node is None
    assert (x * y).node is not None
    assert (x > 0.0).node is None
    assert not x.argmax().requires_grad
    assert apply(f.RELU, y).is_leaf


def test_a_formula_of_ones_own_goes_on_the_tape() -> None:
    from nnscratch.formulas.formula import FORMULAS, formula

    def cube_of_tests_forward(X: object) -> object:
        return X**3, (X,)  # type: ignore[operator]

    def cube_backward(dY: object, saved: object, needs: object) -> object:
        return (3.0 * saved[0] ** 2 * dY,)  # type: ignore[index]

    try:
        cube = formula(
            cube_of_tests_forward,  # type: ignore[arg-type]
            cube_backward,  # type: ignore[arg-type]
            equation="X^3",
            gradients={"X": "3 X^2"},
            shapes="any",
            source="this test",
        )
        x = leaf(3)
        apply(cube, x).sum().backward()
        assert np.allclose(x.grad.numpy(), 3.0 * x.detach().numpy() ** 2)
    finally:
        FORMULAS.pop("cube_of_tests", None)


def test_a_gradient_that_somebody_keeps_is_not_written_over() -> None:
    model = nn.Linear(3, 1)
    optimizer = nnscratch.optim.SGD(model.parameters(), lr=0.0)
    x = nnscratch.randn(4, 3)
    model(x).sum().backward()
    kept, values = model.weight.grad, model.weight.grad.tolist()
    optimizer.step()
    optimizer.zero_grad()
    (model(x) * 2.0).sum().backward()
    assert kept.tolist() == values
    assert np.allclose(model.weight.grad.numpy(), 2.0 * np.asarray(values))


def test_threads_build_and_walk_their_own_graphs() -> None:
    def work(seed: int, results: dict[int, float]) -> None:
        x = nnscratch.tensor([float(seed)], requires_grad=True)
        for _ in range(50):
            x.grad = None
            (x * x).sum().backward()
        results[seed] = x.grad.item()

    results: dict[int, float] = {}
    threads = [threading.Thread(target=work, args=(seed, results)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {seed: 2.0 * seed for seed in range(4)}
