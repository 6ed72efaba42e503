"""Text that comes out of a file, made fit for a terminal."""

from __future__ import annotations


def shown(value: object, most: int = 10_000) -> str:
    r"""Return a value as text in which control characters are written out, cut where it is long.

    Names in a file may hold anything: sequences that clear the screen or forge a line of output,
    and halves of characters, which no terminal can be sent.

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
