"""A layer and the batch normalisation behind it as one layer, for evaluation."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar

from nnscratch.errors import ConfigurationError
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors.creation import zeros_like
from nnscratch.tensors.grad_mode import no_grad

Layer = TypeVar("Layer", bound=Module)


def fuse_conv_bn_eval(conv: Layer, bn: Module, transpose: bool = False) -> Layer:
    r"""Return a convolution that computes what it and the batch normalisation do, in evaluation.

    With $s = \gamma / \sqrt{\sigma^2 + \epsilon}$ its weight is $s W$ and its bias
    $s (b - \mu) + \beta$.

    Args:
        conv: a convolution, or a linear layer, in evaluation.
        bn: the batch normalisation, with running statistics, in evaluation.
        transpose: whether the output channels are dimension 1 of the weight.

    Raises:
        ConfigurationError: if one is in training, or there are no running statistics.

    >>> from nnscratch import nn
    >>> fuse_conv_bn_eval(nn.Conv1d(2, 3, 1, bias=False).eval(), nn.BatchNorm1d(3).eval())
    Conv1d(2, 3, kernel_size=(1,), stride=(1,))
    """
    if conv.training or bn.training:
        raise ConfigurationError("to be fused, both must be in evaluation; call .eval() on them")
    norm: Any = bn
    if norm.running_mean is None or norm.running_var is None:
        raise ConfigurationError("to be fused, the batch normalisation needs running statistics")
    made: Any = deepcopy(conv)
    with no_grad():
        scale = (norm.running_var + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight
        old = zeros_like(norm.running_mean) if made.bias is None else made.bias
        bias = (old - norm.running_mean) * scale
        if norm.bias is not None:
            bias = bias + norm.bias
        shape = [1] * made.weight.ndim
        shape[1 if transpose else 0] = -1
        weight = made.weight * scale.reshape(*shape)
    made.weight = Parameter(weight.to(made.weight.dtype), made.weight.requires_grad)
    made.bias = Parameter(bias.to(made.weight.dtype), old.requires_grad)
    found: Layer = made
    return found


def fuse_linear_bn_eval(linear: Layer, bn: Module) -> Layer:
    """Return a linear layer that computes what it and the batch normalisation do, in evaluation.

    Raises:
        ConfigurationError: as ``fuse_conv_bn_eval`` does, and if the numbers of features differ.
    """
    sizes: Any = linear, bn
    if sizes[0].out_features != sizes[1].num_features and sizes[1].num_features != 1:
        raise ConfigurationError(
            f"a linear layer with {sizes[0].out_features} outputs cannot be fused with a batch "
            f"normalisation of {sizes[1].num_features}"
        )
    return fuse_conv_bn_eval(linear, bn)
