"""Pictures of a gradient check: the error over the tensor, and against the step size.

matplotlib is imported here only, when a picture is asked for.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from nnscratch.verify.gradients.elements import Element, TensorReport, Verdict
from nnscratch.verify.gradients.problem import Array


def error_map(report: TensorReport) -> Array:
    """Return log10 of each element's error over what it may be, as a matrix; NaN if not checked.

    More than 0 is wrong, less is within the noise, and 0 stands where nobody can tell.
    """
    errors = np.full(report.shape or (1,), np.nan)
    for element in report.elements:
        errors[element.index or (0,)] = np.log10(excess(element))
    if errors.ndim == 1:
        return errors[None, :]
    return errors.reshape(-1, errors.shape[-1])


def excess(element: Element) -> float:
    """Return an element's error divided by its tolerance; 1 if that cannot be known."""
    if element.verdict is Verdict.CANNOT_TELL:
        return 1.0
    ratio = element.error / max(element.allowance, np.finfo(np.float64).tiny)
    return max(ratio, 1e-6) if np.isfinite(ratio) else 1e6


def figure(report: TensorReport) -> Any:
    """Draw a figure with the error map and the curve of error against step.

    Raises:
        ConfigurationError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        from nnscratch.errors import ConfigurationError

        raise ConfigurationError(
            'pictures need matplotlib, which is not installed: pip install "nnscratch[plots]"'
        ) from error
    made = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = made.subplots(1, 2)
    _draw_map(left, report)
    _draw_curve(right, report)
    made.suptitle(f"{report.name}: {report.verdict}")
    return made


def _draw_map(axes: Any, report: TensorReport) -> None:
    errors = error_map(report)
    if not errors.size:
        axes.text(0.5, 0.5, "no elements", ha="center", transform=axes.transAxes)
        return
    if errors.size > 40_000:
        _draw_points(axes, report)
        return
    image = axes.imshow(errors, aspect="auto", cmap="RdYlGn_r", vmin=-3, vmax=3)
    axes.figure.colorbar(image, ax=axes, label="log10(error / allowed)")
    axes.set_title("error over the tensor (red: wrong)")
    axes.set_xlabel("last axis")
    axes.set_ylabel("the other axes")


def _draw_points(axes: Any, report: TensorReport) -> None:
    flat = [int(np.ravel_multi_index(e.index, report.shape)) for e in report.elements]
    sizes = [excess(e) for e in report.elements]
    axes.scatter(flat, sizes, s=12)
    axes.axhline(1.0, color="red", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xlim(0, report.size)
    axes.set_title("error over the tensor (above the line: wrong)")
    axes.set_xlabel("flat position")
    axes.set_ylabel("error / allowed")


def _draw_curve(axes: Any, report: TensorReport) -> None:
    axes.set_title("worst element: difference against step")
    axes.set_xlabel("step")
    axes.set_ylabel("|numeric - analytic|")
    if not report.curve:
        axes.text(0.5, 0.5, "nothing to draw", ha="center", transform=axes.transAxes)
        return
    steps, errors = zip(*report.curve, strict=True)
    axes.loglog(steps, np.maximum(errors, 1e-18), marker="o", markersize=3)


def as_png(made: Any) -> str:
    """Return a figure as the text of a ``data:`` address."""
    held = io.BytesIO()
    made.savefig(held, format="png", dpi=100)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()
