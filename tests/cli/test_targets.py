"""Targets of the command line: labels as they are written, rare classes, very small tables."""

import json

import polars
import pytest
from command_line import QUICK, call, fails


def rows_of(path, labels, name="kind"):
    lines = [f"{i % 7},{label}" for i, label in enumerate(labels)]
    path.write_text("\n".join([f"x,{name}", *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    "labels",
    [
        ("007", "012"),
        ("1.0", "2.0", "3.0"),
        ("0.5", "1.5"),
        ("TRUE", "FALSE"),
        ("yes", "no"),
        ("1", "2"),
        ("-1", "+1"),
        ("1e3", "2e3"),
    ],
)
def test_labels_come_back_as_they_are_written(capsys, tmp_path, labels):
    table = rows_of(tmp_path / "t.csv", labels * 20)
    run = tmp_path / "run"
    code, _, err = call(capsys, "train", table, "--target", "kind", "--run", run, *QUICK)
    assert (code, err) == (0, "")
    report = json.loads((run / "report.json").read_text())
    assert {row["class"] for row in report["classes"]} == set(labels)
    for source in (table, run / "sample.csv"):
        text = polars.read_csv(source, infer_schema=False)
        assert set(text["kind"]) <= set(labels)
        assert call(capsys, "evaluate", run, source)[0] == 0
        out = tmp_path / "p.csv"
        assert call(capsys, "predict", run, source, "-o", out)[0] == 0
        assert set(polars.read_csv(out, infer_schema=False)["prediction"]) <= set(labels)
        out.unlink()


@pytest.mark.parametrize("few", [1, 2, 3, 4])
def test_a_class_of_few_rows_is_named_and_learned(capsys, tmp_path, few):
    table = rows_of(tmp_path / "t.csv", ["a", "b"] * 40 + ["rare"] * few)
    run = tmp_path / "run"
    code, _, err = call(capsys, "train", table, "--target", "kind", "--run", run, *QUICK)
    assert code == 0
    assert err.count("\n") == 1
    assert "'rare'" in err
    assert "81; none in the validation" in err
    report = json.loads((run / "report.json").read_text())
    assert [row["class"] for row in report["classes"]] == ["a", "b", "rare"]
    code, _, err = call(capsys, "evaluate", run, table)
    assert (code, err) == (0, "")


@pytest.mark.parametrize("labels", ["aab", "aabb", "abcdefghaa", "ab" * 5])
def test_very_small_tables_train(capsys, tmp_path, labels):
    table = rows_of(tmp_path / "t.csv", labels)
    run = tmp_path / "run"
    code, out, _ = call(capsys, "train", table, "--target", "kind", "--run", run, *QUICK)
    assert code == 0
    assert "Test accuracy" in out
    assert call(capsys, "predict", run, run / "sample.csv")[0] == 0


def test_two_rows_are_too_few_for_two_classes(capsys, tmp_path):
    table = rows_of(tmp_path / "t.csv", "ab")
    line = fails(capsys, "train", table, "--target", "kind", "--run", tmp_path / "run", *QUICK)
    assert "2 rows are too few: 1 would be left to train on, all of one class" in line


def test_text_that_names_the_rows_is_a_target_on_demand_only(capsys, tmp_path):
    table = rows_of(tmp_path / "t.csv", [f"n{i}" for i in range(30)])
    given = ["train", table, "--target", "kind"]
    line = fails(capsys, *given, "--run", tmp_path / "run", *QUICK)
    assert "name the rows and cannot be learned; choose another target" in line
    options = ["--task", "classification", "--run", tmp_path / "run2", *QUICK]
    assert call(capsys, *given, *options)[0] == 0
