"""Texts from files of every encoding, and the windows that they are cut into."""

import bz2
import gzip
import zipfile

import numpy as np
import pytest

from nnscratch.data import DataLoader, TextWindows, read_text, split_text
from nnscratch.errors import ConfigurationError, DataError

TEXT = "Überall ist es schön.\n“Ja”, sagte er – für 5 €.\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path, encoding, end):
    path = tmp_path / "a.txt"
    path.write_bytes((TEXT * 5).replace("\n", end).encode(encoding))
    assert read_text(path).text == TEXT * 5


def test_compressed_texts(tmp_path):
    raw = TEXT.encode()
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(raw))
    (tmp_path / "a.txt.bz2").write_bytes(bz2.compress(raw))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", raw)
    for name, how in (("a.txt.gz", "gzip"), ("a.txt.bz2", "bzip2"), ("a.zip", "zip")):
        found = read_text(tmp_path / name)
        assert (found.text, found.compression, found.encoding) == (TEXT, how, "UTF-8")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b" \r\n\t\n", "the file is empty"),
        (b"%PDF-1.7 ...", "this is a PDF document: save the text in it as a plain text file"),
        (b"\x89PNG\r\n\x1a\n", "this is a PNG image"),
        (b"one\ntwo\0three", "line 2 has a zero byte, which stands in no text; name a plain text"),
        (b"\xff\x01\x02\x03", "not a text file"),
        (b"\x1f\x8b\x08 cut", "the compressed file is damaged or cut off"),
    ],
)
def test_what_is_no_text(tmp_path, content, says):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read_text(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(DataError, match=r"no such file|a folder"):
            read_text(path)


@pytest.mark.parametrize(("count", "block"), [(1000, 16), (51, 16), (200, 1), (1003, 300)])
def test_the_parts_do_not_overlap(count, block):
    tokens = np.arange(count, dtype=np.int32)
    parts = split_text(tokens, block, 0.1, 0.2)
    np.testing.assert_array_equal(np.concatenate(parts), tokens)
    assert min(map(len, parts)) > block
    train, judged, tested = split_text(tokens, block, 0.1, 0.0)
    assert tested is None
    np.testing.assert_array_equal(np.concatenate((train, judged)), tokens)
    assert split_text(tokens, block, 0.0)[1] is None


def test_a_text_shorter_than_the_block():
    tokens = np.arange(50, dtype=np.int32)
    with pytest.raises(
        DataError, match=r"a\.txt: 50 tokens are too few for windows of 16: 3 parts"
    ) as caught:
        split_text(tokens, 16, 0.1, 0.2, "a.txt")
    block = int(str(caught.value).rpartition("block of ")[2].partition(" ")[0])
    assert [len(part) > block for part in split_text(tokens, block, 0.1, 0.2)] == [True] * 3
    with pytest.raises(DataError, match="need a text of 51 at least, got one of 50"):
        TextWindows(tokens, 50)
    for shares in ((0.5, 0.5), (1.0, 0.0), (-0.1, 0.0)):
        with pytest.raises(ConfigurationError):
            split_text(tokens, 2, *shares)


@pytest.mark.parametrize(
    ("count", "block", "validation", "test", "says"),
    [
        (
            20,
            8,
            0.9,
            0.0,
            r"2 of 20 tokens are left .* validation \(0\.9 of 20 is 18\) take the rest",
        ),
        (40, 8, 0.5, 0.4, r"validation \(0\.5 of 40 is 20\) and test \(0\.4 of 40 is 16\) take"),
        (10, 9, 0.7, 0.0, r"need 20 at least; give a longer text, or a block of 2 or less"),
        (2, 1, 0.1, 0.0, r"need 4 at least; give a longer text$"),
    ],
)
def test_what_is_said_of_a_short_text_is_true(count, block, validation, test, says):
    tokens = np.arange(count, dtype=np.int32)
    with pytest.raises(DataError, match=says) as caught:
        split_text(tokens, block, validation, test)
    told = str(caught.value).rpartition("block of ")[2].partition(" ")[0]
    if told.isdigit():
        assert len(split_text(tokens, int(told), validation, test)[0]) > int(told)
        with pytest.raises(DataError):
            split_text(tokens, int(told) + 1, validation, test)


def test_windows_show_every_token_once_and_what_follows_it():
    tokens = np.random.default_rng(0).integers(0, 50, 1001).astype(np.int32)
    windows = TextWindows(tokens, 25)
    inputs, targets = (np.asarray(part) for part in windows.tensors)
    np.testing.assert_array_equal(inputs.ravel(), tokens[:-1])
    np.testing.assert_array_equal(targets.ravel(), tokens[1:])
    assert np.shares_memory(windows.arrays[0], tokens)
    with pytest.raises(ConfigurationError):
        windows.shift(1)


def test_shifted_windows_have_other_borders_and_stay_as_many():
    tokens = np.arange(101, dtype=np.int32)
    windows = TextWindows(tokens, 10, spare=9)
    loader = DataLoader(windows, batch_size=4)
    for first in (0, 4, 9):
        windows.shift(first)
        batches = list(loader)
        assert len(batches) == len(loader) == 3
        seen = np.concatenate([np.asarray(x) for x, _ in batches])
        np.testing.assert_array_equal(seen.ravel(), np.arange(first, first + 90))
        behind = np.concatenate([np.asarray(y) for _, y in batches])
        np.testing.assert_array_equal(behind, seen + 1)
    with pytest.raises(ConfigurationError, match="by 0 to 9"):
        windows.shift(10)
