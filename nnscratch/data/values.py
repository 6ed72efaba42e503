"""Columns of text as numbers, booleans, dates or categories, as their values show."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import some
from nnscratch.data.dates import recognise_dates
from nnscratch.data.reading import TableWarning
from nnscratch.data.spellings import (
    DECIMALS,
    EITHER,
    END,
    FALSE,
    GROUP,
    MISSING_IN_TEXT,
    NUMBER,
    POINTED_THOUSANDS,
    TRUE,
    UNITS,
    are_gaps,
    cleaned,
)
from nnscratch.data.table import ColumnKind
from nnscratch.errors import DataError

_Array = npt.NDArray[Any]

# A column is one of numbers or dates with odd values in it, not one of text, if at least this
# share of its values are, or all but one of at least five.
_SHARE, _FEW = 0.9, 4
_KINDS = 20
# So many values of a column are looked at to recognise the decimal mark of the file.
_SAMPLE = 2000


@dataclass
class Values:
    """How the texts of one file become values; what is recognised on the way is kept in it.

    Args:
        polars: the library.
        source: what to call the file.
        keep: whether gaps stay gaps and odd values become some; otherwise odd values are refused.
        separator: of the file: with a comma between values it seldom stands before decimals.
        decimal: the decimal mark where the file does not show one.
        dates: for columns of dates, the format where several fit.
    """

    polars: Any
    source: str | os.PathLike[str]
    keep: bool
    separator: str = ","
    decimal: str | None = None
    dates: Mapping[str, str] = field(default_factory=dict)
    found_dates: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _writes_na: bool = False
    _commas: list[str] = field(default_factory=list)
    _unclear: list[str] = field(default_factory=list)

    def look(self, frame: Any, kinds: Mapping[str, ColumnKind]) -> None:
        """Decide the decimal mark of a whole file, by the columns that leave no choice, and
        whether NA is a gap among texts.
        """
        points = False
        for text in frame:
            if not self._writes_na and (na := text == "NA").any():
                # Where numbers are missing so, texts are, too: R writes NA, and no country.
                present = text.filter(~na).drop_nulls().head(1000)
                numbers = present.cast(self.polars.Float64, strict=False)
                self._writes_na = 0 < len(present) == numbers.count()
            if kinds.get(text.name, "numeric") != "numeric":
                continue
            start = text.head(_SAMPLE)
            if start.null_count() == 0:
                # Plain numbers are nearly all there is, and quickly known; one shows the mark.
                plain = start.cast(self.polars.Float64, strict=False).null_count() == 0
                if plain and (points or not start.str.contains(".", literal=True).any()):
                    continue
            sample = text.drop_nulls()
            sample = sample.head(_SAMPLE).str.strip_chars().str.replace(END, "")
            if not sample.str.contains(r"\d").any():
                continue
            if sample.str.contains(",", literal=True).any():
                clean = cleaned(sample).filter(~are_gaps(sample))
                shown = clean.str.contains(DECIMALS)
                plain = clean.str.contains(r"^[-+]?\d{1,3}$")
                if shown.any() and (shown | plain | clean.str.contains(EITHER)).mean() >= _SHARE:
                    self._commas.append(text.name)
                elif clean.str.contains(r"^[-+]?\d{1,3}(?:,\d{3})+\.\d*$").any():
                    points = True
            elif sample.str.contains(r"^[-+]?\d*\.(?:\d{1,2}|\d{4,})$").any():
                points = True
        if self._commas:
            self.decimal = ","
        elif points:
            self.decimal = "."
        elif self.decimal is None:
            self.decimal = "," if self.separator == ";" else "."

    def of(self, text: Any, kind: ColumnKind | None) -> _Array:
        """A column of text as an array of its kind; a missing value is NaN, NaT or None."""
        if kind in (None, "numeric"):
            values = self._plain_numbers(text, kind)
            if values is None:
                text = text.str.strip_chars()
                values = self._numbers(text, kind)
            if values is not None:
                return values
        text = text.str.strip_chars()
        if kind in (None, "boolean"):
            values = self._booleans(text, kind)
            if values is not None:
                return values
        if kind in (None, "datetime"):
            values = self._dates(text, kind)
            if values is not None:
                return values
        if kind is None and self.keep:
            self._nearly_numbers(text)
        empty = text.is_null() | (text == "")
        if self.keep:
            empty |= text.str.to_lowercase().is_in(list(MISSING_IN_TEXT))
        if self._writes_na:
            empty |= text == "NA"
        return _objects(self.polars, text.set(empty.fill_null(True), None))

    def of_typed_text(self, text: Any) -> _Array:
        """A column that is text by its type: categories, or dates where all of it is dates."""
        stripped = text.str.strip_chars()
        found = self._dates(stripped, None)
        if found is not None:
            return found
        if self.keep:
            self._nearly_numbers(stripped)
        return self.of(text, "categorical")

    def say(self) -> tuple[str, ...]:
        """What was recognised in the columns, a sentence each."""
        made = []
        if self._commas:
            made.append(f"the comma is the decimal mark, as in {some(self._commas, 3)}")
        if self._unclear:
            what = "decimal marks" if self.decimal == "," else "thousands separators"
            made.append(f"commas are {what} (they could be either) in {some(self._unclear, 3)}")
        if self.found_dates:
            listed = [f"{name!r} ({form})" for name, form in self.found_dates.items()]
            more = f" and {len(listed) - 3} more" if listed[3:] else ""
            made.append(f"dates and times: {', '.join(listed[:3])}{more}")
        return (*made, *self.notes)

    def _plain_numbers(self, text: Any, kind: ColumnKind | None) -> _Array | None:
        """The common case, quickly: a number in every row, as programs write them."""
        polars = self.polars
        if (
            self.decimal == ","
            or text[0] is None
            or text.head(100).cast(polars.Float64, strict=False).null_count()
        ):
            return None
        numbers = text.cast(polars.Float64, strict=False)
        if numbers.null_count():
            return None
        if text.head(100).cast(polars.Int64, strict=False).null_count() == 0:
            whole = text.cast(polars.Int64, strict=False)
            if whole.null_count() == 0:
                if kind is None and self._codes(text, text.is_null()):
                    return None
                return np.asarray(whole.to_numpy(), np.int64)
        return np.asarray(numbers.to_numpy(), np.float64)

    def _numbers(self, text: Any, kind: ColumnKind | None) -> _Array | None:
        polars = self.polars
        notes, unclear = len(self.notes), len(self._unclear)
        numbers = text.cast(polars.Float64, strict=False)
        gaps = are_gaps(text) if numbers.null_count() else text.is_null()
        # 1.234 is plain enough; where the file writes decimals with a comma, it is 1234.
        pointed = self.decimal == "," and bool(
            (text.str.contains(POINTED_THOUSANDS) | ~text.str.contains(".", literal=True)).all()
        )
        if not (numbers.is_not_null() | gaps).all() or (
            pointed and text.str.contains(".", literal=True).any()
        ):
            numbers = self._written_numbers(text, gaps)
        odd = numbers.is_null() & ~gaps
        wrong, right = int(odd.sum()), int((numbers.is_not_null() & ~gaps).sum())
        if wrong and kind == "numeric":
            truth = self._truth(text, gaps)
            if truth is not None:
                return np.asarray(truth.cast(polars.Float64).to_numpy(), np.float64)
        if wrong and not self._few(wrong, right, odd, text, kind):
            # It is no column of numbers: nothing is to be said of how they are written.
            del self.notes[notes:], self._unclear[unclear:]
            return None
        if kind is None and not wrong and self._codes(text, gaps):
            return None
        if wrong:
            self._odd(text, odd, "numbers", "a number")
        if not wrong and not gaps.any():
            whole = text.cast(polars.Int64, strict=False)
            if whole.null_count() == 0:
                return np.asarray(whole.to_numpy(), np.int64)
        numbers = numbers.set(gaps, None)
        return np.asarray(numbers.fill_null(float("nan")).to_numpy(), np.float64)

    def _written_numbers(self, text: Any, gaps: Any) -> Any:
        """Numbers as people write them: thousands, decimal commas, percents, currencies, units."""
        polars = self.polars
        clean = cleaned(text)
        units = clean.filter(~gaps).str.extract(UNITS)
        if len(units) and units.null_count() == 0 and units.n_unique() == 1:
            self.notes.append(f"column {text.name!r}: numbers with the unit {units[0]!r}")
            clean = clean.str.strip_suffix(units[0]).str.strip_chars()
        mark = self.decimal or "."
        if clean.str.contains(",", literal=True).any():
            present = clean.filter(~gaps)
            if text.name not in self._commas and present.str.contains(DECIMALS).any():
                # A column may differ from its file, where all of it does.
                mark = "," if not present.str.contains(r",\d{3}\.\d|,\d{3},\d{3}").any() else "."
            elif mark == "," and present.str.contains(r",\d{3}\.\d|,\d{3},\d{3}").any():
                mark = "."
            elif present.str.contains(EITHER).any() and text.name not in self._commas:
                self._unclear.append(text.name)
        elif mark == "," and clean.str.contains(r"\.(?:\d{1,2}|\d{4,})$").any():
            mark = "."
        valid = clean.str.contains(NUMBER[mark]) & clean.str.contains(r"\d")
        clean = clean.str.replace_all(GROUP, "")
        if mark == ",":
            clean = clean.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        else:
            clean = clean.str.replace_all(",", "", literal=True)
        numbers = clean.cast(polars.Float64, strict=False).set(~valid.fill_null(False), None)
        percent = text.str.ends_with("%") & numbers.is_not_null()
        if percent.any():
            self.notes.append(f"column {text.name!r}: percents; 12% is read as 0.12")
            numbers = numbers.zip_with(~percent, numbers / 100)
        return numbers

    def _few(self, wrong: int, right: int, odd: Any, text: Any, kind: ColumnKind | None) -> bool:
        """Whether the values that are no numbers (or dates) are so few that they are odd."""
        if kind is not None:
            if right == 0:
                self._refuse(text, odd, "a number" if kind == "numeric" else "a date")
            return True
        regular, others = text.filter(~odd & ~are_gaps(text)), text.filter(odd)
        if (
            right
            and regular.n_unique() <= _KINDS
            and regular.str.contains(r"^\d+$").all()
            and wrong * regular.n_unique() >= right * others.n_unique()
        ):
            # Whole numbers of a few kinds, and this one as frequent as they are: a label.
            return False
        return right >= _SHARE * (right + wrong) or (wrong == 1 and right >= _FEW)

    def _codes(self, text: Any, gaps: Any) -> bool:
        """Whether these are codes (postal codes, account numbers): figures with leading zeros."""
        present = text.filter(~gaps)
        if not present.str.contains(r"^0\d+$").any():
            return False
        return bool(
            present.str.contains(r"^\d+$").all() and present.str.len_chars().n_unique() == 1
        )

    def _truth(self, text: Any, gaps: Any) -> Any | None:
        """Yes and no, however they are written, as booleans; None if it is another column."""
        folded = text.str.to_lowercase()
        true, false = folded.is_in(list(TRUE)), folded.is_in(list(FALSE))
        if not (true | false | gaps).all():
            return None
        return true.set(gaps.fill_null(True) & ~(true | false).fill_null(False), None)

    def _booleans(self, text: Any, kind: ColumnKind | None) -> _Array | None:
        gaps = are_gaps(text)
        if kind is None:
            folded = text.str.to_lowercase()
            if not (folded.is_in(["true", "false"]) | gaps).all():
                return None
        truth = self._truth(text, gaps)
        if truth is None:
            folded = text.str.to_lowercase()
            odd = ~(folded.is_in([*TRUE, *FALSE]) | gaps)
            if not self.keep or int(odd.sum()) == int((~gaps).sum()):
                self._refuse(text, odd, "true or false")
            self._odd(text, odd, "booleans", "true or false")
            truth = self._truth(text.set(odd, None), gaps | odd)
            assert truth is not None
        return np.array(truth.to_list(), object)

    def _dates(self, text: Any, kind: ColumnKind | None) -> _Array | None:
        gaps = are_gaps(text)
        if kind is not None and gaps.all():
            return np.full(len(text), np.datetime64("NaT", "us"))
        known = self.dates.get(text.name)
        # With a semicolon between values, and decimal commas, the day comes first as a rule.
        first = self.separator == ";" or self.decimal == ","
        share = _SHARE if kind is None else 0.0
        found = recognise_dates(
            self.polars, text.set(gaps, None), day_first=first, hint=known, share=share
        )
        if found is None:
            if kind == "datetime":
                self._refuse(text, ~gaps, "a date")
            return None
        values, form, other = found
        odd = values.is_null() & ~gaps
        wrong = int(odd.sum())
        if wrong and not self._few(wrong, int(values.count()), odd, text, kind):
            return None
        if wrong:
            self._odd(text, odd, "dates", f"a date such as {form}")
        self.found_dates[text.name] = form
        if other is not None and form != known:
            first_is = "the day" if form.startswith("%d") else "the month"
            self.notes.append(
                f"column {text.name!r}: {first_is} is taken to come first ({form}); {other} would "
                "fit as well"
            )
        return np.asarray(values.to_numpy(), "datetime64[us]")

    def _nearly_numbers(self, text: Any) -> None:
        """Warn of a column of text that is more likely one of numbers written in some other way."""
        present = text.filter(~are_gaps(text))
        numbers = cleaned(present).str.contains(r"^[-+]?\d*(?:[.,]?\d+)(?:[eE][-+]?\d+)?.?$")
        count = int(numbers.sum())
        if (
            2 * count <= len(present)
            or present.n_unique() <= _KINDS
            or self._codes(text, are_gaps(text))
        ):
            return
        more = ""
        if count < len(present):
            other = present.filter(~numbers)[0]
            row = int((text == other).arg_max()) + 1
            more = f", the first that is none is {other!r} in row {row:,}"
        warnings.warn(
            TableWarning(
                f"{self.source}: column {text.name!r} is taken for text, though {count:,} of "
                f"{len(present):,} values look like numbers{more}; write them all alike to have "
                "them read as numbers"
            ),
            stacklevel=2,
        )

    def _odd(self, text: Any, odd: Any, what: str, expected: str) -> None:
        """Warn of the few values that a column of another kind holds, or refuse them."""
        if not self.keep:
            self._refuse(text, odd, expected)
        row = int(np.argmax(odd.fill_null(False).to_numpy()))
        count = int(odd.sum())
        others = [one for one in text.filter(odd).unique(maintain_order=True)[1:4]]
        more = f", others are {some(others)}" if others else ""
        values = "1 value" if count == 1 else f"{count:,} values"
        warnings.warn(
            TableWarning(
                f"{self.source}: column {text.name!r} is one of {what}, but {values} of "
                f"{len(text):,} are not, the first {text[row]!r} in row {row + 1}{more}; "
                "taken for missing"
            ),
            stacklevel=2,
        )

    def _refuse(self, text: Any, wrong: Any, expected: str) -> None:
        row = int(np.argmax(wrong.fill_null(False).to_numpy()))
        raise DataError(
            f"{self.source}: column {text.name!r}: expected {expected} in every row, found "
            f"{text[row]!r} in row {row + 1} ({int(wrong.sum()):,} such rows)"
        )


def _objects(polars: Any, text: Any) -> _Array:
    """A column of text as Python strings, None where null: equal texts are one object."""
    distinct = text.drop_nulls().unique().sort()
    values = np.array([*distinct.to_list(), None], object)
    if len(values) == 1:
        return np.full(len(text), None, object)
    codes = text.rank("dense").cast(polars.Int64) - 1
    chosen: _Array = values[codes.fill_null(len(distinct)).to_numpy()]
    return chosen
