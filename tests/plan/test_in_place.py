"""What a step changes in place, a replay changes too: compiled is as eager, call by call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def make(name: str) -> Callable[[Any], Any]:
    """A step with a layer and a tensor of its own, the same ones each time it is made."""
    nnscratch.manual_seed(0)
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    total, count = nnscratch.zeros(4), nnscratch.zeros(())

    def of_a_result(x: Any) -> Any:
        y = first(x)
        y.mul_(2.0)
        return second(y)

    def copied(x: Any) -> Any:
        y = first(x)
        y.copy_(y.relu())
        return second(y), y

    def used_twice(x: Any) -> Any:
        y = x * 1.0
        z = y.relu()
        y.copy_(z)
        z.add_(1.0)
        return y * 3.0 + z

    def clamped(x: Any) -> Any:
        y = x + 1.0
        y.clamp_(-0.5, 0.5)
        return y.sum()

    def running_mean(x: Any) -> Any:
        y = first(x)
        total.mul_(0.9).add_(y.mean(0) * 0.1)
        count.add_(1.0)
        return y - total, total / count

    def swapped(x: Any) -> Any:
        y, z = x * 2.0, x * 3.0
        kept = y.clone()
        y.copy_(z)
        z.copy_(kept)
        return y - z

    def filled(x: Any) -> Any:
        y = x * 2.0
        y.fill_(3.0)
        y.add_(x)
        return y

    return {f.__name__: f for f in (of_a_result, copied, used_twice, clamped, running_mean, swapped,
                                    filled)}[name]  # fmt: skip


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(
    "name",
    ["of_a_result", "copied", "used_twice", "clamped", "running_mean", "swapped", "filled"],
)
def test_compiled_as_eager(name: str, grad: bool) -> None:
    if grad and name in ("copied", "running_mean"):
        # A part of a graph cannot be overwritten, nor a tensor from outside made part of one.
        grad = False
    eager, compiled = make(name), nnscratch.compile(make(name))
    with nnscratch.set_grad_enabled(grad):
        for n in range(5):
            x = nnscratch.tensor(X * (n + 1) - n)
            expected, found = eager(x), compiled(x)
            if not isinstance(expected, tuple):
                expected, found = (expected,), (found,)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(
                    one.detach().numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-5
                )
