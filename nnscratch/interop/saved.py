"""``save`` and ``load``: what scripts keep in a checkpoint, in one safetensors file.

The tensors are the file's arrays, under their paths ("model.fc1.weight"), so that every library
reads them. What is around them is JSON in the file's metadata: dictionaries, lists, tuples,
numbers, texts. Two tensors of one array share it again when they are read; a view of a part of it
is stored by itself. Nothing is ever pickled or unpickled.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nnscratch.array import Device, as_device, is_array, move
from nnscratch.array.bfloat16 import bfloat16, brain
from nnscratch.errors import CheckpointError, DTypeError
from nnscratch.interop.refusals import at, refusal, word
from nnscratch.interop.torch.files import first_bytes, is_torch_file, read_torch, refuse_old_file
from nnscratch.nn import Parameter
from nnscratch.tensors import Tensor
from nnscratch.tensors.size import Size
from nnscratch.train.files import FilePath, parse_json
from nnscratch.train.tensor_file import TensorFile, write_tensors

_KEY = "nnscratch"
_FORM, _VERSION = "nnscratch-saved", 1
_MAPPINGS: dict[str, Callable[[Any], Any]] = {
    "dict": dict,
    "OrderedDict": OrderedDict,
    "Counter": Counter,
}
_SEQUENCES: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "size": Size,
}
_DEEPEST = 200
# Python reads and writes longer numbers in hexadecimal digits only.
_MOST_BITS = 2000


def save(obj: Any, f: FilePath | BinaryIO, *unused: Any, **options: Any) -> None:
    """Write tensors, and dictionaries, lists, tuples, numbers and texts around them, atomically.

    Args:
        obj: what a script keeps: ``model.state_dict()``, or a dictionary such as
            ``{"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}``.
            Tensors keep their dtype and ``requires_grad``; a tensor that comes twice is stored once
            and is one again, but a view of another (``x[0]``) has its own numbers afterwards.
        f: the path of the file, or a file that is open for writing bytes.
        *unused: PyTorch's ``pickle_module`` and ``pickle_protocol``, which nothing needs.
        **options: the same by name, and ``_use_new_zipfile_serialization``.

    Raises:
        DTypeError: for what can only be kept by a pickle, such as a model; it says where that is
            and what to save instead.
        RunError: if the file cannot be written; one that was there before is intact.

    >>> import tempfile
    >>> from nnscratch import ones
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save({"model": {"w": ones(2)}, "epoch": 3}, f"{folder}/run.pt")
    ...     load(f"{folder}/run.pt")
    {'model': {'w': tensor([1., 1.])}, 'epoch': 3}
    """
    _only("save", options, ("pickle_module", "pickle_protocol", "_use_new_zipfile_serialization"))
    writer = _Writer()
    value = writer.written(obj, (), 0)
    record = {"form": _FORM, "version": _VERSION, "value": value}
    text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    tied = {name: kept for name, kept in writer.tied.items() if name not in writer.tensors}
    metadata = {**tied, _KEY: text, "format": "pt"}
    if not hasattr(f, "write"):
        write_tensors(f, writer.tensors, metadata, follow=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "saved")
        write_tensors(path, writer.tensors, metadata)
        f.write(path.read_bytes())


def load(f: FilePath | BinaryIO, map_location: Any = None, *unused: Any, **options: Any) -> Any:
    """Return what ``save`` wrote, or ``torch.save``; of any other safetensors file its tensors.

    A file of PyTorch's (``.pt``, ``.pth``, of both forms that there are) is read without PyTorch,
    as ``torch.load(f, weights_only=True)`` reads it: tensors and parameters, dictionaries, lists,
    tuples, sets, numbers and texts around them. Its tensors of bfloat16 become float32. It is no
    unpickling: what else such a file would import or call is refused by name, and none of it runs.

    Args:
        f: the path of the file, or a file that is open for reading bytes.
        map_location: where the tensors go: a device, a function that is given each tensor and the
            name "cpu" and returns the tensor, or None to leave it, or a dictionary with a device
            under "cpu". They are on the CPU unless it says otherwise.
        *unused: PyTorch's ``pickle_module``, which nothing needs.
        **options: the same by name, ``weights_only``, which is always so, and ``mmap``.

    Raises:
        CheckpointError: if the file is damaged, of another kind, or a pickle of more than data,
            such as a whole model.
        DeviceError: if this machine has no such device.
        DTypeError: if the function returns something else.
    """
    _only("load", options, ("pickle_module", "weights_only", "mmap", "encoding"))
    if hasattr(f, "read"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, str(getattr(f, "name", "")).rpartition(os.sep)[2] or "buffer")
            path.write_bytes(f.read())
            return _loaded(path, map_location)
    return _loaded(f, map_location)


def _only(name: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    others = [option for option in options if option not in known]
    if others:
        raise TypeError(f"{name}() got an unexpected keyword argument {others[0]!r}")


class _Writer:
    """Turns an object into JSON, and collects the tensors in it by name.

    Attributes:
        tensors: the arrays by their paths in the object.
        tied: of tensors that came before under another path, this one by theirs, as the format's
            own library writes it for tied weights.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Any] = {}
        self.tied: dict[str, str] = {}
        self._names: dict[Any, str] = {}

    def written(self, item: Any, path: tuple[str, ...], depth: int) -> Any:
        """Return an object as JSON; what JSON lacks is a list that begins with its kind."""
        if type(item) is int and item.bit_length() > _MOST_BITS:
            return ["int", hex(item)]
        if item is None or type(item) in (bool, int, str):
            return item
        if type(item) is float:
            return item if math.isfinite(item) else ["float", repr(item)]
        if isinstance(item, np.generic):
            number = item.item()
            if isinstance(number, np.generic):  # of more digits than Python's floats
                raise DTypeError(f"save: {at(path)}{refusal(item)}")
            return self.written(number, path, depth)
        if isinstance(item, Tensor) or is_array(item):
            return self._tensor(item, path)
        if depth > _DEEPEST:
            raise DTypeError(f"save: {at(path)}is nested more than {_DEEPEST} deep, or in itself")
        deeper = depth + 1
        if type(item) in _MAPPINGS.values():
            pairs = [
                [self._key(key, path), self.written(value, (*path, word(key)), deeper)]
                for key, value in item.items()
            ]
            return [type(item).__name__, pairs]
        if type(item) in (list, tuple, Size, set, frozenset):
            kind = "size" if type(item) is Size else type(item).__name__
            parts = [self.written(one, (*path, str(n)), deeper) for n, one in enumerate(item)]
            return [kind, parts]
        if type(item) is complex:
            return ["complex", [self.written(part, path, depth) for part in (item.real, item.imag)]]
        if isinstance(item, np.dtype):
            return ["dtype", str(item)]
        if isinstance(item, Device):
            return ["device", [item.type, item.index]]
        raise DTypeError(f"save: {at(path)}{refusal(item)}")

    def _key(self, key: Any, path: tuple[str, ...]) -> Any:
        if key is None or type(key) in (bool, str):
            return key
        if type(key) in (int, float, tuple) or isinstance(key, np.generic):
            return self.written(key, path, 0)
        raise DTypeError(
            f"save: {at(path)}has a key of type {type(key).__name__}; keys are texts, numbers and "
            "tuples of them"
        )

    def _tensor(self, item: Any, path: tuple[str, ...]) -> Any:
        array = item.array if isinstance(item, Tensor) else item
        if array.dtype.kind == "f" and array.dtype.itemsize > 8:
            raise DTypeError(
                f"save: {at(path)}is an array of {array.dtype}, which safetensors has not; save "
                ".astype('float64') of it"
            )
        if array.dtype.kind not in "biuf" and array.dtype is not brain.dtype:
            raise DTypeError(
                f"save: {at(path)}is an array of {array.dtype}, which safetensors has not; save "
                ".tolist() of it, or nnscratch.view_as_real(x) of complex numbers"
            )
        kind = "array"
        if isinstance(item, Tensor):
            kind = "parameter" if isinstance(item, Parameter) else "tensor"
        if id(array) not in self._names:
            name, number = ".".join(path) or "tensor", 1
            while name in self.tensors:
                number += 1
                name = f"{'.'.join(path)}#{number}"
            self._names[id(array)] = name
            self.tensors[name] = array  # which also keeps its id from being another's
        asks = isinstance(item, Tensor) and item.requires_grad
        kept, own = self._names[id(array)], ".".join(path)
        if own not in (kept, "", _KEY, "format") and own not in self.tensors:
            self.tied[own] = kept
        return [kind, kept, asks]


def _loaded(path: FilePath, map_location: Any) -> Any:
    place = _placing(map_location)
    if is_torch_file(first_bytes(path)):
        return _of_torch(path, place)
    refuse_old_file(path)
    with TensorFile(path) as file:
        text = file.metadata.get(_KEY)
        record = parse_json(text, file.name) if text is not None else {}
        if not isinstance(record, dict) or record.get("form") != _FORM:
            return {name: place(Tensor(file.read(name))) for name in file}
        if record.get("version") != _VERSION:
            raise CheckpointError(
                f"{file.name}: version {str(record.get('version'))[:20]} of the format, this "
                f"nnscratch reads version {_VERSION}"
            )
        reader = _Reader(file, place)
        try:
            return reader.read(record["value"])
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            if isinstance(error, CheckpointError) or reader.placing:
                raise
            raise CheckpointError(f"{file.name}: the record is damaged ({error!r})") from error


def _of_torch(path: FilePath, place: Callable[[Tensor], Tensor]) -> Any:
    """Return the object of a file that ``torch.save`` wrote."""
    made: dict[int, tuple[Any, Any]] = {}

    def make(values: Any, parameter: bool, asks: bool) -> Tensor:
        if id(values) not in made:  # a tensor and its parameter share their memory
            made[id(values)] = values, place(Tensor(values)).array
        kind = Parameter if parameter else Tensor
        return kind(made[id(values)][1], requires_grad=asks)

    return read_torch(path, make)


def _placing(map_location: Any) -> Callable[[Tensor], Tensor]:
    if isinstance(map_location, Mapping):
        map_location = map_location.get("cpu")
    if map_location is None:
        return lambda tensor: tensor
    if callable(map_location):
        return lambda tensor: _mapped(tensor, map_location(tensor, "cpu"))
    device = as_device(map_location)
    return lambda tensor: Tensor(move(tensor.array, device))


def _mapped(tensor: Tensor, mapped: Any) -> Tensor:
    if mapped is None:
        return tensor
    if not isinstance(mapped, Tensor):
        raise DTypeError(
            "load: expected that the function map_location returns the tensor or None, got "
            f"{type(mapped).__name__}; write map_location=device to say where tensors go"
        )
    return mapped


class _Reader:
    """Makes an object of what ``_Writer`` wrote.

    Attributes:
        placing: whether the user's ``map_location`` is running, whose errors are its own.
    """

    def __init__(self, file: TensorFile, place: Callable[[Tensor], Tensor]) -> None:
        self.placing = False
        self._file, self._place = file, place
        self._arrays: dict[str, Any] = {}
        self._placed: dict[str, Any] = {}
        self._made: dict[tuple[str, str, bool], Any] = {}

    def read(self, value: Any) -> Any:
        """Return what a value of the record stands for."""
        if not isinstance(value, list):
            if isinstance(value, dict):
                raise ValueError("an object where a list was written")
            return value
        kind, content, *more = value
        if kind in _MAPPINGS:
            return _MAPPINGS[kind]({self.read(key): self.read(item) for key, item in content})
        if kind == "int":
            return int(content, 16)
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](self.read(item) for item in content)
        if kind == "complex":
            real, imaginary = map(self.read, content)
            return complex(real, imaginary)
        if kind == "float":
            return float(content)
        if kind == "dtype":
            return bfloat16() if content == "bfloat16" else np.dtype(content)
        if kind == "device":
            return Device(*content)
        return self._tensor(kind, content, bool(more[0]))

    def _tensor(self, kind: str, name: str, asks: bool) -> Any:
        if (kind, name, asks) not in self._made:
            make = {"array": None, "tensor": Tensor, "parameter": Parameter}[kind]
            array = self._array(name, make is not None)
            made = array if make is None else make(array, requires_grad=asks)
            self._made[kind, name, asks] = made
        return self._made[kind, name, asks]

    def _array(self, name: str, placed: bool) -> Any:
        """Return the one array of a name, of a tensor where ``map_location`` puts it."""
        if name not in self._arrays:
            self._arrays[name] = self._file.read(name, keep_bfloat16=True)
        if not placed:
            return self._arrays[name]
        if name not in self._placed:
            self.placing = True
            self._placed[name] = self._place(Tensor(self._arrays[name])).array
            self.placing = False
        return self._placed[name]
