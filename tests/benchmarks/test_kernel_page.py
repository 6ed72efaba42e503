"""The page of the kernels reaches every implementation, and says what each refuses."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import kernel_page
from benchmarks.kernel_examples import examples
from nnscratch.formulas import FORMULAS
from nnscratch.kernels.cpu import IMPLEMENTATIONS, LAYOUTS, CpuKernel

SMALL = 32


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_every_direction_has_an_example_that_its_kernel_takes(name: str) -> None:
    made = [e for e in examples(name, SMALL) if e.direction in IMPLEMENTATIONS[name].lowerings]
    assert {e.direction for e in made} == set(IMPLEMENTATIONS[name].lowerings)
    for example in made:
        refused = IMPLEMENTATIONS[name].refuses(example.direction, example.inputs, example.options)
        assert refused is None
        measured = kernel_page.measure(example, seconds=0.0)
        assert set(measured.kernels) <= set(LAYOUTS)
        assert measured.kernels
        assert 0 < measured.bytes_kernels


def test_the_page_is_whole() -> None:
    text = kernel_page.page(SMALL, seconds=0.0)
    for name in IMPLEMENTATIONS:
        assert f"\n## {name}\n" in text
        assert FORMULAS[name].equation in text
    for name in LAYOUTS:
        assert f"| `{name}` |" in text
    assert "“an array is empty”" in text


def test_bytes_of_the_reference_are_counted() -> None:
    (forward,) = (e for e in examples("multiply", SMALL) if e.direction == "forward")
    assert kernel_page.reference_bytes(forward) == 3 * forward.inputs[0].nbytes
    (softmax, _) = examples("softmax", SMALL)
    assert 4 * softmax.inputs[0].nbytes < kernel_page.reference_bytes(softmax)


def test_counting_changes_no_result() -> None:
    X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    plain, _ = FORMULAS["softmax"].forward(X)
    counted, _ = FORMULAS["softmax"].forward(X.view(kernel_page.Counting))
    assert np.array_equal(plain, np.asarray(counted))


def test_refusals_are_read_from_the_guard() -> None:
    def guard(inputs: tuple[int, ...]) -> str | None:
        if len(inputs) > 2:
            return "too many"
        return None if inputs else f"none of {inputs}"

    assert kernel_page.refusals(guard) == ["too many", "none of …"]
    assert "there is no floating-point array" in kernel_page.refusals(CpuKernel.refuses)
