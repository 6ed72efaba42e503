"""The measurement of several processes: what they train is the same, and what its tables say."""

from __future__ import annotations

import pytest

from benchmarks import scaling
from benchmarks.scaling import Measured, parts_table, prediction, reduction_seconds, scaling_table


def test_ours_and_pytorchs_processes_have_the_same_losses_before_they_are_timed() -> None:
    one = Measured({"layers": [10, 10, 2], "batch": 64, "rounds": 1}, 2)
    one.run("nnscratch")
    one.run("torch")
    assert len(one.losses["torch"]) == len(one.losses["nnscratch"]) == 20
    assert one.differs("torch") < 1e-5
    assert one.parameters == 132
    for what in ("step", "without reduction", "reduction", "Allreduce"):
        assert one.median(what)
    assert one.median(kind="torch")
    one.losses["torch"][3] += 0.1
    assert one.median(kind="torch") is None


def found(ranks: int, step: float, torch: float) -> Measured:
    one = Measured({"layers": [10, 2], "batch": 64, "rounds": 1}, ranks)
    one.losses = {name: [0.5, 0.4] for name in ("nnscratch", "torch")}
    one.seconds = {
        ("nnscratch", "step"): [step], ("torch", "step"): [torch],
        ("nnscratch", "reduction"): [3e-5], ("nnscratch", "Allreduce"): [2e-5],
        ("nnscratch", "without reduction"): [step / 2],
    }  # fmt: skip
    return one


def test_tables_have_ratios_to_the_first_number_of_ranks() -> None:
    several = {("10-2", 64): [found(1, 2e-3, 8e-3), found(2, 1e-3, 6e-3)]}
    lines = scaling_table(several, weak=False).splitlines()
    assert lines[-1] == "| 10-2 | 64 | 2 | 1 ms | 2.00 | 6 ms | 1.33 | 6.00 | 0e+00 |"
    assert parts_table(several).splitlines()[-2] == "| 10-2 | 64 | 1 | 2 ms | - | - | - | - | - |"
    several["10-2", 64][0].starts = {True: [2.02e-3, 9e-3, 1e-3], False: [2e-3, 1.9e-3, 3e-3]}
    lines = parts_table(several).splitlines()
    assert lines[-2] == "| 10-2 | 64 | 1 | 2 ms | 1.010 | - | - | - | - |"
    assert lines[-1] == "| 10-2 | 64 | 2 | 1 ms | - | 500 µs | 30 µs | 20 µs | 1.50 |"


def test_the_prediction_is_that_of_its_equation(capsys: pytest.CaptureFixture[str]) -> None:
    assert reduction_seconds(1e9, 512, "10 GbE") == pytest.approx(
        2 * 511 / 512 * 4e9 / 1.25e9 + 18 * 30e-6
    )
    scaling.main(["--predict"])
    assert capsys.readouterr().out.strip() == prediction()
    assert len(prediction().splitlines()) == 8
