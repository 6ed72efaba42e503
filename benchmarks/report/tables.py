"""Rows as text: Markdown tables in which a lost row is as plain as one that was won."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.competitors.registry import COMPILED
from benchmarks.competitors.workload import PRECISION
from benchmarks.report.goals import Verdict, goals_of, judge
from benchmarks.stopwatch.measuring import Row, Timing
from nnscratch.inspect.table import plain_table

BUSY = 0.5
NOISY = 1.3
PRODUCTS_IN = {"high": "TF32", "medium": "bfloat16"}


def quantity(value: float, unit: str = "seconds") -> str:
    """Return a number of seconds or bytes with three digits and the unit that fits.

    >>> quantity(0.00001234), quantity(1.5), quantity(2.5e9, "bytes")
    ('12.3 µs', '1.5 s', '2500 MB')
    """
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB"
    for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if factor <= value or name == "µs":
            shown = value / factor
            return f"{shown:.0f} {name}" if 100 <= shown else f"{shown:.3g} {name}".rstrip()
    raise AssertionError


def cells(timing: Timing, unit: str) -> str:
    """Return the median and, where there are several rounds, the 10th and 90th percentile.

    >>> cells(Timing((1e-3, 2e-3, 3e-3, 4e-3)), "seconds")
    '2.5 ms (1.3 to 3.7)'
    """
    text = quantity(timing.median, unit)
    if len(timing.rounds) > 2:
        low, high = quantity(timing.low, unit), quantity(timing.high, unit)
        if low.split()[1] == high.split()[1] == text.split()[1]:
            low, high = low.split()[0], high.split()[0]
        text += f" ({low} to {high})"
    return text


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    body = ["| " + " | ".join(str(c).replace("|", "\\|") for c in line) + " |" for line in lines]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body])


def outcome(row: Row) -> str:
    """Say in words who won a row: ``2.1x faster than JAX jit`` or ``LOST: ...``."""
    subject = row.subject
    best = row.best(("peer", "baseline"))
    ratio = row.ratio(subject, best)
    if subject not in row.timings:
        return f"not measured: {row.absent.get(subject, 'absent')}"
    if ratio is None or best is None:
        return "nobody to compare with"
    better, worse = ("less", "more") if row.unit == "bytes" else ("faster", "slower")
    if ratio >= 1.0:
        return f"{ratio:.2f}x {better} than {best}"
    return f"**LOST**: {1 / ratio:.2f}x {worse} than {best}"


def row_text(row: Row) -> str:
    """Return one row for a terminal: everybody in the order of their medians, and who won."""
    lines = [row.title]
    for name in sorted(row.timings, key=lambda name: row.timings[name].median):
        ratio = row.ratio(row.subject, name)
        times = "" if ratio is None or name == row.subject else f"{ratio:.2f}x"
        lines.append(f"  {name:20} {times:>8}  {cells(row.timings[name], row.unit)}")
    lines += [f"  {name:20} {'absent':>8}  {why}" for name, why in row.absent.items()]
    return "\n".join([*lines, f"  {outcome(row).replace('**', '')}{_mark(row)}"])


def row_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return a table of medians, one line a row and one column a competitor."""
    shown = [name for name in names if any(name in row.kinds for row in rows)]
    subjects = dict.fromkeys(row.subject for row in rows)
    head = ["", *shown, f"{' or '.join(subjects)} against the best other"]
    lines = []
    for row in rows:
        line = [row.title + _mark(row)]
        for name in shown:
            if name in row.timings:
                line.append(cells(row.timings[name], row.unit))
            else:
                line.append("-" if name not in row.absent else "absent")
        lines.append([*line, outcome(row)])
    return table(head, lines)


def _mark(row: Row) -> str:
    noisy = [
        name
        for name, t in row.timings.items()
        if row.kinds[name] == "ours" and t.low > 0 and t.high / t.low > NOISY
    ]
    words = ["noisy"] * bool(noisy) + ["busy machine"] * (row.load > BUSY)
    return f" ({', '.join(words)})" if words else ""


def share_table(rows: Sequence[Row], subject: str = COMPILED) -> str:
    """Return a table of what a step makes of the machine."""
    lines = []
    for row in rows:
        share, memory = row.share(subject), row.memory_share(subject)
        if share is None or memory is None:
            continue
        floor = row.ratio(subject, "products alone")
        lines.append(
            (
                row.title,
                f"{row.flops / 1e6:,.2f} MFLOP",
                f"{share:.0%}",
                "-" if floor is None else f"{floor:.0%}",
                f"{memory:.0%}",
            )
        )
    head = ("", "products", "share of the sgemm rate", "products alone / step",
            "share of the memory rate")  # fmt: skip
    return table(head, lines) if lines else ""


def memory_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return a table of what calls make of the memory: bytes a second, and the share of a copy."""
    shown = [name for name in names if any(name in row.timings for row in rows)]
    lines = []
    for row in rows:
        line = [row.title, f"{row.bytes / 1e6:,.0f} MB"]
        for name in shown:
            share = row.memory_share(name)
            if share is None:
                line += ["-", "-"]
            else:
                line += [f"{row.bytes / row.timings[name].median / 1e9:,.0f}", f"{share:.0%}"]
        lines.append(line)
    head = ["", "moves at least"]
    for name in shown:
        head += [f"{name}, GB/s", "share of a copy"]
    return table(head, lines)


def verdict_table(verdicts: Sequence[Verdict], titles: Mapping[str, str]) -> str:
    """Return a table of goals: required, measured, met or not."""
    return table(VERDICT_HEAD, verdict_lines(verdicts, titles))


VERDICT_HEAD = ("", "who", "goal", "measured", "")


def verdict_lines(verdicts: Sequence[Verdict], titles: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return the lines of that table."""
    lines: list[tuple[str, ...]] = []
    for verdict in verdicts:
        goal = verdict.goal
        share = goal.is_share
        shown = "-"
        if verdict.measured is not None:
            shown = f"{verdict.measured:.0%}" if share else f"{verdict.measured:.2f}x"
        word = verdict.word if verdict.met is not False else f"**{verdict.word}**"
        least = f"{goal.least:.0%} of" if share else f"{goal.least:g}x against"
        title = titles.get(goal.row, goal.row)
        lines.append((title, goal.subject, f"{least} {verdict.against}", shown, word))
    return lines


def goals_text(rows: Sequence[Row], kind: str = "cpu") -> str:
    """Return, for a terminal, what came out of the goals of a kind of device about these rows."""
    by_name = {row.name: row for row in rows}
    verdicts = [judge(goal, by_name) for goal in goals_of(kind) if goal.row in by_name]
    lines = verdict_lines(verdicts, {row.name: row.title for row in rows})
    plain = [[cell.replace("**", "") for cell in line] for line in lines]
    return plain_table(VERDICT_HEAD, plain, [3]) if plain else ""


def absent_list(rows: Sequence[Row]) -> str:
    """Return who was absent from which rows and why, as a list; empty if nobody was."""
    why: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name, reason in row.absent.items():
            why.setdefault((name, reason), []).append(row.title)
    return "\n".join(
        f"- {name}: {reason} ({'every row' if len(where) == len(rows) else '; '.join(where)})"
        for (name, reason), where in why.items()
    )


def machine_list(machine: Mapping[str, Any]) -> str:
    """Return what the measurement was made on, as a list."""
    gigabytes = machine["memory"] / 2**30
    lines = [
        f"- {machine['cpu']} ({machine['instructions']}), {machine['usable']} of "
        f"{machine['processors']} processors usable, {machine['threads']} threads for everybody, "
        f"{gigabytes:.0f} GiB memory, {machine['system']}",
        "- " + ", ".join(f"{name} {value}" for name, value in machine["versions"].items()),
        f"- BLAS of NumPy: {machine.get('blas') or 'unknown'}",
        "- " + " ".join(f"`{k}={v}`" for k, v in machine["environment"].items()),
    ]
    if machine["gpu"]:
        lines.insert(0, f"- {machine['gpu']}, {machine.get('gpu_memory', 0) / 2**30:.0f} GiB")
    rates = machine["rates"]
    if rates:
        words = PRODUCTS_IN.get(machine["environment"].get(PRECISION, ""), "float32")
        products = ", ".join(f"{n}²: {rate / 1e9:.0f}" for n, rate in rates["sgemm"].items())
        lines.append(
            f"- {words} products, GFLOP/s: {products}; copying memory: "
            f"{rates['memory'] / 1e9:.1f} GB/s"
        )
    lines.append(
        f"- {machine['date']}, {machine['load']:.2f} processors busy with other work at the start"
    )
    if machine["load"] > BUSY:
        lines.append("- **The machine was busy with other work: these numbers are no evidence.**")
    return "\n".join(lines)
