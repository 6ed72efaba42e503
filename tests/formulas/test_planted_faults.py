"""The checks, checked: a fault that is planted into a formula must turn them red."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import formulas.contract as contract
import formulas.test_contract as contract_test
import numpy as np
import pytest
from formulas.contract import check
from formulas.faults import FAULTS, Gradients, caught, scaled, with_backward

from nnscratch.formulas import FORMULAS, SUM_TO, Formula, choosing, registry
from nnscratch.formulas.cases import Case, cases


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    name, plant = FAULTS[fault]
    assert caught(with_backward(name, plant)) is not None


def test_a_forgotten_unbroadcast_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_only(A: Any, *, shape: tuple[int, ...]) -> tuple[Any, Any]:
        return np.resize(A, shape), None

    monkeypatch.setattr(contract, "SUM_TO", replace(SUM_TO, forward=first_only))
    for name in ("add", "multiply", "where", "matmul"):
        assert caught(FORMULAS[name]) is not None


GENERIC: dict[str, Callable[[Any], Any]] = {
    "wrong sign": lambda g: -g,
    "factor 2": lambda g: 2 * g,
    "one entry missing": lambda g: (
        np.concatenate(([0.0], g.ravel()[1:])).reshape(g.shape) if g.size else g
    ),
    "entries moved by one": lambda g: np.roll(g, 1),
    "a relative error of 1e-6": lambda g: g * (1 + 1e-6),
    "nothing at all": lambda g: g * 0.0,
}


@pytest.mark.parametrize("fault", GENERIC)
@pytest.mark.parametrize(
    "name",
    # A derivative of 0 has no wrong sign and no factor.
    [n for n, f in FORMULAS.items() if f.backward is not None and {*f.gradients.values()} != {"0"}],
)
def test_a_fault_in_any_gradient_is_caught(name: str, fault: str) -> None:
    change = GENERIC[fault]
    formula = FORMULAS[name]
    for index in range(len(formula.inputs)):
        if not formula.differentiable[index]:
            continue
        visible = False

        def plant(gradient: Any, dY: Any, saved: Any) -> Any:
            nonlocal visible
            changed = change(gradient)
            visible = visible or not np.array_equal(changed, gradient)
            return changed

        found = caught(with_backward(name, scaled(index, plant)))
        # A gradient whose entries are all equal looks the same when they are moved.
        assert found is not None or not visible
        assert visible or fault == "entries moved by one"


class Fake:
    """An implementation that computes what the reference does, unless a test changes something."""

    name = "fake"
    library = "numpy"

    def __init__(self, formula: Formula) -> None:
        self.formula = formula

    def refuses(self, direction: str, inputs: Any, options: Any) -> str | None:
        return None

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.formula.forward(*inputs, **options)

    def backward(self, dY: Any, saved: Any, needs: Any) -> Gradients:
        assert self.formula.backward is not None
        return self.formula.backward(dY, saved, needs)

    def update(self, *inputs: Any, **options: Any) -> None:
        results = self.formula.forward(*inputs, **options)
        for name, result in zip(self.formula.updates, results, strict=True):
            target = dict(zip(self.formula.inputs, inputs, strict=False)).get(name)
            if target is not None:
                target[...] = result


def case_of(name: str, label: str) -> Case:
    return next(case for case in cases(name) if case.name == label)


def test_a_right_implementation_passes_and_is_seen_to_run() -> None:
    case = case_of("tanh", "a matrix")
    ran = check(FORMULAS["tanh"], case, "float32", implementation=Fake(FORMULAS["tanh"]))
    assert ran == [("tanh", "forward", "fake"), ("tanh", "backward", "fake")]
    ran = check(
        FORMULAS["adam"], cases("adam")[3], "float32", implementation=Fake(FORMULAS["adam"])
    )
    assert ran == [("adam", "update", "fake")]


class Promoting(Fake):
    def forward(self, *inputs: Any, **options: Any) -> Any:
        Y, saved = super().forward(*inputs, **options)
        return Y.astype(np.float64), saved


class Mutating(Fake):
    def forward(self, *inputs: Any, **options: Any) -> Any:
        found = super().forward(*inputs, **options)
        inputs[0][...] = inputs[0] * 1.5
        return found


class MutatingGradient(Fake):
    def backward(self, dY: Any, saved: Any, needs: Any) -> Gradients:
        found = super().backward(dY, saved, needs)
        dY[...] = 0
        return found


class Aliasing(Fake):
    def backward(self, dY: Any, saved: Any, needs: Any) -> Gradients:
        found = super().backward(dY, saved, needs)
        dY[...] = found[0]
        return (dY,)


class Eager(Fake):
    def backward(self, dY: Any, saved: Any, needs: Any) -> Gradients:
        return super().backward(dY, saved, (True,) * len(needs))


class Blurred(Fake):
    def forward(self, *inputs: Any, **options: Any) -> Any:
        Y, saved = super().forward(*inputs, **options)
        return np.round(Y, 4), saved


class NaNEating(Fake):
    def forward(self, *inputs: Any, **options: Any) -> Any:
        Y, saved = super().forward(*inputs, **options)
        return np.nan_to_num(Y), saved


class TailForgetting(Fake):
    """Handles blocks of 32 and forgets what is left, as a kernel may."""

    def forward(self, *inputs: Any, **options: Any) -> Any:
        Y, saved = super().forward(*inputs, **options)
        if Y.size > 32 and Y.size % 32:
            Y.reshape(-1)[-(Y.size % 32) :] = 0
        return Y, saved


class LayoutForgetting(Fake):
    """Reads memory in order whatever the strides say."""

    def forward(self, *inputs: Any, **options: Any) -> Any:
        X = inputs[0]
        base = X if X.base is None or X.flags.c_contiguous else X.base
        flat = base.reshape(-1)[: X.size].reshape(X.shape)
        return super().forward(flat, **options)


class WritingTooMuch(Fake):
    def update(self, *inputs: Any, **options: Any) -> None:
        super().update(*inputs, **options)
        inputs[1][...] = 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tanh", Promoting),
        ("tanh", Mutating),
        ("tanh", MutatingGradient),
        ("tanh", Aliasing),
        ("multiply", Eager),
        ("tanh", Blurred),
        ("tanh", NaNEating),
        ("tanh", TailForgetting),
        ("tanh", LayoutForgetting),
        ("sgd", WritingTooMuch),
    ],
)
def test_a_faulty_implementation_is_caught(name: str, kind: type[Fake]) -> None:
    formula = FORMULAS[name]

    def red(case: Case) -> bool:
        for layout in contract.LAYOUTS:
            try:
                check(formula, case, "float32", layout, implementation=kind(formula))
            except AssertionError:
                return True
        return False

    assert any(red(case) for case in cases(name))


def test_an_implementation_that_does_not_run_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "choose", lambda *args: None)
    with pytest.raises(AssertionError, match=r"ran .*reference.*, expected .*fake"):
        check(FORMULAS["tanh"], cases("tanh")[3], "float32", implementation=Fake(FORMULAS["tanh"]))


class Refusing(Fake):
    def refuses(self, direction: str, inputs: Any, options: Any) -> str | None:
        return "it never wants to"


def test_an_implementation_that_no_case_reaches_fails_collection() -> None:
    assert not contract_test.uncovered()
    before = dict(registry.entered())
    try:
        choosing._implementations["tanh"] = [Refusing(FORMULAS["tanh"])]
        assert contract_test.uncovered() == ["no case reaches fake of tanh"]
        with pytest.raises(pytest.UsageError, match="no case reaches fake of tanh"):
            contract_test.pytest_generate_tests(None)  # type: ignore[arg-type]
    finally:
        choosing._implementations.clear()
        choosing._implementations.update(before)


def test_a_formula_without_cases_fails_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMULAS, "uncased", FORMULAS["tanh"])
    assert contract_test.uncovered() == ["formula uncased has no cases"]
