"""The Open Inference Protocol, version 2: as JSON, and with tensors as bytes behind it."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from nnscratch.cli.serving import binary
from nnscratch.cli.serving.answering import NO_NUMBER, RunAnswers, encode, judged
from nnscratch.cli.serving.reading import BadRequestError, ReadRows, refuse_keys_twice

PROTOCOL = "Open Inference Protocol V2"
_KINDS = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
    "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
    "INT64": np.int64, "FP32": np.float32, "FP64": np.float64, "BYTES": np.object_,
}  # fmt: skip

_MOST_AXES = 8


class _Wanted(msgspec.Struct):
    name: str
    parameters: Any = msgspec.UNSET


class InputTensor(msgspec.Struct):
    """A tensor of a request: its name, shape and datatype, and its values row by row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: Any = msgspec.UNSET


class InferenceRequest(msgspec.Struct):
    """A request: its inputs, its id, which comes back, and the outputs that are wanted."""

    inputs: list[InputTensor]
    id: str | None = None
    parameters: Any = msgspec.UNSET
    outputs: list[_Wanted] | None = None


_DECODER = msgspec.json.Decoder(InferenceRequest)


def read_request(
    body: bytes, run: RunAnswers, most: int, length: bytes | None = None
) -> tuple[ReadRows, InferenceRequest]:
    """Return the rows of a request, and the request.

    The protocol has no place for the error of a single row: one that is wrong is named, and the
    request refused.

    Args:
        body: the body.
        run: what it is for.
        most: rows in a request.
        length: of the JSON, by its header, where tensors may come as bytes behind it.

    Raises:
        BadRequestError: whatever is wrong.
    """
    rest = b""
    if length is not None:
        body, rest = binary.split(body, length)
    try:
        request = _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadRequestError(400, f"no request of the {PROTOCOL}: {error}") from None
    # As many colons as fields: no key is there twice. Otherwise it is looked at more closely.
    if body.count(b":") != 1 + 4 * len(request.inputs):
        refuse_keys_twice(body)
    known = {one["name"] for one in _outputs_of(run)}
    for wanted in request.outputs or ():
        if wanted.name not in known:
            raise BadRequestError(
                400, f"there is no output {wanted.name[:40]!r}; there are {', '.join(known)}"
            )
    wanted_as_bytes(request)
    given: dict[str, Any] = {}
    start = 0
    for tensor in request.inputs:
        name = tensor.name
        if name in given:
            raise BadRequestError(400, f"input {name[:40]!r} is given twice")
        size = binary.told_size(name, tensor.parameters)
        if size is None:
            given[name] = _values(tensor)
            continue
        if tensor.data is not msgspec.UNSET:
            raise BadRequestError(400, f"input {name[:40]!r} has its data twice, also as bytes")
        if size > len(rest) - start:
            raise BadRequestError(
                400, f"input {name[:40]!r}: of its {size:,} bytes there are {len(rest) - start:,} "
                "behind the JSON, whose length Inference-Header-Content-Length says"
            )  # fmt: skip
        given[name] = _values(tensor, rest[start : start + size])
        start += size
    if start < len(rest):
        raise BadRequestError(400, f"{len(rest) - start:,} bytes at the end belong to no input")
    if not given:
        raise BadRequestError(400, "the request has no inputs")
    read = run.reader.from_tensors(given, most)
    if read.errors:
        number, reason = next(iter(read.errors.items()))
        raise BadRequestError(400, f"row {number + 1}: {reason}")
    return read, request


def wanted_as_bytes(request: InferenceRequest) -> set[str] | None:
    """Return the names of the outputs that are wanted as bytes, None for all of them.

    Raises:
        BadRequestError: if what is wanted is neither true nor false.
    """
    usual = binary.wants_bytes(request.parameters, "binary_data_output", False)
    if not request.outputs:
        return None if usual else set()
    return {
        one.name
        for one in request.outputs
        if binary.wants_bytes(one.parameters, "binary_data", usual)
    }


def _values(tensor: InputTensor, raw: bytes | None = None) -> Any:
    """Return the values of an input: of a column a list, otherwise an array of the shape."""
    kind, name, shape = _KINDS.get(tensor.datatype), tensor.name[:40], tensor.shape
    if kind is None:
        raise BadRequestError(
            400, f"input {name!r}: there is no datatype {tensor.datatype[:20]!r}; there are "
            f"{', '.join(_KINDS)}"
        )  # fmt: skip
    if len(shape) > _MOST_AXES:
        raise BadRequestError(400, f"input {name!r}: a shape has at most {_MOST_AXES} axes")
    column = len(shape) < 2 or (len(shape) == 2 and shape[1] == 1)
    if raw is not None:
        found = binary.values_of(name, kind, shape, raw)
    else:
        found = _listed(tensor, kind, column)
    if not len(found):
        raise BadRequestError(400, "there are no rows to predict")
    if kind is np.object_ or kind is np.bool_:
        if not column:
            raise BadRequestError(400, f"input {name!r}: expected the shape [rows] or [rows, 1]")
        return found if isinstance(found, list) else found.tolist()
    if not column:
        return found.reshape(shape)
    if found.dtype.kind != "f":
        return found.tolist()
    if np.isinf(found).any():
        raise BadRequestError(400, f"input {name!r}: a number is infinite")
    # A gap in a column of floating-point numbers is NaN; JSON has none, and says null.
    return [None if value != value else value for value in found.tolist()]


def _listed(tensor: InputTensor, kind: Any, column: bool) -> Any:
    """Return the values of an input in JSON, flat: an array of numbers, or a list."""
    name = tensor.name[:40]
    if isinstance(tensor.data, msgspec.UnsetType):
        raise BadRequestError(400, f"input {name!r} has no data")
    data = list(_flat(tensor.data, 0))
    if min(tensor.shape, default=0) < 0 or math.prod(tensor.shape) != len(data):
        raise BadRequestError(
            400, f"input {name!r}: {len(data):,} values do not make the shape {tensor.shape}"
        )
    if kind is np.object_ or kind is np.bool_:
        wanted = str if kind is np.object_ else bool
        if not all(value is None or type(value) is wanted for value in data):
            raise BadRequestError(400, f"input {name!r}: a value is no {tensor.datatype}")
        return data
    gaps = column and kind in (np.float32, np.float64)
    if not all(type(value) in (int, float) or (gaps and value is None) for value in data):
        raise BadRequestError(400, f"input {name!r}: a value is no number")
    values = np.array([np.nan if value is None else value for value in data] if gaps else data)
    with np.errstate(over="ignore", invalid="ignore"):
        # Of integers beyond 64 bits NumPy makes objects.
        made = values.astype(kind) if values.dtype.kind in "iuf" else np.full(1, np.inf)
        right = np.isfinite(made) if made.dtype.kind == "f" else made == values
    if not (right | np.isnan(made)).all():
        raise BadRequestError(400, f"input {name!r}: a number is none of {tensor.datatype}")
    return made


def _flat(data: list[Any], depth: int) -> Any:
    for one in data:
        if isinstance(one, list):
            if depth > 8:
                raise BadRequestError(400, "the data are nested too deeply")
            yield from _flat(one, depth + 1)
        else:
            yield one


def answer(run: RunAnswers, outputs: Any, request: InferenceRequest) -> dict[str, Any]:
    """Return the answer to a request.

    Raises:
        BadRequestError: if the network computes no finite number of a row.
    """
    count, made = len(outputs), run.predictions(outputs, False)
    for number, one in enumerate(made):
        if "error" in one:
            raise BadRequestError(400, f"row {number + 1}: {NO_NUMBER}")
    found = [one["prediction"] for one in made]
    tensors = [_tensor("prediction", [count], run_kind(run), found)]
    if run.classes:
        shares = [one[1] for one in judged(outputs) if one is not None]
        tensors[0]["data"] = [str(v) if run_kind(run) == "BYTES" else v for v in found]
        tensors += [
            _tensor("probability", [count], "FP64", [one["probability"] for one in made]),
            _tensor("probabilities", [count, len(run.classes)], "FP64", [*chain(*shares)]),
        ]
    if request.outputs:
        wanted = {one.name for one in request.outputs}
        tensors = [one for one in tensors if one["name"] in wanted]
    told: dict[str, Any] = {"model_name": run.name, "model_version": "1", "outputs": tensors}
    if request.id is not None:
        told["id"] = request.id
    return told


def packed(found: dict[str, Any], names: set[str] | None) -> tuple[bytes, int | None]:
    """Return an answer's body, and the length of the JSON in it if outputs are bytes behind it.

    Args:
        found: the answer.
        names: of the outputs that are wanted as bytes; None for all.
    """
    if names is not None and not names:
        return encode(found), None
    behind = []
    for tensor in found["outputs"]:
        if names is None or tensor["name"] in names:
            behind.append(binary.as_bytes(tensor["datatype"], tensor.pop("data")))
            tensor["parameters"] = {"binary_data_size": len(behind[-1])}
    told = encode(found)
    return told + b"".join(behind), len(told)


def _tensor(name: str, shape: list[int], datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def run_kind(run: RunAnswers) -> str:
    """Return the datatype of predictions."""
    if not run.classes:
        return "FP64"
    return {bool: "BOOL", int: "INT64", float: "FP64"}.get(type(run.classes[0]), "BYTES")


def _outputs_of(run: RunAnswers) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = [
        {"name": "prediction", "datatype": run_kind(run), "shape": [-1]}
    ]
    if run.classes:
        outputs += [
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(run.classes)]},
        ]
    return outputs


def metadata(run: RunAnswers) -> dict[str, Any]:
    """Return what the protocol says of a model."""
    return {
        "name": run.name,
        "versions": ["1"],
        "platform": "nnscratch",
        "inputs": run.reader.tensors(),
        "outputs": _outputs_of(run),
        "parameters": {"classes": [str(one) for one in run.classes]},
    }


def example(run: RunAnswers) -> dict[str, Any]:
    """Return a request that is right."""
    rows = run.reader.example()[run.reader.key]
    inputs = []
    for one in run.reader.tensors():
        value = rows[0][one["name"]] if isinstance(rows[0], dict) else rows[0]
        shape = [1, *one["shape"][1:]]
        inputs.append({**one, "shape": shape, "data": [value]})
    return {"inputs": inputs}
