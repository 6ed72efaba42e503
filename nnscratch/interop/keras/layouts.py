r"""Where Keras keeps the weights of a layer, and how they lie: kernels are (in, out).

A dense kernel is the transposed weight, a convolution's kernel has its sizes first and its channels
last, a GRU's gates come as z, r, h where PyTorch has r, z, n, and recurrent layers of Keras
have one bias where PyTorch adds two. ``from_keras`` and ``to_keras`` are each other's inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.array import to_numpy
from nnscratch.errors import CheckpointError

Arrays = Mapping[str, np.ndarray]

KINDS: dict[str, type[nn.Module] | tuple[type[nn.Module], ...]] = {
    "dense": nn.Linear,
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
    "depthwise_conv2d": nn.Conv2d,
    "batch_normalization": (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    "layer_normalization": nn.LayerNorm,
    "embedding": nn.Embedding,
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "simple_rnn": nn.RNN,
    "bidirectional": (nn.LSTM, nn.GRU),
}
"""The names of Keras' groups, without their numbers, and what has such weights here."""
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)


def from_keras(module: nn.Module, stored: Arrays) -> dict[str, np.ndarray]:
    """Return the state of a module by our names, of what Keras stored for a layer.

    Args:
        module: the layer, with the parameters that it needs.
        stored: by path below the layer's group, such as "vars/0" or "cell/vars/2".

    Raises:
        CheckpointError: if there are more or fewer arrays than the layer has.
    """
    places = _places(module)
    if set(places) != set(stored):
        raise CheckpointError(
            f"expected the arrays {sorted(places)} for {module!r}, found {sorted(stored)}"
        )
    made: dict[str, np.ndarray] = {}
    for path, (kind, names) in places.items():
        made |= _ours(kind, names, stored[path], module)
    return made


def to_keras(module: nn.Module, *, depthwise: bool | None = None) -> dict[str, np.ndarray]:
    """Return what Keras stores for a layer, by path below its group.

    Args:
        module: the layer.
        depthwise: whether a convolution is a DepthwiseConv2D of Keras', whose kernel lies otherwise
            than that of a Conv2D with as many groups as channels; None where it may be.
    """
    if depthwise is None:
        depthwise = is_depthwise(module)
    own = {k: np.asarray(to_numpy(v.array)) for k, v in module.state_dict().items()}
    return {
        path: _theirs(
            "convolution" if kind == "depthwise" and not depthwise else kind,
            [own[name] for name in names],
            module,
        )
        for path, (kind, names) in _places(module).items()
    }


def is_depthwise(module: nn.Module) -> bool:
    """Say whether a convolution in 2D has a group for each channel, as a DepthwiseConv2D has."""
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1


def _places(module: nn.Module) -> dict[str, tuple[str, list[str]]]:
    """Return for each array that Keras stores its kind, and the names of our parameters for it."""
    if isinstance(module, RECURRENT):
        if module.num_layers != 1:
            raise CheckpointError(f"{module!r} has several layers, a recurrent layer of Keras one")
        found = {}
        directions = [("", "")]
        if module.bidirectional:
            directions = [("forward_layer/", ""), ("backward_layer/", "_reverse")]
        for place, end in directions:
            cell = f"{place}cell/vars/"
            found[cell + "0"] = ("gates", [f"weight_ih_l0{end}"])
            found[cell + "1"] = ("gates", [f"weight_hh_l0{end}"])
            if module.bias:
                found[cell + "2"] = ("biases", [f"bias_ih_l0{end}", f"bias_hh_l0{end}"])
        return found
    if isinstance(module, nn.Embedding):
        return {"vars/0": ("plain", ["weight"])}
    kernel = "plain"
    if isinstance(module, nn.Linear):
        kernel = "dense"
    elif isinstance(module, CONVOLUTIONS):
        kernel = "depthwise" if is_depthwise(module) else "convolution"
    elif not isinstance(module, (*NORMS, nn.LayerNorm)):
        return {}
    listed = [(kernel, "weight"), ("plain", "bias")]
    if isinstance(module, NORMS):
        listed += [("plain", "running_mean"), ("plain", "running_var")]
    listed = [(kind, name) for kind, name in listed if getattr(module, name, None) is not None]
    return {f"vars/{n}": (kind, [name]) for n, (kind, name) in enumerate(listed)}


def _ours(kind: str, names: list[str], array: np.ndarray, module: Any) -> dict[str, np.ndarray]:
    if kind == "biases":
        return dict(zip(names, _two_biases(array, module), strict=True))
    (name,) = names
    if kind == "dense":
        array = array.T
    elif kind == "convolution":
        array = array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
    elif kind == "depthwise":
        sizes = array.shape[:-2]
        array = array.transpose(array.ndim - 2, array.ndim - 1, *range(array.ndim - 2))
        array = array.reshape(-1, 1, *sizes)
    elif kind == "gates":
        array = _gates(array.T, module)
    return {name: array}


def _theirs(kind: str, arrays: list[np.ndarray], module: Any) -> np.ndarray:
    array = arrays[0]
    if kind == "dense":
        array = array.T
    elif kind == "convolution":
        array = array.transpose(*range(2, array.ndim), 1, 0)
    elif kind == "depthwise":
        sizes = array.shape[2:]
        array = array.reshape(module.in_channels, -1, *sizes)
        array = array.transpose(*range(2, array.ndim), 0, 1)
    elif kind == "gates":
        array = _gates(array, module).T
    elif kind == "biases":
        both = [_gates(one, module) for one in arrays]
        array = np.stack(both) if isinstance(module, nn.GRU) else both[0] + both[1]
    return np.ascontiguousarray(array)


def _gates(array: np.ndarray, module: Any) -> np.ndarray:
    """Exchange the first two of a GRU's three gates, which is its own inverse."""
    if not isinstance(module, nn.GRU):
        return array
    if len(array) % 3:
        raise CheckpointError(f"expected three gates, found the shape {array.shape}")
    first, second, third = np.split(array, 3)
    return np.concatenate([second, first, third])


def _two_biases(array: np.ndarray, module: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(module, nn.GRU):
        if array.ndim != 2 or len(array) != 2:
            raise CheckpointError(
                "a GRU with reset_after=False, whose equations are others than PyTorch's"
            )
        return _gates(array[0], module), _gates(array[1], module)
    return array, np.zeros_like(array)
