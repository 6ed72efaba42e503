"""Tensors as bytes behind the JSON: the binary extension of the Open Inference Protocol.

A body is JSON of so many bytes as the header ``Inference-Header-Content-Length`` says, then the
tensors' bytes, one after another, each as long as its ``binary_data_size``: numbers in little
endian, row by row; a byte 0 or 1 for a boolean; for a text its length in 4 bytes before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.cli.serving.reading import BadRequestError

LENGTH = b"inference-header-content-length"
_LONGEST = 20


def split(body: bytes, told: bytes) -> tuple[bytes, bytes]:
    """Return the JSON of a body and the bytes behind it, given what the header says.

    Raises:
        BadRequestError: if the header is no number, or larger than the body.
    """
    if not told.isdigit() or len(told) > _LONGEST:
        raise BadRequestError(400, "Inference-Header-Content-Length is a number of bytes")
    size = int(told)
    if size > len(body):
        raise BadRequestError(
            400, f"the body has {len(body):,} bytes, fewer than the {size:,} that "
            "Inference-Header-Content-Length says"
        )  # fmt: skip
    return body[:size], body[size:]


def told_size(name: str, parameters: Any) -> int | None:
    """Return how many bytes a tensor has behind the JSON, None if it has none there.

    Raises:
        BadRequestError: if what is said is no number of bytes.
    """
    if not isinstance(parameters, dict) or "binary_data_size" not in parameters:
        return None
    size = parameters["binary_data_size"]
    if type(size) is not int or size < 0:
        raise BadRequestError(400, f"input {name[:40]!r}: binary_data_size is a number of bytes")
    return size


def wants_bytes(parameters: Any, key: str, usual: bool) -> bool:
    """Return whether outputs are wanted as bytes.

    Raises:
        BadRequestError: if what is said is neither true nor false.
    """
    found = parameters.get(key, usual) if isinstance(parameters, dict) else usual
    if not isinstance(found, bool):
        raise BadRequestError(400, f"{key} is true or false")
    return found


def values_of(name: str, kind: type[Any], shape: Sequence[int], raw: bytes) -> Any:
    """Return the values of a tensor, flat: an array of numbers or booleans, a list of texts.

    Nothing is allocated before the length is compared with the shape.

    Raises:
        BadRequestError: if the bytes are too many, too few, or no such values.
    """
    count = math.prod(shape) if min(shape, default=0) >= 0 else -1
    if kind is np.object_:
        return _texts(name, raw, count)
    stored = np.dtype(np.uint8) if kind is np.bool_ else np.dtype(kind).newbyteorder("<")
    if count < 0 or count * stored.itemsize != len(raw):
        raise _of_other_length(name, raw, shape)
    values = np.frombuffer(raw, stored)
    if kind is np.bool_:
        if len(values) and values.max() > 1:
            raise BadRequestError(400, f"input {name[:40]!r}: a BOOL is a byte 0 or 1")
        return values.view(np.bool_)
    return values.astype(kind, copy=False)


def _of_other_length(name: str, raw: bytes, shape: Sequence[int]) -> BadRequestError:
    return BadRequestError(
        400, f"input {name[:40]!r}: {len(raw):,} bytes do not make the shape {[*shape][:9]}"
    )


def _texts(name: str, raw: bytes, count: int) -> list[str]:
    made, start = [], 0
    while start < len(raw):
        end = start + 4 + int.from_bytes(raw[start : start + 4], "little")
        if start + 4 > len(raw) or end > len(raw):
            raise BadRequestError(400, f"input {name[:40]!r}: the last text is cut off")
        try:
            made.append(raw[start + 4 : end].decode())
        except UnicodeDecodeError:
            raise BadRequestError(400, f"input {name[:40]!r}: a text is no UTF-8") from None
        start = end
    if len(made) != count:
        raise BadRequestError(
            400, f"input {name[:40]!r}: {len(made):,} texts do not make the shape"
        )
    return made


_STORED = {"BOOL": "u1", "INT64": "<i8", "FP64": "<f8"}


def as_bytes(datatype: str, data: Sequence[Any]) -> bytes:
    """Return the values of an output as bytes."""
    if datatype == "BYTES":
        texts = [one.encode("utf-8", "backslashreplace") for one in data]
        return b"".join(len(one).to_bytes(4, "little") + one for one in texts)
    return np.array(data, _STORED[datatype]).tobytes()
