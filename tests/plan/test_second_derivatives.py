"""A compiled step may take gradients of gradients: its steps are those of eager Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.autograd import Function, grad

RNG = np.random.default_rng(0)
BATCHES = [(RNG.standard_normal((8, 4)).astype("float32"), RNG.integers(0, 3, 8)) for _ in range(4)]


class Powers(Function):
    """x³ and x², with derivatives that have derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x, x * x

    @staticmethod
    def backward(ctx: Any, dy: Any, dz: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * dy * x * x + 2 * dz * x


def _penalised(model: Any, x: Any, labels: Any) -> Any:
    loss = nn.functional.cross_entropy(model(x), labels)
    slopes = grad(loss, list(model.parameters()), create_graph=True)
    return loss + 0.1 * sum((g**2).sum() for g in slopes)


def _gradient_penalty(model: Any, x: Any, labels: Any) -> Any:
    x = x.detach().requires_grad_()
    scores = model(x)
    (slope,) = grad(scores, x, nnscratch.ones_like(scores), create_graph=True)
    penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
    return penalty + nn.functional.cross_entropy(scores, labels)


def _through_a_step(model: Any, x: Any, labels: Any) -> Any:
    weight = model[0].weight
    inner = (nn.functional.linear(x, weight) ** 2).mean()
    (slope,) = grad(inner, [weight], create_graph=True)
    outer = (nn.functional.linear(x, weight - 0.5 * slope).tanh() ** 2).mean()
    return outer + nn.functional.cross_entropy(model(x), labels)


def _by_grad_of_leaves(model: Any, x: Any, labels: Any) -> Any:
    nn.functional.cross_entropy(model(x), labels).backward(create_graph=True)
    total = sum((p.grad**2).sum() for p in model.parameters())
    for parameter in model.parameters():
        parameter.grad = None
    return total


def _of_ones_own(model: Any, x: Any, labels: Any) -> Any:
    x = x.detach().requires_grad_()
    cubes, squares = Powers.apply(model(x))
    (slope,) = grad(cubes.sum(), x, create_graph=True)
    return (slope**2).mean() + squares.logsumexp(1).mean()


LOSSES: dict[str, Callable[..., Any]] = {
    "gradients of parameters": _penalised,
    "a gradient penalty": _gradient_penalty,
    "through a step": _through_a_step,
    "backward(create_graph=True)": _by_grad_of_leaves,
    "a function of one's own": _of_ones_own,
}


@pytest.mark.parametrize("name", LOSSES)
def test_compiled_steps_are_eager_ones(name: str) -> None:
    found = []
    for compiled in (False, True):
        nnscratch.manual_seed(3)
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 9), nn.ReLU())
        model.append(nn.Linear(9, 3))
        optimizer = nnscratch.optim.SGD(model.parameters(), lr=0.05)

        def step(x: Any, labels: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = LOSSES[name](model, x, labels)
            loss.backward()
            optimizer.step()
            return loss

        run = nnscratch.compile(step) if compiled else step
        losses = [run(*map(nnscratch.tensor, batch)).item() for batch in BATCHES]
        assert len(set(losses)) == len(losses)
        found.append((losses, [p.detach().numpy() for p in model.parameters()]))
    (eager, ours), (planned, theirs) = found
    np.testing.assert_allclose(planned, eager, rtol=1e-5)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other, mine, rtol=1e-4, atol=1e-6)


def test_the_plan_is_replayed() -> None:
    x = nnscratch.tensor([1.0, 2.0], requires_grad=True)

    @nnscratch.compile
    def second(a: Any) -> Any:
        (first,) = grad((a * x**4).sum(), x, create_graph=True)
        return grad(first.sum(), x)[0]

    found = [second(nnscratch.tensor([float(k), 1.0])).tolist() for k in range(1, 6)]
    assert found == [[12.0 * k, 48.0] for k in range(1, 6)]
    assert len(second.plans) == 1
