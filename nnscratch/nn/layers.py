"""What only passes its input on or moves it, and rows made of indices or lengths."""

from __future__ import annotations

from typing import Any

from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.functions import one_hot as _one_hot

__all__ = ["Flatten", "Identity", "Unflatten", "normalize", "one_hot"]


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


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Return the input divided by its p-norm along a dimension, or by ``eps`` if larger."""
    x = as_tensor(input)
    return x / x.norm(p, dim, keepdim=True).clamp(min=eps)


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """Return class indices (...) as int64 rows (..., K); K is the largest + 1 unless given."""
    return _one_hot(as_tensor(tensor), num_classes)
