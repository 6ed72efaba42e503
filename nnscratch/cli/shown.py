"""Text from files, escaped so that a terminal can show it safely."""

from __future__ import annotations

import codecs
import os
import sys
from typing import Any

_PLAIN = {
    **{"²": "2", "×": "x", "·": ".", "→": "->", "−": "-", "–": "-", "’": "'", "…": "...", "∂": "d"},
    **{"Σ": "sum", "⊤": "T", "ᵀ": "T", "≤": "<=", "≥": ">=", "≠": "!=", "√": "sqrt", "∞": "inf"},
    **dict.fromkeys("━─╸╺╌╍", "-"),
    **dict.fromkeys("│┃┆┇╎╏", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋╭╮╰╯┡┩╇╈╉╊", "+"),
}
"""ASCII replacements for characters that the terminal's encoding lacks."""


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    made = [
        _PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode("ascii") for one in text
    ]
    return "".join(made), error.end


codecs.register_error("nnscratch-plainly", _plainly)


def readable_streams() -> None:
    """Make standard output and error accept every text, whatever the terminal's encoding.

    If a stream is closed, text written to it is discarded.
    """
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="nnscratch-plainly")


def shown(value: object, most: int = 10_000) -> str:
    r"""Return a value as text of at most ``most`` characters, with control characters escaped.

    Names in a file may contain escape sequences that clear the screen or forge a line of output,
    and lone surrogates, which cannot be encoded.

    >>> shown("a\x1b[2Jb\n")
    'a\\x1b[2Jb\n'
    """
    text = str(value)[:most]
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode()
        for one in text
    )
