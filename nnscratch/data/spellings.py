"""Spellings of numbers, booleans and missing values in files."""

from typing import Any

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
_SIGN = f"(?i)^([-+]?) *(?:{_CURRENCY}) *([-+]?)"
_UNIT = f"(?i) *(?:%|{_CURRENCY})$"
# Blanks of all widths and apostrophes stand between thousands, too.
GROUP = "[ '’\u00a0\u202f\u2009]"
NUMBER = {
    ".": rf"^[-+]?(?:\d{{1,3}}(?:[,]\d{{3}})+|\d{{1,3}}(?:{GROUP}\d{{3}})+|\d+)?\.?\d*"
    r"(?:[eE][-+]?\d+)?$",
    ",": rf"^[-+]?(?:\d{{1,3}}(?:[.]\d{{3}})+|\d{{1,3}}(?:{GROUP}\d{{3}})+|\d+)?,?\d*"
    r"(?:[eE][-+]?\d+)?$",
}
# What shows that the comma stands before decimals, or between thousands, or may be either.
DECIMALS = r"^[-+]?(?:\d{1,3}(?:\.\d{3})+,\d*|\d*,\d{1,2}|\d*,\d{4,}|\d{4,},\d+|0,\d+|,\d+)$"
EITHER = r"^[-+]?[1-9]\d{0,2},\d{3}$"
POINTED_THOUSANDS = r"^[-+]?\d{1,3}(?:\.\d{3})+$"
UNITS = r"^[-+]?[\d.,]*\d ?([A-Za-zµ°²³/]{1,8}\.?)$"
# A unit after the number, which says nothing about the comma in it.
END = r"( ?[A-Za-zµ°²³/%€$£]{1,8}\.?)$"


def are_gaps(text: Any) -> Any:
    """Return for each text of a polars column of numbers whether it means a missing value."""
    missing = text.is_null() | (text == "") | text.str.to_lowercase().is_in(list(MISSING))
    return missing.fill_null(True)


def cleaned(text: Any) -> Any:
    """Return texts without currency and percent signs, with a minus for those in parentheses."""
    clean = text.str.replace_all("−", "-", literal=True)
    clean = clean.str.replace(r"^\((.*\d.*)\)$", "-${1}")
    clean = clean.str.replace(_SIGN, "${1}${2}")
    return clean.str.replace(_UNIT, "")
