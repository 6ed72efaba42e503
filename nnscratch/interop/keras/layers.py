"""The layers of Keras that are read: each is made here by its name in a table, none is imported."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.errors import CheckpointError, NNScratchError
from nnscratch.interop.keras.layouts import from_keras
from nnscratch.interop.keras.modules import KerasFunction, KerasLayer, KerasNorm, KerasRecurrent
from nnscratch.interop.keras.settings import (
    Arrays,
    Config,
    activation_of,
    agree,
    kernel_shape,
    number,
    only,
    sizes,
)
from nnscratch.tensors import Tensor
from nnscratch.tensors.functions import cat, stack


def layer_of(kind: str, config: Config, stored: Arrays) -> nn.Module | None:
    """Return the layer of a Keras class with its weights, None for a model's input.

    Args:
        kind: the class, as ``config.json`` names it.
        config: its settings.
        stored: its arrays by path below its group; sizes are taken from them.

    Raises:
        CheckpointError: if the class is none of those listed, has a setting that is not, or its
            arrays do not fit.
    """
    if kind not in _LAYERS:
        raise CheckpointError(
            f"the layer {kind[:60]!r} is none of those that are read, and nothing is imported by "
            f"its name; they are {', '.join(sorted(_LAYERS))}"
        )
    made = _LAYERS[kind](config, stored)
    if made is not None:
        _fill(made, stored)
    return made


def _fill(layer: nn.Module, stored: Arrays) -> None:
    module = getattr(layer, "inner", layer)
    dtypes = {array.dtype for array in stored.values() if array.dtype.kind == "f"}
    if len(dtypes) == 1:
        module.to(dtype=dtypes.pop())
    state = module.state_dict()
    for name, array in from_keras(module, stored).items():
        own = state[name]
        if tuple(own.shape) != array.shape:
            raise CheckpointError(f"{name} has the shape {array.shape}, expected {own.shape}")
        own.copy_(Tensor(np.ascontiguousarray(array)))


# Layers.


def _dense(config: Config, stored: Arrays) -> nn.Module:
    width, units = kernel_shape(stored, "vars/0", 2)
    agree(config, "units", units)
    linear = nn.Linear(width, units, bias=only(config, "use_bias", True, False))
    activation = activation_of(config)
    return linear if activation is None else KerasLayer(linear, activation)


def _convolution(count: int, depthwise: bool = False) -> Callable[[Config, Arrays], nn.Module]:
    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[count - 1]

    def make(config: Config, stored: Arrays) -> nn.Module:
        *kernel, inner, outer = kernel_shape(stored, "vars/0", count + 2)
        groups = number(config, "groups", 1)
        if depthwise:
            inner, outer, groups = inner, inner * outer, inner
        else:
            agree(config, "filters", outer)
            inner *= groups
        strides = sizes(config, "strides", count)
        dilation = sizes(config, "dilation_rate", count)
        same = only(config, "padding", "valid", "same") == "same"
        module = kind(
            inner, outer, tuple(kernel), strides, dilation=dilation, groups=groups,
            bias=only(config, "use_bias", True, False),
        )  # fmt: skip
        return KerasLayer(
            module,
            activation_of(config),
            _last(config),
            (kernel, strides, dilation) if same else None,
        )

    return make


def _last(config: Config) -> bool:
    return bool(only(config, "data_format", "channels_last", "channels_first") == "channels_last")


def _pooling(kind: Any, count: int, pad: float | None) -> Callable[[Config, Arrays], nn.Module]:
    def make(config: Config, stored: Arrays) -> nn.Module:
        size = sizes(config, "pool_size", count)
        strides = size if config.get("strides") is None else sizes(config, "strides", count)
        same = only(config, "padding", "valid", "same") == "same"
        shape = (size, strides, (1,) * count)
        pool = kind(size if count > 1 else size[0], strides if count > 1 else strides[0])
        return KerasLayer(pool, None, _last(config), shape if same else None, pad)

    return make


def _global(name: str, function: str, axes: int) -> Callable[[Config, Arrays], nn.Module]:
    def make(config: Config, stored: Arrays) -> nn.Module:
        first = 1 if _last(config) else 2
        over = tuple(range(first, first + axes))
        keep = only(config, "keepdims", False, True)

        def reduce(x: Any) -> Any:
            return getattr(x, function)(dim=over, keepdim=keep)

        return KerasFunction(name, reduce)

    return make


def _batch_norm(config: Config, stored: Arrays) -> nn.Module:
    center, scale = (only(config, name, True, False) for name in ("center", "scale"))
    if center != scale:
        raise CheckpointError("a BatchNormalization with only one of center and scale")
    (width,) = kernel_shape(stored, "vars/0", 1)
    axis = config.get("axis", -1)
    axis = axis[0] if type(axis) is list and len(axis) == 1 else axis
    only({"axis": axis}, "axis", -1, 1, 2, 3, 4)
    norm = nn.BatchNorm1d(
        width, number(config, "epsilon", 1e-3), 1 - number(config, "momentum", 0.99), center
    )
    return KerasNorm(norm, axis)


def _layer_norm(config: Config, stored: Arrays) -> nn.Module:
    center, scale = (only(config, name, True, False) for name in ("center", "scale"))
    axis = config.get("axis", -1)
    axis = axis[0] if type(axis) is list and len(axis) == 1 else axis
    shape = kernel_shape(stored, "vars/0", 1)
    if axis not in (-1, *range(1, 8)) or not scale:
        raise CheckpointError(
            f"a LayerNormalization over the axis {str(axis)[:40]} with scale={scale}; what is read "
            "is the last axis with scale=True"
        )
    return nn.LayerNorm(shape, number(config, "epsilon", 1e-3), bias=center)


def _embedding(config: Config, stored: Arrays) -> nn.Module:
    only(config, "mask_zero", False)
    count, width = kernel_shape(stored, "vars/0", 2)
    agree(config, "input_dim", count)
    agree(config, "output_dim", width)
    return nn.Embedding(count, width)


_RECURRENT = {"LSTM": (nn.LSTM, 4), "GRU": (nn.GRU, 3), "SimpleRNN": (nn.RNN, 1)}


def _recurrent(kind: str, place: str = "") -> Callable[[Config, Arrays], nn.Module]:
    def make(config: Config, stored: Arrays) -> nn.Module:
        made, gates = _RECURRENT[kind]
        width, units = kernel_shape(stored, f"{place}cell/vars/0", 2)
        if units % gates:
            raise CheckpointError(f"{units} columns are no {gates} gates")
        agree(config, "units", units // gates)
        only(config, "activation", "tanh")
        if kind != "SimpleRNN":
            only(config, "recurrent_activation", "sigmoid")
        if kind == "GRU":
            only(config, "reset_after", True)
        for name in ("return_state", "stateful"):
            only(config, name, False)
        for name in ("dropout", "recurrent_dropout"):
            only(config, name, 0.0, 0)
        module = made(
            width, units // gates, batch_first=True, bidirectional=bool(place),
            bias=only(config, "use_bias", True, False),
        )  # fmt: skip
        sequences = only(config, "return_sequences", False, True)
        return KerasRecurrent(module, sequences, only(config, "go_backwards", False, True))

    return make


def _bidirectional(config: Config, stored: Arrays) -> nn.Module:
    inner = config.get("layer")
    kind = inner.get("class_name") if isinstance(inner, dict) else None
    if kind not in _RECURRENT or not isinstance(inner, dict):
        raise CheckpointError(f"a Bidirectional of {str(kind)[:60]!r}")
    only(config, "merge_mode", "concat")
    settings = inner.get("config")
    if not isinstance(settings, dict):
        raise CheckpointError("a Bidirectional without settings of its layer")
    only(settings, "go_backwards", False)
    return _recurrent(str(kind), "forward_layer/")(settings, stored)


def _relu(config: Config, stored: Arrays) -> nn.Module:
    most = config.get("max_value")
    slope, threshold = number(config, "negative_slope", 0.0), number(config, "threshold", 0.0)
    if threshold or most not in (None, 6, 6.0) or (slope and most is not None):
        raise CheckpointError("a ReLU with a threshold, or a maximum other than 6")
    if most is not None:
        return nn.ReLU6()
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _reshape(config: Config, stored: Arrays) -> nn.Module:
    shape = config.get("target_shape")
    if type(shape) is not list or any(type(v) is not int or v < -1 for v in shape):
        raise CheckpointError(f"target_shape is {str(shape)[:40]!r}; expected whole numbers")
    return KerasFunction("Reshape", lambda x: x.reshape(x.shape[0], *shape))


def _permute(config: Config, stored: Arrays) -> nn.Module:
    dims = config.get("dims")
    if type(dims) is not list or sorted(map(str, dims)) != [str(n + 1) for n in range(len(dims))]:
        raise CheckpointError(f"dims is {str(dims)[:40]!r}; expected an order of axes from 1")
    return KerasFunction("Permute", lambda x: x.permute(0, *dims))


def _flatten(config: Config, stored: Arrays) -> nn.Module:
    if _last(config):
        return nn.Flatten()
    # Keras turns channels first into channels last before it flattens.
    return KerasFunction("Flatten", lambda x: (x.movedim(1, -1) if x.ndim > 2 else x).flatten(1))


def _zero_padding(config: Config, stored: Arrays) -> nn.Module:
    padding = config.get("padding")
    if type(padding) is int:
        padding = [[padding] * 2] * 2
    sides = [v for pair in padding or () for v in pair] if _is_pairs(padding) else [-1]
    if any(type(v) is not int or not 0 <= v <= 1 << 16 for v in sides):
        raise CheckpointError(f"padding is {str(padding)[:40]!r}; expected two pairs of numbers")
    top, bottom, left, right = sides
    return KerasLayer(nn.ZeroPad2d((left, right, top, bottom)), None, _last(config))


def _is_pairs(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) == 2
        and all(type(pair) is list and len(pair) == 2 for pair in value)
    )


def _rescaling(config: Config, stored: Arrays) -> nn.Module:
    scale, offset = number(config, "scale"), number(config, "offset", 0.0)
    return KerasFunction("Rescaling", lambda x: x * scale + offset)


def _merge(name: str, function: Callable[..., Any]) -> Callable[[Config, Arrays], nn.Module]:
    def make(config: Config, stored: Arrays) -> nn.Module:
        return KerasFunction(name, function)

    return make


def _concatenate(config: Config, stored: Arrays) -> nn.Module:
    axis = config.get("axis", -1)
    if type(axis) is not int or axis == 0:
        raise CheckpointError(f"axis is {str(axis)[:40]!r}; expected one behind the batch")
    return KerasFunction("Concatenate", lambda *xs: cat(list(xs), dim=axis))


def _dropout(config: Config, stored: Arrays) -> nn.Module:
    try:
        return nn.Dropout(number(config, "rate"))
    except NNScratchError as error:
        raise CheckpointError(str(error)) from None


def _softmax(config: Config, stored: Arrays) -> nn.Module:
    return nn.Softmax(only(config, "axis", -1, 1, 2, 3))


def _added(*xs: Any) -> Any:
    return sum(xs[1:], xs[0])


def _multiplied(*xs: Any) -> Any:
    return math.prod(xs[1:], start=xs[0])


_LAYERS: dict[str, Callable[[Config, Arrays], nn.Module | None]] = {
    "InputLayer": lambda config, stored: None,
    "Dense": _dense,
    "Conv1D": _convolution(1),
    "Conv2D": _convolution(2),
    "Conv3D": _convolution(3),
    "DepthwiseConv2D": _convolution(2, depthwise=True),
    "MaxPooling1D": _pooling(nn.MaxPool1d, 1, -math.inf),
    "MaxPooling2D": _pooling(nn.MaxPool2d, 2, -math.inf),
    "AveragePooling1D": _pooling(nn.AvgPool1d, 1, None),
    "AveragePooling2D": _pooling(nn.AvgPool2d, 2, None),
    "GlobalAveragePooling1D": _global("GlobalAveragePooling1D", "mean", 1),
    "GlobalAveragePooling2D": _global("GlobalAveragePooling2D", "mean", 2),
    "GlobalMaxPooling1D": _global("GlobalMaxPooling1D", "amax", 1),
    "GlobalMaxPooling2D": _global("GlobalMaxPooling2D", "amax", 2),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Embedding": _embedding,
    "LSTM": _recurrent("LSTM"),
    "GRU": _recurrent("GRU"),
    "SimpleRNN": _recurrent("SimpleRNN"),
    "Bidirectional": _bidirectional,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding2D": _zero_padding,
    "Rescaling": _rescaling,
    "Activation": lambda config, stored: activation_of(config) or nn.Identity(),
    "ReLU": _relu,
    "LeakyReLU": lambda config, stored: nn.LeakyReLU(number(config, "negative_slope", 0.3)),
    "ELU": lambda config, stored: nn.ELU(number(config, "alpha", 1.0)),
    "Softmax": _softmax,
    "Add": _merge("Add", _added),
    "Multiply": _merge("Multiply", _multiplied),
    "Average": _merge("Average", lambda *xs: _added(*xs) / len(xs)),
    "Subtract": _merge("Subtract", lambda x, y: x - y),
    "Maximum": _merge("Maximum", lambda *xs: stack(list(xs)).amax(dim=0)),
    "Concatenate": _concatenate,
}
LISTED = tuple(_LAYERS)
"""The classes that are read."""
