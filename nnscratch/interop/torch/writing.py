"""Files that ``torch.load`` reads: a zip with a pickle of the few opcodes of a state dict."""

from __future__ import annotations

import math
import struct
import zipfile
from collections import OrderedDict
from typing import Any, BinaryIO

import numpy as np

from nnscratch.array import dtype_name, is_array, to_numpy
from nnscratch.errors import DTypeError
from nnscratch.interop.refusals import at, refusal, word
from nnscratch.interop.torch.memory import STORAGES
from nnscratch.nn import Parameter
from nnscratch.tensors import Tensor
from nnscratch.tensors.size import Size
from nnscratch.train.files import FilePath, write_whole

_KINDS = {name: kind for kind, name in STORAGES.items() if kind != "UntypedStorage"}
_DEEPEST = 200
_ROOT = "archive"
_ALIGNED = 64
_DATE = (1980, 1, 1, 0, 0, 0)
_LARGE = 1 << 31


def write_torch(path: FilePath, obj: Any) -> None:
    """Write an object as ``torch.save`` does.

    Raises:
        DTypeError: for what can only be kept by a pickle of objects; it says where that is.
        RunError: if the file cannot be written; one that was there before is intact.
    """
    pickled = _Pickled()
    content = pickled.whole(obj)

    def write(stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream, "w") as archive:
            _add(archive, stream, "data.pkl", content)
            _add(archive, stream, "byteorder", b"little")
            for key, array in enumerate(pickled.arrays):
                _add(archive, stream, f"data/{key}", _bytes(array))
            _add(archive, stream, "version", b"3\n")

    write_whole(path, write, follow=True)


def _add(archive: zipfile.ZipFile, stream: BinaryIO, name: str, content: Any) -> None:
    """Add a member whose content begins at a multiple of 64 bytes, where it can be mapped."""
    info = zipfile.ZipInfo(f"{_ROOT}/{name}", _DATE)
    large = len(content) >= _LARGE
    before = stream.tell() + 30 + len(info.filename) + 4 + (20 if large else 0)
    padding = -before % _ALIGNED
    info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    with archive.open(info, "w", force_zip64=large) as member:
        member.write(content)


def _bytes(array: Any) -> Any:
    host = np.ascontiguousarray(to_numpy(array))
    plain = host.view(np.uint16) if dtype_name(host.dtype) == "bfloat16" else host
    plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
    return plain.reshape(-1).view(np.uint8).data if plain.size else b""


class _Pickled:
    """A pickle that is being written.

    Attributes:
        arrays: the memory that it refers to, each by its number.
    """

    def __init__(self) -> None:
        self.arrays: list[Any] = []
        self._keys: dict[int, int] = {}
        self._out = bytearray(b"\x80\x02")

    def whole(self, obj: Any) -> bytes:
        """Return the pickle of an object."""
        self._write(obj, (), 0)
        return bytes(self._out) + b"."

    def _write(self, item: Any, path: tuple[str, ...], depth: int) -> None:
        out = self._out
        if isinstance(item, np.generic):
            item = item.item()
        if item is None or type(item) is bool:
            out += {None: b"N", True: b"\x88", False: b"\x89"}[item]
        elif type(item) is int:
            self._integer(item, path)
        elif type(item) is float:
            out += b"G" + struct.pack(">d", item)
        elif type(item) is str:
            self._text(item)
        elif isinstance(item, Tensor) or is_array(item):
            self._tensor(item, path)
        elif depth > _DEEPEST:
            raise DTypeError(f"save: {at(path)}is nested more than {_DEEPEST} deep, or in itself")
        elif type(item) in (dict, OrderedDict):
            out += b"}" if type(item) is dict else b"ccollections\nOrderedDict\n)R"
            out += b"("
            for key, value in item.items():
                if type(key) not in (str, int, float, bool, type(None)):
                    raise DTypeError(
                        f"save: {at(path)}has a key of type {type(key).__name__}; PyTorch's files "
                        "take texts and numbers"
                    )
                self._write(key, path, depth)
                self._write(value, (*path, word(key)), depth + 1)
            out += b"u"
        elif type(item) in (list, tuple, Size):
            out += (
                b"ctorch\nSize\n(("
                if type(item) is Size
                else b"("
                if type(item) is tuple
                else b"]("
            )
            for number, one in enumerate(item):
                self._write(one, (*path, str(number)), depth + 1)
            out += b"ttR" if type(item) is Size else b"t" if type(item) is tuple else b"e"
        else:
            raise DTypeError(f"save: {at(path)}{refusal(item)}")

    def _integer(self, item: int, path: tuple[str, ...]) -> None:
        content = item.to_bytes(item.bit_length() // 8 + 1, "little", signed=True)
        if len(content) > 255:
            raise DTypeError(f"save: {at(path)}is a number of more than 2,000 bits")
        self._out += b"\x8a" + bytes([len(content)]) + content

    def _text(self, item: str) -> None:
        content = item.encode("utf-8", "surrogatepass")
        self._out += b"X" + struct.pack("<I", len(content)) + content

    def _tensor(self, item: Any, path: tuple[str, ...]) -> None:
        array = item.array if isinstance(item, Tensor) else item
        kind = _KINDS.get(dtype_name(array.dtype))
        if kind is None:
            raise DTypeError(
                f"save: {at(path)}is of {array.dtype}, which PyTorch's files lack; save "
                ".astype('int64') of it"
            )
        if id(array) not in self._keys:
            self._keys[id(array)] = len(self.arrays)
            self.arrays.append(array)  # which also keeps its id from being another's
        count = math.prod(array.shape)
        asks = isinstance(item, Tensor) and item.requires_grad
        parameter = isinstance(item, Parameter)
        out = self._out
        if parameter:
            out += b"ctorch._utils\n_rebuild_parameter\n("
        out += b"ctorch._utils\n_rebuild_tensor_v2\n(("
        self._text("storage")
        out += f"ctorch\n{kind}\n".encode()
        self._text(str(self._keys[id(array)]))
        self._text("cpu")
        self._integer(count, path)
        out += b"tQ"
        self._integer(0, path)
        stride = [math.prod(array.shape[n + 1 :]) for n in range(len(array.shape))]
        for sizes in (array.shape, stride):
            out += b"("
            for size in sizes:
                self._integer(int(size), path)
            out += b"t"
        hooks = b"ccollections\nOrderedDict\n)R"
        out += (b"\x88" if asks and not parameter else b"\x89") + hooks + b"tR"
        if parameter:
            out += (b"\x88" if asks else b"\x89") + hooks + b"tR"
