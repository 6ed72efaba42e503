"""Numbers that are given come out as text that hides nothing: above all not the lost rows."""

from __future__ import annotations

import pytest

from benchmarks.competitors.registry import COMPETITORS, COMPILED, EAGER, JAX, NUMPY, TORCH
from benchmarks.report.goals import Goal, judge
from benchmarks.report.tables import (
    absent_list,
    cells,
    machine_list,
    outcome,
    quantity,
    row_table,
    row_text,
    share_table,
    verdict_table,
)
from benchmarks.stopwatch.measuring import Row, Timing

KINDS = {name: entry.kind for name, entry in COMPETITORS.items()}
MACHINE = {
    "date": "2030-01-01 00:00 UTC", "cpu": "A CPU", "instructions": "avx2", "processors": 4,
    "usable": 2, "threads": 2, "memory": 8 << 30, "gpu": "", "system": "Linux", "blas": "OpenBLAS",
    "versions": {"Python": "3.11"}, "environment": {"OMP_NUM_THREADS": "2"}, "load": 0.1,
    "rates": {"sgemm": {"256": 1e11, "512": 2e11}, "memory": 2e10},
}  # fmt: skip


def row(name: str, unit: str = "seconds", **seconds: float) -> Row:
    names = {"compiled": COMPILED, "eager": EAGER, "torch": TORCH, "jax": JAX, "numpy": NUMPY}
    made = Row(name, f"title of {name}", unit=unit, flops=10**8, bytes=10**6)
    made.timings = {names[k]: Timing((v * 0.5, v, v * 2)) for k, v in seconds.items()}
    made.kinds = {names[k]: KINDS[names[k]] for k in seconds}
    made.rates = {"sgemm": 2e11, "memory": 2e10}
    return made


WON = row("10-10-2", compiled=1e-3, eager=3e-3, torch=4e-3, jax=2e-3, numpy=2.5e-3)
LOST = row("64-128-10", compiled=1e-3, eager=5e-3, torch=4e-3, jax=8e-4, numpy=2e-3)
BEHIND_NUMPY = row("784-512-512-10", compiled=1e-3, torch=4e-3, numpy=5e-4)


def test_medians_and_spread() -> None:
    timing = Timing(tuple(float(n) for n in range(1, 12)))
    assert (timing.median, timing.low, timing.high) == (6.0, 2.0, 10.0)
    assert Timing((3.0,)).low == 3.0
    assert cells(timing, "seconds") == "6 s (2 to 10)"
    assert cells(Timing((3e-6,)), "seconds") == "3 µs"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 µs"), (1.234e-6, "1.23 µs"), (0.0456, "45.6 ms"), (0.4567, "457 ms"), (12.0, "12 s")],
)
def test_quantities(value: float, text: str) -> None:
    assert quantity(value) == text


def test_a_row_that_was_won() -> None:
    assert outcome(WON) == "2.00x faster than JAX jit"


def test_a_row_that_was_lost_is_as_plain() -> None:
    assert outcome(LOST) == "**LOST**: 1.25x slower than JAX jit"
    text = row_table([WON, LOST, BEHIND_NUMPY], list(COMPETITORS))
    lines = text.splitlines()
    assert len(lines) == 5
    assert "**LOST**: 1.25x slower than JAX jit" in lines[3]
    assert "**LOST**: 2.00x slower than NumPy" in lines[4]
    assert "torch.compile" not in lines[0]
    assert "LOST: 1.25x slower than JAX jit" in row_text(LOST)


def test_bytes_are_less_or_more() -> None:
    memory = row("memory", "bytes", compiled=3e9, torch=2e9)
    assert outcome(memory) == "**LOST**: 1.50x more than PyTorch eager"
    assert "3000 MB" in row_text(memory)


def test_nobody_to_compare_with() -> None:
    assert outcome(row("alone", compiled=1.0)) == "nobody to compare with"
    failed = row("failed", torch=1.0)
    failed.absent[COMPILED] = "PlanError: no"
    assert outcome(failed) == "not measured: PlanError: no"


def test_shares_of_the_machine() -> None:
    assert WON.share(COMPILED) == pytest.approx(0.5)
    assert WON.memory_share(COMPILED) == pytest.approx(0.05)
    line = share_table([WON]).splitlines()[-1]
    assert "| 50% | - | 5% |" in line
    assert share_table([row("x", torch=1.0)]) == ""


def test_goals_met_and_not() -> None:
    rows = {r.name: r for r in (WON, LOST, BEHIND_NUMPY)}
    verdicts = [
        judge(Goal("10-10-2", 1.5), rows),
        judge(Goal("64-128-10", 1.0), rows),
        judge(Goal("10-10-2", 0.8, against="sgemm"), rows),
        judge(Goal("10-10-2", 1.0, subject=EAGER, against=TORCH), rows),
        judge(Goal("784-512-512-10", 1.0), rows),
        judge(Goal("1024x4", 1.0), rows),
        judge(Goal("784-512-512-10", 1.0, against=JAX), rows),
    ]
    assert [v.word for v in verdicts] == [
        "met", "NOT MET", "NOT MET", "met", "met", "not measured", "not measured"
    ]  # fmt: skip
    text = verdict_table(verdicts, {"64-128-10": "a title"})
    assert "| a title | nnscratch compiled | 1x against JAX jit | 0.80x | **NOT MET** |" in text
    assert "| 80% of the machine's sgemm rate | 50% | **NOT MET** |" in text
    # NumPy is quicker in that row, but it is no peer.
    assert verdicts[4].against == TORCH


def test_who_is_absent_is_listed_once_with_the_rows() -> None:
    one, two = row("one", compiled=1.0), row("two", compiled=1.0)
    one.absent = {"JAX jit": "jax not installed", "torch.compile": "no compiler"}
    two.absent = {"JAX jit": "jax not installed"}
    assert absent_list([one, two]) == (
        "- JAX jit: jax not installed (every row)\n- torch.compile: no compiler (title of one)"
    )


def test_the_machine_and_a_busy_one() -> None:
    text = machine_list(MACHINE)
    assert "A CPU (avx2), 2 of 4 processors usable, 2 threads" in text
    assert "256²: 100, 512²: 200" in text
    assert "no evidence" not in text
    assert "no evidence" in machine_list({**MACHINE, "load": 3.0})


def test_a_noisy_row_is_marked() -> None:
    assert "(noisy)" in row_table([WON], [COMPILED])
    quiet = row("quiet", compiled=1.0)
    quiet.timings[COMPILED] = Timing((1.0, 1.01, 1.02))
    assert "(" not in row_table([quiet], [COMPILED]).splitlines()[-1].split("|")[1]
    quiet.load = 1.5
    assert "(busy machine)" in row_table([quiet], [COMPILED])


def test_rows_survive_being_written_down() -> None:
    record = WON.to_dict()
    assert record["timings"][COMPILED]["median"] == 1e-3
    assert Row.from_dict(record) == WON
