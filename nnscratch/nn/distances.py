"""How far two vectors are from each other: their distance, and the cosine between them."""

from __future__ import annotations

from typing import Any

from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor

__all__ = ["CosineSimilarity", "PairwiseDistance", "cosine_similarity", "pairwise_distance"]


def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    r"""Return $\|x_1 - x_2 + \epsilon\|_p$ along the last dimension.

    Args:
        x1: (..., D).
        x2: of a shape that broadcasts with it.
        p: of the norm.
        eps: added to each difference, so that no distance is 0.
        keepdim: whether the last dimension stays, with size 1.

    >>> pairwise_distance([[3.0, 4.0]], [[0.0, 0.0]], eps=0.0)
    tensor([5.])
    """
    found: Tensor = (as_tensor(x1) - as_tensor(x2) + eps).norm(p, -1, keepdim)
    return found


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    r"""Return the cosine $x_1 \cdot x_2 / (\max(|x_1|, \epsilon) \max(|x_2|, \epsilon))$.

    Args:
        x1: floating.
        x2: of a shape that broadcasts with it.
        dim: of the vectors, after broadcasting.
        eps: the least length that is divided by. As in PyTorch, the derivative is that of the
            length itself, also where it is less.

    >>> cosine_similarity([3.0, 4.0], [0.0, 2.0], dim=0)
    tensor(0.8)
    """
    a, b = as_tensor(x1), as_tensor(x2)
    missing = max(a.ndim, b.ndim)
    a, b = (x.reshape(*(1,) * (missing - x.ndim), *x.shape) for x in (a, b))
    shape = [m if n == 1 else n for n, m in zip(a.shape, b.shape, strict=True)]
    # Along the dimension itself both have to be whole: a length is of all its elements.
    a, b = (
        x.expand([n if at == dim % max(missing, 1) else m for at, (n, m) in enumerate(pair)])
        for x, pair in ((x, list(zip(shape, x.shape, strict=True))) for x in (a, b))
    )
    found: Tensor = (a / _length(a, dim, eps) * (b / _length(b, dim, eps))).sum(dim)
    return found


def _length(x: Tensor, dim: int, eps: float) -> Tensor:
    length = x.norm(2.0, dim, keepdim=True)
    least: Tensor = length.detach().clamp(min=eps) - length.detach()
    return length + least


class PairwiseDistance(Module):
    r"""$\|x_1 - x_2 + \epsilon\|_p$ along the last dimension; see ``pairwise_distance``.

    >>> from nnscratch import ones, zeros
    >>> PairwiseDistance(p=1, eps=0.0)(ones(2, 3), zeros(2, 3))
    tensor([3., 3.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        """Choose the norm."""
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Any, x2: Any) -> Tensor:
        """Return the distances."""
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    r"""The cosine of the angle between vectors along a dimension; see ``cosine_similarity``.

    >>> from nnscratch import ones
    >>> CosineSimilarity()(ones(2, 4), ones(2, 4))
    tensor([1., 1.])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        """Choose the dimension."""
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Any, x2: Any) -> Tensor:
        """Return the cosines."""
        return cosine_similarity(x1, x2, self.dim, self.eps)
