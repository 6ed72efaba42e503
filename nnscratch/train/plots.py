"""Pictures of a training run. matplotlib is imported when the first is drawn."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nnscratch.errors import ConfigurationError
from nnscratch.train.files import FilePath, write_whole
from nnscratch.train.history import History

_INK, _FAINT, _GRID = "#1f2933", "#7b8794", "#e4e7eb"
_TRAIN, _VALIDATION, _ACCENT = "#3e7cb1", "#e07a3f", "#c0392b"
# Of Okabe and Ito, which are told apart without red and green.
_RUNS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MOST_LABELS = 30
_MOST_NUMBERS = 15
NEED = 'pictures need matplotlib, which is not installed: pip install "nnscratch[plots]"'


def can_draw() -> bool:
    """Whether matplotlib is installed, so that pictures can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError(NEED) from error
    figure = Figure(figsize=(width, height), dpi=144, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: FilePath) -> None:
    def write(stream: BinaryIO) -> None:
        with warnings.catch_warnings():
            # A letter that the font lacks is drawn as a box; there is nothing to be done about it.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            figure.savefig(stream, format="png")

    write_whole(path, write)


def _dress(axes: Any, title: str, x: str = "", y: str = "") -> None:
    axes.set_title(title, loc="left", color=_INK, fontsize=11, fontweight="bold")
    axes.set_xlabel(x, color=_FAINT, fontsize=9)
    axes.set_ylabel(y, color=_FAINT, fontsize=9)
    axes.tick_params(colors=_FAINT, labelsize=8, length=0)
    axes.grid(True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def plot_curves(history: History, path: FilePath, *, best_epoch: int | None = None) -> None:
    """Draw loss and accuracy (or R²) over the epochs, of training and validation.

    Raises:
        ConfigurationError: if matplotlib is not installed, or the history is empty.
        RunError: if the file cannot be written.
    """
    if not len(history):
        raise ConfigurationError("there is no history to draw: no epoch was finished")
    scores = [name for name in ("accuracy", "r2") if f"val_{name}" in history.columns]
    if not scores and "train_accuracy" in history.columns:
        scores = ["accuracy"]
    panels = ["loss", *scores[:1]]
    figure = _figure(5.2 * len(panels), 3.6)
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _curves(axes, history, name, best_epoch)
    _save(figure, path)


def _curves(axes: Any, history: History, name: str, best_epoch: int | None) -> None:
    epochs = history["epoch"]
    values: list[float] = []
    for prefix, label, colour in (
        ("train_", "training", _TRAIN),
        ("val_", "validation", _VALIDATION),
    ):
        if prefix + name not in history.columns:
            continue
        column = [math.nan if v is None else float(v) for v in history[prefix + name]]
        values += [v for v in column if math.isfinite(v)]
        style = {"marker": "o", "markersize": 4} if len(epochs) == 1 else {}
        axes.plot(epochs, column, color=colour, linewidth=1.8, label=label, **style)
    title = {"loss": "Loss", "accuracy": "Accuracy", "r2": "R²"}[name]
    _dress(axes, title, "epoch")
    if name == "loss" and values and min(values) > 0.0 and max(values) > 20.0 * min(values):
        axes.set_yscale("log")
        axes.minorticks_off()
    if name == "r2" and values:
        # It may begin at -1,000, beside which nothing else could be seen.
        axes.set_ylim(max(min(values) - 0.02, float(np.quantile(values, 0.02)) - 0.1), None)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=_FAINT, linewidth=1.0, linestyle=":", label="best epoch")
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK)


def plot_histories(histories: Mapping[str, History], path: FilePath) -> None:
    """Draw the losses, and the accuracies or R² where there are some, of several runs over one
    another: of validation, or of training where a run has none.

    Args:
        histories: by the names of the runs, at most 12.
        path: of the image.

    Raises:
        ConfigurationError: if matplotlib is not installed.
        RunError: if the file cannot be written.
    """
    panels = ["loss"]
    for name in ("accuracy", "r2"):
        if all(_column_of(one, name) for one in histories.values()):
            panels.append(name)
    figure = _figure(5.6 * len(panels), 3.8)
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for place, (run, history) in enumerate(histories.items()):
            column = _column_of(history, name)
            values = [math.nan if v is None else float(v) for v in history[column]]
            # Six colours that are told apart, then the same dashed.
            axes.plot(
                history["epoch"], values, label=run, color=_RUNS[place % 6], linewidth=1.6,
                linestyle="-" if place < 6 else "--", marker="o" if len(values) == 1 else None,
            )  # fmt: skip
        _dress(axes, {"loss": "Loss", "accuracy": "Accuracy", "r2": "R²"}[name], "epoch")
        axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK)
    _save(figure, path)


def _column_of(history: History, name: str) -> str:
    found = [one for one in (f"val_{name}", f"train_{name}") if one in history.columns]
    return found[0] if found else ""


def plot_confusion(confusion: npt.NDArray[np.int64], names: Sequence[str], path: FilePath) -> None:
    """Draw a confusion matrix, true classes in rows, each row shaded by its shares.

    Raises:
        ConfigurationError: if matplotlib is not installed.
        RunError: if the file cannot be written.
    """
    classes = len(names)
    side = min(3.2 + 0.36 * classes, 12.0)
    figure = _figure(side, side)
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    right = int(np.trace(confusion)) / max(int(confusion.sum()), 1)
    _dress(axes, f"{right:.2%} of {int(confusion.sum()):,} right", "predicted", "true")
    axes.grid(False)
    step = -(-classes // _MOST_LABELS)
    shown = range(0, classes, step)
    long = max(len(name) for name in names) > 4
    texts = [names[i] if len(names[i]) <= 16 else f"{names[i][:15]}…" for i in shown]
    axes.set_xticks(
        list(shown), texts, rotation=60 if long else 0, ha="right" if long else "center"
    )
    axes.set_yticks(list(shown), texts)
    if classes <= _MOST_NUMBERS:
        _numbers(axes, confusion, shares)
    _save(figure, path)


def _numbers(axes: Any, confusion: npt.NDArray[np.int64], shares: Any) -> None:
    for row, column in zip(*np.nonzero(confusion), strict=True):
        wrong = row != column
        dark = shares[row, column] > 0.5
        axes.text(
            column,
            row,
            f"{confusion[row, column]:,}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else _ACCENT if wrong else _INK,
            fontweight="bold" if wrong else "normal",
        )


def plot_mistakes(
    images: Sequence[Any], captions: Sequence[str], path: FilePath, *, ink: bool = True
) -> None:
    """Draw images with a caption each, at most six in a row.

    Args:
        images: (height, width) each, or (height, width, channels).
        captions: one for each.
        path: the file.
        ink: whether the largest values of grey images are drawn black.

    Raises:
        ConfigurationError: if matplotlib is not installed.
        RunError: if the file cannot be written.
    """
    columns = max(1, min(6, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = _figure(max(1.5 * columns, 3.0), 1.85 * rows + 0.4)
    title = "The worst mistakes" if len(images) else "No mistakes"
    figure.suptitle(title, x=0.02, ha="left", color=_INK, fontsize=11, fontweight="bold")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(images) :]:
        axes.axis("off")
    for axes, image, caption in zip(grid.flat, images, captions, strict=False):
        axes.imshow(image, cmap="gray_r" if ink else "gray", interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_color(_GRID)
        axes.set_title(caption, fontsize=8, color=_INK)
    _save(figure, path)


def plot_regression(true: Any, predicted: Any, name: str, path: FilePath) -> None:
    """Draw predicted over true numbers.

    Raises:
        ConfigurationError: if matplotlib is not installed.
        RunError: if the file cannot be written.
    """
    figure = _figure(4.6, 4.4)
    axes = figure.subplots()
    low = float(min(np.min(true), np.min(predicted)))
    high = float(max(np.max(true), np.max(predicted)))
    axes.plot([low, high], [low, high], color=_FAINT, linewidth=1.0, linestyle=":")
    axes.scatter(true, predicted, s=14, color=_TRAIN, alpha=0.6, linewidths=0)
    _dress(axes, name, "true", "predicted")
    _save(figure, path)
