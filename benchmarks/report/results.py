"""What a run leaves behind: one JSON file, one page of Markdown, one picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.competitors.elementwise import CALLS
from benchmarks.competitors.registry import COMPETITORS, COMPILED, EAGER
from benchmarks.report.goals import Verdict, goals_of, judge
from benchmarks.report.tables import (
    PRODUCTS_IN,
    absent_list,
    machine_list,
    memory_table,
    quantity,
    row_table,
    share_table,
    table,
    verdict_table,
)
from benchmarks.rows import GROUPS, INFERENCE, STEPS, SWEEPS, VARIANTS, Sweep, cliffs
from benchmarks.stopwatch.calls import TOLERANCE as CALL_TOLERANCE
from benchmarks.stopwatch.machine import best_rates
from benchmarks.stopwatch.measuring import TOLERANCES, Row

HEADINGS = {
    "steps": "Training steps with Adam",
    "variants": "Other activations, another loss",
    "inference": "One row through the network",
    "elementwise": "Kernels that only read and write, on large arrays",
    "programs": "The article's program",
    "epoch": "One epoch of Fashion-MNIST, files included",
    "memory": "Peak memory of the whole process",
    "sweeps": "From small to large",
}


def _short(tolerance: float) -> str:
    """Return 1e-4 for 0.0001."""
    return f"{tolerance:.0e}".replace("e-0", "e-")


HOW = (
    "Written by `python -m benchmarks`. Times are medians over rounds in which all take turns, "
    "with the 10th and 90th percentile; every competitor has a process of its own, the same "
    "weights and data, and was timed only after its losses agreed to {tolerance}. The best peer is "
    "the quickest of {peers}; "
)
ON_A_CPU = (
    "the last column compares with plain NumPy too. *products alone* are the matrix products of "
    "the step in NumPy's BLAS, and no competitor."
)
ON_A_GPU = (
    "all losses were compared with plain NumPy's on the CPU. Products are in {precision}, and so "
    "is the sgemm rate; PyTorch's setting for bfloat16 products takes TF32 on a GPU. Data stays on "
    "the GPU between steps."
)
CALLS_HOW = (
    "One eager call, again and again, on arrays that no cache holds; first its results on smaller "
    f"ones agreed with the formula's in NumPy to {_short(CALL_TOLERANCE)}. *Moves at least* counts "
    "each array of the formula's definition as read or written once, and the share is that of the "
    "rate at which the GPU copies half a gigabyte. PyTorch's derivatives come through autograd, "
    "and its Adam is the fused one."
)
PEERS = {
    "cpu": "PyTorch (eager, with fused Adam, compiled) and JAX",
    "cuda": "PyTorch (eager, with fused Adam, compiled with CUDA graphs, and with the whole step "
    "captured into one by hand) and JAX",
}


def how(kind: str) -> str:
    """Return how a kind of device was measured: "cpu", or "cuda" with its precision."""
    device, _, precision = kind.partition("-")
    tolerance = TOLERANCES.get(precision, TOLERANCES["highest"])
    rest = ON_A_CPU if device == "cpu" else ON_A_GPU
    return (HOW + rest).format(
        tolerance=_short(tolerance),
        peers=PEERS.get(device, PEERS["cpu"]),
        precision=PRODUCTS_IN.get(precision, "float32"),
    )


class Results:
    """Rows with the machine that they were measured on; saved after every row."""

    def __init__(self, folder: Path, kind: str, machine: Mapping[str, Any]) -> None:
        """Start with no rows.

        Args:
            folder: where the files go.
            kind: of the device, the files' name.
            machine: from ``machine.describe``.
        """
        self.folder, self.kind, self.machine = folder, kind, dict(machine)
        self.rows: dict[str, Row] = {}

    @classmethod
    def read(cls, path: Path) -> Results:
        """Return what was saved.

        Raises:
            OSError, ValueError: if there is no such file, or it is none of ours.
        """
        record = json.loads(path.read_text(encoding="utf-8"))
        made = cls(path.parent, path.stem, record["machine"])
        made.rows = {row["name"]: Row.from_dict(row) for row in record["rows"]}
        return made

    def add(self, row: Row) -> None:
        """Take a row in, and write the JSON file."""
        row.rates = row.rates or best_rates(self.machine)
        row.date = row.date or self.machine["date"]
        self.rows[row.name] = row
        self.write_json()

    @property
    def verdicts(self) -> list[Verdict]:
        """What came out of every goal of that kind of device."""
        return [judge(goal, self.rows) for goal in goals_of(self.kind)]

    @property
    def path(self) -> Path:
        """The JSON file; the others lie beside it."""
        return self.folder / f"{self.kind}.json"

    def write_json(self) -> None:
        """Write all numbers."""
        verdicts = [
            {
                "row": v.goal.row,
                "who": v.goal.subject,
                "against": v.against,
                "least": v.goal.least,
                "measured": v.measured,
                "met": v.met,
            }
            for v in self.verdicts
        ]
        rows = [row.to_dict() for row in self.rows.values()]
        record = {"machine": self.machine, "goals": verdicts, "rows": rows}
        self.folder.mkdir(parents=True, exist_ok=True)
        # A run that is stopped while it writes leaves the file of the row before.
        temporary = self.path.with_name(self.path.name + ".part")
        text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.path)

    def write(self) -> list[Path]:
        """Write all files and return their paths."""
        from benchmarks.report.pictures import draw

        self.write_json()
        picture = draw(self, self.folder / f"{self.kind}.png")
        page = self.folder / f"{self.kind}.md"
        page.write_text(self.markdown(picture), encoding="utf-8")
        return [self.path, page, *([picture] if picture else [])]

    def group(self, name: str) -> list[Row]:
        """Return the rows of a group that were measured."""
        wanted = set(names_of(name))
        return [row for row in self.rows.values() if row.name in wanted]

    def markdown(self, picture: Path | None = None) -> str:
        """Return the page."""
        titles = {row.name: row.title for row in self.rows.values()}
        met = [v for v in self.verdicts if v.met]
        lost = [v for v in self.verdicts if v.met is False]
        parts = [
            f"# Benchmark on {self.kind}",
            how(self.kind),
            machine_list(self.machine),
            f"## Goals: {len(met)} met, {len(lost)} not met, "
            f"{len(self.verdicts) - len(met) - len(lost)} not measured",
            verdict_table(self.verdicts, titles),
        ]
        if picture is not None:
            parts.append(
                f"![Step times against nnscratch compiled, and three sweeps]({picture.name})"
            )
        for name in GROUPS:
            rows = self.group(name)
            if rows:
                parts += [f"## {HEADINGS[name]}", *self._section(name, rows)]
        parts += ["## Who was absent", absent_list(list(self.rows.values())) or "Nobody."]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _section(self, name: str, rows: Sequence[Row]) -> list[str]:
        names = list(COMPETITORS)
        if name == "sweeps":
            return [text for sweep in SWEEPS for text in self._sweep(sweep)]
        if name == "elementwise":
            parts = [CALLS_HOW, row_table(rows, names), memory_table(rows, names)]
        else:
            parts = [row_table(rows, names), share_table(rows)]
        dates = sorted({row.date for row in rows if row.date != self.machine["date"]})
        if dates:
            parts.append(f"Measured on {', '.join(dates)}.")
        return [*parts, *(f"{row.title}: {row.note}" for row in rows if row.note)]

    def _sweep(self, sweep: Sweep) -> list[str]:
        rows = {n: self.rows[sweep.row(n)] for n in sweep.points if sweep.row(n) in self.rows}
        if not rows:
            return []
        names = [n for n in COMPETITORS if any(n in row.timings for row in rows.values())]
        lines = []
        for value, row in rows.items():
            best = row.best(("peer",))
            ratio = row.ratio(COMPILED, best)
            text = "-" if ratio is None else f"{ratio:.2f}x" if 1 <= ratio else f"**{ratio:.2f}x**"
            cells = [quantity(row.timings[n].median) if n in row.timings else "-" for n in names]
            lines.append((str(value), *cells, text, best or "-"))
        head = (sweep.name, *names, "ratio", "best peer")
        parts = [f"### {sweep.name}: {sweep.title}", table(head, lines)]
        for who in (COMPILED, EAGER):
            seen = [(n, row) for n, row in rows.items() if who in row.timings]
            steps = cliffs(
                [n for n, _ in seen],
                [row.flops for _, row in seen],
                [row.timings[who].median for _, row in seen],
            )
            words = "; ".join(steps) if steps else "none"
            parts.append(f"Cliffs of {who}: {words}.")
        return parts


def names_of(group: str) -> list[str]:
    """Return the names of a group's rows."""
    if group == "sweeps":
        return [sweep.row(value) for sweep in SWEEPS for value in sweep.points]
    return {
        "steps": list(STEPS),
        "variants": list(VARIANTS),
        "inference": list(INFERENCE),
        "elementwise": list(CALLS),
        "programs": ["program-warm", "program-cold"],
        "epoch": ["fashion-epoch"],
        "memory": ["memory-4096x3", "memory-6144x3"],
    }[group]
