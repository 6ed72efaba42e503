r"""Activations as modules: those that are more than their formula, and all the others.

With ``inplace=True`` the input has the result afterwards, as in PyTorch. In a graph that saves no
memory: what the derivatives need is kept all the same.
"""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError, ShapeError, warn
from nnscratch.nn import derived_functions
from nnscratch.nn.module import Module
from nnscratch.nn.options import FunctionModule
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import full
from nnscratch.tensors.functions import sigmoid, tanh

__all__ = [
    "GELU",
    "GLU",
    "Hardtanh",
    "LogSoftmax",
    "PReLU",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "gelu",
    "glu",
    "log_softmax",
    "prelu",
    "sigmoid",
    "softmax",
    "softmin",
    "tanh",
]


def prelu(input: Any, weight: Tensor) -> Tensor:
    """Return x where it is positive, weight · x elsewhere; one weight, or one a channel (dim 1)."""
    slopes = as_tensor(weight)
    return apply(f.PRELU, as_tensor(input), slopes if slopes.ndim else slopes.reshape(1))


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """Return x Φ(x) with the normal distribution Φ, or its "tanh" approximation."""
    if approximate not in ("none", "tanh"):
        raise ConfigurationError(f"gelu: approximate is 'none' or 'tanh', got {approximate!r}")
    return apply(f.GELU if approximate == "none" else f.GELU_TANH, as_tensor(input))


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return e^x over its sum along a dimension.

    Without ``dim`` it is dim 0 of 0, 1 or 3 dimensions and dim 1 of others, as in PyTorch, with a
    warning. ``dtype`` is what to compute in, and of the result; ``_stacklevel`` is PyTorch's, and
    changes nothing: a warning names the line that called nnscratch.
    """
    x = as_tensor(input)
    found: Tensor = x.softmax(_dim_of(x, dim, "softmax"), dtype)
    return found


def log_softmax(
    input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """Return the logarithm of the softmax along a dimension, with the same arguments."""
    x = as_tensor(input)
    found: Tensor = x.log_softmax(_dim_of(x, dim, "log_softmax"), dtype)
    return found


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return the softmax of -x along a dimension, with the same arguments."""
    x = as_tensor(input)
    found: Tensor = (-x).softmax(_dim_of(x, dim, "softmin"), dtype)
    return found


def glu(input: Any, dim: int = -1) -> Tensor:
    """Return a σ(b) of the two halves a and b of a dimension.

    Raises:
        ShapeError: if the size of the dimension is odd, or there is none.

    >>> glu([3.0, 0.0])
    tensor([1.5])
    """
    x = as_tensor(input)
    if not x.ndim:
        raise ShapeError("glu: expected at least one dimension to halve, got a number")
    if not -x.ndim <= dim < x.ndim:
        raise IndexError(f"glu: dim={dim} is out of range for {x.ndim} dimensions")
    if x.shape[dim] % 2:
        raise ShapeError(
            f"glu: the dimension that is halved must be even, but dim={dim} of an input of shape "
            f"{tuple(x.shape)} is of size {x.shape[dim]}"
        )
    half = x.shape[dim] // 2
    a, b = x.split([half, half], dim)
    found: Tensor = a * b.sigmoid()
    return found


def _dim_of(x: Tensor, dim: int | None, name: str) -> int:
    if dim is not None:
        return dim
    chosen = 0 if x.ndim in (0, 1, 3) else 1
    warn(
        f"{name} without a dimension takes dim={chosen} of an input with {x.ndim} dimensions; say "
        f"which with dim={chosen}, or dim=-1 for the last one",
    )
    return chosen


class PReLU(Module):
    r"""$y = x$ where x is positive, $a x$ elsewhere; a is learned, one or one a channel (dim 1).

    Raises:
        ShapeError: when called with an input of another number of channels.

    >>> from nnscratch import tensor
    >>> PReLU()(tensor([-1.0, 2.0])).detach()
    tensor([-0.25,  2.  ])
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        """Start every a at ``init``."""
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), dtype=dtype, device=device))

    def forward(self, input: Any) -> Tensor:
        """Return the activation of the input."""
        return prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the number of learned slopes."""
        return f"num_parameters={self.num_parameters}"


class GELU(FunctionModule, function=gelu, approximate="none"):
    r"""$y = x \Phi(x)$ with the normal distribution; ``approximate="tanh"`` is the older form."""


def hardtanh(input: Any, *args: Any, **options: Any) -> Tensor:
    """Call the function of that name, which is made when it is first asked for."""
    return derived_functions.hardtanh(input, *args, **options)


class Hardtanh(
    FunctionModule,
    function=hardtanh,
    min_val=-1.0,
    max_val=1.0,
    inplace=False,
    min_value=None,
    max_value=None,
):
    r"""$y = \min(\max(x, a), b)$.

    ``min_value`` and ``max_value`` are PyTorch's words of old, taken with a warning.

    Raises:
        ConfigurationError: if ``max_val`` is not above ``min_val``.
    """

    unkept = ("min_value", "max_value")

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        found = super()._read(args, kwargs)
        for old, name in zip(self.unkept, ("min_val", "max_val"), strict=True):
            value = found.pop(old)
            if value is not None:
                message = f"Hardtanh({old}=) is PyTorch's word of old; write {name}={value!r}"
                warn(message, FutureWarning)
                found[name] = value
        return found

    def _check(self, found: dict[str, Any]) -> None:
        low, high = found["min_val"], found["max_val"]
        if not high > low:
            raise ConfigurationError(f"Hardtanh: max_val must be above min_val={low}, got {high}")


class _AlongDimension(FunctionModule):
    """The base of what is computed along a dimension that may be left out."""

    def forward(self, input: Any) -> Tensor:
        """Return the function of the input."""
        return type(self).function(input, dim=self.dim)


class Softmax(_AlongDimension, function=softmax, dim=None):
    r"""$y_i = e^{x_i} / \sum_j e^{x_j}$ along a dimension; see ``functional.softmax``.

    >>> from nnscratch import tensor
    >>> Softmax(dim=1)(tensor([[0.0, 0.0]]))
    tensor([[0.5, 0.5]])
    """


class LogSoftmax(_AlongDimension, function=log_softmax, dim=None):
    r"""$y_i = x_i - \log \sum_j e^{x_j}$ along a dimension."""


class Softmin(_AlongDimension, function=softmin, dim=None):
    r"""$y_i = e^{-x_i} / \sum_j e^{-x_j}$ along a dimension."""


class Softmax2d(Module):
    """The softmax over the channels of each pixel, of images (N, C, H, W) or (C, H, W).

    Raises:
        ShapeError: when called with another number of dimensions.

    >>> from nnscratch import zeros
    >>> Softmax2d()(zeros(1, 2, 1, 1)).tolist()
    [[[[0.5]], [[0.5]]]]
    """

    def forward(self, input: Any) -> Tensor:
        """Return the softmax over the channels."""
        x = as_tensor(input)
        if x.ndim not in (3, 4):
            raise ShapeError(
                f"Softmax2d: expected an input (N, C, H, W) or (C, H, W), got {tuple(x.shape)}"
            )
        found: Tensor = x.softmax(-3)
        return found


class GLU(FunctionModule, function=glu, dim=-1):
    r"""$a \odot \sigma(b)$ of the two halves of a dimension (Dauphin and others 2017)."""
