"""Writing a graph: nodes, constants, names, and shapes that depend on the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from nnscratch.array import to_numpy
from nnscratch.errors import ConfigurationError
from nnscratch.graph import LayerCall, Value
from nnscratch.interop.onnx.arrays import tensor_of


class GraphWriter:
    """Collects the nodes and constants of an ONNX graph.

    Attributes:
        opset: the version of the operator set.
        nodes: the nodes so far.
        constants: the tensors so far.
    """

    def __init__(self, opset: int, names: dict[Value, str], sizes: tuple[int, int]) -> None:
        """Begin a graph.

        Args:
            opset: the version of the operator set.
            names: of parameters and buffers.
            sizes: the batch sizes of the two recordings; equal if the batch is not dynamic.
        """
        self.opset, self.sizes = opset, sizes
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._given = names
        self._names: dict[Value, str] = {}
        self._shared: dict[Any, str] = {}
        self._taken: set[str] = set()
        self._batch_of = ""

    def free(self, name: str) -> str:
        """Return a name that is not taken yet, and take it."""
        found, count = name, 1
        while found in self._taken:
            found, count = f"{name}_{count}", count + 1
        self._taken.add(found)
        return found

    def input(self, value: Value, name: str) -> str:
        """Name an input of the graph; the batch is the first axis of the first one."""
        self._names[value] = self.column(name)
        return self._names[value]

    def column(self, name: str) -> str:
        """Name an input that is no value of the recording: a table's column, say."""
        found = self.free(name)
        self._batch_of = self._batch_of or found
        return found

    def bind(self, value: Value, name: str) -> None:
        """Say what stands for a value."""
        self._names[value] = name

    def name_of(self, value: Value, twin: Any = None) -> str:
        """Return the name of a value; a captured one becomes a constant.

        Raises:
            ConfigurationError: if it depends on the batch in a way that cannot be written.
        """
        if value in self._names:
            return self._names[value]
        if value.kind != "captured":
            raise ConfigurationError("a result was changed in place, which ONNX graphs do not have")
        if isinstance(twin, Value) and twin.shape != value.shape:
            name = self._repeated(value, twin)
        else:
            name = self.free(self._given.get(value, "constant"))
            self.constants.append(tensor_of(self.array_of(value), name))
        self._names[value] = name
        return name

    def array_of(self, value: Value) -> np.ndarray:
        """Return the values of a captured array."""
        return np.asarray(to_numpy(value.array))

    def _repeated(self, value: Value, twin: Value) -> str:
        """Write an array that has as many rows as the batch, all of them the same."""
        array = self.array_of(value)
        axes = [i for i, (a, b) in enumerate(zip(value.shape, twin.shape, strict=True)) if a != b]
        first = array
        for axis in axes:
            first = np.take(first, [0], axis)
        if not np.array_equal(np.broadcast_to(first, array.shape), array):
            raise ConfigurationError(
                f"an array of shape {value.shape} that the model makes in its forward pass depends "
                "on the size of the batch; export with dynamic_batch=False"
            )
        return str(self.emit("Expand", [self.constant(first), self.shape(value.shape, twin.shape)]))

    def constant(self, array: Any, name: str = "constant") -> str:
        """Return the name of a constant; the same small one is written once."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 else None
        if key is not None and key in self._shared:
            return self._shared[key]
        found = self.free(name)
        self.constants.append(tensor_of(array, found))
        if key is not None:
            self._shared[key] = found
        return found

    def ints(self, numbers: Sequence[int]) -> str:
        """Return the name of a constant vector of int64."""
        return self.constant(np.asarray(list(numbers), np.int64))

    def batch(self) -> str:
        """Return the name of the size of the batch, a vector of one number."""
        if "batch" not in self._shared:
            name = self.emit("Shape", [self._batch_of], start=0, end=1)
            self._shared["batch"] = str(name)
        return self._shared["batch"]

    def shape(self, shape: Sequence[int], twin: Sequence[int]) -> str:
        """Return the name of a shape given with both sizes of the batch.

        Raises:
            ConfigurationError: if a size is no multiple of the batch plus a number.
        """
        key = ("shape", tuple(shape), tuple(twin))
        if key not in self._shared:
            self._shared[key] = self._shape(shape, twin)
        return self._shared[key]

    def _shape(self, shape: Sequence[int], twin: Sequence[int]) -> str:
        if tuple(shape) == tuple(twin):
            return self.ints(shape)
        parts: list[str] = []
        plain: list[int] = []
        for a, b in zip(shape, twin, strict=True):
            if a == b:
                plain.append(a)
                continue
            if plain:
                parts.append(self.ints(plain))
                plain = []
            parts.append(self.size(a, b))
        if plain:
            parts.append(self.ints(plain))
        return parts[0] if len(parts) == 1 else str(self.emit("Concat", parts, axis=0))

    def size(self, a: int, b: int) -> str:
        """Return the name of a number that depends on the batch, a vector of one."""
        first, second = self.sizes
        times, rest = divmod(b - a, second - first) if second != first else (0, 1)
        more = a - times * first
        if rest:
            raise ConfigurationError(
                f"a size is {a} for a batch of {first} and {b} for one of {second}, which is no "
                "multiple; export with dynamic_batch=False"
            )
        name = self.batch()
        if times != 1:
            name = str(self.emit("Mul", [name, self.ints([times])]))
        return str(self.emit("Add", [name, self.ints([more])])) if more else name

    def emit(
        self,
        op: str,
        inputs: Sequence[str],
        count: int = 1,
        layer: LayerCall | None = None,
        **attributes: Any,
    ) -> Any:
        """Write a node, named after its layer, and return the names of its outputs."""
        path = layer.path if layer is not None else ""
        name = self.free(f"{path}/{op}" if path else op)
        outputs = [self.free(name if i == 0 else f"{name}.{i}") for i in range(count)]
        outputs = [f"{one}:out" for one in outputs]
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        node = helper.make_node(op, given, outputs, name, **attributes)
        self.nodes.append(node)
        return outputs[0] if count == 1 else outputs
