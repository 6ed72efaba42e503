"""IDX files, the format of MNIST, Fashion-MNIST and their relatives, gzipped or not.

An IDX file is two zero bytes, a type code, the number of dimensions, the size of each dimension as
four bytes, and the values; every number is big-endian. Source: Y. LeCun, C. Cortes and
C. J. C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import math
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import FilePath, open_data_file, read_at_most, some
from nnscratch.data.images import ImageFolder, LabelledImages
from nnscratch.errors import DataError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 32
_GZIP_MAGIC = b"\x1f\x8b"
_NAME = re.compile(
    r"(?P<part>train|t10k|test)-(?P<what>images|labels)(?:[-.]idx[13])?(?:[-.]ubyte)?(?:\.idx)?"
    r"(?P<gz>\.gz)?"
)

DEFAULT_MAX_BYTES = 4 << 30


def read_idx(path: FilePath, *, max_bytes: int = DEFAULT_MAX_BYTES) -> npt.NDArray[Any]:
    """Read one IDX file into an array in the machine's own byte order.

    Whether the file is gzipped is seen from its content, not from its name. Memory is taken only
    for what the file really holds, never for what its header claims.

    Args:
        path: the file.
        max_bytes: the most that the values may take, uncompressed (4 GiB).

    Returns:
        A writable array with the shape and the data type that the header names: uint8, int8, int16,
        int32, float32 or float64.

    Raises:
        DataError: the file cannot be opened, is no IDX file, is truncated, holds more than its
            header says, or is larger than `max_bytes`. The message names file, expected and actual.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels.idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    name = os.fspath(path)
    handle, size = open_data_file(path)
    with handle:
        magic = handle.read(2)
        handle.seek(0)
        if magic != _GZIP_MAGIC:
            return _parse(handle, name, max_bytes, size)
        try:
            with gzip.open(handle, "rb") as stream:
                return _parse(cast(BinaryIO, stream), name, max_bytes)
        except EOFError:
            raise DataError(f"{name}: truncated: the gzip stream breaks off") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{name}: damaged gzip file ({error})") from None


def _parse(stream: BinaryIO, name: str, max_bytes: int, size: int = 0) -> npt.NDArray[Any]:
    start = stream.read(4)
    if len(start) < 4:
        raise DataError(f"{name}: an IDX header has at least 4 bytes, the file has {len(start)}")
    code, dimensions = start[2], start[3]
    if start[:2] != b"\0\0" or code not in _DTYPES:
        raise DataError(
            f"{name}: not an IDX file: expected two zero bytes and a type code from 0x08 to 0x0E, "
            f"found the bytes {start.hex(' ')}"
        )
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise DataError(
            f"{name}: the header claims {dimensions} dimensions; expected 1 to {_MOST_DIMENSIONS}"
        )
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(
            f"{name}: truncated: the header of {dimensions} dimensions has {4 + 4 * dimensions} "
            f"bytes, the file has {4 + len(sizes)}"
        )
    shape = struct.unpack(f">{dimensions}I", sizes)
    dtype = np.dtype(_DTYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    claim = f"{name}: the header claims {' x '.join(map(str, shape))} values ({expected:,} bytes)"
    if expected > max_bytes:
        raise DataError(f"{claim}, more than the limit of max_bytes={max_bytes:,}")
    content = read_at_most(stream, expected, size - stream.tell())
    if len(content) < expected:
        raise DataError(f"{claim}, the file holds {len(content):,}: truncated")
    if stream.read(1):
        raise DataError(f"{claim}, but more bytes follow: not the file that its header describes")
    try:
        values = np.frombuffer(content, dtype).reshape(shape)
    except ValueError as error:
        # Only a shape with a zero in it gets here, the other sizes too large for NumPy to multiply.
        raise DataError(f"{claim}, a shape that no array can have ({error})") from None
    return values.astype(dtype.newbyteorder("="), copy=False)


def has_idx(names: list[str]) -> bool:
    """Say whether one of the names of files is one of MNIST's."""
    return any(_NAME.fullmatch(name) or "ubyte" in name for name in names)


def load_idx_folder(path: FilePath, *, max_bytes: int = DEFAULT_MAX_BYTES) -> ImageFolder:
    """Load a folder that holds a data set under MNIST's usual file names.

    Those are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and the same with `t10k` (or
    `test`) for the test set; `.idx3-ubyte` or nothing in place of `-idx3-ubyte`, and `.gz` behind,
    are found as well. Where a file is there twice, the uncompressed one is read. The test set may
    be absent.

    Returns:
        The training and the test set: images (N, height, width) uint8 with values from 0 to 255,
        labels (N,) int64.

    Raises:
        DataError: the folder or one of the files is missing, unreadable, empty, or does not fit the
            others (other number of labels, other image size, labels that training never shows).
    """
    folder = Path(path)
    try:
        present = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        raise DataError(f"{folder}: there is no such folder") from None
    except NotADirectoryError:
        raise DataError(f"{folder}: expected a folder of IDX files, but this is a file") from None
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error

    found: dict[tuple[str, str], str] = {}
    for entry in present:
        match = _NAME.fullmatch(entry)
        if match is None:
            continue
        key = ("train" if match["part"] == "train" else "test", match["what"])
        if key not in found or found[key].endswith(".gz"):
            found[key] = entry
    train = _load_part(folder, "train", found, present, max_bytes)
    if not any(part == "test" for part, _ in found):
        return ImageFolder(folder.name, train, None)
    test = _load_part(folder, "test", found, present, max_bytes)
    return ImageFolder(folder.name, train, test)


def _load_part(
    folder: Path,
    part: str,
    found: dict[tuple[str, str], str],
    present: list[str],
    max_bytes: int,
) -> LabelledImages:
    arrays = {}
    for what, usual in (("images", "idx3"), ("labels", "idx1")):
        if (part, what) not in found:
            prefix = "train" if part == "train" else "t10k"
            raise DataError(
                f"{folder}: no file with the {part} {what}: expected "
                f"'{prefix}-{what}-{usual}-ubyte' or the same with '.gz'; "
                f"the folder holds {some(present) or 'nothing'}"
            )
        file = folder / found[part, what]
        values = read_idx(file, max_bytes=max_bytes)
        if what == "images" and (values.ndim != 3 or values.dtype != np.uint8):
            raise DataError(
                f"{file}: expected images of shape (N, height, width) in unsigned bytes, "
                f"found shape {values.shape} of {values.dtype}"
            )
        if what == "labels" and (values.ndim != 1 or values.dtype.kind not in "ui"):
            raise DataError(
                f"{file}: expected labels of shape (N,) in whole numbers, "
                f"found shape {values.shape} of {values.dtype}"
            )
        arrays[what] = values
    try:
        return LabelledImages(f"{folder.name}/{part}", arrays["images"], arrays["labels"], 255)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None
