"""Activations that change their input, under PyTorch's names with an underscore."""

from __future__ import annotations

from typing import Any

from nnscratch.nn import derived_functions as f
from nnscratch.nn.random_activations import rrelu
from nnscratch.tensors import Tensor

__all__ = [
    "celu_",
    "elu_",
    "hardtanh_",
    "leaky_relu_",
    "relu_",
    "rrelu_",
    "selu_",
    "threshold_",
]


def celu_(input: Any, alpha: float = 1.0) -> Tensor:
    """Change a tensor to its ``celu``, and return it."""
    return f.celu(input, alpha, inplace=True)


def elu_(input: Any, alpha: float = 1.0) -> Tensor:
    """Change a tensor to its ``elu``, and return it."""
    return f.elu(input, alpha, inplace=True)


def hardtanh_(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Change a tensor to its ``hardtanh``, and return it."""
    return f.hardtanh(input, min_val, max_val, inplace=True)


def leaky_relu_(input: Any, negative_slope: float = 0.01) -> Tensor:
    """Change a tensor to its ``leaky_relu``, and return it."""
    return f.leaky_relu(input, negative_slope, inplace=True)


def relu_(input: Any) -> Tensor:
    """Change a tensor to its ``relu``, and return it.

    >>> import nnscratch
    >>> x = nnscratch.tensor([-1.0, 2.0])
    >>> relu_(x) is x, x
    (True, tensor([0., 2.]))
    """
    return f.relu(input, inplace=True)


def rrelu_(
    input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """Change a tensor to its ``rrelu``, and return it."""
    return rrelu(input, lower, upper, training, inplace=True)


def selu_(input: Any) -> Tensor:
    """Change a tensor to its ``selu``, and return it."""
    return f.selu(input, inplace=True)


def threshold_(input: Any, threshold: float, value: float) -> Tensor:
    """Change a tensor to its ``threshold``, and return it."""
    return f.threshold(input, threshold, value, inplace=True)
