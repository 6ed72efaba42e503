"""Several ranks, each on a GPU that the CPU plays, with NCCL played by MPI."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import many_ranks
import pytest
from many_ranks import job

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("counts")]
NAMES = ("dropout", "compiled groups", "norm", "float64", "spectral")


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ranks have such GPUs too."""
    monkeypatch.setenv("EMULATED_GPU", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


@pytest.mark.parametrize("shards", [None, 4])
def test_ranks_on_gpus_train_what_one_process_trains(shards: int | None, tmp_path: Path) -> None:
    names = [name for name in NAMES if shards or name != "norm"]
    done = job(2, "on_gpus", tmp_path, names=names, shards=shards)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "gpus.json").read_text())
    for name in names:
        alone = many_ranks.train(name, shards=shards, device="cuda")
        one = found[name]
        assert one["devices"] == ["cuda:0", "cuda:1"]
        if shards:
            assert (one["sha"], one["rows"]) == (alone["sha"], alone["rows"]), name
        else:
            for row, expected in zip(one["rows"], alone["rows"], strict=True):
                assert row == pytest.approx(expected, 1e-5, 1e-6), name
        kinds = {call[0] for call in one["calls"]}
        assert kinds <= {"init", "send", "recv", "allReduce", "check_async_error"}
        # A sum a step, of float32 or of float64.
        sums = [call for call in one["calls"] if call[0] == ("send" if shards else "allReduce")]
        assert len(sums) == one["steps"], name
        assert {call[2] for call in sums} == {8 if name == "float64" else 7}


def test_what_cannot_be_had_on_gpus_is_said_by_all(tmp_path: Path) -> None:
    cases: dict[str, dict[str, Any]] = {
        "twice": {"device": "cuda:0"},
        "divided": {"device": "cuda", "shard_optimizer": True},
        "rounded": {"device": "cuda", "wire": "bfloat16"},
    }
    cases = {name: {"deadline": 60.0, **one} for name, one in cases.items()}
    done = job(2, "errors", tmp_path, cases=cases)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "errors.json").read_text())
    expected = {
        "twice": "DeviceError: rank 0 and rank 1 are both on 0000:00:00.0 of",
        "divided": "ConfigurationError: shard_optimizer=True is for ranks on CPUs only",
        "rounded": "ConfigurationError: wire='bfloat16' is for ranks on CPUs only",
    }
    for name, text in expected.items():
        assert all(said.startswith(text) for said in found[name]), found[name]


def test_a_rank_that_does_not_come_is_named(tmp_path: Path) -> None:
    # Longer than the kernels of a step take to be compiled for a GPU that the CPU plays.
    done = job(2, "fit", tmp_path, fault="stop", device="cuda", deadline=30.0)
    assert done.code != 0
    assert "rank 1 did not come to step 5 within 30 s, where rank 0 wait" in done.err
