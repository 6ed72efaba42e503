"""Ranks that die where the others go on: with shards, to the bits of a quiet run.

By a switchboard that plays Open MPI's ULFM here; in ``make test-many`` also by Open MPI itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import many_ranks
import pytest
from many_ranks import job
from switchboard import switched_job

from nnscratch.errors import ConfigurationError
from nnscratch.parallel import World
from nnscratch.parallel.starting import mpiexec, surviving

OPEN_MPI = "NNSCRATCH_MPIEXEC" in os.environ
"""Whether the launcher is another than MPICH's, as in ``make test-many``."""
KILLED: dict[str, tuple[int, list[tuple[int, int, str]], dict[str, Any]]] = {
    "one": (3, [(1, 6, "batch")], {"name": "dropout"}),
    "compiled groups": (4, [(0, 5, "batch"), (3, 12, "agree")], {"name": "compiled groups"}),
    "all but one": (
        4,
        [(2, 4, "agree"), (0, 13, "agreed"), (1, 20, "judging")],
        {"name": "few counted"},
    ),
    "norm": (4, [(0, 10, "epoch"), (2, 16, "agreed")], {"name": "norm"}),
    "buffers": (4, [(3, 7, "agree"), (0, 15, "judging")], {"name": "spectral", "shards": 8}),
    "numbers": (2, [(0, 17, "agree")], {"name": "noisy net"}),
    "wire": (4, [(1, 3, "agree"), (0, 9, "batch")], {"name": "groups", "wire": "bfloat16"}),
    "at once": (4, [(1, 8, "batch"), (2, 8, "batch")], {"name": "ignored groups"}),
    "by parameter": (4, [(1, 8, "agree")], {"name": "few counted, by parameter"}),
}

# In ``make test`` those that differ most: two processors have other tests to run.
MOST = ("one", "compiled groups", "all but one", "norm", "at once")


def run(ranks: int, scenario: str, folder: Path, **options: Any) -> tuple[bool, str]:
    """Run a scenario with ranks that go on; say whether it has ended well, and what was said."""
    if OPEN_MPI:
        done = job(ranks, scenario, folder, going=True, **options)
        return done.code == 0, done.err
    places = (many_ranks.WORKER.parents[1], many_ranks.WORKER.parents[2])
    environment = {
        **os.environ,
        "NNSCRATCH_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(map(str, places)),
    }
    command = ["-W", "error", str(many_ranks.WORKER), scenario, str(folder), json.dumps(options)]
    codes, said = switched_job(ranks, command, folder, environment, many_ranks.LIMIT)
    return set(codes) <= {0, -signal.SIGKILL}, said


@pytest.mark.parametrize("case", KILLED if OPEN_MPI else MOST)
def test_those_that_are_left_end_with_the_bits_of_a_quiet_run(case: str, tmp_path: Path) -> None:
    ranks, kills, options = KILLED[case]
    options = {"shards": 4 if ranks != 3 else None, "epochs": 4, **options}
    well, said = run(ranks, "left", tmp_path, kills=kills, deadline=60.0, **options)
    assert well, said
    found = json.loads((tmp_path / "left.json").read_text())
    quiet = many_ranks.train(**options)
    assert found["left"] == ranks - len(kills)
    if options["shards"] is None:
        for row, expected in zip(found["rows"], quiet["rows"], strict=True):
            assert row == pytest.approx(expected, 1e-5)
    else:
        assert found["sha"] == quiet["sha"]
        assert found["rows"] == quiet["rows"]
    for rank, _, _ in kills:
        assert str(rank) in "".join(line for line in said.splitlines() if " lost at " in line)
    assert said.count(" lost at ") == (1 if case == "at once" else len(kills))


def test_whoever_is_first_now_writes_the_files(tmp_path: Path) -> None:
    options: dict[str, Any] = {"shards": 4, "deadline": 60.0}
    quiet = many_ranks.fit(tmp_path, run="quiet", **options)
    # In the middle, and after the last epoch, when its checkpoint is due.
    for step, place in ((7, "batch"), (15, "epoch")):
        folder = tmp_path / place
        folder.mkdir()
        well, said = run(4, "fit", folder, kills=[(0, step, place)], **options)
        assert well, said
        assert tuple(json.loads((folder / "fitted.json").read_text())) == quiet
        history = (folder / "run" / "history.csv").read_text()
        assert history.count("\n") == (tmp_path / "quiet" / "history.csv").read_text().count("\n")
        # It is the whole run: there is nothing to do for whoever goes on from its checkpoint.
        assert many_ranks.fit(folder, resume=True, **options) == quiet


def test_with_the_state_divided_a_death_ends_all_and_it_is_said_why(tmp_path: Path) -> None:
    well, said = run(3, "left", tmp_path, name="dropout", kills=[(1, 6, "batch")],
                     shard_optimizer=True, deadline=60.0)  # fmt: skip
    assert not well
    assert not (tmp_path / "left.json").exists()
    if OPEN_MPI:  # the switchboard does not divide the state
        assert "another rank has ended" in said
        assert "its part of the optimizer's state (shard_optimizer) is lost with it" in said


def test_a_launcher_that_cannot_go_on_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--go-on needs Open MPI with fault tolerance"):
        surviving(sys.executable)
    if not OPEN_MPI:
        with pytest.raises(ConfigurationError, match="or leave --go-on out"):
            surviving(mpiexec())


def test_a_process_alone_has_nobody_to_lose() -> None:
    assert World().survival is None
