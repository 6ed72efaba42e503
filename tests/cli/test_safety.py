"""Nothing of the user is overwritten, and odd surroundings get a line instead of a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nnscratch.cli import main, runs, training
from nnscratch.errors import RunError


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a table that trains in a moment; the folder is the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.csv"
    path.write_text("x,kind\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(60)))
    return path


def train(*more: str) -> int:
    options = ["--target", "kind", "--epochs", "2", "--hidden", "4", "--quiet"]
    return main(["train", "t.csv", *options, *more])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", '{"model_type": "bert"}'),
        ("sample.csv", "mine"),
        ("history.csv", "day,event\n"),
        ("model.safetensors", "weights"),
        ("report.json", "{}"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_a_folder_of_somebody_else_is_left_alone(
    name: str, content: str, more: list[str], table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (table.parent / name).write_text(content)
    assert train("--run", ".", *more) == 2
    assert f"would replace {name}" in said(capsys)
    assert (table.parent / name).read_text() == content


def test_a_folder_with_other_files_is_trained_into(table: Path) -> None:
    assert train("--run", ".") == 0
    assert runs.is_run(table.parent)
    assert train("--run", ".") == 2
    assert train("--run", ".", "--overwrite") == 0
    assert table.read_text().startswith("x,kind")


def test_predictions_do_not_replace_their_input(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("--run", "r")
    before = table.read_text()
    os.symlink("t.csv", "link.csv")
    os.link("t.csv", "hard.csv")
    for output in ("t.csv", "./t.csv", str(table), "link.csv", "hard.csv"):
        assert main(["predict", "r", "t.csv", "-o", output]) == 2
        assert "would replace the input" in said(capsys)
    assert main(["predict", "r", "t.csv", "-o", "r/history.csv"]) == 2
    assert main(["evaluate", "r", "t.csv", "-o", "r/report.json"]) == 2
    assert "a file of the run" in said(capsys)
    assert table.read_text() == before


@pytest.mark.parametrize("change", ["value", "row", "order"])
def test_a_run_does_not_go_on_with_other_data(
    change: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("--run", "r")
    kept = Path("r/preprocessing.json").read_text()
    lines = table.read_text().splitlines()
    if change == "value":
        lines[5] = "4.5,a"
    elif change == "row":
        lines.append("99,b")
    else:
        lines[1], lines[2] = lines[2], lines[1]
    table.write_text("\n".join(lines))
    assert train("--run", "r", "--resume") == 2
    assert "have changed since it began" in said(capsys)
    assert Path("r/preprocessing.json").read_text() == kept


def test_a_run_goes_on_from_another_folder(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--target", "kind", "--schedule", "constant", "--hidden", "4", "--patience", "0"]
    assert main(["train", "t.csv", *options, "--epochs", "2", "--run", "r"]) == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run = str(tmp_path / "r")
    assert main(["train", "--resume", "--run", run, "--epochs", "4"]) == 0
    assert len(json.loads((tmp_path / "r" / "history.json").read_text())) == 4


@pytest.mark.parametrize("more", [["--run", "new/er/run"], []])
@pytest.mark.parametrize("column", ["missing", "x"])
def test_a_training_that_is_refused_leaves_no_folder(
    column: str, more: list[str], table: Path
) -> None:
    table.write_text("x,kind\n1,a\n")  # too few rows, which is seen later than a missing column
    assert train(*more, "--target", column) != 0
    assert [path for path in table.parent.rglob("*") if path.name != "runs"] == [table]


def test_a_folder_that_was_there_stays(table: Path) -> None:
    (table.parent / "mine").mkdir()
    assert train("--run", "mine", "--target", "missing") != 0
    assert os.listdir("mine") == []


def test_two_runs_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    first, second = (runs.free_folder("t", tmp_path / "runs") for _ in range(2))
    assert [first.name, second.name] == ["t", "t-2"]
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError):
        runs.free_folder("t", tmp_path / "file")


def test_a_training_that_another_overtook_leaves_its_run(
    table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train("--run", "r", "--seed", "1")
    settings_from, locked = training.settings_from, runs.run_folder

    def overtaken(*arguments: Any) -> Any:
        """Read the settings of the run; another training replaces it before the lock is taken."""
        found = settings_from(*arguments)
        monkeypatch.setattr(training, "settings_from", settings_from)
        train("--run", "r", "--overwrite", "--seed", "2")
        return found

    monkeypatch.setattr(training, "settings_from", overtaken)
    assert main(["train", "--resume", "--run", "r"]) == 2
    assert "r: another training has just replaced the run" in said(capsys)
    assert json.loads(Path("r/config.json").read_text())["settings"]["seed"] == 2

    def late(folder: Path, new: bool) -> Any:
        """Lock a folder in which, since somebody looked, another training has begun and ended."""
        monkeypatch.setattr(runs, "run_folder", locked)
        train("--run", "s", "--seed", "2")
        return locked(folder, new)

    monkeypatch.setattr(runs, "run_folder", late)
    assert train("--run", "s", "--seed", "1") == 2
    assert "there is a run in this folder already" in said(capsys)
    assert json.loads(Path("s/config.json").read_text())["settings"]["seed"] == 2


def test_a_folder_is_locked_before_the_data_are_read(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("--run", "r")
    before = {path.name: path.read_bytes() for path in Path("r").iterdir() if path.name != ".lock"}
    table.unlink()
    with runs.run_folder("r"):
        for more in (["--overwrite"], ["--resume"]):
            assert main(["train", "t.csv", "--run", "r", *more]) == 2
            assert "is training into this run folder" in said(capsys)
    # Without the other one it is the missing file that is said; the run stays.
    assert train("--run", "r", "--overwrite") == 2
    assert "there is no such file" in said(capsys)
    now = {path.name: path.read_bytes() for path in Path("r").iterdir() if path.name != ".lock"}
    assert now == before


def test_a_training_that_was_ended_before_its_first_step_can_begin_again(
    table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    train("--run", "r")
    with monkeypatch.context() as patched:
        patched.setattr(runs, "config_of", killed)
        with pytest.raises(Killed):
            train("--run", "r", "--overwrite")
    assert sorted(path.name for path in Path("r").iterdir()) == [
        ".lock",
        "config.json",
        "preprocessing.json",
        "run.toml",
    ]
    for arguments in (
        ["train", "--resume", "--run", "r"],
        ["predict", "r", "t.csv"],
        ["info", "r"],
    ):
        assert main(arguments) == 2
        assert "give its command again, without --resume" in said(capsys)
    assert train("--run", "r") == 0
    assert main(["predict", "r", "t.csv"]) == 0


def command(*arguments: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, timeout=120, **more
    )


NUMBERS = "x,y\n" + "".join(f"{i},{i * 0.5 + (i % 3)}\n" for i in range(60))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_terminals_that_lack_characters(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(NUMBERS)
    train = ["train", "r.csv", "--target", "y", "--epochs", "1", "--hidden", "4", "--run", "r"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    done = command("-m", "nnscratch", *train, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert ("R²" if encoding != "ascii" else "R2") in done.stdout.decode(encoding)


@pytest.mark.parametrize("value", ["0", "a", "4,3,2", "None", "-1"])
def test_a_bad_number_of_threads(value: str, tmp_path: Path) -> None:
    environment = {**os.environ, "NNSCRATCH_THREADS": value}
    options = ["--epochs", "1", "--hidden", "512", "--batch", "512", "--run", "r"]
    done = command("-m", "nnscratch", "train", "digits", *options, cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert b"NNSCRATCH_THREADS must be" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["-O", "-OO", "-I", "-bb"])
def test_help_under_options_of_python(option: str, tmp_path: Path) -> None:
    shown = command(option, "-m", "nnscratch", "--help", cwd=tmp_path)
    assert b"Train a network on DATA" in shown.stdout
    shown = command(option, "-m", "nnscratch", "train", "--help", cwd=tmp_path)
    assert b"1797 handwritten digits" in shown.stdout


def test_without_standard_output(table: Path) -> None:
    code = "import sys; sys.stdout = None; from nnscratch.cli import main; sys.exit(main({}))"
    arguments = ["train", "t.csv", "--target", "kind", "--epochs", "1", "--run", "r"]
    done = command("-c", code.format(arguments), cwd=table.parent)
    assert done.returncode == 0, done.stderr
    assert (table.parent / "r" / "report.json").exists()


def test_an_interrupt_that_a_job_ignores_stays_ignored() -> None:
    code = """
import os, signal
import numpy as np
from nnscratch import nn
from nnscratch.train import Callback, fit
signal.signal(signal.SIGINT, signal.SIG_IGN)
class Ring(Callback):
    def on_batch_end(self, trainer):
        os.kill(os.getpid(), signal.SIGINT)
x = np.ones((8, 2), np.float32)
history = fit(nn.Linear(2, 1), (x, x[:, :1]), epochs=3, callbacks=[Ring()])
print(len(history), signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""
    # A shell may let its own background jobs ignore it already.
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.stdout.split() == ["3", "True"], done.stderr


def test_settings_from_windows(table: Path) -> None:
    Path("c.toml").write_bytes(b"\xef\xbb\xbfepochs = 1\r\nhidden = [4]\r\n")
    assert main(["train", "t.csv", "--target", "kind", "--config", "c.toml", "--run", "r"]) == 0
