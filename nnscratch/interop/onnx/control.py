"""Control flow: ``If``, ``Loop`` and ``Scan``, whose bodies are graphs in attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.errors import DataError, ShapeError
from nnscratch.formulas import registry
from nnscratch.interop.onnx.graphs import Steps
from nnscratch.interop.onnx.operators.room import axis_of
from nnscratch.tensors import Tensor
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O

Run = Callable[[Steps, Sequence[Any]], list[Any]]
_MOST = 1 << 24


def _read(value: Any) -> Any:
    """Return the one number of a value."""
    if isinstance(value, Tensor):
        registry.notify_read(value.array, "a condition in an ONNX model")
        value = to_numpy(value.array)
    if value.size != 1:
        raise ShapeError(f"expected one number, got shape {value.shape}")
    return value.reshape(-1)[0].item()


def if_(inputs: list[Any], attributes: dict[str, Any], run: Run) -> list[Any]:
    """Run one of two graphs."""
    return run(attributes["then_branch" if _read(inputs[0]) else "else_branch"], [])


def loop(inputs: list[Any], attributes: dict[str, Any], run: Run) -> list[Any]:
    """Run a graph again and again: so many times, or while it says so; stack what it yields."""
    body = attributes["body"]
    count = None if inputs[0] is None else int(_read(inputs[0]))
    go_on = inputs[1] is None or bool(_read(inputs[1]))
    carried = list(inputs[2:])
    yielded: list[list[Any]] = [[] for _ in body.outputs[1 + len(carried) :]]
    turn = 0
    while go_on and (count is None or turn < count):
        if turn >= _MOST:
            raise DataError(f"a loop of more than {_MOST} turns")
        given = [np.asarray(turn, np.int64), np.asarray(True), *carried]
        results = run(body, given[: len(body.inputs)])
        go_on = bool(_read(results[0]))
        carried = results[1 : 1 + len(carried)]
        for kept, one in zip(yielded, results[1 + len(carried) :], strict=True):
            kept.append(one)
        turn += 1
    return [*carried, *(_stacked(kept, 0) for kept in yielded)]


def scan(inputs: list[Any], attributes: dict[str, Any], run: Run) -> list[Any]:
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
    stacked = [
        _stacked(kept[::-1] if back else kept, axis)
        for kept, axis, back in zip(yielded, out_axes, out_turned, strict=True)
    ]
    return [*states, *stacked]


def _old_scan(inputs: list[Any], attributes: dict[str, Any], run: Run) -> list[Any]:
    """Run ``Scan`` of opset 8: a batch in front of everything, lengths first."""
    if inputs[0] is not None:
        raise DataError("Scan of opset 8 with lengths of its own for each sequence")
    tensors = [one if isinstance(one, Tensor) else Tensor(one) for one in inputs[1:]]
    rows = []
    rest = {**attributes, "scan_input_directions": attributes.get("directions")}
    for row in range(tensors[0].shape[0]):
        rows.append(scan([O.select(one, 0, row) for one in tensors], rest, run))
    return [_stacked(list(column), 0) for column in zip(*rows, strict=True)]


def _stacked(parts: list[Any], axis: int) -> Any:
    if not parts:
        return np.zeros((0,), np.float32)
    if all(isinstance(one, np.ndarray) for one in parts):
        return np.stack(parts, axis)
    return T.stack([one if isinstance(one, Tensor) else Tensor(one) for one in parts], axis)


CONTROL_FLOW: dict[str, Callable[[list[Any], dict[str, Any], Run], list[Any]]] = {
    "If": if_,
    "Loop": loop,
    "Scan": scan,
}
