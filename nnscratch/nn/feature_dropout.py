"""Dropout of whole channels, and dropout that keeps mean and variance (for SELU)."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import Generator, dtype_name, is_floating
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError, warn
from nnscratch.formulas.activations import SELU_ALPHA, SELU_SCALE
from nnscratch.nn.dropout import DropoutBase
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import rand

__all__ = [
    "AlphaDropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "alpha_dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]

# SELU takes large negative numbers to -λ α.
_ALPHA = SELU_SCALE * SELU_ALPHA


def dropout1d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return sequences (N, C, L) or (C, L) with whole channels 0 by probability p.

    The others are times 1 / (1 - p); without ``training`` the input is returned as it is.

    Raises:
        ShapeError: for an input of other axes.
        ConfigurationError: if p is not from 0 to 1.
    """
    x = _checked("dropout1d", input, p)
    if x.ndim not in (2, 3):
        raise ShapeError(
            f"dropout1d: expected (N, C, L) or (C, L), got an input of shape {x.shape}; use "
            "dropout2d or dropout3d for pictures or volumes, dropout for single elements"
        )
    return _channels("dropout1d", x, p, training, inplace, generator, x.ndim == 2)


def dropout2d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return pictures (N, C, H, W) with whole channels 0 by probability p.

    The others are times 1 / (1 - p); without ``training`` the input is returned as it is. An input
    of three axes is taken for (N, C, L), with a warning, as in PyTorch.

    Raises:
        ShapeError: for an input of less than two axes.
        ConfigurationError: if p is not from 0 to 1.
    """
    x = _checked("dropout2d", input, p)
    if x.ndim == 3:
        warn(
            f"dropout2d: an input of three axes, {x.shape}, is taken for (N, C, L), not for "
            "(C, H, W); write dropout1d for sequences, x.unsqueeze(0) for one picture"
        )
    elif x.ndim != 4:
        _warn_of_axes("dropout2d", x, "(N, C, H, W)")
    return _channels("dropout2d", x, p, training, inplace, generator, False)


def dropout3d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return volumes (N, C, D, H, W) or (C, D, H, W) with whole channels 0 by probability p.

    The others are times 1 / (1 - p); without ``training`` the input is returned as it is.

    Raises:
        ShapeError: for an input without axes.
        ConfigurationError: if p is not from 0 to 1.
    """
    x = _checked("dropout3d", input, p)
    if x.ndim not in (4, 5):
        _warn_of_axes("dropout3d", x, "(N, C, D, H, W) or (C, D, H, W)")
    return _channels("dropout3d", x, p, training, inplace, generator, x.ndim != 5)


def alpha_dropout(
    input: Any,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    r"""Return $a x + b$, or by probability p $a \alpha' + b$, which keeps mean 0 and variance 1.

    $\alpha' = -\lambda \alpha$ is what SELU takes large negative numbers to,
    $a = ((1 - p)(1 + p \alpha'^2))^{-1/2}$ and $b = -a p \alpha'$. Without ``training`` it is the
    input as it is.

    Raises:
        ConfigurationError: if p is not from 0 to 1.
    """
    x = _checked("alpha_dropout", input, p)
    return _alpha("alpha_dropout", x, x.shape, p, training, inplace, generator)


def feature_alpha_dropout(
    input: Any,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return what ``alpha_dropout`` does, with whole channels of (N, C, ...) dropped.

    Raises:
        ShapeError: for an input of less than two axes.
        ConfigurationError: if p is not from 0 to 1.
    """
    x = _checked("feature_alpha_dropout", input, p)
    shape = _of_channels("feature_alpha_dropout", x) if training and p and x.numel() else ()
    return _alpha("feature_alpha_dropout", x, shape, p, training, inplace, generator)


def _checked(where: str, input: Any, p: float) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ConfigurationError(f"{where}: p is a probability from 0 to 1, got {p}")
    return as_tensor(input)


def _warn_of_axes(where: str, x: Tensor, wanted: str) -> None:
    warn(
        f"{where}: expected {wanted}, got {x.ndim} axes, {x.shape}; the first two are taken for N "
        "and C. Write dropout where single elements are meant",
    )


def _of_channels(where: str, x: Tensor) -> tuple[int, ...]:
    """Return the shape of one number for each channel of (N, C, ...)."""
    if x.ndim < 2:
        raise ShapeError(f"{where}: expected an input (N, C, ...), got shape {x.shape}")
    return (*x.shape[:2], *(1,) * (x.ndim - 2))


def _kept(
    where: str, x: Tensor, shape: tuple[int, ...], p: float, generator: Generator | None
) -> Tensor:
    """Return booleans, False by probability p, for an input that can be scaled."""
    if not is_floating(x.array):
        raise DTypeError(
            f"{where}: expected floating-point numbers, got {dtype_name(x.array.dtype)}; convert "
            "them first with .float()"
        )
    return rand(shape, dtype="float32", device=x.device, generator=generator) >= p


def _channels(
    where: str,
    x: Tensor,
    p: float,
    training: bool,
    inplace: bool,
    generator: Generator | None,
    unbatched: bool,
) -> Tensor:
    if not training or p == 0.0 or not x.numel():
        return x
    shape = _of_channels(where, x.unsqueeze(0) if unbatched else x)
    kept = _kept(where, x, shape[1:] if unbatched else shape, p, generator)
    y = x * (kept.to(x.dtype) * (1.0 / (1.0 - p) if p < 1.0 else 0.0))
    return x._replace(y) if inplace else y


def _alpha(
    where: str,
    x: Tensor,
    shape: tuple[int, ...],
    p: float,
    training: bool,
    inplace: bool,
    generator: Generator | None,
) -> Tensor:
    if not training or p == 0.0 or not x.numel():
        return x
    if p == 1.0:
        y = x * 0.0
    else:
        a = 1.0 / math.sqrt((1.0 - p) * (1.0 + p * _ALPHA * _ALPHA))
        shift = a * p * _ALPHA
        kept = _kept(where, x, shape, p, generator)
        y = (x * a + shift).where(kept, shift - a * _ALPHA)
    return x._replace(y) if inplace else y


class Dropout1d(DropoutBase):
    """In training, whole channels of (N, C, L) or (C, L) 0 by probability p, as ``dropout1d``.

    Raises:
        ConfigurationError: if p is not from 0 to 1.

    >>> from nnscratch import ones
    >>> Dropout1d(0.5).eval()(ones(1, 1, 2))
    tensor([[[1., 1.]]])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the input, in training with channels dropped."""
        return dropout1d(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout2d(DropoutBase):
    """In training, whole channels of (N, C, H, W) 0 by probability p, as ``dropout2d``.

    Raises:
        ConfigurationError: if p is not from 0 to 1.

    >>> from nnscratch import ones
    >>> Dropout2d(0.5).eval()(ones(1, 1, 1, 2))
    tensor([[[[1., 1.]]]])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the input, in training with channels dropped."""
        return dropout2d(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout3d(DropoutBase):
    """In training, whole channels of (N, C, D, H, W) 0 by probability p, as ``dropout3d``.

    Raises:
        ConfigurationError: if p is not from 0 to 1.

    >>> from nnscratch import ones
    >>> Dropout3d(1.0)(ones(1, 1, 1, 1, 2))
    tensor([[[[[0., 0.]]]]])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the input, in training with channels dropped."""
        return dropout3d(input, self.p, self.training, self.inplace, generator=self.generator)


class AlphaDropout(DropoutBase):
    """Dropout that keeps mean 0 and variance 1, for networks of SELU, as ``alpha_dropout``.

    Raises:
        ConfigurationError: if p is not from 0 to 1.

    >>> from nnscratch import zeros
    >>> AlphaDropout(0.5).eval()(zeros(2))
    tensor([0., 0.])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the input, in training with elements replaced."""
        return alpha_dropout(input, self.p, self.training, self.inplace, generator=self.generator)


class FeatureAlphaDropout(DropoutBase):
    """Alpha dropout of whole channels of (N, C, ...), as ``feature_alpha_dropout``.

    Raises:
        ConfigurationError: if p is not from 0 to 1.

    >>> from nnscratch import zeros
    >>> FeatureAlphaDropout(0.5).eval()(zeros(1, 2))
    tensor([[0., 0.]])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the input, in training with channels replaced."""
        return feature_alpha_dropout(
            input, self.p, self.training, self.inplace, generator=self.generator
        )
