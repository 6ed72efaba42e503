"""The launcher: which ranks it starts, and what it does when they die; and bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import many_ranks
import numpy as np
import pytest
from many_ranks import started

from nnscratch.array import Generator
from nnscratch.array.philox import uniform
from nnscratch.array.random import row_scope
from nnscratch.data import DataLoader, TensorDataset
from nnscratch.errors import ConfigurationError
from nnscratch.parallel import World, world
from nnscratch.parallel.inquiring import report
from nnscratch.parallel.launched import launched, narrowed, strangers, two_mpis
from nnscratch.parallel.rows import divided, own_parts
from nnscratch.parallel.starting import mpiexec, parsed_ranks, run_until_done, sizes
from nnscratch.train import Trainer, team

# A rank that dies as often as it is told to, and writes down how many there were.
DYING = """
import os, pathlib, sys, json
from nnscratch.parallel import world
here, place = world(), pathlib.Path(sys.argv[1])
if here.leads:
    starts = json.loads(place.read_text()) if place.exists() else []
    place.write_text(json.dumps([*starts, here.size]))
    died = len(starts) < int(sys.argv[2])
else:
    died = False
if here.from_first(died):
    here.leave(9)
"""


def test_a_job_that_dies_is_started_again_with_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(many_ranks.WORKER.parents[2]))
    place, said = tmp_path / "starts.json", list[str]()
    command = [sys.executable, "-c", DYING, str(place), "1"]
    code = run_until_done(command, lambda: command, lambda: None, [2, 1], 3, said.append)
    # It has got nowhere, so that what it lacks may be a machine: one rank fewer.
    assert code == 0
    assert json.loads(place.read_text()) == [2, 1]
    assert said == ["the job has died (exit code 9); start 1 of 3 again, with 1 ranks"]


LEAVING = """
import os, pathlib, sys
from nnscratch.parallel import world
place, here = pathlib.Path(sys.argv[1]), world()
first = here.from_first(not place.exists())
if here.rank == 1 and first:
    place.touch()
    os._exit(0)
here.barrier()
if here.leads:
    place.with_suffix(".done").touch()
"""


def test_a_rank_that_leaves_as_though_it_were_done_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(many_ranks.WORKER.parents[2]))
    place, said = tmp_path / "left", list[str]()
    command = [sys.executable, "-c", LEAVING, str(place)]
    done = place.with_suffix(".done").exists
    code = run_until_done(command, lambda: command, lambda: None, [2], 1, said.append, done)
    assert (code, len(said)) == (0, 1)
    assert said[0].startswith("the job has died (exit code 1); start 1 of 1 again")


def test_the_command_line_trains_with_ranks(tmp_path: Path) -> None:
    base = [sys.executable, "-m", "nnscratch", "train", "digits", "--epochs", "1", "--shards", "2"]
    folder = tmp_path / "run"
    done = started([*base, "--run", str(folder), "--ranks", "2", "--no-compile"], tmp_path)
    assert done.code == 0, done.err
    assert done.out.count("Test accuracy") == 1
    assert (folder / "model.safetensors").exists()
    # What is wrong is said once, by rank 0, and the code is that of one process.
    again = [mpiexec(), "-n", "2", *base, "--run", str(folder)]
    refused = started(again, tmp_path)
    assert refused.code == 2
    (line,) = [one for one in refused.err.splitlines() if one.startswith("nnscratch:")]
    assert "there is a run in this folder already" in line


def test_ranks_are_parsed() -> None:
    assert parsed_ranks("2:4") == (2, 4)
    assert sizes(1, 4, None) == [4, 3, 2, 1]
    assert sizes(2, 6, 8) == [4, 2]
    for text in ("", "two", "0", "4:2", "2:", ":2", "-1", "1.5", "²", "1:9999999999"):
        with pytest.raises(ConfigurationError, match="--ranks"):
            parsed_ranks(text)
    with pytest.raises(ConfigurationError, match="among 5 to 7 ranks: start 1, 2, 4, 8 of them"):
        sizes(5, 7, 8)
    with pytest.raises(ConfigurationError, match="shards=4 cannot be divided among 3 ranks: start"):
        sizes(3, 3, 4)


def test_a_launcher_is_known_by_what_it_leaves() -> None:
    assert launched({}) is None
    assert launched({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) is None  # a batch script
    openmpi = launched({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3", "PMIX_RANK": "2"})
    assert openmpi is not None
    assert openmpi[1:] == (2, 3)
    with pytest.raises(ConfigurationError, match="srun --mpi=pmi2"):
        launched({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4"})


BROKEN = "import sys; sys.modules['mpi4py'] = None; from nnscratch.parallel import world; world()"
TWO_MPIS = "from nnscratch.parallel import world; world()"


@pytest.mark.parametrize(
    ("program", "launcher", "said"),
    [
        (BROKEN, "OMPI_COMM_WORLD", "this is rank 0 of 3, started by mpirun of Open MPI"),
        # Before MPICH is initialised, which would end the process with an error of its own.
        (TWO_MPIS, "OMPI_COMM_WORLD", "does not know it: launcher and library are of two MPIs"),
        (TWO_MPIS, "MV2_COMM_WORLD", "sees 1: launcher and library are of two MPIs"),
    ],
)
def test_what_is_missing_under_a_launcher_is_said(
    program: str, launcher: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As another MPI's launcher would start this one's library.
    monkeypatch.setenv(f"{launcher}_RANK", "0")
    monkeypatch.setenv(f"{launcher}_SIZE", "3")
    done = started([sys.executable, "-c", program], tmp_path)
    assert done.code == 1
    last = done.err.strip().splitlines()[-1]
    assert said in last
    assert "nnscratch" in last


def test_a_library_that_a_launcher_does_not_know_is_known_beforehand() -> None:
    hydra, openmpi = "mpiexec (PMI)", "mpirun of Open MPI"
    assert strangers(hydra, "Open MPI v5.0.11, package: ...")
    # Slurm's PMI has the same variables, and is for Open MPI too.
    slurm = launched({"PMI_RANK": "0", "PMI_SIZE": "2", "SLURM_PROCID": "0"})
    assert slurm is not None
    assert not strangers(slurm.launcher, "Open MPI v4.1.8")
    assert "Start with srun --mpi=pmi2" in str(two_mpis(slurm, "Open MPI v5.0.11", "sees 1"))
    built = "MPICH Version: 5.0.2\nMPICH configure: --with-device=ch4:ucx,ofi"
    assert strangers("PMIx", built)
    assert not strangers("PMIx", f"{built} --with-pmix=/usr")
    assert not strangers("PMIx", "Open MPI v5.0.11")
    assert strangers(openmpi, "Intel(R) MPI Library 2021.14 for Linux* OS")
    assert not strangers(openmpi, "Open MPI v5.0.11")
    assert not strangers(hydra, "Intel(R) MPI Library 2021.14 for Linux* OS")


def test_between_nodes_of_slurm_mpich_is_told_to_use_short_addresses() -> None:
    both = "MPICH Version: 5.0.2\nMPICH Device:       ch4:ucx ofi\n"
    under = {"PMI_RANK": "0", "SLURM_PROCID": "0", "SLURM_STEP_NUM_NODES": "2"}
    assert narrowed(both, under) == {"MPIR_CVAR_CH4_NETMOD": "ofi"}
    assert not narrowed(both, under | {"SLURM_STEP_NUM_NODES": "1"})
    assert not narrowed(both, under | {"MPI_LOCALRANKID": "0"})  # mpiexec in a batch script
    assert not narrowed(both, under | {"MPICH_CH4_NETMOD": "ucx"})
    assert not narrowed(both, {"PMI_RANK": "0"})
    for device in ("ch4:ucx", "ch4:ofi", "ch3:nemesis"):
        assert not narrowed(f"MPICH Device: {device}", under)


def test_one_number_that_differs_among_many_rows_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(row: int) -> str:
        X = np.zeros((5000, 3), np.float32)
        X[row, 2] = 1.0
        return team._digest_of_data(DataLoader(TensorDataset(X, np.zeros(5000, np.int64)), 10))

    assert len({digest(row) for row in range(100)}) == 100
    # Of more than that, every fifth row.
    monkeypatch.setattr(team, "_BYTES_COMPARED", 25_000)
    assert len({digest(row) for row in range(20)}) == 5


def test_without_a_launcher_mpi_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np, nnscratch; from nnscratch import nn; from nnscratch.train import "
        "fit; fit(nn.Linear(2, 1), (np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)), 1); "
        "print(nnscratch.parallel.world().size, 'mpi4py' in sys.modules)"
    )
    done = started([sys.executable, "-c", program], tmp_path)
    assert (done.code, done.out.split()) == (0, ["1", "False"]), done.err


def test_a_world_of_one_talks_to_itself() -> None:
    here = world()
    assert (here.rank, here.size, here.leads) == (0, 1, True)
    array = np.arange(3.0)
    here.add_up(array)
    here.barrier()
    assert array.tolist() == [0.0, 1.0, 2.0]
    assert World().gather("item") == ["item"]


@pytest.mark.parametrize("together", [1, 2, 4])
def test_rows_are_shared_out_evenly_by_as_many_as_stay_together(together: int) -> None:
    for total in (*range(1, 40), 100, 203):
        for parts in (1, 2, 3, 4, 8):
            found = divided(total, parts, together)
            assert [one.start for one in found[1:]] == [one.stop for one in found[:-1]]
            assert (found[0].start, found[-1].stop) == (0, total)
            assert all(one.start % together == 0 for one in found if one.rows)
            assert together == 1 or total == 1 or all(one.rows != 1 for one in found)
            sizes = [one.rows for one in found]
            assert max(sizes) - min(sizes) <= (1 if together == 1 else 2 * together + 1)
    # The same shards for any number of ranks.
    whole = own_parts(50, 0, 1, 8, together)
    assert whole == [one for rank in range(4) for one in own_parts(50, rank, 4, 8, together)]


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_draw_what_the_whole_batch_draws(kind: str, dtype: str) -> None:
    from nnscratch.array.philox import normal

    make: Any = uniform if kind == "uniform" else normal
    for total in (3, 8, 22):
        for each in (1, 3, 5):
            generator = Generator(5)
            seed, offset = generator.reserve(kind, total * each, dtype)
            whole = make(np, (total, each), seed=seed, offset=offset, dtype=dtype)
            for part in divided(total, 2):
                if not part.rows:
                    continue
                one = Generator(5)
                with row_scope(part.start, part.rows, total) as scope:
                    seed, offset = one.reserve(kind, part.rows * each, dtype, part.rows)
                mine = make(np, (part.rows, each), seed=seed, offset=offset, dtype=dtype)
                assert mine.tobytes() == whole[part.start : part.stop].tobytes()
                assert one.offset == generator.offset
                scope.rewind()
                assert one.offset == 0


def test_options_that_make_no_sense_are_refused() -> None:
    model = many_ranks._net(outputs=3)
    with pytest.raises(ConfigurationError, match="parallel must be 'auto' or False"):
        Trainer(model, parallel="mpi")
    with pytest.raises(ConfigurationError, match="deadline must be above 0 seconds"):
        Trainer(model, deadline=0.0)
    with pytest.raises(ConfigurationError, match="shards must be a power of two"):
        Trainer(model, shards=3)


def test_the_report_names_a_launcher_that_works() -> None:
    found = dict(report())
    assert found["launcher"] == mpiexec()
    assert ".." not in Path(mpiexec()).parts
    assert found["together"] == "yes: two ranks see one another"


SLEEPING = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1], f"{os.getpid()}.pid").touch()
time.sleep(300)
"""
STARTING = """
import sys
from nnscratch.parallel.starting import mpiexec, _run
_run([mpiexec(), "-n", "2", sys.executable, "-c", sys.argv[1], sys.argv[2]])
"""


def test_a_job_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTING, SLEEPING, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(many_ranks.WORKER.parents[2])}
    parent = subprocess.Popen(command, env=environment)
    until = time.monotonic() + 60.0
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    ranks = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(ranks) == 2
    parent.kill()
    parent.wait()
    until = time.monotonic() + many_ranks.GRACE
    while any(many_ranks._runs(pid) for pid in ranks) and time.monotonic() < until:
        time.sleep(0.05)
    left = [pid for pid in ranks if many_ranks._runs(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
