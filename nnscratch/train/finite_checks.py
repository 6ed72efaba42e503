"""Where a NaN or an infinity first appeared: in the data, a parameter, a layer, or the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnscratch.array import array_namespace, is_floating, to_numpy
from nnscratch.errors import ConfigurationError
from nnscratch.graph.nested import leaves
from nnscratch.nn import Module
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.train.batches import parts_of


def all_finite(array: Any) -> bool:
    """Say whether no element of an array is NaN or infinite."""
    if not is_floating(array):
        return True
    xp = array_namespace(array)
    return bool(to_numpy(xp.all(xp.isfinite(array))).item())


def bad_parameter(model: Module) -> str | None:
    """Return the name of the first parameter or buffer that is not finite, None if all are."""
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor) and not all_finite(tensor.array):
            return name
    return None


def what(array: Any) -> str:
    """Return in words how many of an array's values are not finite."""
    xp = array_namespace(array)
    bad = int(to_numpy(xp.sum(xp.astype(~xp.isfinite(array), xp.int64))).item())
    return f"{bad:,} of {math.prod(array.shape):,} values NaN or infinite"


def bad_batch(batch: Any) -> str | None:
    """Return in words which tensor of a batch is not finite, None if all are."""
    try:
        parts = parts_of(batch)
        named = [*parts.named_inputs, ("targets", parts.target)]
    except ConfigurationError:
        named = [("tensors", batch)]
    for name, item in named:
        for one in leaves(item):
            if isinstance(one, Tensor) and not all_finite(one.array):
                return f"the {name} of the batch have {what(one.array)}"
    return None


def locate(model: Module, forward: Callable[[Any], tuple[Tensor, Any]], batch: Any) -> str:
    """Run a batch forward and return in words where the first non-finite value appears.

    Args:
        model: the model.
        forward: returns the loss and the output of a batch.
        batch: the batch whose loss was not finite.
    """
    if found_in_data := bad_batch(batch):
        return found_in_data
    name = bad_parameter(model) or ""
    if name:
        array = model.state_dict()[name].array
        return f"the parameter {name!r} has {what(array)}, from the update of the step before"
    found: list[str] = []
    handles = [
        module.register_forward_hook(_watch(path, found))
        for path, module in model.named_modules()
        if next(module.children(), None) is None
    ]
    try:
        with no_grad():
            _, output = forward(batch)
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    for one in leaves(output):
        if isinstance(one, Tensor) and not all_finite(one.array):
            return f"the model's forward gives {what(one.array)}"
    return "the loss itself, for the outputs of the model are finite"


def _watch(path: str, found: list[str]) -> Callable[..., None]:
    def hook(module: Module, inputs: Any, output: Any) -> None:
        for one in leaves(output):
            if not found and isinstance(one, Tensor) and not all_finite(one.array):
                layer = f"layer {path!r} ({module!r})" if path else f"the model ({module!r})"
                found.append(f"{layer} gives {what(one.array)}")

    return hook
