"""Columns of text as numbers, booleans, dates or categories, as their values show."""

import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import some
from nnscratch.data.dates import recognise_dates
from nnscratch.data.reading import TableWarning
from nnscratch.data.spellings import (
    DECIMALS,
    EITHER,
    END,
    GROUP,
    MISSING_IN_TEXT,
    NUMBER,
    POINTED_THOUSANDS,
    UNITS,
    cleaned,
    is_gap,
    truths,
)
from nnscratch.data.table import ColumnKind
from nnscratch.data.text_column import TextColumn, as_number
from nnscratch.errors import DataError

_Array = npt.NDArray[Any]
_Mask = npt.NDArray[np.bool_]

# A column is one of numbers or dates with odd values in it, not one of text, if at least this
# share of its values are, or all but one of at least five.
_SHARE, _FEW = 0.9, 4
_KINDS = 20
# So many values of a column are looked at to recognise the decimal mark of the file.
_SAMPLE = 2000
_DIGIT = re.compile(r"\d")
_SHORT = re.compile(r"[-+]?\d{1,3}")
_THOUSANDS_AND_POINT = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+\.\d*")
_POINT = re.compile(r"[-+]?\d*\.(?:\d{1,2}|\d{4,})")
_POINT_AT_END = re.compile(r"\.(?:\d{1,2}|\d{4,})$")
_THOUSANDS = re.compile(r",\d{3}\.\d|,\d{3},\d{3}")
_NEARLY = re.compile(r"[-+]?\d*(?:[.,]?\d+)(?:[eE][-+]?\d+)?.?")


@dataclass
class Values:
    """How the texts of one file become values; what is recognised on the way is kept in it.

    Args:
        source: what to call the file.
        keep: whether gaps stay gaps and odd values become some; otherwise odd values are refused.
        separator: of the file: with a comma between values it seldom stands before decimals.
        decimal: the decimal mark where the file does not show one.
        dates: for columns of dates, the format where several fit.
    """

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

    def look(
        self, columns: Iterable[TextColumn], kinds: Mapping[str, ColumnKind], has_na: bool = True
    ) -> None:
        """Decide the decimal mark of a whole file, by the columns that leave no choice, and
        whether NA is a gap among texts; `has_na`: whether it may stand anywhere at all.
        """
        points = False
        for text in columns:
            if has_na and not self._writes_na and bool((text.texts == "NA").any()):
                # Where numbers are missing so, texts are, too: R writes NA, and no country.
                present = text.present(1000, besides=("NA",))
                self._writes_na = bool(present) and None not in map(as_number, present)
            if kinds.get(text.name, "numeric") != "numeric":
                continue
            start = text.head(_SAMPLE)
            # Plain numbers are nearly all there is, and quickly known; one shows the mark.
            plain = None not in map(as_number, start)
            if plain and (points or not any("." in one for one in start)):
                continue
            sample = [END.sub("", one, count=1) for one in text.present(_SAMPLE)]
            if not any(map(_DIGIT.search, sample)):
                continue
            if any("," in one for one in sample):
                clean = [cleaned(one) for one in sample if not is_gap(one)]
                shown = [one for one in clean if DECIMALS.fullmatch(one)]
                agree = len(shown) + sum(
                    (_SHORT.fullmatch(one) or EITHER.fullmatch(one)) is not None
                    for one in clean
                    if not DECIMALS.fullmatch(one)
                )
                if shown and agree >= _SHARE * len(clean):
                    self._commas.append(text.name)
                elif any(map(_THOUSANDS_AND_POINT.fullmatch, clean)):
                    points = True
            elif any(map(_POINT.fullmatch, sample)):
                points = True
        if self._commas:
            self.decimal = ","
        elif points:
            self.decimal = "."
        elif self.decimal is None:
            self.decimal = "," if self.separator == ";" else "."

    def of(self, text: TextColumn, kind: ColumnKind | None) -> _Array:
        """A column of text as an array of its kind; a missing value is NaN, NaT or None."""
        if kind in (None, "numeric"):
            values = self._numbers(text, kind)
            if values is not None:
                return values
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
        return self._objects(text)

    def of_typed_text(self, text: TextColumn) -> _Array:
        """A column that is text by its type: categories, or dates where all of it is dates."""
        found = self._dates(text, None)
        if found is not None:
            return found
        if self.keep:
            self._nearly_numbers(text)
        return self._objects(text)

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

    def _numbers(self, text: TextColumn, kind: ColumnKind | None) -> _Array | None:
        # The common case, quickly: numbers as programs write them, and gaps.
        numbers = None if self.decimal == "," else text.numbers(is_gap)
        if numbers is None:
            return self._numbers_and_others(text, kind)
        if kind is None and _are_codes(text):
            return None
        whole = None if np.isnan(numbers).any() else text.integers()
        return numbers if whole is None else whole

    def _numbers_and_others(self, text: TextColumn, kind: ColumnKind | None) -> _Array | None:
        """Numbers written in some other way, or with other values among them."""
        gaps = text.each(is_gap)
        words = ~gaps & text.each(lambda one: not _DIGIT.search(one) and as_number(one) is None)
        total, others = text.rows(~gaps), text.rows(words)
        if kind is None and others > 1 and total - others < _SHARE * total:
            # Too few can be numbers, however they are written.
            return None
        notes, unclear = len(self.notes), len(self._unclear)
        found = [as_number(one) for one in text.distinct]
        # 1.234 is plain enough; where the file writes decimals with a comma, it is 1234.
        pointed = self.decimal == "," and all(
            POINTED_THOUSANDS.fullmatch(one) or "." not in one for one in text.distinct
        )
        if any(one is None and not gap for one, gap in zip(found, gaps, strict=True)) or (
            pointed and any("." in one for one in text.distinct)
        ):
            found = self._written_numbers(text, gaps)
        known = np.array([one is not None for one in found])
        odd = ~known & ~gaps
        wrong, right = text.rows(odd), text.rows(known & ~gaps)
        if wrong and kind == "numeric":
            truth = truths(text.distinct)
            if truth is not None:
                return np.array(truth, np.float64)[text.codes]
        if wrong and not self._few(wrong, right, odd, text, kind):
            # It is no column of numbers: nothing is to be said of how they are written.
            del self.notes[notes:], self._unclear[unclear:]
            return None
        if kind is None and not wrong and _are_codes(text):
            return None
        if wrong:
            self._odd(text, odd, "numbers", "a number")
        if not wrong and not gaps.any():
            whole = text.integers()
            if whole is not None:
                return whole
        numbers = np.array(found, np.float64)
        numbers[gaps] = np.nan
        return numbers[text.codes]

    def _written_numbers(self, text: TextColumn, gaps: _Mask) -> list[float | None]:
        """Numbers as people write them: thousands, decimal commas, percents, currencies, units."""
        clean = [cleaned(one) for one in text.distinct]
        present = [one for one, gap in zip(clean, gaps, strict=True) if not gap]
        units = {found and found[1] for found in map(UNITS.fullmatch, present)}
        unit = units.pop() if len(units) == 1 else None
        if unit is not None:
            self.notes.append(f"column {text.name!r}: numbers with the unit {unit!r}")
            clean = [one.removesuffix(unit).strip() for one in clean]
            present = [one for one, gap in zip(clean, gaps, strict=True) if not gap]
        mark = self.decimal or "."
        if any("," in one for one in clean):
            thousands = any(map(_THOUSANDS.search, present))
            if text.name not in self._commas and any(map(DECIMALS.fullmatch, present)):
                # A column may differ from its file, where all of it does.
                mark = "." if thousands else ","
            elif mark == "," and thousands:
                mark = "."
            elif text.name not in self._commas and any(map(EITHER.fullmatch, present)):
                self._unclear.append(text.name)
        elif mark == "," and any(map(_POINT_AT_END.search, clean)):
            mark = "."
        other = "," if mark == "." else "."
        found: list[float | None] = []
        percents = False
        for one, written in zip(clean, text.distinct, strict=True):
            number = None
            if NUMBER[mark].fullmatch(one) and _DIGIT.search(one):
                number = as_number(GROUP.sub("", one).replace(other, "").replace(mark, "."))
            if number is not None and written.endswith("%"):
                percents = True
                number /= 100
            found.append(number)
        if percents:
            self.notes.append(f"column {text.name!r}: percents; 12% is read as 0.12")
        return found

    def _few(
        self, wrong: int, right: int, odd: _Mask, text: TextColumn, kind: ColumnKind | None
    ) -> bool:
        """Whether the values that are no numbers (or dates) are so few that they are odd."""
        if kind is not None:
            if right == 0:
                self._refuse(text, odd, "a number" if kind == "numeric" else "a date")
            return True
        regular = [
            one
            for one, is_odd in zip(text.distinct, odd, strict=True)
            if not is_odd and not is_gap(one)
        ]
        if (
            right
            and len(regular) <= _KINDS
            and all(one.isdecimal() for one in regular)
            and wrong * len(regular) >= right * np.count_nonzero(odd)
        ):
            # Whole numbers of a few kinds, and this one as frequent as they are: a label.
            return False
        return right >= _SHARE * (right + wrong) or (wrong == 1 and right >= _FEW)

    def _booleans(self, text: TextColumn, kind: ColumnKind | None) -> _Array | None:
        if kind is None and not all(
            one.lower() in ("true", "false") or is_gap(one) for one in text.distinct
        ):
            return None
        truth = truths(text.distinct)
        if truth is None:
            odd = text.each(lambda one: truths([one]) is None)
            if not self.keep or text.rows(odd) == text.rows(~text.each(is_gap)):
                self._refuse(text, odd, "true or false")
            self._odd(text, odd, "booleans", "true or false")
            truth = [(truths([one]) or [None])[0] for one in text.distinct]
        chosen: _Array = np.array(truth, object)[text.codes]
        return chosen

    def _dates(self, text: TextColumn, kind: ColumnKind | None) -> _Array | None:
        gaps = text.each(is_gap)
        if kind is not None and gaps.all():
            return np.full(len(text), np.datetime64("NaT", "us"))
        known = self.dates.get(text.name)
        # With a semicolon between values, and decimal commas, the day comes first as a rule.
        first = self.separator == ";" or self.decimal == ","
        share = _SHARE if kind is None else 0.0
        present = [one for one, gap in zip(text.distinct, gaps, strict=True) if not gap]
        found = recognise_dates(
            present, text.counts[~gaps], day_first=first, hint=known, share=share
        )
        if found is None:
            if kind == "datetime":
                self._refuse(text, ~gaps, "a date")
            return None
        moments, form, other = found
        values = np.full(len(gaps), np.datetime64("NaT", "us"))
        values[~gaps] = moments
        odd = np.isnat(values) & ~gaps
        wrong = text.rows(odd)
        if wrong and not self._few(wrong, text.rows(~np.isnat(values)), odd, text, kind):
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
        return values[text.codes]

    def _nearly_numbers(self, text: TextColumn) -> None:
        """Warn of a column of text that is more likely one of numbers written in some other way."""
        present = ~text.each(is_gap)
        if np.count_nonzero(present) <= _KINDS:
            return
        numbers = present & text.each(
            lambda one: _DIGIT.search(one) and _NEARLY.fullmatch(cleaned(one))
        )
        count, total = text.rows(numbers), text.rows(present)
        if 2 * count <= total or _are_codes(text):
            return
        more = ""
        if count < total:
            others = present & ~numbers
            row = text.first_row(others)
            more = f", the first that is none is {text.at(row)!r} in row {row + 1:,}"
        warnings.warn(
            TableWarning(
                f"{self.source}: column {text.name!r} is taken for text, though {count:,} of "
                f"{total:,} values look like numbers{more}; write them all alike to have "
                "them read as numbers"
            ),
            stacklevel=2,
        )

    def _objects(self, text: TextColumn) -> _Array:
        """A column as Python strings, None where nothing is: equal texts are one object."""
        nothing = {""}
        if self.keep:
            nothing.update(MISSING_IN_TEXT)
        values = np.array(
            [
                None if one.lower() in nothing or (self._writes_na and one == "NA") else one
                for one in text.distinct
            ],
            object,
        )
        chosen: _Array = values[text.codes]
        return chosen

    def _odd(self, text: TextColumn, odd: _Mask, what: str, expected: str) -> None:
        """Warn of the few values that a column of another kind holds, or refuse them."""
        if not self.keep:
            self._refuse(text, odd, expected)
        row, count = text.first_row(odd), text.rows(odd)
        others = [text.distinct[at] for at in np.flatnonzero(odd)[1:4]]
        more = f", others are {some(others)}" if others else ""
        values = "1 value" if count == 1 else f"{count:,} values"
        warnings.warn(
            TableWarning(
                f"{self.source}: column {text.name!r} is one of {what}, but {values} of "
                f"{len(text):,} are not, the first {text.at(row)!r} in row {row + 1}{more}; "
                "taken for missing"
            ),
            stacklevel=2,
        )

    def _refuse(self, text: TextColumn, wrong: _Mask, expected: str) -> NoReturn:
        row = text.first_row(wrong)
        raise DataError(
            f"{self.source}: column {text.name!r}: expected {expected} in every row, found "
            f"{text.at(row)!r} in row {row + 1} ({text.rows(wrong):,} such rows)"
        )


def _are_codes(text: TextColumn) -> bool:
    """Whether these are codes (postal codes, account numbers): figures with leading zeros."""
    if not text.begins_with("0") and not text.begins_with(" "):
        return False
    length, zero = 0, False
    for one in text:
        if is_gap(one):
            continue
        if not one.isdecimal() or len(one) != (length or len(one)):
            return False
        length, zero = len(one), zero or (one[0] == "0" and len(one) > 1)
        if length == 1:
            return False
    return zero
