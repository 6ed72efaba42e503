"""Draw the rooms of the source and what each imports: docs/architecture.svg.

    python -m benchmarks.room_picture docs/architecture.svg

A room stands above all that it imports; dashed arrows pass behind rooms between. An arrow that
follows from others is left out: ``nn`` imports ``formulas`` too, but ``nn`` imports ``tensors``,
which imports ``formulas``. What stands in a box is the first sentence of the room's own docstring.
"""

from __future__ import annotations

import argparse
import ast
import re
import textwrap
from collections import defaultdict
from html import escape
from pathlib import Path

from benchmarks.structure import ROOT, imports, room_of_module

BOX, HEIGHT, GAP, ROW = 250, 62, 18, 104
LEFT_OUT = {
    *("__main__", "", "errors", "absent", "instead", "settings", "amp", "backends", "cuda", "fft"),
    *("linalg", "loading", "random", "special", "utils"),
}
"""The package itself and modules of a few lines, which everything or nothing imports."""


def arrows() -> dict[str, set[str]]:
    """Return for each room those that it imports, without what follows from other arrows."""
    direct: dict[str, set[str]] = defaultdict(set)
    for module, targets in imports().items():
        own = room_of_module(module)
        for target in map(room_of_module, targets):
            if own != target and not {own, target} & LEFT_OUT:
                direct[own].add(target)
                direct.setdefault(target, set())  # one that imports nothing stands there too

    def reached(room: str) -> set[str]:
        return {one for below in direct[room] for one in {below, *reached(below)}}

    return {
        room: {one for one in below if not any(one in reached(other) for other in below)}
        for room, below in direct.items()
    }


def floors(below: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms by floor, the highest first: one above the highest of what they import."""

    def floor(room: str) -> int:
        return 1 + max(map(floor, below[room]), default=-1)

    found: dict[int, list[str]] = defaultdict(list)
    for room in sorted(below):
        found[floor(room)].append(room)
    return [found[level] for level in sorted(found, reverse=True)]


def sentence(room: str) -> str:
    """Return the first sentence of a room's docstring, without its name."""
    folder = ROOT / "kernels" if room == "kernels" else ROOT / "nnscratch" / room
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    first = re.split(r"[.;](?:\s|$)", text.partition("\n\n")[0])[0].replace("`", "")
    return " ".join(first.split())


def picture() -> str:
    """Return the picture as SVG."""
    below = arrows()
    rows = floors(below)
    width = max(map(len, rows)) * (BOX + GAP) + 3 * GAP
    places: dict[str, tuple[float, float]] = {}
    for level, row in enumerate(rows):
        start = (width - len(row) * (BOX + GAP) + GAP) / 2
        for column, room in enumerate(row):
            places[room] = (start + column * (BOX + GAP), GAP + level * ROW)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {len(rows) * ROW}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{len(rows) * ROW}" fill="#ffffff"/>',
    ]
    level_of = {room: level for level, row in enumerate(rows) for room in row}
    for room in sorted(below):
        for other in sorted(below[room]):
            dashed = ' stroke-dasharray="5 4"' if level_of[other] - level_of[room] > 1 else ""
            x, y = places[room][0] + BOX / 2, places[room][1] + HEIGHT
            to_x, to_y = places[other][0] + BOX / 2, places[other][1]
            bend = (to_y - y) / 2
            lines.append(
                f'<path d="M{x:g},{y:g} C{x:g},{y + bend:g} {to_x:g},{to_y - bend:g} '
                f'{to_x:g},{to_y:g}" fill="none" stroke="#7a8aa0" stroke-width="1.5"{dashed}/>'
            )
            lines.append(
                f'<path d="M{to_x - 4:g},{to_y - 8:g} L{to_x:g},{to_y:g} L{to_x + 4:g},'
                f'{to_y - 8:g}" fill="none" stroke="#7a8aa0" stroke-width="1.5"/>'
            )
    for room, (x, y) in sorted(places.items()):
        lines.append(
            f'<rect x="{x:g}" y="{y:g}" width="{BOX}" height="{HEIGHT}" rx="6" fill="#f3f6fa" '
            'stroke="#41597a"/>'
        )
        lines.append(
            f'<text x="{x + 10:g}" y="{y + 18:g}" font-size="14" font-weight="bold" '
            f'fill="#1d2b3f">{escape(room)}</text>'
        )
        said = textwrap.wrap(sentence(room), 38, max_lines=2, placeholder=" …")
        for k, part in enumerate(said):
            lines.append(
                f'<text x="{x + 10:g}" y="{y + 35 + 14 * k:g}" fill="#41597a">{escape(part)}</text>'
            )
    return "\n".join([*lines, "</svg>"]) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Write the picture into the file that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="where to write it, docs/architecture.svg")
    parser.parse_args(arguments).file.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
