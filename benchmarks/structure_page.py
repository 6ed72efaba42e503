"""The figures of docs/architecture.md that are counted from the source, written into the page.

    python -m benchmarks.structure_page docs/architecture.md

What stands between the two marks of the page is written anew, and nothing else.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.structure import ROOT, figures, files, of_ours, rooms

BEGIN = "<!-- Written by `python -m benchmarks.structure_page docs/architecture.md`. -->"
END = "<!-- The end of what is written. -->"

# Lines at commit 508740f, before the house of rooms: what was in single files then is in `tensors`.
BEFORE = {
    "array": 1509,
    "formulas": 6599,
    "kernels": 7529,
    "tensors": 2760,
    "nn": 1715,
    "optim": 1566,
    "plan": 1505,
    "data": 2563,
    "train": 3437,
    "verify": 5625,
    "inspect": 3576,
    "interop": 95,
    "cli": 2153,
    "others": 251,
    "benchmarks": 2137,
    "tests": 23438,
}
# One of each kind, and the words that stand for it in a program.
ADDED = {
    "an activation": ("`Mish`", "mish"),
    "a loss": ("`SoftMarginLoss`", "soft_?margin(_?loss)?"),
    "an optimizer": ("`Adamax`", "adamax"),
    "a layer": ("`RMSNorm`", "rms_?norm"),
    "a kernel": ("that of `max_pool`", "max_pool"),
}
WHERE = {"a layer": ("nnscratch",), "a kernel": ("kernels",)}


def named_in(words: str, folders: tuple[str, ...]) -> list[str]:
    """Return the programs of some folders that name something, or its formula's functions."""
    pattern = re.compile(rf"\b({words})(_forward|_backward|_update|_kernel)?\b", re.IGNORECASE)
    return [
        path.relative_to(ROOT).as_posix()
        for path in of_ours(*folders)
        if pattern.search(path.read_text(encoding="utf-8"))
    ]


def added() -> dict[str, list[str]]:
    """Return for one thing of each kind the files of the source that name it."""
    return {
        kind: named_in(words, WHERE.get(kind, ("nnscratch", "kernels")))
        for kind, (_, words) in ADDED.items()
    }


def counts(found: dict[str, Any]) -> str:
    """Return the table of what adding something touches, of tables, circles and imports."""
    lines = ["| what | figure |", "|---|---|"]
    for kind, places in added().items():
        shown = ", ".join(f"`{one}`" for one in places)
        lines.append(f"| files that {kind} takes, here {ADDED[kind][0]} | {len(places)}: {shown} |")
    tables = found["tables"]["source"]
    bare = sum(not row["explained"] for row in tables)
    reasons = "each with its reason" if not bare else f"{bare} without a reason"
    lines += [
        f"| tables keyed by formula names outside `formulas/` | {len(tables)}, {reasons} |",
        f"| dictionaries of other libraries' words, in `interop/` | {found['dictionaries']} |",
        f"| circles of files inside a room | {len(found['circles'])} |",
        f"| imports of a higher room | {len(found['upward'])} |",
    ]
    return "\n".join(lines)


def sizes() -> dict[str, int]:
    """Return the lines of Python in each room, in ``benchmarks`` and in ``tests``."""
    folders = {path.name for path in (ROOT / "nnscratch").iterdir() if path.is_dir()} | {"kernels"}
    found = {"others": 0}
    for row in rooms():
        room = row["room"] if row["room"] in folders else "others"
        found[room] = found.get(room, 0) + row["lines"]
    for name in ("benchmarks", "tests"):
        texts = (path.read_text(encoding="utf-8") for path in files(name))
        found[name] = sum(len(text.splitlines()) for text in texts)
    return found


def lines_by_room() -> str:
    """Return the table of lines, the rooms in the order of before, new ones behind them."""
    now = sizes()
    last = [room for room in ("others", "benchmarks", "tests") if room in now]
    order = [*BEFORE, *sorted(set(now) - set(BEFORE))]
    order = [*(room for room in order if room not in last), *last]
    rows = [f"| `{room}` | {BEFORE.get(room, 0):,} | {now.get(room, 0):,} |" for room in order]
    was, is_now = (sum(one.values()) - one["tests"] for one in (BEFORE, now))
    rows.append(f"| all without `tests` | {was:,} | {is_now:,} |")
    return "\n".join(["| room | before | now |", "|---|---|---|", *rows])


def written(page: str, found: dict[str, Any]) -> str:
    """Return a page with what stands between its marks written anew.

    Raises:
        ValueError: if the page has not both marks, in order.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no lines {BEGIN!r} and {END!r} with the figures between")
    text = (
        f"{counts(found)}\n\n"
        "Lines of Python at commit 508740f, before the house of rooms, and now. Convolution,\n"
        "norms, attention, recurrence, images and text, PyTorch's functions of tensors, known\n"
        "networks and second derivatives are among what is new:\n\n"
        f"{lines_by_room()}"
    )
    return f"{head}{begin}\n\n{text}\n\n{end}{tail}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.structure_page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("page", type=Path, help="a page to write the figures into")
    path = parser.parse_args(arguments).page
    path.write_text(written(path.read_text(encoding="utf-8"), figures()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
