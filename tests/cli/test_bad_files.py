import gzip
import shutil

import pytest
from command_line import fails, flowers, squares

CSVS = {
    "": ("empty", []),
    "a,b\n": ("no rows", []),
    "a,b\n1,2\n3,4\n": ("say which column to predict with --target; the columns are a, b", None),
    "width,b\n1,2\n3,4\n": ("no column 'with'; did you mean 'width'?", ["--target", "with"]),
    "a,b\n1,\n,4\n3,x\n": (
        "column 'a' is empty or NaN in 1 of 3 rows",
        ["--target", "b", "--missing", "refuse"],
    ),
    "a,b\n1,2,3\n": ("line 2", []),
    "a,a\n1,2\n": ("'a'", ["--target", "a"]),
    "b\n" + "1\n2\n" * 9: ("no column is left", ["--target", "b"]),
    "a,b\n1,x\n2,x\n3,x\n": ("single class 'x'", ["--target", "b"]),
    "a,b\n" + "1,1.5\n" * 20: ("nothing to learn", ["--target", "b"]),
    "a,b\n1,x\n2,y\n": ("too few", ["--target", "b"]),
    "a,b\n1,inf\n2,2\n": ("infinite in 1 of 2", ["--target", "b", "--missing", "refuse"]),
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
    assert "no folders of image files, one for each class" in fails(capsys, "train", tmp_path)
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
    assert "is no folder but a file" in fails(capsys, "train", "digits", "--run", tmp_path / "file")
    assert "cannot be written to" in fails(capsys, "train", "digits", "--run", "/proc/nnscratch")
    assert "a run in this folder already" in fails(capsys, "train", "digits", "--run", digits[0])


@pytest.fixture
def copied(digits, tmp_path):
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
