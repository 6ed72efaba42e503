"""What ``python -m benchmarks`` measures and leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_tables import LOST, MACHINE, WON, row

from benchmarks import __main__ as program
from benchmarks import fashion, processes
from benchmarks.competitors.registry import COMPILED, EAGER, JAX, TORCH
from benchmarks.competitors.workload import Workload
from benchmarks.report.goals import GOALS
from benchmarks.report.results import Results, names_of
from benchmarks.rows import GROUPS, SWEEPS, cliffs, too_large
from benchmarks.stopwatch.client import environment
from benchmarks.stopwatch.measuring import TOLERANCE, Row, disagreement
from benchmarks.stopwatch.worker import make
from nnscratch.data import load_idx_folder

ONE = environment(1, "cpu")
PNG = b"\x89PNG\r\n\x1a\n"


def test_files_are_written_and_parse(tmp_path: Path) -> None:
    results = Results(tmp_path, "cpu", MACHINE)
    lost = Row.from_dict(LOST.to_dict())
    lost.absent["torch.compile"] = "torch not installed"
    point = row("batch-1", compiled=1.0, jax=0.5, eager=2.0)
    cliff = row("batch-2", compiled=9.0, jax=0.5, eager=2.0)
    for one in (WON, lost, point, cliff):
        results.add(one)
        assert results.path.exists()
    paths = results.write()
    assert [path.name for path in paths] == ["cpu.json", "cpu.md", "cpu.png"]
    assert paths[2].read_bytes().startswith(PNG)

    record = json.loads(paths[0].read_text(encoding="utf-8"))
    assert record["machine"] == MACHINE
    assert [r["name"] for r in record["rows"]] == ["10-10-2", "64-128-10", "batch-1", "batch-2"]
    goal = next(g for g in record["goals"] if g["row"] == "64-128-10")
    assert (goal["least"], goal["measured"], goal["met"]) == (2.5, pytest.approx(0.8), False)

    page = paths[1].read_text(encoding="utf-8")
    assert "**LOST**: 1.25x slower than JAX jit" in page
    assert "**NOT MET**" in page
    assert "not measured" in page
    assert "- torch.compile: torch not installed (title of 64-128-10)" in page
    assert "![" in page
    assert "**0.50x** | JAX jit" in page
    assert "Cliffs of nnscratch compiled: from 1 to 2: 9.0x the time for 1.0x" in page

    again = Results.read(results.path)
    assert again.rows == results.rows
    assert again.markdown(paths[2]) == page


def test_without_matplotlib_there_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    results = Results(tmp_path, "cpu", MACHINE)
    results.add(WON)
    assert [path.name for path in results.write()] == ["cpu.json", "cpu.md"]
    assert "![" not in (tmp_path / "cpu.md").read_text(encoding="utf-8")


def test_every_row_has_a_name_of_its_own_and_every_goal_a_row() -> None:
    names = [name for group in GROUPS for name in names_of(group)]
    assert len(set(names)) == len(names)
    assert {goal.row for goal in GOALS} <= set(names)
    assert [len(sweep.points) for sweep in SWEEPS] == [13, 11, 7]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--only", "1024x4"], ["1024x4"]),
        (["--only", "inference"], ["predict-64-128-10", "predict-784-512-512-10"]),
        (["--only", "gelu"], [f"{n}-gelu" for n in ("64-128-10", "784-512-512-10", "1024x4")]),
        (["--only", "program-cold", "--device", "cuda"], []),
        (["--only", "nothing-like-it"], []),
    ],
)
def test_rows_are_chosen_by_name(arguments: list[str], expected: list[str]) -> None:
    assert program.chosen(program.parse(arguments)) == expected


def test_listing_and_unknown_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--list"]) == 0
    assert "4096x3" in capsys.readouterr().out.splitlines()
    assert program.main(["--only", "nothing-like-it"]) == 2
    assert "no row is named" in capsys.readouterr().err


@pytest.mark.slow
def test_one_row_from_start_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twice, the second time added to the first."""
    brief = ["--brief", "--threads", "1", "--no-compilers", "--out", str(tmp_path)]
    assert program.main([*brief, "--only", "predict-64-128-10"]) == 0
    assert program.main([*brief, "--only", "batch-1", "--add"]) == 0
    rows = Results.read(tmp_path / "cpu.json").rows
    assert list(rows) == ["predict-64-128-10", "batch-1"]
    assert {COMPILED, EAGER, TORCH} <= set(rows["batch-1"].timings)
    out = capsys.readouterr().out
    assert "processors usable" in out
    assert "2.5x against" in out
    # JAX is no requirement of the tests; where it is missing that is said.
    for one in rows.values():
        assert JAX in one.timings or one.absent[JAX] == "jax not installed"


def test_cliffs() -> None:
    assert cliffs([1, 2, 4], [1, 2, 4], [1.0, 3.1, 9.5]) == []
    assert cliffs([1, 2, 4], [1, 2, 4], [1.0, 1.0, 3.3]) == [
        "from 2 to 4: 3.3x the time for 2.0x the arithmetic"
    ]


def test_what_does_not_fit_is_known_before() -> None:
    work = Workload((8192, 8192, 10), 128)
    assert too_large(work, 6, 8 << 30)
    assert not too_large(work, 6, 64 << 30)
    assert not too_large(work, 6, 0)


def test_images_of_the_right_shape_where_there_are_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "random images" in fashion.prepare(tmp_path, empty, samples=300)
    train = load_idx_folder(tmp_path).train
    assert train.images.shape == (300, 28, 28)
    assert train.classes == 10


def test_the_epochs_agree_and_run(tmp_path: Path) -> None:
    fashion.prepare(tmp_path, tmp_path / "nowhere", samples=400)
    evidence = {}
    for entry in fashion.ENTRIES:
        if entry.compiles or entry.missing() or entry.name == JAX:
            continue
        made = make(entry.target, {"folder": str(tmp_path)})
        evidence[entry.name] = made.evidence(3)
        before = made.taken
        made.run(1)
        assert made.taken == before
    assert len(evidence) == 5
    for given in evidence.values():
        assert disagreement(given, evidence["NumPy"], "train") <= TOLERANCE


def test_the_articles_program_in_both_libraries() -> None:
    printed = {}
    for name in ("nnscratch", "torch"):
        seconds, text = processes.run("document.py", [name], ONE)
        assert 0 < seconds
        assert "Accuracy: 0." in text
        printed[name] = processes.losses(text)
    assert len(printed["torch"]) == 5
    assert disagreement(printed["nnscratch"][:1], printed["torch"][:1], "train") <= TOLERANCE


def test_losses_that_differ_are_refused() -> None:
    assert processes._same([0.5, 0.4], []) == (None, [0.5, 0.4])
    why, _ = processes._same([0.6, 0.4], [0.5, 0.4])
    assert why is not None
    assert "differ by 2.0e-01" in why
    assert processes._same([0.5], [0.5, 0.4])[0] is not None
    assert processes._same([], [])[0] == "it printed no losses"


def test_memory_of_a_small_network() -> None:
    said: list[str] = []
    programs = [p for p in processes.MEMORY if p.name in (COMPILED, EAGER, TORCH)]
    made = processes.memory(
        "memory", 64, 2, 8, ONE, said.append, programs=programs, checkpoint=True, steps=2
    )
    assert set(made.timings) == {COMPILED, EAGER, TORCH}, made.absent
    assert made.unit == "bytes"
    assert made.extra["parameters"] == 2 * (64 * 64 + 64)
    assert all(10e6 < timing.median < 4e9 for timing in made.timings.values())


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(processes.ProgramError, match="No module named 'no_such_library'"):
        processes.run("document.py", ["no_such_library"], ONE)
