"""The registry: who runs, who watches, what falls back; and what a formula is made of."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import nnscratch.formulas.cases as cases_module
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import (
    ADD,
    FORMULAS,
    LINEAR,
    RELU,
    SGD,
    TAKE,
    TANH,
    choosing,
    formula,
    registry,
)
from nnscratch.formulas.cases import Case, linear
from nnscratch.formulas.cases.derived import elementwise
from nnscratch.formulas.checks import NOTHING, plain
from nnscratch.formulas.live import LiveFloat, LiveInt, live


class Kernel:
    """A kernel of tanh that takes matrices, and thinks them worthwhile from ten entries."""

    library = "numpy"
    name = "kernel"

    def refuses(self, direction: str, inputs: Any, options: Any) -> str | None:
        return None if inputs[0].ndim == 2 else "it takes matrices only"

    def worthwhile(self, direction: str, inputs: Any) -> bool:
        return bool(inputs[0].size >= 10)

    def forward(self, X: Any) -> Any:
        return TANH.forward(X)

    def backward(self, dY: Any, saved: Any, needs: Any) -> Any:
        assert TANH.backward is not None
        return TANH.backward(dY, saved, needs)


@pytest.fixture(autouse=True)
def only_this_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_implementations", {})
    monkeypatch.setattr(choosing, "_later", {})
    monkeypatch.setattr(choosing, "_mode", "auto")
    registry.implement("tanh", Kernel())  # type: ignore[arg-type]


def ran(*shape: int) -> list[str]:
    with registry.observing(registry.CallLog()) as log:
        X = np.ones(shape)
        Y, saved = registry.forward(TANH, X)
        registry.backward(TANH, np.ones_like(Y), saved, (True,))
    assert [(name, way) for name, way, _ in log.ran] == [("tanh", "forward"), ("tanh", "backward")]  # type: ignore[attr-defined]
    return [one for _, _, one in log.ran]  # type: ignore[attr-defined]


def test_auto_takes_a_kernel_that_accepts_and_pays() -> None:
    assert ran(4, 5) == ["kernel", "kernel"]
    assert ran(2, 2) == ["reference", "reference"]
    assert ran(20) == ["reference", "reference"]


def test_off_takes_the_reference() -> None:
    with registry.use_kernels("off"):
        assert registry.kernels_mode() == "off"
        assert ran(4, 5) == ["reference", "reference"]
    assert registry.kernels_mode() == "auto"


def test_require_takes_a_kernel_or_says_why_not() -> None:
    with registry.use_kernels("require"):
        assert ran(2, 2) == ["kernel", "kernel"]
        message = "no kernel takes the forward of tanh: kernel: it takes matrices only"
        with pytest.raises(registry.KernelRefused, match=message):
            registry.forward(TANH, np.ones(3))
        # What has no kernel at all has nothing to refuse.
        assert registry.forward(RELU, np.ones(3))[0].sum() == 3


def test_an_unknown_mode_and_an_unknown_formula_are_refused() -> None:
    with (
        pytest.raises(ConfigurationError, match="auto, off, require; got 'fast'"),
        registry.use_kernels("fast"),
    ):
        raise AssertionError
    with pytest.raises(ConfigurationError, match="no formula is named 'tanhh'"):
        registry.implement("tanhh", Kernel())  # type: ignore[arg-type]


def test_the_newest_implementation_is_asked_first() -> None:
    newer = Kernel()
    registry.implement("tanh", newer)  # type: ignore[arg-type]
    assert registry.implementations("tanh")[0] is newer
    assert registry.implementations("relu") == ()


class Watcher(registry.Observer):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_call(self, call: registry.Call) -> None:
        self.seen.append((call.formula.name, call.direction, call.needs))

    def on_failure(self, formula: Any, direction: str, inputs: Any) -> None:
        self.seen.append((formula.name, direction, "failed"))

    def on_read(self, array: Any, what: str) -> None:
        self.seen.append(("read", what))

    def on_create(self, array: Any, what: str) -> None:
        self.seen.append(("create", what))

    def on_host(self, produce: Any) -> Any:
        self.seen.append("host")
        return live(produce(), 7)


def test_observers_see_everything_of_their_thread() -> None:
    watcher = Watcher()
    with registry.observing(watcher):
        Y, saved = registry.forward(TANH, np.ones(3))
        registry.backward(TANH, Y, saved, (True,))
        registry.update(SGD, np.ones(3), np.ones(3), lr=0.1)
        registry.notify_read(Y, "item()")
        registry.notify_create(Y, "tensor()")
        other = threading.Thread(target=registry.forward, args=(TANH, np.ones(3)))
        other.start()
        other.join()
        with pytest.raises(TypeError):
            registry.forward(TANH, np.ones(3), unknown=1)
        with pytest.raises(Exception, match=r".*"):
            registry.backward(TANH, None, saved, (True,))
    registry.forward(TANH, np.ones(3))
    assert watcher.seen == [
        ("tanh", "forward", ()),
        ("tanh", "backward", (True,)),
        ("sgd", "update", ()),
        ("read", "item()"),
        ("create", "tensor()"),
        ("tanh", "forward", "failed"),
        ("tanh", "backward", "failed"),
    ]


def test_host_runs_once_and_marks_numbers_for_observers() -> None:
    calls = []

    def produce() -> dict[str, Any]:
        calls.append(1)
        return {"lr": 0.1, "step": 3, "on": True}

    assert type(registry.host(produce)["lr"]) is float
    with registry.observing(Watcher()), registry.observing(Watcher()):
        made = registry.host(produce)
    assert len(calls) == 2
    assert (made["lr"], made["step"], made["on"]) == (0.1, 3, True)
    assert isinstance(made["lr"], LiveFloat)
    assert (made["step"].event, made["step"].key) == (7, "step")
    assert made["on"] is True


def test_live_numbers_become_plain_ones() -> None:
    marked = live((1, 0.5, "mean"), 3)
    assert [type(one) for one in marked] == [LiveInt, LiveFloat, str]
    assert [type(plain(one)) for one in marked] == [int, float, str]
    assert live([1], 3) == [1]
    A = np.ones(3, np.float32)
    assert registry.forward(ADD, A, marked[1])[0].dtype == np.float32


def test_update_leaves_out_what_is_not_given() -> None:
    P = np.ones(3)
    registry.update(SGD, P, np.ones(3), lr=0.5, momentum=0.0, step=1)
    np.testing.assert_array_equal(P, 0.5)


def test_a_take_that_nobody_differentiates() -> None:
    Y, saved = registry.forward(TAKE, np.ones(3), np.array([0, 2]), axis=0)
    assert registry.backward(TAKE, Y, saved, (False, False)) == (None, None)


def test_a_formula_is_described_by_its_functions() -> None:
    assert repr(LINEAR) == "<formula linear>"
    assert LINEAR.family == "linear"
    assert LINEAR.inputs == ("X", "W", "b")
    assert LINEAR.differentiable == (True, True, True)
    assert FORMULAS["concatenate"].variadic
    assert FORMULAS["concatenate"].inputs == ("arrays",)
    assert FORMULAS["where"].differentiable == (False, True, True)
    assert SGD.updates == ("P", "M")
    assert "lr" in SGD.options


def half_forward(X: Any) -> Any:
    return 0.5 * X, NOTHING


def half_backward(dY: Any, saved: Any, needs: Any) -> Any:
    return (0.5 * dY,)


TEXTS = {"equation": "Y = X / 2", "shapes": "X -> Y", "source": "a test"}


def test_a_formula_must_be_consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="its backward is given"):
        formula(half_forward, half_backward, **TEXTS)
    with pytest.raises(ValueError, match="its backward is missing"):
        formula(half_forward, gradients={"X": "1"}, **TEXTS)
    with pytest.raises(ValueError, match="gradients are for"):
        formula(half_forward, half_backward, gradients={"Z": "1"}, **TEXTS)
    monkeypatch.setitem(FORMULAS, "half", TANH)
    with pytest.raises(ValueError, match="there is a formula half already"):
        formula(half_forward, half_backward, gradients={"X": "1"}, **TEXTS)
    monkeypatch.delitem(FORMULAS, "half")
    made = formula(half_forward, half_backward, gradients={"X": "1"}, **TEXTS)
    assert FORMULAS.pop("half") is made


def test_cases_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [Case("one", ()), Case("one", ())]
    monkeypatch.setitem(linear.CASES, "relu", twice)
    cases_module.written_cases.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"relu are given twice: \['one'\]"):
            cases_module.written_cases()
    finally:
        cases_module.written_cases.cache_clear()


def test_a_case_is_the_same_every_time() -> None:
    for case in elementwise((0.0,)):
        for first, second in zip(case.build(), case.build(), strict=True):
            np.testing.assert_array_equal(first, second)
        if case.smooth and "entries" in case.name and not case.name.startswith("0"):
            (X,) = case.build()
            assert np.min(np.abs(X)) > 0.09
            assert not np.array_equal(X, case.build(seed=1)[0])
