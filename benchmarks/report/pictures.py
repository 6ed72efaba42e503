"""The picture: who is quicker than we are in which row, and the sweeps on logarithmic axes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.competitors.registry import (
    COMPETITORS,
    COMPILED,
    EAGER,
    JAX,
    JAX_AWAITED,
    NUMPY,
    TORCH,
    TORCH_COMPILED,
    TORCH_FUSED,
    TORCH_GRAPH,
)
from benchmarks.rows import SWEEPS, Sweep
from benchmarks.stopwatch.measuring import Row

if TYPE_CHECKING:
    from benchmarks.report.results import Results

# Colours of Okabe and Ito, which the colour-blind can tell apart; every line has a mark too.
STYLES = {
    COMPILED: ("#000000", "o"),
    EAGER: ("#777777", "s"),
    TORCH: ("#D55E00", "^"),
    TORCH_FUSED: ("#E69F00", "v"),
    TORCH_COMPILED: ("#CC79A7", "D"),
    TORCH_GRAPH: ("#F0E442", ">"),
    JAX: ("#0072B2", "P"),
    JAX_AWAITED: ("#56B4E9", "*"),
    NUMPY: ("#009E73", "x"),
}


def draw(results: Results, path: Path) -> Path | None:
    """Draw the picture; None where matplotlib is not installed or there is nothing to draw."""
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    rows = [
        row
        for group in ("steps", "variants", "inference", "epoch")
        for row in results.group(group)
        if COMPILED in row.timings
    ]
    sweeps = [s for s in SWEEPS if any(s.row(n) in results.rows for n in s.points)]
    if not rows and not sweeps:
        return None
    mpl.use("agg")
    from matplotlib import pyplot as plt

    panels = bool(rows) + len(sweeps)
    height = max(3.6, 0.3 * len(rows) + 1.6)
    widths = [1.6] * bool(rows) + [1.0] * len(sweeps)
    figure, axes = plt.subplots(
        1,
        panels,
        figsize=(7.0 * bool(rows) + 4.2 * len(sweeps), height),
        squeeze=False,
        layout="constrained",
        width_ratios=widths,
    )
    left = list(axes[0])
    if rows:
        _ratios(left.pop(0), rows)
    for axis, sweep in zip(left, sweeps, strict=True):
        _sweep(axis, sweep, results.rows)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return path


def _ratios(axis: Any, rows: list[Row]) -> None:
    """Draw everybody's time over ours: a mark left of the line is quicker than we are."""
    for place, row in enumerate(rows):
        ours = row.timings[COMPILED].median
        for name, (colour, mark) in STYLES.items():
            if name in row.timings and name != COMPILED:
                axis.plot(row.timings[name].median / ours, place, mark, color=colour)
    axis.axvspan(axis.get_xlim()[0], 1.0, color="#D55E00", alpha=0.08, lw=0)
    axis.axvline(1.0, color="black", lw=1.2)
    axis.set_xscale("log")
    axis.set_yticks(range(len(rows)), [row.title for row in rows], fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel(f"time / time of {COMPILED}; in the shaded half we lose")
    axis.grid(axis="x", which="both", alpha=0.25)
    for name, (colour, mark) in STYLES.items():
        if any(name in row.timings for row in rows) and name != COMPILED:
            axis.plot([], [], mark, color=colour, label=name)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7, loc="lower left")


def _sweep(axis: Any, sweep: Sweep, rows: dict[str, Row]) -> None:
    for name in COMPETITORS:
        if name not in STYLES:
            continue
        points = [
            (value, rows[sweep.row(value)].timings[name].median)
            for value in sweep.points
            if sweep.row(value) in rows and name in rows[sweep.row(value)].timings
        ]
        if points:
            colour, mark = STYLES[name]
            wide = 2.0 if name == COMPILED else 1.1
            axis.plot(
                *zip(*points, strict=True), marker=mark, color=colour, label=name, lw=wide, ms=4
            )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xlabel(sweep.title)
    axis.set_ylabel("seconds a step")
    axis.grid(which="both", alpha=0.25)
    axis.legend(fontsize=7)
