"""The command line as its extra `cli` alone installs it: without Polars and matplotlib."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars
import pytest
from command_line import QUICK, call, flowers, weights

from nnscratch.cli import runs

TESTS = Path(__file__).resolve().parents[1]
PICTURES = 'pictures need matplotlib, which is not installed: pip install "nnscratch[plots]"'
PARQUET = (
    "Parquet files need Polars, which is not installed: "
    'pip install "nnscratch[parquet]", or take CSV'
)

# The commands come as JSON; of those after "interrupted" the first is stopped amid its training.
SMALL = """
import contextlib, io, json, os, signal, sys
for name in ("polars", "matplotlib", "fontTools", "PIL", "scipy", "pandas", "torch", "sklearn"):
    sys.modules[name] = None
from nnscratch.cli import main, training
from nnscratch.train import Callback

class Interrupt(Callback):
    def on_epoch_end(self, trainer, *rest):
        os.kill(os.getpid(), signal.SIGINT)

def said(command):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    return code, out.getvalue(), err.getvalue()

callbacks, found = training._callbacks, []
for command in json.loads(sys.argv[1]):
    if command[0] == "interrupted":
        training._callbacks = lambda *given: [*callbacks(*given), Interrupt()]
    found.append(said(command[command[0] == "interrupted":]))
    training._callbacks = callbacks
print(json.dumps(found))
"""


def small(*commands):
    """Run commands in a process without those packages; what each returned and printed."""
    given = json.dumps([[str(item) for item in command] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", SMALL, given], capture_output=True, text=True, timeout=280, cwd=TESTS
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def made(folder):
    return {one.name for one in folder.iterdir() if not one.name.startswith(".")}


@pytest.mark.parametrize("target", ["kind", "height"])
def test_a_table_without_the_extras(capsys, tmp_path, target):
    table, run, other = flowers(tmp_path / "t.csv"), tmp_path / "run", tmp_path / "other"
    options = ["train", table, "--target", target, *QUICK, "--run"]
    whole, broken, resumed, predicted, written, evaluated, info, listed = small(
        [*options, run],
        ["interrupted", *options, other],
        ["train", "--resume", "--run", other],
        ["predict", run, table],
        ["predict", run, run / "sample.csv", "-o", tmp_path / "p.csv"],
        ["evaluate", run, table],
        ["info", run],
        ["runs", run, other, "-o", tmp_path / "runs.csv"],
    )
    assert broken[0] == 130
    for code, out, err in (whole, resumed):
        assert (code, err) == (0, "")
        assert out.count(PICTURES) == 1
    for code, out, err in (predicted, written, evaluated, info, listed):
        assert (code, err) == (0, "")
        assert "pictures" not in out
    # With them it is the same but for the pictures, and the line that says so.
    full = tmp_path / "full"
    code, out, _ = call(capsys, *options, full)
    assert code == 0
    assert "pictures" not in out
    assert weights(run) == weights(other) == weights(full)
    pictures = {name for name in made(full) if name.endswith(".png")}
    assert len(pictures) == 2
    assert made(run) == made(other) == made(full) - pictures
    for name in (runs.SAMPLE, runs.SPLIT, "mistakes.csv", runs.PREPROCESSING):
        assert (run / name).read_bytes() == (full / name).read_bytes()
    assert polars.read_csv(tmp_path / "p.csv").height == polars.read_csv(run / "sample.csv").height
    assert polars.read_csv(tmp_path / "runs.csv").height == 2


def test_digits_and_texts_without_the_extras(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 60)
    tiny = ["--model", "gpt", "--width", "8", "--layers", "1", "--heads", "2", "--block", "16"]
    tiny += ["--batch", "32", "--epochs", "1", "--no-compile"]
    digits, letters, checked = small(
        ["train", "digits", *QUICK, "--run", tmp_path / "digits"],
        ["train", text, *tiny, "--run", tmp_path / "text"],
        ["gradcheck", "relu", "--html", tmp_path / "relu.html"],
    )
    for code, out, err in (digits, letters, checked):
        assert (code, err) == (0, "")
        assert out.count(PICTURES) == 1
    assert not [*tmp_path.glob("*/*.png")]


def test_what_the_extras_are_for_is_refused_in_one_line(tmp_path):
    table, parquet = flowers(tmp_path / "t.csv"), flowers(tmp_path / "t.parquet")
    run = tmp_path / "run"
    train = ["train", table, "--target", "kind", *QUICK, "--run", run]
    output, picture = tmp_path / "p.parquet", tmp_path / "p.png"
    folder = tmp_path / "images"
    for kind in ("a", "b"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "1.png").write_bytes(b"\x89PNG")
    _, *refused = small(
        train,
        ["train", parquet, "--target", "kind"],
        ["predict", run, parquet],
        ["predict", run, table, "-o", output],
        ["runs", run, "-o", output],
        ["runs", run, "-o", picture],
        ["train", folder],
    )
    expected = [
        *(f"{path}: {PARQUET}" for path in (parquet, parquet, output, output)),
        f"{picture}: {PICTURES}",
        'image files need Pillow, which is not installed: pip install "nnscratch[cli]"',
    ]
    for (code, _, err), message in zip(refused, expected, strict=True):
        assert code == 2
        assert err == f"nnscratch: {message}\n"
    assert not output.exists()
    assert not picture.exists()
