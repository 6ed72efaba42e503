"""A backend as the ``onnx`` package defines one: ``prepare(model).run(inputs)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper
from onnx.backend.base import Backend, BackendRep

from nnscratch.array import move, to_numpy
from nnscratch.array.bfloat16 import bfloat16
from nnscratch.errors import DeviceError
from nnscratch.interop.onnx.control import CONTROL_FLOW
from nnscratch.interop.onnx.loading import model_of
from nnscratch.interop.onnx.lookup import Surroundings, operator_of
from nnscratch.interop.onnx.module import OnnxModel
from nnscratch.interop.onnx.operators.table import operators
from nnscratch.interop.onnx.types import ELEMENTS
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad

__all__ = [
    "NNScratchBackend",
    "PreparedModel",
    "prepare",
    "run_model",
    "run_node",
    "supported",
    "supports_device",
]


class PreparedModel(BackendRep):  # type: ignore[misc]
    """A model that is ready to run.

    Attributes:
        model: the module.
    """

    def __init__(self, model: OnnxModel, device: str) -> None:
        """Take the module."""
        self.model, self.device = model, device

    def run(self, inputs: Any, **options: Any) -> tuple[Any, ...]:
        """Return the outputs as NumPy arrays.

        Args:
            inputs: a list of arrays, in the graph's order; or arrays by name.
            options: none.

        Raises:
            ShapeError, DTypeError, DataError: if they do not fit the graph.
        """
        graph = self.model.graph
        named = dict(inputs) if isinstance(inputs, dict) else {}
        alone = isinstance(inputs, (np.ndarray, Tensor))
        given = [] if named else [inputs] if alone else list(inputs)
        if graph.defaults and len(given) == len(graph.given):
            # Old files list initializers among the inputs.
            named, given = dict(zip(graph.given, given, strict=True)), []
        with no_grad():
            outputs = self.model.run(
                [self._taken(one) for one in given],
                {name: self._taken(one) for name, one in named.items()},
            )
        return tuple(to_numpy(one.array) if isinstance(one, Tensor) else one for one in outputs)

    def _taken(self, value: Any) -> Any:
        if value is None or isinstance(value, Tensor):
            return value
        return Tensor(move(np.asarray(value), self.device))


class NNScratchBackend(Backend):  # type: ignore[misc]
    """The backend, for ``onnx.backend.test.BackendTest`` and everything else that takes one."""

    @classmethod
    def is_compatible(cls, model: ModelProto, device: str = "CPU", **options: Any) -> bool:
        """Say whether the operators and types of a model are all there."""
        try:
            model_of(model)
        except (ValueError, TypeError):
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **options: Any) -> PreparedModel:
        """Return a model ready to run.

        Raises:
            CheckpointError, ConfigurationError, DTypeError: as ``load``.
            DeviceError: if this machine has no such device.
        """
        if not cls.supports_device(device):
            raise DeviceError(f"expected CPU, or CUDA where there is a GPU; got {device!r}")
        where = device.lower()
        bfloat16()
        return PreparedModel(model_of(model).to(where), where)

    @classmethod
    def run_model(
        cls, model: ModelProto, inputs: Any, device: str = "CPU", **options: Any
    ) -> tuple[Any, ...]:
        """Return the outputs of a model."""
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[Any] | None = None,
        **options: Any,
    ) -> tuple[Any, ...]:
        """Return the outputs of one node.

        Args:
            node: the node.
            inputs: an array for each of its inputs.
            device: where it runs.
            outputs_info: not needed.
            options: ``opset_version``, the newest unless given.

        >>> node = helper.make_node("Add", ["a", "b"], ["c"])
        >>> run_node(node, [np.ones(2, np.float32), np.ones(2, np.float32)])
        (array([2., 2.], dtype=float32),)
        """
        names = [name for name in node.input if name]
        pairs = inputs.items() if isinstance(inputs, dict) else zip(names, inputs, strict=True)
        arrays = {name: np.asarray(array) for name, array in pairs}
        infos = [
            helper.make_tensor_value_info(name, ELEMENTS[array.dtype.name], array.shape)
            for name, array in arrays.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
        version = options.get("opset_version", onnx.defs.onnx_opset_version())
        model = helper.make_model(
            helper.make_graph([node], node.op_type, infos, outputs),
            opset_imports=[helper.make_opsetid(node.domain, version)],
        )
        return cls.run_model(model, arrays, device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Say whether a device is there: "CPU", or "CUDA" where there is a GPU."""
        kind = device.partition(":")[0].upper()
        if kind != "CUDA":
            return kind == "CPU"
        from nnscratch.cuda import is_available

        return bool(is_available())


def supported() -> list[str]:
    """Return the names of all operators that run, those that ONNX defines by others among them.

    >>> [name for name in supported() if name.startswith("Max")]
    ['Max', 'MaxPool', 'MaxUnpool']
    """
    around = Surroundings({"": onnx.defs.onnx_opset_version()}, {}, None)
    others = {
        schema.name
        for schema in onnx.defs.get_all_schemas()
        if schema.domain == ""
        and operator_of(helper.make_node(schema.name, ["x"] * schema.min_input, []), around) is None
    }
    return sorted({*operators(), *CONTROL_FLOW, *others})


prepare = NNScratchBackend.prepare
run_model = NNScratchBackend.run_model
run_node = NNScratchBackend.run_node
supports_device = NNScratchBackend.supports_device
