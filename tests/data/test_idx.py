"""The IDX reader: what is written comes back, and no damaged file gets past it."""

from __future__ import annotations

import gzip
import os
import re
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnscratch.data import load_idx_folder, read_idx
from nnscratch.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def header(code: int, *shape: int) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def idx(values: npt.NDArray[Any]) -> bytes:
    big = values.astype(values.dtype.newbyteorder(">"))
    return header(CODES[values.dtype.str[1:]], *values.shape) + big.tobytes()


def write(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@given(
    st.sampled_from(sorted(CODES)).flatmap(
        lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0))
    ),
    st.booleans(),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, values: npt.NDArray[Any], zipped: bool
) -> None:
    content = idx(values)
    folder = tmp_path_factory.mktemp("idx")
    read = read_idx(write(folder, gzip.compress(content) if zipped else content))
    assert read.dtype == values.dtype
    assert read.dtype.isnative
    assert read.shape == values.shape
    assert read.flags.writeable
    assert read.tobytes() == values.tobytes()


@pytest.mark.parametrize("zipped", [False, True])
def test_every_truncation_is_an_error(tmp_path: Path, zipped: bool) -> None:
    content = idx(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    content = gzip.compress(content) if zipped else content
    for length in range(len(content)):
        with pytest.raises(DataError, match="file"):
            read_idx(write(tmp_path, content[:length]))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_flipped_bit_is_an_error_or_an_array(tmp_path: Path, zipped: bool) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = gzip.compress(idx(values), mtime=0) if zipped else idx(values)
    outcomes = set()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert read_idx(write(tmp_path, bytes(damaged))).nbytes == values.nbytes
            outcomes.add("array")
        except DataError:
            outcomes.add("error")
    assert outcomes == {"array", "error"}


@given(st.binary(max_size=64))
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("idx"), content)
    try:
        values = read_idx(path)
    except DataError as error:
        message = str(error)
    else:
        message = f"{path}: fine"
        assert values.nbytes < len(content)
    assert message.startswith(f"{path}: ")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "shape", [(2**31, 2**31), (2**32 - 1,) * 32, (0, *(2**32 - 1,) * 31), (2**31,), (70_000_000,)]
)
def test_a_header_that_claims_too_much_takes_no_memory(
    tmp_path: Path, shape: tuple[int, ...], zipped: bool
) -> None:
    content = header(0x0E, *shape) + b"x" * 100
    path = write(tmp_path, gzip.compress(content) if zipped else content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"the header claims .* values \([\d,]+ bytes\)"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    content = header(0x08, 50_000_000) + bytes(50_000_000)
    path = write(tmp_path, gzip.compress(content))
    with pytest.raises(DataError, match=r"more than the limit of max_bytes=1,000,000"):
        read_idx(path, max_bytes=1_000_000)


def test_more_gzipped_data_than_the_header_says_is_not_unpacked(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(header(0x08, 1000) + bytes(50_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="more bytes follow"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an IDX header has at least 4 bytes, the file has 0"),
        (b"\0\0\x08", "at least 4 bytes, the file has 3"),
        (b"\x89PNG1234", "not an IDX file: expected two zero bytes .* found the bytes 89 50 4e 47"),
        (b"\0\0\x0a\1" + b"\0" * 8, "found the bytes 00 00 0a 01"),
        (b"\0\0\x08\0" + b"\0" * 8, "claims 0 dimensions; expected 1 to 32"),
        (b"\0\0\x08\x21" + b"\0" * 200, "claims 33 dimensions"),
        (b"\0\0\x08\3" + b"\0" * 8, "truncated: the header of 3 dimensions has 16 bytes, .* 12"),
        (header(8, 2, 3) + b"12345", r"claims 2 x 3 values \(6 bytes\), the file holds 5: trunc"),
        (header(8, 2, 3) + b"1234567", r"claims 2 x 3 values \(6 bytes\), but more bytes follow"),
        (b"\x1f\x8b rubbish, not gzip", "damaged gzip file"),
    ],
)
def test_messages(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_idx(tmp_path / "missing")
    with pytest.raises(DataError, match="expected a file, but this is a folder"):
        read_idx(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="this is a device or a pipe"):
        read_idx(tmp_path / "pipe")
    with pytest.raises(DataError, match="cannot be opened"):
        read_idx("a\0b")


IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([0, 2, 1, 2], np.uint8)


def write_folder(folder: Path, names: str, zipped: bool, part: str, **arrays: Any) -> None:
    given = {"images": IMAGES, "labels": LABELS, **arrays}
    for what, values in given.items():
        name = names.format(part=part, what=what, n=3 if what == "images" else 1)
        content = idx(values)
        write(folder, gzip.compress(content) if zipped else content, name + ".gz" * zipped)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("test", ["t10k", "test"])
@pytest.mark.parametrize(
    "names",
    [
        "{part}-{what}-idx{n}-ubyte",
        "{part}-{what}.idx{n}-ubyte",
        "{part}-{what}-ubyte",
        "{part}-{what}.ubyte",
        "{part}-{what}.idx",
        "{part}-{what}",
    ],
)
def test_folder(tmp_path: Path, names: str, test: str, zipped: bool) -> None:
    write_folder(tmp_path, names, zipped, "train")
    write_folder(tmp_path, names, zipped, test, images=IMAGES[:2], labels=LABELS[:2])
    write(tmp_path, b"not one of them", "README.md")
    folder = load_idx_folder(tmp_path)
    assert folder.name == tmp_path.name
    np.testing.assert_array_equal(folder.train.images, IMAGES)
    np.testing.assert_array_equal(folder.train.labels, LABELS)
    assert folder.train.labels.dtype == np.int64
    assert folder.train.classes == 3
    assert folder.test is not None
    np.testing.assert_array_equal(folder.test.images, IMAGES[:2])
    np.testing.assert_array_equal(folder.train.features()[0], np.arange(6, dtype=np.float32) / 255)


USUAL = "{part}-{what}-idx{n}-ubyte"


def test_folder_without_a_test_set(tmp_path: Path) -> None:
    write_folder(tmp_path, USUAL, True, "train")
    assert load_idx_folder(tmp_path).test is None


def test_the_uncompressed_file_is_read_where_both_are_there(tmp_path: Path) -> None:
    write_folder(tmp_path, USUAL, False, "train")
    write(tmp_path, b"not gzip", "train-images-idx3-ubyte.gz")
    write(tmp_path, idx(LABELS[::-1]), "train-labels.idx1-ubyte")
    (tmp_path / "train-labels-idx1-ubyte").rename(tmp_path / "train-labels-idx1-ubyte.gz")
    assert load_idx_folder(tmp_path).train.labels.tolist() == LABELS[::-1].tolist()


def fails(folder: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_idx_folder(folder)
    assert str(folder) in str(caught.value)


def test_folder_messages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        load_idx_folder(tmp_path / "missing")
    with pytest.raises(DataError, match="expected a folder of IDX files, but this is a file"):
        load_idx_folder(write(tmp_path, b""))
    (tmp_path / "file").unlink()
    missing = "no file with the train images: expected 'train-images-idx3-ubyte'"
    fails(tmp_path, missing + ".* holds nothing")
    write(tmp_path, idx(LABELS), "train-labels-idx1-ubyte")
    fails(tmp_path, missing + ".* holds 'train-labels-idx1-ubyte'")
    write_folder(tmp_path, USUAL, False, "train", labels=LABELS[:3])
    fails(tmp_path, "4 images but 3 labels")
    write_folder(tmp_path, USUAL, False, "train", images=IMAGES[:0], labels=LABELS[:0])
    fails(tmp_path, re.escape("no images: the shape is (0, 2, 3)"))
    write_folder(tmp_path, USUAL, False, "train", images=IMAGES.reshape(4, 6))
    fails(tmp_path, r"expected images of shape \(N, height, width\) .*found shape \(4, 6\)")
    write_folder(tmp_path, USUAL, False, "train", images=IMAGES.astype(np.float32))
    fails(tmp_path, "in unsigned bytes, found shape .* of float32")
    write_folder(tmp_path, USUAL, False, "train", labels=LABELS[:, None])
    fails(tmp_path, r"expected labels of shape \(N,\).*found shape \(4, 1\)")
    write_folder(tmp_path, USUAL, False, "train", labels=LABELS.astype(np.float64))
    fails(tmp_path, "in whole numbers, found shape .* of float64")
    write_folder(tmp_path, USUAL, False, "train", labels=LABELS.astype(np.int8) - 1)
    fails(tmp_path, "a label is negative: -1")
    write_folder(tmp_path, USUAL, False, "train", labels=LABELS.astype(np.int32) + 2**30)
    fails(tmp_path, "beyond the 65,536 classes")
    write_folder(tmp_path, USUAL, False, "train")
    write(tmp_path, idx(IMAGES), "t10k-images-idx3-ubyte")
    fails(tmp_path, "no file with the test labels: expected 't10k-labels-idx1-ubyte'")


def test_test_set_must_fit_the_training_set(tmp_path: Path) -> None:
    write_folder(tmp_path, USUAL, False, "train")
    write_folder(tmp_path, USUAL, False, "t10k", images=IMAGES.reshape(4, 3, 2))
    with pytest.raises(DataError, match="training images are 2 x 3, test images 3 x 2"):
        load_idx_folder(tmp_path)
    write_folder(tmp_path, USUAL, False, "t10k", labels=LABELS + np.uint8(1))
    with pytest.raises(DataError, match="has the label 3, but the largest label of the training"):
        load_idx_folder(tmp_path)
