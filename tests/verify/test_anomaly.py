"""``detect_anomaly``: the first formula that makes a NaN or an infinity, where and why."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import NonFiniteError, ShapeError
from nnscratch.formulas import registry
from nnscratch.verify.watch.anomaly import AnomalyError, detect_anomaly


def caught(function: Any, **options: Any) -> AnomalyError:
    with pytest.raises(AnomalyError) as info, detect_anomaly(**options):
        function()
    assert isinstance(info.value, NonFiniteError)
    return info.value


def leaf(*values: float) -> Any:
    return nnscratch.tensor([float(v) for v in values], requires_grad=True)


@pytest.mark.parametrize(
    ("function", "formula", "words"),
    [
        (lambda: leaf(1, 0).log(), "log", "logarithm of 0"),
        (lambda: leaf(1, -2).log(), "log", "negative number is NaN: the smallest input is -2"),
        (lambda: leaf(1, 100).exp(), "exp", "exp overflows: e^100"),
        (lambda: leaf(1, 2) / leaf(0, 1), "divide", "1 of the divisors is 0"),
        (lambda: leaf(-1.0).sqrt(), "sqrt", "square root of a negative"),
        (lambda: leaf(-1.0) ** 0.5, "power", "to a power that is not whole"),
        (lambda: leaf(-1e30) ** 2, "power", "beyond the largest float32"),
        (lambda: leaf(0.0) ** -1.0, "power", "Zero to a negative power"),
        (lambda: leaf(1e30) * leaf(1e30), "multiply", "beyond the largest float32"),
        (lambda: leaf(1, 1e6).half(), "cast", "beyond the largest float16, 6.6e+04: inputs go up"),
        (lambda: leaf(1).var(), "var", "mean square of 1 number is divided by 0"),
        (lambda: nnscratch.zeros(0).mean(), "mean", "mean of no numbers is 0/0"),
    ],
)
def test_forwards(function: Any, formula: str, words: str) -> None:
    error = caught(function)
    assert error.formula == formula
    assert error.direction == "forward"
    assert words in error.cause
    assert words in str(error)


def test_a_backward() -> None:
    x = leaf(4.0, 0.0)
    error = caught(lambda: x.sqrt().sum().backward())
    assert (error.formula, error.direction) == ("sqrt", "backward")
    assert "infinite at 0" in error.cause
    assert error.statistics[0].name == "dY"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.head = Head()

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        return self.fc(x).relu().sqrt() if self.training else self.fc(x).relu().log()


def test_the_path_of_the_layer_forward_and_backward() -> None:
    net = Net()
    with nnscratch.no_grad():
        net.head.fc.weight.fill_(0.0)
        net.head.fc.bias.fill_(0.0)
    x = nnscratch.ones(5, 3)
    error = caught(lambda: net(x).sum().backward())
    assert (error.formula, error.direction) == ("sqrt", "backward")
    assert error.where == "head (Head)"
    net.eval()
    error = caught(lambda: net(x))
    assert (error.formula, error.direction) == ("log", "forward")
    assert error.where == "head (Head)"


class Tower(nn.Module):
    """Calls what a list holds, and not the list."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(3, 3)), Head3()])

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return x


class Head3(nn.Module):
    def forward(self, x: Any) -> Any:
        return (x * 0).log()


def test_the_path_of_a_layer_in_a_list() -> None:
    error = caught(lambda: Tower()(nnscratch.ones(5, 3)))
    assert error.where == "blocks.1 (Head3())"
    assert str(error).startswith("in blocks.1 (Head3()): log forward")
    with pytest.raises(ShapeError, match=r"in blocks\.0\.0 \(Linear"):
        Tower()(nnscratch.ones(5, 4))


def test_weights_that_explode() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    step = optim.SGD(net.parameters(), lr=1e10)
    x = nnscratch.tensor(np.ones((4, 3), dtype=np.float32))

    def train() -> None:
        for _ in range(20):
            step.zero_grad()
            (net(x) ** 2).mean().backward()
            step.step()

    error = caught(train)
    assert "learning rate" in error.cause


def test_a_divisor_near_zero() -> None:
    error = caught(lambda: (leaf(1, 1) / leaf(1, 1e-30)).sum().backward())
    assert (error.formula, error.direction) == ("divide", "backward")
    assert "as small as 1e-30, and the derivative divides by its square" in error.cause


def test_an_infinity_that_was_asked_for_is_no_anomaly() -> None:
    """A mask before a softmax is filled with minus infinity."""
    mask = nnscratch.tensor([True, False, False])
    x = leaf(1, 2, 3)
    with detect_anomaly():
        y = x.masked_fill(mask, float("-inf")).softmax(dim=0)
        (y * y).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    error = caught(lambda: x.masked_fill(mask, float("-inf")), check_inputs=True)
    assert "was not finite already" in error.cause


def test_nan_in_the_data_is_not_blamed_on_a_formula_unless_asked() -> None:
    x = leaf(float("nan"), 1.0)
    with detect_anomaly():
        assert (x * 2).isnan().any()
    error = caught(lambda: x * 2, check_inputs=True)
    assert "not finite already: 1 NaN" in error.cause


def test_nothing_happens_where_all_is_finite() -> None:
    net = Net()
    with detect_anomaly():
        (net(nnscratch.ones(2, 3)) + 1).sum()
    assert not registry.observers()


def test_a_compiled_step_is_looked_at_too() -> None:
    x = nnscratch.tensor([1.0, 0.0])
    step = nnscratch.compile(lambda x: (x.log()).sum())
    step(nnscratch.tensor([1.0, 2.0]))
    error = caught(lambda: step(x))
    assert error.formula == "log"


def test_nothing_that_was_computed_is_kept_alive() -> None:
    """A block may be as long as a training: what a forward saved goes with its graph."""
    model, seen = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()), []
    with detect_anomaly():
        for _ in range(3):
            output = model(nnscratch.ones(4, 2))
            seen.append(weakref.ref(output.array))
            output.sum().backward()
            del output
        gc.collect()
        assert [one() for one in seen] == [None] * 3
