import csv
import gzip
import json
import os
import shlex
import signal
import struct
import subprocess
import sys

import numpy as np
import polars
import pytest

from nnscratch.cli import main
from nnscratch.train import Callback
from nnscratch.train.tensor_file import read_tensors

QUICK = ["--epochs", "2", "--hidden", "16", "--schedule", "constant"]


def call(capsys, *arguments):
    """Run a command in this process; its exit code and what it printed."""
    code = main([str(item) for item in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def fails(capsys, *arguments):
    """Run a command that must fail; its one line."""
    code, _, err = call(capsys, *arguments)
    assert code == 2, err
    assert err.startswith("nnscratch: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run folder of a digits model, and what the training printed."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("runs") / "digits"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["train", "digits", "--run", str(folder), "--epochs", "6"]) == 0
    return folder, out.getvalue()


def flowers(path, n=90):
    source = np.random.default_rng(0)
    kinds = np.arange(n) % 3
    rows = {
        "width": (kinds + source.normal(0, 0.2, n)).round(3).tolist(),
        "colour": [("red", "blue", "white [sic]")[k] for k in (kinds + (np.arange(n) > 80)) % 3],
        "wild": [bool(k) for k in np.arange(n) % 2],
        "kind": [("oak", "elm", "[fir]")[k] for k in kinds],
        "height": (2.0 * kinds + source.normal(0, 0.1, n)).round(3).tolist(),
    }
    frame = polars.DataFrame(rows)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


def write_idx(path, array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def squares(folder, n=120, test=True):
    """Images 6 x 5 with a bright row, whose number is the label."""
    folder.mkdir()
    source = np.random.default_rng(0)
    for part, count in (("train", n), *([("t10k", 40)] if test else [])):
        labels = np.arange(count) % 4
        images = source.integers(0, 60, (count, 6, 5))
        images[np.arange(count), labels] += 180
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


# The digits.

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
        code, out, _ = call(
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


def test_version_and_help(capsys):
    assert call(capsys, "--version")[1].startswith("nnscratch ")
    for command in ((), ("train",), ("predict",), ("evaluate",), ("info",), ("doctor",)):
        code, out, _ = call(capsys, *command, "--help")
        assert code == 0
        assert "Usage: nnscratch" in out


# Tables.


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_classification_of_a_table(capsys, tmp_path, suffix):
    table, run = flowers(tmp_path / f"flowers{suffix}"), tmp_path / "run"
    options = ["--epochs", "40", "--lr", "0.01", "--exclude", "height", "--class-weight", "balanced"]
    code, out, err = call(capsys, "train", table, "--target", "kind", "--run", run, *options)
    assert (code, err) == (0, "")
    assert "[fir]" in out
    report = json.loads((run / "report.json").read_text())
    assert report["accuracy"] > 0.8
    assert {row["class"] for row in report["classes"]} == {"oak", "elm", "[fir]"}
    saved = json.loads((run / "preprocessing.json").read_text())
    assert [c["name"] for c in saved["encoder"]["columns"]] == ["width", "colour", "wild"]
    assert (run / "mistakes.csv").exists()
    # The table to predict needs no target, and its columns may be in another order.
    frame = polars.read_csv(run / "sample.csv").select("wild", "colour", "width")
    frame.write_csv(tmp_path / "new.csv")
    code, out, err = call(capsys, "predict", run, tmp_path / "new.csv", "-o", tmp_path / "p.csv")
    assert (code, err) == (0, "")
    assert set(polars.read_csv(tmp_path / "p.csv")["prediction"]) <= {"oak", "elm", "[fir]"}
    assert call(capsys, "evaluate", run, table)[0] == 0
    assert call(capsys, "info", run)[0] == 0


def test_a_regression_of_a_table(capsys, tmp_path):
    table, run = flowers(tmp_path / "f.csv"), tmp_path / "run"
    options = ["--epochs", "60", "--lr", "0.01", "--loss", "huber", "--optimizer", "adam"]
    code, _, err = call(capsys, "train", table, "--target", "height", "--run", run, *options)
    assert (code, err) == (0, "")
    report = json.loads((run / "report.json").read_text())
    assert report["r2"] > 0.9
    assert (run / "predictions.png").exists()
    code, out, _ = call(capsys, "predict", run, run / "sample.csv", "-o", tmp_path / "p.csv")
    found = polars.read_csv(tmp_path / "p.csv")["prediction"].to_numpy()
    true = polars.read_csv(run / "sample.csv")["height"].to_numpy()
    # In the units of the data.
    assert np.abs(found - true).max() < 1.5
    assert call(capsys, "evaluate", run, table)[0] == 0
    assert call(capsys, "info", run)[0] == 0


def test_the_task_can_be_forced(capsys, tmp_path):
    table = flowers(tmp_path / "f.csv")
    frame = polars.read_csv(table).with_columns((polars.col("kind") == "oak").cast(int).alias("n"))
    frame.write_csv(table)
    for task in ("classification", "regression"):
        run = tmp_path / task
        assert call(
            capsys, "train", table, "--target", "n", "--task", task, "--run", run, "--quiet", *QUICK
        )[0] == 0  # fmt: skip
        assert json.loads((run / "report.json").read_text())["task"] == task


def test_a_category_that_training_never_showed_is_a_warning(capsys, tmp_path):
    table, run = flowers(tmp_path / "f.csv"), tmp_path / "run"
    call(capsys, "train", table, "--target", "kind", "--run", run, *QUICK)
    polars.read_csv(run / "sample.csv").with_columns(
        polars.lit("green").alias("colour")
    ).write_csv(tmp_path / "new.csv")
    code, _, err = call(capsys, "predict", run, tmp_path / "new.csv")
    assert code == 0
    assert err.startswith("nnscratch: warning: ")
    assert err.count("\n") == 1
    assert "'green'" in err


# Folders of IDX files.


@pytest.mark.parametrize("test", [True, False])
def test_a_folder_of_images(capsys, tmp_path, test):
    folder, run = squares(tmp_path / "squares", test=test), tmp_path / "run"
    code, out, err = call(
        capsys, "train", folder, "--run", run, "--epochs", "30", "--lr", "0.01", "--dropout", "0"
    )
    assert (code, err) == (0, "")
    report = json.loads((run / "report.json").read_text())
    assert report["samples"] == (40 if test else 24)
    assert report["accuracy"] > 0.9
    for source in (folder, folder / "train-images-idx3-ubyte.gz", run / "sample.csv"):
        assert call(capsys, "predict", run, source)[0] == 0
    assert call(capsys, "evaluate", run, folder)[0] == 0
    err = fails(capsys, "evaluate", run, folder / "train-images-idx3-ubyte.gz")
    assert "no labels" in err
    assert "6 x 5" in fails(capsys, "predict", run, flowers(tmp_path / "f.csv"))


# Settings.


def test_a_toml_file_and_options_that_override_it(capsys, tmp_path):
    (tmp_path / "s.toml").write_text(
        'data = "digits"\nhidden = [12]\nepochs = 9\nlr = 1\nschedule = "constant"\n'
        'activation = "tanh"\nclip_norm = 1.0\noptimizer = "sgd"\n'
    )
    run = tmp_path / "run"
    arguments = ["--config", tmp_path / "s.toml", "--epochs", 1, "--lr", 0.05, "--run", run]
    assert call(capsys, "train", *arguments, "--quiet")[0] == 0
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert (settings["epochs"], settings["lr"], settings["hidden"]) == (1, 0.05, [12])
    assert settings["activation"] == "tanh"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hiden = [3]", "no setting 'hiden'; did you mean 'hidden'?"),
        ("weight-decay = 0.1", "did you mean 'weight_decay'?"),
        ("hidden = 3", "hidden must be a list"),
        ("hidden = [0]", "hidden must be at least 1"),
        ("hidden = ['a']", "hidden must be of type int"),
        ("epochs = 1.5", "epochs must be of type int"),
        ("epochs = true", "epochs must be of type int"),
        ("lr = 'fast'", "lr must be of type float"),
        ("lr = nan", "lr must be a number"),
        ("dropout = 1.0", "dropout must be at least 0 and below 1"),
        ("optimizer = 'adamv'", "did you mean 'adam'?"),
        ("compile = 1", "compile must be of type bool"),
        ("= 3", "not valid TOML"),
        ("a = " + "[" * 100_000, "not valid TOML"),
        ("\x00", "not valid TOML"),
    ],
)
def test_toml_files_with_mistakes(capsys, tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    assert message in fails(capsys, "train", "digits", "--config", tmp_path / "s.toml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--activation", "rleu"], "did you mean 'relu'?"),
        (["digits", "--loss", "l1"], "does not fit a classification"),
        (["digits", "--target", "x"], "--target is for tables"),
        (["digits", "--hidden", "12,x"], "--hidden takes sizes"),
        (["digits", "--hidden", "-3"], "hidden must be at least 1"),
        (["digits", "--epochs", "0"], "epochs must be at least 1"),
        (["digits", "--epochs", "many"], "'many' is not a valid integer"),
        (["digits", "--schedule", "cosin"], "did you mean 'cosine'?"),
        (["digits", "--validation", "0.85", "--test", "0.5"], "leave nothing to train on"),
        (["digits", "--test", "0"], "test must be above 0"),
        (["digits", "--device", "cuda:9"], "device 'cuda' cannot be used"),
        (["digits", "--device", "tpu"], "tpu"),
        (["digits", "--resume"], "--resume goes with --run"),
        (["digits", "--config", "/missing.toml"], "No such file"),
        (["digits", "--fast"], "No such option"),
        ([], "name the data"),
        (["/missing.csv"], "no such file or folder"),
        (["/proc/version", "--target", "x"], "/proc/version"),
    ],
)
def test_arguments_with_mistakes(capsys, arguments, message):
    assert message in fails(capsys, "train", *arguments)


def test_an_unknown_command(capsys):
    assert "No such command 'trian'" in fails(capsys, "trian")


# Files with mistakes.

CSVS = {
    "": ("empty", []),
    "a,b\n": ("no rows", []),
    "a,b\n1,2\n3,4\n": ("say which column to predict with --target; the columns are a, b", None),
    "width,b\n1,2\n3,4\n": ("no column 'with'; did you mean 'width'?", ["--target", "with"]),
    "a,b\n1,\n,4\n3,x\n": ("column 'a' is empty or NaN in 1 of 3 rows", ["--target", "b"]),
    "a,b\n1,2,3\n": ("line 2", []),
    "a,a\n1,2\n": ("'a'", ["--target", "a"]),
    "b\n" + "1\n2\n" * 9: ("no column is left", ["--target", "b"]),
    "a,b\n1,x\n2,x\n3,x\n": ("single class 'x'", ["--target", "b"]),
    "a,b\n" + "1,1.5\n" * 20: ("nothing to learn", ["--target", "b"]),
    "a,b\n1,x\n2,y\n": ("too few", ["--target", "b"]),
    "a,b\n1,inf\n2,2\n": ("infinite in 1 of 2", ["--target", "b"]),
}


@pytest.mark.parametrize("text", CSVS)
def test_tables_with_mistakes(capsys, tmp_path, text):
    message, options = CSVS[text]
    (tmp_path / "t.csv").write_text(text)
    options = ["--target", "b"] if options == [] else options or []
    assert message in fails(capsys, "train", tmp_path / "t.csv", *options, "--run", tmp_path / "r")


def test_a_parquet_file_that_is_none(capsys, tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1garbagePAR1")
    assert "t.parquet" in fails(capsys, "train", tmp_path / "t.parquet", "--target", "b")


def test_folders_with_mistakes(capsys, tmp_path):
    assert "no file with the train images" in fails(capsys, "train", tmp_path)
    folder = squares(tmp_path / "s")
    images = folder / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes())[:-9]))
    assert "truncated" in fails(capsys, "train", folder)


def test_run_folders_with_mistakes(capsys, digits, tmp_path):
    (tmp_path / "file").write_text("")
    assert "not a folder" in fails(capsys, "predict", tmp_path / "none", "digits").replace(
        "no such folder", "not a folder"
    )
    assert "no run folder" in fails(capsys, "predict", tmp_path, "digits")
    assert "is no folder but a file" in fails(
        capsys, "train", "digits", "--run", tmp_path / "file"
    )
    assert "cannot be written to" in fails(capsys, "train", "digits", "--run", "/proc/nnscratch")
    assert "a run in this folder already" in fails(capsys, "train", "digits", "--run", digits[0])


@pytest.fixture
def copied(digits, tmp_path):
    import shutil

    return shutil.copytree(digits[0], tmp_path / "copied")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda t: t[:-9], "not valid JSON"),
        ("config.json", lambda t: b"[]", "not the configuration of a run"),
        ("config.json", lambda t: t.replace(b'"version": 1', b'"version": 9'), "version 9"),
        ("config.json", lambda t: t.replace(b'"inputs": 64', b'"inputs": 65'), "another model"),
        ("config.json", lambda t: t.replace(b'"inputs": 64', b'"inputs": -1'), "from 1 to"),
        ("config.json", lambda t: t.replace(b'"relu"', b'"rule"'), "no activation 'rule'"),
        ("config.json", lambda t: t.replace(b'"seed"', b'"sead"'), "no setting 'sead'"),
        ("config.json", lambda t: t.replace(b"256", b"128"), "another architecture"),
        ("config.json", lambda t: t.replace(b"256", b"1000000"), "another architecture"),
        ("preprocessing.json", lambda t: b"3", "expected a dictionary"),
        ("preprocessing.json", lambda t: t.replace(b'"std"', b'"dts"'), "damaged"),
        ("model.safetensors", lambda t: t[:-9], "truncated"),
        ("model.safetensors", lambda t: b"", "truncated"),
        ("model.safetensors", lambda t: b"x" * 999, "truncated, or no safetensors"),
    ],
)
def test_damaged_runs(capsys, copied, name, change, message):
    path = copied / name
    path.write_bytes(change(path.read_bytes()))
    assert message in fails(capsys, "predict", copied, "digits")


def test_predictions_that_cannot_be_made_or_written(capsys, digits, tmp_path):
    folder, _ = digits
    assert "there is no such file" in fails(capsys, "predict", folder, "/missing.csv")
    table = flowers(tmp_path / "f.csv")
    assert "64 columns" in fails(capsys, "predict", folder, table)
    assert "must end in" in fails(capsys, "predict", folder, "digits", "-o", "p.xlsx")
    assert "no such folder" in fails(capsys, "predict", folder, "digits", "-o", "/missing/p.csv")
    assert "must end in" in fails(capsys, "evaluate", folder, "digits", "-o", "r.txt")


@pytest.mark.parametrize("content", [b"", b"12345678", b"\xff" * 99])
def test_info_of_what_is_nothing(capsys, tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    fails(capsys, "info", tmp_path / "a")
    fails(capsys, "info", tmp_path / "missing")


# Going on.


def weights(folder):
    tensors, _ = read_tensors(folder / "model.safetensors")
    return {name: value.tobytes() for name, value in tensors.items()}


class Interrupt(Callback):
    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_interrupted_and_resumed_it_ends_with_the_same_weights(capsys, tmp_path, monkeypatch):
    from nnscratch.cli import training

    whole, broken = tmp_path / "whole", tmp_path / "bro ken"
    options = ["train", "digits", "--epochs", "3", "--hidden", "16"]
    assert call(capsys, *options, "--run", whole)[0] == 0
    with monkeypatch.context() as patched:
        callbacks = training._callbacks
        patched.setattr(
            training, "_callbacks", lambda *a: [*callbacks(*a), Interrupt(50)]
        )
        code, _, err = call(capsys, *options, "--run", broken)
    assert code == 130
    assert err.count("\n") == 1
    command = shlex.split(err.partition("go on with: ")[2])
    assert command == ["nnscratch", "train", "--resume", "--run", str(broken)]
    assert "not finished" in fails(capsys, "predict", broken, "digits")
    assert call(capsys, "info", broken)[0] == 0
    assert call(capsys, *command[1:], "--quiet")[0] == 0
    assert weights(broken) == weights(whole)
    # Resumed once more, nothing is left to do.
    assert call(capsys, *command[1:], "--quiet")[0] == 0
    assert weights(broken) == weights(whole)


def test_what_a_resumed_run_cannot_change(capsys, digits):
    folder, _ = digits
    resume = ["train", "--resume", "--run", folder]
    assert "where batch is 32, not 5" in fails(capsys, *resume, "--batch", "5")
    assert "spans 6 epochs" in fails(capsys, *resume, "--epochs", "7")
    assert "exclude each other" in fails(capsys, *resume, "--overwrite")
    assert "no run folder" in fails(capsys, "train", "--resume", "--run", folder.parent)


def test_a_run_can_be_replaced(capsys, tmp_path):
    options = ["train", "digits", "--run", tmp_path, "--quiet", *QUICK]
    assert call(capsys, *options)[0] == 0
    before = weights(tmp_path)
    assert call(capsys, *options, "--overwrite", "--seed", "5")[0] == 0
    assert weights(tmp_path) != before


def test_nan_in_training_stops_it(capsys, tmp_path):
    err = fails(
        capsys,
        *["train", "digits", "--run", tmp_path, "--lr", "1e30", "--optimizer", "sgd", *QUICK],
    )
    assert "training stopped at step" in err
    assert "smaller learning rate" in err


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
