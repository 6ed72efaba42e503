"""Gradients that a formula writes straight to their place in an optimizer's flat buffer."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import Tensor, nn, optim
from nnscratch import formulas as f
from nnscratch.errors import GradientError
from nnscratch.formulas import registry
from nnscratch.verify import audit

ROWS, IN, OUT = 8, 200, 300  # more weights than gradients.LARGE, and kernels pay


@pytest.fixture(autouse=True)
def kernels() -> Iterator[None]:
    with registry.use_kernels("auto"):
        yield


def layer() -> tuple[Any, Any, Any]:
    nnscratch.manual_seed(3)
    made = nn.Linear(IN, OUT)
    x = nnscratch.tensor(np.random.default_rng(0).standard_normal((ROWS, IN)).astype(np.float32))
    return made, optim.SGD(made.parameters(), lr=0.1), x


def expected(made: Any, x: Any, cotangent: Any) -> Any:
    """Return the gradient of the weights by the reference."""
    _, saved = f.LINEAR.forward(x.array, made.weight.array, made.bias.array)
    return f.LINEAR.backward(cotangent, saved, (False, True, True))[1]


class Writes(registry.Observer):
    """Says where the gradients of linear layers lie."""

    def __init__(self, slot: Any) -> None:
        self.slot, self.shared = slot, []

    def on_call(self, call: registry.Call) -> None:
        if call.formula is f.LINEAR and call.direction == "backward":
            self.shared.append(np.shares_memory(call.outputs[1], self.slot))


def test_a_large_gradient_is_written_to_its_place() -> None:
    made, _, x = layer()
    first, second = np.random.default_rng(4).standard_normal((2, ROWS, OUT)).astype(np.float32)
    writes = Writes(made.weight.grad_slot)
    with registry.observing(writes):
        made(x).backward(first)
    assert writes.shared == [True]
    assert made.weight.grad.array is made.weight.grad_slot
    np.testing.assert_allclose(made.weight.grad.array, expected(made, x, first), 1e-4, 1e-4)
    # The second gradient is added to the first.
    writes.shared.clear()
    with registry.observing(writes):
        made(x).backward(second)
    assert writes.shared == [False]
    total = expected(made, x, first + second)
    np.testing.assert_allclose(made.weight.grad.array, total, 1e-4, 1e-4)


def test_a_gradient_that_somebody_kept_stays_what_it_was() -> None:
    made, optimizer, x = layer()
    made(x).sum().backward()
    kept = made.weight.grad
    before = kept.array.copy()
    optimizer.zero_grad()
    (made(x) * 3.0).sum().backward()
    np.testing.assert_array_equal(kept.array, before)
    np.testing.assert_allclose(made.weight.grad.array, 3 * before, 1e-5, 1e-5)


def test_a_backward_that_reads_an_earlier_gradient() -> None:
    """The graph holds the array of the earlier gradient, whose place the new one takes."""
    made, optimizer, x = layer()
    made(x).sum().backward()
    before = made.weight.grad.array.copy()
    loss = made(made.weight.grad).sum()
    optimizer.zero_grad()
    writes = Writes(made.weight.grad_slot)
    with registry.observing(writes):
        loss.backward()
    assert writes.shared == [False]
    np.testing.assert_allclose(
        made.weight.grad.array, np.ones((OUT, OUT)) @ before.astype(np.float64), 1e-4, 1e-2
    )


def test_a_later_layer_must_not_write_over_what_an_earlier_one_reads() -> None:
    made, optimizer, x = layer()
    made(x).sum().backward()
    inner = made(made.weight.grad)  # (OUT, OUT)
    back = nn.Linear(OUT, IN)
    loss = made(back(inner)).sum()  # its node comes first, and fills the slot
    optimizer.zero_grad()
    with pytest.raises(GradientError, match="changed in place after the forward"):
        loss.backward()


def test_the_seed_may_be_an_earlier_gradient() -> None:
    square = nnscratch.tensor(np.random.default_rng(2).standard_normal((OUT, IN)).astype("f4"))
    weight = nn.Parameter(nnscratch.tensor(np.eye(IN, dtype=np.float32)))
    optimizer = optim.SGD([weight], lr=0.1)
    nn.functional.linear(square, weight).sum().backward()
    seed = weight.grad
    exact = seed.array.astype(np.float64)
    optimizer.zero_grad()
    a, b = (nnscratch.tensor(np.full((IN, IN), n, np.float32)) for n in (1.0, 2.0))
    out = nn.functional.linear(a, weight) + nn.functional.linear(b, weight)
    out.backward(seed)
    expected = exact.T @ np.full((IN, IN), 3.0)
    np.testing.assert_allclose(weight.grad.array, expected, rtol=1e-4, atol=1e-2)


def test_the_seed_of_a_compiled_step_may_be_a_part_of_an_argument() -> None:
    results = []
    for wrap in (lambda function: function, nnscratch.compile):
        made, optimizer, x = layer()

        def step(batch: Any, seeds: Any, made: Any = made, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            made(batch).backward(seeds[0])
            optimizer.step()

        run, rng = wrap(step), np.random.default_rng(6)
        for _ in range(4):
            run(x, nnscratch.tensor(rng.standard_normal((2, ROWS, OUT)).astype(np.float32)))
        results.append(made.weight.array)
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)


def square_weight() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    weight = nn.Parameter(nnscratch.tensor(rng.standard_normal((200, 200)).astype(np.float32)))
    return weight, optim.SGD([weight], lr=0.1)


@pytest.mark.parametrize("product", [nn.functional.linear, lambda a, b: a @ b.T])
def test_one_matrix_as_both_factors(product: Any) -> None:
    weight, optimizer = square_weight()
    assert optimizer.param_groups
    product(weight, weight).sum().backward()
    A = weight.array.astype(np.float64)
    G = np.ones_like(A)
    np.testing.assert_allclose(weight.grad.array, G @ A + G.T @ A, rtol=1e-4, atol=1e-3)


def test_two_walks_at_once_come_to_one_leaf() -> None:
    """A walk inside another, when a gradient lies in its place and is not yet told."""
    weight, optimizer = square_weight()
    assert optimizer.param_groups
    x = nnscratch.tensor(np.ones((ROWS, 200), np.float32))

    class Nested(registry.Observer):
        left = 1

        def on_call(self, call: registry.Call) -> None:
            if call.formula is f.LINEAR and call.direction == "backward" and self.left:
                self.left = 0
                (nn.functional.linear(x, weight) * 10.0).sum().backward()

    with registry.observing(Nested()):
        nn.functional.linear(x, weight).sum().backward()
    np.testing.assert_allclose(weight.grad.array, np.full((200, 200), 11.0 * ROWS))


def test_threads_add_up_their_gradients() -> None:
    weight, optimizer = square_weight()
    assert optimizer.param_groups
    inputs = [nnscratch.tensor(np.full((ROWS, 200), float(n), np.float32)) for n in range(1, 5)]
    for _ in range(30):
        start = threading.Barrier(len(inputs))

        def walk(x: Any, start: Any = start) -> None:
            out = nn.functional.linear(x, weight).sum()
            start.wait()
            out.backward()

        threads = [threading.Thread(target=walk, args=(x,)) for x in inputs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        np.testing.assert_allclose(weight.grad.array, np.full((200, 200), 10.0 * ROWS))
        optimizer.zero_grad()


def test_a_backward_that_fails_leaves_the_place_free(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _, x = layer()
    loss = made(x).sum()

    def fail(*arguments: Any) -> None:
        raise MemoryError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "backward", fail)
        with pytest.raises(MemoryError):
            nn.functional.linear(x, made.weight).backward(np.ones((ROWS, OUT), np.float32))
    writes = Writes(made.weight.grad_slot)
    with registry.observing(writes):
        loss.backward()
    assert writes.shared == [True]


def test_hooks_see_the_gradient_and_may_change_it() -> None:
    made, _, x = layer()
    seen: list[Any] = []

    def double(gradient: Tensor) -> Tensor:
        seen.append(gradient.array.copy())
        return gradient * 2.0

    made.weight.register_hook(double)
    # Used twice: the hook gets the sum.
    (made(x) + made(x * 2.0)).sum().backward()
    ones = np.ones((ROWS, OUT), np.float32)
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], 3 * expected(made, x, ones), 1e-4, 1e-3)
    np.testing.assert_allclose(made.weight.grad.array, 2 * seen[0], 1e-6)


def test_compiled_steps_equal_eager_ones_bit_for_bit() -> None:
    results = []
    for wrap in (lambda function: function, nnscratch.compile):
        made, optimizer, x = layer()

        def step(batch: Any, made: Any = made, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = (made(batch) ** 2.0).mean()
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        for _ in range(4):
            run(x)
        results.append((made.weight.array.tobytes(), made.weight.grad.array.tobytes()))
    assert results[0] == results[1]


def test_an_audit_sees_that_no_memory_was_taken() -> None:
    made, _, x = layer()
    with audit() as seen:
        made(x).sum().backward()
    weights = made.weight.array.nbytes
    rows = {key: cost.allocated for key, cost in seen.costs.items() if key[2] == "backward"}
    assert sum(rows.values()) < weights / 10
    with audit() as seen:
        made(x).sum().backward()
    assert sum(cost.allocated for cost in seen.costs.values()) > weights


def test_a_model_and_its_optimizer_are_pickled_after_a_backward() -> None:
    model = nn.Linear(200, 100)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    x = nnscratch.ones(3, 200)

    def step(net: Any, its: Any) -> list[bytes]:
        its.zero_grad()
        net(x).square().mean().backward()
        its.step()
        return [p.array.tobytes() for p in net.parameters()]

    step(model, optimizer)
    other, its = pickle.loads(pickle.dumps((model, optimizer)))
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert type(q) is nn.Parameter
        assert q.requires_grad
        np.testing.assert_array_equal(p.grad.array, q.grad.array)
    expected = [step(model, optimizer) for _ in range(3)]
    assert [step(other, its) for _ in range(3)] == expected
    with pytest.raises(GradientError, match="pickled"):
        pickle.dumps(model(x))
