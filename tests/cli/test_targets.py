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


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([True, False], {True, False}),
        ([1.0, 2.0], {1, 2}),
        ([3, 4], {3, 4}),
        ([0.5, 1.5], {0.5, 1.5}),
    ],
)
def test_labels_of_a_parquet_file_keep_their_kind(capsys, tmp_path, labels, expected):
    table, run = tmp_path / "t.parquet", tmp_path / "run"
    polars.DataFrame({"x": range(40), "kind": labels * 20}).write_parquet(table)
    assert call(capsys, "train", table, "--target", "kind", "--run", run, *QUICK)[0] == 0
    assert call(capsys, "predict", run, table, "-o", tmp_path / "p.parquet")[0] == 0
    found = set(polars.read_parquet(tmp_path / "p.parquet")["prediction"])
    assert found <= expected
    assert {type(one) for one in found} <= {type(one) for one in expected}
    assert call(capsys, "evaluate", run, table)[0] == 0


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


@pytest.mark.parametrize("shares", [("0.89", "0.1"), ("0.2", "0.7"), ("0.01", "0.01")])
def test_unusual_shares_of_a_small_table(capsys, tmp_path, shares):
    table = rows_of(tmp_path / "t.csv", "ab" * 10)
    options = ["--test", shares[0], "--validation", shares[1], "--run", tmp_path / "run", *QUICK]
    assert call(capsys, "train", table, "--target", "kind", *options)[0] == 0


def test_a_row_of_each_class_is_trained_on(capsys, tmp_path):
    table, run = rows_of(tmp_path / "t.csv", "abcdefghhh"), tmp_path / "run"
    assert call(capsys, "train", table, "--target", "kind", "--run", run, *QUICK)[0] == 0
    split = polars.read_csv(run / "split.csv")
    learned = split.filter(polars.col("part") == "train")["row"].to_list()
    assert {"abcdefghhh"[row - 1] for row in learned} == set("abcdefgh")


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


def test_evaluate_gives_the_numbers_of_the_report(capsys, tmp_path):
    """Class weights and label smoothing are of the training alone."""
    table, run = rows_of(tmp_path / "t.csv", ["a", "a", "a", "b"] * 30), tmp_path / "run"
    options = ["--class-weight", "balanced", "--label-smoothing", "0.2", *QUICK]
    assert call(capsys, "train", table, "--target", "kind", "--run", run, *options)[0] == 0
    split = polars.read_csv(run / "split.csv")
    assert sorted(split["row"]) == list(range(1, 121))
    assert split["part"].value_counts(sort=True).rows() == [
        ("train", 84),
        ("test", 24),
        ("validation", 12),
    ]
    tested = split.filter(polars.col("part") == "test")["row"].to_numpy() - 1
    polars.read_csv(table)[tested].write_csv(tmp_path / "test.csv")
    again = tmp_path / "again.json"
    assert call(capsys, "evaluate", run, tmp_path / "test.csv", "-o", again)[0] == 0
    report, found = (json.loads(p.read_text()) for p in (run / "report.json", again))
    assert found["loss"] == pytest.approx(report["loss"], rel=1e-6)
    for key in ("accuracy", "macro", "confusion", "classes"):
        assert found[key] == report[key]


def test_a_test_of_one_value_has_no_r2(capsys, tmp_path):
    table = rows_of(tmp_path / "t.csv", [f"{n / 7:.3f}" for n in range(60)])
    run = tmp_path / "run"
    assert call(capsys, "train", table, "--target", "kind", "--run", run, *QUICK)[0] == 0
    same = rows_of(tmp_path / "same.csv", ["0.3"] * 10)
    code, out, err = call(capsys, "evaluate", run, same, "-o", tmp_path / "r.json")
    assert (code, err) == (0, "")
    assert "no R², for these rows have one value of the target" in " ".join(out.split())
    assert "nan" not in out.lower()
    assert json.loads((tmp_path / "r.json").read_text())["r2"] is None


@pytest.mark.parametrize(
    ("labels", "options", "line"),
    [
        (["1.0", "2.0", "3.0"] * 10, [], "one of 3 classes; --task regression predicts a number"),
        (["a", "b"] * 10, [], "one of 2 classes\n"),
        (["1", "2"] * 10, ["--task", "classification"], "one of 2 classes\n"),
        (["1", "2"] * 10, ["--task", "regression"], "a number (regression)\n"),
        ([str(n) for n in range(30)], [], "a number (regression)\n"),
    ],
)
def test_what_is_predicted_is_said(capsys, tmp_path, labels, options, line):
    table, run = rows_of(tmp_path / "t.csv", labels), tmp_path / "run"
    code, out, err = call(
        capsys, "train", table, "--target", "kind", "--run", run, *options, *QUICK
    )
    assert (code, err) == (0, "")
    assert f"target: 'kind', {line}" in out
