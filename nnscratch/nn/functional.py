"""Layers and losses as functions: each hands its inputs to one formula, under PyTorch's name.

The equations, and the errors that a formula raises, stand beside it in ``nnscratch.formulas``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from nnscratch import formulas as f
from nnscratch.array import Generator, dtype_name, is_floating
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.nn import activation_functions
from nnscratch.nn.loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cross_entropy,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import seed_and_offset
from nnscratch.tensors.functions import one_hot as _one_hot
from nnscratch.tensors.functions import sigmoid, tanh

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "dropout",
    "gelu",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "prelu",
    "sigmoid",
    "smooth_l1_loss",
    "softmax",
    "tanh",
]
__all__ += activation_functions.__all__


if TYPE_CHECKING:
    from nnscratch.nn.activation_functions import *  # noqa: F403
else:

    def __getattr__(name: str) -> Any:
        """Return the function of an activation, which is made when somebody asks for it."""
        try:
            return getattr(activation_functions, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        return sorted({*globals(), *dir(activation_functions)})


def linear(input: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return input Wᵀ + b for an input (..., in), W (out, in) and b (out,).

    Raises:
        DTypeError: if the input holds integers, or the dtypes differ.
        ShapeError: if the shapes do not fit.
    """
    x = as_tensor(input)
    if x.array.dtype != weight.array.dtype:
        given, own = dtype_name(x.array.dtype), dtype_name(weight.array.dtype)
        if not is_floating(x.array):
            raise DTypeError(f"linear: expected floating-point input, got {given}; call .float()")
        raise DTypeError(
            f"linear: the input is {given} but the weights are {own}; use x.to('{own}') or "
            f"model.to('{given}')"
        )
    return apply(f.LINEAR, x, weight, bias)


def dropout(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return the input with each element 0 by probability p, the others times 1 / (1 - p).

    Without ``training`` it is the input as it is. The random numbers come from the default
    generator unless another is given; a compiled step draws new ones each time. ``inplace`` writes
    the result into the input too.

    Raises:
        ConfigurationError: if p is not from 0 to 1.
    """
    x = as_tensor(input)
    if not 0.0 <= p <= 1.0:
        raise ConfigurationError(f"dropout: p is a probability from 0 to 1, got {p}")
    if not training or p == 0.0:
        return x
    seed, offset = seed_and_offset("uniform", x.numel(), "float32", generator)
    return _given_back(x, apply(f.DROPOUT, x, p=p, seed=seed, offset=offset), inplace)


def _given_back(x: Tensor, y: Tensor, inplace: bool) -> Tensor:
    """Return y, and as PyTorch does write it into the x that it was computed of, if asked."""
    return x._replace(y) if inplace else y


def prelu(input: Any, weight: Tensor) -> Tensor:
    """Return x where it is positive, weight · x elsewhere; one weight, or one a channel (dim 1)."""
    return apply(f.PRELU, as_tensor(input), weight)


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """Return x Φ(x) with the normal distribution Φ, or its "tanh" approximation."""
    if approximate not in ("none", "tanh"):
        raise ConfigurationError(f"gelu: approximate is 'none' or 'tanh', got {approximate!r}")
    return apply(f.GELU if approximate == "none" else f.GELU_TANH, as_tensor(input))


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Return the input divided by its p-norm along a dimension, or by ``eps`` if larger."""
    x = as_tensor(input)
    return x / x.norm(p, dim, keepdim=True).clamp(min=eps)


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return e^x over its sum along a dimension.

    Without ``dim`` it is dim 0 of 0, 1 or 3 dimensions and dim 1 of others, as in PyTorch, with a
    warning. ``dtype`` is what to compute in, and of the result.
    """
    x = as_tensor(input)
    found: Tensor = x.softmax(_dim_of(x, dim, "softmax", _stacklevel), dtype)
    return found


def log_softmax(
    input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """Return the logarithm of the softmax along a dimension, with the same arguments."""
    x = as_tensor(input)
    found: Tensor = x.log_softmax(_dim_of(x, dim, "log_softmax", _stacklevel), dtype)
    return found


def _dim_of(x: Tensor, dim: int | None, name: str, stacklevel: int) -> int:
    if dim is not None:
        return dim
    chosen = 0 if x.ndim in (0, 1, 3) else 1
    warnings.warn(
        f"{name} without a dimension takes dim={chosen} of an input with {x.ndim} dimensions; say "
        f"which with dim={chosen}, or dim=-1 for the last one",
        stacklevel=stacklevel,
    )
    return chosen


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """Return class indices (...) as int64 rows (..., K); K is the largest + 1 unless given."""
    return _one_hot(as_tensor(tensor), num_classes)
