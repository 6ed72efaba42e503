"""Pictures of a training: what was reached first is in them, unless it would hide all else."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from nnscratch.train import History, plots


def _lowest(name: str, values: list[float]) -> float:
    """Return where the axis of a curve begins."""
    history = History(
        {"epoch": epoch, f"train_{name}": value, f"val_{name}": value}
        for epoch, value in enumerate(values, 1)
    )
    axes = Figure().subplots()
    plots._curves(axes, history, name, None)
    return float(axes.get_ylim()[0])


def test_an_accuracy_is_drawn_from_where_it_began() -> None:
    assert 0.0 < _lowest("accuracy", [0.1, *[0.9] * 60]) < 0.1


def test_a_first_r2_far_below_does_not_flatten_the_curve() -> None:
    assert _lowest("r2", [-1000.0, *[0.9] * 60]) == pytest.approx(0.8)
    assert _lowest("r2", [0.5, *[0.9] * 3]) < 0.5
