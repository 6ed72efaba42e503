"""Instance normalisation: each channel of each example by its own statistics."""

from __future__ import annotations

import math
from typing import Any

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError, ShapeError, warn
from nnscratch.nn.batch_norm import NormBase, follow, need_channels, standardized
from nnscratch.tensors import Tensor, apply, as_tensor

__all__ = ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "instance_norm"]


def instance_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Return $W (x - \mu) / \sqrt{\sigma^2 + \epsilon} + b$ for each channel of each picture.

    μ and σ² are the mean and the (biased) variance of that channel of that picture, in (N, C, ...);
    running values, where they are given, follow the averages over the pictures. Without
    ``use_input_stats`` μ and σ² are the running values.

    Raises:
        ShapeError: if a channel has one value, or the sizes do not fit.
        ConfigurationError: if there are no running values to be used.
    """
    x = as_tensor(input)
    if x.ndim < 2:
        raise ShapeError(f"instance_norm: expected an input (N, C, ...), got shape {x.shape}")
    need_channels("instance_norm", x, running_mean, running_var, weight, bias)
    if not use_input_stats:
        if running_mean is None:
            raise ConfigurationError(
                "instance_norm: running_mean and running_var are needed without use_input_stats"
            )
        return apply(f.BATCH_NORM_INFERENCE, x, running_mean, running_var, weight, bias, eps=eps)
    values = math.prod(x.shape[2:])
    if values == 1:
        raise ShapeError(
            f"instance_norm: expected more than 1 spatial element in training, got {x.shape}"
        )
    y, M, V = standardized(x, weight, bias, tuple(range(2, x.ndim)), eps)
    if running_mean is not None:
        follow(running_mean, running_var, None, M, V, momentum, values)
    return y


class _InstanceNorm(NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make the parameters and the running statistics that are asked for."""
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Any) -> Tensor:
        """Return the normalised input, (N, C, ...) or (C, ...)."""
        x = as_tensor(input)
        self._check_input_dim(x)
        batched = x.ndim == self.dims[-1]
        channels = x.shape[1 if batched else 0]
        if channels != self.num_features:
            said = (
                f"{type(self).__name__}: expected {self.num_features} channels (num_features), got "
                f"{channels} in an input of shape {x.shape}"
            )
            if self.affine:
                raise ShapeError(said)
            warn(said)
        held, own = self._buffers, self._parameters
        y = instance_norm(
            x if batched else x.unsqueeze(0),
            held["running_mean"],
            held["running_var"],
            own["weight"],
            own["bias"],
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y if batched else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    r"""Normalise each channel of each example of (N, C, L) or (C, L) by its own mean and variance.

    $y = W (x - \mu) / \sqrt{\sigma^2 + \epsilon} + b$, W and b only if ``affine``. With running
    statistics, which follow the averages over the batch, evaluation uses these.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: how far the running statistics follow a batch.
        affine: whether there are W and b; b also takes ``bias``.
        track_running_stats: whether there are running statistics.

    Raises:
        ShapeError: when called with an input of other sizes, or one value a channel.

    >>> from nnscratch import tensor
    >>> InstanceNorm1d(1)(tensor([[[0.0, 2.0]]]))
    tensor([[[-0.999995,  0.999995]]])
    """

    dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each picture (N, C, H, W), as ``InstanceNorm1d`` says.

    >>> from nnscratch import zeros
    >>> InstanceNorm2d(3)(zeros(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalise each channel of each volume (N, C, D, H, W), as ``InstanceNorm1d`` says.

    >>> from nnscratch import zeros
    >>> InstanceNorm3d(3)(zeros(2, 3, 2, 2, 2)).shape
    (2, 3, 2, 2, 2)
    """

    dims = (4, 5)
