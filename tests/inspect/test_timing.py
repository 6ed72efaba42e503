"""``nnscratch bench``: the timings of this installation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnscratch.cli import main
from nnscratch.errors import PlanError
from nnscratch.inspect import timing
from nnscratch.inspect.timing import NETWORKS, Network, time_network


@pytest.mark.parametrize("trains", [True, False])
def test_a_network_is_timed_both_ways(trains: bool) -> None:
    found = time_network(Network((5, 7, 3), 16, trains), seconds=0.01)
    assert set(found) == {"compiled", "eager"}
    for one in found.values():
        assert 0 < one.p10 <= one.median <= one.p90


def test_who_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(function: object) -> object:
        return lambda *given: function(*given) * 1.01  # type: ignore[operator]

    monkeypatch.setattr(timing, "compile", wrong)
    with pytest.raises(PlanError, match="different numbers"):
        time_network(Network((5, 7, 3), 16), seconds=0.01)


def test_the_command_writes_a_file_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "predict", "-o", "times.json"]) == 0
    assert "predict-64-128-10" in capsys.readouterr().out
    record = json.loads(Path("times.json").read_text(encoding="utf-8"))
    assert set(record["seconds"]["predict-64-128-10"]) == {"compiled", "eager"}
    assert main(["bench", "predict", "-o", "times.json"]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["no-such-row"], "64-128-10"), (["-o", "no/such.json"], "no such folder")],
)
def test_slips_are_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_threads_are_those_of_the_kernels_and_of_blas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnscratch.kernels.cpu import blas
    from nnscratch.kernels.cpu.runtime import threads

    monkeypatch.setattr(threads, "_most", 3)
    library = blas()
    before = library.threads() if library else 1
    try:
        assert main(["bench", "predict", "--threads", "1"]) == 0
        assert library is None or library.threads() == 1
        assert "1 threads" in capsys.readouterr().out
    finally:
        if library:
            library.limit_threads(before)


def test_every_network_has_inputs_and_outputs() -> None:
    assert all(len(network.sizes) >= 2 for network in NETWORKS.values())
