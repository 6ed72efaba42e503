"""Frozen steps: what follows from parameters and buffers alone is computed once, when planned."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import PlanError
from nnscratch.kernels import cpu
from nnscratch.plan.compiled import Compiled


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Choose how many threads there are, for one test."""
    before = cpu.runtime.threads.limit()
    yield nnscratch.set_num_threads
    nnscratch.set_num_threads(before)


def picture_network() -> nn.Module:
    """Winograd's filters, weights in the order of tiles, strided ones, roots of variances."""
    nnscratch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.BatchNorm2d(24, affine=False),
        nn.Conv2d(24, 40, 1),
        nn.Conv2d(40, 40, 5, stride=2, groups=4),
        nn.Flatten(),
        nn.Linear(40 * 36, 5),
    )
    for one in model.buffers():
        if one.ndim:
            one.copy_(nnscratch.rand(*one.shape) + 0.5)
    return model.eval()


def pictures(rows: int, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    return nnscratch.tensor(rng.standard_normal((rows, 3, 16, 16)).astype("float32"))


def both(model: Any, **settings: Any) -> tuple[Any, Any]:
    """Compile a model frozen, and as it is."""
    made = nnscratch.compile(model, freeze=True, **settings)
    return made, nnscratch.compile(model, **settings)


def alike(frozen: Any, plain: Any, *inputs: Any, times: int = 3) -> None:
    """Compare both, by their bits in the last call, which is a replay."""
    with nnscratch.no_grad():
        for _ in range(times):
            made, expected = frozen(*inputs).numpy(), plain(*inputs).numpy()
            np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)
        assert made.tobytes() == expected.tobytes()


def test_the_same_bits_with_fewer_instructions(kernels: str) -> None:
    frozen, plain = both(picture_network())
    for rows in (1, 3):
        alike(frozen, plain, pictures(rows))
        alike(frozen, plain, pictures(rows, seed=2), times=1)
    for one, other in zip(frozen.plans, plain.plans, strict=True):
        assert other.once == 0
        if kernels == "kernels":
            assert one.once >= 4
            assert one.native + one.once == other.native


def test_spoilt_numbers_with_few_and_many_threads(threads: Callable[[int], None]) -> None:
    """Winograd's way says for each call anew that it has to be computed again."""
    frozen, plain = both(picture_network())
    threads(2)
    alike(frozen, plain, pictures(2))
    for count in (2, 1, 2):
        threads(count)
        spoilt = pictures(2)
        spoilt[1, 0, 3, 3] = float("inf")
        alike(frozen, plain, spoilt, times=1)
        alike(frozen, plain, pictures(2), times=1)


def test_plans_of_several_shapes_share_what_was_computed() -> None:
    frozen, _ = both(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32)).eval())
    with nnscratch.no_grad():
        for rows in (2, 3, 4):
            for _ in range(2):
                frozen(nnscratch.ones(rows, 32, 8, 8))
    assert [plan.once for plan in frozen.plans] == [2, 2, 2]
    parts = [{id(part) for part in plan._parts} for plan in frozen.plans]
    assert parts[0] == parts[1] == parts[2]


def test_what_no_plan_uses_is_dropped() -> None:
    frozen, _ = both(picture_network())
    with nnscratch.no_grad():
        for _ in range(3):
            frozen(pictures(1))
    store = frozen._compiled_call._store
    constants = store._constants
    assert len(constants._parts)
    frozen._compiled_call._last = (None, None)
    store.clear()
    gc.collect()
    assert not len(constants._parts)


def _load(model: Any) -> None:
    model.load_state_dict({k: v.detach() * 1.5 for k, v in model.state_dict().items()})


def _step(model: Any) -> None:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model(pictures(2)).square().mean().backward()
    optimizer.step()


def _compiled_step(model: Any) -> None:
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    @nnscratch.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step(pictures(2))


def _train(model: Any) -> None:
    model.train()
    model(pictures(4))
    model.eval()


CHANGES: dict[str, Callable[[Any], Any]] = {
    "copy_": lambda model: model[0].weight.data.copy_(model[0].weight * 2),
    "in place": lambda model: model[1].weight.data.mul_(3.0),
    "an element": lambda model: model[1].running_var.__setitem__(3, 7.0),
    "a view": lambda model: model[3].weight.detach()[:, 2].zero_(),
    "a buffer": lambda model: model[4].running_mean.add_(1.0),
    "data": lambda model: setattr(model[0].weight, "data", model[0].weight.detach() * 2),
    "another parameter": lambda model: setattr(
        model[0], "weight", nn.Parameter(model[0].weight.detach() * 2)
    ),
    "load_state_dict": _load,
    "an optimizer": _step,
    "a compiled step": _compiled_step,
    "running statistics": _train,
}


@pytest.mark.parametrize("change", CHANGES)
def test_new_weights_are_noticed(change: str) -> None:
    model = picture_network()
    frozen, plain = both(model)
    alike(frozen, plain, pictures(2))
    alike(frozen, plain, pictures(3))
    with nnscratch.no_grad():
        before = frozen(pictures(2)).numpy()
    CHANGES[change](model)
    for rows in (2, 3, 1, 2):
        alike(frozen, plain, pictures(rows))
    with nnscratch.no_grad():
        assert not np.array_equal(frozen(pictures(2)).numpy(), before)
    CHANGES["in place"](model)
    alike(frozen, plain, pictures(2))


def test_a_compiled_step_that_is_replayed_between_calls() -> None:
    """A replay runs no code of tensors, and counts on their versions all the same."""
    model = picture_network()
    frozen, plain = both(model)
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    @nnscratch.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for _ in range(5):
        model.train()
        losses.append(step(pictures(2)).item())
        model.eval()
        alike(frozen, plain, pictures(3), times=1)
    assert len(set(losses)) == 5
    assert frozen.plans[0].once


def test_a_replay_makes_an_older_graph_unusable() -> None:
    """As the eager step would."""
    model = nn.Linear(3, 3)
    other = nnscratch.ones(2, 3, requires_grad=True)

    @nnscratch.compile
    def step(x: Any) -> Any:
        with nnscratch.no_grad():
            model.weight.add_(1.0)
        return x * 2

    for _ in range(3):
        loss = model(other).sum()
        step(nnscratch.ones(2))
        with pytest.raises(nnscratch.errors.GradientError, match="in place"):
            loss.backward()


def test_slices_of_rows_and_bound_calls_notice_new_weights() -> None:
    model = picture_network()
    frozen, step = nnscratch.compile(model, freeze=True), Compiled(model._run, freeze=True)
    with nnscratch.no_grad():
        bound = frozen.bound(pictures(2))
        assert bound is not None
        for factor in (1.0, 2.0, 3.0):
            model[0].weight.data.mul_(factor)
            expected = model(pictures(5)).numpy()
            found = np.concatenate([one.numpy() for one in step.over(2, pictures(5))])
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
            found = bound([pictures(5).numpy()[:2]]).numpy()
            np.testing.assert_allclose(found, expected[:2], rtol=1e-4, atol=1e-5)


def test_what_is_written_through_numpy_is_not_noticed() -> None:
    """As the documentation says: nobody counts it."""
    model = nn.Sequential(nn.BatchNorm1d(3)).eval()
    frozen, plain = both(model)
    x = nnscratch.ones(2, 3)
    alike(frozen, plain, x)
    with nnscratch.no_grad():
        before = frozen(x).numpy()
        model[0].running_var.array[...] = 4.0
        np.testing.assert_array_equal(frozen(x).numpy(), before)
        assert not np.array_equal(plain(x).numpy(), before)


def test_training_is_refused() -> None:
    model = picture_network().train()
    frozen, _ = both(model)
    seen = model[1].running_mean.numpy().copy()
    with nnscratch.no_grad(), pytest.raises(PlanError, match=r"training mode.*Call eval\(\)"):
        frozen(pictures(2))
    np.testing.assert_array_equal(model[1].running_mean.numpy(), seen)
    model.eval()
    alike(frozen, nnscratch.compile(model), pictures(2))

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen = nn.Buffer(nnscratch.zeros(1))

        def forward(self, x: Any) -> Any:
            self.seen.add_(1.0)
            return x + self.seen

    with pytest.raises(PlanError, match="changes a parameter or buffer of shape"):
        nnscratch.compile(Counting().eval(), freeze=True)(pictures(1))

    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @nnscratch.compile(freeze=True)
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).mean()
        loss.backward()
        optimizer.step()
        return loss

    with pytest.raises(PlanError, match="changes a parameter or buffer of shape"):
        step(pictures(1))
    eager = nnscratch.compile(Counting().eval(), freeze=True, on_unsupported="eager")
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        assert [eager(nnscratch.zeros(1)).item() for _ in range(3)] == [1.0, 2.0, 3.0]


def test_a_tensor_that_a_frozen_step_changes_is_no_constant() -> None:
    """A cache of a model that writes texts, in the memory of which constants may be stored."""
    layer, cache = nn.Linear(3, 3).eval(), nnscratch.zeros(3, 3)

    @nnscratch.compile(freeze=True)
    def step(x: Any) -> Any:
        cache.add_(layer.weight.t() * 2)
        return cache @ x

    x = nnscratch.tensor([1.0, 2.0, 3.0])
    with nnscratch.no_grad():
        for count in range(1, 5):
            expected = count * 2 * layer.weight.detach().t().numpy() @ x.numpy()
            np.testing.assert_allclose(step(x).numpy(), expected, rtol=1e-5)
    assert step.plans[0].once


def test_calls_that_all_follow_from_constants() -> None:
    """Results too: they are copied, as every result is."""
    layer = nn.Linear(4, 4).eval()

    @nnscratch.compile(freeze=True)
    def step(x: Any) -> Any:
        doubled = layer.weight * 2
        return doubled, nnscratch.logsumexp(doubled, 0), x + layer.bias.sum()

    with nnscratch.no_grad():
        for value in range(4):
            doubled, total, moved = step(nnscratch.full((2,), float(value)))
            np.testing.assert_array_equal(doubled.numpy(), 2 * layer.weight.detach().numpy())
            np.testing.assert_allclose(total.numpy(), doubled.logsumexp(0).numpy(), rtol=1e-6)
            np.testing.assert_allclose(moved.numpy(), value + layer.bias.detach().sum().numpy())
            doubled.zero_()  # whoever got it may write to it
    assert step.plans[0].once >= 3


def test_gradients_of_inputs_through_constants() -> None:
    model = picture_network()
    for one in model.parameters():
        one.requires_grad_(False)
    slopes = []
    for freeze in (False, True):
        x = pictures(2).requires_grad_()

        def step(model: Any = model, x: Any = x) -> Any:
            x.grad = None
            model(x).square().sum().backward()
            return x.grad

        compiled = nnscratch.compile(step, freeze=freeze)
        for _ in range(3):
            slope = compiled()
        slopes.append(slope.numpy().tobytes())
        assert (compiled.plans[0].once > 0) == freeze
    assert slopes[0] == slopes[1]


def test_weights_that_are_computed_and_random_numbers() -> None:
    nnscratch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)).eval()
    frozen, plain = both(layer)
    alike(frozen, plain, nnscratch.ones(3, 6))
    assert frozen.plans[0].once

    @nnscratch.compile(freeze=True)
    def noisy(x: Any) -> Any:
        return layer(x) + nn.functional.dropout(layer.bias * 1, 0.5, training=True)

    with nnscratch.no_grad():
        found = {noisy(nnscratch.ones(1, 6)).numpy().tobytes() for _ in range(6)}
    assert len(found) > 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_of_sixteen_bits(dtype: str) -> None:
    pytest.importorskip("ml_dtypes")
    frozen, plain = both(nn.Sequential(nn.Linear(8, 8), nn.ReLU()).to(dtype).eval())
    x = nnscratch.ones(2, 8).to(dtype)
    alike_wide = [frozen(x).to("float32"), plain(x).to("float32")]
    assert alike_wide[0].tolist() == alike_wide[1].tolist()


def test_copies_and_the_method_of_a_module() -> None:
    model = picture_network()
    plain = nnscratch.compile(copy.deepcopy(model))
    frozen = nnscratch.compile(model, freeze=True)
    alike(frozen, plain, pictures(1))
    for again in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        alike(again, plain, pictures(1))
        assert again.plans[0].once
        again._orig_mod[0].weight.data.mul_(2.0)
        alike(frozen, plain, pictures(1))
    model.compile(freeze=True)
    alike(model, plain, pictures(1))
    assert model._compiled_call.plans[0].once


ROWS = 1, 8, 9, 70
"""Few rows read the weights where they lie, more rows in panels."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("terms", "columns"), [(1, 1), (7, 33), (300, 70), (513, 5)])
def test_weights_in_panels(
    kernels: str, threads: Callable[[int], None], dtype: str, terms: int, columns: int
) -> None:
    """Of linear layers, transposed views and matrices; NaN and inf spoil what they belong to."""
    nnscratch.manual_seed(0)
    layer = nn.Linear(terms, columns).to(dtype).eval()
    rng = np.random.default_rng(0)

    class Products(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer
            self.matrix = nn.Parameter(nnscratch.tensor(rng.standard_normal((terms, columns))))

        def forward(self, x: Any) -> Any:
            wide = nn.functional.linear(x, self.matrix.t())
            return nnscratch.cat([self.layer(x), x @ self.matrix, wide], 1)

    frozen, plain = both(Products().to(dtype).eval())
    for rows in ROWS:
        x = rng.standard_normal((rows, terms)).astype(dtype)
        for count in (1, 2):
            threads(count)
            alike(frozen, plain, nnscratch.tensor(x))
        x[0, 0] = np.inf
        with nnscratch.no_grad():
            made, expected = (one(nnscratch.tensor(x)).numpy() for one in (frozen, plain))
        np.testing.assert_array_equal(made, expected)
    with nnscratch.no_grad():
        layer.weight[0, 0] = float("nan")
        x = nnscratch.tensor(rng.standard_normal((70, terms)).astype(dtype))
        made, expected = frozen(x).numpy(), plain(x).numpy()
    np.testing.assert_array_equal(made, expected)
    assert np.isnan(made[:, 0]).all()
    assert not np.isnan(made[:, 1:columns]).any()
    laid = [plan.once for plan in frozen.plans if plan.once]
    assert bool(laid) == (kernels == "kernels")
