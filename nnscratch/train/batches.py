"""Which items of a batch are inputs of the model and which is the target of the loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nnscratch.array import device_of
from nnscratch.data import DataLoader
from nnscratch.errors import ConfigurationError
from nnscratch.graph.nested import leaves, mapped
from nnscratch.nn import Module, Sequential
from nnscratch.tensors import Tensor, as_tensor

TARGETS = ("target", "targets", "labels", "label", "y")
"""The keys by which the target of a batch that is a dictionary is recognised."""

Rearrange = Callable[[Any], Any]


class BatchParts(NamedTuple):
    """The parts of a batch: the loss compares ``model(*inputs, **keywords)`` with ``target``."""

    inputs: tuple[Any, ...]
    keywords: dict[str, Any]
    target: Any

    @property
    def named_inputs(self) -> list[tuple[str, Any]]:
        """The inputs with a name for each; the name of a single one is "inputs"."""
        if len(self.inputs) == 1 and not self.keywords:
            return [("inputs", self.inputs[0])]
        places = [(f"input {place}", item) for place, item in enumerate(self.inputs, start=1)]
        return places + [(f"input {name!r}", item) for name, item in self.keywords.items()]


def parts_of(batch: Any) -> BatchParts:
    """Divide a batch into the inputs of the model and the target of the loss.

    The last item of a tuple or list is the target, and all others are positional arguments of the
    model. In a dictionary, the item with the key ``target``, ``targets``, ``labels``, ``label`` or
    ``y`` is the target, and all others are keyword arguments of the model (see ``arranged`` for
    those that the model does not take). An item may be a tensor, or again a tuple or dictionary;
    it is not divided further.

    Raises:
        ConfigurationError: if there is no target, or a dictionary has several.

    >>> parts_of(("image", "depth", "class"))
    BatchParts(inputs=('image', 'depth'), keywords={}, target='class')
    >>> parts_of({"x": "image", "labels": "class"})
    BatchParts(inputs=(), keywords={'x': 'image'}, target='class')
    """
    if isinstance(batch, (list, tuple)) and len(batch) > 1:
        return BatchParts(tuple(batch[:-1]), {}, batch[-1])
    if isinstance(batch, dict):
        keys = [key for key in TARGETS if key in batch]
        if len(keys) == 1 and len(batch) > 1:
            rest = {key: item for key, item in batch.items() if key != keys[0]}
            return BatchParts((), rest, batch[keys[0]])
        if len(keys) > 1:
            raise ConfigurationError(
                f"a batch has {' and '.join(map(repr, keys))}, and only one can be the target: "
                "name the others differently, or choose with batch=, a function that is given "
                "the batch and returns (input, ..., target)"
            )
    raise ConfigurationError(
        "training and evaluation need batches of inputs and a target, (input, ..., target) or "
        f"dictionaries with one of {', '.join(map(repr, TARGETS))}; got {_in_words(batch)}. Make "
        "such batches of others with batch=, a function that is given the batch and returns "
        "(input, ..., target), or compute the loss with step="
    )


def target_of(batch: Any) -> Any:
    """Return the target of a batch, None if it has none."""
    try:
        return parts_of(batch).target
    except ConfigurationError:
        return None


Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments."""


def inputs_of(batch: Any, model: Any) -> Call:
    """Return the positional and keyword arguments of a model in a batch that may have no target.

    A tuple's last item is a target unless it is the only one, or the model cannot be called
    without it; a dictionary's targets are passed over, except those that ``forward`` asks for.

    Raises:
        ConfigurationError: if the model cannot be called with them.
    """
    needed = [p.name for p in _arguments(model) if p.default is p.empty and p.kind not in _REST]
    inputs: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    if isinstance(batch, dict):
        keywords = {k: item for k, item in batch.items() if k not in TARGETS or k in needed}
    elif not isinstance(batch, (list, tuple)):
        inputs = (batch,)
    else:
        nested = isinstance(batch[0], (list, tuple, dict))
        whole = len(batch) == 1 or (len(needed) == len(batch) and not nested)
        inputs = tuple(batch if whole else batch[:-1])
    inputs, keywords = _calls(inputs, keywords)[_which(model, inputs, keywords)]
    check_call(model, inputs, keywords, batch)
    return inputs, keywords


def arranged(model: Any, batch: Any, arrange: Rearrange | None = None) -> Rearrange | None:
    """Return how batches are to be arranged for a model, as a function or None, given the first.

    Where its inputs cannot be arguments of ``forward`` as they stand, and there is one other way:
    a dictionary's only input is given by place to a model that has no argument of its name, and a
    tuple or dictionary that is the only input is taken apart into positional or keyword arguments.

    Args:
        model: what is called with the batches.
        batch: the first one.
        arrange: what is done with each before that.
    """
    inputs, keywords, _ = parts_of(batch)
    which = _which(model, inputs, keywords)
    if which == 0:
        return arrange

    def other(raw: Any) -> Any:
        parts = parts_of(raw if arrange is None else arrange(raw))
        inputs, keywords = _calls(parts.inputs, parts.keywords)[which]
        return {**keywords, TARGETS[0]: parts.target} if keywords else (*inputs, parts.target)

    return other


def _calls(inputs: tuple[Any, ...], keywords: dict[str, Any]) -> list[Call]:
    """The ways in which a model may be called, in the order in which they are thought of."""
    found: list[Call] = [(inputs, keywords)]
    if len(keywords) == 1 and not inputs:
        found.append((tuple(keywords.values()), {}))
    if len(inputs) == 1 and not keywords:
        (only,) = inputs
        if isinstance(only, (list, tuple)):
            found.append((tuple(only), {}))
        if isinstance(only, dict) and not set(only) & set(TARGETS):
            found.append(((), only))
    return found


def _which(model: Any, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> int:
    """The first of the ways that the model's forward can be called in, 0 if there is none."""
    arguments = inspect.Signature(_arguments(model))
    for which, (places, names) in enumerate(_calls(inputs, keywords)):
        try:
            arguments.bind(*places, **names)
        except TypeError:
            continue
        return which
    return 0


def check_call(model: Any, inputs: tuple[Any, ...], keywords: dict[str, Any], batch: Any) -> None:
    """Check that a model's forward takes what a batch has for it.

    Raises:
        ConfigurationError: if it takes fewer or more inputs, or others by name.
    """
    arguments = _arguments(model)
    try:
        if arguments:
            inspect.Signature(arguments).bind(*inputs, **keywords)
    except TypeError as error:
        taken = ", ".join(one.name for one in arguments)
        given = ", ".join(map(repr, keywords)) if keywords else f"{len(inputs)} by place"
        raise ConfigurationError(
            f"got {_in_words(batch)}, so that the model is given {given}, but its forward takes "
            f"({taken}): {error}. Make other batches with batch=, a function that is given the "
            "batch and returns (input, ..., target)"
        ) from None


_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _arguments(model: Any) -> list[inspect.Parameter]:
    """The parameters of a model's forward, none where they are not to be known."""
    while isinstance(model, Sequential) and len(model):
        model = model[0]
    if type(model).__call__ is not Module.__call__:
        return []
    try:
        return list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return []


def samples_in(batch: Any) -> int:
    """Return how many samples a batch has: the first dimension of the last tensor that has one.

    >>> samples_in((as_tensor(np.ones((4, 3))), "words", as_tensor(np.ones(4))))
    4
    """
    last = batch[-1] if isinstance(batch, (list, tuple)) and batch else batch
    if isinstance(last, Tensor) and last.array.ndim:
        return int(last.array.shape[0])
    sizes = [int(one.shape[0]) for one in leaves(batch) if isinstance(one, Tensor) and one.ndim]
    return sizes[-1] if sizes else 1


def on_device(batch: Any, device: Any) -> Any:
    """Return a batch with its tensors on a device, None for where they are; arrays become tensors.

    Raises:
        DeviceError: if this machine has no such device.
    """
    if isinstance(batch, Mapping) and not isinstance(batch, dict):
        batch = dict(batch)
    if isinstance(batch, (list, tuple)):
        # Most batches are tensors, all of them there: that is seen at once.
        for one in batch:
            if type(one) is not Tensor or (device is not None and device_of(one.array) != device):
                break
        else:
            return batch
    found = list(leaves(batch))
    if all(isinstance(one, Tensor) for one in found) and (
        device is None or all(device_of(one.array) == device for one in found)
    ):
        return batch

    def moved(item: Any) -> Any:
        if isinstance(item, np.ndarray) and item.dtype.kind in "biuf":
            item = as_tensor(item)
        return item.to(device=device) if isinstance(item, Tensor) and device is not None else item

    return mapped(moved, batch)


def batches(loader: DataLoader, device: Any, rearrange: Rearrange | None = None) -> Iterator[Any]:
    """Yield every batch of a loader on a device, each as a function makes it of what came."""
    for batch in loader.on(device):
        made = batch if rearrange is None else rearrange(batch)
        yield on_device(made, device)


def _in_words(batch: Any) -> str:
    if isinstance(batch, (list, tuple)):
        return f"{len(batch)} tensors a batch"
    if isinstance(batch, dict):
        return f"dictionaries of {', '.join(map(repr, batch))}"
    return f"a {type(batch).__name__} a batch"
