"""Normalisation of each example by itself: layer, RMS and group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import dtype_name
from nnscratch.array.wholes import as_index
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn.module import Module
from nnscratch.nn.options import listed, need_one_dtype
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, apply, apply_first, as_tensor
from nnscratch.tensors.creation import ones, zeros

__all__ = [
    "GroupNorm",
    "LayerNorm",
    "RMSNorm",
    "group_norm",
    "layer_norm",
    "rms_norm",
]


def layer_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Return $W (x - \mu) / \sqrt{\sigma^2 + \epsilon} + b$ over the last axes.

    Args:
        input: (..., *normalized_shape).
        normalized_shape: the sizes of the last axes, over which μ and the (biased) σ² are taken.
        weight: W, of these sizes; None for 1.
        bias: b, of these sizes; None for 0.
        eps: ε.

    Raises:
        ShapeError: if the sizes do not fit.
        DTypeError: if the input holds integers, or the dtypes differ.
    """
    x = as_tensor(input)
    shape = _need_last("layer_norm", x, normalized_shape, weight=weight, bias=bias)
    first = x.ndim - len(shape)
    axes = tuple(range(first, x.ndim))
    return apply_first(f.STANDARDIZE, x, weight, bias, axes=axes, first=first, eps=eps)[0]


def rms_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    r"""Return $W x / \sqrt{\overline{x^2} + \epsilon}$, the mean of squares over the last axes.

    Without ``eps`` ε is the distance from 1 to the next number of the dtype that it computes in,
    which is float32 for float16.

    Raises:
        ShapeError: if the sizes do not fit.
        DTypeError: if the input holds integers, or the dtypes differ.
    """
    x = as_tensor(input)
    shape = _need_last("rms_norm", x, normalized_shape, weight=weight)
    if eps is None:
        wide = "float64" if dtype_name(x.array.dtype) == "float64" else "float32"
        eps = float(np.finfo(wide).eps)
    return apply(f.RMS_NORM, x, weight, dims=len(shape), eps=eps)


def group_norm(
    input: Any,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Return $W (x - \mu) / \sqrt{\sigma^2 + \epsilon} + b$, μ and σ² of groups of channels.

    Args:
        input: (N, C, ...).
        num_groups: how many groups C is divided into, for each of which and each example μ and σ²
            are taken.
        weight: W, (C,); None for 1.
        bias: b, (C,); None for 0.
        eps: ε.

    Raises:
        ShapeError: if C is not divisible, the sizes do not fit, or there is one example with
            one value a group.
        DTypeError: if the input holds integers, or the dtypes differ.
    """
    x = as_tensor(input)
    if x.ndim < 2:
        raise ShapeError(f"group_norm: expected an input (N, C, ...), got shape {x.shape}")
    count, channels = x.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise ShapeError(
            f"group_norm: {channels} channels of an input of shape {x.shape} cannot be divided "
            f"into {num_groups} groups"
        )
    for name, held in (("weight", weight), ("bias", bias)):
        if held is not None and held.shape != (channels,):
            raise ShapeError(
                f"group_norm: expected {name} of shape ({channels},), one for each channel of an "
                f"input of shape {x.shape}, got {held.shape}"
            )
    need_one_dtype("group_norm", x, weight=weight, bias=bias)
    if not x.numel():
        # There is nothing to normalise, but the parameters have a gradient: 0, as in PyTorch.
        y, wide = x.clone(), (channels, *[1] * (x.ndim - 2))
        y = y if weight is None else y * weight.reshape(wide)
        return y if bias is None else y + bias.reshape(wide)
    size = channels // num_groups
    if x.numel() == count * num_groups and count == 1:
        raise ShapeError(
            f"group_norm: expected more than 1 value per group, got {x.shape} and {num_groups} "
            "groups"
        )
    grouped = x.reshape(count, num_groups, size, -1)
    parts = [None if one is None else one.reshape(num_groups, size) for one in (weight, bias)]
    y, _ = apply_first(f.STANDARDIZE, grouped, *parts, axes=(2, 3), first=1, eps=eps)
    return y.reshape(x.shape)


def _sizes(where: str, normalized_shape: Any) -> tuple[int, ...]:
    shape = tuple(normalized_shape) if listed(normalized_shape) else (normalized_shape,)
    made = tuple([size for size in map(as_index, shape) if size is not None and size >= 0])
    if not shape or len(made) < len(shape):
        raise ConfigurationError(
            f"{where}: normalized_shape is the sizes of the last axes, at least one, got "
            f"{normalized_shape!r}"
        )
    return made


def _need_last(
    where: str, x: Tensor, normalized_shape: Any, **held: Tensor | None
) -> tuple[int, ...]:
    shape = _sizes(where, normalized_shape)
    if x.array.shape[-len(shape) :] != shape:
        sizes = ", ".join(map(str, shape))
        raise ShapeError(
            f"{where}: given normalized_shape={list(shape)}, expected an input of shape "
            f"(..., {sizes}), got {x.shape}"
        )
    for name, one in held.items():
        if one is not None and one.array.shape != shape:
            raise ShapeError(
                f"{where}: expected {name} of the shape of normalized_shape, {shape}, got "
                f"{one.shape}"
            )
    need_one_dtype(where, x, **held)
    return shape


class LayerNorm(Module):
    r"""Normalise the last axes of each example: $y = W (x - \mu) / \sqrt{\sigma^2 + \epsilon} + b$.

    Args:
        normalized_shape: the sizes of the last axes, over which μ and the (biased) σ² are taken;
            one number for the last axis.
        eps: ε, added to the variance.
        elementwise_affine: whether there are W and b, of the shape of ``normalized_shape``.
        bias: whether there is b.

    Raises:
        ShapeError: when called with an input whose last axes have other sizes.

    >>> from nnscratch import tensor
    >>> LayerNorm(2)(tensor([[0.0, 2.0]])).detach()
    tensor([[-0.999995,  0.999995]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make weights of 1 and biases of 0."""
        super().__init__()
        self.normalized_shape = _sizes("LayerNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        kind = {"dtype": dtype, "device": device}
        weight = ones(self.normalized_shape, **kind) if elementwise_affine else None
        shift = zeros(self.normalized_shape, **kind) if elementwise_affine and bias else None
        self.register_parameter("weight", None if weight is None else Parameter(weight))
        self.register_parameter("bias", None if shift is None else Parameter(shift))

    def reset_parameters(self) -> None:
        """Begin anew: weights of 1 and biases of 0."""
        _reset(self)

    def forward(self, input: Any) -> Tensor:
        """Return the normalised input (..., *normalized_shape)."""
        own = self._parameters
        return layer_norm(input, self.normalized_shape, own["weight"], own["bias"], self.eps)

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, "
            f"bias={self._parameters['bias'] is not None}"
        )


class RMSNorm(Module):
    r"""Divide the last axes of each example by the root of their mean square, and scale them.

    $$y = W \frac{x}{\sqrt{\frac{1}{n} \sum_i x_i^2 + \epsilon}}$$

    Args:
        normalized_shape: the sizes of the last axes, over which the mean is taken.
        eps: ε; None for the distance from 1 to the next number of the dtype, of float32 for
            float16, which is computed in float32.
        elementwise_affine: whether there is W, of the shape of ``normalized_shape``.

    Raises:
        ShapeError: when called with an input whose last axes have other sizes.

    >>> from nnscratch import tensor
    >>> RMSNorm(2, eps=0.0)(tensor([[-2.0, 2.0]])).detach()
    tensor([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make weights of 1."""
        super().__init__()
        self.normalized_shape = _sizes("RMSNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        made = ones(self.normalized_shape, dtype=dtype, device=device)
        self.register_parameter("weight", Parameter(made) if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """Begin anew: weights of 1."""
        _reset(self)

    def forward(self, input: Any) -> Tensor:
        """Return the normalised input (..., *normalized_shape)."""
        return rms_norm(input, self.normalized_shape, self._parameters["weight"], self.eps)

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    r"""Normalise each group of channels of each example of (N, C, ...).

    $$y = W \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + b$$

    Args:
        num_groups: how many groups the channels are divided into; μ and the (biased) σ² are those
            of a group in one example.
        num_channels: C.
        eps: ε, added to the variance.
        affine: whether there are W and b, (C,); b also takes ``bias``.

    Raises:
        ConfigurationError: if the channels cannot be divided.
        ShapeError: when called with an input of other sizes.

    >>> from nnscratch import tensor
    >>> GroupNorm(2, 4)(tensor([[[0.0], [2.0], [1.0], [5.0]]])).detach().flatten()
    tensor([-0.999995 ,  0.999995 , -0.9999988,  0.9999988])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make weights of 1 and biases of 0."""
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ConfigurationError(
                f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups "
                f"({num_groups})"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        kind = {"dtype": dtype, "device": device}
        weight = ones(num_channels, **kind) if affine else None
        shift = zeros(num_channels, **kind) if affine and bias else None
        self.register_parameter("weight", None if weight is None else Parameter(weight))
        self.register_parameter("bias", None if shift is None else Parameter(shift))

    def reset_parameters(self) -> None:
        """Begin anew: weights of 1 and biases of 0."""
        _reset(self)

    def forward(self, input: Any) -> Tensor:
        """Return the normalised input (N, C, ...)."""
        own = self._parameters
        return group_norm(input, self.num_groups, own["weight"], own["bias"], self.eps)

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self._parameters['bias'] is not None}"
        )


def _reset(module: Module) -> None:
    for name, value in (("weight", 1.0), ("bias", 0.0)):
        held = module._parameters.get(name)
        if held is not None:
            held.detach().fill_(value)
