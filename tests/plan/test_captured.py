"""Tensors and arrays that a step captures: read in Python, rebound or changed, never stale."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import PlanError
from nnscratch.tensors import Tensor

X = nnscratch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])


def values(step: Callable[..., Any], changes: Any) -> list[Any]:
    found = []
    for change in (lambda: None, *changes):
        change()
        found += [np.array(step(X).detach().numpy()) for _ in range(4)]
    return found


def agree(make: Callable[[], tuple[Any, list[Any]]], plans: int | None = None) -> None:
    """Compare a compiled step with the eager one, each with state of its own that is changed."""
    step, changes = make()
    eager = values(step, changes)
    step, changes = make()
    compiled = nnscratch.compile(step)
    for one, other in zip(values(compiled, changes), eager, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    if plans is not None:
        assert len(compiled.plans) == plans


def refused(make: Callable[[], tuple[Any, list[Any]]], match: str) -> None:
    """The step raises, and run eagerly it is as eager."""
    step, _ = make()
    with pytest.raises(PlanError, match=match):
        values(nnscratch.compile(step), [])
    step, changes = make()
    eager = values(step, changes)
    step, changes = make()
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        gentle = values(nnscratch.compile(step, on_unsupported="eager"), changes)
    for one, other in zip(gentle, eager, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


READS: dict[str, Callable[[Tensor], Any]] = {
    "item": lambda t: t.item(),
    "float": float,
    "int": int,
    "bool": lambda t: 2.0 if t > 2 else 3.0,
    "tolist": lambda t: t.tolist(),
    "numpy": lambda t: float(t.detach().numpy()),
    "array": lambda t: float(np.asarray(t)),
    "dlpack": lambda t: float(np.from_dlpack(t)),
    "format": lambda t: float(f"{t:.1f}"),
    "pickle": lambda t: pickle.loads(pickle.dumps(t)),
    "text": lambda t: float(str(t).count("1")),
    "repr": lambda t: float(repr(t).count("1")),
    "index": lambda t: list(range(10))[t.long()],
    "equal": lambda t: 2.0 if nnscratch.equal(t, nnscratch.tensor(2.0)) else 1.0,
    "nonzero": lambda t: float(len((t - 1).reshape(1).nonzero())),
    "round": lambda t: round(float(t)),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("first", ["read", "write"])
def test_what_the_step_changes_is_not_read_in_any_way(read: str, first: str) -> None:
    def make() -> tuple[Any, list[Any]]:
        counter = nnscratch.tensor(0.0)

        def step(x: Any) -> Any:
            if first == "write":
                counter.add_(1.0)
            seen = READS[read](counter)
            if first == "read":
                counter.add_(1.0)
            return x * seen

        return step, []

    # What is read of something computed from it (t > 2) is refused as such.
    refused(make, "reads its value|reads a value out of a tensor")


# The others are of something computed from it, which is refused.
DIRECT = [name for name in READS if name not in ("bool", "nonzero", "index", "equal")]


@pytest.mark.parametrize("read", DIRECT)
def test_what_only_others_change_is_read_again(read: str) -> None:
    def make() -> tuple[Any, list[Any]]:
        module = nn.Module()
        module.register_buffer("c", nnscratch.tensor(1.0))

        def step(x: Any) -> Any:
            return x * READS[read](module.c)

        return step, [
            lambda: setattr(module, "c", nnscratch.tensor(11.0)),
            lambda: module.c.fill_(7.0),
        ]

    agree(make)


@pytest.mark.parametrize("copy", [nnscratch.tensor, copy.copy, copy.deepcopy, Tensor.clone])
@pytest.mark.parametrize("whose", ["argument", "captured", "changed"])
def test_copies_are_made_anew_at_every_replay(copy: Callable[..., Any], whose: str) -> None:
    def make() -> tuple[Any, list[Any]]:
        c, first = nnscratch.ones(3), nnscratch.tensor(X)

        def step(x: Any) -> Any:
            if whose == "changed":
                c.add_(1.0)
            return copy(x) * 2 if whose == "argument" else x * copy(c)

        return lambda x: step(first), [lambda: c.fill_(5.0), lambda: first.mul_(2.0)]

    agree(make, plans=1)


@pytest.mark.parametrize("data", [[[1.0, 2.0], [3.0, 4.0]], [[1, 2], [3, 4]]])
@pytest.mark.parametrize("dtype", [None, "float64", "int64"])
def test_a_tensor_of_a_tensor_has_memory_of_its_own(data: Any, dtype: Any) -> None:
    given = nnscratch.tensor(data)
    made = nnscratch.tensor(given.T, dtype)
    assert made.dtype == (given.dtype if dtype is None else dtype)
    given.zero_()
    assert made.tolist() == [[1, 3], [2, 4]]
    assert not made.requires_grad
    assert nnscratch.tensor(made.float(), requires_grad=True).requires_grad


class Running(nn.Module):
    """Running statistics as of batch normalisation without a momentum: a mean of all batches."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.register_buffer("mean", nnscratch.zeros(3))
        self.register_buffer("num_batches_tracked", nnscratch.tensor(0))

    def forward(self, x: Any) -> Any:
        with nnscratch.no_grad():
            if self.how == "assigned":
                self.mean = 0.5 * self.mean + 0.5 * x.mean(0)
            elif self.how == "data":
                self.mean.data = 0.5 * self.mean + 0.5 * x.mean(0)
            else:
                self.num_batches_tracked += 1
                factor = 1.0 / float(self.num_batches_tracked)
                self.mean.mul_(1 - factor).add_(x.mean(0) * factor)
        return x - self.mean


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("assigned", "attribute of Running"),
        ("data", r"\.data of a tensor"),
        ("counted", "reads its value"),
    ],
)
def test_running_statistics_that_a_replay_would_not_keep(how: str, match: str) -> None:
    def make() -> tuple[Any, list[Any]]:
        module = Running(how)
        return (lambda x: module(x)), []

    refused(make, match)


def test_an_attribute_of_a_tensor_that_only_python_looks_at() -> None:
    def make() -> tuple[Any, list[Any]]:
        w = nnscratch.ones(3)

        def step(x: Any) -> Any:
            double = w.dtype == nnscratch.float64
            return x * len(w) * (2 if w.requires_grad else 1) * (3 if double else 1)

        return step, [
            lambda: setattr(w, "data", nnscratch.ones(4)),
            lambda: w.requires_grad_(),
            lambda: setattr(w, "data", nnscratch.ones(4).double()),
        ]

    agree(make, plans=4)


def test_a_gradient_that_only_python_looks_at() -> None:
    def make() -> tuple[Any, list[Any]]:
        w = nnscratch.ones(3, requires_grad=True)

        def step(x: Any) -> Any:
            return x * 2 if w.grad is None else x * w.grad

        return step, [
            lambda: setattr(w, "grad", nnscratch.tensor([1.0, 2.0, 3.0])),
            lambda: w.grad.fill_(5.0),  # type: ignore[union-attr]
            lambda: setattr(w, "grad", nnscratch.tensor([1.0, 2.0, 4.0])),
            lambda: setattr(w, "grad", None),
        ]

    agree(make)


@pytest.mark.parametrize(
    "use",
    [
        lambda x, a: x * float(a[0]),
        lambda x, a: x * float(a.sum()),
        lambda x, a: x * nnscratch.tensor(a),
        lambda x, a: x * nnscratch.from_numpy(a),
        lambda x, a: x * a,
        lambda x, a: x * (2 if a.any() else 1),
    ],
)
def test_numpy_arrays_that_others_change(use: Callable[..., Any]) -> None:
    def make() -> tuple[Any, list[Any]]:
        a = np.zeros(3, np.float32)
        return (lambda x: use(x, a)), [lambda: a.fill(3), lambda: a.__setitem__(0, 9)]

    agree(make)


@pytest.mark.parametrize("how", ["array", "view", "tensor"])
def test_numpy_arrays_that_the_step_changes(how: str) -> None:
    def make() -> tuple[Any, list[Any]]:
        a = np.zeros(3, np.float32)
        tensor = nnscratch.from_numpy(a)
        view = a[:1]

        def step(x: Any) -> Any:
            if how == "array":
                a[0] += 1
            elif how == "view":
                view[...] += 1
            else:
                tensor.array[0] += 1
            return x * tensor

        return step, []

    refused(make, "changes the entries of an array of shape")


def test_a_numpy_array_under_a_tensor_that_the_step_changes_in_place_is_no_hindrance() -> None:
    def make() -> tuple[Any, list[Any]]:
        a = np.zeros(3, np.float32)
        tensor = nnscratch.from_numpy(a)

        def step(x: Any) -> Any:
            tensor.add_(1.0)
            return x * tensor * len(a)

        return step, [lambda: a.fill(3)]

    agree(make, plans=1)


def test_attributes_by_names_that_the_code_does_not_mention() -> None:
    class Options:
        pass

    for read in (
        lambda o, n: getattr(o, "k" + n),
        lambda o, n: vars(o)["k" + n],
        lambda o, n: o.__dict__["k" + n],
    ):

        def make(read: Any = read) -> tuple[Any, list[Any]]:
            options, name = Options(), "1"
            options.k1 = 2.0  # type: ignore[attr-defined]
            return (lambda x: x * read(options, name)), [lambda: setattr(options, "k1", 5.0)]

        agree(make, plans=2)


def test_attributes_and_defaults_of_functions() -> None:
    def attribute() -> tuple[Any, list[Any]]:
        def step(x: Any) -> Any:
            return x * step.k  # type: ignore[attr-defined]

        step.k = 2.0  # type: ignore[attr-defined]
        return step, [lambda: setattr(step, "k", 5.0)]

    def default() -> tuple[Any, list[Any]]:
        def step(x: Any, factors: Any = (2.0,)) -> Any:
            return x * factors[0]

        return step, [lambda: setattr(step, "__defaults__", ((5.0,),))]

    agree(attribute, plans=2)
    agree(default, plans=2)


@pytest.mark.parametrize("when", ["before", "between", "within"])
def test_parameters_of_an_optimizer_that_are_given_other_arrays(when: str) -> None:
    """The optimizer takes them back into its buffer, in a step that is no model for later ones."""

    def make() -> tuple[Any, list[Any]]:
        w = nn.Parameter(nnscratch.ones(3))
        optimizer = optim.SGD([w], lr=0.1)

        def rebind() -> None:
            w.data = nnscratch.tensor([3.0, 2.0, 1.0])

        if when == "before":
            rebind()

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            if when == "within":
                w.data = w.data * 0.9
            loss = (w * x).sum()
            loss.backward()
            optimizer.step()
            return loss

        return step, [rebind] if when == "between" else []

    agree(make)


def test_a_leaf_argument_is_known_by_its_array() -> None:
    """Neither another leaf in the place of one that is gone nor other data is taken for it."""
    double = nnscratch.compile(lambda w: w * 2)
    with nnscratch.no_grad():
        for n in [3, 3, 3, 5, 5, 7, 3, 5] * 3:
            w = nnscratch.ones(n, requires_grad=True)
            assert double(w).tolist() == [2.0] * n
            del w

    def step(w: Any) -> Any:
        w.grad = None
        (w * w).sum().backward()
        with nnscratch.no_grad():
            w -= 0.1 * w.grad
        return w.detach().clone()

    arrays = [
        nnscratch.ones(3), nnscratch.ones(3) * 5, nnscratch.ones(2, 3), nnscratch.ones(3, 2).T * 3,
        nnscratch.ones(3).double(),
    ]  # fmt: skip
    compiled = nnscratch.compile(step)
    mine, other = (nnscratch.zeros(3, requires_grad=True) for _ in range(2))
    for array in arrays:
        mine.data, other.data = array.clone(), array.clone()
        for _ in range(4):
            found, expected = compiled(mine), step(other)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)
            np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-6)
