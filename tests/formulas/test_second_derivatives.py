"""Second derivatives come from first ones: every formula's, measured, and PyTorch's values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from formulas.contract import outputs_of
from formulas.test_parity import REFUSED, TORCH

import nnscratch
from nnscratch.formulas import FORMULAS, Formula, registry
from nnscratch.formulas.cases import Case, cases
from nnscratch.formulas.checks import plain
from nnscratch.tensors import Tensor, apply
from nnscratch.verify.gradients.elements import Verdict

FEW, MOST = 24, 40
"""Cases with up to so many floats are measured, which costs calls for each: of formulas with more
than ``MANY`` such cases the ones with few, of the others all with no more than the most."""
MANY = 20
LENGTHS = ("31 entries", "33 entries")
"""On both sides of the edge of a block of the kernels, of which second derivatives know nothing:
where a formula has a matrix of about as many entries, that is measured, else the first of these.
PyTorch's values are compared in all of them."""

# Where nothing is wrong, but too little can be measured to call it right.
UNMEASURED = {
    ("where", "NaN not taken"): "the inputs hold NaN",
    ("expm1", "near 0"): "steps of 1e-6 leave few digits",
    ("log1p", "near 0"): "steps of 1e-6 leave few digits",
    ("linear_activation", "softplus, beta 2.5"): "second derivatives of 1e-10",
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


def _small(name: str) -> list[Case]:
    sized = []
    for case in cases(name):
        values = case.build()
        floats = sum(v.size for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f")
        if case.smooth and 0 < floats <= MOST and any(_able(FORMULAS[name], values)):
            sized.append((floats, case))
    limit = FEW if len(sized) > MANY else MOST
    small = [case for floats, case in sized if floats <= limit]
    names = {case.name for case in small}
    of_length = [case.name for case in small if case.name in LENGTHS]
    again = of_length if "a matrix" in names else of_length[1:]
    return [case for case in small if case.name not in again]


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
    report = nnscratch.gradgradcheck(name, values, options=options)
    expected = Verdict.CANNOT_TELL if (name, case.name) in UNMEASURED else Verdict.RIGHT
    assert report.verdict is expected, report.text()


def test_every_formula_is_measured() -> None:
    assert {name for name in DIFFERENTIABLE if not _small(name)} == set()
    known = {(name, case.name) for name in DIFFERENTIABLE for case in _small(name)}
    assert set(UNMEASURED) <= known


COMPARED = [
    pytest.param(name, case, id=f"{name}-{case.name}")
    for name in DIFFERENTIABLE
    for case in cases(name)
    if case.smooth
    and name in TORCH
    and (name, case.name) not in REFUSED
    and any(_able(FORMULAS[name], case.build()))
]

# PyTorch has no second derivative of these.
ONCE_IN_PYTORCH = {
    *("hardsigmoid", "embedding_bag", "multi_margin", "multilabel_margin", "ctc"),
    ("scatter_prod", "two zeros"),
}
# PyTorch divides 0 by 0 where the slope is that of a root at 0.
NAN_IN_PYTORCH = {("std", "one entry, biased")}


def _products(lib: Any, call: Any, values: Any, able: Any, vectors: Any) -> list[Any]:
    """Return the derivatives of a product of first gradients with vectors, 0 where there is none.

    They are those by each cotangent, and by each input.
    """
    given = [
        (Tensor(v, a) if lib is nnscratch else torch.tensor(v, requires_grad=a))
        if isinstance(v, np.ndarray)
        else v
        for v, a in zip(values, able, strict=True)
    ]
    xs = [x for x, a in zip(given, able, strict=True) if a]
    y = tuple(one for one in outputs_of(call(*given)) if one.requires_grad)  # not the integers
    starts = [lib.tensor(v, requires_grad=True) for v in vectors[len(xs) :]]
    options = {"create_graph": True, "materialize_grads": True}
    first = lib.autograd.grad(y, xs, starts, **options)
    dot = sum((g * lib.tensor(v)).sum() for g, v in zip(first, vectors[: len(xs)], strict=True))
    if not dot.requires_grad:
        return [np.zeros(x.shape) for x in (*starts, *xs)]
    found = lib.autograd.grad(dot, [*starts, *xs], materialize_grads=True)
    return [g.numpy() if lib is nnscratch else g.numpy(force=True) for g in found]


@pytest.mark.parametrize(("name", "case"), COMPARED)
@pytest.mark.filterwarnings("ignore:var\\(\\)|std\\(\\)|var_mean\\(\\):UserWarning")
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_every_second_derivative_is_that_of_pytorch(name: str, case: Case) -> None:
    formula = FORMULAS[name]
    values = [plain(value) for value in case.build()]
    options = {key: plain(value) for key, value in case.options.items()}
    able = _able(formula, values)
    if not case.options.get("dtype", "float64").startswith("float"):
        return  # cast to integers, which have no gradient
    rng = np.random.default_rng(3)
    outputs = outputs_of(registry.forward(formula, *values, **options)[0])
    vectors = [rng.standard_normal(v.shape) for v, a in zip(values, able, strict=True) if a]
    vectors += [rng.standard_normal(one.shape) for one in outputs if one.dtype.kind == "f"]
    mine = _products(nnscratch, lambda *x: apply(formula, *x, **options), values, able, vectors)
    if ONCE_IN_PYTORCH & {name, (name, case.name), case.options.get("activation")}:
        refusal = r"derivative .*is not implemented|Double backward is unsupported"
        with pytest.raises(RuntimeError, match=refusal):
            _products(torch, lambda *x: TORCH[name](*x, **options), values, able, vectors)
        return
    theirs = _products(torch, lambda *x: TORCH[name](*x, **options), values, able, vectors)
    assert all(np.isfinite(g).all() for g in mine)
    if (name, case.name) in NAN_IN_PYTORCH:
        assert not all(np.isfinite(g).all() for g in theirs)
        return
    scale = 1e-10 * max(case.terms, 1) * max(case.magnitude, 1.0)
    for got, wanted in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=scale)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_what_is_saved_by_the_name_of_an_input_is_that_input(name: str) -> None:
    """A recorded walk goes by it where one array is that of several tensors."""
    formula = FORMULAS[name]
    for case in cases(name):
        values = case.build()
        _, saved = registry.forward(formula, *values, **case.options)
        for field, kept in zip(saved._fields, saved, strict=True):
            if field in formula.gradients and hasattr(kept, "dtype"):
                assert kept is values[formula.inputs.index(field)], f"{field} in {case.name}"


@pytest.mark.parametrize("name", ["gelu", "softmax", "log_softmax", "var", "linear", "matmul"])
def test_in_single_and_half_precision(name: str) -> None:
    case = next(c for c in cases(name) if c.smooth and c.build()[0].size > 4)
    values = case.build()
    able = _able(FORMULAS[name], values)
    found = {}
    for dtype in ("float64", "float32", "float16"):
        placed = [
            Tensor(v.astype(dtype), a) if isinstance(v, np.ndarray) else v
            for v, a in zip(values, able, strict=True)
        ]
        xs = [x for x, a in zip(placed, able, strict=True) if a]
        y = apply(FORMULAS[name], *placed, **case.options)
        weights = nnscratch.arange(1.0, y.numel() + 1).reshape(y.shape).to(dtype) / y.numel()
        first = nnscratch.autograd.grad(y, xs, weights, create_graph=True)
        assert {str(g.dtype) for g in first} == {dtype}
        total = sum((g * g).sum() for g in first)
        second = nnscratch.autograd.grad(total, xs, materialize_grads=True)
        assert {str(g.dtype) for g in second} == {dtype}
        found[dtype] = [g.numpy().astype(float) for g in second]
    assert any(np.abs(wanted).max() > 1e-3 for wanted in found["float64"])
    for dtype, rtol in (("float32", 1e-5), ("float16", 0.02)):
        for got, wanted in zip(found[dtype], found["float64"], strict=True):
            np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol * np.abs(wanted).max())
