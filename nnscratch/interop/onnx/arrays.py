"""Arrays out of ONNX's tensors, whose sizes are checked before anything is allocated."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from nnscratch.array.bfloat16 import bfloat16
from nnscratch.array.memory import size
from nnscratch.errors import CheckpointError, DTypeError
from nnscratch.interop.onnx.operators.room import LARGEST
from nnscratch.interop.onnx.types import DTYPES, shown, type_name


def array_of(tensor: TensorProto, folder: Path | None = None) -> np.ndarray:
    """Return the values of an ONNX tensor.

    Args:
        tensor: the tensor.
        folder: where its external data may lie; None if it may have none.

    Raises:
        CheckpointError: if its values do not fill its shape, or lie where they may not.
        DTypeError: if there are no tensors of its element type.

    >>> array_of(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]))
    array([1., 2.], dtype=float32)
    """
    where = f"the tensor {shown(tensor.name)}"
    if tensor.data_type not in DTYPES:
        raise DTypeError(
            f"{where} is of {type_name(tensor.data_type)}; expected one of "
            f"{', '.join(map(type_name, DTYPES))}"
        )
    dtype = bfloat16() if tensor.data_type == TensorProto.BFLOAT16 else np.dtype(
        DTYPES[tensor.data_type]
    )  # fmt: skip
    shape = tuple(tensor.dims)
    if any(n < 0 for n in shape) or len(shape) > 64:
        raise CheckpointError(f"{where}: expected sizes of at least 0, got {shape}")
    count = math.prod(shape)
    if math.prod([max(n, 1) for n in shape]) * dtype.itemsize > LARGEST:
        raise CheckpointError(
            f"{where}: a shape of {shape} would take {size(count * dtype.itemsize)}; at most "
            f"{size(LARGEST)} are read"
        )
    if tensor.HasField("segment"):
        raise CheckpointError(f"{where} comes in segments, which nothing writes; save it whole")
    if tensor.data_location == TensorProto.EXTERNAL:
        raw = external_bytes(tensor, count * dtype.itemsize, folder)
    elif tensor.HasField("raw_data"):
        raw = tensor.raw_data
    else:
        held = len(getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type)))
        if held != count:
            raise CheckpointError(f"{where}: {held} values for the shape {shape}")
        return np.asarray(numpy_helper.to_array(tensor)).reshape(shape)
    if len(raw) != count * dtype.itemsize:
        raise CheckpointError(
            f"{where}: {len(raw)} bytes for the shape {shape}, which takes {count * dtype.itemsize}"
        )
    # A copy: bytes are read-only, and weights are trained.
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def external_bytes(tensor: TensorProto, count: int, folder: Path | None) -> bytes:
    """Return the bytes of a tensor that lie in a file beside the model's.

    Only a regular file in the model's folder is opened, or in one below it: no link, no device,
    nothing that a path leads out to.

    Raises:
        CheckpointError: if the place is none of these, or the bytes are not all there.
    """
    where = f"the tensor {shown(tensor.name)}"
    if folder is None:
        raise CheckpointError(
            f"{where} lies in another file; load the model by its path, so that the file is found"
        )
    given = {entry.key: entry.value for entry in tensor.external_data}
    location = given.get("location", "")
    parts = location.split("/")
    if not location or "\\" in location or ":" in location or "\0" in location or any(
        part in ("", ".", "..") for part in parts
    ):  # fmt: skip
        raise CheckpointError(
            f"{where}: its data lies at {shown(location)}; expected a file beside the model "
            "or below it, as a relative path without '..'"
        )
    try:
        offset, length = int(given.get("offset", "0")), int(given.get("length", str(count)))
    except ValueError:
        raise CheckpointError(
            f"{where}: offset {shown(given.get('offset'))} and length {shown(given.get('length'))} "
            "are no numbers"
        ) from None
    if length != count:
        raise CheckpointError(
            f"{where}: {length} bytes in {shown(location)}, its shape takes {count}"
        )
    place, said = folder.joinpath(*parts), shown(location)
    _need_no_link(where, folder, parts)
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(place, flags | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise CheckpointError(f"{where}: {said} cannot be read: {error.strerror}") from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
        os.close(descriptor)
        raise CheckpointError(
            f"{where}: {said} is no file of the model's own: a hard link, or no regular file"
        )
    with os.fdopen(descriptor, "rb") as stream:
        if not 0 <= offset <= about.st_size or length > about.st_size - offset:
            raise CheckpointError(
                f"{where}: bytes {offset} to {offset + length} of {said}, which has {about.st_size}"
            )
        stream.seek(offset)
        found = stream.read(length)
    if len(found) != length:
        raise CheckpointError(f"{where}: {said} became shorter while it was read")
    return found


def _need_no_link(where: str, folder: Path, parts: list[str]) -> None:
    at = folder
    for part in parts:
        at = at / part
        if at.is_symlink():
            raise CheckpointError(
                f"{where}: {shown(str(at))} is a symbolic link; copy what it points to into the "
                "model's folder"
            )


def tensor_of(array: Any, name: str) -> TensorProto:
    """Return an array as an ONNX tensor."""
    return numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), name)
