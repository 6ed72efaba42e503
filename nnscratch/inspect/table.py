"""Tables on a terminal: with rich where it is installed, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Sequence


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """Return a table as text, the columns numbered in ``right`` flush right.

    >>> print(plain_table(["layer", "n"], [["fc1", "110"], ["fc2", "22"]], [1]))
    layer    n
    ----------
    fc1    110
    fc2     22
    """
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1:]])


def show_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], title: str
) -> None:
    """Print a table."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(title, plain_table(head, rows, right), sep="\n")
        return
    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for i, name in enumerate(head):
        made.add_column(name, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        # As it is: rich would read square brackets as markup.
        made.add_row(*(text.replace("[", r"\[") for text in row))
    Console().print(made)


def shape_text(shapes: Sequence[tuple[int, ...]]) -> str:
    """Return shapes in words.

    >>> shape_text([(3, 4)]), shape_text([(3,), ()])
    ('(3, 4)', '(3,), ()')
    """
    return ", ".join(map(str, shapes)) or "-"


def bytes_text(count: int) -> str:
    """Return a number of bytes as a person reads it.

    >>> bytes_text(528), bytes_text(40_000_000)
    ('528 B', '38.1 MiB')
    """
    size, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"


def count_text(count: int) -> str:
    """Return a large number as a person reads it.

    >>> count_text(0), count_text(950), count_text(264_000)
    ('0', '950', '264.0 K')
    """
    size, unit = float(count), ""
    for unit in ("", "K", "M", "G", "T", "P"):
        if size < 1000 or unit == "P":
            break
        size /= 1000
    return f"{size:.1f} {unit}" if unit else str(count)
