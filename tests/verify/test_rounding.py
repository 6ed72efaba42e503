"""Nothing right is called wrong where rounding, saturation or a pole hides the derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import gradcheck, nn, optim
from nnscratch.errors import DataError
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import cases
from nnscratch.nn import functional as F


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1.0, 6.0, 10.0, 16.0])
def test_a_confident_softmax(size: float, dtype: str) -> None:
    logits = (np.eye(3) * size).astype(dtype)
    report = gradcheck(lambda z: F.cross_entropy(z, nnscratch.tensor([0, 1, 2])), [logits])
    assert str(report.verdict) == "right"


def test_a_fault_shows_in_a_confident_softmax() -> None:
    logits = (np.eye(3) * 6).astype(np.float32)

    def forward(Z: Any) -> Any:
        E = np.exp(Z - Z.max(-1, keepdims=True))
        return E / E.sum(-1, keepdims=True), Z

    for wrong in (lambda p: p, lambda p: 1.01 * (p - np.eye(3, dtype=p.dtype))):

        def loss(Z: Any) -> Any:
            P, _ = forward(Z)
            return -np.log(np.diagonal(P)).mean(), P

        def backward(dY: Any, P: Any) -> Any:
            return (dY * wrong(P) / 3).astype(P.dtype)  # noqa: B023

        assert str(gradcheck((loss, backward), [logits]).verdict) == "wrong"


def test_a_network_that_has_learned() -> None:
    rng = np.random.default_rng(0)
    nnscratch.manual_seed(0)
    x = rng.normal(size=(32, 8)).astype(np.float32)
    y = (x[:, :4].argmax(1)).astype(np.int64)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss(model(nnscratch.tensor(x)), nnscratch.tensor(y)).backward()
        optimizer.step()
    for start in range(0, 32, 8):
        batch = [x[start : start + 8], y[start : start + 8]]
        assert str(gradcheck((model, loss), batch).verdict) != "wrong"


POLES: dict[str, tuple[Any, list[Any]]] = {
    "1/(x-1)": (lambda x: 1 / (x - 1), [np.array([1 + 1e-5, 1 - 1e-5])]),
    "1/x, sizes apart": (lambda x: 1 / x, [np.array([1e-6, -1e-6, 3.0])]),
    "divide": ("divide", [np.ones(3), np.array([1e-6, -1e-6, 3.0])]),
    "log": (lambda x: (x * x).log(), [np.array([1e-6, 3.0])]),
    "tan": (lambda x: (x - 2).reciprocal() * x, [np.array([2.0001, 1.9999, 5.0])]),
    "normalize": (lambda x: F.normalize(x, dim=0), [np.array([1e-7, -2e-7])]),
    "pow": (lambda x: x**-3, [np.array([1e-4, 2.0])]),
}


@pytest.mark.parametrize("name", POLES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_near_a_pole(name: str, dtype: str) -> None:
    target, inputs = POLES[name]
    report = gradcheck(target, [x.astype(dtype) for x in inputs])
    assert str(report.verdict) in ("right", "cannot tell")


def test_a_fault_beside_a_pole_is_seen() -> None:
    x = np.array([1e-6, 3.0, -2.0])
    pair = (lambda x: (1 / x, x), lambda dY, x: np.where(np.abs(x) > 1, 1.0, -1.0) * dY / x**2)
    report = gradcheck(pair, [x])
    assert str(report.verdict) == "wrong"


@pytest.mark.parametrize("target", ["tanh", lambda x: x * x, lambda x: x.exp().sum()])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_of_no_dimensions(target: Any, dtype: str) -> None:
    assert gradcheck(target, [np.asarray(0.5, dtype)])


SATURATED: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": lambda x: x.tanh(),
    "selu": F.selu,
    "softplus": F.softplus,
    "logsumexp": lambda x: x.logsumexp(-1),
    "gelu": F.gelu,
    "huber": lambda x: F.huber_loss(x, x.detach() * 0),
}


@pytest.mark.parametrize("name", SATURATED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-5, 1.0, 40.0, 1e3])
def test_saturated(name: str, dtype: str, scale: float) -> None:
    x = (np.array([[-1.0, 0.3, 1.0, 0.95], [0.1, -0.2, 0.7, 0.5]]) * scale).astype(dtype)
    assert str(gradcheck(SATURATED[name], [x]).verdict) != "wrong"


def test_what_works_in_float32_only_is_judged_there() -> None:
    """The derivative of a pair that falls back to float32 inside is measured as it is."""
    pair = (
        lambda x: (np.float32(x) ** 2, x),
        lambda dY, x: (2 * np.float32(x) * np.float32(dY)).astype(np.float32),
    )
    x = np.array([0.5, -1.5, 2.0], np.float32)
    assert str(gradcheck(pair, [x]).verdict) != "wrong"
    bad = (pair[0], lambda dY, x: (3 * np.float32(x) * np.float32(dY)).astype(np.float32))
    assert str(gradcheck(bad, [x]).verdict) == "wrong"


def test_no_formula_is_called_wrong() -> None:
    """A sample of what `python -m benchmarks.gradcheck_rates` goes through in full."""
    rng = np.random.default_rng(7)
    seen = unsure = 0
    for name, formula in FORMULAS.items():
        if formula.backward is None or name == "dropout":
            continue
        for case in cases(name)[::7]:
            values = case.build()
            arrays = [v for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
            if not arrays or not all(np.isfinite(a).all() and 0 < a.size < 40 for a in arrays):
                continue
            dtype = ("float32", "float64")[int(rng.integers(2))]
            given = [
                np.asarray(v, dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v
                for v in values
            ]
            try:
                verdict = str(gradcheck(formula, given, options=dict(case.options)).verdict)
            except DataError:  # a probability that float32 rounds to more than 1
                continue
            assert verdict != "wrong", (name, case.name, dtype)
            seen += 1
            unsure += verdict == "cannot tell"
    assert seen > 100
    assert unsure < 0.1 * seen
