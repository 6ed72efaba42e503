"""The linear layer."""

from __future__ import annotations

import math
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import Generator, default_dtype, is_floating
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.tensor import Tensor, apply, as_tensor


class Linear(Module):
    r"""Compute $y = x W^\top + b$ with W (out, in) and b (out,).

    Both start uniform in $\pm 1/\sqrt{\mathrm{in}}$, as in PyTorch
    (``kaiming_uniform_(a=sqrt(5))``).

    Args:
        in_features: the size of the last dimension of the input.
        out_features: the size of the last dimension of the output.
        bias: whether there is a b.

    Raises:
        ConfigurationError: if a size is not a positive integer.
        ShapeError, DTypeError: when called with an input that does not fit.

    >>> Linear(4, 2)(Tensor(default_generator.normal((3, 4)))).shape
    (3, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: Any = None,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters from a generator, the default one unless another is given."""
        super().__init__()
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(size, int) or size < 1:
                raise ConfigurationError(f"Linear: {name} must be an integer above 0, got {size!r}")
        self.in_features, self.out_features = in_features, out_features
        bound = 1.0 / math.sqrt(in_features)
        source = default_generator if generator is None else generator
        dtype = dtype or default_dtype()

        def draw(*shape: int) -> Parameter:
            return Parameter((source.uniform(shape, dtype) * 2.0 - 1.0) * bound)

        self.weight = draw(out_features, in_features)
        self.register_parameter("bias", draw(out_features) if bias else None)

    def forward(self, input: Any) -> Tensor:  # noqa: A002
        """Return input Wᵀ + b for an input (..., in)."""
        x = as_tensor(input)
        if not is_floating(x.array):
            raise DTypeError(
                f"linear: expected floating-point input, got {x.dtype}; call .float() on it"
            )
        if x.dtype != self.weight.dtype:
            raise DTypeError(
                f"linear: the input is {x.dtype} but the weights are {self.weight.dtype}; "
                f"use x.to('{self.weight.dtype}') or model.to('{x.dtype}')"
            )
        return apply(f.LINEAR, x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        bias = self._parameters["bias"] is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={bias}"
