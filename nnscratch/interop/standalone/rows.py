"""Rows and images as a network takes them, and its outputs as answers, for exported programs.

Their texts are copied into the programs, so they need NumPy alone. They give the numbers of
``nnscratch.data.TableEncoder``, ``ClassTarget`` and ``NumberTarget``.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnscratch.data.columns import aliases, standardised
from nnscratch.data.dates import moment, parts_of
from nnscratch.data.spellings import MISSING


def rows_of_csv(path: str, separator: str, encoding: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file, its columns called as in training.

    Raises:
        ValueError: if a row has more or fewer values than there are columns.
    """
    with open(path, newline="", encoding=encoding) as file:
        lines = list(csv.reader(file, delimiter=separator))
    names: list[str] = []
    given = [name.strip() for name in lines[0]] if lines else []
    for place, name in enumerate(given, 1):
        made = base = name or f"column_{place}"
        number = 1
        # The second of a name is NAME_2.
        while made in names or (made != name and made in given):
            number += 1
            made = f"{base}_{number}"
        names.append(made)
    rows = []
    for number, line in enumerate((one for one in lines[1:] if one), 1):
        more = [one for one in line[len(names) :] if one.strip()]
        if len(line) < len(names) or more:
            raise ValueError(f"row {number}: {len(line)} values for {len(names)} columns")
        rows.append(dict(zip(names, line, strict=False)))
    return rows


def encode_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]]) -> Any:
    """Return the features of rows, (N, F) float32.

    Args:
        rows: a dictionary for each row, with a number, a text, a bool, a date as text such as
            2024-01-31, or None for each column; other columns are ignored.
        columns: what training measured of each column.

    Raises:
        ValueError: if a row lacks a column, or has something else in it than training had.
    """
    parts = [np.zeros((len(rows), 0), np.float32)]
    for column in columns:
        values = []
        for number, row in enumerate(rows, 1):
            if column["name"] not in row:
                raise ValueError(f"row {number}: there is no column {column['name']!r}")
            values.append(row[column["name"]])
        encode = {"numeric": _numbers, "datetime": _dates}.get(column["kind"], _categories)
        with np.errstate(over="ignore"):
            part = encode(values, column).astype(np.float32)
        far = ~np.isfinite(part).all(axis=1)
        if far.any():
            raise ValueError(
                f"row {int(np.argmax(far)) + 1}: column {column['name']!r} is too far"
                " from those of the training"
            )
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _is_gap(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        return not value.strip() or value.strip().lower() in MISSING
    return isinstance(value, float) and math.isnan(value)


def _refusal(number: int, column: Mapping[str, Any], value: Any) -> ValueError:
    return ValueError(f"row {number}: column {column['name']!r} is {column['kind']}, got {value!r}")


def _numbers(values: Sequence[Any], column: Mapping[str, Any]) -> Any:
    """(x - mean) / std, and a feature that is 1 in a gap if training had gaps."""
    gaps = np.array([_is_gap(value) for value in values], bool)
    fill = column["mean"] if column.get("fill") is None else column["fill"]
    found = np.full(len(values), fill, np.float64)
    for number, value in enumerate(values):
        if not gaps[number]:
            try:
                found[number] = float(value)
            except (TypeError, ValueError, OverflowError):
                raise _refusal(number + 1, column, value) from None
            if not math.isfinite(found[number]):
                raise _refusal(number + 1, column, value)
    return _with_gaps([standardised(found, column["mean"], column["std"])], gaps, column)


def _with_gaps(features: list[Any], gaps: Any, column: Mapping[str, Any]) -> Any:
    if column.get("gaps"):
        features = [*features, gaps.astype(np.float64)]
    return np.stack(features, axis=1)


def _dates(values: Sequence[Any], column: Mapping[str, Any]) -> Any:
    """Days since 1970, and what else of the dates varied in training, each standardised."""
    gaps = np.array([_is_gap(value) for value in values], bool)
    moments = np.full(len(values), np.datetime64(column["fill"], "us"))
    for number, value in enumerate(values):
        if not gaps[number]:
            try:
                moments[number] = moment(value)
            except ValueError:
                raise _refusal(number + 1, column, value) from None
    parts = parts_of(moments)
    features = [standardised(parts[p["part"]], p["mean"], p["std"]) for p in column["parts"]]
    return _with_gaps(features, gaps, column)


def _categories(values: Sequence[Any], column: Mapping[str, Any]) -> Any:
    """A feature for each category of the training, 1 where the row has it."""
    listed = column["categories"]
    places = {category: place for place, category in enumerate(listed)}
    words = aliases(listed)
    other = len(listed)
    width = other + bool(column.get("other")) + bool(column.get("gaps"))
    found = np.zeros((len(values), width))
    for number, value in enumerate(values):
        text = value
        if isinstance(value, (bool, np.bool_)):
            text = "true" if value else "false"
        elif value is not None and not isinstance(value, str):
            text = str(value)
        folded = "" if text is None else text.casefold()
        if text in places:
            found[number, places[text]] = 1.0
        elif folded in words:
            found[number, words[folded]] = 1.0
        elif folded in MISSING and column.get("gaps"):
            found[number, -1] = 1.0
        elif not folded.strip():
            if column.get("gaps"):
                found[number, -1] = 1.0
            elif column.get("fill") is not None:
                found[number, places[column["fill"]]] = 1.0
        elif column.get("other"):
            found[number, other] = 1.0
        elif column["kind"] == "boolean":
            raise _refusal(number + 1, column, value)
    return found


def labelled(outputs: Any, classes: Sequence[Any]) -> list[tuple[Any, float]]:
    """Return for each row of scores (N, K) the class of the largest one and its probability."""
    shifted = outputs.astype(np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    shares = shifted / shifted.sum(axis=1, keepdims=True)
    best = outputs.argmax(axis=1)
    return [(classes[k], float(row[k])) for k, row in zip(best.tolist(), shares, strict=True)]


def measured(outputs: Any, mean: float, std: float) -> Any:
    """Return the numbers that outputs (N, 1) stand for, in the units of the training."""
    return (outputs.astype(np.float64) * std + mean).ravel().tolist()


def pixels(
    images: Any, shape: tuple[int, ...], white: float, mean: Sequence[float], std: Sequence[float]
) -> Any:
    """Return images (N, H, W) or (N, C, H, W) as the network takes them, float32.

    Raises:
        ValueError: if they have another size.
    """
    images = np.asarray(images)
    found = images.shape[1:] if images.ndim == 4 else (1, *images.shape[1:])
    if images.ndim not in (3, 4) or found != shape:
        raise ValueError(f"expected images (N, {shape}), got the shape {images.shape}")
    rows = images.reshape(len(images), shape[0], -1).astype(np.float32)
    middle, spread = (np.asarray(one, np.float64)[:, None] for one in (mean, std))
    rows *= (1.0 / (white * spread)).astype(np.float32)
    rows -= (middle / spread).astype(np.float32)
    return rows.reshape(images.shape[0], *shape)
