"""The arrays of an HDF5 file as Keras 3 writes it: ``layers/dense/vars/0``.

HDF5 can do much more: links to other files, arrays that lie in other files or are put together of
them, arrays that claim any size and hold nothing, compression. Keras uses none of it, and each is
refused before a value is read.
"""

from __future__ import annotations

import io
import math
import os
import stat
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.train.files import FilePath

_DEEPEST = 32
_MOST_ENTRIES = 200_000
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_KINDS = "fiub"


def is_hdf5(start: bytes) -> bool:
    """Say whether a file that begins with these bytes is an HDF5 file."""
    return start.startswith(_SIGNATURE)


def h5py() -> Any:
    """Return the h5py module.

    Raises:
        ConfigurationError: if it is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise ConfigurationError("Keras' files need h5py: pip install 'nnscratch[keras]'") from None
    return h5py


def read_hdf5(path: FilePath) -> dict[str, np.ndarray]:
    """Return the arrays of a file by their paths in it.

    Raises:
        CheckpointError: if it cannot be read, is truncated or damaged, or has what Keras does not
            write.
        ConfigurationError: if h5py is not installed.
    """
    name = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise CheckpointError(f"{name}: this is no file")
        with open(name, "rb") as stream:
            return arrays_of(stream, os.fstat(stream.fileno()).st_size, name)
    except FileNotFoundError:
        raise CheckpointError(f"{name}: there is no such file") from None
    except OSError as error:
        raise CheckpointError(f"{name}: cannot be read ({error.strerror})") from error


def arrays_of(stream: Any, size: int, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of an HDF5 file that is open for reading bytes.

    Raises:
        CheckpointError: as ``read_hdf5``.
    """
    library = h5py()
    try:
        with library.File(stream, "r") as file:
            return _Walk(library, size).arrays(file)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from None
    # The C library has its own idea of what each damage is.
    except Exception as error:
        reason = str(error).partition("\n")[0][:120] or type(error).__name__
        raise CheckpointError(
            f"{name}: truncated, damaged, or no HDF5 file ({reason}); copy or download it again"
        ) from None


class _Walk:
    """Goes through a file once."""

    def __init__(self, library: Any, size: int) -> None:
        self._library, self._left = library, size
        self._seen: set[int] = set()
        self._found: dict[str, np.ndarray] = {}

    def arrays(self, file: Any) -> dict[str, np.ndarray]:
        """Return all arrays by path."""
        if "layer_names" in file.attrs or "model_config" in file.attrs or "model_weights" in file:
            raise CheckpointError(
                "Keras 2 wrote this; load it in Keras 3, and write model.save('model.keras') or "
                "model.save_weights('model.weights.h5')"
            )
        waiting = [("", file, 0)]
        while waiting:
            path, group, depth = waiting.pop()
            if depth > _DEEPEST:
                raise CheckpointError(f"groups in it lie more than {_DEEPEST} deep")
            for key in group:
                inner = f"{path}/{key}" if path else str(key)
                if len(self._seen) > _MOST_ENTRIES:
                    raise CheckpointError(f"more than {_MOST_ENTRIES:,} entries are in it")
                if type(group.get(key, getlink=True)) is not self._library.HardLink:
                    raise CheckpointError(
                        f"{inner[:80]!r} in it is a link, which may lead into another file; Keras "
                        "writes none"
                    )
                item = group[key]
                address = self._library.h5o.get_info(item.id).addr
                if address in self._seen:
                    raise CheckpointError(f"{inner[:80]!r} in it lies in two places")
                self._seen.add(address)
                if isinstance(item, self._library.Group):
                    waiting.append((inner, item, depth + 1))
                elif isinstance(item, self._library.Dataset):
                    self._found[inner] = self._values(inner, item)
                else:
                    raise CheckpointError(f"{inner[:80]!r} in it is no array")
        return dict(sorted(self._found.items()))

    def _values(self, path: str, item: Any) -> np.ndarray:
        where = f"{path[:80]!r} in it"
        if item.is_virtual or item.external is not None:
            raise CheckpointError(f"{where} lies in another file")
        if item.shape is None or item.dtype.kind not in _KINDS or item.dtype.subdtype:
            raise CheckpointError(f"{where} has the dtype {str(item.dtype)[:40]}; expected numbers")
        claimed = math.prod(item.shape) * item.dtype.itemsize
        if item.chunks is not None or item.id.get_storage_size() != claimed:
            raise CheckpointError(
                f"{where} claims {claimed:,} bytes and has {item.id.get_storage_size():,}, or is "
                "compressed, which Keras never does"
            )
        self._left -= claimed
        if self._left < 0:
            raise CheckpointError(f"{where}: the arrays claim more bytes than the file has")
        values = np.asarray(item[()])
        return values.astype(values.dtype.newbyteorder("="), copy=False)


def hdf5_bytes(arrays: Mapping[str, Any], names: Mapping[str, str]) -> bytes:
    """Return an HDF5 file of arrays by path, in which groups have a name as an attribute."""
    library = h5py()
    stream = io.BytesIO()
    with library.File(stream, "w", libver=("v108", "v108")) as file:
        for path, name in names.items():
            file.require_group(path).attrs["name"] = name
        for path, array in arrays.items():
            file.create_dataset(path, data=np.asarray(array))
    return stream.getvalue()
