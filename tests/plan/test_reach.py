"""Whatever Python state a step's code can reach: a plan notices a change of it, or refuses.

Each case makes a step, and what changes something from outside in the middle of the calls (None
where the step itself does). Eager and compiled steps must return the same, call by call.
"""

from __future__ import annotations

import functools
import itertools
import random
import types
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import PlanError

Case = tuple[Callable[[Any], Any], Callable[[], Any] | None]
X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
FACTOR = 2.0


class Config:
    scale = 2.0


class Slotted:
    __slots__ = ("k",)


def holder(**values: Any) -> Any:
    made = Config()
    vars(made).update(values)
    return made


def layer(forward: Callable[[Any, Any], Any], **values: Any) -> nn.Module:
    """A module with a forward, and attributes."""

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, value in values.items():
                setattr(self, name, value)

        def forward(self, x: Any) -> Any:
            return forward(self, x)

    return Layer()


def weights() -> tuple[Any, Any]:
    w = nnscratch.ones(3, requires_grad=True)
    return w, optim.SGD([w], lr=0.1)


def training(w: Any, optimizer: Any, between: Callable[[], Any] = lambda: None) -> Any:
    """A step that trains w, and does something else before the optimizer's step."""

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        (w * x).sum().backward()
        between()
        optimizer.step()
        return w.detach().clone()

    return step


OUTSIDE: dict[str, Callable[[], Case]] = {}
INSIDE: dict[str, Callable[[], Case]] = {}


def outside(make: Callable[[], Case]) -> None:
    OUTSIDE[make.__name__] = make


def inside(make: Callable[[], Any]) -> None:
    INSIDE[make.__name__] = lambda: (make(), None)


# Changed from outside between two calls.


@outside
def a_dictionary() -> Case:
    d = {"k": 2.0}
    return lambda x: x * d["k"], lambda: d.update(k=5.0)


@outside
def a_list() -> Case:
    d = [2.0]
    return lambda x: x * d[0], lambda: d.__setitem__(0, 5.0)


@outside
def a_list_inside_a_tuple() -> Case:
    d = ("a", [[2.0]])
    return lambda x: x * d[1][0][0], lambda: d[1][0].__setitem__(0, 5.0)


@outside
def a_deque() -> Case:
    d = deque([2.0], maxlen=1)
    return lambda x: x * d[0], lambda: d.append(4.0)


@outside
def a_list_of_tensors() -> Case:
    d = [nnscratch.ones(3)]
    return lambda x: x * d[0], lambda: d.__setitem__(0, nnscratch.full((3,), 5.0))


@outside
def a_dictionary_of_tensors() -> Case:
    d = {"t": nnscratch.ones(3)}
    return lambda x: x * d["t"], lambda: d.update(t=nnscratch.full((3,), 5.0))


@outside
def a_key_more() -> Case:
    d = {"a": 2.0}
    return lambda x: x * sum(d.values()), lambda: d.update(b=5.0)


@outside
def a_numpy_scalar() -> Case:
    d = {"k": np.float32(2)}
    return lambda x: x * d["k"], lambda: d.update(k=np.float32(4))


@outside
def an_attribute() -> Case:
    c = holder(k=2.0)
    return lambda x: x * c.k, lambda: setattr(c, "k", 5.0)


@outside
def a_slot() -> Case:
    c = Slotted()
    c.k = 2.0
    return lambda x: x * c.k, lambda: setattr(c, "k", 5.0)


@outside
def a_namespace() -> Case:
    c = types.SimpleNamespace(k=nnscratch.ones(3))
    return lambda x: x * c.k, lambda: setattr(c, "k", nnscratch.full((3,), 4.0))


@outside
def an_object_in_an_object() -> Case:
    c = holder(inner=holder(k=2.0))
    return lambda x: x * c.inner.k, lambda: setattr(c.inner, "k", 5.0)


@outside
def an_attribute_that_hides_the_class() -> Case:
    c = Config()
    return lambda x: x * c.scale, lambda: setattr(c, "scale", 3.0)


@outside
def an_attribute_of_a_class() -> Case:
    class Here:
        scale = 2.0

    return lambda x: x * Here.scale, lambda: setattr(Here, "scale", 3.0)


@outside
def a_class_attribute_of_a_module() -> Case:
    class Scale(nn.Module):
        k = 2.0

        def forward(self, x: Any) -> Any:
            return x * self.k

    return Scale(), lambda: setattr(Scale, "k", 3.0)


@outside
def a_dictionary_in_a_module() -> Case:
    m = layer(lambda self, x: x * self.config["k"], config={"k": 2.0})
    return m, lambda: m.config.update(k=7.0)


@outside
def a_list_in_a_module_inside() -> Case:
    m = layer(lambda self, x: x * self.config[0], config=[2.0])
    outer = nn.Sequential(nn.Identity(), m)
    return lambda x: outer(x) + 1, lambda: m.config.__setitem__(0, 7.0)


@outside
def an_object_in_a_module() -> Case:
    m = layer(lambda self, x: x * self.config.k, config=holder(k=2.0))
    return m, lambda: setattr(m.config, "k", 7.0)


@outside
def an_array_in_a_module() -> Case:
    m = layer(lambda self, x: x * nnscratch.tensor(self.array[:3]), array=np.ones(5, np.float32))
    return m, lambda: m.array.fill(3)


@outside
def an_array_of_another_dtype() -> Case:
    array = np.ones(3)
    return lambda x: x * nnscratch.as_tensor(array, "float32"), lambda: array.fill(3)


@outside
def a_property() -> Case:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values = [2.0]

        @property
        def k(self) -> Any:
            return self.values[0]

        def forward(self, x: Any) -> Any:
            return x * self.k

    m = Scale()
    return m, lambda: m.values.__setitem__(0, 5.0)


@outside
def a_method_that_is_no_forward() -> Case:
    m = layer(lambda self, x: x)
    m.k = 2.0
    type(m).encode = lambda self, x: x * self.k  # type: ignore[attr-defined]
    return lambda x: m.encode(x), lambda: setattr(m, "k", 3.0)


@outside
def a_forward_that_is_replaced() -> Case:
    m = nn.Linear(3, 2)
    before = m.forward
    return lambda x: m(x), lambda: setattr(m, "forward", lambda x: before(x) * 2)


@outside
def a_helper() -> Case:
    k = 2.0

    def helper(x: Any) -> Any:
        return x * k

    def change() -> None:
        nonlocal k
        k = 9.0

    return lambda x: helper(x) + 1, change


@outside
def a_helper_among_others() -> Case:
    k = [2.0]
    helpers = [lambda x: x + 1, lambda x: x * k[0]]

    def step(x: Any) -> Any:
        for helper in helpers:
            x = helper(x)
        return x

    return step, lambda: k.__setitem__(0, 4.0)


@outside
def a_helper_more() -> Case:
    helpers = [nn.ReLU()]

    def step(x: Any) -> Any:
        for helper in helpers:
            x = helper(x)
        return x

    return step, lambda: helpers.append(nn.Tanh())


@outside
def a_default_argument() -> Case:
    def step(x: Any, k: Any = [2.0]) -> Any:  # noqa: B006
        return x * k[0]

    return step, lambda: step.__defaults__[0].__setitem__(0, 3.0)  # type: ignore[index]


@outside
def an_argument_of_a_partial() -> Case:
    c = {"k": 2.0}
    step = functools.partial(lambda x, config: x * config["k"], config=c)
    return step, lambda: c.update(k=4.0)


@outside
def a_compiled_step_inside() -> Case:
    c = {"k": 2.0}
    inner = nnscratch.compile(lambda x: x * c["k"])
    return lambda x: inner(x) + 1, lambda: c.update(k=4.0)


@outside
def what_a_hook_refers_to() -> Case:
    m, k = nn.Linear(3, 2), [1.0]
    m.register_forward_hook(lambda module, inputs, output: output * k[0])
    return lambda x: m(x), lambda: k.__setitem__(0, 3.0)


@outside
def a_hook_of_a_parameter() -> Case:
    w, optimizer = weights()
    k = [1.0]
    w.register_hook(lambda g: g * k[0])
    return training(w, optimizer), lambda: k.__setitem__(0, -1.0)


@outside
def what_clipping_is_given() -> Case:
    (w, optimizer), c = weights(), holder(most=0.1)
    clip = lambda: nn.utils.clip_grad_norm_([w], c.most)  # noqa: E731
    return training(w, optimizer, clip), lambda: setattr(c, "most", 10.0)


@outside
def an_optimizer_of_an_object() -> Case:
    w, optimizer = weights()
    c = holder(optimizer=optimizer)

    def step(x: Any) -> Any:
        c.optimizer.zero_grad()
        (w * x).sum().backward()
        c.optimizer.step()
        return w.detach().clone()

    return step, lambda: setattr(c, "optimizer", optim.SGD([w], lr=0.7))


@outside
def a_learning_rate_that_is_returned() -> Case:
    w, optimizer = weights()
    inner = training(w, optimizer)
    step = lambda x: inner(x) * optimizer.param_groups[0]["lr"]  # noqa: E731
    return step, lambda: optimizer.param_groups[0].update(lr=0.5)


@outside
def a_layer_more_in_a_list() -> Case:
    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.ReLU()])
            self.scales = nn.ParameterList([nnscratch.ones(3)])
            self.named = nn.ModuleDict({"a": nn.ReLU()})

        def forward(self, x: Any) -> Any:
            for inner in self.layers:
                x = inner(x)
            for scale in self.scales:
                x = x * scale
            return self.named["a"](x)

    m = Chain()

    def change() -> None:
        m.layers.append(nn.Tanh())
        m.scales[0] = nnscratch.full((3,), 2.0)
        m.named["a"] = nn.Sigmoid()

    return lambda x: m(x).detach(), change


@outside
def the_tables_of_a_module() -> Case:
    m = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

    def change() -> None:
        m._modules["1"] = nn.Tanh()
        m[0]._parameters.update(bias=None)

    return m, change


@outside
def the_default_dtype() -> Case:
    return lambda x: x + nnscratch.zeros(3), lambda: nnscratch.set_default_dtype("float64")


# Changed by the step itself: a replay would not do it.


@inside
def a_number_of_a_closure() -> Any:
    n = 0

    def step(x: Any) -> Any:
        nonlocal n
        n += 1
        return x * n

    return step


@inside
def a_global() -> Any:
    globals()["FACTOR"] = 2.0

    def step(x: Any) -> Any:
        global FACTOR
        FACTOR += 1.0
        return x * FACTOR

    return step


@inside
def a_count_of_a_module() -> Any:
    def forward(self: Any, x: Any) -> Any:
        self.n += 1
        return x / self.n

    return nn.Sequential(layer(forward, n=0))


@inside
def a_count_in_a_dictionary_of_a_module() -> Any:
    def forward(self: Any, x: Any) -> Any:
        self.state["n"] += 1
        return x / self.state["n"]

    m = layer(forward, state={"n": 0})
    return lambda x: m(x) + 1


@inside
def a_mean_over_all_batches() -> Any:
    class Norm(nn.Module):
        """As of a batch normalisation with momentum=None."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", nnscratch.zeros(3))
            self.seen = 0

        def forward(self, x: Any) -> Any:
            self.seen += 1
            self.mean = self.mean + (x.mean(0).detach() - self.mean) / self.seen
            return x - self.mean

    return Norm()


@inside
def a_mean_whose_count_is_a_buffer() -> Any:
    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", nnscratch.zeros(3))
            self.register_buffer("seen", nnscratch.tensor(0))

        def forward(self, x: Any) -> Any:
            self.seen.add_(1)
            self.mean.add_((x.mean(0).detach() - self.mean) / float(self.seen))
            return x - self.mean

    return Norm()


@inside
def a_buffer_that_is_assigned() -> Any:
    def forward(self: Any, x: Any) -> Any:
        self.kept = self.kept * 0.9 + x.mean(0).detach()
        return x - self.kept

    return layer(forward, kept=nnscratch.zeros(3))


@inside
def a_tensor_of_a_closure() -> Any:
    kept = nnscratch.zeros(3)

    def step(x: Any) -> Any:
        nonlocal kept
        kept = kept * 0.9 + x.mean(0)
        return x - kept

    return step


@inside
def a_tensor_of_an_object() -> Any:
    c = holder(kept=nnscratch.zeros(3))

    def step(x: Any) -> Any:
        c.kept = c.kept * 0.9 + x.mean(0)
        return x - c.kept

    return step


@inside
def a_list_that_grows() -> Any:
    seen: list[Any] = []

    def step(x: Any) -> Any:
        seen.append(x * 2)
        return x + len(seen)

    return step


@inside
def a_hook_that_counts() -> Any:
    m, n = nn.Linear(3, 2), [0]

    def hook(module: Any, inputs: Any, output: Any) -> Any:
        n[0] += 1
        return output * n[0]

    m.register_forward_hook(hook)
    return lambda x: m(x)


@inside
def an_optimizer_step_every_second_time() -> Any:
    w, optimizer = weights()
    c = holder(n=0)

    def step(x: Any) -> Any:
        (w * x).sum().backward()
        c.n += 1
        if c.n % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return w.detach().clone()

    return step


@inside
def a_learning_rate_set_by_hand() -> Any:
    w, optimizer = weights()
    n = [0]

    def adjust() -> None:
        n[0] += 1
        optimizer.param_groups[0]["lr"] = 0.1 / n[0]

    return training(w, optimizer, adjust)


@inside
def a_scheduler_of_ones_own() -> Any:
    w, optimizer = weights()

    class Mine:
        n = 0

        def step(self) -> None:
            self.n += 1
            for group in optimizer.param_groups:
                group["lr"] = 0.1 / self.n

    return training(w, optimizer, Mine().step)


@inside
def a_scheduler_that_does_more() -> Any:
    w, optimizer = weights()

    class Mine(optim.lr_scheduler.StepLR):
        def step(self, *args: Any) -> None:
            super().step(*args)
            for group in self.optimizer.param_groups:
                group["lr"] += 0.01

    return training(w, optimizer, Mine(optimizer, 2).step)


@inside
def an_optimizer_that_does_more() -> Any:
    class Mine(optim.SGD):
        n = 0

        def step(self, closure: Any = None) -> Any:
            self.n += 1
            if self.n % 2 == 0:
                super().step(closure)

    w, _ = weights()
    return training(w, Mine([w], lr=0.1))


@inside
def numbers_of_python() -> Any:
    random.seed(0)
    return lambda x: x * random.random()


@inside
def numbers_of_numpy() -> Any:
    np.random.seed(0)  # noqa: NPY002
    return lambda x: x * float(np.random.rand())  # noqa: NPY002


@inside
def numbers_of_a_generator() -> Any:
    generator = np.random.default_rng(0)
    return lambda x: x + nnscratch.tensor(generator.random((4, 3)).astype(np.float32))


@inside
def numbers_of_a_method() -> Any:
    draw = np.random.default_rng(0).random
    return lambda x: x * float(draw())


@inside
def an_iterator() -> Any:
    numbers = itertools.count(1)
    return lambda x: x * next(numbers)


def results(make: Callable[[], Case], compiled: bool) -> list[Any]:
    nnscratch.manual_seed(3)
    before = nnscratch.zeros(1).dtype
    try:
        step, change = make()
        if compiled:
            step = nnscratch.compile(step, on_unsupported="eager")
        found = []
        for n in range(8):
            if n == 4 and change is not None:
                change()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                found.append(step(nnscratch.tensor(X * (n / 10 + 1))).detach().numpy())
    finally:
        nnscratch.set_default_dtype(before)
    return found


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_change_from_outside_is_noticed(name: str) -> None:
    expected, found = results(OUTSIDE[name], False), results(OUTSIDE[name], True)
    same = np.allclose(expected[3] / 1.3, expected[4] / 1.4)
    assert not same or expected[3].dtype != expected[4].dtype, "the change changed nothing"
    for mine, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)
        assert mine.dtype == its.dtype


@pytest.mark.parametrize("name", INSIDE)
def test_what_the_step_changes_is_refused_or_runs_eagerly(name: str) -> None:
    expected, found = results(INSIDE[name], False), results(INSIDE[name], True)
    for mine, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)
    step = nnscratch.compile(INSIDE[name]()[0])
    refused = r"in Python, and a replay|iterator|item\(\)|reads its value"
    with pytest.raises(PlanError, match=refused):
        [step(nnscratch.tensor(X)) for _ in range(3)]


def test_what_is_made_once_is_no_change() -> None:
    """A cache that the first call fills, and a mode that it sets."""

    def forward(self: Any, x: Any) -> Any:
        if self.mask is None:
            self.mask = nnscratch.tensor(np.tril(np.ones((4, 3), np.float32)))
        return x * self.mask

    m = layer(forward, mask=None).eval()

    def step(x: Any) -> Any:
        m.train()
        return m(x)

    compiled = nnscratch.compile(step)
    for n in range(5):
        np.testing.assert_array_equal(compiled(nnscratch.tensor(X * n)).numpy(), np.tril(X * n))
    assert len(compiled.plans) == 1


def test_schedulers_run_at_every_replay() -> None:
    for make in (
        lambda o: optim.lr_scheduler.StepLR(o, 2),
        lambda o: optim.lr_scheduler.LambdaLR(o, lambda t: 1 / (t + 1)),
    ):

        def case(make: Any = make) -> Case:
            w, optimizer = weights()
            return training(w, optimizer, make(optimizer).step), None

        for mine, its in zip(results(case, True), results(case, False), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-5)

    def plateau() -> Case:
        w, optimizer = weights()
        scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
        return training(w, optimizer, lambda: scheduler.step(1.0)), None

    for mine, its in zip(results(plateau, True), results(plateau, False), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-5)


def test_code_that_refers_to_a_lot_is_recorded_once() -> None:
    table = {n: float(n) for n in range(5000)}
    names = [str(n) for n in range(500)]

    def step(x: Any) -> Any:
        return x * table[7] * len(names)

    compiled = nnscratch.compile(step)
    for _ in range(4):
        compiled(nnscratch.tensor(X))
    assert len(compiled.plans) == 1
    names.append("more")
    assert compiled(nnscratch.tensor(X)).numpy()[0, 0] == pytest.approx(X[0, 0] * 7 * 501)


class Loop:
    """A training loop that counts its steps, which the step itself does not mention."""

    def __init__(self) -> None:
        self.count = 0
        self.factor = 2.0
        self.step = nnscratch.compile(self.compute)

    def compute(self, x: Any) -> Any:
        return x * self.factor

    def run(self, x: Any) -> Any:
        self.count += 1
        return self.step(x)


def test_attributes_that_only_the_making_of_an_object_mentions_are_not_watched() -> None:
    loop = Loop()
    for _ in range(5):
        np.testing.assert_array_equal(loop.run(nnscratch.tensor(X)).numpy(), X * np.float32(2.0))
    assert len(loop.step.plans) == 1
    loop.factor = 3.0
    np.testing.assert_array_equal(loop.run(nnscratch.tensor(X)).numpy(), X * np.float32(3.0))
