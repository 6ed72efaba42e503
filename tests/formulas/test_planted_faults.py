"""The checks, checked: a fault that is planted into a formula must turn them red."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import formulas.contract as contract
import formulas.test_contract as contract_test
import numpy as np
import pytest
from formulas.contract import check, check_gradients, needs_of

from nnscratch.formulas import FORMULAS, SUM_TO, Formula, registry
from nnscratch.formulas.cases import Case, cases

Gradients = tuple[Any, ...]
Backward = Callable[[Any, Any, tuple[bool, ...]], Gradients]


def smooth(name: str) -> Iterator[Case]:
    for case in cases(name):
        if case.smooth and any(needs_of(FORMULAS[name], case.build())):
            yield case


def caught(formula: Formula) -> str | None:
    """Return the name of the first case whose gradient check goes red."""
    for case in smooth(formula.name):
        try:
            check_gradients(formula, case)
        except AssertionError:
            return case.name
    return None


def with_backward(name: str, change: Callable[[Backward], Backward]) -> Formula:
    original = FORMULAS[name].backward
    assert original is not None
    return replace(FORMULAS[name], backward=change(original))


def scaled(index: int, change: Callable[[Any, Any, Any], Any]) -> Callable[[Backward], Backward]:
    """Return a change of one gradient: ``change(gradient, dY, saved)``."""

    def plant(original: Backward) -> Backward:
        def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> Gradients:
            found = list(original(dY, saved, needs))
            if found[index] is not None:
                found[index] = change(np.asarray(found[index]), dY, saved)
            return tuple(found)

        return backward

    return plant


def instead(backward: Backward) -> Callable[[Backward], Backward]:
    return lambda original: backward


def saved_with(**changes: Callable[[Any], Any]) -> Callable[[Backward], Backward]:
    """Return a backward that sees other saved values: the derivative at the wrong point."""

    def plant(original: Backward) -> Backward:
        def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> Gradients:
            new = {name: change(saved) for name, change in changes.items()}
            return original(dY, saved._replace(**new), needs)

        return backward

    return plant


def _sigmoid(X: Any) -> Any:
    return 1 / (1 + np.exp(-X))


def _swapped(dY: Any, saved: Any, needs: Any) -> Gradients:
    return None, np.where(saved.C, 0.0, dY), np.where(saved.C, dY, 0.0)


def _overwritten(dY: Any, saved: Any, needs: Any) -> Gradients:
    dA = np.zeros(saved.shape)
    # The last of several slices from one index wins, instead of their sum.
    dA[(slice(None),) * saved.axis + (saved.I,)] = dY.reshape(
        *saved.shape[: saved.axis], saved.I.size, *saved.shape[saved.axis + 1 :]
    )
    return dA, None


def _square_transposed(gradient: Any, dY: Any, saved: Any) -> Any:
    return gradient.T if gradient.ndim == 2 and len(set(gradient.shape)) == 1 else gradient


def _pieces_swapped(original: Backward) -> Backward:
    def backward(dY: Any, saved: Any, needs: tuple[bool, ...]) -> Gradients:
        found = original(dY, saved, needs)
        same = len({np.shape(one) for one in found}) == 1
        return tuple(reversed(found)) if same else found

    return backward


MEAN_AS_SUM = saved_with(reduction=lambda saved: "sum")
FAULTS: dict[str, tuple[str, Callable[[Backward], Backward]]] = {
    "sigmoid: wrong sign": ("sigmoid", scaled(0, lambda g, dY, saved: -g)),
    "sigmoid: derivative at the output": ("sigmoid", saved_with(Y=lambda s: _sigmoid(s.Y))),
    "tanh: derivative at the output": ("tanh", saved_with(Y=lambda s: np.tanh(s.Y))),
    "tanh: the square forgotten": ("tanh", instead(lambda dY, s, n: (dY * (1 - s.Y),))),
    "silu: product rule forgotten": ("silu", instead(lambda dY, s, n: (dY * _sigmoid(s.X),))),
    "gelu: the density forgotten": (
        "gelu",
        instead(lambda dY, s, n: (dY * FORMULAS["gelu"].forward(s.X)[0] / s.X,)),
    ),
    "gelu: the other approximation": (
        "gelu",
        saved_with(approximate=lambda s: "none" if s.approximate == "tanh" else "tanh"),
    ),
    "relu: passes everything": ("relu", instead(lambda dY, s, n: (dY * 1.0,))),
    "leaky_relu: the slope forgotten": ("leaky_relu", saved_with(negative_slope=lambda s: 0.0)),
    "prelu: slopes of another channel": ("prelu", saved_with(W=lambda s: s.W[::-1])),
    "prelu: dW without X": (
        "prelu",
        scaled(1, lambda g, dY, s: np.full(g.shape, np.sum(np.where(s.X > 0, 0, dY)))),
    ),
    "elu: alpha forgotten": ("elu", saved_with(alpha=lambda s: 1.0)),
    "selu: derivative at -X": ("selu", saved_with(X=lambda s: -s.X)),
    "softplus: beta forgotten": ("softplus", saved_with(beta=lambda s: 1.0)),
    "softsign: the square forgotten": (
        "softsign",
        instead(lambda dY, s, n: (dY / (1 + np.abs(s.X)),)),
    ),
    "hardtanh: bounds forgotten": ("hardtanh", saved_with(max_val=lambda s: 1e9)),
    "softmax: only the diagonal": ("softmax", instead(lambda dY, s, n: (dY * s.Y * (1 - s.Y),))),
    "softmax: the wrong axis": (
        "softmax",
        saved_with(axis=lambda s: (s.axis + 1) % s.Y.ndim),
    ),
    "log_softmax: the sum forgotten": ("log_softmax", instead(lambda dY, s, n: (dY * 1.0,))),
    "logsumexp: e^X, not e^(X - Y)": (
        "logsumexp",
        instead(lambda dY, s, n: (dY.reshape(s.Y.shape) * np.exp(s.X),)),
    ),
    "linear: dW transposed": ("linear", scaled(1, _square_transposed)),
    "linear: W transposed in dX": (
        "linear",
        saved_with(W=lambda s: s.W.T if s.W.shape[0] == s.W.shape[1] else s.W),
    ),
    "linear: the bias has no gradient": ("linear", scaled(2, lambda g, dY, s: g * 0.0)),
    "linear: db not summed": (
        "linear",
        scaled(2, lambda g, dY, s: dY.reshape(-1, *g.shape)[0] if dY.size else g),
    ),
    "linear: db is a mean": (
        "linear",
        scaled(2, lambda g, dY, s: g / max(dY.size // max(g.size, 1), 1)),
    ),
    "linear_activation: f' forgotten": (
        "linear_activation",
        lambda original: lambda dY, s, needs: FORMULAS["linear"].backward(dY, (s.X, s.W), needs),  # type: ignore[misc]
    ),
    "matmul: B not transposed": (
        "matmul",
        saved_with(B=lambda s: s.B.T if s.B.ndim == 2 and len(set(s.B.shape)) == 1 else s.B),
    ),
    "matmul: dB transposed": ("matmul", scaled(1, _square_transposed)),
    "multiply: factors exchanged": ("multiply", saved_with(A=lambda s: s.B, B=lambda s: s.A)),
    "subtract: B has the sign of A": ("subtract", instead(lambda dY, s, n: (dY, dY))),
    "divide: the square forgotten": ("divide", scaled(1, lambda g, dY, s: g * s.B)),
    "power: the exponent not lowered": (
        "power",
        scaled(0, lambda g, dY, s: dY * s.B * s.Y),
    ),
    "power: the logarithm forgotten": ("power", scaled(1, lambda g, dY, s: dY * s.Y)),
    "where: branches exchanged": ("where", instead(_swapped)),
    "maximum: the smaller gets it": ("maximum", saved_with(A=lambda s: s.B, B=lambda s: s.A)),
    "exp: derivative at the output": ("exp", saved_with(Y=lambda s: np.exp(s.Y))),
    "log: multiplied": ("log", instead(lambda dY, s, n: (dY * s.A,))),
    "sqrt: factor 2": ("sqrt", scaled(0, lambda g, dY, s: 2 * g)),
    "abs: the sign forgotten": ("abs", instead(lambda dY, s, n: (dY * 1.0,))),
    "clip: bounds exchanged": ("clip", instead(lambda dY, s, n: (dY * 0.0,))),
    "sum: divided by n": ("sum", scaled(0, lambda g, dY, s: g / max(np.size(g), 1))),
    "mean: missing 1/N": ("mean", scaled(0, lambda g, dY, s: g * max(g.size, 1))),
    "var: the correction forgotten": (
        "var",
        scaled(0, lambda g, dY, s: g * s.divisor / (s.divisor + 1)),
    ),
    "var: factor 2": ("var", scaled(0, lambda g, dY, s: g / 2)),
    "max: another entry gets it": ("max", scaled(0, lambda g, dY, s: np.flip(g))),
    "min: all entries get it": ("min", instead(lambda dY, s, n: (np.resize(dY, s.A.shape),))),
    "transpose: axes not put back": (
        "transpose",
        instead(
            lambda dY, s, n: (
                (np.transpose(np.transpose(dY, s.axes), s.axes),)
                if len(set(dY.shape)) > 1
                else (np.transpose(dY, s.axes),)
            )
        ),
    ),
    "reshape: column-major": (
        "reshape",
        instead(lambda dY, s, n: (np.reshape(dY, s.shape, order="F"),)),
    ),
    "getitem: entries off by one": ("getitem", scaled(0, lambda g, dY, s: np.roll(g, 1))),
    "take: overwritten, not added": ("take", instead(_overwritten)),
    "concatenate: pieces exchanged": ("concatenate", _pieces_swapped),
    "stack: pieces exchanged": ("stack", _pieces_swapped),
    "dropout: not scaled": ("dropout", instead(lambda dY, s, n: (np.where(s.M, dY, 0.0),))),
    "dropout: the mask inverted": ("dropout", saved_with(M=lambda s: ~s.M)),
    "mse: missing 1/N": ("mse", MEAN_AS_SUM),
    "mse: factor 2 forgotten": ("mse", scaled(0, lambda g, dY, s: g / 2)),
    "l1: missing 1/N": ("l1", MEAN_AS_SUM),
    "smooth_l1: beta forgotten": ("smooth_l1", saved_with(bend=lambda s: 1.0)),
    "huber: never bends": ("huber", saved_with(bend=lambda s: 1e9)),
    "huber: missing 1/N": ("huber", MEAN_AS_SUM),
    "kl_div: wrong sign": ("kl_div", scaled(0, lambda g, dY, s: -g)),
    "kl_div: batchmean taken for mean": (
        "kl_div",
        saved_with(reduction=lambda s: "mean" if s.reduction == "batchmean" else s.reduction),
    ),
    "hinge_embedding: the margin forgotten": ("hinge_embedding", saved_with(margin=lambda s: 9.0)),
    "cosine_embedding: the lengths forgotten": (
        "cosine_embedding",
        scaled(0, lambda g, dY, s: g + s.X1),
    ),
    "bce: gradient of the logits": (
        "bce",
        scaled(0, lambda g, dY, s: g * s.P * (1 - s.P)),
    ),
    "bce: weights forgotten": ("bce", saved_with(w=lambda s: None)),
    "bce_with_logits: pos_weight forgotten": (
        "bce_with_logits",
        saved_with(pos_weight=lambda s: None),
    ),
    "bce_with_logits: the target's is the input's": (
        "bce_with_logits",
        lambda original: lambda dY, s, needs: (*[original(dY, s, needs)[0]] * 2, None, None),
    ),
    "nll: weights forgotten": (
        "nll",
        saved_with(weights=lambda s: (s.weights != 0) * 1.0, total=lambda s: s.total),
    ),
    "cross_entropy: missing 1/N": ("cross_entropy", saved_with(total=lambda s: None)),
    "cross_entropy: weights forgotten": ("cross_entropy", saved_with(w=lambda s: None)),
    "cross_entropy: smoothing forgotten": (
        "cross_entropy",
        saved_with(label_smoothing=lambda s: 0.0),
    ),
    "cross_entropy: the ignored count": ("cross_entropy", saved_with(ignore_index=lambda s: -7)),
    "cross_entropy_probabilities: weights forgotten": (
        "cross_entropy_probabilities",
        saved_with(w=lambda s: None),
    ),
    "cross_entropy_probabilities: smoothing forgotten": (
        "cross_entropy_probabilities",
        saved_with(label_smoothing=lambda s: 0.0),
    ),
    "cross_entropy_probabilities: dT is P - T": (
        "cross_entropy_probabilities",
        scaled(1, lambda g, dY, s: np.exp(s.logP) - s.T),
    ),
}


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
@pytest.mark.parametrize("name", [n for n, f in FORMULAS.items() if f.backward is not None])
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
    monkeypatch.setattr(registry, "_choose", lambda *args: None)
    with pytest.raises(AssertionError, match=r"ran .*reference.*, expected .*fake"):
        check(FORMULAS["tanh"], cases("tanh")[3], "float32", implementation=Fake(FORMULAS["tanh"]))


class Refusing(Fake):
    def refuses(self, direction: str, inputs: Any, options: Any) -> str | None:
        return "it never wants to"


def test_an_implementation_that_no_case_reaches_fails_collection() -> None:
    assert not contract_test.uncovered()
    before = dict(registry._implementations)
    try:
        registry._implementations["tanh"] = [Refusing(FORMULAS["tanh"])]
        assert contract_test.uncovered() == ["no case reaches fake of tanh"]
        with pytest.raises(pytest.UsageError, match="no case reaches fake of tanh"):
            contract_test.pytest_generate_tests(None)  # type: ignore[arg-type]
    finally:
        registry._implementations.clear()
        registry._implementations.update(before)


def test_a_formula_without_cases_fails_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMULAS, "uncased", FORMULAS["tanh"])
    assert contract_test.uncovered() == ["formula uncased has no cases"]
