"""Paths that are no file, and names that no system or terminal takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import net

from nnscratch.cli import main
from nnscratch.cli.runs import open_run
from nnscratch.cli.settings import read_toml
from nnscratch.cli.shown import shown
from nnscratch.data import read_idx, read_npz, read_table
from nnscratch.errors import NNScratchError
from nnscratch.train import History
from nnscratch.train.checkpoint import load_model
from nnscratch.train.files import read_json
from nnscratch.train.tensor_file import read_tensors, write_tensors

READERS: dict[str, Callable[[str], Any]] = {
    "tensors": read_tensors,
    "model": lambda path: load_model(path, net()),
    "json": read_json,
    "history": History.read,
    "toml": read_toml,
    "idx": read_idx,
    "npz": read_npz,
    "table": read_table,
    "run": open_run,
}
COMMANDS = [
    ["info", "PATH"],
    ["predict", "PATH", "digits"],
    ["evaluate", "PATH", "digits"],
    ["train", "PATH", "--target", "x"],
    ["train", "digits", "--config", "PATH"],
    ["train", "--resume", "--run", "PATH"],
]


def named(kind: str, folder: Path) -> str:
    path = folder / "a"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle of links":
        path.symlink_to(path)
    elif kind == "link to nothing":
        path.symlink_to(folder / "nothing")
    elif kind == "device":
        return os.devnull
    elif kind == "endless device":
        return "/dev/zero"
    elif kind == "too long":
        return str(folder / ("x" * 5000))
    elif kind == "zero byte":
        return f"{path}\0b"
    elif kind == "half a character":
        return f"{path}\ud800"
    return str(path)


KINDS = [
    "missing",
    "pipe",
    "folder",
    "circle of links",
    "link to nothing",
    "device",
    "endless device",
    "too long",
    "zero byte",
    "half a character",
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = named(kind, tmp_path)
    for name, read in READERS.items():
        with pytest.raises(NNScratchError) as caught:
            read(path)
        assert "\n" not in str(caught.value), name
    for command in COMMANDS:
        code = main([path if part == "PATH" else part for part in command])
        err = capsys.readouterr().err
        assert (code, err.count("\n"), len(err) < 2100) == (2, 1, True), (command, err)


NAMES = ["[/red]", "[red]", "\x1b[2J", "a b;'\"$x", "ünï", "-x", "\u202eabc", "~"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_data_runs_and_columns(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = np.random.default_rng(0)
    file = name.replace("/", "-")
    table = tmp_path / f"{file}.csv"
    quoted = '"' + name.replace('"', '""') + '"'
    rows = [f"{source.normal():.3f},{('elm', quoted)[n % 2]}" for n in range(40)]
    table.write_text(f"{quoted},kind\n" + "\n".join(rows) + "\n")
    run = str(tmp_path / f"run {file}")
    train = ["train", str(table), "--target", "kind", "--run", run, "--epochs", "1"]
    for command in (
        [*train, "--hidden", "4", "--dropout", "0"],
        ["predict", run, str(table), "--probabilities"],
        ["info", run],
    ):
        assert main(command) == 0, capsys.readouterr().err
        printed = capsys.readouterr()
        assert "\x1b[2J" not in printed.out + printed.err


@pytest.mark.parametrize(("name", "text"), [("\ud800", "a"), ("a", "\ud800")])
def test_half_a_character_is_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(NNScratchError, match="half a character"):
        write_tensors(tmp_path / "a", {name: np.ones(2)}, {"made": text})
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["\x1b[2J", "[/red]", "a\nb", "x" * 5000])
def test_names_of_arrays(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_tensors(tmp_path / "a", {name: np.ones(2)}, {name: name})
    assert read_tensors(tmp_path / "a")[0][name].tolist() == [1.0, 1.0]
    assert main(["info", str(tmp_path / "a")]) == 0
    out = capsys.readouterr().out
    out.encode()
    assert "\x1b[2J" not in out
    with pytest.raises(NNScratchError):
        load_model(tmp_path / "a", net())


def test_text_that_is_shown() -> None:
    assert shown("a\ud800b\x00\x9b") == "a\\ud800b\\x00\\x9b"
    assert shown("ünï\n漢") == "ünï\n漢"
    assert shown("abc", 2) == "ab"
