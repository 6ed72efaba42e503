"""Control flow: ``If``, ``Loop`` and ``Scan``, whose bodies are graphs in attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
from onnx import GraphProto
from onnx.helper import make_model, make_opsetid, make_tensor_value_info
from onnx.shape_inference import infer_shapes

from nnscratch.array import to_numpy
from nnscratch.errors import DataError, ShapeError
from nnscratch.formulas import registry
from nnscratch.interop.onnx.graphs import Steps
from nnscratch.interop.onnx.lookup import all_nodes
from nnscratch.interop.onnx.operators.room import axis_of
from nnscratch.interop.onnx.types import DTYPES, ELEMENTS
from nnscratch.tensors import Tensor
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O


class GraphRun(Protocol):
    """Runs a graph in the place of the node whose attribute it is."""

    @property
    def values(self) -> Mapping[str, Any]:
        """What it may refer to of the graphs around it."""

    def __call__(self, graph: Steps, given: Sequence[Any]) -> list[Any]:
        """Return the graph's outputs."""


Kind = tuple[str | None, tuple[int, ...]]
"""A dtype, and sizes."""
_MOST = 1 << 24


def _read(value: Any) -> Any:
    """Return the one number of a value."""
    if isinstance(value, Tensor):
        registry.notify_read(value.array, "a condition in an ONNX model")
        value = to_numpy(value.array)
    if value.size != 1:
        raise ShapeError(f"expected one number, got shape {value.shape}")
    return value.reshape(-1)[0].item()


def if_(inputs: list[Any], attributes: dict[str, Any], run: GraphRun) -> list[Any]:
    """Run one of two graphs."""
    return run(attributes["then_branch" if _read(inputs[0]) else "else_branch"], [])


def loop(inputs: list[Any], attributes: dict[str, Any], run: GraphRun) -> list[Any]:
    """Run a graph again and again: so many times, or while it says so; stack what it yields."""
    body = attributes["body"]
    count = None if inputs[0] is None else int(_read(inputs[0]))
    go_on = inputs[1] is None or bool(_read(inputs[1]))
    carried = list(inputs[2:])
    if len(body.inputs) != 2 + len(carried) or len(body.outputs) < 1 + len(carried):
        raise DataError(
            f"a body of {len(body.inputs)} inputs and {len(body.outputs)} outputs for "
            f"{len(carried)} values that are carried on"
        )
    yielded: list[list[Any]] = [[] for _ in body.outputs[1 + len(carried) :]]
    turn = 0
    while go_on and (count is None or turn < count):
        if turn >= _MOST:
            raise DataError(f"a loop of more than {_MOST} turns")
        given = [np.asarray(turn, np.int64), np.asarray(True), *carried]
        results = run(body, given)
        go_on = bool(_read(results[0]))
        carried = results[1 : 1 + len(carried)]
        for kept, one in zip(yielded, results[1 + len(carried) :], strict=True):
            kept.append(one)
        turn += 1
    given = [np.asarray(0, np.int64), np.asarray(True), *carried]
    kinds = [] if turn else _kinds(body, given, run)[1 + len(carried) :]
    return [*carried, *(_stacked(kept, 0, kind) for kept, kind in zip_longest(yielded, kinds))]


def scan(inputs: list[Any], attributes: dict[str, Any], run: GraphRun) -> list[Any]:
    """Run a graph for each entry along an axis, carry states, stack what it yields."""
    body = attributes["body"]
    count = attributes["num_scan_inputs"]
    if len(inputs) > len(body.inputs):
        return _old_scan(inputs, attributes, run)
    states, lines = list(inputs[:-count]), inputs[-count:]
    lines = [line if isinstance(line, Tensor) else Tensor(line) for line in lines]
    outs = len(body.outputs) - len(states)
    axes = attributes.get("scan_input_axes") or [0] * count
    turned = attributes.get("scan_input_directions") or [0] * count
    out_axes = attributes.get("scan_output_axes") or [0] * outs
    out_turned = attributes.get("scan_output_directions") or [0] * outs
    axes = [axis_of("Scan", a, line.ndim) for a, line in zip(axes, lines, strict=True)]
    steps = {line.shape[axis] for line, axis in zip(lines, axes, strict=True)}
    if len(steps) != 1:
        raise ShapeError(f"Scan: the inputs have different numbers of steps: {sorted(steps)}")
    total = steps.pop()
    yielded: list[list[Any]] = [[] for _ in range(outs)]
    for turn in range(total):
        now = [
            O.select(line, axis, total - 1 - turn if back else turn)
            for line, axis, back in zip(lines, axes, turned, strict=True)
        ]
        results = run(body, [*states, *now])
        states = results[: len(states)]
        for kept, one in zip(yielded, results[len(states) :], strict=True):
            kept.append(one)
    kinds: list[Kind | None] = [None] * outs
    if not total:
        first = [
            np.zeros([n for i, n in enumerate(line.shape) if i != axis], line.dtype.name)
            for line, axis in zip(lines, axes, strict=True)
        ]
        kinds = [*_kinds(body, [*states, *first], run)[len(states) :]]
    stacked = [
        _stacked(kept[::-1] if back else kept, axis, kind)
        for kept, axis, back, kind in zip(yielded, out_axes, out_turned, kinds, strict=True)
    ]
    return [*states, *stacked]


def _old_scan(inputs: list[Any], attributes: dict[str, Any], run: GraphRun) -> list[Any]:
    """Run ``Scan`` of opset 8: a batch in front of everything, lengths first."""
    if inputs[0] is not None:
        raise DataError("Scan of opset 8 with lengths of its own for each sequence")
    tensors = [one if isinstance(one, Tensor) else Tensor(one) for one in inputs[1:]]
    rows = []
    rest = {**attributes, "scan_input_directions": attributes.get("directions")}
    for row in range(tensors[0].shape[0]):
        rows.append(scan([O.select(one, 0, row) for one in tensors], rest, run))
    if not rows:
        raise DataError("Scan of opset 8 of a batch without rows")
    return [_stacked(list(column), 0, None) for column in zip(*rows, strict=True)]


def _kinds(body: Steps, given: Sequence[Any], run: GraphRun) -> list[Kind]:
    """Return what a body would give, by ONNX's inference from what it would be given.

    A size that does not follow from that is 0, as in onnxruntime.
    """
    proto = GraphProto()
    proto.CopyFrom(body.proto)
    own = [one.name for one in proto.input]
    del proto.input[:]
    used = {name for node in all_nodes(proto.node) for name in node.input}
    used -= {*own, *(one.name for one in proto.initializer)}
    around = {name: value for name, value in run.values.items() if name in used}
    for name, value in [*around.items(), *zip(own, given, strict=True)]:
        if value is not None:
            element = ELEMENTS[np.dtype(value.dtype).name]
            proto.input.append(make_tensor_value_info(name, element, tuple(value.shape)))
    imports = [make_opsetid(*one) for one in body.around.opsets.items()]
    functions = list(body.around.functions.values())
    model = make_model(proto, opset_imports=imports, functions=functions)
    found = infer_shapes(model, data_prop=True).graph.output
    return [
        (DTYPES.get(kind.elem_type), tuple([one.dim_value for one in kind.shape.dim]))
        for kind in [one.type.tensor_type for one in found]
    ]


def _stacked(parts: list[Any], axis: int, kind: Kind | None) -> Any:
    """Stack what was yielded; of no turns it is empty, of the kind that it would be.

    Raises:
        DataError: if there was no turn, and no dtype is known.
    """
    if not parts:
        dtype, sizes = kind or (None, ())
        if dtype is None:
            raise DataError("no turn was made, and the body says no dtype of what it would yield")
        place = axis_of("Scan", axis, len(sizes) + 1)
        return np.zeros((*sizes[:place], 0, *sizes[place:]), dtype)
    if all(isinstance(one, np.ndarray) for one in parts):
        return np.stack(parts, axis)
    return T.stack([one if isinstance(one, Tensor) else Tensor(one) for one in parts], axis)


CONTROL_FLOW: dict[str, Callable[[list[Any], dict[str, Any], GraphRun], list[Any]]] = {
    "If": if_,
    "Loop": loop,
    "Scan": scan,
}
