"""Nobody is timed who computes something else, and whoever is absent is named with the reason."""

from __future__ import annotations

import math
import os

import pytest

from benchmarks.competitors.registry import COMPETITORS, EAGER, NUMPY, PRODUCTS, Entry
from benchmarks.competitors.workload import Workload
from benchmarks.stopwatch.client import Client, CompetitorError, environment
from benchmarks.stopwatch.machine import best_rates, describe
from benchmarks.stopwatch.measuring import Effort, disagreement, run_row

TINY = Effort(rounds=2, turn=1e-4, warm=1e-4, budget=1.0, check_steps=4, rest=0.0)
WORK = Workload((5, 7, 3), 16)
ONE = environment(1, "cpu")


def fake(name: str, *needs: str) -> Entry:
    return Entry(name, f"bench_fakes:{name}", "peer", needs)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Wrong", "not timed: its losses differ by"),
        ("Nan", "not timed: its losses differ by inf"),
        ("Dies", "the process ended with 3: something fell over"),
        ("DiesLater", "the process ended with 4"),
        ("Raises", "RuntimeError: out of"),
    ],
)
def test_who_is_wrong_or_broken_is_not_timed(name: str, reason: str) -> None:
    said: list[str] = []
    row = run_row(
        "row", "row", WORK, [COMPETITORS[NUMPY], fake(name)], TINY, variables=ONE, say=said.append
    )
    assert set(row.timings) == {NUMPY}
    assert row.absent[name].startswith(reason)
    assert any(name in text and reason in text for text in said)


def test_the_right_ones_are_timed_and_the_missing_one_is_named() -> None:
    entries = [COMPETITORS[EAGER], COMPETITORS[PRODUCTS], fake("Absent", "no_such_package_at_all")]
    row = run_row("row", "row", WORK, entries, TINY, variables=ONE)
    assert set(row.timings) == {EAGER, PRODUCTS}
    assert row.absent == {"Absent": "no_such_package_at_all not installed"}
    assert row.flops == WORK.flops
    assert all(len(timing.rounds) == TINY.rounds for timing in row.timings.values())
    assert all(0 < seconds for timing in row.timings.values() for seconds in timing.rounds)


def test_a_competitor_that_never_answers_is_given_up() -> None:
    client = Client("bench_fakes:Sleeps", {"workload": WORK.to_dict()}, ONE)
    with client:
        client.timeout = 0.2
        with pytest.raises(CompetitorError, match=r"no answer within 0\.2 s"):
            client.evidence(1)
        with pytest.raises(CompetitorError, match="has ended"):
            client.evidence(1)


def test_processes_are_pinned_and_this_one_is_not() -> None:
    if not hasattr(os, "sched_getaffinity"):
        return
    before = os.sched_getaffinity(0)
    with Client("bench_fakes:Where", {"workload": WORK.to_dict()}, ONE) as client:
        assert client.evidence(1) == [1]
    with Client("bench_fakes:Where", {"workload": WORK.to_dict()}, environment(None, "cpu")) as any:
        assert any.evidence(1) == [len(before)]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("given", "expected", "task", "off"),
    [
        ([1.0, 2.0], [1.0, 2.0], "train", 0.0),
        ([1.0, 0.011], [1.0, 0.01], "train", 0.1),
        ([1.0, 0.011], [1.0, 0.01], "infer", 0.001),
        ([1.0], [1.0, 2.0], "train", math.inf),
        ([math.nan], [1.0], "train", math.inf),
        ([], [], "train", 0.0),
    ],
)
def test_disagreement(given: list[float], expected: list[float], task: str, off: float) -> None:
    assert disagreement(given, expected, task) == pytest.approx(off)


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_TEST_DIR", "somewhere")
    machine = describe(ONE, seconds=0.0)
    assert set(machine["rates"]["sgemm"]) == {"256", "512", "1024", "2048", "4096"}
    assert 0 < best_rates(machine)["memory"]
    assert machine["environment"]["OMP_NUM_THREADS"] == "1"
    assert "OMP_TEST_DIR" not in machine["environment"]
    assert (machine["usable"], machine["threads"]) == (1, 1)
    assert machine["versions"]["numpy"]
    assert best_rates({}) == {}
