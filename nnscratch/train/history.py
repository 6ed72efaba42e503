"""The history of a training run, with one row per epoch."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.train.files import FilePath, read_json, write_json, write_text
from nnscratch.train.markup import html_curves, html_table


class History:
    """One dictionary per epoch: epoch, train_loss, val_loss, lr, seconds and every metric.

    Attributes:
        rows: the dictionaries.

    >>> history = History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}])
    >>> history["train_loss"], history.best("train_loss")["epoch"]
    ([0.5, 0.25], 2)
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = ()) -> None:
        self.rows = [dict(row) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> list[Any]:
        """Return one column, None where an epoch lacks it.

        Raises:
            ConfigurationError: if there is no such column; the message lists those there are.
        """
        if name not in self.columns:
            raise ConfigurationError(
                f"the history has no column {name!r}; it has {', '.join(self.columns) or 'none'}"
            )
        return [row.get(name) for row in self.rows]

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in order."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def best(self, name: str, mode: str = "min") -> dict[str, Any]:
        """Return the row with the smallest ("min") or largest ("max") value of a column."""
        rows = [row for row in self.rows if row.get(name) is not None]
        if name not in self.columns or not rows:
            raise ConfigurationError(f"the history has no values in a column {name!r}")
        choose = min if mode == "min" else max
        return choose(rows, key=lambda row: row[name])

    def to_csv(self) -> str:
        """Return it as CSV text with a line of names."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def write_csv(self, path: FilePath) -> None:
        """Write it as a CSV file.

        Raises:
            RunError: if the file cannot be written.
        """
        write_text(path, self.to_csv())

    def write_json(self, path: FilePath) -> None:
        """Write it as a JSON list of rows.

        Raises:
            RunError: if the file cannot be written.
        """
        write_json(path, self.rows)

    @classmethod
    def read(cls, path: FilePath) -> History:
        """Read what ``write_json`` wrote.

        Raises:
            CheckpointError: if the file is missing, damaged, or something else.
        """
        return cls.from_rows(read_json(path), os.fspath(path))

    @classmethod
    def from_rows(cls, rows: Any, where: str) -> History:
        """Return a history of the rows that a file holds.

        Raises:
            CheckpointError: if they are something else.
        """
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise CheckpointError(f"{where}: the history is no list of rows, one an epoch")
        for row in rows:
            for name, value in row.items():
                if not (_is_text(name) and (_is_text(value) or _is_number(value))):
                    raise CheckpointError(f"{where}: {name[:40]!r} in the history is no number")
        return cls(rows)

    def __repr__(self) -> str:
        # Without seconds, which differ from run to run: a notebook stores this text.
        told = [{k: v for k, v in row.items() if k != "seconds"} for row in self.rows[-1:]]
        last = f", last {told[0]}" if told else ""
        return f"History({len(self.rows)} epochs{last})"

    def _repr_html_(self) -> str:
        """Show curves, and the first, lowest, highest and last number of each column."""
        head = f"<p><b>{len(self.rows)} epochs</b></p>"
        return f"<div>{head}{self.curves_html()}{self.table_html()}</div>"

    def curves_html(self) -> str:
        """Return a picture for the loss and for each metric, training and validation as curves."""
        pairs: dict[str, dict[str, list[Any]]] = {}
        for name in self._told():
            part, _, rest = name.partition("_")
            if part in _PARTS and rest:
                pairs.setdefault(rest, {})[_PARTS[part]] = self[name]
        epochs = [row.get("epoch", place) for place, row in enumerate(self.rows, 1)]
        return "".join(html_curves(name, epochs, curves) for name, curves in pairs.items())

    def table_html(self) -> str:
        """Return the first, lowest, highest and last number of each column as a table."""
        told = self._told().items()
        rows = [[name, *(f"{v:.4g}" for v in _ends(values))] for name, values in told]
        return html_table(["", "first", "lowest", "highest", "last"], rows, [1, 2, 3, 4])

    def _told(self) -> dict[str, list[float]]:
        """Return the columns of numbers; seconds are left out, which differ from run to run."""
        columns = [name for name in self.columns if name not in ("epoch", "seconds")]
        return {name: values for name in columns if (values := _numbers(self[name]))}


_PARTS = {"train": "training", "val": "validation"}


def _ends(values: list[float]) -> tuple[float, ...]:
    finite = [v for v in values if math.isfinite(v)] or [math.nan]
    return values[0], min(finite), max(finite), values[-1]


def _numbers(values: list[Any]) -> list[float]:
    return [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float))


def _is_text(value: Any) -> bool:
    """Say whether a text can be encoded; text from JSON may contain lone surrogates."""
    try:
        return isinstance(value, str) and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False
