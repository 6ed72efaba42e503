"""Running steps: values go from node to node, shapes as NumPy arrays, the rest as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array import move, to_numpy
from nnscratch.errors import DataError, NNScratchError
from nnscratch.formulas import registry
from nnscratch.interop.onnx.control import CONTROL_FLOW
from nnscratch.interop.onnx.functions import expanded
from nnscratch.interop.onnx.graphs import GraphStep, Steps, attribute_of
from nnscratch.interop.onnx.lookup import function_key
from nnscratch.interop.onnx.schemas import schema_of
from nnscratch.interop.onnx.types import shown
from nnscratch.tensors import Tensor

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class GraphPlace:
    """Where a graph runs, for the arrays in it that are no parameters.

    Attributes:
        device: the device; None for the CPU.
        made_in: the dtype of the parameters in the file.
        precision: their dtype now, which arrays of the file follow.
    """

    device: Any
    made_in: str | None = None
    precision: str | None = None


def as_value(value: Any, place: GraphPlace | None) -> Tensor:
    """Return a value as a tensor at a place, a NumPy array on the CPU without a copy."""
    if isinstance(value, Tensor):
        return value
    if place is None:
        return Tensor(value)
    if place.precision is not None and value.dtype.name == place.made_in != place.precision:
        value = value.astype(place.precision)
    return Tensor(value if place.device is None else move(value, place.device))


def as_numbers(value: Any) -> np.ndarray:
    """Return a value as a NumPy array; what is computed on the way is read."""
    if isinstance(value, np.ndarray):
        return value
    registry.notify_read(value.array, "a shape in an ONNX model")
    return to_numpy(value.array)


def run_steps(
    graph: Steps,
    given: Sequence[Any],
    outer: Mapping[str, Any],
    place: GraphPlace | None,
    attributes: Mapping[str, Any] | None = None,
    call: Callable[[GraphStep, list[Any], Values], Any] | None = None,
) -> list[Any]:
    """Run a graph and return its outputs.

    Args:
        graph: the graph.
        given: a value for each of its inputs.
        outer: the values that its nodes may refer to besides.
        place: where it runs; None for the CPU.
        attributes: of a function, the values of its attributes.
        call: runs one step in a way of its own, given its inputs and all values.

    Raises:
        DataError: if a node cannot compute what it is given.
    """
    if len(given) > len(graph.inputs):
        raise DataError(f"{shown(graph.name)} takes {len(graph.inputs)} inputs, got {len(given)}")
    values: Values = {**outer, **graph.values}
    values.update(dict.fromkeys(graph.inputs))
    values.update(zip(graph.inputs, given, strict=False))
    for step, ended in zip(graph.steps, graph.last, strict=True):
        inputs = [_value(values, name) for name in step.inputs]
        if call is not None:
            outputs = call(step, inputs, values)
        else:
            outputs = run_step(step, inputs, values, place, attributes)
        values.update(
            (name, value) for name, value in zip(step.outputs, outputs, strict=False) if name
        )
        for name in ended:
            values.pop(name, None)
    return [_value(values, name) for name in graph.outputs]


def _value(values: Values, name: str) -> Any:
    """Return the value of a name, None of the empty one.

    Raises:
        DataError: if its node gave none: it has more outputs than its operator.
    """
    if name and name not in values:
        raise DataError(f"{shown(name)} is more than the node that should compute it gives")
    return values[name] if name else None


def run_step(
    step: GraphStep,
    inputs: list[Any],
    values: Mapping[str, Any],
    place: GraphPlace | None,
    attributes: Mapping[str, Any] | None = None,
    inside: bool = False,
) -> tuple[Any, ...]:
    """Return the outputs of one node.

    What has only NumPy arrays as inputs gives NumPy arrays: it is the same in every run, or follows
    from shapes. Errors name the node, unless a module around (``inside``) does.

    Raises:
        NNScratchError: with the node's name, whatever went wrong in it.
    """
    try:
        return _run(step, inputs, values, place, attributes)
    except NNScratchError as error:
        if not inside and not getattr(error, "of_node", False):
            error.args = (f"{step.text}: {error.args[0] if error.args else error}",)
            error.of_node = True  # type: ignore[attr-defined]
        raise
    except Exception as error:
        # A graph of somebody else's may ask for anything; what it asked for is said with its node.
        where = "" if inside else f"{step.text}: "
        failed = DataError(f"{where}{type(error).__name__}: {shown(str(error))[1:-1]}")
        failed.of_node = True  # type: ignore[attr-defined]
        raise failed from error


def _run(
    step: GraphStep,
    inputs: list[Any],
    values: Mapping[str, Any],
    place: GraphPlace | None,
    outer: Mapping[str, Any] | None,
) -> tuple[Any, ...]:
    options = dict(step.attributes)
    for name in step.references:
        value = options.pop(name)
        if outer is not None and value.name in outer:
            options[name] = outer[value.name]
    wanted = len(step.outputs)
    if step.operator is None:
        flow = CONTROL_FLOW.get(step.node.op_type)
        if flow is not None:
            return tuple(flow(inputs, options, InnerRun(values, place, outer)))
        body = _expansion(step, inputs)
        return tuple(run_steps(body, inputs, {}, place, _with_defaults(step, options)))[:wanted]
    entry = step.operator
    if len(inputs) < entry.least or any(one is None for one in inputs[: entry.least]):
        raise DataError(f"{entry.name} needs its first {entry.least} inputs")
    if entry.most is not None:
        while len(inputs) > entry.most and inputs[-1] is None:
            inputs = inputs[:-1]
        if len(inputs) > entry.most:
            raise DataError(f"{entry.name} takes {entry.most} inputs, got {len(inputs)}")
    added = {"opset": step.opset, "wanted": wanted}
    options.update((name, added[name]) for name in entry.added)
    alone = entry.repeats and not any(isinstance(value, Tensor) for value in inputs)
    where = None if alone else place
    arguments = [
        None if value is None
        else as_numbers(value) if position in entry.numbers
        else value if position in entry.known and isinstance(value, np.ndarray)
        else as_value(value, where)
        for position, value in enumerate(inputs)
    ]  # fmt: skip
    found = entry.function(*arguments, **options)
    results = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    return tuple(_number(one) for one in results) if alone else results


def _number(value: Any) -> Any:
    return to_numpy(value.array) if isinstance(value, Tensor) else value


@dataclass(frozen=True, slots=True)
class InnerRun:
    """Runs the graphs in a node's attributes.

    Attributes:
        values: what they may refer to of the graphs around them.
        place: where they run.
        attributes: of a function around them.
    """

    values: Mapping[str, Any]
    place: GraphPlace | None
    attributes: Mapping[str, Any] | None

    def __call__(self, graph: Steps, given: Sequence[Any]) -> list[Any]:
        """Return a graph's outputs."""
        return run_steps(graph, given, self.values, self.place, self.attributes)


def _expansion(step: GraphStep, inputs: list[Any]) -> Steps:
    """Return the steps that a node stands for; they follow from the dtypes and ranks."""
    key = tuple(
        None if one is None else (np.dtype(one.dtype).name, tuple(one.shape)) for one in inputs
    )
    if key not in step.made:
        step.made[key] = expanded(step.node, step.around, inputs)
    return step.made[key]  # type: ignore[no-any-return]


def _with_defaults(step: GraphStep, options: dict[str, Any]) -> dict[str, Any]:
    """Return a function's attributes, with those that the schema gives where a node has none."""
    own = step.around.functions.get(function_key(step.node))
    if own is not None:
        protos = list(own.attribute_proto)
    else:
        schema, _ = schema_of(step.node, step.around.opsets)
        protos = [one.default_value for one in schema.attributes.values()]
    found = {
        one.name: attribute_of(one, step.around, frozenset(), step.name)
        for one in protos
        if one.name
    }
    return {**found, **options}
