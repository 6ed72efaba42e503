"""Tables as networks take them: numbers standardised, categories one-hot, dates taken apart, gaps
filled, labels as indices.

Everything is fitted on the training part and can be saved as plain JSON beside the weights, so that
a prediction goes through exactly what training did.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data import _records
from nnscratch.data._io import some
from nnscratch.data.columns import (
    CategoricalColumn,
    DateColumn,
    EncodedColumn,
    NumericColumn,
    column_from,
)
from nnscratch.data.reading import Reading
from nnscratch.data.standardise import floating, refuse_overflow
from nnscratch.data.table import ColumnKind, Table, kind_of, without_values
from nnscratch.data.target import (
    ClassTarget,
    NumberTarget,
    Task,
    infer_task,
    target_from_dict,
)
from nnscratch.errors import CheckpointError, ConfigurationError, DataError

_ENCODER = "table-encoder"
_PREPROCESSOR = "table-preprocessor"


class UnknownCategoryWarning(UserWarning):
    """Rows with a category that training never showed; they are encoded as zeros.

    Args:
        source: the table.
        rows: for each column that is concerned, the number of such rows.
        examples: for each of them, some of the categories.
    """

    def __init__(
        self, source: str, rows: Mapping[str, int], examples: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.source = source
        self.rows = dict(rows)
        self.examples = dict(examples)
        columns = "; ".join(
            f"column {name!r} in {count:,} rows ({some([*examples[name]])})"
            for name, count in rows.items()
        )
        super().__init__(
            f"{source}: categories that training never showed are encoded as zeros: {columns}"
        )


class FilledGapsWarning(UserWarning):
    """Gaps in columns that had none in training; the median or the commonest category fills them.

    Args:
        source: the table.
        rows: for each column that is concerned, the number of such rows.
        first: for each of them, the first of these rows, from 1.
    """

    def __init__(self, source: str, rows: Mapping[str, int], first: Mapping[str, int]) -> None:
        self.source = source
        self.rows = dict(rows)
        self.first = dict(first)
        columns = [
            f"column {name!r} in {count:,} rows, first in row {first[name]:,}"
            for name, count in rows.items()
        ]
        more = f"; and {len(columns) - 5} more columns" if columns[5:] else ""
        super().__init__(
            f"{source}: gaps where training had none are filled with what is most usual there: "
            f"{'; '.join(columns[:5])}{more}"
        )


@dataclass(frozen=True)
class TableEncoder:
    """Encodes the columns of a table as features, in the order of the columns.

    >>> trees = Table("trees", {"height": np.array([4.0, 8.0]), "kind": np.array(["oak", "elm"])})
    >>> encoder = TableEncoder.fit(trees)
    >>> encoder.feature_names
    ('height', 'kind=elm', 'kind=oak')
    >>> encoder.transform(trees)
    array([[-1.,  0.,  1.],
           [ 1.,  1.,  0.]], dtype=float32)
    """

    columns: tuple[EncodedColumn, ...]

    @classmethod
    def fit(
        cls, table: Table, *, standardise: bool = True, max_categories: int = 100
    ) -> "TableEncoder":
        """Measure the numbers and dates of a training table and collect the categories.

        A column with gaps gets one more feature, which shows them. In numbers and dates the median
        fills them; among categories a gap is one of its own.

        Args:
            table: the training part, at least one row.
            standardise: whether numbers are standardised; otherwise they stay as they are.
            max_categories: of more than this in one column the most frequent are kept, and all
                others are one category together.

        Raises:
            DataError: no rows.
        """
        if len(table) == 0:
            raise DataError(f"{table.source}: there are no rows to fit the preprocessing on")
        columns: list[EncodedColumn] = []
        for name, values in table.columns.items():
            kind = kind_of(values)
            where = f"{table.source}: column {name!r}"
            if kind == "numeric":
                columns.append(NumericColumn.fit(name, values, standardise, where))
            elif kind == "datetime":
                columns.append(DateColumn.fit(name, values, standardise, where))
            else:
                columns.append(CategoricalColumn.fit(name, values, max_categories))
        return cls(tuple(columns))

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that a table must have to be transformed."""
        return tuple(column.name for column in self.columns)

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each column, for `read_table`."""
        return {column.name: column.kind for column in self.columns}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the F features: the column's, `column=category` or `column.part`."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def features(self) -> int:
        """The number of features, F."""
        return len(self.feature_names)

    def transform(self, table: Table, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """The features of every row, (N, F) of `dtype`. Columns that are not needed are ignored.

        A category that training never showed becomes zeros in all features of its column (or the
        feature of the others, where there is one), and one `UnknownCategoryWarning` says how many
        rows that concerns; a gap in a column that had none in training is filled, and one
        `FilledGapsWarning` says so.

        Raises:
            DataError: a column is missing or of another kind than in training, or a number
                overflows `dtype`.
        """
        target = floating(dtype)
        widths = [len(column.feature_names) for column in self.columns]
        features = np.zeros((len(table), sum(widths)), target)
        kinds = self.kinds
        unknown: dict[str, list[str]] = {}
        filled: dict[str, int] = {}
        start = 0
        for column, width in zip(self.columns, widths, strict=True):
            values = table.column(column.name)
            expected = kinds[column.name]
            if kind_of(values) != expected:
                if not table.missing(column.name).all():
                    raise DataError(
                        f"{table.source}: column {column.name!r} was {expected} in training, "
                        f"but is {kind_of(values)} here"
                    )
                values = without_values(len(values), expected)
            part = features[:, start : start + width]
            with np.errstate(over="ignore"):
                remarks = column.encode(values, part)
            if expected in ("numeric", "datetime"):
                refuse_overflow(part, target, f"{table.source}: column {column.name!r}")
            if remarks.unknown:
                unknown[column.name] = remarks.unknown
            if remarks.filled:
                filled[column.name] = remarks.filled
            start += width
        if unknown:
            rows = {name: len(texts) for name, texts in unknown.items()}
            examples = {name: tuple(dict.fromkeys(texts))[:5] for name, texts in unknown.items()}
            warnings.warn(UnknownCategoryWarning(table.source, rows, examples), stacklevel=2)
        if filled:
            first = {name: int(np.argmax(table.missing(name))) + 1 for name in filled}
            warnings.warn(FilledGapsWarning(table.source, filled, first), stacklevel=2)
        return features

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads, in plain JSON types; the numbers come back exactly."""
        columns = [column.to_dict() for column in self.columns]
        return {"form": _ENCODER, "version": 2, "columns": columns}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TableEncoder":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: it is something else, or damaged.
        """
        version = _version(value)
        saved = _records.form(value, _ENCODER, version, ("columns",))
        listed = _records.entries(saved["columns"], "columns")
        columns = [column_from(one, version, _ENCODER) for one in listed]
        if not columns:
            raise CheckpointError(f"{_ENCODER}: expected at least one column")
        _records.unique([column.name for column in columns], f"{_ENCODER}: the columns' names")
        return cls(tuple(columns))


@dataclass(frozen=True)
class TablePreprocessor:
    """Features and target of a table together: everything `predict` needs besides the weights.

    Args:
        encoder: makes the features.
        target_name: the target's column.
        target: makes the target.
        reading: what was recognised in the file of the training; it helps to read others alike.

    >>> data = {"x": np.array([1.0, 3.0, 2.0]), "y": np.array(["no", "yes", "no"])}
    >>> table = Table("example", data)
    >>> fitted = TablePreprocessor.fit(table, "y")
    >>> fitted.task, fitted.features(table).shape, fitted.targets(table)
    ('classification', (3, 1), array([0, 1, 0]))
    """

    encoder: TableEncoder
    target_name: str
    target: ClassTarget | NumberTarget
    reading: Reading | None = None

    @classmethod
    def fit(
        cls,
        table: Table,
        target: str,
        *,
        task: Task | None = None,
        classes: ClassTarget | None = None,
        constant: bool = False,
        standardise: bool = True,
        max_categories: int = 100,
    ) -> "TablePreprocessor":
        """Fit features and target on a training table.

        Args:
            table: the training part.
            target: the column to predict.
            task: `'classification'` or `'regression'`; None decides as `infer_task` does.
            classes: those of a classification, where the training part may not have all of them.
            constant: whether the numbers of a regression may all be equal in the training part.
            standardise: whether numeric columns, and the target of a regression, are standardised.
            max_categories: as for `TableEncoder.fit`.

        Raises:
            DataError: there is no such column (the message lists those there are), no other column,
                or one that cannot be used.
            ConfigurationError: the task is neither of the two.
        """
        values = table.column(target)
        if task not in (None, "classification", "regression"):
            raise ConfigurationError(f"task must be 'classification' or 'regression', got {task!r}")
        where = f"{table.source}: target column {target!r}"
        fitted: ClassTarget | NumberTarget
        if (task or infer_task(values)) == "classification":
            fitted = classes or ClassTarget.fit(values, name=where)
        else:
            fitted = NumberTarget.fit(
                values, standardise=standardise, constant=constant, name=where
            )
        rest = table.without([target])
        encoder = TableEncoder.fit(rest, standardise=standardise, max_categories=max_categories)
        return cls(encoder, target, fitted, table.reading)

    @property
    def task(self) -> Task:
        """The task that the target implies, classification or regression."""
        return "classification" if isinstance(self.target, ClassTarget) else "regression"

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each column, the target's included, for `read_table`."""
        return {**self.encoder.kinds, self.target_name: self.target.kind}

    def features(self, table: Table, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """The features of every row, (N, F); see `TableEncoder.transform`."""
        return self.encoder.transform(table, dtype)

    def targets(self, table: Table) -> npt.NDArray[Any]:
        """The targets: (N,) int64 class indices, or (N, 1) float32 numbers.

        Raises:
            DataError: the column is missing, or has a label that training never showed.
        """
        where = f"{table.source}: target column {self.target_name!r}"
        return self.target.transform(table.column(self.target_name), name=where)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads, in plain JSON types; the numbers come back exactly."""
        return {
            "form": _PREPROCESSOR,
            "version": 2,
            "encoder": self.encoder.to_dict(),
            "target_name": self.target_name,
            "target": self.target.to_dict(),
            "reading": None if self.reading is None else self.reading.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TablePreprocessor":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: it is something else, or damaged.
        """
        version = _version(value)
        keys = ("encoder", "target_name", "target", *(("reading",) if version > 1 else ()))
        saved = _records.form(value, _PREPROCESSOR, version, keys)
        encoder = TableEncoder.from_dict(saved["encoder"])
        name = _records.text(saved["target_name"], "target_name")
        if name in encoder.column_names:
            raise CheckpointError(f"{_PREPROCESSOR}: the target {name!r} is among the features")
        reading = saved.get("reading")
        return cls(
            encoder,
            name,
            target_from_dict(saved["target"]),
            None if reading is None else Reading.from_dict(reading),
        )


def _version(value: Any) -> int:
    """Version 1 had neither gaps nor dates; `_records.form` refuses what is neither 1 nor 2."""
    found = value.get("version") if isinstance(value, Mapping) else None
    return 1 if found == 1 and not isinstance(found, bool) else 2
