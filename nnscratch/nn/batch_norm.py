"""Batch normalisation: by the statistics of each channel, with running averages of these."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import registry
from nnscratch.nn.module import Module
from nnscratch.nn.options import need_one_dtype
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, apply, apply_first, as_tensor
from nnscratch.tensors.creation import ones, tensor, zeros

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "batch_norm",
]


def batch_norm(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Return $W (x - \mu) / \sqrt{\sigma^2 + \epsilon} + b$ for each channel of (N, C, ...).

    In training μ and σ² are the mean and the (biased) variance of the batch, and the running
    values, where they are given, become $(1 - m) r + m s$ in place, by the unbiased variance.
    Otherwise μ and σ² are the running values.

    Raises:
        ShapeError: if a channel has one value in training, or the sizes do not fit.
        ConfigurationError: if there are no running values and it is not training.
    """
    return _batch_norm(
        as_tensor(input), running_mean, running_var, weight, bias, training, momentum, eps, None
    )


def _batch_norm(
    x: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float | None,
    eps: float,
    count: Tensor | None,
) -> Tensor:
    """Do what ``batch_norm`` says; a count grows by 1, and is what a momentum of None refers to."""
    if x.ndim < 2:
        if x.shape == (0,):  # as in PyTorch, an empty batch has no number of axes
            return x.clone()
        raise ShapeError(f"batch_norm: expected an input (N, C, ...), got shape {x.shape}")
    need_channels("batch_norm", x, mean, var, weight, bias)
    if not training:
        if mean is None:
            raise ConfigurationError(
                "batch_norm: running_mean and running_var are needed outside of training; pass "
                "them, or training=True"
            )
        return apply(f.BATCH_NORM_INFERENCE, x, mean, var, weight, bias, eps=eps)
    values = math.prod(x.shape) // x.shape[1] if x.shape[1] else 0
    if values == 1:
        raise ShapeError(
            f"batch_norm: expected more than 1 value per channel in training, got {x.shape}; use a "
            "larger batch, or call eval()"
        )
    if eps <= 0.0:
        raise ConfigurationError(
            f"batch_norm: eps must be above 0 in training, for channels of one value; got {eps}"
        )
    axes = (0, *range(2, x.ndim))
    y, M, V = standardized(x, weight, bias, axes, eps)
    if mean is not None:
        follow(mean, var, count, M, V, momentum, values)
    return y


def standardized(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: tuple[int, ...], eps: float
) -> tuple[Tensor, Any, Any]:
    """Return x normalised over axes and scaled by channels.

    The mean and the biased variance are arrays: they are for the running values, which have no
    gradient.
    """
    y, (M, V) = apply_first(f.STANDARDIZE, x, weight, bias, axes=axes, first=1, eps=eps)
    return y, M, V


def need_channels(
    where: str,
    x: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
) -> None:
    """Check that there is one number of x's dtype for each channel of (N, C, ...).

    Raises:
        ConfigurationError: if there is a running mean and no variance, or the other way round.
        ShapeError, DTypeError: naming the one that does not fit.
    """
    if (mean is None) is not (var is None):
        raise ConfigurationError(
            f"{where}: running_mean and running_var must either both be given or neither"
        )
    channels = x.shape[1]
    named = {"running_mean": mean, "running_var": var, "weight": weight, "bias": bias}
    for name, held in named.items():
        if held is None:
            continue
        if held.array.shape != (channels,):
            raise ShapeError(
                f"{where}: the input of shape {x.shape} has {channels} channels (axis 1), but "
                f"{name} is of shape {held.shape}"
            )
        need_one_dtype(where, x, **{name: held})


def follow(
    mean: Tensor,
    var: Tensor | None,
    count: Tensor | None,
    M: Any,
    V: Any,
    momentum: float | None,
    values: int,
) -> None:
    """Let the running values follow the batch's; nothing follows an empty batch, as in PyTorch."""
    assert var is not None
    if not M.size or not values:
        if count is not None:
            count += 1
        return
    registry.update(
        f.RUNNING_STATISTICS,
        mean.array,
        var.array,
        None if count is None else count.array,
        M,
        V,
        momentum=momentum,
        correction=values / (values - 1),
    )
    for changed in (mean, var, count):
        if changed is not None:
            changed._version[0] += 1


class NormBase(Module):
    """What batch and instance normalisation have in common: parameters and running statistics."""

    # How many axes an input may have.
    dims: ClassVar[tuple[int, ...]]

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        """Make weights of 1 and biases of 0, a running mean of 0 and a running variance of 1."""
        super().__init__()
        if num_features < 0:
            raise ConfigurationError(
                f"{type(self).__name__}: num_features must be at least 0, got {num_features}"
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        kind = {"dtype": dtype, "device": device}
        size = (num_features,)
        self.register_parameter("weight", Parameter(ones(size, **kind)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(size, **kind)) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(size, **kind) if tracked else None)
        self.register_buffer("running_var", ones(size, **kind) if tracked else None)
        self.register_buffer(
            "num_batches_tracked", tensor(0, dtype="int64", device=device) if tracked else None
        )

    def reset_running_stats(self) -> None:
        """Begin the running statistics anew: mean 0, variance 1, no batch seen."""
        if self.track_running_stats:
            for held, value in (
                (self.running_mean, 0.0),
                (self.running_var, 1.0),
                (self.num_batches_tracked, 0),
            ):
                assert held is not None
                held.fill_(value)

    def reset_parameters(self) -> None:
        """Begin anew: weights of 1, biases of 0, and the running statistics."""
        self.reset_running_stats()
        for held, value in ((self._parameters["weight"], 1.0), (self._parameters["bias"], 0.0)):
            if held is not None:
                held.detach().fill_(value)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self.dims:
            wanted = " or ".join(f"{count}D" for count in self.dims)
            raise ShapeError(
                f"{type(self).__name__}: expected {wanted} input, got {input.ndim}D input of shape "
                f"{input.shape}"
            )

    def extra_repr(self) -> str:
        """Return the options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self._parameters['bias'] is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(NormBase):
    def forward(self, input: Any) -> Tensor:
        """Return the normalised input; in training the running statistics follow it."""
        x = as_tensor(input)
        self._check_input_dim(x)
        held, own = self._buffers, self._parameters
        mean, var = held["running_mean"], held["running_var"]
        training = self.training or (mean is None and var is None)
        if self.training and not self.track_running_stats:
            mean = var = None
        counted = self.training and self.track_running_stats
        count = held["num_batches_tracked"] if counted else None
        momentum = self.momentum
        if momentum is None and count is None:
            momentum = 0.0
        return _batch_norm(
            x, mean, var, own["weight"], own["bias"], training, momentum, self.eps, count
        )


class BatchNorm1d(_BatchNorm):
    r"""Batch normalisation of (N, C) or (N, C, L), each channel by its mean and variance.

    $$y = W \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + b$$

    In training, μ and σ² are the mean and the variance of each channel in the batch, and the
    running statistics follow them: $r \leftarrow (1 - m) r + m s$, the variance unbiased. In
    evaluation, μ and σ² are the running statistics (those of the batch if none are kept).

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: m; with None the running statistics are plain averages over all batches.
        affine: whether there are W and b; b also takes ``bias``.
        track_running_stats: whether there are running statistics.

    Raises:
        ShapeError: when called with an input of other sizes, or one value a channel in training.

    >>> from nnscratch import tensor
    >>> norm = BatchNorm1d(1)
    >>> norm(tensor([[0.0], [2.0]])).detach()
    tensor([[-0.999995],
            [ 0.999995]])
    >>> norm.running_mean, norm.running_var
    (tensor([0.1]), tensor([1.1]))
    """

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of pictures (N, C, H, W), as ``BatchNorm1d`` says.

    >>> from nnscratch import zeros
    >>> BatchNorm2d(3)(zeros(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes (N, C, D, H, W), as ``BatchNorm1d`` says.

    >>> from nnscratch import zeros
    >>> BatchNorm3d(3)(zeros(2, 3, 2, 2, 2)).shape
    (2, 3, 2, 2, 2)
    """

    dims = (5,)
