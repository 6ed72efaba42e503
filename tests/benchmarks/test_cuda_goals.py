"""The benchmark on a GPU: its goals, its rows and its rates, with made-up numbers and stand-ins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_tables import MACHINE, row

from benchmarks import __main__ as program
from benchmarks.competitors.elementwise import CALLS
from benchmarks.competitors.registry import COMPILED, EAGER, JAX, TORCH, TORCH_GRAPH
from benchmarks.report.goals import BEST_PEER, CUDA_GOALS, GOALS, goals_of, judge
from benchmarks.report.results import Results
from benchmarks.report.tables import goals_text, machine_list, memory_table
from benchmarks.stopwatch.client import environment
from benchmarks.stopwatch.measuring import Row, Timing

CARD = {**MACHINE, "gpu": "A card", "gpu_memory": 80 << 30}


def call_row(name: str, share: float) -> Row:
    """Return a row that reaches a share of the copy rate, where PyTorch reaches half."""
    made = row(name, eager=1.0, torch=1.0)
    made.subject, made.flops = EAGER, 0
    full = made.bytes / made.rates["memory"]
    made.timings = {EAGER: Timing((full / share,)), TORCH: Timing((2 * full,))}
    return made


def test_a_kind_of_device_has_its_goals() -> None:
    assert goals_of("cpu") is GOALS
    for kind in ("cuda", "cuda-high", "cuda-medium"):
        assert goals_of(kind) is CUDA_GOALS


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_goal_is_of_a_row_that_is_measured(device: str) -> None:
    names = program.chosen(program.parse(["--device", device]))
    assert {goal.row for goal in goals_of(device)} <= set(names)


@pytest.mark.parametrize(
    ("made", "against", "words"),
    [
        (row("10-10-2", compiled=1.0, torch=3.1, jax=1.1), TORCH, "met"),
        (row("10-10-2", compiled=1.0, torch=2.9, jax=1.1), TORCH, "NOT MET"),
        (row("1024x4", compiled=1.0, torch=3.0, jax=0.9), BEST_PEER, "NOT MET"),
        (row("1024x4", compiled=1.0, torch=3.0, jax=1.0), BEST_PEER, "met"),
        # 1e8 operations at 2e11 a second take half a millisecond.
        (row("8192x3", compiled=0.5e-3 / 0.91), "sgemm", "met"),
        (row("8192x3", compiled=0.5e-3 / 0.89), "sgemm", "NOT MET"),
        (row("8192x3", torch=1.0), "sgemm", "not measured"),
        (call_row("elementwise-relu", 0.86), "memory", "met"),
        (call_row("elementwise-relu", 0.84), "memory", "NOT MET"),
    ],
)
def test_rows_are_judged(made: Row, against: str, words: str) -> None:
    (goal,) = (g for g in CUDA_GOALS if (g.row, g.against) == (made.name, against))
    assert judge(goal, {made.name: made}).word == words


@pytest.mark.parametrize("kind", ["cuda", "cuda-high"])
def test_what_is_written_is_judged_again_when_it_is_read(kind: str, tmp_path: Path) -> None:
    machine = {**CARD, "environment": environment(1, "cuda", "high" if "-" in kind else "highest")}
    results = Results(tmp_path, kind, machine)
    results.add(row("4096x3", compiled=0.5e-3 / 0.95))
    results.add(call_row("elementwise-gelu-backward", 0.8))
    results.add(call_row("elementwise-adam", 0.9))
    page = results.write()[1].read_text(encoding="utf-8")
    record = json.loads(results.path.read_text(encoding="utf-8"))
    assert {goal["row"] for goal in record["goals"]} == {goal.row for goal in CUDA_GOALS}
    met = {goal["row"]: goal["met"] for goal in record["goals"] if goal["met"] is not None}
    assert met == {
        "4096x3": True, "elementwise-gelu-backward": False, "elementwise-adam": True,
    }  # fmt: skip

    again = Results.read(results.path)
    assert (again.kind, again.verdicts) == (kind, results.verdicts)
    assert again.markdown(tmp_path / f"{kind}.png" if "![" in page else None) == page

    assert "## Goals: 2 met, 1 not met" in page
    assert "85% of the machine's copy rate | 80% | **NOT MET**" in page
    assert "| title of elementwise-adam | 1 MB | 18 | 90% | 10 | 50% |" in page
    assert "program-warm" not in page
    assert "- A card, 80 GiB" in page
    words = ("TF32", "1e-2") if kind == "cuda-high" else ("float32", "1e-4")
    assert f"- {words[0]} products, GFLOP/s" in page
    assert f"agreed to {words[1]}" in page


def test_a_cpus_page_says_nothing_of_a_gpu(tmp_path: Path) -> None:
    page = Results(tmp_path, "cpu", MACHINE).markdown()
    assert "GPU" not in page
    assert "CUDA" not in page
    assert "program-warm" in page
    assert "products alone" in page
    assert "GiB\n" not in machine_list(MACHINE)


def test_the_terminal_shows_the_goals_of_the_device() -> None:
    rows = [row("4096x3", compiled=0.5e-3 / 0.95, torch=1.0)]
    said = [goals_text(rows, "cuda-medium"), goals_text(rows)]
    assert "90% of the machine's sgemm rate" in said[0]
    assert "80% of" not in said[0]
    assert "80% of the machine's sgemm rate" in said[1]


def test_who_could_not_be_timed_has_no_rate() -> None:
    made = call_row("elementwise-adam", 0.9)
    del made.timings[EAGER]
    other = call_row("elementwise-relu", 0.9)
    lines = memory_table([made, other], [COMPILED, EAGER, TORCH]).splitlines()
    assert lines[2].endswith("| 1 MB | - | - | 10 | 50% |")
    assert COMPILED not in lines[0]


@pytest.mark.parametrize("name", ["8192x3", *CALLS])
def test_what_is_for_a_gpu_is_not_measured_on_a_cpu(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        program.chosen(program.parse(["--only", name, "--device", "cuda"]))
        == [one for one in program.chosen(program.parse(["--device", "cuda"])) if one == name]
        == [name]
    )
    assert program.chosen(program.parse(["--only", name])) == []
    assert name not in program.chosen(program.parse([]))


class Measured:
    """Stands in for ``run_row`` and ``run_call``: notes what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, machine: dict[str, Any]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.given: tuple[Any, ...] = ()
        monkeypatch.setattr(program, "describe", lambda *_: machine)
        monkeypatch.setattr(program, "run_row", self.note)
        monkeypatch.setattr(program, "run_call", self.note)

    def note(self, name: str, *given: Any, **more: Any) -> Row:
        self.given = given
        self.calls.append((name, more))
        return row(name, compiled=1.0)


def run_of(*arguments: str) -> program.Run:
    return program.Run(program.parse(list(arguments)), lambda text: None)


def test_a_row_that_does_not_fit_on_the_card_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(monkeypatch, {**CARD, "memory": 1 << 40, "gpu_memory": 16 << 30})
    run = run_of("--device", "cuda")
    assert run.measure("8192x3") is None
    assert run.measure("width-8192") is None
    assert measured.calls == []
    assert run.measure("4096x3") is not None
    assert run.measure("elementwise-relu") is not None
    assert measured.calls[1][1]["memory"] == 16 << 30


def test_a_large_card_takes_them_whatever_the_host_has(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(monkeypatch, {**CARD, "memory": 1 << 30})
    run = run_of("--device", "cuda", "--precision", "medium")
    assert run.measure("8192x3") is not None
    _, _, entries, effort = measured.given
    assert (effort.check_steps, effort.tolerance) == (5, 5e-2)
    names = [entry.name for entry in entries]
    assert names[:2] == [COMPILED, EAGER]
    assert {TORCH, TORCH_GRAPH, JAX} <= set(names)
    assert run.measure("width-8192") is not None


def test_a_cpu_asks_for_the_memory_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(monkeypatch, {**MACHINE, "memory": 16 << 30, "gpu_memory": 0})
    run = run_of()
    assert run.measure("width-8192") is None
    assert run.measure("4096x3") is not None
    assert [name for name, _ in measured.calls] == ["4096x3"]


def test_a_run_ends_with_the_goals_of_its_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Measured(monkeypatch, CARD)
    arguments = ["--device", "cuda", "--only", "4096x3", "--out", str(tmp_path)]
    assert program.main(arguments) == 0
    out = capsys.readouterr().out
    assert "90% of the machine's sgemm rate" in out
    assert "80% of" not in out
    assert "90% of the machine's sgemm rate" in (tmp_path / "cuda.md").read_text(encoding="utf-8")
