"""Linear layers, convolutions, pooling, normalisation, embeddings, attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError
from nnscratch.formulas.line_maps import LineMap
from nnscratch.interop.onnx.writers.table import FormulaCall, writes


@writes("linear")
def linear(call: FormulaCall) -> Any:
    if len(call.shape(0)) == 2:
        return call.emit("Gemm", call.inputs(), transB=1)
    turned = call.emit("Transpose", [call.input(1)], perm=[1, 0])
    y = call.emit("MatMul", [call.input(0), turned])
    return call.emit("Add", [y, call.input(2)]) if call.given(2) else y


@writes("convolution")
def convolution(call: FormulaCall) -> Any:
    pads = call.options["padding"]
    return call.emit(
        "Conv", call.inputs(), strides=list(call.options["stride"]),
        dilations=list(call.options["dilation"]), group=call.options["groups"],
        pads=[a for a, _ in pads] + [b for _, b in pads], kernel_shape=list(call.shape(1)[2:]),
    )  # fmt: skip


@writes("convolution_transpose")
def convolution_transpose(call: FormulaCall) -> Any:
    pads = call.options["padding"]
    more = [max(-b, 0) for _, b in pads]
    more = [max(m, a - b) if a >= b else m for m, (a, b) in zip(more, pads, strict=True)]
    ends = [b + m for m, (_, b) in zip(more, pads, strict=True)]
    return call.emit(
        "ConvTranspose", call.inputs(), strides=list(call.options["stride"]),
        dilations=list(call.options["dilation"]), group=call.options["groups"],
        pads=[a for a, _ in pads] + ends, output_padding=more,
        kernel_shape=list(call.shape(1)[2:]),
    )  # fmt: skip


def _spacing(line: LineMap) -> tuple[int, int, int, int] | None:
    """Return (start, stride, kernel, dilation) of windows that lie regularly, None of others."""
    kernel, count = line.index.shape
    if line.spacing is not None:
        start, stride, dilation = line.spacing
        return start, stride, kernel, dilation
    index = line.index
    dilation = int(index[1, 0] - index[0, 0]) if kernel > 1 else 1
    stride = int(index[0, 1] - index[0, 0]) if count > 1 else 1
    want = index[0, 0] + np.arange(count) * stride + dilation * np.arange(kernel)[:, None]
    if stride < 1 or dilation < 1 or not np.array_equal(index, want):
        return None
    return int(index[0, 0]), stride, kernel, dilation


def _window_attributes(lines: Any) -> dict[str, Any] | None:
    found = [_spacing(line) for line in lines]
    if any(one is None for one in found):
        return None
    spans = [one for one in found if one is not None]
    ends = [
        max((line.out - 1) * stride + dilation * (kernel - 1) + 1 + start - line.size, 0)
        for line, (start, stride, kernel, dilation) in zip(lines, spans, strict=True)
    ]
    counts = [
        (line.size - start + end - dilation * (kernel - 1) - 1) // stride + 1
        for line, end, (start, stride, kernel, dilation) in zip(lines, ends, spans, strict=True)
    ]
    if counts != [line.out for line in lines]:
        return None  # ONNX would go on to the end of the line
    return {
        "kernel_shape": [kernel for _, _, kernel, _ in spans],
        "strides": [stride for _, stride, _, _ in spans],
        "dilations": [dilation for *_, dilation in spans],
        "pads": [-start for start, *_ in spans] + ends,
    }


@writes("max_pool")
def max_pool(call: FormulaCall) -> Any:
    lines = call.options["lines"]
    attributes = _window_attributes(lines)
    if attributes is None or any(a >= k for a, k in _reaches(attributes)):
        raise ConfigurationError(
            "the windows of this pooling are not all of one size, which ONNX's MaxPool lacks; "
            "choose an output size that divides the input's"
        )
    shape = call.shape()
    behind = shape[len(shape) - len(lines) :]
    values, places = call.emit("MaxPool", [_as_images(call, len(lines))], 2, **attributes)
    if len(shape) != len(lines) + 2:
        values = call.emit("Squeeze", [values, call.graph.ints([0])])
        places = call.emit("Squeeze", [places, call.graph.ints([0])])
    plane = call.graph.constant(np.asarray(math.prod(behind), np.int64))
    # ONNX counts through the whole batch, the formula in each plane.
    return values, call.emit("Mod", [places, plane])


def _reaches(attributes: dict[str, Any]) -> list[tuple[int, int]]:
    kernel = attributes["kernel_shape"] * 2
    dilation = attributes["dilations"] * 2
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    return list(zip(attributes["pads"], reach, strict=True))


def _as_images(call: FormulaCall, dims: int) -> str:
    if len(call.shape()) == dims + 2:
        return call.input(0)
    return str(call.emit("Unsqueeze", [call.input(0), call.graph.ints([0])]))


@writes("resample")
def resample(call: FormulaCall) -> Any:
    lines = call.options["lines"]
    ndim = len(call.shape())
    if all(len(line.index) == 1 and np.all(line.weight == 1) for line in lines):
        return _picked(call, lines)
    attributes = _window_attributes(lines)
    even = all(np.allclose(line.weight, 1.0 / len(line.index)) for line in lines)
    if attributes is not None and even and ndim == len(lines) + 2 and not any(attributes["pads"]):
        del attributes["pads"]
        if any(d != 1 for d in attributes["dilations"]):
            return _by_products(call, lines)
        del attributes["dilations"]
        if all(line.out == 1 and len(line.index) == line.size for line in lines):
            return call.emit("GlobalAveragePool", [call.input(0)])
        return call.emit("AveragePool", [call.input(0)], **attributes)
    return _by_products(call, lines)


def _picked(call: FormulaCall, lines: Any) -> str:
    """Write results that are each one of the entries, of any dtype."""
    y, first = call.input(0), len(call.shape()) - len(lines)
    for axis, line in enumerate(lines, first):
        if not np.array_equal(line.index[0], np.arange(line.size)):
            y = call.emit("Gather", [y, call.graph.ints(line.index[0].tolist())], axis=axis)
    return y if y != call.input(0) else str(call.emit("Identity", [y]))


def _by_products(call: FormulaCall, lines: Any) -> str:
    """Write any linear maps along the last axes: a product with a matrix for each."""
    y, ndim = call.input(0), len(call.shape())
    for offset, line in enumerate(lines):
        axis = ndim - len(lines) + offset
        matrix = np.zeros((line.size, line.out))
        for index, weight in zip(line.index, line.weight, strict=True):
            np.add.at(matrix, (index, np.arange(line.out)), weight)
        order = [*range(axis), *range(axis + 1, ndim), axis]
        back = list(np.argsort(order))
        last = axis == ndim - 1
        turned = y if last else call.emit("Transpose", [y], perm=order)
        y = call.emit("MatMul", [turned, call.graph.constant(matrix.astype(call.out().dtype))])
        y = y if last else call.emit("Transpose", [y], perm=[int(one) for one in back])
    return y


def _vector(call: FormulaCall, position: int, value: float, size: int) -> str:
    if call.given(position):
        return call.input(position)
    return call.graph.constant(np.full(size, value, call.out().dtype))


@writes("batch_norm_inference")
def batch_norm_inference(call: FormulaCall) -> Any:
    channels = call.shape(0)[1]
    scale, shift = _vector(call, 3, 1.0, channels), _vector(call, 4, 0.0, channels)
    return call.emit(
        "BatchNormalization", [call.input(0), scale, shift, call.input(1), call.input(2)],
        epsilon=float(call.options["eps"]),
    )  # fmt: skip


@writes("standardize")
def standardize(call: FormulaCall) -> Any:
    axes, first = tuple(call.options["axes"]), call.options["first"]
    eps, x, shape = float(call.options["eps"]), call.input(0), call.shape(0)
    behind = tuple(range(min(axes), len(shape)))
    if axes == behind and first == behind[0] and call.shape(1) == shape[first:]:
        y = call.emit("LayerNormalization", call.inputs(), axis=first, epsilon=eps)
        return y, "", ""
    where = call.graph.ints(axes)
    mean = call.emit("ReduceMean", [x, where], keepdims=1)
    away = call.emit("Sub", [x, mean])
    var = call.emit("ReduceMean", [call.emit("Mul", [away, away]), where], keepdims=1)
    size = call.emit("Sqrt", [call.emit("Add", [var, call.number(eps)])])
    y = call.emit("Div", [away, size])
    for position, op in ((1, "Mul"), (2, "Add")):
        if call.given(position):
            own = call.shape(position)
            beside = [*own, *(1,) * (len(shape) - first - len(own))]
            y = call.emit(
                op, [y, call.emit("Reshape", [call.input(position), call.graph.ints(beside)])]
            )
    flat = [call.emit("Squeeze", [one, where]) for one in (mean, var)]
    return y, *flat


@writes("rms_norm")
def rms_norm(call: FormulaCall) -> Any:
    x, dims = call.input(0), call.options["dims"]
    where = call.graph.ints(range(-dims, 0))
    square = call.emit("ReduceMean", [call.emit("Mul", [x, x]), where], keepdims=1)
    size = call.emit("Sqrt", [call.emit("Add", [square, call.number(float(call.options["eps"]))])])
    y = call.emit("Div", [x, size])
    return call.emit("Mul", [y, call.input(1)]) if call.given(1) else y


@writes("local_response_norm")
def local_response_norm(call: FormulaCall) -> Any:
    size = call.options["size"]
    if size % 2 == 0:
        raise ConfigurationError(f"a window of {size} channels: ONNX's LRN needs an odd number")
    return call.emit(
        "LRN", [call.input(0)], size=size, alpha=float(call.options["alpha"]),
        beta=float(call.options["beta"]), bias=float(call.options["k"]),
    )  # fmt: skip


@writes("embedding")
def embedding(call: FormulaCall) -> Any:
    return call.emit("Gather", call.inputs()[:2], axis=0)


@writes("scaled_dot_product_attention")
def attention(call: FormulaCall) -> Any:
    Q, K = call.shape(0), call.shape(1)
    if call.options.get("is_causal"):
        Q, K = call.fixed_shape(0), call.fixed_shape(1)
    scale = call.options.get("scale")
    scale = 1.0 / math.sqrt(Q[-1]) if scale is None else float(scale)
    order = [*range(len(K) - 2), len(K) - 1, len(K) - 2]
    scores = call.emit("MatMul", [
        call.emit("Mul", [call.input(0), call.number(scale)]),
        call.emit("Transpose", [call.input(1)], perm=order),
    ])  # fmt: skip
    low = call.number(float("-inf"))
    mask = call.value(3)
    if mask is not None:
        if mask.dtype == "bool":
            scores = call.emit("Where", [call.input(3), scores, low])
        else:
            scores = call.emit("Add", [scores, call.input(3)])
    if call.options.get("is_causal"):
        seen = call.graph.constant(np.tri(Q[-2], K[-2], dtype=bool))
        scores = call.emit("Where", [seen, scores, low])
    weights = call.emit("Softmax", [scores], axis=-1)
    if mask is not None:
        # A query that may look at nothing gets nothing; its softmax is 0 / 0.
        hidden = call.emit("Equal", [scores, low])
        weights = call.emit("Where", [hidden, call.number(0.0), weights])
    return call.emit("MatMul", [weights, call.input(2)])


def _gates(array: np.ndarray | None, order: tuple[int, ...]) -> np.ndarray | None:
    if array is None:
        return None
    parts = np.split(array, len(order))
    return np.concatenate([parts[i] for i in order])


def _recurrent(
    call: FormulaCall, op: str, at: int, order: tuple[int, ...], **attributes: Any
) -> Any:
    """Write a layer in one direction; ``at`` is the position of its first weight."""
    graph = call.graph
    if call.given(len(call.node.inputs) - 1) and call.node.formula.inputs[-1] == "lengths":
        raise ConfigurationError("sequences of different lengths in one batch")
    W, R = (_gates(call.array(at + i), order) for i in range(2))
    b, d = (
        _gates(call.array(at + 2 + i), order) if call.given(at + 2 + i) else None for i in (0, 1)
    )
    if W is None or R is None:
        raise ConfigurationError("a recurrent layer without weights")
    rows = len(W)
    half = [np.zeros(rows, W.dtype) if one is None else one for one in (b, d)]
    names = [graph.constant(W[None], "weight"), graph.constant(R[None], "recurrent")]
    bias = "" if b is None and d is None else graph.constant(np.concatenate(half)[None], "bias")
    front = graph.ints([0])
    states = [call.emit("Unsqueeze", [call.input(i), front]) for i in range(1, at)]
    count = 1 + len(states)
    found = call.emit(
        op, [call.input(0), *names, bias, "", *states], count, hidden_size=R.shape[-1],
        direction="reverse" if call.options.get("reverse") else "forward", **attributes,
    )  # fmt: skip
    # Of one direction: the axis of directions goes.
    y = call.emit("Squeeze", [found[0], graph.ints([1])])
    return y, *(call.emit("Squeeze", [one, front]) for one in found[1:])


@writes("rnn")
def rnn(call: FormulaCall) -> Any:
    name = {"tanh": "Tanh", "relu": "Relu"}[call.options.get("nonlinearity", "tanh")]
    return _recurrent(call, "RNN", 2, (0,), activations=[name])


@writes("gru")
def gru(call: FormulaCall) -> Any:
    return _recurrent(call, "GRU", 2, (1, 0, 2), linear_before_reset=1)


@writes("lstm")
def lstm(call: FormulaCall) -> Any:
    if call.given(7):
        raise ConfigurationError("an LSTM with a projection, which ONNX's has not")
    return _recurrent(call, "LSTM", 3, (0, 3, 1, 2))
