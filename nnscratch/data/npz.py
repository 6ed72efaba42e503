"""NumPy's .npz files, read with a distrust that `numpy.load` does not have.

Nothing is ever unpickled, nothing is written to disk, and memory is taken only for what the file
really holds: each size that the archive or an array header claims is checked before it is believed.
"""

import math
import os
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from nnscratch.data._io import DEFLATE_LIMIT, FilePath, open_data_file, read_at_most
from nnscratch.errors import DataError

DEFAULT_MAX_BYTES = 4 << 30

_MOST_HEADER = 10_000
_KINDS = "biufcSU"
_ENCRYPTED = 0x1
# What zipfile and zlib raise for a damaged or hostile archive; most of it is undocumented.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    IndexError,
    KeyError,
    RuntimeError,
)


def read_npz(path: FilePath, *, max_bytes: int = DEFAULT_MAX_BYTES) -> dict[str, npt.NDArray[Any]]:
    """Read every array of an `.npz` file, as `numpy.savez` or `savez_compressed` wrote it.

    Args:
        path: the file.
        max_bytes: the most that all arrays together may take, uncompressed (4 GiB).

    Returns:
        The arrays by name, writable. Booleans, numbers and fixed-width text are accepted.

    Raises:
        DataError: the file cannot be opened, is no `.npz` file, is truncated or damaged, holds
            Python objects or something else than arrays, or is larger than `max_bytes`.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "data.npz")
    ...     np.savez(path, X=np.eye(2, dtype=np.float32), y=np.array([0, 1]))
    ...     sorted(read_npz(path))
    ['X', 'y']
    """
    name = os.fspath(path)
    handle, size = open_data_file(path)
    with handle:
        start = handle.read(6)
        if start == b"\x93NUMPY":
            raise DataError(
                f"{name}: this is a single array (.npy); expected an .npz file, as "
                "numpy.savez writes it"
            )
        if not start.startswith(b"PK"):
            raise DataError(
                f"{name}: not an .npz file: expected it to begin with 'PK', "
                f"found the bytes {start.hex(' ') or '(none: the file is empty)'}"
            )
        handle.seek(0)
        try:
            with zipfile.ZipFile(handle) as archive:
                members = archive.infolist()
                _check_members(members, name, size, max_bytes)
                return {
                    info.filename.removesuffix(".npy"): _read_member(archive, info, name)
                    for info in members
                }
        except DataError:
            raise
        except _ZIP_ERRORS as error:
            raise DataError(f"{name}: truncated or damaged .npz file ({error})") from error


def _check_members(members: list[zipfile.ZipInfo], name: str, size: int, max_bytes: int) -> None:
    """Refuse an archive whose directory claims more than the file can hold, before reading it."""
    if not members:
        raise DataError(f"{name}: the file holds no arrays")
    seen = set()
    for info in members:
        member = info.filename
        if not member.endswith(".npy") or member == ".npy":
            raise DataError(f"{name}: {member!r} is not an array (.npy)")
        # Nothing is unpacked to disk, so such a name does no harm here: but no honest writer makes
        # one, and a caller may use an array's name for a file.
        if member.startswith("/") or "\\" in member or ".." in member.split("/"):
            raise DataError(f"{name}: {member!r} is not a safe name for an array")
        if member in seen:
            raise DataError(f"{name}: the array {member!r} is in the file twice")
        seen.add(member)
        if info.flag_bits & _ENCRYPTED:
            raise DataError(f"{name}: {member!r} is encrypted; save it without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(
                f"{name}: {member!r} is compressed by method {info.compress_type}; "
                "numpy.savez uses 0 (none) and numpy.savez_compressed 8 (deflate)"
            )
        factor = 1 if info.compress_type == zipfile.ZIP_STORED else DEFLATE_LIMIT
        if info.file_size > info.compress_size * factor:
            raise DataError(
                f"{name}: {member!r} claims {info.file_size:,} bytes, which "
                f"{info.compress_size:,} bytes of the file cannot hold"
            )
    packed = sum(info.compress_size for info in members)
    if packed > size:
        # Members that share their bytes: how a small archive is made to unpack into a huge one.
        raise DataError(f"{name}: the arrays claim {packed:,} bytes of a file of {size:,}")
    total = sum(info.file_size for info in members)
    if total > max_bytes:
        raise DataError(
            f"{name}: the arrays claim {total:,} bytes, more than the limit of "
            f"max_bytes={max_bytes:,}"
        )


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> npt.NDArray[Any]:
    where = f"{name}: {info.filename!r}"
    with archive.open(info) as stream:
        content = read_at_most(cast(BinaryIO, stream), info.file_size + 1)
    if len(content) != info.file_size:
        raise DataError(f"{where} claims {info.file_size:,} bytes and has {len(content):,}")
    head = BytesIO(content[: _MOST_HEADER + 16])
    readers: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }
    try:
        version = npy.read_magic(head)
        if version not in readers:
            raise DataError(f"{where} has format version {version}; expected (1, 0) or (2, 0)")
        shape, fortran, dtype = readers[version](head, max_header_size=_MOST_HEADER)
    except DataError:
        raise
    # The header is a Python literal, and for a hostile one its parser raises nearly anything.
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"{where} has a damaged array header ({reason})") from error
    if dtype.hasobject:
        raise DataError(
            f"{where} holds Python objects, which are never unpickled: save it as an array of "
            "numbers or of fixed-width text"
        )
    if dtype.kind not in _KINDS or dtype.itemsize == 0 or dtype.subdtype is not None:
        raise DataError(f"{where} has the data type {dtype}; expected numbers or text")
    expected = math.prod(shape) * dtype.itemsize
    actual = len(content) - head.tell()
    if any(side < 0 for side in shape) or expected != actual:
        raise DataError(
            f"{where} claims the shape {shape} of {dtype}, {expected:,} bytes, and has {actual:,}"
        )
    try:
        values = np.frombuffer(content, dtype, offset=head.tell())
        values = values.reshape(shape, order="F" if fortran else "C")
    except (ValueError, OverflowError) as error:
        raise DataError(f"{where} claims the impossible shape {shape} ({error})") from error
    return values.astype(dtype.newbyteorder("="), copy=False)
