"""``load``: an ONNX file as a module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from nnscratch.array.bfloat16 import bfloat16
from nnscratch.errors import CheckpointError, ConfigurationError, NNScratchError
from nnscratch.interop.onnx.graphs import need_text, steps_of, steps_of_function
from nnscratch.interop.onnx.lookup import FunctionKey, Surroundings
from nnscratch.interop.onnx.module import OnnxModel
from nnscratch.interop.onnx.types import shown
from nnscratch.train.files import FilePath

_LARGEST_FILE = 1 << 31


def load(path: FilePath) -> OnnxModel:
    """Return an ONNX model as a module.

    Everything in the file is checked first: operators, names, sizes, and where external data lies
    (only in the model's folder, and by no link). Nothing in it is ever run but its operators.

    Args:
        path: the file.

    Raises:
        CheckpointError: if it cannot be read, is damaged, or no graph that can run.
        ConfigurationError: if it has operators that there are not; they are named with their nodes.
        DTypeError: if it has tensors of a type that there is not.

    >>> import tempfile
    >>> from onnx import TensorProto, helper
    >>> from nnscratch import tensor
    >>> floats = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])
    >>> node = helper.make_node("Relu", ["x"], ["y"])
    >>> y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])
    >>> model = helper.make_model(helper.make_graph([node], "small", [floats], [y]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     onnx.save(model, f"{folder}/small.onnx")
    ...     load(f"{folder}/small.onnx")(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    place = Path(path)
    try:
        if not place.is_file():
            raise CheckpointError(f"{place}: there is no such file")
        if os.path.getsize(place) >= _LARGEST_FILE:
            raise CheckpointError(
                f"{place}: a model of 2 GB or more keeps its weights in a file beside it"
            )
        content = place.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{place}: cannot be read: {error.strerror}") from error
    try:
        model = ModelProto.FromString(content)
    except (DecodeError, RecursionError, ValueError) as error:
        raise CheckpointError(
            f"{place}: no ONNX model, or a damaged one: {shown(str(error))}"
        ) from error
    try:
        return model_of(model, place.parent)
    except NNScratchError as error:
        error.args = (f"{place}: {error.args[0] if error.args else error}",)
        raise


def model_of(model: ModelProto, folder: Path | None = None) -> OnnxModel:
    """Return a model that is in memory as a module.

    Args:
        model: the model.
        folder: where its external data lies; None if it has none.

    Raises:
        CheckpointError, ConfigurationError, DTypeError: as ``load``.
    """
    bfloat16()  # which the onnx package brings along
    if not model.HasField("graph") or not model.graph.output:
        raise CheckpointError("the model has no graph, or one without outputs")
    opsets: dict[str, int] = {}
    for one in model.opset_import:
        need_text(one.domain)
        domain = "" if one.domain == "ai.onnx" else one.domain
        if domain in opsets or not 1 <= one.version < 1 << 31:
            raise CheckpointError(
                f"the model imports the operator set {shown(domain)} twice, or in a version that "
                f"there cannot be, {one.version}"
            )
        opsets[domain] = one.version
    newest = onnx.defs.onnx_opset_version()
    if opsets.setdefault("", 1) > newest:
        raise ConfigurationError(
            f"the model is of opset {opsets['']}; this onnx package knows them up to {newest}: "
            "update it with pip install -U onnx"
        )
    functions: dict[FunctionKey, Any] = {}
    for function in model.functions:
        need_text(function.name, function.domain, *function.input, *function.output)
        need_text(function.overload)
        key = function.domain, function.name, function.overload
        if key in functions or not key[1]:
            raise CheckpointError(f"the model has two functions with the name {shown(key[1])}")
        functions[key] = function
    around = Surroundings(opsets, functions, folder)
    for function in functions.values():
        steps_of_function(function, around, own=True)  # so that what it lacks is named now
    return OnnxModel(steps_of(model.graph, around))
