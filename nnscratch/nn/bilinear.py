"""The bilinear layer: a form of two inputs for each output."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn import init
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import empty

__all__ = ["Bilinear", "bilinear"]


def bilinear(input1: Any, input2: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Return $y_k = x_1^\top A_k x_2 + b_k$.

    Args:
        input1: (..., I).
        input2: (..., J).
        weight: A (O, I, J).
        bias: b (O,), or None.

    Raises:
        ShapeError: if the shapes do not fit.

    >>> from nnscratch import ones
    >>> bilinear(ones(2, 3), ones(2, 4), ones(5, 3, 4)).shape
    (2, 5)
    """
    a, b, weight = as_tensor(input1), as_tensor(input2), as_tensor(weight)
    sizes = (*a.shape[-1:], *b.shape[-1:])
    if weight.ndim != 3 or sizes != weight.shape[1:] or a.shape[:-1] != b.shape[:-1]:
        raise ShapeError(
            "bilinear: expected inputs (..., I) and (..., J) with a weight (O, I, J), got "
            f"{tuple(a.shape)}, {tuple(b.shape)} and {tuple(weight.shape)}"
        )
    outputs, first, second = weight.shape
    rows = math.prod(a.shape[:-1])
    forms = a.reshape(rows, first) @ weight.permute(1, 0, 2).reshape(first, outputs * second)
    products = forms.reshape(rows, outputs, second) @ b.reshape(rows, second, 1)
    y: Tensor = products.reshape(*a.shape[:-1], outputs)
    return y if bias is None else y + bias


class Bilinear(Module):
    r"""Compute $y_k = x_1^\top A_k x_2 + b_k$ of two inputs (..., I) and (..., J).

    Both A (O, I, J) and b (O,) start uniform in $\pm 1/\sqrt{I}$.

    Raises:
        ConfigurationError: if the first size is not above 0.
        ShapeError: when called with inputs that do not fit.

    >>> from nnscratch import ones
    >>> Bilinear(3, 4, 5)(ones(2, 3), ones(2, 4)).shape
    (2, 5)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters from the default generator."""
        if in1_features <= 0:
            raise ConfigurationError(f"Bilinear: in1_features must be above 0, got {in1_features}")
        super().__init__()
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(empty(*shape, dtype=dtype, device=device))
        made = Parameter(empty(out_features, dtype=dtype, device=device)) if bias else None
        self.register_parameter("bias", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both parameters anew."""
        bound = 1.0 / math.sqrt(self.in1_features)
        for parameter in self.parameters(recurse=False):
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Any, input2: Any) -> Tensor:
        """Return the forms of the two inputs."""
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        bias = self.bias is not None
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={bias}"
        )
