"""The report of a test: its metrics, and how they are printed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nnscratch.cli.images import ImagePreprocessor
from nnscratch.cli.shown import shown
from nnscratch.cli.sources import Preprocessor
from nnscratch.data import ClassTarget, NumberTarget
from nnscratch.data.table_bytes import table_bytes
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath, write_whole
from nnscratch.train.metrics import confusion_matrix, precision_recall_f1

Array = npt.NDArray[Any]

# A confusion matrix of more classes than this does not fit into a terminal.
_MOST_COLUMNS = 16
_MOST_MISTAKES = 24


def probabilities(outputs: Array) -> npt.NDArray[np.float64]:
    """Return the softmax of a classifier's outputs, (N, K)."""
    return np.asarray(Tensor(outputs.astype(np.float64)).softmax(-1).array)


def report_on(outputs: Array, targets: Array, pre: Preprocessor, loss: float) -> dict[str, Any]:
    """Return the metrics of a model's outputs on a test set, in JSON's types."""
    made: dict[str, Any] = {"task": pre.task, "samples": len(targets), "loss": float(loss)}
    if isinstance(pre.target, NumberTarget):
        predicted = pre.target.inverse_transform(outputs)
        true = pre.target.inverse_transform(targets)
        error = predicted - true
        mse = float(np.mean(error**2))
        return made | {
            "target": getattr(pre, "target_name", ""),
            "r2": _r2(error, true),
            "mae": float(np.mean(np.abs(error))),
            "rmse": mse**0.5,
            "mse": mse,
        }
    assert isinstance(pre.target, ClassTarget)
    names = pre.target.class_names
    confusion = confusion_matrix(targets, outputs.argmax(axis=1), len(names))
    found = precision_recall_f1(confusion)
    support = confusion.sum(axis=1)
    # Leave out classes that occur neither among the targets nor among the predictions.
    met = (support + confusion.sum(axis=0)) > 0
    classes = [
        {
            "class": name,
            **{key: float(values[index]) for key, values in found.items()},
            "samples": int(support[index]),
        }
        for index, name in enumerate(names)
    ]
    return made | {
        "accuracy": float(np.trace(confusion)) / max(len(targets), 1),
        "macro": {key: float(values[met].mean()) for key, values in found.items()},
        "classes": classes,
        "confusion": confusion.tolist(),
    }


def _r2(error: Array, true: Array) -> float | None:
    """Return R², or None if all true values are equal, for which it is undefined.

    Relative to the largest deviation: the squares of very small or large numbers are none.
    """
    deviation = true - true.mean()
    largest = float(np.abs(deviation).max())
    if not largest > 1e-12 * float(np.abs(true).max()):
        return None
    with np.errstate(over="ignore"):
        explained = np.sum((error / largest) ** 2) / np.sum((deviation / largest) ** 2)
    return 1.0 - float(explained)


def headline(report: dict[str, Any]) -> str:
    """Return the report in one line."""
    n = f"{report['samples']:,}"
    if report["task"] == "language":
        unit, right = report["unit"], f"{report['accuracy']:.1%}"
        return (
            f"{report['bits']:.3f} bits a {unit} (loss {report['loss']:.4f}, perplexity "
            f"{report['perplexity']:.4g}); of {n} {unit}s {right} were the likeliest"
        )
    if report["task"] == "regression":
        error = f"mean absolute error {report['mae']:.4g} on {n} test rows"
        if report["r2"] is None:
            return f"{error}; no R², for these rows have one value of the target"
        return f"R² {report['r2']:.4f}, {error}"
    right = round(report["accuracy"] * report["samples"])
    return f"accuracy {report['accuracy']:.2%} ({right:,} of {n} right)"


def renderables(report: dict[str, Any]) -> list[Any]:
    """Return the report as lines of text and rich tables."""
    from rich.text import Text

    title = Text(f"\nTest: {headline(report)}", style="bold")
    if report["task"] == "language":
        return [title]
    if report["task"] == "regression":
        table = grid(("R²", "MAE", "RMSE", "MSE", "loss"))
        values = [report[key] for key in ("r2", "mae", "rmse", "mse", "loss")]
        table.add_row(*["-" if value is None else f"{value:.5g}" for value in values])
        return [title, table]
    table = grid(("class", "precision", "recall", "F1", "samples"), left=1)
    for row in report["classes"]:
        # Recall is undefined for a class without samples: print nothing instead of 0.
        scores = _scores(row) if row["samples"] else ["-"] * 3
        table.add_row(Text(shown(row["class"])), *scores, f"{row['samples']:,}")
    table.add_section()
    table.add_row("mean", *_scores(report["macro"]), f"{report['samples']:,}")
    names = [row["class"] for row in report["classes"]]
    if len(names) > _MOST_COLUMNS:
        return [title, table]
    second = Text("\nConfusion: true classes in rows, predicted ones in columns", style="bold")
    return [title, table, second, _confusion_table(names, report["confusion"])]


def grid(names: Sequence[str], left: int = 0) -> Any:
    """Return a rich table with these columns, the first ones of them aligned to the left."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for index, name in enumerate(names):
        # As Text, because rich would read a name in brackets as markup.
        table.add_column(Text(shown(name)), justify="left" if index < left else "right")
    return table


def _scores(row: dict[str, Any]) -> list[str]:
    return [f"{row[key]:.4f}" for key in ("precision", "recall", "f1")]


def _confusion_table(names: Sequence[str], confusion: list[list[int]]) -> Any:
    from rich.text import Text

    table = grid(("", *names), left=1)
    for index, row in enumerate(confusion):
        cells = [
            Text(
                f"{count:,}" if count else "·",
                style="bold green" if column == index else "bold red" if count else "dim",
            )
            for column, count in enumerate(row)
        ]
        table.add_row(Text(shown(names[index])), *cells)
    return table


def as_text(report: dict[str, Any]) -> str:
    """Return the report as plain text."""
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=110, color_system=None, legacy_windows=False)
    for item in renderables(report):
        console.print(item)
    return stream.getvalue()


def worst_mistakes(outputs: Array, targets: Array, task: str) -> npt.NDArray[np.int64]:
    """Return the indices of the samples with the worst predictions, the worst first, at most 24.

    Of a classification those that are wrong, by how sure the model was of that.
    """
    if task == "regression":
        return np.argsort(-np.abs(outputs - targets).ravel(), kind="stable")[:_MOST_MISTAKES]
    shares = probabilities(outputs)
    wrong = np.flatnonzero(outputs.argmax(axis=1) != targets)
    order = np.argsort(-shares[wrong].max(axis=1), kind="stable")
    return wrong[order][:_MOST_MISTAKES]


def mistake_captions(
    outputs: Array, targets: Array, chosen: Any, names: Sequence[str]
) -> list[str]:
    """Return "true → predicted (probability)" for each of the chosen samples."""
    shares = probabilities(outputs[chosen]) if len(chosen) else np.empty((0, 1))
    return [
        f"{names[int(targets[i])]} → {names[int(outputs[i].argmax())]} ({share.max():.0%})"
        for i, share in zip(chosen, shares, strict=True)
    ]


def prediction_columns(
    outputs: Array, pre: Preprocessor, *, with_probabilities: bool
) -> dict[str, list[Any]]:
    """Return the columns of a file of predictions."""
    if isinstance(pre.target, NumberTarget):
        return {"prediction": pre.target.inverse_transform(outputs).ravel().tolist()}
    shares = probabilities(outputs)
    labels = pre.target.inverse_transform(outputs.argmax(axis=1)).tolist()
    made: dict[str, list[Any]] = {
        "prediction": labels,
        "probability": [round(float(value), 6) for value in shares.max(axis=1)],
    }
    if with_probabilities:
        for index, name in enumerate(pre.target.class_names):
            made[f"p({name})"] = [round(float(value), 6) for value in shares[:, index]]
    return made


def write_columns(columns: dict[str, list[Any]], path: FilePath) -> None:
    """Write columns as CSV, or as Parquet where the name ends so.

    What is no text in them, a path in another encoding than UTF-8, is escaped.

    Raises:
        RunError: if the file cannot be written.
        ConfigurationError: if Parquet is asked for, and Polars is not installed.
    """
    escaped = {name: [_text(one) for one in of] for name, of in columns.items()}
    write_buffer(io.BytesIO(table_bytes(escaped, path)), path)


def _text(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if type(value) is str else value


def write_buffer(buffer: io.BytesIO, path: FilePath) -> None:
    """Write what a buffer holds to a file.

    Raises:
        RunError: if it cannot be written.
    """

    def put(stream: BinaryIO) -> None:
        stream.write(buffer.getbuffer())

    write_whole(path, put)


def sample_columns(pre: ImagePreprocessor, images: Array, labels: Array) -> dict[str, list[Any]]:
    """Return images as the columns of a table, a column for each pixel."""
    rows = images.reshape(len(images), -1)
    made: dict[str, list[Any]] = {"label": labels.tolist()}
    for index in range(rows.shape[1]):
        row, column = divmod(index, pre.width)
        made[f"pixel_{row}_{column}"] = rows[:, index].tolist()
    return made
