"""The onnx package's own tests: all that are not left out pass, and the page says so."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from benchmarks import onnx_suite
from benchmarks.onnx_suite import BEGIN, END, RANDOM, cases, text

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    return onnx_suite.run()


def test_every_test_that_is_not_left_out_passes_and_the_page_counts_them(
    failures: dict[str, str],
) -> None:
    assert failures == {}
    page = (ROOT / "docs" / "onnx_operators.md").read_text(encoding="utf-8")
    part = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert part == text(failures), "run: python -m benchmarks.onnx_suite docs/onnx_operators.md"
    passed = [case for case in cases() if case.kind == "node" and not case.reason]
    assert len(passed) >= 1518
    # What is left out is refused, with a reason: nothing is counted out that would pass.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases():
            if case.reason and not RANDOM.fullmatch(case.name):
                assert case.failure(), case.name
