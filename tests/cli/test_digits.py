import csv
import json
import shlex
import subprocess
import sys

import numpy as np
import polars
import pytest
from command_line import call

FILES = {
    ".lock",
    "checkpoint.safetensors",
    "config.json",
    "confusion.png",
    "curves.png",
    "history.csv",
    "history.json",
    "mistakes.png",
    "model.safetensors",
    "preprocessing.json",
    "report.json",
    "report.txt",
    "sample.csv",
    "run.toml",
    "split.csv",
}


def test_digits_are_learned_reported_and_saved(digits):
    folder, out = digits
    assert {path.name for path in folder.iterdir()} == FILES
    report = json.loads((folder / "report.json").read_text())
    assert report["accuracy"] > 0.9
    assert report["samples"] == 359
    assert np.sum(report["confusion"]) == 359
    assert len(report["classes"]) == 10
    history = json.loads((folder / "history.json").read_text())
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert {"train_loss", "train_accuracy", "val_loss", "val_accuracy"} <= set(history[0])
    with open(folder / "history.csv") as stream:
        assert len(list(csv.DictReader(stream))) == 6
    for name in ("curves", "confusion", "mistakes"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "precision" in out
    assert "Confusion" in (folder / "report.txt").read_text()


def test_the_last_line_is_the_command_that_uses_the_model(digits, capsys):
    folder, out = digits
    command = shlex.split(out.splitlines()[-1])
    assert command[:2] == ["nnscratch", "predict"]
    code, printed, err = call(capsys, *command[1:])
    assert (code, err) == (0, "")
    with open(folder / "sample.csv") as stream:
        labels = [row["label"] for row in csv.DictReader(stream)]
    predicted = [line.split("│")[2].strip() for line in printed.splitlines() if "│" in line]
    assert sum(a == b for a, b in zip(labels, predicted, strict=True)) >= 8


def test_predictions_as_a_file(digits, capsys, tmp_path):
    folder, _ = digits
    for name, read in (("p.csv", polars.read_csv), ("p.parquet", polars.read_parquet)):
        code, _, _ = call(
            capsys, "predict", folder, "digits", "-o", tmp_path / name, "--probabilities"
        )
        assert code == 0
        frame = read(tmp_path / name)
        assert frame.columns == ["prediction", "probability", *[f"p({k})" for k in range(10)]]
        assert frame.height == 359
        assert frame.select(frame.columns[2:]).sum_horizontal().to_numpy() == pytest.approx(
            1.0, abs=1e-4
        )


def test_evaluate_repeats_the_test(digits, capsys, tmp_path):
    folder, _ = digits
    code, out, _ = call(capsys, "evaluate", folder, "digits", "-o", tmp_path / "r.json")
    assert code == 0
    report = json.loads((folder / "report.json").read_text())
    again = json.loads((tmp_path / "r.json").read_text())
    assert again["confusion"] == report["confusion"]
    code, out, _ = call(capsys, "evaluate", folder, folder / "sample.csv")
    assert code == 0
    assert "10 right" in out or "9 of 10" in out or "8 of 10" in out


def test_info_of_a_run_a_model_a_checkpoint_and_the_package(digits, capsys):
    folder, _ = digits
    for path, expected in (
        (folder, "MLP 64-256-10"),
        (folder / "model.safetensors", "256 x 64"),
        (folder / "checkpoint.safetensors", "epochs done"),
        (None, "formulas"),
    ):
        code, out, err = call(capsys, "info", *([path] if path else []))
        assert (code, err) == (0, "")
        assert expected in out


def test_doctor(capsys):
    code, out, err = call(capsys, "doctor")
    assert (code, err) == (0, "")
    for word in ("numpy", "BLAS", "GFLOP/s", "NNSCRATCH_KERNELS", "CuPy"):
        assert word in out


def test_warmup_compiles_and_says_where(capsys, monkeypatch):
    from nnscratch.kernels.cpu import cache_status, kernel, warming

    asked = []

    def few(dtypes):
        asked.extend(dtypes)
        return [kernel("fill", dtype) for dtype in dtypes]

    monkeypatch.setattr(warming, "usual_kernels", few)
    code, out, err = call(capsys, "warmup", "--dtype", "float32", "--dtype", "float64")
    assert (code, err) == (0, "")
    assert asked == ["float32", "float64"]
    assert "Compiled kernels" in out
    assert str(cache_status().path)[:20] in out


def test_warmup_without_a_folder(capsys, monkeypatch):
    from nnscratch.kernels import cpu

    monkeypatch.setattr(cpu, "warmup", lambda *_: cpu.CacheStatus(None, False, 0, 0))
    code, out, err = call(capsys, "warmup")
    assert (code, err) == (0, "")
    assert "NUMBA_CACHE_DIR" in out


def test_version_and_help(capsys):
    assert call(capsys, "--version")[1].startswith("nnscratch ")
    assert call(capsys)[0] == 0
    for command in (
        (),
        ("train",),
        ("predict",),
        ("evaluate",),
        ("info",),
        ("doctor",),
        ("warmup",),
    ):
        code, out, _ = call(capsys, *command, "--help")
        assert code == 0
        assert "Usage: nnscratch" in out


# As a process of its own.


def test_without_the_extras_it_says_what_to_install():
    script = (
        "import sys; sys.modules['click'] = None\n"
        "from nnscratch.cli import main; sys.exit(main(['info']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "nnscratch: the command line needs click, which is not installed: "
        'pip install "nnscratch[cli]"\n'
    )


def test_debug_shows_the_traceback_and_a_closed_pipe_is_no_error(tmp_path):
    module = [sys.executable, "-m", "nnscratch"]
    done = subprocess.run([*module, "info", tmp_path, "--debug"], capture_output=True, text=True)
    assert "Traceback" in done.stderr
    done = subprocess.run(
        f"{shlex.join(module)} info | head -1", shell=True, capture_output=True, text=True
    )
    assert done.stderr == ""
