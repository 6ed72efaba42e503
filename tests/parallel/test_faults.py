"""What happens to a job of which one rank fails: all are gone, and it is said why."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import many_ranks
import pytest
from many_ranks import job

DEATHS = {
    "kill": "",
    "crash": "",
    "raise": "ValueError: raised on purpose",
    "exit": "rank 1 did not come to step 5 within 1.5 s, where rank 0 wait",
    "stop": "rank 1 did not come to step 5 within 1.5 s, where rank 0 wait",
    "stuck": "rank 1 did not come to step 5 within 1.5 s, where rank 0 wait",
}


@pytest.mark.parametrize("fault", DEATHS)
def test_a_rank_that_fails_ends_all(fault: str, tmp_path: Path) -> None:
    done = job(2, "fit", tmp_path, fault=fault, rank=1, step=4)
    # ``job`` sees to it that no rank and no shared memory is left.
    assert done.code != 0
    assert DEATHS[fault] in done.err
    if fault == "raise":
        assert done.err.strip().splitlines()[-1] == DEATHS[fault]
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("compile", [False, True])
def test_a_nan_on_one_rank_is_an_error_on_all(compile: bool, tmp_path: Path) -> None:
    # Row 30 is in the second batch, in the half of rank 1.
    done = job(2, "fit", tmp_path, nan=30, compile=compile)
    assert done.code == 1
    (line,) = [one for one in done.err.splitlines() if "NonFiniteError" in one]
    assert "rank 1: training stopped at step 2 (epoch 1)" in line
    assert "the inputs of the batch have 6 of 48 values NaN or infinite" in line


DIFFERENT = {
    "seed": "rank 1 has other seed than rank 0",
    "settings": "rank 1 has other settings than rank 0",
    "data": "rank 1 has other data than rank 0",
    "weights": "rank 1 has other weights than rank 0",
    "folder": "rank 1 does not see what rank 0 writes into the run folder",
    "gradient": "have gradients of other parameters ('other.bias' on one of them only)",
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_rank_that_is_different_is_named(what: str, tmp_path: Path) -> None:
    done = job(2, "fit", tmp_path, different=what, rank=1, deadline=30.0)
    assert done.code == 1
    assert DIFFERENT[what] in done.err
    assert done.err.count("Traceback") == 1, done.err


def test_sigterm_saves_within_the_batch_and_a_resumed_run_has_the_same_bits(
    tmp_path: Path,
) -> None:
    def end(process: subprocess.Popen[str]) -> None:
        until = time.monotonic() + many_ranks.LIMIT
        while not (tmp_path / "going").exists() and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGTERM)  # mpiexec hands it on

    options: dict[str, Any] = {"shards": 4, "deadline": 30.0}
    from nnscratch.parallel.starting import mpiexec

    command = [mpiexec(), "-n", "2", many_ranks.sys.executable, str(many_ranks.WORKER), "fit"]
    given = many_ranks.json.dumps({**options, "slow": 0.1})
    done = many_ranks.started([*command, str(tmp_path), given], tmp_path, end)
    assert done.code == 128 + signal.SIGTERM, done.err
    assert "training was interrupted in epoch 1 after batch" in done.err
    resumed = job(1, "fit", tmp_path, resume=True, **options)
    quiet = job(2, "fit", tmp_path, run="quiet", **options)
    assert resumed.code == quiet.code == 0, resumed.err + quiet.err
    assert resumed.out == quiet.out


def test_ten_kills_end_with_the_bits_of_a_quiet_run(tmp_path: Path) -> None:
    steps = [2, 3, 5, 6, 7, 9, 10, 11, 12, 14]
    for number, step in enumerate(steps):
        ranks = (2, 4, 1)[number % 3]
        done = job(ranks, "fit", tmp_path, fault="kill", rank=number % ranks, step=step,
                   resume=True, shards=4, deadline=30.0)  # fmt: skip
        assert done.code != 0
    last = job(2, "fit", tmp_path, resume=True, shards=4, deadline=30.0)
    quiet = job(1, "fit", tmp_path, run="quiet", shards=4, deadline=30.0)
    assert last.code == quiet.code == 0, last.err + quiet.err
    assert last.out == quiet.out
