"""The run folder of another training, which a job that dies or is refused leaves as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnscratch.cli import main, ranks, runs
from nnscratch.cli.settings import TrainingSettings
from nnscratch.errors import RunError
from nnscratch.train.trainer import CHECKPOINT_FILE

Again = Callable[[], Sequence[str]]


def job_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, watch: Callable[[Again], Any], *options: str
) -> None:
    """Start a job of ranks that does nothing, and watch how it would be started again."""

    def no_job(first: Any, again: Again, *_: Any) -> int:
        watch(again)
        return 0

    monkeypatch.setattr(ranks, "run_until_done", no_job)
    given = ["train", "digits", "--run", str(folder), "--ranks", "2", *options]
    settings = TrainingSettings(data="digits")
    resume = "--resume" in options
    assert ranks.start_ranks("2", 1, settings, given, str(folder), resume) == 0
    assert runs.JOB not in os.environ


def run_of_another(folder: Path) -> None:
    folder.mkdir()
    (folder / CHECKPOINT_FILE).write_bytes(b"theirs")
    config = {"form": "nnscratch-run", "version": 1, "job": "another"}
    (folder / runs.CONFIG).write_text(json.dumps(config))


def begun(folder: Path, state: str | None = None) -> None:
    """Write what the job's ranks write when they begin."""
    config = {"form": "nnscratch-run", "version": 1, "job": os.environ[runs.JOB]}
    (folder / runs.CONFIG).write_text(json.dumps(config | ({"state": state} if state else {})))


def test_a_job_that_dies_before_it_begins_is_started_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    run_of_another(folder)
    given = ["train", "digits", "--run", str(folder)]

    def watch(again: Again) -> None:
        # Neither --resume, which would go on with their run, nor --overwrite.
        assert list(again())[3:] == given

    job_in(folder, monkeypatch, watch)


def test_a_job_that_has_begun_goes_on_with_its_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own"
    run_of_another(folder)
    given = ["train", "digits", "--run", str(folder), "--overwrite"]

    def watch(again: Again) -> None:
        assert list(again())[3:] == given
        begun(folder, "beginning")  # their checkpoint is not removed yet
        assert list(again())[3:] == given
        monkeypatch.setenv(runs.JOB, os.environ[runs.JOB].removesuffix(runs.OWN))
        begun(folder)
        assert list(again())[3:] == ["train", "--resume", "--run", str(folder)]
        (folder / CHECKPOINT_FILE).unlink()
        assert list(again())[3:] == given

    job_in(folder, monkeypatch, watch, "--overwrite")


def test_a_run_that_another_training_replaced_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    run_of_another(folder)

    def watch(again: Again) -> None:
        assert list(again())[3:] == ["train", "digits", "--run", str(folder), "--resume"]
        config = {"form": "nnscratch-run", "version": 1, "job": "a third one"}
        (folder / runs.CONFIG).write_text(json.dumps(config))
        with pytest.raises(RunError, match="another training has just replaced"):
            again()

    job_in(folder, monkeypatch, watch, "--resume")
    # And where it is replaced between the launcher's look and the rank's.
    monkeypatch.setenv(runs.JOB, f"own{runs.OWN}")
    with (
        pytest.raises(RunError, match="another training has just replaced"),
        runs.held(folder, TrainingSettings(data="digits"), overwrite=True),
    ):
        pass


@pytest.mark.parametrize("wrong", [["--class-weight", "balanced"], ["--shards", "3"]])
def test_a_training_that_is_refused_leaves_the_run_that_it_was_to_replace(
    wrong: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = np.random.default_rng(0).normal(size=(60, 3))
    data, folder = tmp_path / "data.csv", tmp_path / "run"
    np.savetxt(data, table, delimiter=",", header="a,b,y", comments="")
    command = ["train", str(data), "--target", "y", "--run", str(folder), "--epochs", "1"]
    assert main([*command, "--quiet"]) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main([*command, *wrong, "--overwrite", "--quiet"]) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert main([*command, "--restarts", "2", "--overwrite"]) == 2
    assert "--restarts starts processes again: it goes with --ranks" in capfd.readouterr().err
