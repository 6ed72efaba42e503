"""Dates and times: recognised in text, and taken apart into numbers that mean something."""

import re
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
_LIKELY = (
    r"(?i)^(\w{3,9},? )?(\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([ T].*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
    r"( [ap]m)?|\d{1,4}[- ]?[a-z]{3,9}[- ]?\d{1,4}.*|[a-z]{3,9}[- ]\d{1,2}(,? |-)\d{4}.*"
    r"|[a-z]{3,9}[- ]\d{4})$"
)
_WEEKDAY = r"(?i)^(mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? "
_MONTH = r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_SHORT_YEARS = ("%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%y", "%m-%d-%y")
_FIRST_YEAR, _LAST_YEAR = 1000, 2999


def read_dates(polars: Any, text: Any, form: str) -> Any:
    """A column of text as date-times, null where the format does not fit."""
    if form.startswith(_SHORT_YEARS):
        # Otherwise 1.2.3 were a day of the year 2003.
        text = text.set(~text.str.contains(r"^\d+[-./]\d+[-./]\d\d(\D|$)"), None)
    if "%b" in form:
        # Names in full become the short ones.
        text = text.str.replace(_WEEKDAY, "").str.replace(_MONTH, "${1}")
        text = text.str.replace_all(",", "", literal=True)
    if form in _MONTHS:
        text, form = "1 " + text, f"%d {form}"
    elif form in _HOURS:
        text, form = "1970-01-01 " + text, f"%Y-%m-%d {form}"
    kind = polars.Datetime("us")
    if form in _ZONED:
        kind = polars.Datetime("us", "UTC")
    found = text.str.strptime(
        kind if "%H" in form or "%I" in form else polars.Date, form, strict=False
    )
    if form in _ZONED:
        found = found.dt.replace_time_zone(None)
    found = found.cast(polars.Datetime("us"))
    years = found.dt.year()
    # %Y takes 24 for the year 24, which %y is meant for.
    return found.set((years < _FIRST_YEAR) | (years > _LAST_YEAR), None)


def recognise_dates(
    polars: Any, text: Any, *, day_first: bool, hint: str | None = None, share: float = 0.9
) -> tuple[Any, str, str | None] | None:
    """A column of text, null where nothing is, as date-times, where most of it is in one format.

    Args:
        polars: the library.
        text: the column.
        day_first: which of two formats is meant where day and month may be exchanged.
        hint: the format of an earlier file, which is taken where it fits as well as another.
        share: of the values that have to fit; at least one has to.

    Returns:
        The date-times, their format, and the other format that fits as well (day and month
        exchanged), or None; None in the place of all where they are no dates.
    """
    present = text.drop_nulls()
    if present.is_empty() or not present[0][:40]:
        return None
    sample = present.unique(maintain_order=True).head(64)
    if sample.str.contains(_LIKELY).mean() < share:
        return None
    fitting = [
        form
        for form in ([hint] if hint else []) + [one for one in FORMATS if one != hint]
        if read_dates(polars, sample, form).count() >= max(1, share * len(sample))
    ]
    if not fitting:
        return None
    read = {form: read_dates(polars, text, form) for form in fitting}
    best = max(fitting, key=lambda form: int(read[form].count()))
    other = _EITHER.get(best)
    if other not in read or read[other].count() < read[best].count():
        return read[best], best, None
    if best != hint and day_first != best.startswith("%d"):
        best, other = other, best
    return read[best], best, other


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
