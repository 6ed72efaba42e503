"""PyTorch's own files, ``.pt`` and ``.pth``, read without PyTorch and without trust.

Since 1.6 such a file is a zip: a pickle, ``data.pkl``, and the memory of each tensor in a member of
its own. The older form is a row of pickles with the memory behind them.
``torch/csrc/jit/serialization`` and ``torch/serialization.py`` in PyTorch's source have both.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from nnscratch.errors import CheckpointError
from nnscratch.interop.archives import ZIP_ERRORS, members_of
from nnscratch.interop.torch.memory import STORAGES
from nnscratch.interop.torch.pickled import Global, PickledState, Source
from nnscratch.train.files import FilePath

_ROOM = 16 << 20
_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
Make = Callable[[Any, bool, bool], Any]


def is_torch_file(start: bytes) -> bool:
    """Say whether a file that begins with these 9 bytes is a zip, or a pickle.

    A safetensors file may begin with any 8 bytes, the length of its header, and goes on with "{".
    """
    return start[8:9] != b"{" and start.startswith((b"PK\x03\x04", b"\x80"))


def is_old_torch_file(start: bytes) -> bool:
    """Say whether a file that begins with these 262 bytes is a tar, as PyTorch wrote before 0.1.10.

    Its members are named after what they hold.
    """
    names = (b"sys_info\0", b"pickle\0", b"storages\0", b"tensors\0")
    return start[257:262] == b"ustar" and start.startswith(names)


def refuse_old_file(path: FilePath) -> None:
    """Refuse a tar of PyTorch's, which torch.load reads only where it may run anything.

    Raises:
        CheckpointError: if it is one.
    """
    if is_old_torch_file(first_bytes(path, 262)):
        raise CheckpointError(
            f"{os.fspath(path)}: a tar of PyTorch from before 0.1.10, which only an unpickler "
            "reads; if you trust it, write torch.save(torch.load(path, weights_only=False), path) "
            "where PyTorch is"
        )


def first_bytes(path: FilePath, count: int = 20) -> bytes:
    """Return the first bytes of a file, none if it cannot be read: its reader says why."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "rb") as stream:
                return stream.read(count)
    except (OSError, ValueError):
        pass
    return b""


def read_torch(path: FilePath, make: Make) -> Any:
    """Return the object of a PyTorch file: dictionaries, lists, tuples, numbers, texts, tensors.

    Args:
        path: the file.
        make: makes what stands for a tensor of its elements as NumPy, whether it is a parameter,
            and whether it asks for gradients. bfloat16 comes as float32.

    Raises:
        CheckpointError: if it cannot be opened, is truncated or damaged, or holds anything else,
            which it names. Nothing of the file is imported, called or written.
    """
    name = os.fspath(path)
    try:
        # Asked before opening, because opening a pipe would wait for a writer.
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise CheckpointError(f"{name}: this is no file")
        with open(name, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            start = stream.read(4)
            stream.seek(0)
            if start == b"PK\x03\x04":
                return _read_zip(stream, size, make)
            return _Legacy(stream.read(), make).read()
    except FileNotFoundError:
        raise CheckpointError(f"{name}: there is no such file") from None
    except CheckpointError as error:
        said = str(error)
        raise CheckpointError(said if said.startswith(name) else f"{name}: {said}") from None
    except OSError as error:
        raise CheckpointError(f"{name}: cannot be read ({error.strerror})") from error


def _read_zip(stream: BinaryIO, size: int, make: Make) -> Any:
    try:
        with zipfile.ZipFile(stream) as archive:
            return _Archive(archive, size).read(make)
    except CheckpointError:
        raise
    except ZIP_ERRORS as error:
        reason = str(error).partition("\n")[0][:120] or type(error).__name__
        raise CheckpointError(
            f"truncated or damaged ({reason}); copy or download it again"
        ) from None


class _Archive:
    """The members of a file that PyTorch wrote as a zip."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive, self._size = archive, size
        self._members = members_of(archive, size, "PyTorch")
        pickles = [name for name in self._members if name.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].count("/") != 1:
            raise CheckpointError(
                "a zip that torch.save did not write: expected one folder with a data.pkl in it"
            )
        self._root = pickles[0].removesuffix("data.pkl")
        if self._root + "constants.pkl" in self._members:
            raise CheckpointError(
                "a TorchScript archive, which holds a program; where PyTorch is, write "
                "torch.save(torch.jit.load(path).state_dict(), path)"
            )
        order = self._text("byteorder", "little")
        if order not in ("little", "big"):
            raise CheckpointError(f"damaged: its byte order is {order[:20]!r}")
        self._swapped = order == "big"
        self._storages: dict[str, np.ndarray] = {}

    def read(self, make: Make) -> Any:
        content = self._archive.read(self._members[self._root + "data.pkl"])
        source = Source(self._storage, make, _ROOM + self._size)
        return PickledState(content, 0, source).read()

    def _text(self, name: str, default: str) -> str:
        member = self._members.get(self._root + name)
        return default if member is None else self._archive.read(member)[:20].decode()

    def _storage(self, persistent: Any) -> np.ndarray:
        kind, key, count, _ = _storage_of(persistent)
        if key in self._storages:
            return _agreed(self._storages[key], kind, count, key)
        member = self._members.get(f"{self._root}data/{key}")
        if member is None:
            raise CheckpointError(f"the memory {key[:40]!r} is missing in it")
        raw = _raw_dtype(kind)
        if member.file_size != count * raw.itemsize:
            raise CheckpointError(
                f"the memory {key[:40]!r} has {member.file_size:,} bytes, and should have "
                f"{count:,} elements of {STORAGES[kind]}"
            )
        values = np.empty(count, raw.newbyteorder(">" if self._swapped else "<"))
        with self._archive.open(member) as stream:
            target, done = values.view(np.uint8).data, 0
            while done < len(target):
                done += stream.readinto(target[done:]) or _cut()  # type: ignore[attr-defined]
            if stream.read(1):  # which also compares the checksum
                _cut()
        self._storages[key] = _typed(values, kind)
        return self._storages[key]


def _cut() -> int:
    raise CheckpointError("truncated: a tensor breaks off")


def _storage_of(persistent: Any) -> tuple[str, str, int, Any]:
    """Return the kind, the key and the length of a memory, and what the older form adds."""
    if not isinstance(persistent, tuple) or len(persistent) not in (5, 6):
        raise CheckpointError("damaged: a reference to what is no memory of a tensor")
    said, kind, key, _, count, *view = persistent
    if said != "storage" or type(key) is not str or type(count) is not int or count < 0:
        raise CheckpointError("damaged: a reference to what is no memory of a tensor")
    # PyTorch's dtype of that name stands for the same.
    name = kind.name if type(kind) is Global else ""
    if name not in STORAGES:
        raise CheckpointError(
            f"a tensor is of the kind {name[:40] or 'unknown'}, which NumPy lacks"
        )
    return name, key, count, view[0] if view else None


def _raw_dtype(kind: str) -> np.dtype[Any]:
    return np.dtype("uint16" if STORAGES[kind] == "bfloat16" else STORAGES[kind])


def _typed(values: np.ndarray, kind: str) -> np.ndarray:
    """Return the elements in this machine's byte order; bfloat16 as float32."""
    if kind == "BFloat16Storage":
        return (values.astype(np.uint32) << 16).view(np.float32)
    if kind == "BoolStorage" and values.size and int(values.view(np.uint8).max()) > 1:
        raise CheckpointError("damaged: a tensor of booleans holds other values")
    return values.astype(_raw_dtype(kind), copy=False)


def _agreed(values: np.ndarray, kind: str, count: int, key: str) -> np.ndarray:
    expected = "float32" if kind == "BFloat16Storage" else STORAGES[kind]
    if len(values) != count or values.dtype != expected:
        raise CheckpointError(f"damaged: the memory {key[:40]!r} is of two kinds")
    return values


class _Legacy:
    """A file as PyTorch wrote it before 1.6: pickles, then the memory of each tensor.

    The pickle comes before the memory that it refers to, so it is read twice: to find out which
    there is, and to make the object.
    """

    def __init__(self, content: bytes, make: Make) -> None:
        self._content, self._make = content, make
        self._position = 0
        self._kinds: dict[str, tuple[str, int]] = {}
        self._storages: dict[str, np.ndarray] = {}

    def read(self) -> Any:
        refuse = Source(self._no_storage, self._make, 0)
        if self._next(refuse) != _MAGIC:
            raise CheckpointError(
                "a pickle that torch.save did not write; a pickle may run anything, and this one "
                "was not opened"
            )
        if self._next(refuse) != _LEGACY_VERSION:
            raise CheckpointError("damaged: another version of PyTorch's older form")
        system = self._next(refuse)
        if type(system) is not dict or system.get("little_endian") is not True:
            raise CheckpointError("it was written on a machine with another byte order")
        start = self._position
        self._next(Source(self._note, self._make, None))
        keys = self._next(refuse)
        if type(keys) is not list or sorted(map(str, keys)) != sorted(self._kinds):
            raise CheckpointError("damaged: the memory that its pickle refers to is not all there")
        for key in keys:
            self._storages[key] = self._elements(*self._kinds[key])
        source = Source(self._storage, self._make, _ROOM + len(self._content))
        return PickledState(self._content, start, source).read()

    def _next(self, source: Source) -> Any:
        state = PickledState(self._content, self._position, source)
        found = state.read()
        self._position = state.position
        return found

    def _no_storage(self, persistent: Any) -> Any:
        raise CheckpointError("damaged: a tensor where numbers were expected")

    def _note(self, persistent: Any) -> None:
        kind, key, count, _ = _storage_of(persistent)
        if self._kinds.setdefault(key, (kind, count)) != (kind, count):
            raise CheckpointError(f"damaged: the memory {key[:40]!r} is of two kinds")
        size = _raw_dtype(kind).itemsize
        if count * size > len(self._content):
            raise CheckpointError(
                f"truncated: the memory {key[:40]!r} should have {count:,} elements of "
                f"{STORAGES[kind]}"
            )

    def _elements(self, kind: str, count: int) -> np.ndarray:
        if not self._left(8):
            _cut()
        (said,) = struct.unpack_from("<q", self._content, self._position)
        raw = _raw_dtype(kind)
        self._position += 8
        if said != count or not self._left(count * raw.itemsize):
            _cut()
        values = np.frombuffer(self._content, raw, count, self._position).copy()
        self._position += count * raw.itemsize
        return _typed(values, kind)

    def _left(self, count: int) -> bool:
        return self._position + count <= len(self._content)

    def _storage(self, persistent: Any) -> np.ndarray:
        _, key, _, view = _storage_of(persistent)
        return _part(self._storages[key], view)


def _part(values: np.ndarray, view: Any) -> np.ndarray:
    """Return a part of a memory, as PyTorch's first files refer to it."""
    if view is None:
        return values
    _, offset, count = view
    if type(offset) is not int or type(count) is not int or not 0 <= offset <= offset + count:
        raise CheckpointError("damaged: a part of a memory that is none")
    return values[offset : offset + count]
