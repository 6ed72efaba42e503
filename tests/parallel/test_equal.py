"""Several ranks train what one process trains, and with shards to the same bits."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import many_ranks
import numpy as np
from many_ranks import configurations, job, train

from nnscratch.parallel.rows import divided, own_parts

SHARDED = (
    "dropout", "compiled groups", "ignored groups", "few rows", "norm", "noise", "spectral",
    "old spectral", "noisy net", "group later", "few counted", "nll ignored",
)  # fmt: skip


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
        for name in SHARDED:
            alone = _alone(name, 4)
            assert found[name]["rows"] == alone["rows"], name
            assert found[name]["sha"] == alone["sha"], name


def test_each_rank_takes_its_own_rows_of_each_batch_and_no_others(tmp_path: Path) -> None:
    # Equal losses would come as well of ranks that each take all rows.
    for ranks, shards in ((3, None), (2, 4)):
        done = job(ranks, "equal", tmp_path, names=["groups"], shards=shards)
        assert done.code == 0, done.err
        found = json.loads((tmp_path / "found.json").read_text())["groups"]["taken"]
        for rank, taken in enumerate(found):
            assert taken[:2] == [2, 3]  # to see which random numbers are drawn for rows
            # 71 rows in batches of 16. Two rows stand in for none, and count for nothing.
            expected = [
                part.rows or 2
                for total in (16, 16, 16, 16, 7)
                for part in own_parts(total, rank, ranks, shards, together=1)
            ]
            assert taken[2:] == expected * 8


def test_a_batch_norm_has_the_statistics_of_a_rank_and_averages_them_by_rows(
    tmp_path: Path,
) -> None:
    X, _ = many_ranks._data("classes")
    for ranks, shards in ((3, None), (2, 4)):
        done = job(ranks, "norm", tmp_path, shards=shards)
        assert done.code == 0, done.err
        parts = [X[a.start : a.stop] for a in divided(71, shards or ranks, together=2)]
        mean = sum(part.mean(0) * len(part) for part in parts) / 71
        variance = sum(part.var(0, ddof=1) * len(part) for part in parts) / 71
        np.testing.assert_allclose(mean, X.mean(0), 1e-5, 1e-6)
        for found in json.loads((tmp_path / "norm.json").read_text()):
            np.testing.assert_allclose(found[0], mean, 1e-5, 1e-6)
            np.testing.assert_allclose(found[1], variance, 1e-5)
            assert found[2] == 1


def test_sums_are_those_of_the_tree(tmp_path: Path) -> None:
    done = job(5, "sums", tmp_path)
    assert done.code == 0, done.err
    # Several processes write: their lines may run into one another.
    assert all(done.out.count(f"rank {n} of 5") == 1 for n in range(5)), done.out
