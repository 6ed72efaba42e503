"""The NPZ reader: what NumPy writes comes back, and no hostile archive gets past it."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnscratch.data import read_npz
from nnscratch.errors import DataError

ARRAYS: dict[str, npt.NDArray[Any]] = {
    "X": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(4, dtype=">i4"),
    "text": np.array(["oak", "élm"]),
    "scalar": np.array(3),
    "empty": np.zeros((0, 5)),
    "layer/weight": np.ones(2, bool),
}


def packed(compressed: bool = False, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def npy(values: npt.NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice
        for name, content in members:
            file.writestr(name, content)
    return stream.getvalue()


def with_header(text: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    header = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


def write(folder: Path, content: bytes) -> Path:
    path = folder / "data.npz"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_round_trip(tmp_path: Path, compressed: bool) -> None:
    read = read_npz(write(tmp_path, packed(compressed, **ARRAYS)))
    assert list(read) == list(ARRAYS)
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == values.dtype.newbyteorder("=")
        assert read[name].flags.writeable


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda name: name != "file"),
        hnp.arrays(
            st.one_of(hnp.integer_dtypes(), hnp.floating_dtypes(), hnp.complex_number_dtypes()),
            hnp.array_shapes(min_dims=0, min_side=0),
        ),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_any_arrays(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any], compressed: bool
) -> None:
    read = read_npz(write(tmp_path_factory.mktemp("npz"), packed(compressed, **arrays)))
    assert set(read) == set(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(read[name], values)


@pytest.mark.parametrize("compressed", [False, True])
def test_every_truncation_is_an_error(tmp_path: Path, compressed: bool) -> None:
    content = packed(compressed, X=ARRAYS["X"])
    for length in range(len(content)):
        with pytest.raises(DataError):
            read_npz(write(tmp_path, content[:length]))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_flipped_bit_is_an_error_or_an_array(tmp_path: Path, compressed: bool) -> None:
    content = packed(compressed, X=ARRAYS["X"])
    outcomes = set()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            (values,) = read_npz(write(tmp_path, bytes(damaged))).values()
            np.testing.assert_array_equal(values, ARRAYS["X"])
            outcomes.add("array")
        except DataError:
            outcomes.add("error")
    assert outcomes == {"array", "error"}


@given(st.binary(max_size=80), st.booleans())
def test_random_bytes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool
) -> None:
    path = write(
        tmp_path_factory.mktemp("npz"),
        archive(("x.npy", b"\x93NUMPY\1\0" + content)) if zipped else b"PK" + content,
    )
    with pytest.raises(DataError, match=r"data\.npz"):
        read_npz(path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("unpickled",))

    path = write(tmp_path, packed(trap=np.array([Trap()], object)))
    with pytest.raises(DataError, match=r"'trap.npy' holds Python objects, which are never unpic"):
        read_npz(path)


def test_a_zip_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    path = write(tmp_path, packed(True, X=np.zeros(50_000_000, np.uint8)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"claim 50,000,128 bytes, more than .*=1,000,000"):
            read_npz(path, max_bytes=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def patched(content: bytes, offset: int, layout: str, value: int) -> bytes:
    """Change a field of the archive's directory, which begins at the signature PK 01 02."""
    damaged = bytearray(content)
    struct.pack_into(layout, damaged, content.index(b"PK\1\2") + offset, value)
    return bytes(damaged)


def test_claims_of_the_directory_are_checked(tmp_path: Path) -> None:
    content = archive(("x.npy", npy(np.arange(1000))), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match=r"'x.npy' claims 4,000,000,000 bytes, which .* hold"):
        read_npz(write(tmp_path, patched(content, 24, "<I", 4_000_000_000)))
    with pytest.raises(DataError, match=r"'x.npy' claims 8,000 bytes|truncated or damaged"):
        read_npz(write(tmp_path, patched(content, 24, "<I", 8000)))
    with pytest.raises(DataError, match=r"the arrays claim 3,000,000 bytes of a file of"):
        read_npz(write(tmp_path, patched(content, 20, "<I", 3_000_000)))
    with pytest.raises(DataError, match=r"'x.npy' is encrypted"):
        read_npz(write(tmp_path, patched(content, 8, "<H", 1)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression(tmp_path: Path, method: int) -> None:
    content = archive(("x.npy", npy(np.arange(9))), method=method)
    with pytest.raises(DataError, match=f"'x.npy' is compressed by method {method}; numpy.savez"):
        read_npz(write(tmp_path, content))


GOOD = npy(np.arange(3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"to begin with 'PK', found the bytes \(none: the file is empty\)"),
        (b"\x89PNG\r\n\x1a\n", "not an .npz file: .* found the bytes 89 50 4e 47 0d 0a"),
        (GOOD, r"this is a single array \(.npy\)"),
        (archive(), "holds no arrays"),
        (archive(("notes.txt", b"hi")), r"'notes.txt' is not an array \(.npy\)"),
        (archive((".npy", GOOD)), "'.npy' is not an array"),
        (archive(("../x.npy", GOOD)), r"'../x.npy' is not a safe name"),
        (archive(("/x.npy", GOOD)), r"'/x.npy' is not a safe name"),
        (archive(("a\\x.npy", GOOD)), r"is not a safe name"),
        (archive(("x.npy", GOOD), ("x.npy", GOOD)), "'x.npy' is in the file twice"),
        (archive(("x.npy", b"hello")), "'x.npy' has a damaged array header"),
        (archive(("x.npy", GOOD[:6] + b"\3\0" + GOOD[8:])), r"format version \(3, 0\); expected"),
        (archive(("x.npy", GOOD[:-1])), r"claims the shape \(3,\) of int64, 24 bytes, and has 23"),
        (archive(("x.npy", GOOD + b"!")), r"claims the shape \(3,\) of int64, 24 bytes, and has 2"),
        (archive(("x.npy", npy(np.zeros(2, "i4,f4")))), "expected numbers or text"),
        (archive(("x.npy", npy(np.zeros(2, "M8[s]")))), "expected numbers or text"),
    ],
)
def test_messages(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_npz(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2147483648, 2147483648)}", "claims"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1)}", "claims the shape"),
        ("{'descr': '<U0', 'fortran_order': False, 'shape': (9999999999,)}", "numbers or text"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "never unpickled"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': 'x'}", "damaged array header"),
        ("{'descr': '<f8', 'fortran_order': False}", "damaged array header"),
        ("__import__('os').abort()", "damaged array header"),
        ("(" * 3000, "damaged array header"),
        ("{" + "1" * 9000, "damaged array header"),
        ("{1: " * 900 + "}" * 900, "damaged array header"),
        ("\n\t'''", "damaged array header"),
        ("x" * 20_000, "damaged array header"),
    ],
)
def test_hostile_array_headers(tmp_path: Path, header: str, message: str) -> None:
    path = write(tmp_path, archive(("x.npy", with_header(header, b"12345678"))))
    with pytest.raises(DataError, match=message):
        read_npz(path)


def test_a_shape_that_no_array_can_have(tmp_path: Path) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {2**70})}}"
    path = write(tmp_path, archive(("x.npy", with_header(header))))
    with pytest.raises(DataError, match=r"'x.npy' claims the impossible shape"):
        read_npz(path)
