"""Encoding one column of a table as features: numbers, categories, dates, missing values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnscratch.data import _records
from nnscratch.data.dates import PARTS, parts_of
from nnscratch.data.spellings import FALSE, MISSING, TRUE
from nnscratch.data.standardise import Standardiser
from nnscratch.data.table import ColumnKind, is_missing, kind_of
from nnscratch.errors import CheckpointError

_Array = npt.NDArray[Any]
# The difference of two larger numbers may overflow float64.
HUGE = 1e150


@dataclass
class Remarks:
    """The unusual values that were found in one column.

    Args:
        unknown: the categories that training never showed, one for each such row.
        filled: how many gaps were filled though training had none in this column.
    """

    unknown: list[str] = field(default_factory=list)
    filled: int = 0


@dataclass(frozen=True)
class NumericColumn:
    """A column of numbers: one feature, (x − mean) / std, and one more that is 1 in a gap.

    Args:
        name: of the column.
        mean: of the numbers in training.
        std: their standard deviation.
        fill: what stands for a missing number: the median in training. None for the mean.
        gaps: whether training had gaps; only then is there a feature that shows them.
    """

    name: str
    mean: float
    std: float
    fill: float | None = None
    gaps: bool = False

    kind: ClassVar[ColumnKind] = "numeric"

    @classmethod
    def fit(cls, name: str, values: _Array, standardise: bool, where: str) -> "NumericColumn":
        """Measure a column of training; a part without a number has mean 0 and deviation 1."""
        missing = is_missing(values)
        gaps = bool(missing.any())
        present = values[~missing] if gaps else values
        if len(present) == 0:
            return cls(name, 0.0, 1.0, 0.0, gaps)
        measured = Standardiser.fit(present[:, None], name=where)
        mean, std = (measured.mean[0], measured.std[0]) if standardise else (0.0, 1.0)
        return cls(name, mean, std, _median(present), gaps)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column's name, and that of the feature for gaps."""
        return (self.name, *_gap_names(self))

    def encode(self, values: _Array, out: _Array) -> Remarks:
        """Write the features of the column into `out`, (N, its features), which is all zeros."""
        missing = is_missing(values)
        filled = bool(missing.any())
        if filled:
            values = np.where(missing, self.mean if self.fill is None else self.fill, values)
        out[:, 0] = standardised(values, self.mean, self.std)
        return _show_gaps(self, missing, out) if filled else Remarks()

    def to_dict(self) -> dict[str, Any]:
        """What `column_from` reads."""
        return {"name": self.name, "kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class CategoricalColumn:
    """A column of categories: one feature each, 1 where the row has it.

    Args:
        name: of the column.
        categories: those of training; of very many the most frequent.
        kind: how the column is read: as text, or as true and false.
        other: whether there is one more feature, for all categories that are not among these.
        fill: the category that stands for a gap where training had none. None for zeros.
        gaps: whether training had gaps; only then is a gap a category of its own.
    """

    name: str
    categories: tuple[str, ...]
    kind: ColumnKind = "categorical"
    other: bool = False
    fill: str | None = None
    gaps: bool = False

    @classmethod
    def fit(cls, name: str, values: _Array, most: int) -> "CategoricalColumn":
        """Collect the categories of a column of training, at most `most` of them."""
        missing = is_missing(values)
        gaps = bool(missing.any())
        present = values[~missing] if gaps else values
        if kind_of(values) == "boolean":
            fill = "true" if 2 * np.count_nonzero(present) > len(present) else "false"
            return cls(name, ("false", "true"), "boolean", False, fill, gaps)
        counts = Counter(present.tolist())
        # Sorted by frequency, then by name, so that the order is always the same.
        ranked = sorted(counts, key=lambda text: (-counts[text], text))
        kept = tuple(sorted(ranked[:most]))
        return cls(
            name, kept, other=len(ranked) > most, fill=ranked[0] if ranked else None, gaps=gaps
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`column=category` for each category, and the names for others and for gaps."""
        listed = [f"{self.name}={category}" for category in self.categories]
        if self.other:
            listed.append(f"{self.name}=(other)")
        return (*listed, *_gap_names(self))

    def encode(self, values: _Array, out: _Array) -> Remarks:
        """Write the features of the column into `out`, (N, its features), which is all zeros."""
        index: dict[str | None, int] = {}
        index.update({category: number for number, category in enumerate(self.categories)})
        respelled = aliases(self.categories)
        if self.kind == "boolean":
            words = {None: None, False: "false", True: "true"}
            texts = [words[value] for value in values.tolist()]
        else:
            texts = values.tolist()
        # Loop over the distinct texts, of which there are far fewer than rows.
        unknown = set()
        gap, other, nothing = -1, len(self.categories), -2
        for text in set(texts):
            if text is None:
                index[text] = gap
            elif text not in index:
                folded = text.casefold()
                if folded in respelled:
                    index[text] = respelled[folded]
                elif folded in MISSING and self.gaps:
                    index[text] = gap
                elif self.other:
                    index[text] = other
                else:
                    index[text] = nothing
                    unknown.add(text)
        codes = np.fromiter(map(index.__getitem__, texts), np.int64, len(texts))
        missing = codes == gap
        known = np.flatnonzero(codes >= 0)
        out[known, codes[known]] = 1
        remarks = _show_gaps(self, missing, out) if missing.any() else Remarks()
        if missing.any() and not self.gaps and self.fill is not None:
            out[missing, index[self.fill]] = 1
        if unknown:
            remarks.unknown = [str(texts[row]) for row in np.flatnonzero(codes == nothing)]
        return remarks

    def to_dict(self) -> dict[str, Any]:
        """What `column_from` reads."""
        more = {"other": self.other, "fill": self.fill, "gaps": self.gaps}
        listed = list(self.categories)
        return {"name": self.name, "kind": self.kind, "categories": listed, **more}


@dataclass(frozen=True)
class DateColumn:
    """A column of dates or times: days since 1970, and what else of them varied in training.

    Args:
        name: of the column.
        parts: the numbers that a date becomes, each standardised; see `parts_of`.
        fill: the date that stands for a gap, in microseconds since 1970: the median in training.
        gaps: whether training had gaps; only then is there a feature that shows them.
    """

    name: str
    parts: tuple[NumericColumn, ...]
    fill: int
    gaps: bool = False

    kind: ClassVar[ColumnKind] = "datetime"

    @classmethod
    def fit(cls, name: str, values: _Array, standardise: bool, where: str) -> "DateColumn":
        """Measure a column of training."""
        missing = is_missing(values)
        present = values[~missing]
        parts = parts_of(present)
        kept = {
            part: numbers
            for part, numbers in parts.items()
            if part == "days" or (len(numbers) and numbers.min() < numbers.max())
        }
        measured = [NumericColumn.fit(p, v, standardise, where) for p, v in kept.items()]
        fitted = tuple(NumericColumn(one.name, one.mean, one.std) for one in measured)
        microseconds = np.sort(present.astype("datetime64[us]").astype(np.int64))
        fill = int(microseconds[len(microseconds) // 2]) if len(microseconds) else 0
        return cls(name, fitted, fill, bool(missing.any()))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`column.part` for each part, and the name of the feature for gaps."""
        return (*[f"{self.name}.{part.name}" for part in self.parts], *_gap_names(self))

    def encode(self, values: _Array, out: _Array) -> Remarks:
        """Write the features of the column into `out`, (N, its features), which is all zeros."""
        missing = is_missing(values)
        parts = parts_of(np.where(missing, np.datetime64(self.fill, "us"), values))
        for number, part in enumerate(self.parts):
            out[:, number] = standardised(parts[part.name], part.mean, part.std)
        return _show_gaps(self, missing, out) if missing.any() else Remarks()

    def to_dict(self) -> dict[str, Any]:
        """What `column_from` reads."""
        parts = [{"part": p.name, "mean": p.mean, "std": p.std} for p in self.parts]
        more = {"parts": parts, "fill": self.fill, "gaps": self.gaps}
        return {"name": self.name, "kind": "datetime", **more}


EncodedColumn = NumericColumn | CategoricalColumn | DateColumn


def standardised(values: _Array, mean: float, std: float) -> _Array:
    """(x − mean) / std, also where the difference alone is beyond the range of float64."""
    with np.errstate(over="ignore"):
        if std > HUGE:
            return np.asarray(values / std - mean / std)
        return np.asarray((values - mean) / std)


def column_from(value: Any, version: int, form: str) -> EncodedColumn:
    """Read what `to_dict` of a column wrote; version 1 knew no gaps, dates and others.

    Raises:
        CheckpointError: it is something else, or damaged.
    """
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if kind == "numeric":
        return _numeric_from(value, version)
    if kind == "datetime" and version > 1:
        return _date_from(value)
    if kind not in ("boolean", "categorical"):
        raise CheckpointError(
            f"{form}: expected a numeric, boolean, categorical or datetime column, "
            f"found kind {kind!r}"
        )
    more = () if version == 1 else ("other", "fill", "gaps")
    saved = _records.record(value, ("name", "kind", "categories", *more), "column")
    name = _records.text(saved["name"], "column name")
    what = f"categories of column {name!r}"
    categories = tuple(
        _records.text(one, what) for one in _records.entries(saved["categories"], what)
    )
    _records.unique(categories, what)
    other, fill = _flag(saved, "other", name), saved.get("fill")
    gaps = _flag(saved, "gaps", name)
    if (not categories and not gaps) or (kind == "boolean" and categories != ("false", "true")):
        raise CheckpointError(f"{what}: found {len(categories)}, which do not fit a {kind} column")
    if fill is not None and fill not in categories:
        raise CheckpointError(f"{what}: the one for gaps, {fill!r:.80}, is not among them")
    return CategoricalColumn(name, categories, kind, other, fill, gaps)


def _numeric_from(value: Mapping[str, Any], version: int) -> NumericColumn:
    more = () if version == 1 else ("fill", "gaps")
    saved = _records.record(value, ("name", "kind", "mean", "std", *more), "column")
    name = _records.text(saved["name"], "column name")
    mean = _records.number(saved["mean"], f"mean of column {name!r}")
    std = _records.number(saved["std"], f"std of column {name!r}", positive=True)
    fill = saved.get("fill")
    if fill is not None:
        fill = _records.number(fill, f"fill of column {name!r}")
    return NumericColumn(name, mean, std, fill, _flag(saved, "gaps", name))


def _date_from(value: Mapping[str, Any]) -> DateColumn:
    saved = _records.record(value, ("name", "kind", "parts", "fill", "gaps"), "column")
    name = _records.text(saved["name"], "column name")
    parts = []
    for one in _records.entries(saved["parts"], f"parts of column {name!r}"):
        part = _records.record(one, ("part", "mean", "std"), f"part of column {name!r}")
        if part["part"] not in PARTS:
            raise CheckpointError(f"column {name!r}: a date has no part {part['part']!r:.80}")
        mean = _records.number(part["mean"], f"mean of column {name!r}")
        std = _records.number(part["std"], f"std of column {name!r}", positive=True)
        parts.append(NumericColumn(part["part"], mean, std))
    _records.unique([part.name for part in parts], f"parts of column {name!r}")
    fill = saved["fill"]
    # The years 1 to 9999, as Python has them; NumPy would wrap around far beyond.
    if not isinstance(fill, int) or isinstance(fill, bool) or not -(2**56) < fill < 2**58:
        raise CheckpointError(f"column {name!r}: the date for gaps is none")
    if not parts:
        raise CheckpointError(f"column {name!r}: expected at least one part of a date")
    return DateColumn(name, tuple(parts), fill, _flag(saved, "gaps", name))


def _flag(saved: Mapping[str, Any], key: str, name: str) -> bool:
    value = saved.get(key, False)
    if not isinstance(value, bool):
        raise CheckpointError(f"column {name!r}: {key} is true or false")
    return value


def _median(present: _Array) -> float:
    # Halved first, because two very large numbers add to infinity.
    middle = [(len(present) - 1) // 2, len(present) // 2]
    low, high = np.partition(present, middle)[middle]
    return float(low / 2 + high / 2) if low != high else float(low)


def _gap_names(column: EncodedColumn) -> tuple[str, ...]:
    return (f"{column.name} is missing",) if column.gaps else ()


def _show_gaps(column: EncodedColumn, missing: _Array, out: _Array) -> Remarks:
    """Set the feature that shows gaps, which is the last, or count gaps where there is none."""
    if column.gaps:
        out[missing, -1] = 1
        return Remarks()
    return Remarks(filled=int(np.count_nonzero(missing)))


def aliases(categories: Sequence[str]) -> dict[str, int]:
    """Other ways to write yes and no, where these are the categories; {} where they are not."""
    folded = [category.casefold() for category in categories]
    if len(folded) != 2 or not any(one in TRUE for one in folded):
        return {}
    if not any(one in FALSE for one in folded):
        return {}
    yes = 0 if folded[0] in TRUE else 1
    return {**dict.fromkeys(TRUE, yes), **dict.fromkeys(FALSE, 1 - yes)}
