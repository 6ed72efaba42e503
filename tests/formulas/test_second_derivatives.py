"""Second derivatives come from first ones: every formula's, measured, and PyTorch's values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from formulas.test_parity import REFUSED, TORCH

import nnscratch
from nnscratch.errors import GradientError
from nnscratch.formulas import FORMULAS, Formula, registry
from nnscratch.formulas.cases import Case, cases
from nnscratch.formulas.checks import plain
from nnscratch.tensors import Tensor, apply
from nnscratch.verify.report import Verdict

MOST = 40
"""Cases with more floats are left to first derivatives: a numeric one costs a call for each."""

# Gradients that depend on nothing.
CONSTANT = {("power", "to the power of 0"), ("power", "to the power of 0.0")}

# Where nothing is wrong, but too little can be measured to call it right.
UNMEASURED = {
    ("where", "NaN not taken"): "the inputs hold NaN",
    ("expm1", "near 0"): "steps of 1e-6 leave few digits",
    ("log1p", "near 0"): "steps of 1e-6 leave few digits",
    ("linear_activation", "softplus with options"): "second derivatives of 1e-10",
    ("std", "2 entries"): "it is |a - b| / sqrt 2, whose second derivative is 0 but for rounding",
    ("norm", "1 entries"): "it is |a|, whose second derivative is 0 but for rounding",
    ("norm", "a number"): "it is |a|, whose second derivative is 0 but for rounding",
    ("norm", "a number, kept"): "it is |a|, whose second derivative is 0 but for rounding",
    ("norm", "an axis of one"): "it is |a|, whose second derivative is 0 but for rounding",
    ("norm", "an axis of one, kept"): "it is |a|, whose second derivative is 0 but for rounding",
}


def _able(formula: Formula, values: tuple[Any, ...]) -> tuple[bool, ...]:
    """Return which inputs have a gradient in a case."""
    kinds = formula.differentiable * (len(values) if formula.variadic else 1)
    return tuple(
        can and isinstance(value, np.ndarray) and value.dtype.kind == "f"
        for can, value in zip(kinds, values, strict=False)
    )


def _small(name: str) -> Iterator[Case]:
    for case in cases(name):
        values = case.build()
        floats = sum(v.size for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f")
        if case.smooth and 0 < floats <= MOST and any(_able(FORMULAS[name], values)):
            yield case


DIFFERENTIABLE = [name for name, formula in FORMULAS.items() if formula.backward is not None]
ALL = [
    pytest.param(name, case, id=f"{name}-{case.name}")
    for name in DIFFERENTIABLE
    for case in _small(name)
]


@pytest.mark.parametrize(("name", "case"), ALL)
def test_every_second_derivative_is_the_measured_one(name: str, case: Case) -> None:
    options = {key: plain(value) for key, value in case.options.items()}
    values = [plain(value) for value in case.build()]
    if (name, case.name) in CONSTANT:
        with pytest.raises(GradientError, match="no output depends on an input"):
            nnscratch.gradgradcheck(name, values, options=options)
        return
    report = nnscratch.gradgradcheck(name, values, options=options)
    expected = Verdict.CANNOT_TELL if (name, case.name) in UNMEASURED else Verdict.RIGHT
    assert report.verdict is expected, report.text()


def test_every_formula_is_measured() -> None:
    assert {name for name in DIFFERENTIABLE if not any(_small(name))} == set()
    known = {(name, case.name) for name in DIFFERENTIABLE for case in _small(name)}
    assert set(UNMEASURED) | CONSTANT <= known


SIZED = [
    pytest.param(name, case, id=f"{name}-{case.name}")
    for name in DIFFERENTIABLE
    for case in cases(name)
    if case.smooth and (name, case.name) not in REFUSED and any(_able(FORMULAS[name], case.build()))
]


@pytest.mark.parametrize(("name", "case"), SIZED)
def test_every_second_derivative_is_that_of_pytorch(name: str, case: Case) -> None:
    formula = FORMULAS[name]
    values = case.build()
    able = _able(formula, values)
    options = {key: plain(value) for key, value in case.options.items()}
    rng = np.random.default_rng(3)
    mine = [Tensor(v, a) if isinstance(v, np.ndarray) else plain(v) for v, a in zip(values, able)]
    theirs = [
        torch.tensor(v, requires_grad=a) if isinstance(v, np.ndarray) else plain(v)
        for v, a in zip(values, able)
    ]
    results = []
    y = apply(formula, *mine, **case.options)
    z = TORCH[name](*theirs, **options)
    dy = rng.standard_normal(y.shape)
    vs = [rng.standard_normal(v.shape) for v, a in zip(values, able) if a]
    for lib, given, out in ((nnscratch, mine, y), (torch, theirs, z)):
        xs = [x for x, a in zip(given, able) if a]
        start = lib.tensor(dy, requires_grad=True)
        if not out.requires_grad:
            return
        first = lib.autograd.grad(out, xs, start, create_graph=True, materialize_grads=True)
        dot = sum((g * lib.tensor(v)).sum() for g, v in zip(first, vs))
        if not dot.requires_grad:
            results.append([np.zeros(x.shape) for x in (start, *xs)])
            continue
        second = lib.autograd.grad(dot, [start, *xs], materialize_grads=True)
        results.append([np.asarray(g) for g in second])
    scale = 1e-10 * max(case.terms, 1) * max(case.magnitude, 1.0)
    for got, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=scale)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_what_is_saved_by_the_name_of_an_input_is_that_input(name: str) -> None:
    """A recorded walk goes by it where one array is that of several tensors."""
    formula = FORMULAS[name]
    for case in cases(name):
        values = case.build()
        _, saved = registry.forward(formula, *values, **case.options)
        for field, kept in zip(saved._fields, saved, strict=True):
            if field in formula.inputs and hasattr(kept, "dtype"):
                assert kept is values[formula.inputs.index(field)], f"{field} in {case.name}"


@pytest.mark.parametrize("name", ["relu", "gelu", "softmax", "mse", "norm", "linear"])
def test_in_single_and_half_precision(name: str) -> None:
    case = next(c for c in _small(name) if c.build()[0].size > 2)
    values = case.build()
    able = _able(FORMULAS[name], values)
    found = {}
    for dtype in ("float64", "float32", "float16"):
        placed = [
            Tensor(v.astype(dtype), a) if isinstance(v, np.ndarray) else v
            for v, a in zip(values, able)
        ]
        xs = [x for x, a in zip(placed, able) if a]
        y = apply(FORMULAS[name], *placed, **case.options)
        weights = nnscratch.arange(1.0, y.numel() + 1).reshape(y.shape).to(dtype)
        first = nnscratch.autograd.grad(y, xs, weights / 8, create_graph=True)
        assert all(str(g.dtype) == dtype for g in first)
        total = sum((g * g).sum() for g in first)
        second = nnscratch.autograd.grad(total, xs, materialize_grads=True)
        assert all(str(g.dtype) == dtype for g in second)
        found[dtype] = [g.numpy().astype(float) for g in second]
    for dtype, rtol in (("float32", 1e-4), ("float16", 0.1)):
        for got, wanted in zip(found[dtype], found["float64"], strict=True):
            np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol * np.abs(wanted).max())
