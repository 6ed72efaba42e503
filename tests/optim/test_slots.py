"""Gradients that a formula writes straight to their place in an optimizer's flat buffer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import Tensor, nn, optim
from nnscratch import formulas as f
from nnscratch.formulas import registry

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
    writes = Writes(made.weight.grad_slot)
    with registry.observing(writes):
        made(x).sum().backward()
    assert writes.shared == [True]
    assert made.weight.grad.array is made.weight.grad_slot
    ones = np.ones((ROWS, OUT), np.float32)
    np.testing.assert_allclose(made.weight.grad.array, expected(made, x, ones), 1e-5, 1e-5)
    # The second gradient is added to the first.
    writes.shared.clear()
    with registry.observing(writes):
        made(x).sum().backward()
    assert writes.shared == [False]
    np.testing.assert_allclose(made.weight.grad.array, 2 * expected(made, x, ones), 1e-5, 1e-5)


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


def test_one_matrix_as_both_factors() -> None:
    rng = np.random.default_rng(1)
    square = nn.Parameter(nnscratch.tensor(rng.standard_normal((200, 200)).astype(np.float32)))
    optim.SGD([square], lr=0.1)
    (square @ square).sum().backward()
    A = square.array.astype(np.float64)
    G = np.ones_like(A)
    np.testing.assert_allclose(square.grad.array, G @ A.T + A.T @ G, rtol=1e-4, atol=1e-3)


def test_hooks_see_the_gradient_and_may_change_it() -> None:
    made, _, x = layer()
    seen: list[Any] = []

    def double(gradient: Tensor) -> Tensor:
        seen.append(gradient.array.copy())
        return gradient * 2.0

    made.weight.register_hook(double)
    made(x).sum().backward()
    ones = np.ones((ROWS, OUT), np.float32)
    np.testing.assert_allclose(seen[0], expected(made, x, ones), 1e-5, 1e-5)
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
        results.append(made.weight.array.tobytes())
    assert results[0] == results[1]
