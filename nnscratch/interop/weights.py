"""Weights of other libraries: files of Hugging Face, PyTorch, Keras and NumPy, both ways."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nnscratch.array import move
from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.interop.keras.weights import load_keras_weights, save_keras_weights
from nnscratch.interop.safetensors import save_model
from nnscratch.interop.torch.writing import write_torch
from nnscratch.interop.weight_files import (
    WeightFile,
    is_keras_file,
    open_weights,
    write_npz,
    write_sharded,
)
from nnscratch.models.gpt2 import Conv1D
from nnscratch.nn import Linear, Module
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath

# What some files put before every name, and others leave out.
_PREFIXES = ("transformer.", "bert.", "model.", "module.")
# Constants that some versions of a library saved: masks and positions, which are no weights.
_NO_WEIGHTS = re.compile(r"(^|\.)(attn\.(masked_)?bias|position_ids)$")
# The names of a layer norm's parameters in BERT's first checkpoints.
_OLD_NAMES = ((re.compile(r"LayerNorm\.gamma$"), "LayerNorm.weight"),
              (re.compile(r"LayerNorm\.beta$"), "LayerNorm.bias"))  # fmt: skip
# GPT-2's linear layers, which its first authors wrote as convolutions of one position.
_OF_GPT2 = re.compile(r"(^|\.)(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight$")
_MOST = 20
_SHARD = 5_000_000_000


def load_weights(model: Module, filename: FilePath, *, transposed: bool | None = None) -> list[str]:
    """Copy the weights of a published file into a model, by their names.

    It reads safetensors files, also those of several parts by their ``.index.json``; PyTorch's
    ``.pt``, ``.pth`` and ``.bin``, also where a checkpoint has the weights under "state_dict" or
    "model"; NumPy's ``.npz``; Keras' ``.weights.h5`` and ``.keras``, whose layers are matched by
    kind and order (``nnscratch.interop.keras.weights``).

    The names of the models here are those of the published files; what differs from file to file
    is mended: a prefix that all names have or lack ("transformer.", "bert.", "module."), weights
    that are tied and stored once (GPT-2's ``lm_head.weight``), constants that are no weights
    of this model (``attn.bias``, ``position_ids``), a batch norm's count of batches that old files
    lack, and the old names of layer norms. GPT-2's published files have matrices as (in, out), a
    ``Linear`` has (out, in): they are transposed where the shapes of all of them that are not
    square say so. The values take the model's dtype and device.

    Args:
        model: is changed in place.
        filename: the file.
        transposed: whether the matrices of linear layers lie the other way round in the file than
            in the model; None to find out. Only matrices that are all square do not tell.

    Returns:
        The names in the file that this model has no use for: those of other parts, such as the
        ``cls.`` head of a file whose names begin with ``bert.``.

    Raises:
        CheckpointError: if the file is damaged, or a weight is missing, unexpected or of another
            shape, naming each. The model is unchanged then.
        ConfigurationError: if h5py is not installed and the file is Keras'.

    >>> import tempfile
    >>> from nnscratch import nn
    >>> from nnscratch.interop.safetensors import save_file
    >>> saved, model = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/weights.safetensors"
    ...     save_file({f"module.{k}": v for k, v in saved.state_dict().items()}, path)
    ...     load_weights(model, path)
    []
    >>> model.weight.tolist() == saved.weight.tolist()
    True
    """
    if is_keras_file(filename):
        return load_keras_weights(model, filename)
    own = model.state_dict()
    with open_weights(filename) as file:
        names, others = _named_as_in(own, file)
        stored = {name: names[told] for name, told in _stored(own, names).items()}
        turned = _turned(model, own, stored, file, transposed)
        problems = [
            f"missing: {name}"
            for name in own
            if name not in stored and not name.endswith("num_batches_tracked")
        ]
        problems += [
            f"unexpected: {name}"
            for told, name in names.items()
            if told not in own and name not in file.other_names
        ]
        problems += [
            f"{told} has the shape {tuple(file.entries[told].shape)}, the model's {name} is "
            f"{tuple(own[name].shape)}"
            for name, told in stored.items()
            if _shape(file, told, name in turned) != tuple(own[name].shape)
        ]
        problems += [
            f"{told} is {kind}, the model's {name} is {own[name].dtype}"
            for name, told in stored.items()
            if (kind := str(file.entries[told].dtype)).startswith("complex")
            and own[name].array.dtype.kind != "c"
        ]
        if problems:
            further = f"; and {len(problems) - _MOST} more" if len(problems) > _MOST else ""
            raise CheckpointError(
                f"{file.name}: the weights do not fit this {type(model).__name__}: "
                f"{'; '.join(problems[:_MOST])}{further}"
            )
        for told in stored.values():
            if str(file.entries[told].dtype) == "bool":
                file.read(told)  # which refuses other values, while nothing has changed
        for name, told in stored.items():
            values = file.read(told)
            if name in turned:
                values = np.ascontiguousarray(values.T)
            own[name].copy_(Tensor(move(values, own[name].device)))
    return others


def save_weights(model: Module, filename: FilePath, *, max_shard_bytes: int | None = None) -> None:
    """Write a model's parameters and buffers for other libraries, by the file's ending.

    ``.safetensors``; ``.pt`` and ``.pth``, for ``torch.load``; ``.npz``; ``.weights.h5``, for the
    ``load_weights`` of a Keras model of the same layers; ``.safetensors.index.json`` for several
    safetensors files beside their index.

    Args:
        model: whose weights.
        filename: the file.
        max_shard_bytes: of several files, the most that each has; 5 GB unless said otherwise.

    Raises:
        ConfigurationError: if the ending is another, or h5py is not installed.
        DTypeError: if the format lacks a dtype or a layer.
        RunError: if it cannot be written; a file that was there before is intact.

    >>> import tempfile
    >>> from nnscratch import nn
    >>> saved, model = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(saved, f"{folder}/weights.pt")
    ...     load_weights(model, f"{folder}/weights.pt")
    []
    >>> model.weight.tolist() == saved.weight.tolist()
    True
    """
    name = os.fspath(filename)
    if name.endswith(".safetensors"):
        save_model(model, filename, {"format": "pt"})
    elif name.endswith((".pt", ".pth", ".bin")):
        write_torch(filename, model.state_dict())
    elif name.endswith(".npz"):
        write_npz(filename, model.state_dict())
    elif name.endswith(".weights.h5"):
        save_keras_weights(model, filename)
    elif name.endswith(".index.json"):
        most = _SHARD if max_shard_bytes is None else max_shard_bytes
        write_sharded(filename, model.state_dict(), most)
    else:
        raise ConfigurationError(
            f"{name}: expected a name that ends in .safetensors, .pt, .pth, .npz, .weights.h5 or "
            ".safetensors.index.json"
        )


def _shape(file: WeightFile, name: str, turned: bool) -> tuple[int, ...]:
    shape = tuple(file.entries[name].shape)
    return shape[::-1] if turned else shape


def _turned(
    model: Module,
    own: Mapping[str, Any],
    stored: Mapping[str, str],
    file: WeightFile,
    transposed: bool | None,
) -> set[str]:
    """Return the names of the matrices of linear layers that lie the other way round in the file.

    GPT-2's are decided apart from others: its head lies as PyTorch's layers do.
    """
    linear = {
        f"{path}.weight" if path else "weight"
        for path, module in model.named_modules()
        if isinstance(module, (Linear, Conv1D))
    }
    found: set[str] = set()
    for of_gpt2 in (True, False):
        group = {
            name: tuple(file.entries[told].shape)
            for name, told in stored.items()
            if name in linear and bool(_OF_GPT2.search(name)) is of_gpt2
        }
        wanted = {name: tuple(own[name].shape) for name in group}
        decided = transposed
        if decided is None:
            tall = {name for name, shape in wanted.items() if shape != shape[::-1]}
            decided = bool(tall) and all(group[name] == wanted[name][::-1] for name in tall)
        found |= set(group) if decided else set()
    return found


def _stored(own: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return for each of the model's tensors the name, as the model has it, that is in the file."""
    found = {name: name for name in own if name in names}
    by_tensor = {id(own[name].array): name for name in found}
    for name, tensor in own.items():
        if name not in found and id(tensor.array) in by_tensor:
            found[name] = by_tensor[id(tensor.array)]
    return found


def _named_as_in(own: Iterable[str], file: WeightFile) -> tuple[dict[str, str], list[str]]:
    """Return the file's names by what a model calls them, and those of other parts."""
    wanted = set(own)
    # A model of one's own may have the old names.
    renamed = [pair for pair in _OLD_NAMES if not any(map(pair[0].search, wanted))]
    given = {_new_name(name, renamed): name for name in file.entries}
    best, others, most = given, list[str](), len(wanted & set(given))
    for prefix in _PREFIXES:
        without = {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
        before = {prefix + k: v for k, v in given.items()}
        rest = [v for k, v in given.items() if not k.startswith(prefix)]
        for names, left in ((without, rest), (before, [])):
            if len(wanted & set(names)) > most:
                best, others, most = names, left, len(wanted & set(names))
    # Only behind the matching: a model of one's own may well have an ``attn.bias`` that is trained.
    best = {k: v for k, v in best.items() if k in wanted or not _NO_WEIGHTS.search(v)}
    return best, [name for name in others if not _NO_WEIGHTS.search(name)]


def _new_name(name: str, renamed: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for old, new in renamed:
        name = old.sub(new, name)
    return name
