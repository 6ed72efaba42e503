"""Opening and reading regular files, with errors that say what to do; used by every reader."""

import os
import stat
from typing import BinaryIO

import numpy as np

from nnscratch.errors import DataError

FilePath = str | os.PathLike[str]

# No deflate stream expands by more than this factor (258 bytes from two bits of input), so a header
# that claims more than this times the compressed size is false, and rejected before reading.
DEFLATE_LIMIT = 1032

# Reading in chunks keeps the memory in use proportional to what the file really contains.
CHUNK = 1 << 20


def open_data_file(path: FilePath) -> tuple[BinaryIO, int]:
    """Open a regular file for reading.

    Returns:
        The open file and its size in bytes.

    Raises:
        DataError: the file is missing, is a folder or a device, or may not be read.
    """
    name = os.fspath(path)
    try:
        # Asked before opening, because opening a named pipe would wait for a writer.
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            raise DataError(f"{name}: expected a file, but this is a folder")
        if not stat.S_ISREG(mode):
            raise DataError(f"{name}: expected a regular file, but this is a device or a pipe")
        handle = open(name, "rb")  # noqa: SIM115 - the caller closes it
    except FileNotFoundError:
        raise DataError(f"{name}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{name}: cannot be opened ({reason})") from error
    return handle, os.fstat(handle.fileno()).st_size


def read_at_most(stream: BinaryIO, most: int, present: int = 0) -> bytearray | memoryview:
    """Read up to `most` bytes, allocating no more than about what the stream contains.

    Args:
        stream: a file that is open for reading.
        most: the maximum number of bytes.
        present: how many bytes the stream is known to have; if enough, they are read at once.
    """
    if 0 < most <= present:
        whole = np.empty(most, np.uint8).data
        done = 0
        while done < most and (count := stream.readinto(whole[done:])):  # type: ignore[attr-defined]
            done += count
        return whole[:done]
    content = bytearray()
    while len(content) < most:
        piece = stream.read(min(CHUNK, most - len(content)))
        if not piece:
            break
        content += piece
    return content


def some(names: list[str], most: int = 20) -> str:
    """Return names in quotes, separated by commas, at most `most` of them."""
    listed = ", ".join(repr(name) for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
