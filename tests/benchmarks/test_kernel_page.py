"""The page of the kernels: what is measured, and the bytes that are counted."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import kernel_page
from benchmarks.kernel_examples import examples
from nnscratch.formulas import FORMULAS
from nnscratch.kernels.cpu import IMPLEMENTATIONS

SMALL = 32


def test_the_page_has_what_is_measured_and_names_what_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("softmax", "adam", "linear", "no example")
    some = {name: IMPLEMENTATIONS.get(name) for name in names}
    monkeypatch.setattr(kernel_page, "IMPLEMENTATIONS", some)
    text = kernel_page.page(SMALL, seconds=0.0)
    assert "| softmax | backward |" in text
    assert "| adam | update |" in text
    assert "want of an example: `no example`" in text


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
