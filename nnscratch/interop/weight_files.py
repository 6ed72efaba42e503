"""Files of weights by name, whoever wrote them: one file, or several with an index."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.data import read_npz
from nnscratch.errors import CheckpointError, DataError
from nnscratch.interop.keras.files import is_keras
from nnscratch.interop.keras.hdf5 import is_hdf5
from nnscratch.interop.torch.files import first_bytes, is_torch_file, read_torch, refuse_old_file
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath, read_json, write_json, write_whole
from nnscratch.train.tensor_file import TensorFile, write_tensors

_STATES = ("state_dict", "model_state_dict", "model", "module", "params", "net", "weights")
"""Where scripts keep a model's state in a checkpoint."""
_MOST_INDEX = 64 << 20


class WeightFile(Protocol):
    """A file of arrays by name, open for reading.

    Attributes:
        name: the file's.
        other_names: those of the entries that are only further names of others.
    """

    name: str
    other_names: frozenset[str]

    @property
    def entries(self) -> Mapping[str, Any]:
        """Return what has a ``shape``, by name."""

    def read(self, name: str) -> np.ndarray:
        """Return one array."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_weights(path: FilePath) -> WeightFile:
    """Open a file of weights: safetensors, ``.pt``, ``.npz``, or the index of several of these.

    Raises:
        CheckpointError: if it is truncated, damaged, or of another kind.
    """
    start = first_bytes(path)
    # A safetensors file may begin so too: with the length of its header, which ends in zeros.
    if start.lstrip()[:1] == b"{" and b"\0" not in start:
        return _Sharded(path)
    return _open_one(path)


def _open_one(path: FilePath) -> WeightFile:
    """Open a file that is no index."""
    start = first_bytes(path)
    if start.startswith(b"PK") and _is_npz(path):
        try:
            return _Held(os.fspath(path), read_npz(path))
        except DataError as error:
            raise CheckpointError(str(error)) from None
    if is_torch_file(start):
        return _Held(os.fspath(path), _state_in(read_torch(path, _array), os.fspath(path)))
    refuse_old_file(path)
    return _Tensors(path)


def is_keras_file(path: FilePath) -> bool:
    """Say whether a file is one of Keras: HDF5, or a zip of its settings and HDF5."""
    start = first_bytes(path)
    return is_hdf5(start) or (start.startswith(b"PK") and is_keras(path))


def _is_npz(path: FilePath) -> bool:
    """Say whether a zip begins with an array of NumPy's: its first member's name ends so."""
    with open(path, "rb") as stream:
        head = stream.read(30 + 4096)
    length = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + length].endswith(b".npy")


def _array(values: Any, parameter: bool, asks: bool) -> np.ndarray:
    return np.asarray(values)


def _state_in(found: Any, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of a state dict, or of a checkpoint that has one under a usual name."""
    # First by name: beside its state a checkpoint may well have a tensor, such as the last loss.
    for key in (*_STATES, None):
        state = found if key is None else found.get(key) if isinstance(found, dict) else None
        if isinstance(state, dict):
            arrays = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
            if arrays and all(isinstance(k, str) for k in arrays):
                return arrays
    keys = ", ".join(map(repr, list(found)[:10])) if isinstance(found, dict) else ""
    raise CheckpointError(
        f"{name}: it holds no state dict: {keys[:200] or type(found).__name__}; take the weights "
        "out of nnscratch.load(path), and give them to model.load_state_dict"
    )


class _Open:
    """A file that has nothing to close."""

    other_names: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class _Held(_Open):
    """Arrays that are in memory."""

    def __init__(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        self.name, self.entries = name, arrays

    def read(self, name: str) -> np.ndarray:
        return self.entries[name]


class _Tensors(TensorFile):
    """A safetensors file in which names that were left out as copies of others are there."""

    def __init__(self, path: FilePath) -> None:
        super().__init__(path)
        kept = {
            name: told
            for name, told in self.metadata.items()
            if told in self.entries and name not in self.entries
        }
        self.other_names = frozenset(kept)
        self.entries |= {name: self.entries[told] for name, told in kept.items()}


class _Sharded(_Open):
    """Several files and the index that says which has what, as Hugging Face writes them."""

    def __init__(self, path: FilePath) -> None:
        self.name = os.fspath(path)
        index = read_json(path, _MOST_INDEX)
        places = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(places, dict) or not places:
            raise CheckpointError(f"{self.name}: JSON that is no index of weights: no 'weight_map'")
        folder = os.path.dirname(os.path.abspath(self.name))
        self._folder = folder
        self._files: dict[str, WeightFile] = {}
        self._place: dict[str, str] = {}
        self.entries: dict[str, Any] = {}
        others: set[str] = set()
        for file in sorted(set(map(str, places.values()))):
            if not file or file != os.path.basename(file) or "\\" in file:
                raise CheckpointError(
                    f"{self.name}: it names the file {file[:80]!r}; expected one in its own folder"
                )
            shard = _open_one(os.path.join(folder, file))
            with shard:
                for name, entry in shard.entries.items():
                    if name in self.entries:
                        raise CheckpointError(
                            f"{self.name}: {name[:80]!r} is in {file} and in {self._place[name]}"
                        )
                    self.entries[name], self._place[name] = entry, file
                others |= shard.other_names
        for name, file in places.items():
            if self._place.get(name) != file:
                raise CheckpointError(
                    f"{self.name}: {name[:80]!r} should be in {str(file)[:80]}, and is not"
                )
        self.other_names = frozenset(others)

    def read(self, name: str) -> np.ndarray:
        file = self._place[name]
        if file not in self._files:  # one at a time is open, or in memory
            self._close()
            self._files[file] = _open_one(os.path.join(self._folder, file))
        return self._files[file].read(name)

    def _close(self) -> None:
        for file in self._files.values():
            file.__exit__(None, None, None)
        self._files.clear()

    def __exit__(self, *error: Any) -> None:
        self._close()


def write_npz(path: FilePath, tensors: Mapping[str, Any]) -> None:
    """Write tensors by name as NumPy's ``.npz``, atomically.

    Raises:
        RunError: if the file cannot be written; one that was there before is intact.
    """
    arrays = {
        name: to_numpy(t.array if isinstance(t, Tensor) else t) for name, t in tensors.items()
    }

    def write(stream: BinaryIO) -> None:
        np.savez(stream, **arrays)  # type: ignore[arg-type]

    write_whole(path, write, follow=True)


def write_sharded(path: FilePath, tensors: Mapping[str, Any], most: int) -> None:
    """Write tensors into safetensors files of at most so many bytes, and their index to ``path``.

    A tensor that is larger has a file of its own. The index is written last.

    Raises:
        RunError: if a file cannot be written; those that were not there before are removed then.
    """
    name = os.fspath(path)
    stem = os.path.basename(name).removesuffix(".json").removesuffix(".index")
    stem = stem.removesuffix(".safetensors")
    shards: list[dict[str, Any]] = [{}]
    filled = total = 0
    for key, tensor in tensors.items():
        size = int(tensor.nbytes)
        if shards[-1] and filled + size > most:
            shards.append({})
            filled = 0
        shards[-1][key] = tensor
        filled += size
        total += size
    places: dict[str, str] = {}
    new: list[str] = []
    try:
        for number, shard in enumerate(shards, 1):
            file = f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors"
            target = os.path.join(os.path.dirname(name), file)
            if not os.path.lexists(target):
                new.append(target)
            write_tensors(target, shard, {"format": "pt"}, True)
            places |= dict.fromkeys(shard, file)
        write_json(path, {"metadata": {"total_size": total}, "weight_map": places})
    except BaseException:
        for target in new:
            with suppress(OSError):
                os.unlink(target)
        raise
