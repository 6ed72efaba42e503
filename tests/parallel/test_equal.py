"""Several ranks train what one process trains, and with shards to the same bits."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

from many_ranks import configurations, job, train

SHARDED = ("dropout", "compiled groups", "ignored groups", "few rows", "norm")


@cache
def _alone(name: str, shards: int | None = None) -> dict[str, Any]:
    return train(name, shards=shards)


def _close(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(found, float):
        return math.isclose(found, expected, rel_tol=tolerance, abs_tol=1e-7)
    return bool(found == expected)


def test_ranks_train_what_one_process_trains(tmp_path: Path) -> None:
    # A batch norm has the mean and variance of its rank's rows, as in PyTorch.
    names = [name for name in configurations() if name != "norm"]
    done = job(3, "equal", tmp_path, names=names)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "found.json").read_text())
    wrong = {}
    for name in names:
        for row, expected in zip(found[name]["rows"], _alone(name)["rows"], strict=True):
            tolerance = 1e-6
            bad = {k: (row[k], v) for k, v in expected.items() if not _close(row[k], v, tolerance)}
            if bad:
                wrong[name] = bad
                break
    assert not wrong


def test_shards_give_one_hash_on_any_number_of_ranks(tmp_path: Path) -> None:
    for ranks in (2, 4):
        done = job(ranks, "equal", tmp_path, names=list(SHARDED), shards=4)
        assert done.code == 0, done.err
        found = json.loads((tmp_path / "found.json").read_text())
        assert found == {name: _alone(name, 4) for name in SHARDED}


def test_sums_are_those_of_the_tree(tmp_path: Path) -> None:
    done = job(5, "sums", tmp_path)
    assert done.code == 0, done.err
    # Several processes write: their lines may run into one another.
    assert all(done.out.count(f"rank {n} of 5") == 1 for n in range(5)), done.out
