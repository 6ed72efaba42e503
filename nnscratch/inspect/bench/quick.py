"""``nnscratch bench``: the first rows of the benchmark, in a minute or two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nnscratch.inspect.bench.client import environment
from nnscratch.inspect.bench.goals import goals_of, judge
from nnscratch.inspect.bench.machine import best_rates, describe
from nnscratch.inspect.bench.measuring import QUICK, Effort, Row, run_row
from nnscratch.inspect.bench.registry import competitors
from nnscratch.inspect.bench.tables import VERDICT_HEAD, machine_list, row_text, verdict_lines
from nnscratch.inspect.bench.workload import Workload
from nnscratch.inspect.table import plain_table

QUICK_ROWS: dict[str, Workload] = {
    "10-10-2": Workload((10, 10, 2), 1000),
    "64-128-10": Workload((64, 128, 10), 64),
    "784-512-512-10": Workload((784, 512, 512, 10), 128),
    "predict-64-128-10": Workload((64, 128, 10), 1, task="infer"),
}
Say = Callable[[str], None]


def bench(
    only: Sequence[str] = (),
    *,
    device: str = "cpu",
    threads: int | None = None,
    compilers: bool = False,
    output: str | None = None,
    effort: Effort = QUICK,
    say: Say = print,
) -> list[Row]:
    """Measure a few networks against whatever is installed, and print tables.

    Args:
        only: parts of the names of the rows to measure; all if there are none.
        device: "cpu" or "cuda".
        threads: for everybody; by default as many as there are cores.
        compilers: let ``torch.compile`` take part, whose start takes long.
        output: a file to write the rows to, as JSON.
        effort: how much time there is.
        say: told what happens, and the tables.
    """
    variables = environment(threads, device)
    machine = describe(variables, device)
    say(machine_list(machine))
    rows = []
    for name, workload in QUICK_ROWS.items():
        if only and not any(part in name for part in only):
            continue
        entries = competitors(workload.task, compilers, device)
        title = workload.describe()
        row = run_row(
            name, title, workload, entries, effort, device=device, variables=variables, say=say
        )
        row.rates = best_rates(machine)
        rows.append(row)
        say("\n" + row_text(row))
    report(rows, say, device)
    if output is not None:
        write_json(Path(output), {"machine": machine, "rows": [row.to_dict() for row in rows]})
        say(f"written to {output}")
    return rows


def report(rows: Sequence[Row], say: Say, kind: str = "cpu") -> None:
    """Print what came out of the goals of a kind of device that these rows are about."""
    by_name = {row.name: row for row in rows}
    verdicts = [judge(goal, by_name) for goal in goals_of(kind) if goal.row in by_name]
    if verdicts:
        lines = verdict_lines(verdicts, {row.name: row.title for row in rows})
        plain = [[cell.replace("**", "") for cell in line] for line in lines]
        say("\n" + plain_table(VERDICT_HEAD, plain, [3]))


def write_json(path: Path, record: Any) -> None:
    """Write a record under a temporary name and rename it."""
    import json

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
