"""Settings of Keras' layers: each is looked at, and what is not read here is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.errors import CheckpointError

Config = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softmax": lambda: nn.Softmax(-1),
    "log_softmax": lambda: nn.LogSoftmax(-1),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_silu": nn.Hardswish,
    "mish": nn.Mish,
}


def number(config: Config, name: str, default: float | None = None) -> Any:
    """Return a setting that is a finite number."""
    value = config.get(name, default)
    if type(value) not in (int, float) or not math.isfinite(value):
        raise CheckpointError(f"{name} is {str(value)[:40]!r}; expected a number")
    return value


def sizes(config: Config, name: str, count: int) -> tuple[int, ...]:
    """Return a setting of so many whole numbers from 1, or of one for all."""
    value = config.get(name)
    if type(value) is int:
        value = [value] * count
    if type(value) is not list or len(value) != count or any(type(v) is not int for v in value):
        raise CheckpointError(f"{name} is {str(value)[:40]!r}; expected {count} whole numbers")
    if any(not 1 <= v <= 1 << 20 for v in value):
        raise CheckpointError(f"{name} is {value}; expected numbers from 1")
    return tuple(value)


def only(config: Config, name: str, *allowed: Any) -> Any:
    """Return a setting that has one of the values that are read."""
    value = config.get(name, allowed[0])
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise CheckpointError(
            f"{name} is {str(value)[:60]!r}; what is read is {' or '.join(map(repr, allowed))}"
        )
    return value


def activation_of(config: Config, name: str = "activation") -> nn.Module | None:
    """Return the activation of a layer, None if it has none."""
    value = config.get(name)
    if value in (None, "linear"):
        return None
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise CheckpointError(
            f"{name} is {str(value)[:60]!r}; what is read is linear, "
            f"{', '.join(sorted(ACTIVATIONS))}"
        )
    return ACTIVATIONS[value]()


def kernel_shape(stored: Arrays, path: str, dimensions: int) -> tuple[int, ...]:
    """Return the shape of an array that has to be there, of so many dimensions."""
    array = stored.get(path)
    if array is None or array.ndim != dimensions:
        found = "none" if array is None else f"the shape {array.shape}"
        raise CheckpointError(f"expected an array {path} of {dimensions} dimensions, found {found}")
    if 0 in array.shape:
        raise CheckpointError(f"the array {path} is empty")
    return array.shape


def agree(config: Config, name: str, value: int) -> None:
    """Check that a setting is what the weights say."""
    if config.get(name, value) != value:
        raise CheckpointError(f"{name} is {str(config[name])[:40]}, its weights have {value}")
