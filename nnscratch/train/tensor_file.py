"""The safetensors format, written straight from the arrays and read without trust.

A file is eight bytes with the length of the header (little-endian), the header in JSON, and the
arrays end to end: https://huggingface.co/docs/safetensors. Neither way is an array held twice:
writing streams each from where it lies, and reading fills one array at a time. Nothing that the
header claims is allocated before it is known to lie inside the file.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np

from nnscratch.array import dtype_name, to_numpy
from nnscratch.errors import CheckpointError, DTypeError
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath, parse_json, write_whole

_CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
_NAMES = {code: name for name, code in _CODES.items()} | {"BF16": "bfloat16"}
_MOST_HEADER = 100_000_000
_MOST_DIMENSIONS = 64
_METADATA = "__metadata__"


def write_tensors(
    path: FilePath,
    tensors: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    follow: bool = False,
) -> None:
    """Write tensors or arrays into a safetensors file, whole or not at all.

    Args:
        path: the file.
        tensors: by name, on any device.
        metadata: texts by name.
        follow: as for ``write_whole``.

    Raises:
        DTypeError: if a tensor has a dtype that the format lacks.
        RunError: if the file cannot be written; one that was there before is intact.
    """
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    arrays = []
    start = 0
    # Wider types first, as the format's own library does: then every array is aligned.
    for name in sorted(tensors, key=lambda name: -int(_array(tensors[name]).dtype.itemsize)):
        array = _array(tensors[name])
        code = _CODES.get(dtype_name(array.dtype))
        if code is None or name == _METADATA:
            raise DTypeError(f"{name}: safetensors cannot hold {array.dtype} under this name")
        stop = start + math.prod(array.shape) * array.dtype.itemsize
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, stop]}
        arrays.append(array)
        start = stop
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MOST_HEADER:
        raise DTypeError(f"the header would have {len(text):,} bytes, more than {_MOST_HEADER:,}")

    def write(stream: BinaryIO) -> None:
        stream.write(struct.pack("<Q", len(text)))
        stream.write(text)
        for array in arrays:
            host = np.ascontiguousarray(to_numpy(array))
            if host.size:
                host = host.astype(host.dtype.newbyteorder("<"), copy=False)
                stream.write(host.reshape(-1).view(np.uint8).data)

    write_whole(path, write, follow)


def _array(item: Any) -> Any:
    return item.array if isinstance(item, Tensor) else item


class Entry(NamedTuple):
    """What the header says of one array."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class TensorFile:
    """A safetensors file that is open for reading, its header checked.

    Attributes:
        entries: what the header says of each array, by name.
        metadata: its texts, by name.

    Raises:
        CheckpointError: if it cannot be opened, is truncated or damaged, or no safetensors file.
    """

    def __init__(self, path: FilePath) -> None:
        self.name = os.fspath(path)
        if not os.path.isfile(self.name):
            what = "this is no file" if os.path.exists(self.name) else "there is no such file"
            raise CheckpointError(f"{self.name}: {what}")
        try:
            self._stream = open(self.name, "rb")  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise CheckpointError(f"{self.name}: cannot be opened ({error.strerror})") from error
        try:
            self._read_header()
        except BaseException:
            self._stream.close()
            raise

    def _fail(self, reason: str) -> CheckpointError:
        return CheckpointError(f"{self.name}: {reason}")

    def _read_header(self) -> None:
        size = os.fstat(self._stream.fileno()).st_size
        start = self._stream.read(8)
        if len(start) < 8:
            raise self._fail(f"truncated, or no safetensors file: it has {len(start)} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > min(size - 8, _MOST_HEADER):
            raise self._fail(
                f"truncated, or no safetensors file: it claims a header of {length:,} bytes and "
                f"has {size - 8:,}"
            )
        content = self._stream.read(length)
        if len(content) < length or not content.startswith(b"{"):
            raise self._fail("truncated, or no safetensors file: its header is no JSON object")
        header = parse_json(content, self.name)
        if not isinstance(header, dict):
            raise self._fail("no safetensors file: its header is no JSON object")
        metadata = header.pop(_METADATA, {})
        if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
            raise self._fail("the metadata must be texts by name")
        self.metadata: dict[str, str] = metadata
        self._base = 8 + length
        entries = {name: self._entry(name, value) for name, value in header.items()}
        position = 0
        for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
            if entry.start != position:
                raise self._fail(f"the array {name!r} overlaps another or leaves a gap")
            position = entry.stop
        if position != size - self._base:
            raise self._fail(
                f"truncated or damaged: the header describes {position:,} bytes of arrays, the "
                f"file has {size - self._base:,}"
            )
        self.entries = entries

    def _entry(self, name: str, value: Any) -> Entry:
        wanted = {"dtype", "shape", "data_offsets"}
        if not isinstance(value, dict) or set(value) != wanted:
            raise self._fail(f"the entry of {name[:80]!r} must have {', '.join(sorted(wanted))}")
        dtype = _NAMES.get(value["dtype"]) if isinstance(value["dtype"], str) else None
        if dtype is None:
            raise self._fail(f"{name[:80]!r} has the unknown dtype {str(value['dtype'])[:40]!r}")
        shape, offsets = value["shape"], value["data_offsets"]
        for numbers in (shape, offsets):
            if not isinstance(numbers, list) or not all(
                isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**63 for n in numbers
            ):
                raise self._fail(f"{name[:80]!r} has a shape or offsets that are no whole numbers")
        if len(offsets) != 2 or len(shape) > _MOST_DIMENSIONS:
            raise self._fail(f"{name[:80]!r} needs two offsets and at most 64 dimensions")
        start, stop = offsets
        size = math.prod(shape) * (2 if dtype == "bfloat16" else np.dtype(dtype).itemsize)
        if stop - start != size:
            raise self._fail(
                f"{name[:80]!r} of shape {tuple(shape)} needs {size:,} bytes, its offsets give "
                f"{stop - start:,}"
            )
        if math.prod(n for n in shape if n) >= 2**60:
            raise self._fail(f"{name[:80]!r} has a shape that no array can have: {tuple(shape)}")
        return Entry(dtype, tuple(shape), start, stop)

    def read(self, name: str) -> np.ndarray:
        """Return one array, in memory of its own; bfloat16 becomes float32.

        Raises:
            CheckpointError: if there is no such array, or the file changed since it was opened.
        """
        if name not in self.entries:
            raise self._fail(f"there is no array {name!r}")
        entry = self.entries[name]
        kind = "uint16" if entry.dtype == "bfloat16" else entry.dtype
        array = np.empty(entry.shape, np.dtype(kind).newbyteorder("<"))
        self._stream.seek(self._base + entry.start)
        if array.size:
            target = array.reshape(-1).view(np.uint8).data
            if self._stream.readinto(target) != entry.stop - entry.start:
                raise self._fail(f"truncated: the array {name!r} breaks off")
        if entry.dtype == "bool" and array.size and int(array.view(np.uint8).max()) > 1:
            raise self._fail(f"the array {name!r} is of booleans but holds other values")
        if entry.dtype == "bfloat16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.dtype(kind), copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_tensors(path: FilePath) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return all arrays of a safetensors file by name, and its metadata.

    Raises:
        CheckpointError: as ``TensorFile``.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.safetensors")
    ...     write_tensors(path, {"w": np.ones((1, 2))}, {"made": "here"})
    ...     read_tensors(path)
    ({'w': array([[1., 1.]])}, {'made': 'here'})
    """
    with TensorFile(path) as file:
        return {name: file.read(name) for name in file}, file.metadata
