"""``nnscratch train`` of images and texts, killed with -9 at every change that it makes to a file.

Whatever the moment: nothing is half-written, no file of the user's is touched, and the run goes on,
or begins again, to the bits of one that nobody killed.
"""

from __future__ import annotations

import csv
import itertools
import json
import pydoc_data.topics
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults.scale import LONG, count, say
from faults.worker import Worker
from PIL import Image

from nnscratch.cli import runs
from nnscratch.errors import CheckpointError
from nnscratch.train.files import read_json
from nnscratch.train.tensor_file import read_tensors
from nnscratch.train.trainer import CHECKPOINT_FILE

KINDS = {
    "cnn": ["images.npz", "--model", "cnn", "--augment", "shift,flip", "--batch", "16"],
    "mlp": [
        "photos",
        "--model",
        "mlp",
        "--batch",
        "16",
        "--schedule",
        "plateau",
        "--patience",
        "3",
    ],
    "gpt": ["words.txt", "--model", "gpt", "--heads", "2", "--tokenizer", "bpe", "--vocabulary"]
    + ["280", "--width", "8", "--layers", "1", "--block", "16", "--batch", "32"],
    "char-lstm": ["words.txt", "--model", "char-lstm", "--width", "8", "--layers", "1", "--block"]
    + ["16", "--batch", "64", "--optimizer", "sgd", "--patience", "2"],
}
NOTES = "of the user"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker("faults.command_worker", NNSCRATCH_THREADS="1")
    yield made
    made.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    source = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = source.integers(0, 90, (48, 8, 8)) + 50 * labels[:, None, None]
    np.savez(folder / "images.npz", x_train=images.astype(np.uint8), y_train=labels)
    for number, pixels in enumerate(images.astype(np.uint8)):
        (folder / "photos" / f"{labels[number]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "photos" / f"{labels[number]}" / f"{number}.png")
    (folder / "words.txt").write_text(pydoc_data.topics.topics["strings"][:3000])
    return folder


def train(worker: Worker, folder: Path, arguments: list[Any], **killed: Any) -> dict[str, Any]:
    where = ["train", "--run", str(folder), "--quiet", *map(str, arguments)]
    return worker.give(arguments=where, folder=str(folder), **killed)


def command(data: Path, kind: str, seed: int = 1) -> list[str]:
    name, *options = KINDS[kind]
    return [str(data / name), *options, "--epochs", "2", "--seed", str(seed)]


def result(folder: Path) -> dict[str, Any]:
    """All that a run leaves, without the seconds, which no two runs share."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if not k.endswith("seconds")}
        return [timeless(one) for one in value] if isinstance(value, list) else value

    made: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.name == CHECKPOINT_FILE:
            tensors, metadata = read_tensors(path)
            record = timeless(json.loads(metadata["nnscratch"]))
            made[path.name] = {k: v.tobytes() for k, v in tensors.items()}, record
        elif path.suffix == ".json":
            made[path.name] = timeless(json.loads(path.read_text()))
        elif path.name == "history.csv":
            with open(path, newline="") as stream:
                made[path.name] = [timeless(row) for row in csv.DictReader(stream)]
        elif path.name != ".lock":
            made[path.name] = path.read_bytes()
    return made


def check_whole(folder: Path) -> None:
    """Check that nothing in a folder is half-written; a temporary file may be."""
    for path in folder.iterdir():
        if path.suffix == ".safetensors":
            read_tensors(path)
        elif path.suffix == ".json":
            read_json(path)
        elif path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
    assert (folder / "notes.txt").read_text() == NOTES


def state_of(folder: Path) -> str:
    """What lies in a folder: "nothing", "beginning", "old" or "new" (by the seed)."""
    if not (folder / runs.CONFIG).exists():
        return "nothing"
    if read_json(folder / runs.CONFIG).get("state"):
        with pytest.raises(CheckpointError, match="without --resume"):
            runs.open_run(folder)
        return "beginning"
    return "new" if runs.open_run(folder).settings.seed == 1 else "old"


def go_on(worker: Worker, folder: Path, again: list[str], **killed: Any) -> dict[str, Any]:
    """Do what a user would do after a kill."""
    state = state_of(folder)
    if state == "new":
        return train(worker, folder, ["--resume"], **killed)
    return train(worker, folder, again + ["--overwrite"] * (state == "old"), **killed)


def moments(changes: int) -> list[int]:
    """Which changes to kill before: all in the long run, else one of each equal part."""
    if LONG:
        return [*range(1, changes + 1)]
    edges = np.linspace(1, changes + 1, 3).astype(int)
    source = np.random.default_rng()
    return [int(source.integers(a, b)) for a, b in itertools.pairwise(edges)]


@pytest.mark.timeout(7200 if LONG else 900)
@pytest.mark.parametrize("replacing", [True, False] if LONG else [True])
@pytest.mark.parametrize("kind", KINDS if LONG else ["cnn", "gpt"])
def test_killed_at_a_change(
    tmp_path: Path, worker: Worker, data: Path, kind: str, replacing: bool
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    (before / "notes.txt").write_text(NOTES)
    if replacing:
        # Of the same sizes, so that nothing but the program keeps the two apart.
        assert train(worker, before, command(data, kind, seed=2))["code"] == 0
    again = command(data, kind)
    folder = tmp_path / "run"

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)

    prepare()
    whole = train(worker, folder, [*again, *["--overwrite"] * replacing])
    assert whole["code"] == 0, whole["said"]
    expected = result(folder)
    states = dict.fromkeys(("nothing", "beginning", "old", "new"), 0)
    source = np.random.default_rng()
    kills = 0
    for moment in moments(whole["changes"]):
        prepare()
        ended = go_on(worker, folder, again, at=moment)
        assert ended["code"] == -signal.SIGKILL, moment
        check_whole(folder)
        states[state_of(folder)] += 1
        kills += 1
        # Some are killed twice: while they go on, or begin again.
        if moment % 3 == 0:
            second = int(source.integers(1, whole["changes"] + 1))
            kills += go_on(worker, folder, again, at=second)["code"] == -signal.SIGKILL
            check_whole(folder)
        ended = go_on(worker, folder, again)
        assert ended["code"] == 0, (moment, ended["said"])
        assert result(folder) == expected, moment
        assert not list(folder.glob(".*.writing")), moment
    say(f"{kind}, {'replaced' if replacing else 'new'}: {kills} kills, which left {states}")


@pytest.mark.timeout(7200 if LONG else 900)
@pytest.mark.parametrize("kind", KINDS if LONG else ["char-lstm"])
def test_killed_at_random_moments(tmp_path: Path, worker: Worker, data: Path, kind: str) -> None:
    folder, again = tmp_path / "run", command(data, kind)
    folder.mkdir()
    (folder / "notes.txt").write_text(NOTES)
    seconds = train(worker, folder, again)["seconds"]
    expected = result(folder)
    source = np.random.default_rng()
    for _ in range(count(1, 25)):
        for path in folder.iterdir():
            if path.name != "notes.txt":
                path.unlink()
        moment = float(source.uniform(0.0, 0.9 * seconds))
        go_on(worker, folder, again, after=moment)
        check_whole(folder)
        ended = go_on(worker, folder, again)
        assert ended["code"] == 0, (moment, ended["said"])
        assert result(folder) == expected, moment
