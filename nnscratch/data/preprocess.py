"""Tables as networks take them: numbers standardised, categories one-hot, labels as indices.

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
from nnscratch.data.standardise import Standardiser, floating, refuse_overflow
from nnscratch.data.table import ColumnKind, Table, is_number, kind_of
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


@dataclass(frozen=True)
class NumericColumn:
    """A column of numbers: one feature, (x − mean) / std."""

    name: str
    mean: float
    std: float


@dataclass(frozen=True)
class CategoricalColumn:
    """A column of categories: one feature each, 1 where the row has it.

    `kind` says how the column is read: as text, or as true and false.
    """

    name: str
    categories: tuple[str, ...]
    kind: ColumnKind = "categorical"


EncodedColumn = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class TableEncoder:
    """How the columns of a table become features, in the order of the columns.

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
        cls, table: Table, *, standardise: bool = True, max_categories: int = 1000
    ) -> "TableEncoder":
        """Measure the numeric columns of a training table and collect the categories of the others.

        Args:
            table: the training part, at least one row.
            standardise: whether numbers are standardised; otherwise they stay as they are.
            max_categories: more than this in one column are taken for a mistake, such as a column
                of names.

        Raises:
            DataError: no rows, or a column with more categories than `max_categories`.
        """
        if len(table) == 0:
            raise DataError(f"{table.source}: there are no rows to fit the preprocessing on")
        columns: list[EncodedColumn] = []
        for name, values in table.columns.items():
            kind = kind_of(values)
            if kind == "numeric":
                where = f"{table.source}: column {name!r}"
                measured = Standardiser.fit(values[:, None], name=where)
                mean, std = (measured.mean[0], measured.std[0]) if standardise else (0.0, 1.0)
                columns.append(NumericColumn(name, mean, std))
            elif kind == "boolean":
                columns.append(CategoricalColumn(name, ("false", "true"), "boolean"))
            else:
                categories = tuple(sorted(set(values)))
                if len(categories) > max_categories:
                    raise DataError(_too_many(table, name, categories, max_categories))
                columns.append(CategoricalColumn(name, categories))
        return cls(tuple(columns))

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns that a table must have to be transformed."""
        return tuple(column.name for column in self.columns)

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each column, for `read_table`."""
        return {
            column.name: "numeric" if isinstance(column, NumericColumn) else column.kind
            for column in self.columns
        }

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the F features: the column's, or `column=category`."""
        names: list[str] = []
        for column in self.columns:
            if isinstance(column, NumericColumn):
                names.append(column.name)
            else:
                names += [f"{column.name}={category}" for category in column.categories]
        return tuple(names)

    @property
    def features(self) -> int:
        """The number of features, F."""
        return sum(_width(column) for column in self.columns)

    def transform(self, table: Table, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """The features of every row, (N, F) of `dtype`. Columns that are not needed are ignored.

        A category that training never showed becomes zeros in all features of its column, and one
        `UnknownCategoryWarning` says how many rows that concerns.

        Raises:
            DataError: a column is missing or of another kind than in training, or a number
                overflows `dtype`.
        """
        target = floating(dtype)
        features = np.zeros((len(table), self.features), target)
        rows: dict[str, int] = {}
        examples: dict[str, tuple[str, ...]] = {}
        start = 0
        for column in self.columns:
            values = table.column(column.name)
            expected = self.kinds[column.name]
            if kind_of(values) != expected:
                raise DataError(
                    f"{table.source}: column {column.name!r} was {expected} in training, "
                    f"but is {kind_of(values)} here"
                )
            stop = start + _width(column)
            if isinstance(column, NumericColumn):
                with np.errstate(over="ignore"):
                    features[:, start] = (values - column.mean) / column.std
                where = f"{table.source}: column {column.name!r}"
                refuse_overflow(features[:, start:stop], target, where)
            else:
                unknown = _one_hot(column, values, features[:, start:stop])
                if unknown:
                    rows[column.name] = len(unknown)
                    examples[column.name] = tuple(dict.fromkeys(unknown))[:5]
            start = stop
        if rows:
            warnings.warn(UnknownCategoryWarning(table.source, rows, examples), stacklevel=2)
        return features

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads, in plain JSON types; the numbers come back exactly."""
        columns: list[dict[str, Any]] = []
        for column in self.columns:
            if isinstance(column, NumericColumn):
                saved = {"mean": column.mean, "std": column.std}
                columns.append({"name": column.name, "kind": "numeric", **saved})
            else:
                listed = list(column.categories)
                columns.append({"name": column.name, "kind": column.kind, "categories": listed})
        return {"form": _ENCODER, "version": 1, "columns": columns}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TableEncoder":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: it is something else, or damaged.
        """
        saved = _records.form(value, _ENCODER, 1, ("columns",))
        columns = [_column_from(one) for one in _records.entries(saved["columns"], "columns")]
        if not columns:
            raise CheckpointError(f"{_ENCODER}: expected at least one column")
        _records.unique([column.name for column in columns], f"{_ENCODER}: the columns' names")
        return cls(tuple(columns))


@dataclass(frozen=True)
class TablePreprocessor:
    """Features and target of a table together: all that `predict` needs beside the weights.

    Args:
        encoder: makes the features.
        target_name: the target's column.
        target: makes the target.

    >>> data = {"x": np.array([1.0, 3.0, 2.0]), "y": np.array(["no", "yes", "no"])}
    >>> table = Table("example", data)
    >>> fitted = TablePreprocessor.fit(table, "y")
    >>> fitted.task, fitted.features(table).shape, fitted.targets(table)
    ('classification', (3, 1), array([0, 1, 0]))
    """

    encoder: TableEncoder
    target_name: str
    target: ClassTarget | NumberTarget

    @classmethod
    def fit(
        cls,
        table: Table,
        target: str,
        *,
        task: Task | None = None,
        classes: ClassTarget | None = None,
        standardise: bool = True,
        max_categories: int = 1000,
    ) -> "TablePreprocessor":
        """Fit features and target on a training table.

        Args:
            table: the training part.
            target: the column to predict.
            task: `'classification'` or `'regression'`; None decides as `infer_task` does.
            classes: those of a classification, where the training part may not have all of them.
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
            fitted = NumberTarget.fit(values, standardise=standardise, name=where)
        rest = table.without([target])
        encoder = TableEncoder.fit(rest, standardise=standardise, max_categories=max_categories)
        return cls(encoder, target, fitted)

    @property
    def task(self) -> Task:
        """What the target asks for."""
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
            "version": 1,
            "encoder": self.encoder.to_dict(),
            "target_name": self.target_name,
            "target": self.target.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TablePreprocessor":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: it is something else, or damaged.
        """
        saved = _records.form(value, _PREPROCESSOR, 1, ("encoder", "target_name", "target"))
        encoder = TableEncoder.from_dict(saved["encoder"])
        name = _records.text(saved["target_name"], "target_name")
        if name in encoder.column_names:
            raise CheckpointError(f"{_PREPROCESSOR}: the target {name!r} is among the features")
        return cls(encoder, name, target_from_dict(saved["target"]))


def _width(column: EncodedColumn) -> int:
    return 1 if isinstance(column, NumericColumn) else len(column.categories)


def _one_hot(
    column: CategoricalColumn, values: npt.NDArray[Any], out: npt.NDArray[Any]
) -> list[str]:
    """Set the ones of a column in `out`, which is all zeros; the categories without one, by row."""
    if column.kind == "boolean":
        texts = np.where(values, "true", "false").tolist()
    else:
        texts = values.tolist()
    index = {category: number for number, category in enumerate(column.categories)}
    codes = np.fromiter((index.get(text, -1) for text in texts), np.int64, len(texts))
    known = np.flatnonzero(codes >= 0)
    out[known, codes[known]] = 1
    return [texts[row] for row in np.flatnonzero(codes < 0)]


def _too_many(table: Table, name: str, categories: tuple[str, ...], most: int) -> str:
    message = (
        f"{table.source}: column {name!r} has {len(categories):,} different values in "
        f"{len(table):,} rows, more than max_categories={most:,}: leave it out, or raise the limit"
    )
    words = [category for category in categories if not is_number(category)]
    if 2 * len(words) < len(categories):
        message += f". Most of them are numbers, but these are not: {some(words, 5)}"
    return message


def _column_from(value: Any) -> EncodedColumn:
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if kind == "numeric":
        saved = _records.record(value, ("name", "kind", "mean", "std"), "column")
        name = _records.text(saved["name"], "column name")
        mean = _records.number(saved["mean"], f"mean of column {name!r}")
        std = _records.number(saved["std"], f"std of column {name!r}", positive=True)
        return NumericColumn(name, mean, std)
    if kind not in ("boolean", "categorical"):
        raise CheckpointError(
            f"{_ENCODER}: expected a numeric, boolean or categorical column, found kind {kind!r}"
        )
    saved = _records.record(value, ("name", "kind", "categories"), "column")
    name = _records.text(saved["name"], "column name")
    what = f"categories of column {name!r}"
    categories = tuple(
        _records.text(one, what) for one in _records.entries(saved["categories"], what)
    )
    _records.unique(categories, what)
    if not categories or (kind == "boolean" and categories != ("false", "true")):
        raise CheckpointError(f"{what}: found {len(categories)}, which do not fit a {kind} column")
    return CategoricalColumn(name, categories, kind)
