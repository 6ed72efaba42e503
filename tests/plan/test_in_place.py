"""What a step changes in place, a replay changes too: compiled is as eager, call by call."""

from __future__ import annotations

import copy
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
    square = nnscratch.arange(9.0).reshape(3, 3)

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

    def turned(x: Any) -> Any:
        y = x[:3, :3] * 0.5
        t = y.T
        t.copy_(y)
        return y + t

    def of_another_dtype(x: Any) -> Any:
        square.copy_((x[:3] * 2.0).double())
        return square * 2.0

    def kept_and_changed(x: Any) -> Any:
        y = x[:3] * 1.0
        square.copy_(y)
        square.add_(1.0)
        return (y * 0.1).exp(), square * 1.0

    def kept_and_changed_itself(x: Any) -> Any:
        y = x[:3] * 1.0
        square.copy_(y)
        y.add_(1.0)
        return y * 2.0, square * 1.0

    def through_a_view(x: Any) -> Any:
        y = x[1:2] + square.T
        before = square.T * 1.0
        square.copy_(y)
        return before, square * 1.0

    def deep_copied(x: Any) -> Any:
        return copy.deepcopy(x * 2.0) + 1.0

    steps = (of_a_result, copied, used_twice, clamped, running_mean, swapped, filled, turned,
             of_another_dtype, kept_and_changed, kept_and_changed_itself, through_a_view,
             deep_copied)  # fmt: skip
    return {step.__name__: step for step in steps}[name]


NAMES = ["of_a_result", "copied", "used_twice", "clamped", "running_mean", "swapped", "filled",
         "turned", "of_another_dtype", "kept_and_changed", "kept_and_changed_itself",
         "through_a_view", "deep_copied"]  # fmt: skip
# With gradients these would make a tensor from outside part of a graph.
ALONE = ("copied", "running_mean")


@pytest.mark.parametrize(
    ("name", "grad"), [(n, g) for n in NAMES for g in (False, True) if not (g and n in ALONE)]
)
def test_compiled_as_eager(name: str, grad: bool) -> None:
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
