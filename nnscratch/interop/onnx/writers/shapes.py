"""Shapes, picked entries, reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError
from nnscratch.graph import Value
from nnscratch.interop.onnx.types import ELEMENTS
from nnscratch.interop.onnx.writers.table import FormulaCall, writes


@writes("reshape")
def reshape(call: FormulaCall) -> Any:
    shape, twin = call.out().shape, call.twin.outputs[0].shape
    changed = [i for i, (a, b) in enumerate(zip(shape, twin, strict=True)) if a != b]
    if len(changed) == 1 and 0 not in shape:
        open_shape = [-1 if i in changed else n for i, n in enumerate(shape)]
        return call.emit("Reshape", [call.input(0), call.graph.ints(open_shape)])
    return call.emit("Reshape", [call.input(0), call.shape_tensor(shape, twin)])


@writes("transpose")
def transpose(call: FormulaCall) -> Any:
    return call.emit("Transpose", [call.input(0)], perm=list(call.options["axes"]))


@writes("broadcast_to")
def broadcast_to(call: FormulaCall) -> Any:
    shape = call.shape_tensor(call.out().shape, call.twin.outputs[0].shape)
    return call.emit("Expand", [call.input(0), shape])


@writes("concatenate")
def concatenate(call: FormulaCall) -> Any:
    return call.emit("Concat", call.inputs(), axis=int(call.options["axis"]))


@writes("stack")
def stack(call: FormulaCall) -> Any:
    axis = int(call.options["axis"])
    front = call.graph.ints([axis])
    parts = [call.emit("Unsqueeze", [one, front]) for one in call.inputs()]
    return call.emit("Concat", parts, axis=axis)


@writes("split")
def split(call: FormulaCall) -> Any:
    sizes = call.shape_tensor(call.options["sizes"], call.twin.options["sizes"])
    count = len(call.options["sizes"])
    return call.emit("Split", [call.input(0), sizes], count, axis=int(call.options["axis"]))


@writes("constant_pad_nd")
def constant_pad(call: FormulaCall) -> Any:
    numbers = [int(one) for one in call.options["pad"]]
    # As in PyTorch: two numbers for each axis, the last one first.
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))[::-1]
    each = [(0, 0)] * (len(call.shape()) - len(pairs)) + pairs
    widths = [a for a, _ in each] + [b for _, b in each]
    value = call.graph.constant(np.asarray(call.options.get("value", 0.0), call.out().dtype))
    return call.emit("Pad", [call.input(0), call.graph.ints(widths), value])


@writes("getitem")
def getitem(call: FormulaCall) -> Any:
    index = call.options["index"]
    parts = list(index) if isinstance(index, tuple) else [index]
    x, axis, gone, new = call.input(0), 0, [], []
    count = sum(1 for one in parts if one is not None and one is not Ellipsis)
    starts: list[list[int]] = []
    place = 0
    for part in parts:
        if part is Ellipsis:
            skipped = len(call.shape()) - count
            axis, place = axis + skipped, place + skipped
            continue
        if part is None:
            new.append(place)
            place += 1
            continue
        if isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            end = int(part) + 1 if part != -1 else np.iinfo(np.int64).max
            starts.append([axis, int(part), int(end), 1])
            gone.append(axis)
        elif isinstance(part, slice):
            found = _slice(part)
            if found is not None:
                starts.append([axis, *found])
            place += 1
        else:
            raise ConfigurationError(f"an index of the kind {type(part).__name__}")
        axis += 1
    if starts:
        columns = list(zip(*starts, strict=True))
        names = [call.graph.ints(columns[i]) for i in (1, 2, 0, 3)]
        x = call.emit("Slice", [x, *names])
    if gone:
        x = call.emit("Squeeze", [x, call.graph.ints(gone)])
    if new:
        x = call.emit("Unsqueeze", [x, call.graph.ints(new)])
    return x if starts or gone or new else call.emit("Identity", [x])


def _slice(part: slice) -> list[int] | None:
    step = 1 if part.step is None else int(part.step)
    largest = np.iinfo(np.int64).max
    usual = (0, largest) if step > 0 else (largest, -largest)
    start = usual[0] if part.start is None else int(part.start)
    stop = usual[1] if part.stop is None else int(part.stop)
    return None if (start, stop, step) == (0, largest, 1) else [start, stop, step]


@writes("copy_into")
def copy_into(call: FormulaCall) -> Any:
    """From here on the new values stand for the tensor that was changed in place."""
    return call.input(1)


@writes("take")
def take(call: FormulaCall) -> Any:
    return call.emit("Gather", call.inputs(), axis=int(call.options["axis"]))


@writes("gather")
def gather(call: FormulaCall) -> Any:
    return call.emit("GatherElements", call.inputs(), axis=int(call.options["axis"]))


@writes("scatter")
def scatter(call: FormulaCall) -> Any:
    return call.emit("ScatterElements", call.inputs(), axis=int(call.options["axis"]))


@writes("scatter_add")
def scatter_add(call: FormulaCall) -> Any:
    axis = int(call.options["axis"])
    return call.emit("ScatterElements", call.inputs(), axis=axis, reduction="add")


@writes("one_hot")
def one_hot(call: FormulaCall) -> Any:
    graph = call.graph
    values = graph.constant(np.asarray([0, 1], call.out().dtype))
    depth = graph.constant(np.asarray(call.options["num_classes"], np.int64))
    return call.emit("OneHot", [call.input(0), depth, values])


@writes("cumulative_sum")
def cumulative_sum(call: FormulaCall) -> Any:
    axis = call.graph.constant(np.asarray(call.options["axis"], np.int64))
    return call.emit("CumSum", [_in_dtype(call), axis])


def _axes(call: FormulaCall) -> list[int]:
    axis = call.options.get("axis")
    if axis is None:
        return list(range(len(call.shape())))
    return list(axis) if isinstance(axis, (tuple, list)) else [int(axis)]


def _in_dtype(call: FormulaCall) -> str:
    """Return the input in the output's dtype: sums of small integers are int64."""
    value: Value | None = call.value(0)
    if value is None or value.dtype == call.out().dtype:
        return call.input(0)
    return str(call.emit("Cast", [call.input(0)], to=ELEMENTS[call.out().dtype]))


def _reduction(op: str) -> Any:
    def write(call: FormulaCall) -> Any:
        axes, keep = _axes(call), int(bool(call.options.get("keepdims")))
        if not axes:
            return call.emit("Identity", [call.input(0)])
        return call.emit(op, [_in_dtype(call), call.graph.ints(axes)], keepdims=keep)

    return write


for _name in ("sum", "mean", "max", "min", "prod"):
    writes(_name)(_reduction(f"Reduce{_name.capitalize()}"))
writes("logsumexp")(_reduction("ReduceLogSumExp"))


@writes("norm")
def norm(call: FormulaCall) -> Any:
    p = float(call.options.get("p", 2.0))
    if p not in (1.0, 2.0):
        raise ConfigurationError(f"a norm with p = {p}; ONNX has 1 and 2")
    return _reduction("ReduceL1" if p == 1.0 else "ReduceL2")(call)


def _variance(call: FormulaCall, keep: bool) -> tuple[str, str]:
    axes = _axes(call)
    where, shape = call.graph.ints(axes), call.shape()
    count = 1
    for axis in axes:
        count *= shape[axis]
        if call.twin.inputs[0].shape[axis] != shape[axis]:
            raise ConfigurationError("a variance over the batch; export with dynamic_batch=False")
    x = call.input(0)
    mean = call.emit("ReduceMean", [x, where], keepdims=1)
    away = call.emit("Sub", [x, mean])
    keepdims = int(keep)
    total = call.emit("ReduceSum", [call.emit("Mul", [away, away]), where], keepdims=keepdims)
    divisor = call.number(float(count - call.options.get("correction", 1)))
    flat = mean if keep else call.emit("Squeeze", [mean, where])
    return call.emit("Div", [total, divisor]), flat


@writes("var")
def var(call: FormulaCall) -> Any:
    return _variance(call, bool(call.options.get("keepdims")))[0]


@writes("std")
def std(call: FormulaCall) -> Any:
    return call.emit("Sqrt", [_variance(call, bool(call.options.get("keepdims")))[0]])


@writes("var_mean")
def var_mean(call: FormulaCall) -> Any:
    return _variance(call, bool(call.options.get("keepdims")))


def _place_of(op: str) -> Any:
    def write(call: FormulaCall) -> Any:
        axis, keep = call.options.get("axis"), int(bool(call.options.get("keepdims")))
        if axis is None:
            flat = call.emit("Reshape", [call.input(0), call.graph.ints([-1])])
            return call.emit(op, [flat], axis=0, keepdims=0)
        return call.emit(op, [call.input(0)], axis=int(axis), keepdims=keep)

    return write


writes("argmax")(_place_of("ArgMax"))
writes("argmin")(_place_of("ArgMin"))
