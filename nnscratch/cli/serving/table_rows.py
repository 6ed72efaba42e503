"""Rows of a table, as JSON, arrays or tensors, encoded as in training."""

from __future__ import annotations

import contextlib
import difflib
import re
from typing import Any

import msgspec
import numpy as np

from nnscratch.cli.serving.reading import (
    Array,
    BadRequestError,
    ReadRows,
    not_too_many,
    refuse_keys_twice,
    rows_in,
    some_of,
)
from nnscratch.data import CategoricalColumn, DateColumn, NumericColumn, TablePreprocessor
from nnscratch.data.columns import HUGE, aliases, standardised
from nnscratch.data.dates import moment


class TableReader:
    """Reads rows of a table, each an object with the columns of the training.

    Args:
        pre: the run's preprocessing.
    """

    key = "rows"

    def __init__(self, pre: TablePreprocessor) -> None:
        self.columns = pre.encoder.columns
        self.names = pre.encoder.column_names
        self._width = pre.encoder.features
        fields: list[Any] = [(f"c{n}", _type_of(column)) for n, column in enumerate(self.columns)]
        renamed = {f"c{n}": name for n, name in enumerate(self.names)}
        # A row may come with its answer, which is not looked at.
        fields.append(("t", Any, None))
        renamed["t"] = pre.target_name
        options: Any = {"forbid_unknown_fields": True, "kw_only": True, "gc": False}
        self._row = msgspec.defstruct("Row", fields, **options)
        self._decoder: Any = None  # for names with quotes, backslashes or line breaks there is none
        with contextlib.suppress(ValueError):
            named = msgspec.defstruct("Row", fields, rename=renamed, **options)
            self._decoder = msgspec.json.Decoder(named)
        self._called = {name: called for called, name in renamed.items()}
        self._hints = 0
        self._numbers = [n for n, c in enumerate(self.columns) if isinstance(c, NumericColumn)]
        starts = np.cumsum([0, *(len(c.feature_names) for c in self.columns)]).tolist()
        self._starts = starts
        numeric: list[Any] = [self.columns[n] for n in self._numbers]
        self._mean = np.array([c.mean for c in numeric])
        self._std = np.array([c.std for c in numeric])
        self._fill = np.array([c.mean if c.fill is None else c.fill for c in numeric])
        self._places = np.array([starts[n] for n in self._numbers], np.int64)

    def from_json(self, body: bytes, most: int) -> ReadRows:
        """Read ``{"rows": [{"column": value, ...}, ...]}``.

        Raises:
            BadRequestError: if the body as a whole is wrong.
        """
        rows, errors = [], {}
        given = rows_in(body, self.key, most)
        self._hints = 0
        for number, raw in enumerate(given):
            try:
                rows.append(self._row_of(bytes(raw)))
            except (msgspec.MsgspecError, RecursionError) as error:
                errors[number] = self._say(str(error))
            except BadRequestError as error:
                errors[number] = error.reason
        return self._read(rows, len(given), errors)

    def _row_of(self, raw: bytes) -> Any:
        if self._decoder is not None:
            row = msgspec.structs.astuple(self._decoder.decode(raw))[:-1]
            # As many colons as columns: no key is there twice. Otherwise it is looked at closely.
            if raw.count(b":") != len(self.names):
                refuse_keys_twice(raw)
            return row
        return self._converted(refuse_keys_twice(raw))

    def _converted(self, row: Any) -> Any:
        if isinstance(row, dict):
            for name in row:
                if name not in self._called:
                    raise msgspec.ValidationError(f"Object contains unknown field `{name}`")
            row = {self._called[name]: value for name, value in row.items()}
        try:
            return msgspec.structs.astuple(msgspec.convert(row, self._row))[:-1]
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(_PLACE.sub(self._named, str(error))) from None

    def from_array(self, array: Array) -> ReadRows:
        """Read an array (N, columns), where all columns are numbers; NaN is a gap.

        Raises:
            BadRequestError: if they are not, or the array has another shape.
        """
        texts = [n for n, c in zip(self.names, self.columns, strict=True) if c.kind != "numeric"]
        if texts:
            raise BadRequestError(
                415, f"column {texts[0]!r} holds no numbers, so that rows are sent as JSON"
            )
        if array.ndim != 2 or array.shape[1] != len(self.names):
            raise BadRequestError(
                400, f"expected an array (N, {len(self.names)}), got the shape {array.shape}"
            )
        errors = {int(n): "a number is infinite" for n in _where(np.any(np.isinf(array), axis=1))}
        rows = [
            tuple(None if value != value else value for value in row)
            for number, row in enumerate(array.astype(np.float64).tolist())
            if number not in errors
        ]
        return self._read(rows, len(array), errors)

    def from_tensors(self, given: dict[str, Any], most: int) -> ReadRows:
        """Read a tensor for each column.

        Raises:
            BadRequestError: naming the column that is missing, unknown or of another length.
        """
        for name in given:
            if name not in self.names:
                raise BadRequestError(400, f"there is no input {name!r}{self._close(name)}")
        missing = [name for name in self.names if name not in given]
        if missing:
            raise BadRequestError(400, f"there is no input for the columns {some_of(missing)}")
        lengths = {name: len(values) for name, values in given.items()}
        count = next(iter(lengths.values()))
        for name, length in lengths.items():
            if length != count:
                raise BadRequestError(400, f"input {name!r} has {length:,} rows, others {count:,}")
        not_too_many(range(count), most)
        rows, errors = [], {}
        for number in range(count):
            try:
                rows.append(self._converted({name: given[name][number] for name in self.names}))
            except msgspec.MsgspecError as error:
                errors[number] = self._say(str(error))
        return self._read(rows, count, errors)

    def _read(self, rows: list[Any], count: int, errors: dict[int, str]) -> ReadRows:
        numbers = [n for n in range(count) if n not in errors]
        features = np.zeros((len(rows), self._width), np.float32)
        notes: dict[int, list[str]] = {}
        wrong: dict[int, str] = {}
        if self._numbers:
            self._encode_numbers(rows, features, notes, wrong)
        for n, column in enumerate(self.columns):
            if not isinstance(column, NumericColumn):
                self._encode_other(n, column, [row[n] for row in rows], features, notes, wrong)
        if wrong:
            kept = [n for n in range(len(rows)) if n not in wrong]
            features = features[kept]
        return ReadRows(
            count,
            features,
            {**errors, **{numbers[n]: text for n, text in wrong.items()}},
            {numbers[n]: texts for n, texts in notes.items()},
        )

    def _encode_numbers(
        self, rows: list[Any], features: Array, notes: dict[int, Any], wrong: dict[int, str]
    ) -> None:
        """Write the features of all columns of numbers at once, as their ``encode`` does each."""
        listed = [[row[n] for n in self._numbers] for row in rows]
        values = np.array(listed, np.float64).reshape(len(rows), len(self._numbers))
        gaps = np.isnan(values)
        if gaps.any():
            values = np.where(gaps, self._fill, values)
            for row, place in zip(*np.nonzero(gaps), strict=True):
                column: Any = self.columns[self._numbers[place]]
                if column.gaps:
                    features[row, self._starts[self._numbers[place] + 1] - 1] = 1.0
                else:
                    _note(notes, row, f"{column.name!r} is missing, and taken as {column.fill:g}")
        if (self._std > HUGE).any():
            made = np.stack(
                [
                    standardised(values[:, n], self._mean[n], self._std[n])
                    for n in range(len(self._numbers))
                ],
                axis=1,
            )
        else:
            made = (values - self._mean) / self._std
        with np.errstate(over="ignore"):
            features[:, self._places] = made
        far = ~np.isfinite(features[:, self._places])
        for row, place in zip(*np.nonzero(far), strict=True):
            name = self.names[self._numbers[place]]
            wrong[int(row)] = f"column {name!r}: the number is too far from those of the training"

    def _encode_other(
        self, n: int, column: CategoricalColumn | DateColumn, values: list[Any], features: Array,
        notes: dict[int, Any], wrong: dict[int, str],
    ) -> None:  # fmt: skip
        part = features[:, self._starts[n] : self._starts[n + 1]]
        array: Array
        if isinstance(column, DateColumn):
            array = np.full(len(values), np.datetime64("NaT"), "datetime64[us]")
            for row, value in enumerate(values):
                if value is not None:
                    try:
                        array[row] = moment(value)
                    except ValueError:
                        wrong[row] = (
                            f"column {column.name!r}: expected a date such as 2024-01-31 or "
                            f"2024-01-31T12:30, got {value[:40]!r}"
                        )
        else:
            if column.kind == "categorical":
                words = {True: "true", False: "false"}
                values = [words[v] if isinstance(v, bool) else v for v in values]
            array = np.array([_blank(value) for value in values], object)
        column.encode(array, part)
        for row, value in enumerate(values):
            if (value is None or array[row] is None) and not column.gaps:
                _note(notes, row, f"{column.name!r} is missing, and taken as what is most usual")
            elif isinstance(column, CategoricalColumn) and not part[row].any():
                _note(notes, row, f"{column.name!r}: training never showed {str(value)[:40]!r}")

    def _say(self, error: str) -> str:
        """Return what msgspec says is wrong, with the column that may have been meant."""
        name = error.partition("unknown field `")[2].rpartition("`")[0][:_MOST_NAME]
        if len(error) > _MOST_SAID:
            error = f"{error[:_MOST_SAID]}..."
        # Searching for what was meant takes time, and is for people, who look at the first ones.
        self._hints += bool(name)
        return error + (self._close(name) if name and self._hints <= _MOST_HINTS else "")

    def _named(self, found: re.Match[str]) -> str:
        before, place, behind = found.groups()
        number = int(place)
        return f"{before}{self.names[number] if number < len(self.names) else place}{behind}"

    def _close(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.names, n=1)
        return f"; did you mean {close[0]!r}?" if close else f"; there are {some_of(self.names)}"

    def example(self) -> dict[str, Any]:
        """Return a body with one row: what is most usual in each column."""
        return {self.key: [{column.name: _usual(column) for column in self.columns}]}

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a row."""
        kinds = {c.name: _schema_of(c) for c in self.columns}
        return {
            "type": "object",
            "properties": kinds,
            "required": list(self.names),
        }

    def tensors(self) -> list[dict[str, Any]]:
        """Return a tensor for each column."""
        kinds = {"numeric": "FP64", "boolean": "BOOL"}
        return [
            {"name": c.name, "datatype": kinds.get(c.kind, "BYTES"), "shape": [-1]}
            for c in self.columns
        ]


_MOST_NAME, _MOST_SAID, _MOST_HINTS = 80, 300, 5
_PLACE = re.compile(r"(\$\.|field `)c(\d+)(`|$)")


def _note(notes: dict[int, Any], row: Any, text: str) -> None:
    notes.setdefault(int(row), []).append(text)


def _where(mask: Any) -> list[int]:
    return [int(n) for n in np.flatnonzero(mask)]


def _blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _type_of(column: Any) -> Any:
    if column.kind == "categorical" and aliases(column.categories):
        return bool | str | None  # yes and no, which is true and false in JSON
    return {"numeric": float | None, "boolean": bool | None}.get(column.kind, str | None)


def _schema_of(column: Any) -> dict[str, Any]:
    if isinstance(column, NumericColumn):
        return {"type": ["number", "null"]}
    if isinstance(column, DateColumn):
        return {"type": ["string", "null"], "description": "a date such as 2024-01-31"}
    if column.kind == "boolean":
        return {"type": ["boolean", "null"]}
    kinds = ["string", "boolean", "null"] if aliases(column.categories) else ["string", "null"]
    return {"type": kinds, "examples": list(column.categories[:20])}


def _usual(column: Any) -> Any:
    if isinstance(column, NumericColumn):
        return float(f"{column.mean if column.fill is None else column.fill:.6g}")
    if isinstance(column, DateColumn):
        return str(np.datetime64(column.fill, "us").astype("datetime64[s]"))
    if column.kind == "boolean":
        return column.fill == "true"
    return column.fill if column.fill is not None else (column.categories or ("",))[0]
