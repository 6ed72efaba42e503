"""Dates and times: recognised in text, and taken apart into numbers that mean something."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

# In the order in which they are tried; where two fit, the one that fits more values is taken.
_DAYS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%d.%m.%y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%b %d %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d%b%Y",
    "%b-%d-%Y",
    "%Y-%b-%d",
    "%d-%m-%y",
    "%m-%d-%y",
)
_HOURS = ("%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p")
_TIMES = tuple(f"{day}{gap}{hour}" for day in _DAYS for gap in (" ", "T") for hour in _HOURS)
_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%d %b %Y %H:%M:%S %z")
_UTC = ("%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M:%S%.fZ", "%Y-%m-%d %H:%M:%S%.f UTC")
_MONTHS = ("%Y-%m", "%Y/%m", "%b %Y", "%b-%Y")
FORMATS = (*_DAYS, *_TIMES, *_UTC, *_ZONED, *_MONTHS, *_HOURS)
# Something of which a part is the day and another the month, either way round.
_EITHER = {
    form: form.replace("%m", "%1").replace("%d", "%m").replace("%1", "%d")
    for form in FORMATS
    if form.startswith(("%m/%d", "%m-%d", "%d/%m", "%d-%m"))
}
# What a text needs to be worth a try: figures with something between them, or a month's name.
_LIKELY = re.compile(
    r"(\w{3,9},? )?(\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([ T].*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
    r"( [ap]m)?|\d{1,4}[- ]?[a-z]{3,9}[- ]?\d{1,4}.*|[a-z]{3,9}[- ]\d{1,2}(,? |-)\d{4}.*"
    r"|[a-z]{3,9}[- ]\d{4})",
    re.I,
)
_WEEKDAY = re.compile(r"^(mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? ", re.I)
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = re.compile(rf"\b({'|'.join(_NAMES)})[a-z]*\.?", re.I)
_SHORT_YEARS = ("%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%y", "%m-%d-%y")
_SHORT_YEAR = re.compile(r"\d+[-./]\d+[-./]\d\d(\D|$)")
_FIRST_YEAR, _LAST_YEAR = 1000, 2999

# What each directive of a format matches, with a group for each number in it. `%.f` is a fraction
# that may be missing, `%#z` a zone whose minutes may be.
_DIRECTIVES = {
    "%Y": r"\s*(?P<Y>\d{4})",
    "%y": r"\s*(?P<y>\d{1,2})",
    "%m": r"\s*(?P<m>\d{1,2})",
    "%b": rf"(?P<b>{'|'.join(_NAMES)})",
    "%d": r"\s*(?P<d>\d{1,2})",
    "%H": r"\s*(?P<H>\d{1,2})",
    "%I": r"\s*(?P<I>\d{1,2})",
    "%M": r"\s*(?P<M>\d{1,2})",
    "%S": r"\s*(?P<S>\d{1,2})",
    "%.f": r"(?:\.(?P<f>\d+))?",
    "%p": r"(?P<p>am|pm)",
    "%z": r"\s*(?P<sign>[-+])(?P<zh>\d\d)[:\s]*(?P<zm>\d\d)",
    "%#z": r"\s*(?:[Zz]|(?P<sign>[-+])(?P<zh>\d\d):?(?P<zm>\d\d)?)",
}


@cache
def _pattern(form: str) -> re.Pattern[str]:
    parts = re.split(r"(%#z|%\.f|%[A-Za-z])", form)
    text = "".join(_DIRECTIVES.get(part) or re.escape(part) for part in parts)
    return re.compile(text.replace("\\ ", r"\s*"), re.I | re.A)


def read_dates(texts: Sequence[str], form: str) -> npt.NDArray[np.datetime64]:
    """Texts as date-times, NaT where the format does not fit, (N,) `datetime64[us]`.

    A month without a day is its first day, an hour without a day one of 1970-01-01. What has a
    zone is brought to UTC.

    >>> read_dates(["5.1.2024", "30.2.2024"], "%d.%m.%Y")
    array(['2024-01-05T00:00:00.000000',                        'NaT'],
          dtype='datetime64[us]')
    """
    match, named, short = _pattern(form).fullmatch, "%b" in form, form.startswith(_SHORT_YEARS)
    rows, groups = [], []
    for row, text in enumerate(texts):
        # Otherwise 1.2.3 were a day of the year 2003.
        if short and not _SHORT_YEAR.match(text):
            continue
        if named:
            # Names in full become the short ones.
            text = _MONTH.sub(r"\1", _WEEKDAY.sub("", text, count=1), count=1).replace(",", "")
        if (found := match(text)) is not None:
            rows.append(row)
            groups.append(found.groups())
    made = np.full(len(texts), np.datetime64("NaT", "us"))
    if rows:
        names = sorted(_pattern(form).groupindex, key=_pattern(form).groupindex.__getitem__)
        made[rows] = _moments(dict(zip(names, zip(*groups, strict=True), strict=True)), len(rows))
    return made


def _moments(parts: Mapping[str, Sequence[str | None]], count: int) -> npt.NDArray[np.datetime64]:
    """Date-times of their parts, by the letters of the directives; NaT where there is no such."""

    def numbers(part: str, default: int) -> npt.NDArray[np.int64]:
        if part not in parts:
            return np.full(count, default, np.int64)
        return np.fromiter((int(one or default) for one in parts[part]), np.int64, count)

    def texts(part: str) -> list[str]:
        return [(one or "").lower() for one in parts.get(part, [""] * count)]

    year = numbers("Y", 1970)
    if "y" in parts:
        short = numbers("y", 0)
        year = np.where(short < 70, 2000, 1900) + short
    month = numbers("m", 1)
    if "b" in parts:
        month = np.array([1 + _NAMES.index(name) for name in texts("b")])
    hour, minute, second = numbers("H", 0), numbers("M", 0), numbers("S", 0)
    fine = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12)
    fine &= (hour <= 23) & (minute <= 59) & (second <= 60)
    if "I" in parts:
        hour = numbers("I", 0)
        fine &= (hour >= 1) & (hour <= 12)
        hour = hour % 12 + 12 * np.array([name == "pm" for name in texts("p")])
    months = (12 * (year - 1970) + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (numbers("d", 1) - 1)
    fine &= days.astype("datetime64[M]") == months
    fraction = np.array([int(f"{one:0<6}"[:6]) for one in texts("f")])
    moments: npt.NDArray[np.datetime64] = days.astype("datetime64[us]") + (
        1_000_000 * (3600 * hour + 60 * minute + second) + fraction
    )
    if "sign" in parts:
        fine &= (numbers("zm", 0) <= 59) & (numbers("zh", 0) <= 23)
        before = np.array([1 if sign == "-" else -1 for sign in texts("sign")])
        moments += before * (60 * numbers("zh", 0) + numbers("zm", 0)) * np.timedelta64(1, "m")
    moments[~fine] = np.datetime64("NaT")
    return moments


def recognise_dates(
    texts: Sequence[str],
    counts: npt.NDArray[np.intp] | None = None,
    *,
    day_first: bool,
    hint: str | None = None,
    share: float = 0.9,
) -> tuple[npt.NDArray[np.datetime64], str, str | None] | None:
    """Different texts as date-times, where most of them are in one format.

    Args:
        texts: D different texts, none of which means a missing value.
        counts: in how many rows each of them stands, (D,); in one if not given.
        day_first: which of two formats is meant where day and month may be exchanged.
        hint: the format of an earlier file, which is taken where it fits as well as another.
        share: of the values that have to fit; at least one has to.

    Returns:
        The date-times, NaT where one is none, their format, and the other format that fits as well
        (day and month exchanged), or None; None in the place of all where they are no dates.
    """
    sample = texts[:64]
    likely = sum(_LIKELY.fullmatch(text) is not None for text in sample)
    if not sample or likely < share * len(sample):
        return None
    fitting = [
        form
        for form in sorted(FORMATS, key=lambda form: form != hint)
        if _fitting(read_dates(sample, form)) >= max(1, share * len(sample))
    ]
    if not fitting:
        return None
    read = {form: read_dates(texts, form) for form in fitting}
    rows = {form: _fitting(found, counts) for form, found in read.items()}
    best = max(fitting, key=rows.__getitem__)
    other = _EITHER.get(best)
    if other not in read or rows[other] < rows[best]:
        return read[best], best, None
    if best != hint and day_first != best.startswith("%d"):
        best, other = other, best
    return read[best], best, other


def _fitting(found: npt.NDArray[Any], counts: npt.NDArray[np.intp] | None = None) -> int:
    fine = ~np.isnat(found)
    return int(np.count_nonzero(fine) if counts is None else counts[fine].sum())


_MOMENT = re.compile(
    r"(\d{4}(?:-\d\d(?:-\d\d)?)?)?(?:(?:^|[T ])(\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)"
    r" ?(?:Z|([+-])(\d\d):?(\d\d))?)?"
)


def moment(text: Any) -> Any:
    """Return a date or time of ISO 8601 as `datetime64[us]`, in UTC where it names a zone.

    A time alone is one of 1970-01-01, as in columns of times.

    Raises:
        ValueError: if it is none.

    >>> moment("2024-01-31T12:30+02:00")
    np.datetime64('2024-01-31T10:30:00.000000')
    """
    found = _MOMENT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or found[0] == "":
        raise ValueError("no date such as 2024-01-31 or 2024-01-31T12:30")
    made = np.datetime64("T".join(one for one in (found[1] or "1970-01-01", found[2]) if one), "us")
    if found[3] is None:
        return made
    minutes = 60 * int(found[4]) + int(found[5])
    return made - np.timedelta64(minutes if found[3] == "+" else -minutes, "m")


# How the parts of a date-time are called among the features: `column.part`.
PARTS = ("days", "year", "month", "weekday", "hour")


def parts_of(values: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float64]]:
    """The numbers that a column of `datetime64` stands for, (N,) each, NaN for NaT.

    `days` since 1970-01-01 with its fraction, the `year`, the `month` from 1, the `weekday` from 0
    (Monday), and the `hour` with its fraction.

    >>> parts_of(np.array(["2024-01-05T06:30"], "datetime64[us]"))["hour"]
    array([6.5])
    """
    missing = np.isnat(values)
    moments = np.where(missing, np.datetime64(0, "us"), values.astype("datetime64[us]"))
    dates = moments.astype("datetime64[D]")
    day = dates.astype(np.int64)
    months = moments.astype("datetime64[M]").astype(np.int64)
    hours = (moments - dates) / np.timedelta64(1, "h")
    made = {
        "days": day + hours / 24.0,
        "year": 1970.0 + months // 12,
        "month": 1.0 + months % 12,
        # 1970-01-01 was a Thursday.
        "weekday": (day + 3.0) % 7,
        "hour": hours,
    }
    return {name: np.where(missing, np.nan, numbers) for name, numbers in made.items()}
