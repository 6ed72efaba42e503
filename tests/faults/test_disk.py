"""A full disk, two processes for one folder, and run folders that somebody else has prepared."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults.scale import count, say
from small_training import blobs, net, trainer

from nnscratch import nn
from nnscratch.array.random import default_generator
from nnscratch.errors import NNScratchError, RunError
from nnscratch.interop import safetensors
from nnscratch.train import History, load_model, save_model
from nnscratch.train.files import run_folder, temporary_name, write_json, write_text
from nnscratch.train.tensor_file import read_tensors, write_tensors
from nnscratch.train.trainer import CHECKPOINT_FILE

DATA = blobs(50)
TESTS = Path(__file__).parents[1]

WRITERS: dict[str, Any] = {
    "weights": lambda path, n: save_model(path, net(seed=n)),
    "tensors": lambda path, n: write_tensors(path, {"a": np.full(100_000, n), "b": np.ones(n)}),
    "json": lambda path, n: write_json(path, list(range(n * 10_000))),
    "text": lambda path, n: write_text(path, "x" * n * 10_000),
    "history": lambda path, n: History([{"epoch": n}] * n).write_csv(path),
}


def refusal(call: Any) -> str:
    """What a call is refused with, in one line; nothing if it is not."""
    try:
        call()
    except NNScratchError as error:
        return str(error).replace("\n", "TWO LINES")
    return ""


class Failing:
    """A file that runs out of space after so many calls that write, flush or close it."""

    def __init__(self, stream: Any, calls: list[int]) -> None:
        self.stream, self.calls = stream, calls

    def _call(self, how: Any, *arguments: Any) -> Any:
        self.calls[0] -= 1
        if self.calls[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return how(*arguments)

    def write(self, content: Any) -> Any:
        # Half of it gets there, as on a disk.
        if self.calls[0] == 1:
            self.stream.write(memoryview(content)[: len(memoryview(content)) // 2])
        return self._call(self.stream.write, content)

    def flush(self) -> None:
        self._call(self.stream.flush)

    def fileno(self) -> int:
        return self.stream.fileno()

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stream.close()


@pytest.mark.parametrize("name", WRITERS)
def test_the_disk_fills_up_at_any_moment_of_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from nnscratch.train import files

    path, write = tmp_path / "file", WRITERS[name]
    write(path, 1)
    before, calls = path.read_bytes(), [0]
    real_open, real_sync, real_replace = files.open_new, os.fsync, os.replace
    monkeypatch.setattr(files, "open_new", lambda where: Failing(real_open(where), calls))

    def failing(how: Any) -> Any:
        def call(*arguments: Any) -> Any:
            calls[0] -= 1
            if calls[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return how(*arguments)

        return call

    monkeypatch.setattr(os, "fsync", failing(real_sync))
    monkeypatch.setattr(os, "replace", failing(real_replace))
    for number in range(1, 100):
        calls[0] = number
        error = refusal(lambda: write(path, 2))
        calls[0] = 0
        if not error:
            break
        assert "no space left on the disk" in error
        new = "is written" in error
        assert new or "is intact" in error
        assert (path.read_bytes() == before) != new
        assert os.listdir(tmp_path) == ["file"]
        path.write_bytes(before)
    # Opening, writing, flushing, the disk, the new name, the folder.
    assert 5 <= number < 100
    assert path.read_bytes() != before


SCRIPT = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from faults.test_disk import fill
fill(Path(sys.argv[2]), int(sys.argv[3]))
"""


def go(folder: Path, epochs: int) -> None:
    default_generator.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 200), nn.ReLU(), nn.Linear(200, 3))
    trainer(model, run_dir=folder, checkpoint_seconds=0.0).fit(
        DATA, epochs, batch_size=10, resume=True
    )


def fill(folder: Path, limit: int) -> None:
    """Train until the disk is full, and see what is there then."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    go(folder, 1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    reason = "no space left on the disk"
    if limit:
        size = (folder / CHECKPOINT_FILE).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
        reason = "File too large"
    else:
        (folder.parent / "filler").write_bytes(bytes(left(folder) - 4096))
    for turn in range(3):
        if turn == 2 and not limit:
            # Not even a few bytes.
            (folder.parent / "more").write_bytes(bytes(left(folder)))
        error = refusal(lambda: go(folder, 2))
        assert reason in error, error
        assert "TWO LINES" not in error
        now = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert now[CHECKPOINT_FILE] == before[CHECKPOINT_FILE]
        assert set(now) == set(before), set(now) ^ set(before)
        read_tensors(folder / CHECKPOINT_FILE)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        (folder.parent / "filler").unlink()
    go(folder, 2)
    _, metadata = read_tensors(folder / CHECKPOINT_FILE)
    assert '"epoch":2' in metadata["nnscratch"]
    print("as it should be")


def left(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def mounted(folder: Path) -> list[str] | None:
    """What to put before a command so that a small disk of its own is mounted there."""
    mount = f'mount -t tmpfs -o size=256k none {folder} && exec "$@"'
    for prefix in (["unshare", "-m"], ["unshare", "-rm"]):
        if shutil.which("unshare") is None:
            return None
        command = [*prefix, "sh", "-c", mount, "sh"]
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return None


@pytest.mark.parametrize("limit", [True, False], ids=["file size limit", "small disk"])
def test_a_disk_that_is_really_full(tmp_path: Path, limit: bool) -> None:
    # Where nothing may be mounted, the limit of a file's size stands for the small disk.
    before = None if limit else mounted(tmp_path)
    script = [sys.executable, "-c", SCRIPT, str(TESTS), str(tmp_path / "run")]
    done = subprocess.run(
        [*(before or []), *script, str(int(before is None))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("as it should be\n")
    if not limit:
        say(f"full disk: {'a tmpfs of 256 KiB' if before else 'no mounting here, a size limit'}")


# Other processes.

RACE = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from small_training import blobs, net, trainer
from nnscratch.errors import RunError
made = trainer(run_dir=sys.argv[2], checkpoint_seconds=0.0, lr=0.01)
while time.time() < float(sys.argv[3]):
    pass
try:
    made.fit(blobs(400), 4, batch_size=8)
except RunError as error:
    print(error)
else:
    print("trained")
"""


def test_processes_that_start_to_train_into_one_folder_at_once(tmp_path: Path) -> None:
    import time

    moment = str(time.time() + count(3, 5))
    many = count(2, 6)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(TESTS), str(tmp_path / "run"), moment],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(many)
    ]
    said = [process.communicate(timeout=120)[0].strip() for process in started]
    assert said.count("trained") >= 1
    for line in said:
        assert line == "trained" or "is training into this run folder; wait for it" in line
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        ".lock",
        CHECKPOINT_FILE,
        "history.csv",
    }
    read_tensors(tmp_path / "run" / CHECKPOINT_FILE)


# A folder that somebody has prepared.


def secret(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.write_text("mine")
    return path


def test_a_lock_that_points_out_of_the_folder(tmp_path: Path) -> None:
    outside, folder = secret(tmp_path), tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").symlink_to(outside)
    with pytest.raises(RunError, match="lock"), run_folder(folder):
        pass
    assert outside.read_text() == "mine"


def test_temporary_names_that_point_out_of_the_folder(tmp_path: Path) -> None:
    outside, folder = secret(tmp_path), tmp_path / "run"
    folder.mkdir()
    for name in (CHECKPOINT_FILE, "probe", "a"):
        temporary_name(folder / name).symlink_to(outside)
    write_text(folder / "a", "new")
    trainer(run_dir=folder).fit(DATA, 1)
    assert outside.read_text() == "mine"
    assert (folder / "a").read_text() == "new"


@pytest.mark.parametrize("name", [CHECKPOINT_FILE, "history.csv"])
def test_results_that_point_out_of_the_folder_are_replaced(tmp_path: Path, name: str) -> None:
    outside, folder = secret(tmp_path), tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(outside)
    trainer(run_dir=folder).fit(DATA, 1)
    assert outside.read_text() == "mine"
    assert not (folder / name).is_symlink()


@pytest.mark.parametrize("name", [".lock", CHECKPOINT_FILE, "history.csv", ".x.writing"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_in_its_place(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    if kind == "folder":
        (path / "below").mkdir(parents=True)
    else:
        os.mkfifo(path)
    for resume in (False, True):
        error = refusal(lambda: trainer(run_dir=tmp_path).fit(DATA, 1, resume=resume))  # noqa: B023
        assert "TWO LINES" not in error
        assert not error or str(tmp_path) in error


# File systems that lack something.


@pytest.mark.parametrize("code", ["EINVAL", "ENOTSUP", "EPERM"])
def test_a_folder_that_cannot_be_synchronised(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(getattr(errno, code), "not here")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    trainer(run_dir=tmp_path / "run").fit(DATA, 1)


@pytest.mark.parametrize("code", ["ENOLCK", "ENOSYS"])
def test_a_file_system_without_locks(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(getattr(errno, code), "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(RuntimeWarning, match="no locks"):
        trainer(run_dir=tmp_path).fit(DATA, 1)


@pytest.mark.parametrize("length", [200, 240, 255])
def test_names_as_long_as_they_may_be(length: int, tmp_path: Path) -> None:
    for letter in ("a", "é"):
        name = letter * (length // len(letter.encode()))
        write_text(tmp_path / name, "whole")
        assert (tmp_path / name).read_text() == "whole"
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()


def test_weights_behind_a_link_are_written_there(tmp_path: Path) -> None:
    blob, link = tmp_path / "blobs" / "x", tmp_path / "model.safetensors"
    blob.parent.mkdir()
    model = nn.Linear(2, 1)
    save_model(blob, model)
    link.symlink_to("blobs/x")
    for write in (lambda: save_model(link, model), lambda: safetensors.save_model(model, link)):
        model.weight.data.fill_(float(np.random.default_rng().normal()))
        write()
        assert link.is_symlink()
        other = nn.Linear(2, 1)
        load_model(blob, other)
        assert other.weight.tolist() == model.weight.tolist()
