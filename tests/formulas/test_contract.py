"""One contract for all implementations: every formula's cases, dtypes, layouts and libraries."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from formulas.contract import (
    LAYOUTS,
    NUMPY,
    STRICT,
    STRICT_DEVICE,
    check,
    check_gradients,
    needs_of,
    outputs_of,
    place,
)

import nnscratch
from nnscratch.formulas import FORMULAS, registry
from nnscratch.formulas.cases import Case, all_cases, cases
from nnscratch.formulas.written import resolved

DTYPES = ("float32", "float64")
# Formulas that never leave the dtype's range for finite inputs of that size, by construction: no
# overflow, no 0/0, with NumPy's warnings as errors.
QUIET_FAMILIES = (
    "activations",
    "piecewise",
    "sigmoids",
    "gelu",
    "softmax",
    "losses",
    "margin_losses",
    "binary_losses",
    "linear",
)


def uncovered() -> list[str]:
    """Name formulas without cases, and implementations that no case reaches."""
    missing = [f"formula {name} has no cases" for name in FORMULAS if not cases(name)]
    missing += [
        f"cases of an unknown formula {name}" for name in all_cases() if name not in FORMULAS
    ]
    for name in FORMULAS:
        for implementation in registry.implementations(name):
            if implementation.library != "numpy":
                continue  # tests/kernels/cuda and tests/gpu take these through the same cases
            if not any(reaches(name, implementation, case) for case in cases(name)):
                missing.append(f"no case reaches {implementation.name} of {name}")
    return missing


def reaches(name: str, implementation: Any, case: Case, layout: str = "C") -> bool:
    """Say whether an implementation takes a case, in any dtype, on NumPy."""
    formula = FORMULAS[name]
    for dtype in DTYPES:
        inputs = tuple(place(one, dtype, NUMPY, layout) for one in case.build())
        options = dict(case.options)
        direction = "update" if formula.updates else "forward"
        if implementation.refuses(direction, inputs, options) is None:
            return True
        if direction == "forward" and any(needs_of(formula, case.build())):
            Y, saved = formula.forward(*inputs, **options)
            given = (*map(np.asarray, outputs_of(Y)), *saved)
            if implementation.refuses("backward", given, {}) is None:
                return True
    return False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    missing = uncovered()
    if missing:
        raise pytest.UsageError("the contract has holes: " + "; ".join(missing))
    if "implementation" in metafunc.fixturenames:
        made = [
            pytest.param(name, case, one, id=f"{name}-{one.name}-{case.name}")
            for name in FORMULAS
            for one in registry.implementations(name)
            for case in cases(name)
            if reaches(name, one, case)
        ]
        metafunc.parametrize(("name", "case", "implementation"), made)
    elif "numeric_case" in metafunc.fixturenames:
        made = [
            pytest.param(name, case, id=f"{name}-{case.name}")
            for name, formula in FORMULAS.items()
            for case in cases(name)
            if case.smooth and any(needs_of(formula, case.build()))
        ]
        metafunc.parametrize(("name", "numeric_case"), made)
    elif "quiet_case" in metafunc.fixturenames:
        made = [
            pytest.param(name, case, id=f"{name}-{case.name}")
            for name, formula in FORMULAS.items()
            if formula.family in QUIET_FAMILIES
            for case in cases(name)
            if is_ordinary(name, case)
        ]
        metafunc.parametrize(("name", "quiet_case"), made)
    elif "case" in metafunc.fixturenames:
        made = [
            pytest.param(name, case, id=f"{name}-{case.name}")
            for name in FORMULAS
            for case in cases(name)
        ]
        metafunc.parametrize(("name", "case"), made)


def test_reference(name: str, case: Case) -> None:
    runs = [(NUMPY, layout) for layout in LAYOUTS]
    # These two take a device by its name, and make their own array on it.
    if name not in ("random_uniform", "random_normal"):
        runs += [(STRICT, "C"), (STRICT_DEVICE, "negative stride")]
    for backend, layout in runs:
        for dtype in DTYPES:
            try:
                check(FORMULAS[name], case, dtype, layout, backend)
            except Exception as error:
                error.add_note(f"{name}, {case.name}, {dtype}, {layout}, {backend}")
                raise


def test_implementations(name: str, case: Case, implementation: Any) -> None:
    for dtype in DTYPES:
        for layout in LAYOUTS:
            # Where it refuses a layout the reference runs, which has the test above.
            if layout != "C" and not reaches(name, implementation, case, layout):
                continue
            try:
                check(FORMULAS[name], case, dtype, layout, NUMPY, implementation)
            except Exception as error:
                error.add_note(f"{implementation.name}: {name}, {case.name}, {dtype}, {layout}")
                raise


def test_gradients(name: str, numeric_case: Case) -> None:
    compared = check_gradients(FORMULAS[name], numeric_case)
    assert compared


def test_every_differentiable_input_has_a_numeric_check() -> None:
    unchecked = []
    for name, formula in FORMULAS.items():
        if formula.backward is None:
            continue
        checked = [False] * len(formula.inputs)
        for case in cases(name):
            if case.smooth:
                values = case.build()
                for index, (need, value) in enumerate(
                    zip(needs_of(formula, values), values, strict=False)
                ):
                    if need and value.size:
                        checked[min(index, len(checked) - 1)] = True
        for label, flag, done in zip(formula.inputs, formula.differentiable, checked, strict=True):
            if flag and not done:
                unchecked.append(f"{name}: {label}")
    assert not unchecked


def is_ordinary(name: str, case: Case) -> bool:
    """Say whether a case has finite numbers and a finite derivative."""
    arrays = [v for v in case.build() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    finite = all(v.size and np.isfinite(v).all() for v in arrays)
    return finite and (name, case.name) != ("kl_div", "T zero")


def test_stable_formulas_are_quiet_by_construction(name: str, quiet_case: Case) -> None:
    formula, case = FORMULAS[name], quiet_case
    values = case.build()
    for dtype in DTYPES:
        inputs = tuple(place(value, dtype) for value in values)
        forward: Any = resolved(formula.forward).__wrapped__  # type: ignore[attr-defined]
        backward: Any = resolved(formula.backward).__wrapped__  # type: ignore[arg-type, attr-defined]
        with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
            warnings.simplefilter("error")
            Y, saved = forward(*inputs, **case.options)
            ones = tuple(map(np.ones_like, outputs_of(Y)))
            backward(ones if formula.outputs else ones[0], saved, needs_of(formula, values))


def test_every_formula_is_exported() -> None:
    exported = {name.lower() for name in nnscratch.formulas.__all__}
    assert set(FORMULAS) <= exported
    for name, formula in FORMULAS.items():
        assert getattr(nnscratch.formulas, name.upper()) is formula


def test_every_formula_is_described() -> None:
    for name, formula in FORMULAS.items():
        for text in (formula.equation, formula.shapes, formula.source, formula.forward.__doc__):
            assert (text or "").strip(), name
        if formula.backward is not None:
            assert formula.backward.__doc__, name
            assert all(formula.gradients.values()), name
