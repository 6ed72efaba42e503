"""Weights of Keras' files for models of ours, and the other way: layers are matched by kind.

A ``.weights.h5`` has no settings: a group for each layer, ``dense``, ``dense_1``, counted by kind
in the order in which the model has them. So the first dense group is the first ``Linear``; a group
whose name is the path of a module here is that module's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from nnscratch import nn
from nnscratch.array import move
from nnscratch.errors import CheckpointError, DTypeError
from nnscratch.interop.keras.files import group_names, is_keras, read_keras
from nnscratch.interop.keras.hdf5 import hdf5_bytes, read_hdf5
from nnscratch.interop.keras.layouts import KINDS, from_keras, is_depthwise, to_keras
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath, write_whole

_PLACE = re.compile(r"^(.+?)/((?:(?:forward|backward)_layer/)?(?:cell/)?vars/\d+)$")
_MOST = 20
_CLASSES = {
    "dense": "Dense",
    "conv1d": "Conv1D",
    "conv2d": "Conv2D",
    "conv3d": "Conv3D",
    "depthwise_conv2d": "DepthwiseConv2D",
    "batch_normalization": "BatchNormalization",
    "layer_normalization": "LayerNormalization",
    "embedding": "Embedding",
    "lstm": "LSTM",
    "gru": "GRU",
    "simple_rnn": "SimpleRNN",
    "bidirectional": "Bidirectional",
}


def load_keras_weights(model: nn.Module, path: FilePath) -> list[str]:
    """Copy the weights of a ``.weights.h5`` or ``.keras`` file into a model.

    Returns:
        The arrays that are no weights of layers, such as an optimizer's.

    Raises:
        CheckpointError: if the file is damaged, or its layers are not the model's, naming each.
        ConfigurationError: if h5py is not installed.
    """
    arrays = read_keras(path)[1] if is_keras(path) else read_hdf5(path)
    stored, others = _grouped(arrays)
    layers = {name: m for name, m in model.named_modules() if kind_of(m)}
    pairs, problems = _matched(stored, layers)
    state = model.state_dict()
    made: dict[str, np.ndarray] = {}
    for group, name in pairs.items():
        try:
            found = from_keras(layers[name], stored[group])
        except CheckpointError as error:
            problems.append(f"{group} for {name}: {error}")
            continue
        for own, array in found.items():
            full = f"{name}.{own}" if name else own
            if tuple(state[full].shape) != array.shape:
                problems.append(
                    f"{group} has the shape {array.shape}, the model's {full} is "
                    f"{tuple(state[full].shape)}"
                )
            made[full] = array
    if not problems:
        problems = [f"missing: {name}" for name in _missing(state, made)]
    if problems:
        raise CheckpointError(
            f"{path}: the weights do not fit this {type(model).__name__}: "
            f"{'; '.join(problems[:_MOST])}"
        )
    for name, array in made.items():
        state[name].copy_(Tensor(move(np.ascontiguousarray(array), state[name].device)))
    return others


def _missing(state: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """Return the names of a model's weights that a file has not, nor under another name of them."""
    known = {id(state[name].array) for name in made}
    return [
        name
        for name, item in state.items()
        if isinstance(item, Tensor)
        and id(item.array) not in known
        and not name.endswith("num_batches_tracked")
    ]


def save_keras_weights(model: nn.Module, path: FilePath) -> None:
    """Write a model's weights as a ``.weights.h5`` that a Keras model of the same layers loads.

    Raises:
        DTypeError: if a parameter is in no layer that Keras has too.
        RunError: if the file cannot be written; one that was there before is intact.
        ConfigurationError: if h5py is not installed.
    """
    layers = {name: m for name, m in model.named_modules() if kind_of(m)}
    held = {id(t.array) for m in layers.values() for t in m.state_dict().values()}
    for name, tensor in model.state_dict().items():
        if id(tensor.array) not in held:
            raise DTypeError(f"{name} is in no layer that Keras has too: {', '.join(_CLASSES)}")
    groups = group_names([_CLASSES[kind_of(m)] for m in layers.values()])
    arrays: dict[str, Any] = {}
    names: dict[str, str] = {}
    for (name, module), group in zip(layers.items(), groups, strict=True):
        names[f"layers/{group}/vars"] = name or group
        arrays |= {f"layers/{group}/{place}": one for place, one in to_keras(module).items()}
    content = hdf5_bytes(arrays, names)

    def write(stream: BinaryIO) -> None:
        stream.write(content)

    write_whole(path, write, follow=True)


def kind_of(module: nn.Module) -> str:
    """Return the kind of Keras' groups for a module, "" if it has no weights of a kind there."""
    if getattr(module, "bidirectional", False):
        return "bidirectional"
    if is_depthwise(module):
        return "depthwise_conv2d"
    return next((kind for kind, own in KINDS.items() if isinstance(module, own)), "")


def _grouped(arrays: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    stored: dict[str, dict[str, Any]] = {}
    others = []
    for path, array in arrays.items():
        match = _PLACE.match(path)
        if match is None or path.startswith("optimizer") or "seed_generator" in path:
            others.append(path)
        else:
            stored.setdefault(match[1].removeprefix("layers/"), {})[match[2]] = array
    return stored, others


def _matched(
    stored: Mapping[str, Any], layers: Mapping[str, nn.Module]
) -> tuple[dict[str, str], list[str]]:
    """Return the module for each group, and what has none."""
    pairs = {g: g.replace("/", ".") for g in stored if g.replace("/", ".") in layers}
    groups: dict[str, list[str]] = {}
    for group in sorted(stored, key=_natural):
        if group not in pairs:
            groups.setdefault(_base(group), []).append(group)
    modules: dict[str, list[str]] = {}
    for name, module in layers.items():
        if name not in pairs.values():
            kind = kind_of(module)
            # Keras has a Conv2D with as many groups as channels too.
            if kind == "depthwise_conv2d" and kind not in groups:
                kind = "conv2d"
            modules.setdefault(kind, []).append(name)
    problems = []
    for kind in sorted({*groups, *modules}):
        theirs, ours = groups.get(kind, []), modules.get(kind, [])
        if len(theirs) != len(ours):
            problems.append(
                f"the file has {len(theirs)} layers of the kind {kind[:60]!r} "
                f"({', '.join(theirs)[:200] or 'none'}), the model {len(ours)} "
                f"({', '.join(ours)[:200] or 'none'})"
            )
        pairs |= dict(zip(theirs, ours, strict=False))
    return pairs, problems


def _base(group: str) -> str:
    return re.sub(r"_\d+$", "", group.rpartition("/")[2])


def _natural(group: str) -> list[Any]:
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part)
            for part in re.split(r"(\d+)", group)]  # fmt: skip
