"""Spellings of numbers, booleans and missing values in files."""

import re
from collections.abc import Iterable

# How people and programs write "no value" in a column of numbers, dates or booleans.
MISSING = (
    *("na", "n/a", "#n/a", "#na", "n.a.", "n.a", "n.d.", "nd", "nan", "-nan", "+nan", "null"),
    *("none", "nil", "?", "-", "--", "---", ".", "..", "\\n", "<na>", "missing", "unknown"),
    *("1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "#div/0!", "#value!", "#ref!", "#num!"),
    *("#name?", "#null!", "nat", "not available", "–", "—", "0000-00-00"),
    "0000-00-00 00:00:00",
)
# In a column of text the same letters may be a value of their own (NA is a country, none an
# answer); these are written by programs alone.
MISSING_IN_TEXT = ("n/a", "#n/a", "nan", "-nan", "null", "\\n", "<na>", "1.#qnan", "nat")
TRUE = ("true", "yes", "t", "y", "1", "1.0", "on")
FALSE = ("false", "no", "f", "n", "0", "0.0", "off")
_CURRENCY = (
    "(?:US|A|C|NZ|R)?\\$|[€£¥₹₽₩₺₴฿]|zł|Kč|kr\\.?|Rs\\.?|"
    "USD|EUR|GBP|CHF|JPY|CAD|AUD|CNY|INR|BRL|SEK|NOK|DKK|PLN|CZK"
)
_SIGN = re.compile(rf"^([-+]?) *(?:{_CURRENCY}) *([-+]?)", re.I)
_UNIT = re.compile(rf" *(?:%|{_CURRENCY})$", re.I)
_IN_PARENTHESES = re.compile(r"\((.*\d.*)\)")
# Blanks of all widths and apostrophes stand between thousands, too.
GROUP = re.compile("[ '’\u00a0\u202f\u2009]")
_EXPONENT = r"(?:[eE][-+]?\d+)?"
NUMBER = {
    mark: re.compile(
        rf"[-+]?(?:\d{{1,3}}(?:[{other}]\d{{3}})+|\d{{1,3}}(?:{GROUP.pattern}\d{{3}})+|\d+)?"
        rf"[{mark}]?\d*{_EXPONENT}"
    )
    for mark, other in ((".", ","), (",", "."))
}
# What shows that the comma stands before decimals, or between thousands, or may be either.
DECIMALS = re.compile(
    r"[-+]?(?:\d{1,3}(?:\.\d{3})+,\d*|\d*,\d{1,2}|\d*,\d{4,}|\d{4,},\d+|0,\d+|,\d+)"
)
EITHER = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")
POINTED_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+")
UNITS = re.compile(r"[-+]?[\d.,]*\d ?([A-Za-zµ°²³/]{1,8}\.?)")
# A unit after the number, which says nothing about the comma in it.
END = re.compile(r"( ?[A-Za-zµ°²³/%€$£]{1,8}\.?)$")
_GAPS = frozenset(("", *MISSING))


def is_gap(text: str) -> bool:
    """Whether a text in a column of numbers, dates or booleans means a missing value.

    >>> is_gap("N/A"), is_gap(""), is_gap("0")
    (True, True, False)
    """
    return text.lower() in _GAPS


def truths(texts: Iterable[str]) -> list[bool | None] | None:
    """Return yes and no, however they are written, None for a gap; None if there is another text.

    >>> truths(["Yes", "0", ""]), truths(["yes", "perhaps"])
    ([True, False, None], None)
    """
    found: list[bool | None] = []
    for text in texts:
        folded = text.lower()
        if folded in TRUE or folded in FALSE:
            found.append(folded in TRUE)
        elif is_gap(text):
            found.append(None)
        else:
            return None
    return found


def cleaned(text: str) -> str:
    """Return a text without currency and percent signs, with a minus for parentheses.

    >>> cleaned("(1,234.50 €)"), cleaned("-$3"), cleaned("12 %")
    ('-1,234.50', '-3', '12')
    """
    text = text.replace("−", "-")
    if (inner := _IN_PARENTHESES.fullmatch(text)) is not None:
        text = f"-{inner[1]}"
    if (sign := _SIGN.match(text)) is not None:
        text = sign[1] + sign[2] + text[sign.end() :]
    # Most end in a figure, and need no search.
    return text if text[-1:].isdecimal() else _UNIT.sub("", text, count=1)
