"""The command line on tables as people have them: trained on, predicted, and what is said of it."""

import gzip
import json
import math

import numpy as np
import polars
import pytest
from command_line import QUICK, call, fails


def write(path, header, row, n=60):
    path.write_text(header + "\n" + "".join(f"{row(i)}\n" for i in range(n)), encoding="utf-8")
    return path


def trained(capsys, path, run, *options, target="kind"):
    code, out, err = call(capsys, "train", path, "--target", target, "--run", run, *QUICK, *options)
    assert code == 0, err
    return out, err


def columns(run):
    saved = json.loads((run / "preprocessing.json").read_text())
    return [column["name"] for column in saved["encoder"]["columns"]]


def test_a_european_table_and_a_new_one_of_another_dialect(capsys, tmp_path):
    table = write(
        tmp_path / "t.csv",
        "größe;tag;art",
        lambda i: f"1.{100 + i % 7},{i % 10};{i % 28 + 1}.{i % 12 + 1}.2024;{'ab'[i % 2]}",
    )
    out, err = trained(capsys, table, tmp_path / "run", target="art")
    assert err == ""
    assert "a semicolon between values" in out
    assert "the comma is the decimal mark" in out
    assert "'tag' (%d.%m.%Y)" in out
    new = tmp_path / "new.csv"
    new.write_text("tag,größe\n2024-03-01,1105.5\n2024-03-02,1101.5\n", encoding="utf-8")
    same = tmp_path / "same.csv"
    same.write_text("tag;größe\n1.3.2024;1.105,5\n2.3.2024;1.101,5\n", encoding="utf-8")
    found = []
    for path in (new, same):
        code, _, err = call(capsys, "predict", tmp_path / "run", path, "-o", tmp_path / "p.csv")
        assert (code, err) == (0, "")
        found.append(polars.read_csv(tmp_path / "p.csv"))
    assert found[0].equals(found[1])


def test_gaps_are_filled_in_training_and_in_prediction(capsys, tmp_path):
    table = write(
        tmp_path / "t.csv",
        "x,colour,size,kind",
        lambda i: (
            f"{'' if i % 10 == 3 else i * 0.5},{'NULL' if i % 10 == 4 else 'rb'[i % 2]},{i % 7},"
            f"{'' if i in (5, 9) else 'ab'[i % 2]}"
        ),
    )
    out, err = trained(capsys, table, tmp_path / "run")
    assert "'x' 6, 'colour' 6" in " ".join(out.split())
    assert "2 of 60 rows have no target ('kind') and are left out, the first is row 6" in err
    new = tmp_path / "new.csv"
    new.write_text("x,colour,size\n,r,1\n2,,2\n3,b,\n")
    code, _, err = call(capsys, "predict", tmp_path / "run", new, "-o", tmp_path / "p.csv")
    assert code == 0
    # Only the column without gaps in training is worth a word.
    assert "'size' in 1 rows, first in row 3" in err
    assert "'x'" not in err
    assert len(polars.read_csv(tmp_path / "p.csv")) == 3
    assert call(capsys, "evaluate", tmp_path / "run", table)[0] == 0
    arguments = [table, "--target", "kind", "--run", tmp_path / "r2", "--missing", "refuse"]
    assert "column 'x' is empty or NaN in 6 of 60 rows" in fails(capsys, "train", *arguments)


def test_rows_of_mistakes_are_those_of_the_file(capsys, tmp_path):
    table = write(tmp_path / "t.csv", "x,y", lambda i: f"{i * 0.5},{'' if i < 9 else i * i}")
    trained(capsys, table, tmp_path / "run", target="y")
    mistakes = polars.read_csv(tmp_path / "run" / "mistakes.csv")
    assert len(mistakes) > 5
    for row, x in zip(mistakes["row"], mistakes["x"], strict=True):
        assert x == (row - 1) * 0.5


def test_row_numbers_identifiers_and_empty_columns_are_left_out(capsys, tmp_path):
    table = write(
        tmp_path / "t.csv",
        ",customer_id,name,note,x,kind,",
        lambda i: f"{i},{1000 + i},person {i},,{i % 7},{'ab'[i % 2]},",
    )
    out, err = trained(capsys, table, tmp_path / "run")
    assert columns(tmp_path / "run") == ["x"]
    assert "'column_1' numbers or names the rows: left out" in " ".join(out.split())
    assert "columns without any value are left out: 'note'" in " ".join(out.split())
    assert "teach nothing and are left out: 'customer_id', 'name'" in err
    assert call(capsys, "predict", tmp_path / "run", table)[0] == 0


def test_the_number_of_the_row_is_used_where_there_is_nothing_else(capsys, tmp_path):
    table = write(tmp_path / "t.csv", '"","y"', lambda i: f'"{i + 1}",{i * 0.5}')
    out, _ = trained(capsys, table, tmp_path / "run", target="y")
    assert "no column but the target and 'column_1', the number of the row" in " ".join(out.split())
    assert columns(tmp_path / "run") == ["column_1"]
    code, _, err = call(capsys, "predict", tmp_path / "run", table, "-o", tmp_path / "p.csv")
    assert (code, err) == (0, "")


def test_an_index_of_pandas_in_parquet_is_no_feature(capsys, tmp_path):
    frame = {"x": [i % 7 for i in range(60)], "kind": ["ab"[i % 2] for i in range(60)]}
    polars.DataFrame({**frame, "__index_level_0__": range(60)}).write_parquet(
        tmp_path / "t.parquet"
    )
    trained(capsys, tmp_path / "t.parquet", tmp_path / "run")
    assert columns(tmp_path / "run") == ["x"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_dates_are_features(capsys, tmp_path, suffix):
    days = polars.Series(
        [f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}" for i in range(60)]
    ).str.to_date()
    frame = polars.DataFrame({"day": days, "kind": ["ab"[i % 2] for i in range(60)]})
    path = tmp_path / f"t{suffix}"
    frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    trained(capsys, path, tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "preprocessing.json").read_text())
    parts = [part["part"] for part in saved["encoder"]["columns"][0]["parts"]]
    assert parts == ["days", "month", "weekday"]
    for source in (path, tmp_path / "run" / "sample.csv"):
        code, _, err = call(capsys, "predict", tmp_path / "run", source)
        assert (code, err) == (0, "")


def test_dates_as_the_target_are_refused(capsys, tmp_path):
    table = write(tmp_path / "t.csv", "x,day", lambda i: f"{i},2024-01-{i % 28 + 1:02d}")
    assert "'day' holds dates" in fails(capsys, "train", table, "--target", "day")


@pytest.mark.parametrize(
    ("excluded", "left"),
    [
        (["Income, net"], ["x", "z"]),
        (["Income, net,x"], ["z"]),
        (["x,Income, net"], ["z"]),
        (["x , z"], ["Income, net"]),
        (["x", "z"], ["Income, net"]),
        (["x,"], ["Income, net", "z"]),
    ],
)
def test_columns_to_leave_out_may_have_commas(capsys, tmp_path, excluded, left):
    table = write(
        tmp_path / "t.csv",
        'x,"Income, net",z,kind',
        lambda i: f"{i % 3},{i % 5},{i % 7},{'ab'[i % 2]}",
    )
    options = [item for name in excluded for item in ("--exclude", name)]
    trained(capsys, table, tmp_path / "run", *options)
    assert columns(tmp_path / "run") == left


def test_columns_that_cannot_be_meant(capsys, tmp_path):
    table = write(tmp_path / "t.csv", "x,kind", lambda i: f"{i % 3},{'ab'[i % 2]}")
    said = fails(capsys, "train", table, "--target", "kind", "--exclude", "kind")
    assert "column 'kind' is the target, and --exclude leaves it out" in said
    said = fails(capsys, "train", table, "--target", "kind", "--exclude", "x,Kint")
    assert "no column 'Kint'; did you mean 'kind'?" in said
    trained(capsys, table, tmp_path / "run", target=" kind ")
    said = fails(capsys, "train", "digits", "--separator", ";")
    assert "--separator is for tables" in said
    said = fails(capsys, "train", table, "--target", "kind", "--missing", "drop")
    assert "'drop'" in said


def test_a_packed_table_gives_its_run_the_name_of_the_table(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = write(tmp_path / "t.csv", "x,kind", lambda i: f"{i % 3},{'ab'[i % 2]}")
    (tmp_path / "trees.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    code, _, err = call(capsys, "train", "trees.csv.gz", "--target", "kind", *QUICK)
    assert (code, err) == (0, "")
    assert call(capsys, "predict", "runs/trees", "trees.csv.gz")[0] == 0


def test_a_folder_of_tables_is_none_of_images(capsys, tmp_path):
    write(tmp_path / "t.csv", "x,kind", lambda i: f"{i % 3},{'ab'[i % 2]}")
    for options in ([], ["--target", "kind"]):
        assert "t.csv, with --target COLUMN" in fails(capsys, "train", tmp_path, *options)


def test_a_separator_that_is_given(capsys, tmp_path):
    table = write(tmp_path / "t.csv", "x kind", lambda i: f"{i % 3} {'ab'[i % 2]}")
    assert "--separator" in fails(capsys, "train", table, "--target", "kind")
    trained(capsys, table, tmp_path / "run", "--separator", " ")
    # It is known when the model is used.
    assert call(capsys, "predict", tmp_path / "run", table)[0] == 0
    tabs = write(tmp_path / "tabs.csv", "x\tkind", lambda i: f"{i % 3}\t{'ab'[i % 2]}")
    trained(capsys, tabs, tmp_path / "run2", "--separator", "tab")


def test_columns_called_like_those_of_our_own_files(capsys, tmp_path):
    table = write(
        tmp_path / "t.csv",
        "row,prediction,probability,p(a),kind",
        lambda i: f"{i % 3},{i % 5},{i % 7},{i % 2},{'ab'[i % 2]}",
    )
    trained(capsys, table, tmp_path / "run")
    names = ["row", "prediction", "probability", "p(a)"]
    assert columns(tmp_path / "run") == names
    assert polars.read_csv(tmp_path / "run" / "sample.csv").columns == [*names, "kind"]
    written = polars.read_csv(tmp_path / "run" / "mistakes.csv").columns
    assert {"row (data)", "prediction (data)", "probability (data)", "p(a)"} <= set(written)
    output = tmp_path / "p.csv"
    assert call(capsys, "predict", tmp_path / "run", table, "-o", output, "--probabilities")[0] == 0


def test_a_flag_written_otherwise_in_the_new_file(capsys, tmp_path):
    table = write(
        tmp_path / "t.csv",
        "a,b,c,kind",
        lambda i: f"{i % 2},{i % 3 == 0},{'ny'[i % 2]},{'pq'[i % 2]}",
    )
    trained(capsys, table, tmp_path / "run")
    new = tmp_path / "new.csv"
    new.write_text("a,b,c\nTrue,1,yes\nFalse,no,0\n")
    code, _, err = call(capsys, "predict", tmp_path / "run", new)
    assert (code, err) == (0, "")


def test_very_many_categories_are_no_obstacle(capsys, tmp_path):
    table = write(
        tmp_path / "t.csv", "town,x,kind", lambda i: f"t{i % 150},{i % 7},{'ab'[i % 2]}", 400
    )
    out, err = trained(capsys, table, tmp_path / "run")
    assert err == ""
    assert "the 100 most frequent categories are kept: 'town'" in " ".join(out.split())


@pytest.mark.parametrize("size", [1e155, 1.7e308])
def test_a_target_whose_square_is_infinite_is_refused(capsys, tmp_path, size):
    table = write(tmp_path / "t.csv", "x,y", lambda i: f"{i % 7},{(-1) ** i * size!r}")
    assert "divide the column by a power of ten" in fails(capsys, "train", table, "--target", "y")


@pytest.mark.parametrize("size", [1.7e308, 5e-324, 0.0, 1e15])
def test_extreme_features_train_with_a_finite_loss(capsys, tmp_path, size):
    table = write(
        tmp_path / "t.csv", "x,c,kind", lambda i: f"{i % 7},{(-1) ** i * size!r},{'ab'[i % 2]}"
    )
    trained(capsys, table, tmp_path / "run")
    assert math.isfinite(json.loads((tmp_path / "run" / "report.json").read_text())["loss"])


def test_what_is_said_is_kept_with_the_run(capsys, tmp_path):
    table = write(tmp_path / "t.csv", "x;kind", lambda i: f"{i},5;{'ab'[i % 2]}")
    trained(capsys, table, tmp_path / "run")
    reading = json.loads((tmp_path / "run" / "preprocessing.json").read_text())["reading"]
    assert (reading["separator"], reading["decimal"]) == (";", ",")
    assert any("semicolon" in note for note in reading["notes"])
    assert np.isfinite(polars.read_csv(tmp_path / "run" / "sample.csv")["x"].to_numpy()).all()
