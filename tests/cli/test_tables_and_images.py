import json

import numpy as np
import polars
import pytest
from command_line import QUICK, call, fails, flowers, squares


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_classification_of_a_table(capsys, tmp_path, suffix):
    table, run = flowers(tmp_path / f"flowers{suffix}"), tmp_path / "run"
    options = [
        "--epochs",
        "40",
        "--lr",
        "0.01",
        "--exclude",
        "height",
        "--class-weight",
        "balanced",
    ]
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
    code, _, err = call(capsys, "predict", run, tmp_path / "new.csv", "-o", tmp_path / "p.csv")
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
    code, _, _ = call(capsys, "predict", run, run / "sample.csv", "-o", tmp_path / "p.csv")
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
    polars.read_csv(run / "sample.csv").with_columns(polars.lit("green").alias("colour")).write_csv(
        tmp_path / "new.csv"
    )
    code, _, err = call(capsys, "predict", run, tmp_path / "new.csv")
    assert code == 0
    assert err.startswith("nnscratch: warning: ")
    assert err.count("\n") == 1
    assert "'green'" in err


# Folders of IDX files.


@pytest.mark.parametrize("test", [True, False])
def test_a_folder_of_images(capsys, tmp_path, test):
    folder, run = squares(tmp_path / "squares", test=test), tmp_path / "run"
    code, _, err = call(
        capsys,
        "train",
        folder,
        "--run",
        run,
        "--epochs",
        "30",
        "--lr",
        "0.01",
        "--dropout",
        "0",
        "--batch",
        "16",
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
