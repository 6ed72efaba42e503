"""CSV files as programs and people really write them: recognised, and said."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnscratch.data import TableFile, read_table
from nnscratch.errors import DataError


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lists(path: Path, **options: Any) -> dict[str, list[Any]]:
    return {n: v.tolist() for n, v in read_table(path, **options).columns.items()}


XK = {"x": [1, 2], "k": ["a", "b"]}


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("x,k\n1,a\n2,b\n", ","),
        ("x;k\n1;a\n2;b\n", ";"),
        ("x\tk\n1\ta\n2\tb\n", "\t"),
        ("x|k\n1|a\n2|b\n", "|"),
        ("sep=;\nx;k\n1;a\n2;b\n", ";"),
        ('"sep=,"\r\nx,k\r\n1,a\r\n2,b\r\n', ","),
        ("# made by hand\n#\nx,k\n1,a\n2,b\n", ","),
        ("x , k \n1, a\n 2,b \n", ","),
        ('x, "k"\n1, "a"\n2, "b"\n', ","),
        ("x,k\n1,a\n\n2,b\n\n", ","),
        ('x,k\n1,"a"\n   \n2,b\n', ","),
        ("x,k\n1,a\n2,b\n\x1a", ","),
        ("x,k,\n1,a,\n2,b,\n", ","),
        ("x,k\n1,a,\n2,b,\n", ","),
        (",x,k\n0,1,a\n1,2,b\n", ","),
        ("Unnamed: 0,x,k\n0,1,a\n1,2,b\n", ","),
        ('"rownames","x","k"\n"r1",1,"a"\n"r2",2,"b"\n', ","),
        ("x,k\nr1,1,a\nr2,2,b\n", ","),
    ],
)
def test_one_table_in_many_dialects(tmp_path: Path, content: str, separator: str) -> None:
    path = write(tmp_path, content)
    assert lists(path) == XK
    reading = read_table(path).reading
    assert reading is not None
    assert reading.separator == separator


def zipped(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


PLAIN = "x,k\n1,é\n2,b\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PLAIN.encode("utf-8-sig"), ("UTF-8", "")),
        (PLAIN.encode("utf-16"), ("UTF-16", "")),
        (PLAIN.encode("utf-16-le"), ("UTF-16", "")),
        (PLAIN.encode("utf-16-be"), ("UTF-16", "")),
        (PLAIN.encode("utf-32"), ("UTF-32", "")),
        (PLAIN.encode("cp1252"), ("Windows-1252", "")),
        (PLAIN.encode("latin-1") + b"3,\x81\n", ("Latin-1", "")),
        (gzip.compress(PLAIN.encode(), mtime=0), ("UTF-8", "gzip")),
        (bz2.compress(PLAIN.encode()), ("UTF-8", "bzip2")),
        (lzma.compress(PLAIN.encode()), ("UTF-8", "xz")),
        (zipped({"a.csv": PLAIN}), ("UTF-8", "zip")),
        (zipped({"a.csv": PLAIN, "LICENSE": "no table"}), ("UTF-8", "zip")),
        (zipped({"a.csv": PLAIN, "__MACOSX/a.csv": "x"}), ("UTF-8", "zip")),
        (gzip.compress(PLAIN.encode("utf-16"), mtime=0), ("UTF-16", "gzip")),
    ],
)
def test_encodings_and_compression(tmp_path: Path, content: bytes, said: tuple[str, str]) -> None:
    table = read_table(write(tmp_path, content))
    assert table.column("k")[:2].tolist() == ["é", "b"]
    assert table.reading is not None
    assert (table.reading.encoding, table.reading.compression) == said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            zipped({"a.csv": "x", "b.csv": "x"}),
            "a zip archive of 2 files .'a.csv', 'b.csv'.: unpack it",
        ),
        (zipped({"xl/workbook.xml": "x"}), "this is an Excel workbook: save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "this is an Excel workbook of the old kind"),
        (b"PK\x03\x04broken", "the zip archive cannot be read"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-9], "the compressed file is damaged or cut off"),
        (b"\x93NUMPY\x01", "this is a NumPy array"),
        (b'{"a": 1}\n', "this is JSON: write it as a CSV file"),
        (b'[{"a": 1}]\n', "this is JSON"),
        (b"% remark\n@RELATION r\n@attribute x numeric\n", "this is an ARFF file"),
        (b"<!DOCTYPE html>\n<p>1,2\n", "this is a page of HTML, not a table"),
        (b"%PDF-1.4\n", "this is a PDF document"),
        (b"x,k\n\xff\x01,1\n", "not a text file: line 2 has the byte 0x01"),
        (b"x,y,k\n1,2,a\n3,4\n", "line 3 has 2 values, but there are 3 columns .separated by a c"),
        (b"x,k\n1,a\n2,b,c\n", "line 3 has 3 values, .* a comma in it stands in quotation marks"),
        (b"\n\nx,k\n1,a\n2,b,c\n", "line 5 has 3 values"),
        (b"5,0,0\n1,2,3\n", "the name '0'. They are all numbers: does the file lack the line"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_the_arrays_of_an_npz_file_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros(2), y_train=np.zeros(2))
    with pytest.raises(DataError, match=r"the arrays 'x_train.npy', 'y_train.npy', not a table"):
        read_table(tmp_path / "mnist.npz")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("x,,z", ("x", "column_2", "z")),
        ("x,x,x_2", ("x", "x_3", "x_2")),
        ("x, x,X", ("x", "x_2", "X")),
        ('"a,b",a,"c\nd"', ("a,b", "a", "c\nd")),
        ("n" * 300 + ",b,c", ("n" * 300, "b", "c")),
        (",column_1,c", ("column_1_2", "column_1", "c")),
    ],
)
def test_names_of_all_kinds_survive(tmp_path: Path, line: str, names: tuple[str, ...]) -> None:
    file = TableFile(write(tmp_path, f"{line}\n1,2,3\n1,5,6\n"))
    assert file.names == names
    assert read_table(write(tmp_path, f"{line}\n1,2,3\n1,5,6\n")).names == names


def test_names_written_as_a_remark(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", np.eye(2), delimiter=",", header="x,y")
    assert lists(tmp_path / "a.csv") == {"x": [1.0, 0.0], "y": [0.0, 1.0]}
    assert lists(write(tmp_path, "#id,k\n1,a\n2,b\n")) == {"#id": [1, 2], "k": ["a", "b"]}


def test_row_numbers_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, ',x\n"car 1",5\n"car 2",6\n')
    assert lists(path) == {"x": [5, 6]}
    assert lists(path, columns=["column_1", "x"])["column_1"] == ["car 1", "car 2"]
    # One that says the same in two rows numbers nothing.
    path = write(tmp_path, ",x\n1,5\n1,6\n")
    assert lists(path) == {"column_1": [1, 1], "x": [5, 6]}
    reading = read_table(path).reading
    assert reading is not None
    assert reading.notes == ("a column without a name is called 'column_1'",)


def test_a_long_file_is_read_as_its_beginning_was(tmp_path: Path) -> None:
    # The separator is recognised in a part of the text only; the names alone may be longer.
    names = [f"a long name of a column {i}" for i in range(5000)]
    row = ",".join(map(str, range(5000)))
    path = write(tmp_path, f"{','.join(names)}\n{row}\n{row}\n")
    table = read_table(path)
    assert table.names == tuple(names)
    assert table.column(names[-1]).tolist() == [4999, 4999]
