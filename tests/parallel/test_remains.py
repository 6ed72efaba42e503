"""Ranks that do not come together when MPI starts, and what a job that dies there leaves."""

from __future__ import annotations

import mmap
import os
import sys
import time
from pathlib import Path

from many_ranks import job, started

from nnscratch.parallel.remains import stale_segments
from nnscratch.parallel.starting import mpiexec

# Rank 1 takes away the name of what rank 0 has mapped, which ends before it could.
ALONE = """
import os, pathlib, sys, time
import nnscratch.parallel
from nnscratch.parallel.remains import _SHARED, _mapped
sys.modules["nnscratch.parallel.world"].DEADLINE = 1.0
place = pathlib.Path(sys.argv[1])
if os.environ["PMI_RANK"] == "1":
    while not place.exists():
        time.sleep(0.01)
    while not (left := _mapped(place.read_text(), _SHARED)):
        time.sleep(0.01)
    for path in left:
        os.unlink(path)
    time.sleep(60.0)
place.with_suffix(".new").write_text(str(os.getpid()))
place.with_suffix(".new").rename(place)
nnscratch.parallel.world()
"""


def _of_an_hour_ago(path: Path) -> Path:
    path.write_bytes(b"0" * 4096)
    then = time.time() - 3600.0
    os.utime(path, (then, then))
    return path


def test_a_rank_that_does_not_come_to_the_start_ends_all(tmp_path: Path) -> None:
    began = time.monotonic()
    done = started(
        [mpiexec(), "-n", "2", sys.executable, "-c", ALONE, str(tmp_path / "pid")], tmp_path
    )
    assert done.code != 0
    assert "Timeout (0:00:01)!" in done.err
    assert "in come_together" in done.err
    assert time.monotonic() - began < 50.0


def test_shared_memory_that_nobody_has_mapped_is_stale(tmp_path: Path) -> None:
    left = [_of_an_hour_ago(tmp_path / name) for name in ("mpich_shm_1_0", "sm_segment.vm.0.1")]
    _of_an_hour_ago(tmp_path / "of_another_program")
    (tmp_path / "mpich_shm_3_0").touch()  # perhaps of a job that starts
    with (
        _of_an_hour_ago(tmp_path / "mpich_shm_2_0").open("r+b") as used,
        mmap.mmap(used.fileno(), 0),
    ):
        assert stale_segments(tmp_path) == [str(path) for path in left]


def test_a_job_removes_what_dead_ones_have_left(tmp_path: Path) -> None:
    left = _of_an_hour_ago(Path(f"/dev/shm/mpich_shm_left_{os.getpid()}_0"))
    try:
        assert job(2, "sums", tmp_path).code == 0
        assert not left.exists()
    finally:
        left.unlink(missing_ok=True)
