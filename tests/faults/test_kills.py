"""Training runs killed with -9 at random moments: each goes on to the bits of one that was not."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults.scale import count, say
from faults.worker import ENVIRONMENT, TRAIN, VALIDATION, VARIANTS, Worker
from small_training import figures, trainer, weights

from nnscratch.train import Callback, History, choices
from nnscratch.train.tensor_file import read_tensors
from nnscratch.train.trainer import CHECKPOINT_FILE


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker("faults.worker")
    yield made
    made.close()


def result(folder: Path) -> Any:
    """All that a run leaves, without the seconds, which no two runs share."""
    tensors, metadata = read_tensors(folder / CHECKPOINT_FILE)
    record = json.loads(metadata["nnscratch"])
    record.pop("seconds")
    record["history"] = figures(record["history"])
    model = (folder / "model.safetensors").read_bytes()
    table = [line.rsplit(",", 1)[0] for line in (folder / "history.csv").read_text().splitlines()]
    return {k: v.tobytes() for k, v in tensors.items()}, record, model, table


@pytest.mark.timeout(900)
def test_killed_at_random_moments(tmp_path: Path, worker: Worker) -> None:
    whole, seconds = {}, {}
    for variant in range(len(VARIANTS)):
        folder = tmp_path / f"whole{variant}"
        ended = worker.give(folder=str(folder), variant=variant)
        assert ended["code"] == 0
        whole[variant], seconds[variant] = result(folder), ended["seconds"]
    source = np.random.default_rng()
    runs, kills, torn, unstarted = count(6, 200), 0, 0, 0
    for number in range(runs):
        variant = number % len(VARIANTS)
        folder = tmp_path / f"run{number}"
        # Until one kill has hit: the time that a run takes varies with what else the machine does.
        killed, moments = 0, []
        while not killed:
            moments.append(float(source.uniform(0.0, 0.9 * seconds[variant])))
            killed = (
                worker.give(folder=str(folder), variant=variant, after=moments[-1])["code"]
                == -signal.SIGKILL
            )
            if not killed:
                shutil.rmtree(folder)
        kills += killed
        torn += any(".writing" in path.name for path in folder.glob(".*"))
        unstarted += not (folder / CHECKPOINT_FILE).exists()
        if (folder / CHECKPOINT_FILE).exists():
            read_tensors(folder / CHECKPOINT_FILE)
        assert worker.give(folder=str(folder), variant=variant)["code"] == 0, moments
        assert result(folder) == whole[variant], f"variant {variant}, killed after {moments} s"
        assert not list(folder.glob("*.writing")), moments
        assert not list(folder.glob(".*.writing")), moments
        shutil.rmtree(folder)
    say(
        f"{kills} runs killed with -9, {torn} of them while a file was written, {unstarted} before "
        "their first checkpoint: all went on to the same bits"
    )


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "nnscratch", *map(str, arguments)]


def start(*arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=_heed_interrupts,
    )  # fmt: skip


def _heed_interrupts() -> None:
    """Undo what a shell does to a job in the background: it, and all its children, ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


LONG_RUN = ["digits", "--hidden", "8", "--epochs", "4000", "--schedule", "constant", "--quiet"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_command_line(tmp_path: Path, number: int, code: int) -> None:
    folder = tmp_path / "a run"
    process = start("train", *LONG_RUN, "--run", folder)
    wait_for(folder / CHECKPOINT_FILE, process)
    # Another process that wants the same folder gets one clear line.
    second = start("train", *LONG_RUN, "--run", folder, "--overwrite")
    _, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"another process (process {process.pid}) is training into this run folder" in said
    assert said.count("\n") == 1
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said.count("\n") == 1
    assert "Traceback" not in said
    again = shlex.split(said.partition("go on with: ")[2])
    assert again == ["nnscratch", "train", "--resume", "--run", str(folder)]
    _, metadata = read_tensors(folder / CHECKPOINT_FILE)
    done = json.loads(metadata["nnscratch"])
    # Every epoch that was finished is in the checkpoint.
    assert len(History(done["history"])) == done["epoch"] >= 1
    assert not list(folder.glob(".*.writing"))


def test_a_signal_before_training_begins(tmp_path: Path) -> None:
    process = start("train", *LONG_RUN, "--run", tmp_path / "run")
    wait_for(tmp_path / "run", process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.count("\n") == 1


class Break(Callback):
    """Writes a checkpoint after so many batches, and breaks off."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_batch_end(self, trainer: Any) -> None:
        self.left -= 1
        if self.left == 0:
            trainer.save(trainer.checkpoint_path)
            raise ZeroDivisionError


SCHEDULES = ["plateau", "constant", "cosine", "one_cycle", "warmup", "step", "exponential"]


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name in choices.SCHEDULES])
def test_broken_off_in_the_first_epoch(tmp_path: Path, schedule: str) -> None:
    options = {"scheduler": schedule, "optimizer": "adam", "compile": False}
    whole = trainer(**options)
    expected = figures(whole.fit(TRAIN, 3, validation=VALIDATION, batch_size=8))
    # A schedule has seen no epoch yet: the best so far of "plateau" is infinite.
    for batches in (3, 10):
        folder = tmp_path / str(batches)
        with pytest.raises(ZeroDivisionError):
            trainer(run_dir=folder, callbacks=[Break(batches)], **options).fit(
                TRAIN, 3, validation=VALIDATION, batch_size=8
            )
        resumed = trainer(run_dir=folder, **options)
        found = resumed.fit(TRAIN, 3, validation=VALIDATION, batch_size=8, resume=True)
        assert figures(found) == expected
        assert weights(resumed.model) == weights(whole.model)
