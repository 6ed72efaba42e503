"""Files in the safetensors format, written whole and read without trust.

A file is eight bytes with the length of the header (little-endian), the header in JSON, and the
arrays end to end: https://huggingface.co/docs/safetensors. The ``safetensors`` library checks every
header that is read, ``train/tensor_header.py`` where that library is missing. Arrays are written
from where they lie and read into memory of their own, one at a time. The library would hold all of
them twice, or put its own file in the place of ours; and it reads through a map, where a process is
killed if somebody cuts the file short meanwhile.
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
from nnscratch.array.bfloat16 import bfloat16
from nnscratch.errors import CheckpointError, DTypeError
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath, write_whole
from nnscratch.train.tensor_header import METADATA, MOST_HEADER, check_header

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
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
}
_NAMES = {code: name for name, code in _CODES.items()}
_MOST_DIMENSIONS = 64
"""As NumPy has it."""
_OTHERS = {
    b"{": "this is JSON, no safetensors file; the index of several files is read by "
    "nnscratch.interop.weights.load_weights",
    b"version https://git": "this is a pointer of Git LFS; fetch the file with `git lfs pull`",
    b"PK\x03\x04": "this is a zip, as torch.save writes it, no safetensors file; nnscratch.load "
    "reads it",
    b"\x80": "this is a pickle, no safetensors file; nnscratch.load reads those of torch.save",
}
"""The first bytes of other file formats that are mistaken for safetensors."""


def write_tensors(
    path: FilePath,
    tensors: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    follow: bool = False,
) -> None:
    """Write tensors or arrays into a safetensors file, atomically.

    Args:
        path: the file.
        tensors: by name, on any device.
        metadata: texts by name.
        follow: as for ``write_whole``.

    Raises:
        DTypeError: if a tensor has a dtype or a name that the format lacks.
        RunError: if the file cannot be written; one that was there before is intact.
    """
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    arrays = []
    start = 0
    # Wider types first, as the format's own library does: then every array is aligned.
    for name in sorted(tensors, key=lambda name: -int(_array(tensors[name]).dtype.itemsize)):
        array = _array(tensors[name])
        code = _CODES.get(dtype_name(array.dtype))
        if code is None or name == METADATA:
            raise DTypeError(f"{name}: safetensors cannot hold {array.dtype} under this name")
        stop = start + math.prod(array.shape) * array.dtype.itemsize
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, stop]}
        arrays.append(array)
        start = stop
    try:
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DTypeError(
            f"safetensors cannot hold half a character, as in {error.object[error.start :][:1]!r}; "
            "give the tensor or the text another name"
        ) from None
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER:
        raise DTypeError(f"the header would have {len(text):,} bytes, more than {MOST_HEADER:,}")

    def write(stream: BinaryIO) -> None:
        stream.write(struct.pack("<Q", len(text)))
        stream.write(text)
        for array in arrays:
            host = np.ascontiguousarray(to_numpy(array))
            if host.size:
                plain = host.view(np.uint16) if dtype_name(host.dtype) == "bfloat16" else host
                host = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
                stream.write(host.reshape(-1).view(np.uint8).data)

    write_whole(path, write, follow)


def _array(item: Any) -> Any:
    if not isinstance(item, Tensor) and not hasattr(item, "dtype"):
        raise DTypeError(
            f"safetensors holds tensors, got {type(item).__name__}; let get_extra_state return a "
            "tensor, or write model.state_dict() with nnscratch.save"
        )
    return item.array if isinstance(item, Tensor) else item


class Entry(NamedTuple):
    """The entry of one array in the header."""

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

    def _read_header(self) -> None:
        try:
            length, header = self._checked_header()
        except (ValueError, OSError, struct.error) as error:
            self._stream.seek(0)
            start = self._stream.read(20)
            other = ""
            if start[8:9] != b"{":  # where ours has its header, behind a length of any bytes
                other = next(
                    (what for first, what in _OTHERS.items() if start.startswith(first)), ""
                )
            raise self._fail(
                other
                or f"truncated, or no safetensors file: {str(error)[:200]}; copy or download it "
                "again"
            ) from error
        self.metadata: dict[str, str] = header.pop(METADATA, {}) or {}
        self._base = 8 + length
        self.entries = {name: self._entry(name, value) for name, value in header.items()}

    def _checked_header(self) -> tuple[int, dict[str, Any]]:
        """Return the header's length and the header, whose entries cover the file exactly."""
        try:
            import safetensors
        except ImportError:
            safetensors = None
        if safetensors is not None:
            try:
                with safetensors.safe_open(self.name, "np"):
                    pass
            except safetensors.SafetensorError as error:
                raise ValueError(str(error)) from error
        (length,) = struct.unpack("<Q", self._stream.read(8))
        text = self._stream.read(min(length, MOST_HEADER + 1))
        if safetensors is None:
            if len(text) != length or length > MOST_HEADER:
                raise ValueError(f"a header of {length} bytes was announced, {len(text)} came")
            check_header(text, os.fstat(self._stream.fileno()).st_size - 8 - length)
        return length, json.loads(text)

    def _fail(self, reason: str) -> CheckpointError:
        return CheckpointError(f"{self.name}: {reason}")

    def _entry(self, name: str, value: Mapping[str, Any]) -> Entry:
        dtype = _NAMES.get(value["dtype"])
        if dtype is None:
            raise self._fail(
                f"{name[:80]!r} has the dtype {value['dtype']}, which NumPy lacks; convert it to "
                "float32 with the library that wrote the file"
            )
        if len(value["shape"]) > _MOST_DIMENSIONS:
            raise self._fail(f"{name[:80]!r} has more than {_MOST_DIMENSIONS} dimensions")
        return Entry(dtype, tuple(value["shape"]), *value["data_offsets"])

    def read(self, name: str, keep_bfloat16: bool = False) -> np.ndarray:
        """Return one array, read into new memory; bfloat16 becomes float32 unless it is to be kept.

        Raises:
            CheckpointError: if there is no such array, or the file changed since it was opened.
            DTypeError: if bfloat16 is to be kept and ``ml_dtypes`` is not installed.
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
            if keep_bfloat16:
                return array.astype(np.uint16, copy=False).view(bfloat16())
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
