"""Local response normalisation, by what neighbouring channels hold."""

from __future__ import annotations

import inspect
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import default_dtype, is_floating
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn.options import FunctionModule
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import zeros
from nnscratch.tensors.functions import cat

__all__ = ["LocalResponseNorm", "local_response_norm"]


def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    r"""Return $x_c (k + \frac{\alpha}{s} \sum_j x_j^2)^{-\beta}$, over s neighbouring channels.

    Args:
        input: (N, C, ...), with at least one axis behind the channels.
        size: s.
        alpha: α.
        beta: β.
        k: what is added to the sum.

    Raises:
        ShapeError: if the input has fewer axes.
        ConfigurationError: if the size is below 1.
    """
    x = as_tensor(input)
    if x.ndim < 3:
        raise ShapeError(
            f"local_response_norm: expected 3D or higher dimensionality input, (N, C, ...), got "
            f"shape {x.shape}"
        )
    if size < 1:
        raise ConfigurationError(f"local_response_norm: size must be at least 1, got {size}")
    if not x.numel():
        return x
    if not is_floating(x.array):
        # As in PyTorch, whose average of whole numbers is a whole number.
        count, channels, *rest = x.shape
        sides = [
            zeros(count, n, *rest, dtype=x.dtype, device=x.device)
            for n in (size // 2, (size - 1) // 2)
        ]
        padded = cat([sides[0], x * x, sides[1]], 1)
        total = padded[:, :channels]
        for start in range(1, size):
            total = total + padded[:, start : start + channels]
        average = apply(f.FLOOR, total.double() / size).to(default_dtype())
        return x / (average * alpha + k) ** beta
    return apply(f.LOCAL_RESPONSE_NORM, x, size=size, alpha=alpha, beta=beta, k=k)


class LocalResponseNorm(
    FunctionModule,
    function=local_response_norm,
    size=inspect.Parameter.empty,
    alpha=1e-4,
    beta=0.75,
    k=1.0,
):
    r"""Divide each entry by what s neighbouring channels of it hold, of (N, C, ...).

    $$y_c = x_c \left(k + \frac{\alpha}{s} \sum_j x_j^2\right)^{-\beta}$$

    Raises:
        ShapeError: when called with less than (N, C, L).

    >>> from nnscratch import ones
    >>> LocalResponseNorm(2, alpha=2.0, beta=1.0)(ones(1, 2, 1)).flatten()
    tensor([0.5       , 0.33333334])
    """

    def extra_repr(self) -> str:
        """Return the options."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
