"""Bodies of requests as rows that the run's network takes; each row is judged by itself."""

from __future__ import annotations

import ast
import functools
import math
import re
import warnings
from collections.abc import Sized
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from nnscratch.errors import CheckpointError
from nnscratch.train.files import parse_json

Array = npt.NDArray[Any]
Rows = TypeVar("Rows", bound=Sized)
_MOST_HEADER = 4096
_MOST_AXES = 16


class BadRequestError(Exception):
    """A request that is answered with an error: its HTTP status and a sentence.

    Args:
        status: such as 400.
        reason: what is wrong, and what is expected.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


@dataclass
class ReadRows:
    """The rows of a request.

    Args:
        count: how many there are.
        features: of those that are right, in order.
        errors: what is wrong with the others, by their numbers from 0.
        notes: what is unusual in a row, likewise.
    """

    count: int
    features: Array
    errors: dict[int, str] = field(default_factory=dict)
    notes: dict[int, list[str]] = field(default_factory=dict)


class RowReader(Protocol):
    """Reads the bodies of requests for one run."""

    key: str
    """What the rows are called in a JSON body."""

    def from_json(self, body: bytes, most: int) -> ReadRows:
        """Read a JSON body."""

    def from_array(self, array: Array) -> ReadRows:
        """Read the array of an npy body."""

    def example(self) -> dict[str, Any]:
        """Return a body that is right."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a row."""

    def tensors(self) -> list[dict[str, Any]]:
        """Return what the Open Inference Protocol says of the inputs."""

    def from_tensors(self, given: dict[str, Any], most: int) -> ReadRows:
        """Read the tensors of the Open Inference Protocol, arrays or lists by name."""


def rows_in(body: bytes, key: str, most: int) -> list[msgspec.Raw]:
    """Return the rows of a JSON body, not decoded yet.

    Raises:
        BadRequestError: if it is no JSON, has no rows, or too many.
    """
    try:
        found = _BODY.decode(body)
    except RecursionError:
        raise BadRequestError(400, "the JSON is nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise BadRequestError(400, f'expected {{"{key}": [...]}}: {error}') from None
    if set(found) != {key}:
        raise BadRequestError(400, f'expected {{"{key}": [...]}} alone, got {some_of(found)}')
    whole = bytes(found[key])
    if len(body) != len(whole) + len(key) + 5:
        around = body[: body.rindex(whole)].translate(None, b" \t\r\n")
        if around != b'{"%b":' % key.encode():
            refuse_keys_twice(body)
    try:
        rows = _LIST.decode(found[key])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadRequestError(400, f'expected {{"{key}": [...]}}: {error}') from None
    return not_too_many(rows, most)


def not_too_many(rows: Rows, most: int) -> Rows:
    """Return rows after counting them.

    Raises:
        BadRequestError: if there are none, or more than ``most``.
    """
    if not len(rows):
        raise BadRequestError(400, "there are no rows to predict")
    if len(rows) > most:
        raise BadRequestError(413, f"{len(rows):,} rows in one request; at most {most:,} are taken")
    return rows


def refuse_keys_twice(body: bytes) -> Any:
    """Return what a JSON text says; what has a key twice says two things, of which none is taken.

    Raises:
        BadRequestError: if a key is there twice.
    """
    try:
        return parse_json(body, "the JSON")
    except CheckpointError as error:
        raise BadRequestError(400, str(error)[:200]) from None


_BODY = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def some_of(names: Any) -> str:
    """Return a few names for a message."""
    listed = [repr(name)[:40] for name in names][:5]
    return ", ".join(listed) or "nothing"


@functools.lru_cache(maxsize=256)
def _layout(head: bytes, length: int, most: int) -> tuple[tuple[int, ...], bool, Any, int]:
    """Return what the header says, if a body of a length can be such rows, and not too many."""
    shape, fortran, dtype, start = _header(head)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != length - start:
        raise BadRequestError(400, f"the .npy file is not as long as its shape {shape} says")
    if not shape or 0 in shape[1:]:
        raise BadRequestError(400, f"expected an array of rows of numbers, got the shape {shape}")
    not_too_many(range(shape[0]), most)
    return shape, fortran, dtype, start


def _head_of(body: bytes) -> bytes:
    """Return the part of an npy body before its numbers, or as much as may be looked at."""
    size = 12 if body[6:7] == b"\x02" else 10
    length = int.from_bytes(body[8:size], "little")
    return body[: min(size + length, _MOST_HEADER)]


def _header(head: bytes) -> tuple[tuple[int, ...], bool, Any, int]:
    """Return shape, order, dtype and where the numbers begin.

    NumPy's own reader tries what Python 2 wrote too, which fails in many ways.

    Raises:
        BadRequestError: if it is no header, or there are no numbers.
    """
    size = {b"\x93NUMPY\x01\x00": 10, b"\x93NUMPY\x02\x00": 12}.get(head[:8], 0)
    length = int.from_bytes(head[8:size], "little")
    text = head[size : size + length].decode("latin-1")
    try:
        with warnings.catch_warnings(action="ignore"):  # Python says what it thinks of such text
            told = ast.literal_eval(text.strip()) if size and len(text) == length else None
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        told = None
    if not isinstance(told, dict) or set(told) != {"descr", "fortran_order", "shape"}:
        raise BadRequestError(400, "no .npy file of version 1 or 2")
    shape, kind = told["shape"], told["descr"]
    whole = isinstance(shape, tuple) and all(type(one) is int for one in shape)
    # NumPy's own limit is 64 axes, and the least one 32.
    if not whole or len(shape) > _MOST_AXES or not isinstance(told["fortran_order"], bool):
        raise BadRequestError(400, "no .npy file of version 1 or 2: its shape is none")
    if not isinstance(kind, str) or _DTYPE.fullmatch(kind) is None:
        raise BadRequestError(
            400,
            f"expected an .npy file of numbers, got {str(kind)[:40]}: objects are never unpickled",
        )
    return shape, told["fortran_order"], np.dtype(kind), size + length


_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


def read_npy(body: bytes, most: int) -> Array:
    """Return the array of an npy body; its header is checked before anything is allocated.

    Raises:
        BadRequestError: if it is none, holds objects, or has another length than it says.
    """
    shape, fortran, dtype, start = _layout(_head_of(body), len(body), most)
    array = np.frombuffer(body, dtype, -1, start)
    array = array.reshape(shape[::-1]).T if fortran else array.reshape(shape)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))
