"""Memory is given back when its last value is used, and finding that is linear in the step."""

import sys

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.plan.liveness import Liveness


def test_memory_is_free_behind_its_last_use():
    a, b = np.empty(4), np.empty(4)
    liveness = Liveness({"a": 1, "b": 2})
    assert liveness.dead_after(0, [("a", a)], [a]) == []
    (free,) = liveness.dead_after(1, [("b", b)], [b])
    assert free is a
    (free,) = liveness.dead_after(2, [], [])
    assert free is b


def test_memory_of_two_values_is_free_behind_the_later_one():
    a = np.empty(4)
    liveness = Liveness({"a": 1, "part": 2})
    assert liveness.dead_after(0, [("a", a), ("part", a[1:])], [a]) == []
    assert liveness.dead_after(1, [], []) == []
    (free,) = liveness.dead_after(2, [], [])
    assert free is a


def test_what_nothing_uses_is_free_at_once():
    a, scratch = np.empty(4), np.empty(4)
    free = Liveness({"a": 0}).dead_after(0, [("a", a)], [a, scratch])
    assert [id(one) for one in free] == [id(a), id(scratch)]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(6, 16), nn.Linear(4, 2)

    def forward(self, x):
        h = c = nnscratch.zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            i, f, g, o = self.inner(nnscratch.cat([x[:, t], h], 1)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return self.out(h)


def deep(layers):
    return nn.Sequential(*[nn.Linear(4, 4) for _ in range(layers)]), nnscratch.randn(3, 4)


def unrolled(steps):
    return Recurrent(), nnscratch.randn(3, steps, 2)


def calls_to_plan(model, x):
    """How many Python functions are called to plan a training step."""
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @nnscratch.compile
    def step(x):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    step(x)
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        step(x)
    finally:
        sys.setprofile(None)
    assert len(step.plans) == 1
    return calls


@pytest.mark.parametrize("make", [deep, unrolled])
def test_planning_is_linear_in_the_length_of_the_step(make):
    calls_to_plan(*make(2))  # whatever is done once
    short, long = calls_to_plan(*make(12)), calls_to_plan(*make(48))
    assert long < 4.4 * short
