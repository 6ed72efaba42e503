"""The linear layer."""

from __future__ import annotations

import math
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import Generator
from nnscratch.array.wholes import whole_number
from nnscratch.nn import init
from nnscratch.nn.module import Module
from nnscratch.nn.options import need_one_dtype
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import empty

__all__ = ["Linear", "linear"]


def linear(input: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return input Wᵀ + b for an input (..., in), W (out, in) and b (out,).

    Raises:
        DTypeError: if the input holds integers, or the dtypes differ.
        ShapeError: if the shapes do not fit.
    """
    x = as_tensor(input)
    ours, other = x.array.dtype, weight.array.dtype
    if ours is not other and ours != other:  # before the call: a linear layer is a short one
        need_one_dtype("linear", x, weights=weight)
    return apply(f.LINEAR, x, weight, bias)


class Linear(Module):
    r"""Compute $y = x W^\top + b$ with W (out, in) and b (out,).

    Both start uniform in $\pm 1/\sqrt{\mathrm{in}}$, as in PyTorch
    (``kaiming_uniform_(a=sqrt(5))``).

    Args:
        in_features: the size of the last dimension of the input.
        out_features: the size of the last dimension of the output.
        bias: whether there is a b.

    Raises:
        ConfigurationError: if a size is negative or no integer.
        ShapeError, DTypeError: when called with an input that does not fit.

    >>> from nnscratch import zeros
    >>> Linear(4, 2)(zeros(3, 4)).shape
    (3, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters from a generator, the default one unless another is given."""
        super().__init__()
        in_features = whole_number("Linear: in_features", in_features, 0)
        out_features = whole_number("Linear: out_features", out_features, 0)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, dtype=dtype, device=device))
        made = Parameter(empty(out_features, dtype=dtype, device=device)) if bias else None
        self.register_parameter("bias", made)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw both parameters anew."""
        bound = 1.0 / math.sqrt(self.in_features) if self.in_features else 0.0
        for parameter in self.parameters(recurse=False):
            init.uniform_(parameter, -bound, bound, generator)

    def forward(self, input: Any) -> Tensor:
        """Return input Wᵀ + b for an input (..., in)."""
        own = self._parameters
        return linear(input, own["weight"], own["bias"])

    def extra_repr(self) -> str:
        """Return the sizes."""
        bias = self.bias is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={bias}"
