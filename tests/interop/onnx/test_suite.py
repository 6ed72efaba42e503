"""The onnx package's own tests: all that are not left out pass, and the page says so."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks import onnx_suite
from benchmarks.onnx_suite import BEGIN, DATA, END, RANDOM, cases, differing, text
from nnscratch.interop.onnx import backend

onnxruntime.set_default_logger_severity(3)

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


@pytest.mark.parametrize(
    "path", sorted((DATA / "light").glob("*.onnx")), ids=lambda path: path.stem
)
def test_its_networks_give_the_numbers_of_onnxruntime_with_weights_that_differ(path: Path) -> None:
    made = differing(onnx.load(path))
    own = {one.name for one in made.graph.initializer}
    (name,) = [one.name for one in made.graph.input if one.name not in own]
    x = np.random.default_rng(1).standard_normal((1, 3, 224, 224)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    want = session.run(None, {name: x})[0]
    del session
    got = backend.prepare(made).run([x])[0]
    assert got.shape == want.shape
    scale = np.abs(want).max()
    assert want.std() > 0.01 * scale
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4 * scale)
