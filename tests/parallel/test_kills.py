"""Kills at random steps, each followed by a start with another number of ranks: the same bits.

Ten here, a hundred in ``make test-many``, which also has 8 ranks and Open MPI:

    NNSCRATCH_KILLS=100 python -m pytest -n 0 tests/parallel/test_kills.py
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import many_ranks
import pytest
from many_ranks import job

KILLS = int(os.environ.get("NNSCRATCH_KILLS", "10"))
SEED = int(os.environ.get("NNSCRATCH_KILLS_SEED", "0"))
STEPS, A_RUN = 15, 10
"""How many steps a run has, and how often it is killed at most."""
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"shard_optimizer": True, "clip_norm": 0.5},
    {"compile": True, "accumulate": 2},
    {"compile": True, "shard_optimizer": True, "optimizer": "sgd"},
)


@pytest.mark.parametrize("run", range(-(-KILLS // A_RUN)))
def test_a_run_that_is_killed_at_random_steps_ends_with_the_bits_of_a_quiet_one(
    run: int, tmp_path: Path
) -> None:
    rng = random.Random(SEED + run)
    options = {"shards": 8, "resume": True, **OPTIONS[run % len(OPTIONS)]}
    # In ``make test`` most starts are of one rank: two processors have other tests to run.
    numbers = (1, 2, 4, 8) if KILLS > A_RUN else (1, 1, 1, 2, 4)
    steps = sorted(rng.sample(range(1, STEPS), min(A_RUN, KILLS - A_RUN * run)))
    killed = []
    for step in steps:
        ranks = rng.choice(numbers)
        killed.append((step, ranks, rng.randrange(ranks)))
        done = job(ranks, "fit", tmp_path, fault="kill", rank=killed[-1][2], step=step,
                   deadline=120.0, **options)  # fmt: skip
        assert done.code != 0, killed
        assert not (tmp_path / "fitted.json").exists(), killed
        assert "Error" not in done.err, (killed, done.err)
    last = many_ranks.fit(tmp_path, **options)
    assert last == many_ranks.fit(tmp_path, run="quiet", **options), killed
