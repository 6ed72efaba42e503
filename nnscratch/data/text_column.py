"""A column of text, as a file has it, before it is known what its values are."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[Any]

# Texts of up to 15 bytes lie in the array itself, 16 bytes each: a Python string has 50 and more.
TEXT = np.dtypes.StringDType()
# So many rows at a time become Python strings.
_BLOCK = 1 << 16


def as_number(text: str) -> float | None:
    """Return the double nearest to a number as programs write it, None for any other text.

    >>> as_number("-1.5e3"), as_number("1,5"), as_number("1_000")
    (-1500.0, None, None)
    """
    # Python takes an underscore between digits, and the digits of all scripts.
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def as_integer(text: str) -> int | None:
    """Return a whole number that int64 holds, None for any other text.

    >>> as_integer("+7"), as_integer("7.0"), as_integer("9223372036854775808")
    (7, None, None)
    """
    if "_" in text or not text.isascii():
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None


class TextColumn:
    """N texts under a name; what is asked of them is asked of each different one once.

    Blanks around a text do not count, and an empty text is no value.

    Args:
        name: of the column.
        texts: (N,), an array of `TEXT`.
        plain: whether no text has an underscore or a character beyond ASCII. Then what NumPy takes
            for a number is one to `as_number` as well.

    >>> column = TextColumn("kind", np.array(["oak", " elm", "oak", ""], TEXT))
    >>> column.distinct, column.codes.tolist(), column.counts.tolist()
    (['oak', 'elm', ''], [0, 1, 0, 2], [2, 1, 1])
    """

    def __init__(self, name: str, texts: _Array, plain: bool = False) -> None:
        self.name, self.texts, self.plain = name, texts, plain

    def __len__(self) -> int:
        """The number of rows, N."""
        return len(self.texts)

    def __iter__(self) -> Iterator[str]:
        """The texts of all rows."""
        for start in range(0, len(self.texts), _BLOCK):
            for text in self.texts[start : start + _BLOCK].tolist():
                yield text.strip()

    @cached_property
    def _coded(self) -> tuple[list[str], npt.NDArray[np.intp]]:
        order: dict[str, int] = {}
        codes = np.fromiter((order.setdefault(one, len(order)) for one in self), np.intp, len(self))
        return list(order), codes

    @property
    def distinct(self) -> list[str]:
        """The D different texts, in the order of the rows in which they come first."""
        return self._coded[0]

    @property
    def codes(self) -> npt.NDArray[np.intp]:
        """For each row which of the different texts it has, (N,)."""
        return self._coded[1]

    @cached_property
    def counts(self) -> npt.NDArray[np.intp]:
        """In how many rows each of the different texts stands, (D,)."""
        return np.bincount(self.codes, minlength=len(self.distinct))

    def each(self, test: Callable[[str], Any]) -> npt.NDArray[np.bool_]:
        """Whether a test is true of each of the different texts, (D,)."""
        return np.fromiter((bool(test(text)) for text in self.distinct), np.bool_)

    def rows(self, of: npt.NDArray[np.bool_]) -> int:
        """In how many rows one of the different texts stands that a mask (D,) chooses."""
        return int(self.counts[of].sum())

    def first_row(self, of: npt.NDArray[np.bool_]) -> int:
        """The first row with a text that a mask (D,) chooses."""
        return int(np.argmax(of[self.codes]))

    def head(self, count: int) -> list[str]:
        """The texts of the first rows."""
        return [text.strip() for text in self.texts[:count].tolist()]

    def at(self, row: int) -> str:
        """The text of one row."""
        return str(self.texts[row]).strip()

    def present(self, count: int, besides: Iterable[str] = ("",)) -> list[str]:
        """The first texts that are none of some."""
        found: list[str] = []
        without = {"", *besides}
        for start in range(0, len(self.texts), _BLOCK):
            block = self.texts[start : start + _BLOCK]
            for one in block[block != ""].tolist():
                if (text := one.strip()) not in without:
                    found.append(text)
                    if len(found) == count:
                        return found
        return found

    def numbers(self, is_gap: Callable[[str], bool]) -> npt.NDArray[np.float64] | None:
        """The texts as numbers, NaN where there is a gap; None if one is neither."""
        numbers = np.full(len(self), np.nan)
        for start in range(0, len(self), _BLOCK):
            block, made = self.texts[start : start + _BLOCK], numbers[start : start + _BLOCK]
            if self.plain:
                try:
                    made[:] = block.astype(np.float64)
                    continue
                except ValueError:
                    pass
            for row, text in enumerate(block.tolist()):
                text = text.strip()
                number = as_number(text)
                if number is not None:
                    made[row] = number
                elif not is_gap(text):
                    return None
        return numbers

    def integers(self) -> npt.NDArray[np.int64] | None:
        """The texts as whole numbers; None if one is none, or too large for int64."""
        if any(as_integer(text) is None for text in self.head(100)):
            return None
        if self.plain:
            try:
                return self.texts.astype(np.int64)
            except (ValueError, OverflowError):
                return None
        found = [as_integer(text) for text in self]
        return None if None in found else np.array(found, np.int64)

    def begins_with(self, start: str) -> bool:
        """Whether a text begins so; blanks before it do count."""
        return bool(np.strings.startswith(self.texts, start).any())

    def names_rows(self) -> bool:
        """Whether no two rows have the same text."""
        numbers = self.integers()
        found = len(self.distinct) if numbers is None else len(np.unique(numbers))
        return found == len(self)

    def is_empty(self) -> bool:
        """Whether there is no value at all."""
        return not self.present(1)
