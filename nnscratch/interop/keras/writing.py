"""``.keras`` files of our models, which Keras loads."""

from __future__ import annotations

import datetime
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from nnscratch import nn
from nnscratch.errors import DTypeError
from nnscratch.interop.keras.files import group_names
from nnscratch.interop.keras.hdf5 import hdf5_bytes
from nnscratch.interop.keras.layouts import is_depthwise, to_keras
from nnscratch.interop.keras.modules import KerasModel, attribute_name
from nnscratch.train.files import FilePath, write_whole

_VERSION = "3.0.0"
Described = list[tuple[str, dict[str, Any], nn.Module | None]]


def save_model(
    model: nn.Module, path: FilePath, input_shape: Sequence[int | None] | None = None
) -> None:
    """Write a model as a ``.keras`` file.

    Convolutions of ours have their channels first, and are written so: of Keras' backends PyTorch
    and JAX run them on a CPU. A model that ``load_model`` made is written with Keras' own layers.

    Args:
        model: a ``Sequential`` of layers that Keras has too, or what ``load_model`` returned.
        path: the file.
        input_shape: the shape of one example, such as (784,); needed unless the model came from
            Keras or begins with a ``Linear``.

    Raises:
        DTypeError: if a layer has no equal in Keras, naming it.
        RunError: if the file cannot be written; one that was there before is intact.
        ConfigurationError: if h5py is not installed.
    """
    if isinstance(model, KerasModel):
        config, arrays, names = _of_keras(model)
    elif isinstance(model, nn.Sequential):
        config, arrays, names = _of_sequential(model, input_shape)
    else:
        raise DTypeError(
            f"save_model: expected a Sequential or a model that load_model returned, got "
            f"{type(model).__name__}; write its weights with nnscratch.interop.weights.save_weights"
        )
    weights = hdf5_bytes(arrays, names)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d@%H:%M:%S")
    members = {
        "metadata.json": json.dumps({"keras_version": _VERSION, "date_saved": now}).encode(),
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": weights,
    }

    def write(stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    write_whole(path, write, follow=True)


def _of_keras(model: KerasModel) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    entries = model.config["config"]["layers"]
    groups = group_names([entry["class_name"] for entry in entries])
    arrays: dict[str, Any] = {}
    names: dict[str, str] = {}
    for entry, group in zip(entries, groups, strict=True):
        name = entry["config"]["name"]
        layer = getattr(model.layers, attribute_name(name), None)
        names[f"layers/{group}/vars"] = name
        if layer is not None:
            depthwise = entry["class_name"].startswith("Depthwise")
            stored = to_keras(getattr(layer, "inner", layer), depthwise=depthwise)
            arrays |= {f"layers/{group}/{place}": one for place, one in stored.items()}
    return model.config, arrays, names


def _of_sequential(
    model: nn.Sequential, input_shape: Sequence[int | None] | None
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    first = next(iter(model), None)
    if input_shape is None and isinstance(first, nn.Linear):
        input_shape = (first.in_features,)
    if input_shape is None:
        raise DTypeError(
            "save_model: give the shape of one example, as in save_model(model, path, (1, 28, 28))"
        )
    kind = "int32" if isinstance(first, nn.Embedding) else "float32"
    described: Described = [
        ("InputLayer", {"batch_shape": [None, *input_shape], "dtype": kind}, None)
    ]
    owners = ["input"]
    for name, layer in model.named_children():
        made = _describe(name, layer)
        described += made
        owners += [name] * len(made)
    groups = group_names([one for one, _, _ in described])
    arrays: dict[str, Any] = {}
    names: dict[str, str] = {}
    layers = []
    for (one, config, module), group in zip(described, groups, strict=True):
        layers.append(
            {
                "module": "keras.layers",
                "class_name": one,
                "config": {"name": group, **config},
                "registered_name": None,
            }
        )
        names[f"layers/{group}/vars"] = group
        if module is not None:
            stored = to_keras(module)
            arrays |= {f"layers/{group}/{place}": array for place, array in stored.items()}
    inner = {"name": "sequential", "trainable": True, "layers": layers}
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": inner,
        "registered_name": None,
    }
    return config, arrays, names


def _describe(name: str, layer: nn.Module) -> Described:
    """Return Keras' layers that do what a layer of ours does."""
    for kind, describe in _DESCRIBED.items():
        if type(layer) is kind:
            return describe(layer)
    raise DTypeError(
        f"save_model: the layer {name} ({layer!r}) has no equal in Keras; those that are written "
        f"are {', '.join(kind.__name__ for kind in _DESCRIBED)}"
    )


def _activation(name: str) -> Callable[[Any], Described]:
    return lambda layer: [("Activation", {"activation": name}, None)]


def _gelu(layer: Any) -> Described:
    if layer.approximate != "none":
        raise DTypeError(
            "save_model: Keras' activation 'gelu' is the exact one, this one is by tanh; train and "
            "save the model with nn.GELU()"
        )
    return [("Activation", {"activation": "gelu"}, None)]


def _log_softmax(layer: Any) -> Described:
    if layer.dim != -1:
        raise DTypeError(f"save_model: {layer!r}; Keras' log_softmax is of the last axis, dim=-1")
    return [("Activation", {"activation": "log_softmax"}, None)]


def _pair(value: Any, count: int) -> list[int]:
    return [value] * count if isinstance(value, int) else [int(one) for one in value]


def _padding(count: int, padding: Any, layer: Any) -> Described:
    if not isinstance(padding, int) and not all(isinstance(one, int) for one in padding):
        raise DTypeError(f"save_model: {layer!r} has a padding by name; write it as numbers")
    sizes = _pair(padding, count)
    if not any(sizes):
        return []
    config = {"padding": [[one, one] for one in sizes] if count > 1 else [sizes[0]] * 2}
    return [(f"ZeroPadding{count}D", {**config, "data_format": "channels_first"}, None)]


def _convolution(count: int) -> Callable[[Any], Described]:
    def describe(layer: Any) -> Described:
        if layer.padding_mode != "zeros":
            raise DTypeError(f"save_model: {layer!r}; Keras pads with zeros")
        depthwise = is_depthwise(layer)
        config = {
            "kernel_size": list(layer.kernel_size),
            "strides": _pair(layer.stride, count),
            "dilation_rate": _pair(layer.dilation, count),
            "padding": "valid",
            "data_format": "channels_first",
            "use_bias": layer.bias is not None,
        }
        if depthwise:
            config |= {"depth_multiplier": layer.out_channels // layer.in_channels}
        else:
            config |= {"filters": layer.out_channels, "groups": layer.groups}
        kind = "DepthwiseConv2D" if depthwise else f"Conv{count}D"
        return [*_padding(count, layer.padding, layer), (kind, config, layer)]

    return describe


def _pooling(kind: str) -> Callable[[Any], Described]:
    def describe(layer: Any) -> Described:
        if any(_pair(layer.padding, 2)) or layer.ceil_mode:
            raise DTypeError(f"save_model: {layer!r}; Keras' pooling has no such padding")
        stride = layer.kernel_size if layer.stride is None else layer.stride
        config = {
            "pool_size": _pair(layer.kernel_size, 2),
            "strides": _pair(stride, 2),
            "padding": "valid",
            "data_format": "channels_first",
        }
        return [(kind, config, None)]

    return describe


def _dense(layer: Any) -> Described:
    config = {"units": layer.out_features, "use_bias": layer.bias is not None}
    return [("Dense", config, layer)]


def _batch_norm(layer: Any) -> Described:
    if layer.weight is None or layer.running_mean is None or layer.momentum is None:
        raise DTypeError(f"save_model: {layer!r} lacks weights, running statistics or a momentum")
    config = {"axis": 1, "epsilon": layer.eps, "momentum": 1 - layer.momentum}
    return [("BatchNormalization", config, layer)]


def _layer_norm(layer: Any) -> Described:
    if len(layer.normalized_shape) != 1 or layer.weight is None:
        raise DTypeError(
            f"save_model: {layer!r}; Keras' is written for the last axis, with weights"
        )
    config = {"axis": -1, "epsilon": layer.eps, "center": layer.bias is not None}
    return [("LayerNormalization", config, layer)]


def _embedding(layer: Any) -> Described:
    config = {"input_dim": layer.num_embeddings, "output_dim": layer.embedding_dim}
    return [("Embedding", config, layer)]


def _flatten(layer: Any) -> Described:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise DTypeError(f"save_model: {layer!r}; Keras flattens all axes behind the batch")
    # "channels_last" leaves the order of the elements as it is.
    return [("Flatten", {"data_format": "channels_last"}, None)]


_DESCRIBED: dict[type[nn.Module], Callable[[Any], Described]] = {
    nn.Linear: _dense,
    nn.Conv1d: _convolution(1),
    nn.Conv2d: _convolution(2),
    nn.MaxPool2d: _pooling("MaxPooling2D"),
    nn.AvgPool2d: _pooling("AveragePooling2D"),
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Embedding: _embedding,
    nn.Flatten: _flatten,
    nn.Dropout: lambda layer: [("Dropout", {"rate": layer.p}, None)],
    nn.Identity: _activation("linear"),
    nn.ReLU: _activation("relu"),
    nn.ReLU6: _activation("relu6"),
    nn.Sigmoid: _activation("sigmoid"),
    nn.Tanh: _activation("tanh"),
    nn.GELU: _gelu,
    nn.SiLU: _activation("silu"),
    nn.SELU: _activation("selu"),
    nn.Mish: _activation("mish"),
    nn.Softsign: _activation("softsign"),
    nn.Hardsigmoid: _activation("hard_sigmoid"),
    nn.Softmax: lambda layer: [("Softmax", {"axis": layer.dim}, None)],
    nn.LogSoftmax: _log_softmax,
    nn.LeakyReLU: lambda layer: [("LeakyReLU", {"negative_slope": layer.negative_slope}, None)],
    nn.ELU: lambda layer: [("ELU", {"alpha": layer.alpha}, None)],
}
