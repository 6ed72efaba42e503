"""The estimators beside scikit-learn's: what is timed, what is judged, and how a loss is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_tables import MACHINE

from benchmarks import estimators
from benchmarks.estimators import ALONE, OURS, THEIRS, Fits, fits_table
from benchmarks.programs import estimator


def fits(ours: float, theirs: float, alone: float, **changed: float) -> Fits:
    row = Fits("wine", 32, "float64", False)
    for who, seconds in ((OURS, ours), (THEIRS, theirs), (ALONE, alone)):
        one = {"seconds": seconds, "epochs": 200, "score": 0.95, "whole": 1.0}
        row.found[who] = [{**one, **(changed if who == OURS else {})} for _ in range(3)]
    return row


def test_the_ratio_is_to_the_quicker_one_and_a_loss_is_told() -> None:
    assert fits(1.0, 4.0, 3.5).verdict() == ("3.50x", "3x, met")
    assert fits(1.0, 2.0, 4.0).verdict() == ("2.00x", "3x, **NOT MET**")
    assert fits(1.0, 0.5, 2.0).verdict() == ("0.50x **LOST**", "3x, **NOT MET**")
    assert "| 1 s (1 to 1) | 500 ms" in fits_table([fits(1.0, 0.5, 2.0)])


@pytest.mark.parametrize("changed", [{"epochs": 199}, {"score": 0.93}])
def test_other_epochs_or_scores_are_not_judged(changed: dict[str, float]) -> None:
    ratio, goal = fits(1.0, 9.0, 9.0, **changed).verdict()
    assert ratio.startswith(f"not compared: other {next(iter(changed))}")
    assert goal == "not judged"


def test_it_fits_in_processes_and_writes_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NNSCRATCH_BENCHMARK_EPOCHS", "2")
    monkeypatch.setattr(estimators, "describe", lambda variables: MACHINE)
    monkeypatch.setattr(estimators, "SAMPLES", 100)
    monkeypatch.setattr(estimators, "COMPETITORS", (OURS, THEIRS))
    rows = tmp_path / "rows.json"
    asked = ["wine", "--batches", "64", "--dtypes", "float64", "--rounds", "2", "--first", "0"]
    to = ["--rows", str(rows), "--out", str(tmp_path / "page.md"), "--data", str(tmp_path)]
    (row,) = estimators.main([*asked, *to], say=lambda text: None)
    assert {one["epochs"] for some in row.found.values() for one in some} == {2}
    assert [len(some) for some in row.found.values()] == [2, 2]
    text = (tmp_path / "page.md").read_text()
    assert "wine, 178 x 13" in text
    assert "random images" in text
    assert [Fits(**one) for one in json.loads(rows.read_text())] == [row]


def test_the_first_fit_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNSCRATCH_BENCHMARK_EPOCHS", "1")
    monkeypatch.setattr(estimators, "COMPETITORS", (OURS,))
    row = estimators.first_fits(Fits("wine", 64, "float32", True), 1, 1, {})
    (one,) = row.found[OURS]
    assert one["whole"] > one["seconds"] + one["import"]


def test_a_process_that_ends_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "COMPETITORS", (THEIRS,))
    with pytest.raises(estimators.EstimatorError, match="KeyError"):
        estimators.later_fits(Fits("none", 32, "float64", False), 1, 1, {})
    with pytest.raises(estimators.EstimatorError, match="KeyError"):
        estimators.first_fits(Fits("none", 32, "float64", True), 1, 1, {})


@pytest.mark.parametrize("name", ["digits", "breast cancer", "wine", "houses"])
def test_data_have_the_sizes_that_titles_say(name: str) -> None:
    X, y = estimator.CASES[name][0]()
    assert f"{X.shape[0]} x {X.shape[1]}" in estimators.TITLES[name]
    assert len(X) == len(y)
