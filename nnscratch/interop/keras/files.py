"""Keras' model files: ``.keras``, a zip of ``config.json`` and ``model.weights.h5``."""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.errors import CheckpointError
from nnscratch.interop.archives import ZIP_ERRORS, members_of
from nnscratch.interop.keras.hdf5 import arrays_of
from nnscratch.interop.keras.layers import layer_of
from nnscratch.interop.keras.modules import KerasModel
from nnscratch.train.files import FilePath, parse_json

_PARTS = ("config.json", "model.weights.h5")
_MOST_LAYERS = 10_000
_MODELS = ("Sequential", "Functional")
Arrays = Mapping[str, np.ndarray]


def load_model(path: FilePath) -> KerasModel:
    """Return the model of a ``.keras`` file, with its weights, as a module of ours.

    It takes what Keras' model takes: images are (N, H, W, C), sequences (N, T, C). In training a
    batch norm follows the unbiased variance as PyTorch's does, Keras' the biased one.

    Args:
        path: the file, of a Sequential or a Functional model.

    Raises:
        CheckpointError: if the file is truncated or damaged, is none of Keras 3, or has a layer or
            a setting that is not read here; it names the layer. Nothing is imported by a name in
            the file.
        ConfigurationError: if h5py is not installed.
    """
    name = os.fspath(path)
    config, arrays = read_keras(path)
    try:
        return _Reader(config, arrays).model()
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from None


def read_keras(path: FilePath) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the settings of a ``.keras`` file, and its arrays by their paths.

    Raises:
        CheckpointError: if the file is truncated, damaged, or none of Keras 3.
        ConfigurationError: if h5py is not installed.
    """
    name = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise CheckpointError(f"{name}: this is no file")
        with open(name, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            try:
                with zipfile.ZipFile(stream) as archive:
                    members = members_of(archive, size, "Keras")
                    missing = [part for part in _PARTS if part not in members]
                    if missing:
                        raise CheckpointError(f"no file of Keras 3: {missing[0]} is missing in it")
                    text, weights = (archive.read(members[part]) for part in _PARTS)
            except CheckpointError as error:
                raise CheckpointError(f"{name}: {error}") from None
            except ZIP_ERRORS as error:
                reason = str(error).partition("\n")[0][:120] or type(error).__name__
                raise CheckpointError(
                    f"{name}: truncated, damaged, or no file of Keras 3 ({reason}); copy or "
                    "download it again"
                ) from None
    except FileNotFoundError:
        raise CheckpointError(f"{name}: there is no such file") from None
    except OSError as error:
        raise CheckpointError(f"{name}: cannot be read ({error.strerror})") from error
    config = parse_json(text, f"{name}: config.json")
    if not isinstance(config, dict):
        raise CheckpointError(f"{name}: config.json holds no settings of a model")
    return config, arrays_of(io.BytesIO(weights), len(weights), f"{name}: model.weights.h5")


def is_keras(path: FilePath) -> bool:
    """Say whether a zip holds a model of Keras 3; a damaged one does not."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    except ZIP_ERRORS:
        return False


def group_names(kinds: list[str]) -> list[str]:
    """Return the groups in which Keras keeps layers of these classes, in this order.

    >>> group_names(["Dense", "Conv2D", "Dense"])
    ['dense', 'conv2d', 'dense_1']
    """
    seen: Counter[str] = Counter()
    made = []
    for kind in kinds:
        name = re.sub(r"\W+", "", kind)
        name = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name))
        name = name.lower()
        made.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return made


class _Reader:
    """Makes a model of its settings and its arrays."""

    def __init__(self, config: dict[str, Any], arrays: Arrays) -> None:
        self._config, self._arrays = config, dict(arrays)

    def model(self) -> KerasModel:
        """Return the model."""
        kind = self._config.get("class_name")
        inner = self._config.get("config")
        if kind not in _MODELS or not isinstance(inner, dict):
            raise CheckpointError(
                f"the model is of the class {str(kind)[:60]!r}; what is read is Sequential and "
                "Functional, since others are programs of their authors"
            )
        entries = [_entry(one) for one in _list(inner.get("layers"), "layers")]
        names = [name for _, name, _, _ in entries]
        if len(entries) > _MOST_LAYERS or len(set(names)) != len(names):
            raise CheckpointError("two of its layers have one name, or there are too many")
        layers = dict(self._layers(entries))
        unused = [path for path in self._arrays if path.startswith(("layers/", "_layer"))]
        if unused:
            raise CheckpointError(f"no layer has the array {unused[0][:80]!r}")
        if kind == "Sequential":
            steps, before = [], "input"
            for name in layers:
                steps.append((name, [before]))
                before = name
            return KerasModel(layers, steps, ["input"], [before], self._config)
        inputs = _ends(inner.get("input_layers"), names)
        outputs = _ends(inner.get("output_layers"), names)
        return KerasModel(layers, _ordered(entries, inputs), inputs, outputs, self._config)

    def _layers(self, entries: list[Any]) -> Iterator[tuple[str, nn.Module]]:
        groups = group_names([kind for kind, *_ in entries])
        for (kind, name, config, _), group in zip(entries, groups, strict=True):
            place = f"layers/{group}/"
            paths = [path for path in self._arrays if path.startswith(place)]
            stored = {path.removeprefix(place): self._arrays.pop(path) for path in paths}
            # The state of a random layer is no weight.
            stored = {k: v for k, v in stored.items() if not k.startswith("seed_generator/")}
            try:
                made = layer_of(kind, config, stored)
            except CheckpointError as error:
                raise CheckpointError(f"the layer {name[:80]!r}: {error}") from None
            if made is not None:
                yield name, made


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise CheckpointError(f"its settings have no list of {name}")
    return value


def _entry(value: Any) -> tuple[str, str, dict[str, Any], list[Any]]:
    """Return the class, the name, the settings and the calls of one layer."""
    if not isinstance(value, dict) or not isinstance(value.get("config"), dict):
        raise CheckpointError("a layer in its settings has none of its own")
    kind, config = value.get("class_name"), value["config"]
    name = config.get("name")
    if not isinstance(kind, str) or not isinstance(name, str):
        raise CheckpointError("a layer in its settings has no class or no name")
    if value.get("registered_name") is not None or value.get("module") not in ("keras.layers",):
        raise CheckpointError(
            f"the layer {name[:80]!r} is of the class {kind[:60]!r} of "
            f"{str(value.get('module'))[:60]!r}; only layers of keras.layers are read"
        )
    calls = value.get("inbound_nodes", [])
    return kind, name, config, _list(calls, "calls")


def _ends(value: Any, names: list[str]) -> list[str]:
    """Return the names of the layers that a model begins or ends with."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        value = [value]
    found = []
    for one in _list(value, "inputs and outputs"):
        if not isinstance(one, list) or not one or one[0] not in names:
            raise CheckpointError("an input or output of it is no layer")
        found.append(one[0])
    return found


def _ordered(entries: list[Any], inputs: list[str]) -> list[tuple[str, list[str]]]:
    """Return which layer runs behind which, each behind those that it needs."""
    needs: dict[str, list[str]] = {}
    for _, name, _, calls in entries:
        if name in inputs:
            continue
        if len(calls) != 1 or not isinstance(calls[0], dict):
            raise CheckpointError(f"the layer {name[:80]!r} is called more than once")
        needs[name] = list(_history(calls[0].get("args"), name))
    steps: list[tuple[str, list[str]]] = []
    done = set(inputs)
    while needs:
        ready = [name for name, given in needs.items() if done.issuperset(given)]
        if not ready:
            raise CheckpointError(f"the layer {next(iter(needs))[:80]!r} waits for itself")
        for name in ready:
            steps.append((name, needs.pop(name)))
            done.add(name)
    return steps


def _history(value: Any, name: str, depth: int = 0) -> Iterator[str]:
    """Go through the layers whose outputs a call is given."""
    if isinstance(value, list) and depth < 3:
        for one in value:
            yield from _history(one, name, depth + 1)
        return
    config = value.get("config") if isinstance(value, dict) else None
    history = config.get("keras_history") if isinstance(config, dict) else None
    if not isinstance(history, list) or len(history) != 3 or history[1:] != [0, 0]:
        raise CheckpointError(f"the layer {name[:80]!r} takes what is no output of a layer")
    if not isinstance(history[0], str):
        raise CheckpointError(f"the layer {name[:80]!r} takes what is no output of a layer")
    yield history[0]
