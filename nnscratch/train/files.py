"""Atomic writing of files, and run folders that are locked by one process at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from nnscratch.errors import CheckpointError, RunError

FilePath = str | os.PathLike[str]

_TEMPORARY = ".writing"
_LOCK = ".lock"
_LONGEST_NAME = 255
_NO_SYNC = {
    getattr(errno, name)
    for name in ("EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EPERM", "EACCES", "EBADF", "EISDIR")
    if hasattr(errno, name)
}
"""How file systems (of a network, of virtual machines) say that a folder cannot be synchronised."""
_NO_LOCKS = {
    getattr(errno, name)
    for name in ("ENOLCK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL")
    if hasattr(errno, name)
}
"""The errors of file systems that have no locks."""


def write_whole(path: FilePath, write: Callable[[BinaryIO], None], follow: bool = False) -> None:
    """Write a file atomically: under a temporary name in its folder, synced to disk, renamed.

    A crash or a loss of power at any moment leaves the old file or the new one.

    Args:
        path: the file.
        write: writes the content into the open file it is given.
        follow: where the path is a symbolic link, write what it points to and leave the link, as
            for a file that a user names; otherwise the link is replaced, as in a run folder, which
            somebody may have prepared.

    Raises:
        RunError: if the folder or the disk refuses; a file that was there before is intact.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/a", lambda stream: stream.write(b"abc"))
    ...     os.listdir(folder), Path(folder, "a").read_bytes()
    (['a'], b'abc')
    """
    target = Path(os.path.realpath(path) if follow and os.path.islink(path) else path)
    temporary = temporary_name(target)
    try:
        try:
            with open_new(temporary) as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        kept = "; the file that was there before is intact" if os.path.exists(target) else ""
        raise RunError(f"{target}: cannot be written ({_reason(error)}){kept}") from error
    try:
        _sync_folder(target.parent)
    except OSError as error:
        raise RunError(
            f"{target}: is written, but a loss of power may bring back the file that was there "
            f"before ({_reason(error)})"
        ) from error


def temporary_name(target: Path) -> Path:
    """Return the temporary name under which this thread writes a file before renaming it."""
    writer = f"{os.getpid()}.{threading.get_ident()}"
    name = f".{target.name}.{writer}{_TEMPORARY}"
    if len(os.fsencode(name)) > _LONGEST_NAME:  # what most file systems take
        short = hashlib.blake2b(os.fsencode(target.name), digest_size=12).hexdigest()
        name = f".{short}.{writer}{_TEMPORARY}"
    return target.with_name(name)


def open_new(path: Path) -> BinaryIO:
    """Open a new file for writing: what has its name, were it a link, is removed, not followed."""
    path.unlink(missing_ok=True)
    return open(path, "wb", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, 0o666))


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        # The content is on disk; when the rename reaches it is up to the file system.
        if error.errno not in _NO_SYNC:
            raise


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "no space left on the disk"
    return error.strerror or str(error)


def write_text(path: FilePath, text: str) -> None:
    """Write a text file atomically.

    Raises:
        RunError: as ``write_whole``.
    """
    write_whole(path, lambda stream: _write(stream, text.encode()))


def _write(stream: BinaryIO, content: bytes) -> None:
    stream.write(content)


def write_json(path: FilePath, value: Any) -> None:
    """Write a value as JSON; NaN and infinities, which JSON does not have, become null.

    Raises:
        RunError: as ``write_whole``.
    """
    write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """Return a value in JSON's types: tuples as lists, keys as text, NaN and infinities as None.

    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "item"):
        return plain(value.item())
    return str(value)


def read_json(path: FilePath, most: int = 64 << 20) -> Any:
    """Read a JSON file of at most ``most`` bytes.

    Raises:
        CheckpointError: if it is missing, too large, or no JSON.
    """
    name = os.fspath(path)
    try:
        if not os.path.isfile(name):
            raise CheckpointError(f"{name}: there is no such file")
        if os.path.getsize(name) > most:
            raise CheckpointError(f"{name}: larger than {most:,} bytes, which no such file is")
        with open(name, "rb") as stream:
            # Not read(most), for which Python would allocate that much memory at once.
            content = stream.read()
        return parse_json(content, name)
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise CheckpointError(f"{name}: cannot be read ({reason})") from error


def parse_json(content: bytes | str, name: str) -> Any:
    """Parse JSON strictly: UTF-8, no NaN, no key twice.

    Raises:
        CheckpointError: if it is something else.
    """
    try:
        text = content if isinstance(content, str) else content.decode()
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from None
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{name}: not valid JSON ({reason[:120]})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise CheckpointError("not valid JSON (a key comes twice)")
    return made


def _no_constant(text: str) -> Any:
    raise CheckpointError(f"not valid JSON ({text} is no JSON number)")


def prepare_folder(path: FilePath) -> Path:
    """Create a run folder unless it exists, and check that files can be written into it.

    Raises:
        RunError: if it cannot be made or written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = temporary_name(folder / "probe")
        try:
            with open_new(probe) as stream:
                stream.write(b"nnscratch")
        finally:
            probe.unlink(missing_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise RunError(
            f"{folder}: the run folder is no folder but a file; choose another"
        ) from None
    except (OSError, ValueError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise RunError(
            f"{folder}: the run folder cannot be written to ({reason}); choose another"
        ) from error
    return folder


@contextmanager
def run_folder(path: FilePath, new: bool = False) -> Iterator[Path]:
    """Return a context in which this process holds the lock of a run folder.

    The lock goes with the process, however it ends. A folder that was made for a run of which
    nothing was written goes as well.

    Args:
        path: the folder; it is made if it does not exist.
        new: whether the caller has just made it.

    Raises:
        RunError: if it cannot be written to, or another process holds it.
    """
    made = [folder for folder in (Path(path), *Path(path).parents) if not os.path.lexists(folder)]
    folder = prepare_folder(path)
    made = [folder] if new else made
    try:
        stream = _open_lock(folder / _LOCK)
    except OSError as error:
        raise RunError(f"{folder}: cannot be locked ({_reason(error)})") from error
    with stream:
        try:
            _lock(stream)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                warnings.warn(
                    f"{folder}: this file system has no locks ({_reason(error)}): do not train "
                    "into this folder twice at once",
                    RuntimeWarning,
                    stacklevel=4,
                )
                try:
                    yield folder
                finally:
                    _remove_unused(folder, made)
                return
            stream.seek(0)
            holder = stream.read(20).decode("ascii", "replace").strip()
            process = f" (process {holder})" if holder.isdigit() else ""
            raise RunError(
                f"{folder}: another process{process} is training into this run folder; wait for "
                "it, or choose another folder"
            ) from None
        if not _stands_at(stream, folder / _LOCK):
            raise RunError(f"{folder}: another process has just left this run folder; try again")
        try:
            stream.truncate(0)
            stream.write(str(os.getpid()).encode())
            stream.flush()
        except OSError as error:
            raise RunError(f"{folder}: cannot be locked ({_reason(error)})") from error
        for left in folder.glob(f".*{_TEMPORARY}"):
            with suppress(OSError):
                left.unlink()
        try:
            yield folder
        finally:
            _remove_unused(folder, made)


def _stands_at(stream: BinaryIO, path: Path) -> bool:
    """Say whether an open file is the one at a path: whoever had it may have removed it."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(path))
    except OSError:
        return False


def _remove_unused(folder: Path, made: list[Path]) -> None:
    """Remove a lock with nothing beside it, and the folders, the inner first, if they are empty."""
    with suppress(OSError):
        if os.listdir(folder) == [_LOCK]:
            (folder / _LOCK).unlink()
            for one in made:
                one.rmdir()


def _open_lock(path: Path) -> BinaryIO:
    """Open the lock without following a link to a file elsewhere, or waiting for a pipe."""
    more = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return open(path, "a+b", opener=lambda name, flags: os.open(name, flags | more, 0o666))


def _lock(stream: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        stream.seek(1 << 20)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        stream.seek(0)
    elif sys.platform != "emscripten":  # in a browser there is no other process, and no fcntl
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
