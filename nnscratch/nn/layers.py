"""Layers without weights: identity, flattening, dropout."""

from __future__ import annotations

from typing import Any

from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError
from nnscratch.nn import functional as F
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor


class Identity(Module):
    """Return the input; takes any arguments and forgets them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take anything."""
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Return the input."""
        return input


class Flatten(Module):
    """Return the dimensions from ``start_dim`` to ``end_dim`` as one: images (N, C, H, W) as rows.

    >>> from nnscratch import zeros
    >>> Flatten()(zeros(2, 1, 3, 3)).shape
    (2, 9)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        """Choose the dimensions."""
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Tensor:
        """Return the input with fewer dimensions."""
        return as_tensor(input).flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Return one dimension as several."""

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        """Choose the dimension and the sizes that it becomes."""
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Any) -> Tensor:
        """Return the input with more dimensions."""
        return as_tensor(input).unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """Return the dimension and the sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Dropout(Module):
    r"""In training, 0 by probability p and $x / (1 - p)$ otherwise; in evaluation, x.

    The random numbers come from the default generator, whose state a checkpoint holds, unless
    another generator is given.

    Raises:
        ConfigurationError: if p is not from 0 to 1.

    >>> from nnscratch import ones
    >>> Dropout(0.5).eval()(ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None
    ) -> None:
        """Choose the probability; with ``inplace`` the input has the result afterwards."""
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ConfigurationError(f"Dropout: p is a probability from 0 to 1, got {p}")
        self.p, self.inplace, self.generator = p, inplace, generator

    def forward(self, input: Any) -> Tensor:
        """Return the input, in training with elements dropped."""
        return F.dropout(input, self.p, self.training, self.inplace, generator=self.generator)

    def extra_repr(self) -> str:
        """Return the probability, and whether it works in place."""
        return f"p={self.p}, inplace={self.inplace}" if self.inplace else f"p={self.p}"
