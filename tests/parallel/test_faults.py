"""What happens to a job of which one rank fails: all are gone, and it is said why."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import many_ranks
import pytest
from many_ranks import job

from nnscratch.train.files import run_folder

NOT_COME = "nnscratch: rank 1 did not come to step 5 within 1.5 s, where rank 0 wait"
DEATHS = {
    "kill": "",
    "raise": "ValueError: raised on purpose",
    "exit": NOT_COME,
    "stop": NOT_COME,
}


@pytest.mark.parametrize("fault", DEATHS)
def test_a_rank_that_fails_ends_all(fault: str, tmp_path: Path) -> None:
    done = job(2, "fit", tmp_path, fault=fault)
    # ``job`` sees to it that no rank and no shared memory is left.
    assert done.code != 0
    assert DEATHS[fault] in done.err
    if fault == "raise":
        # Open MPI's launcher adds a report of its own, between two lines.
        said = done.err.partition("-" * 70)[0].strip("\0 \n")
        assert said.splitlines()[-1] == DEATHS[fault]
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert not (tmp_path / "fitted.json").exists()


# Row 30 is in the second batch, in the half of rank 1.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"different": "seed"}, "ConfigurationError: rank 1 has other seed than rank 0"),
    "versions": (
        {"different": "versions"},
        "rank 1 has other versions than rank 0 (nnscratch 0.0, NumPy",
    ),
    "settings": ({"different": "settings"}, "rank 1 has other settings than rank 0"),
    "data": ({"different": "data"}, "rank 1 has other data than rank 0"),
    "weights": ({"different": "weights"}, "rank 1 has other weights than rank 0"),
    "folder": ({"different": "folder"}, "rank 1 does not see what rank 0 writes"),
    "gradient": ({"different": "gradient"}, "gradients of other parameters ('other.bias' on one"),
    "loss": ({"loss": "l1"}, "ShapeError: the outputs (N, 3) and the targets (N,) do not fit"),
    "locked": ({}, "is training into this run folder; wait for it"),
    "shards": ({"shards": 1}, "shards=1 cannot be divided among 2 ranks: start 1 of them"),
    "odd shards": ({"shards": 6}, "shards must be a power of two (1, 2, 4, 8, ...), got 6"),
    "nan": ({"nan": 30}, "NonFiniteError: rank 1: training stopped at step 2 (epoch 1)"),
    # Row 24 is in the first of the two parts of rank 1, row 10 in the first batch of its group.
    "part": ({"nan": 24, "shards": 4}, "rank 1: training stopped at step 2 (epoch 1)"),
    "compiled part": (
        {"nan": 24, "shards": 4, "compile": True},
        "rank 1: training stopped at step 2 (epoch 1): the loss is not finite; it began in the "
        "inputs of the batch have 6 of 24 values",
    ),
    "group": ({"nan": 10, "accumulate": 2}, "rank 1: training stopped at step 1 (epoch 1)"),
    "compiled group": (
        {"nan": 10, "accumulate": 2, "compile": True},
        "rank 1: training stopped at step 1 (epoch 1): the loss is not finite; it began in the "
        "inputs of the batch have 6 of 48 values",
    ),
    "compiled nan": ({"nan": 30, "compile": True}, "the inputs of the batch have 6 of 48 values"),
}


def test_all_ranks_raise_the_same_error(tmp_path: Path) -> None:
    cases = {name: {"deadline": 60.0, **options} for name, (options, _) in REFUSED.items()}
    with run_folder(tmp_path / "locked" / "run"):
        done = job(2, "errors", tmp_path, cases=cases)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "errors.json").read_text())
    assert list(found) == list(REFUSED)
    for name, (_, expected) in REFUSED.items():
        assert expected in found[name][0], name
        assert found[name][0] == found[name][1].replace("run-1:", "run:"), name


def test_sigterm_to_one_rank_stops_all_and_a_resumed_run_has_the_same_bits(
    tmp_path: Path,
) -> None:
    done = job(2, "fit", tmp_path, fault="term", step=2, shards=4, deadline=60.0)
    assert done.code == 128 + signal.SIGTERM, done.err
    # It was told to the others with the gradients of the step that came next.
    assert "training was interrupted in epoch 1 after batch 3" in done.err
    resumed = many_ranks.fit(tmp_path, resume=True, shards=4)
    assert resumed == many_ranks.fit(tmp_path, run="quiet", shards=4)
