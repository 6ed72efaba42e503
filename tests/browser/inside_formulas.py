"""In a browser: every formula's cases, by its reference. Run by ``test_browser.py``."""

from __future__ import annotations

import pytest
from formulas.contract import check, check_gradients, needs_of, outputs_of

from nnscratch.formulas import FORMULAS, registry
from nnscratch.formulas.cases import cases


def test_that_indices_are_narrow() -> None:
    import numpy as np

    assert np.dtype(np.intp).itemsize == 4 == np.arange(3).dtype.itemsize


def test_that_no_kernel_takes_a_call() -> None:
    from nnscratch.kernels.cpu import import_problem

    assert import_problem()


@pytest.mark.parametrize("name", FORMULAS)
def test_reference(name: str) -> None:
    for case in cases(name):
        for dtype, layout in (("float32", "C"), ("float64", "negative stride")):
            try:
                check(FORMULAS[name], case, dtype, layout)
            except Exception as error:
                error.add_note(f"{name}, {case.name}, {dtype}, {layout}")
                raise


@pytest.mark.parametrize("name", FORMULAS)
def test_calls_as_tensors_make_them(name: str) -> None:
    """A kernel that cannot be compiled leaves a call to the reference; integers are int64."""
    formula = FORMULAS[name]
    for case in cases(name):
        if not formula.updates:
            inputs = case.build()
            Y, _ = registry.forward(formula, *inputs, **case.options)
            for one in outputs_of(Y):
                if case.options.get("dtype") != "int32":
                    assert one.dtype != "int32", case.name


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients(name: str) -> None:
    for case in cases(name):
        if case.smooth and any(needs_of(FORMULAS[name], case.build())):
            check_gradients(FORMULAS[name], case, directions=1)
