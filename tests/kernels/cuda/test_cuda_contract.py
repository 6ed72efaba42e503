"""The contract of every implementation, for the CUDA kernels' own text on a CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulator.driver import Emulator
from formulas.contract import NUMPY, SHIFTED, check, place

from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import Case, cases
from nnscratch.kernels.cuda import IMPLEMENTATIONS
from nnscratch.kernels.cuda.source import files, signatures

DTYPES = ("float32", "float64")


def run(name: str, case: Case, dtype: str, layout: str, implementation: Any) -> int:
    try:
        ran = check(FORMULAS[name], case, dtype, layout, NUMPY, implementation)
    except Exception as error:
        error.add_note(f"{name}, {case.name}, {dtype}, {layout}")
        raise
    return sum(implementation == "cuda" for _, _, implementation in ran)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_contract(name: str, dtype: str, emulator: Emulator) -> None:
    implementation = IMPLEMENTATIONS[name].on(emulator)
    reached = sum(run(name, case, dtype, "C", implementation) for case in cases(name))
    assert reached > 1
    # What is not contiguous is copied, or refused, and the reference computes.
    for case in cases(name)[:12]:
        run(name, case, dtype, "sliced", implementation)


@pytest.mark.parametrize("layout", SHIFTED)
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_arrays_that_are_not_aligned_for_vectors(name: str, layout: str) -> None:
    implementation = IMPLEMENTATIONS[name].on(Emulator())
    small = [one for one in cases(name) if sum(np.size(value) for value in one.build()) < 2000]
    for case in small:
        run(name, case, "float32", layout, implementation)


@pytest.mark.parametrize("name", ["linear", "linear_activation"])
def test_products_of_the_array_library(name: str) -> None:
    library = Emulator(tiled_limit=0)
    implementation = IMPLEMENTATIONS[name].on(library)
    assert sum(run(name, case, "float32", "C", implementation) for case in cases(name)) > 1
    assert not any(kernel.startswith("matmul") for kernel in library.launched)


def test_every_kernel_is_launched_by_a_case() -> None:
    emulator = Emulator()
    # Those of copies.cu have tests of their own.
    never = {kernel for file in files() if file != "copies" for kernel in signatures(file)}
    for least, most in ((0, 400), (400, 10000)):
        for tiled_limit in (0, 1 << 20):
            emulator.tiled_limit = tiled_limit
            for name, implementation in IMPLEMENTATIONS.items():
                if not any(never & set(signatures(file)) for file in implementation.files):
                    continue
                for case in cases(name):
                    if least <= sum(np.size(one) for one in case.build()) < most:
                        run(name, case, "float32", "C", implementation.on(emulator))
                never -= set(emulator.launched)
    # philox_words is for the test of the random numbers themselves, set_page for plans. The
    # identity has no backward: a layer without an activation sums its columns by column_stripes.
    assert never == {
        "philox_words", "set_page", "bias_activation_backward_identity",
    }  # fmt: skip


def test_every_implementation_says_what_it_refuses() -> None:
    for name, implementation in IMPLEMENTATIONS.items():
        direction = next(iter(implementation.lowerings))
        case = next(case for case in cases(name) if np.size(case.build()[0]) > 1)
        inputs = tuple(place(one, "float32") for one in case.build())
        assert "not CuPy's" in str(implementation.refuses(direction, inputs, dict(case.options)))
        assert implementation.refuses("sideways", inputs, {}) == "it has no kernel for sideways"


def test_half_precision_and_complex_numbers_go_to_the_reference(emulator: Emulator) -> None:
    relu = IMPLEMENTATIONS["relu"].on(emulator)
    assert "float16" in str(relu.refuses("forward", (np.ones(3, np.float16),), {}))
    assert "complex128" in str(relu.refuses("forward", (np.ones(3, complex),), {}))
    two = (np.ones(3, np.float32), np.ones(3))
    assert relu.refuses("backward", two, {}) == "float64 meets float32"
