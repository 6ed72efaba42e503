"""The layers that are timed give the same numbers in both libraries."""

from __future__ import annotations

import math

import pytest

from benchmarks.layers import LAYERS, Work

LARGE = ("embedding, ", "last layer", "1024")


@pytest.mark.parametrize("name", [n for n in LAYERS if not any(part in n for part in LARGE)])
def test_outputs_and_gradients_agree(name: str) -> None:
    ours, theirs = (Work(name, who).run(1) for who in ("eager", "torch"))
    assert math.isfinite(theirs)
    assert ours == pytest.approx(theirs, rel=2e-4)
