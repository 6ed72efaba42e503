"""Embeddings: a learned row for each index, and sums, means or largest entries of rows in bags."""

from __future__ import annotations

from typing import Any, Self

from nnscratch import formulas as f
from nnscratch.array import Generator
from nnscratch.array.wholes import whole_number
from nnscratch.errors import ConfigurationError, IndexRangeError, ShapeError
from nnscratch.formulas import registry
from nnscratch.nn import init
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import empty
from nnscratch.tensors.grad_mode import no_grad

__all__ = ["Embedding", "EmbeddingBag", "embedding", "embedding_bag"]


def _padding(where: str, padding_idx: int | None, count: int) -> int | None:
    """Return the number of the padding's row, counted from the front."""
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise IndexRangeError(
            f"{where}: padding_idx is a row from {-count} to {count - 1}, got {padding_idx}"
        )
    return whole_number(f"{where}: padding_idx", padding_idx) % count


def _shorten(weight: Tensor, indices: Tensor, max_norm: float | None, norm_type: float) -> None:
    """Shorten in place the rows that are looked up to a norm of ``max_norm``."""
    if max_norm is not None:
        options = {"max_norm": float(max_norm), "norm_type": float(norm_type)}
        registry.update(f.EMBEDDING_RENORM, weight.array, indices.array, **options)
        weight._version[0] += 1


def embedding(
    input: Any,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    r"""Return the row $W_{I_k}$ of the weight for each index.

    Args:
        input: integers of any shape from 0 to V - 1.
        weight: W (V, D).
        padding_idx: the row that gets no gradient; a negative one counts from the end.
        max_norm: rows that are looked up and have a larger norm are shortened to it first, in
            place, as in PyTorch.
        norm_type: p of that norm.
        scale_grad_by_freq: divide the gradient of a row by how often it is looked up here.
        sparse: taken for PyTorch's sake; gradients are dense, with the same values.

    Returns:
        A tensor (..., D).

    Raises:
        IndexRangeError: if an index is negative or V or more.
        DTypeError: if the input holds no integers.

    >>> from nnscratch import tensor
    >>> embedding([1, 0, 1], tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    indices, weight = as_tensor(input), as_tensor(weight)
    padding = _padding("embedding", padding_idx, weight.shape[0])
    _shorten(weight, indices, max_norm, norm_type)
    scaled = bool(scale_grad_by_freq)
    return apply(f.EMBEDDING, weight, indices, padding_idx=padding, scale_grad_by_freq=scaled)


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    r"""Return for each bag of indices the sum, mean or largest entries of their rows.

    It is what ``embedding`` and a reduction over each bag give; an empty bag gives 0.

    Args:
        input: integers from 0 to V - 1: (B, L), a bag a row, or (n,) with ``offsets``.
        weight: W (V, D). (The two may come in the other order, as PyTorch had them once.)
        offsets: integers (B,), where in (n,) each bag begins; the first is 0.
        max_norm: rows that are looked up are shortened to this norm first, in place.
        norm_type: p of that norm.
        scale_grad_by_freq: divide the gradient of a row by how often it is looked up here; not for
            mode "max". (PyTorch 2.13 divides by the count of another row here.)
        mode: "sum", "mean" or "max".
        sparse: taken for PyTorch's sake, but for mode "max"; gradients are dense.
        per_sample_weights: factors of the rows in the shape of the input, for mode "sum".
        include_last_offset: whether ``offsets`` has n as one more entry.
        padding_idx: an index that counts in no bag.

    Returns:
        A tensor (B, D).

    Raises:
        IndexRangeError: if an index is negative or V or more, or offsets fall.
        ConfigurationError, ShapeError, DTypeError: if options, shapes or dtypes do not fit.

    >>> from nnscratch import tensor
    >>> embedding_bag([[0, 1]], tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 3.]])
    """
    indices, weight = as_tensor(input), as_tensor(weight)
    if weight.dtype in ("int64", "int32") and indices.is_floating_point():
        indices, weight = weight, indices
    if mode == "max" and (scale_grad_by_freq or sparse):
        raise ConfigurationError(
            "embedding_bag: mode='max' takes neither scale_grad_by_freq nor sparse"
        )
    if per_sample_weights is not None and mode != "sum":
        raise ConfigurationError(
            f"embedding_bag: per_sample_weights are for mode='sum', got mode={mode!r}"
        )
    if offsets is not None and indices.ndim == 2:
        raise ShapeError(
            f"embedding_bag: rows of {indices.shape} are bags already; leave the offsets out"
        )
    padding = _padding("embedding_bag", padding_idx, weight.shape[0])
    _shorten(weight, indices, max_norm, norm_type)
    starts = None if offsets is None else as_tensor(offsets)
    factors = None if per_sample_weights is None else as_tensor(per_sample_weights)
    options = {"mode": mode, "scale_grad_by_freq": bool(scale_grad_by_freq)}
    last = bool(include_last_offset) and starts is not None
    options |= {"padding_idx": padding, "include_last_offset": last}
    return apply(f.EMBEDDING_BAG, weight, indices, starts, factors, **options)


class _Table(Module):
    """A weight (V, D) with the options that both layers have."""

    def _make(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        weight: Tensor | None,
        freeze: bool,
        generator: Generator | None,
        **place: Any,
    ) -> None:
        """Make the weight, or take the one that is given."""
        name = type(self).__name__
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = _padding(name, padding_idx, num_embeddings)
        shape = (num_embeddings, embedding_dim)
        if weight is None:
            self.weight = Parameter(empty(shape, **place), requires_grad=not freeze)
            self.reset_parameters(generator)
            return
        if tuple(weight.shape) != shape:
            raise ShapeError(f"{name}: expected a weight of shape {shape}, got {weight.shape}")
        self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw normal numbers anew, and 0 for the padding."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def _shown(self, *names: str) -> str:
        """Return the sizes, and the options that are not their defaults."""
        usual = {"norm_type": 2.0, "include_last_offset": False}
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        for name in names:
            value = getattr(self, name)
            if value is not None and value is not False and value != usual.get(name):
                parts.append(f"{name}={value!r}")
        return ", ".join(parts)


class Embedding(_Table):
    r"""Look up $W_{I_k}$ for each index: a learned row of D numbers for each of V things.

    Rows start as normal numbers, that of the padding as 0.

    Args:
        num_embeddings: V.
        embedding_dim: D.

    The other options are those of ``nn.functional.embedding``.

    Raises:
        IndexRangeError: if the padding is no row, or when called with an index out of range.

    >>> from nnscratch import nn, tensor
    >>> nn.Embedding(10, 3)(tensor([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the table from a generator, the default one unless another is given."""
        super().__init__()
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        sizes = (num_embeddings, embedding_dim, padding_idx)
        self._make(*sizes, _weight, _freeze, generator, device=device, dtype=dtype)

    def forward(self, input: Any) -> Tensor:
        """Return a row for each index: (..., D)."""
        return embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """Return a layer with a weight (V, D) that is there already, and learned unless frozen."""
        if embeddings.ndim != 2:
            raise ShapeError(f"{cls.__name__}: expected a weight (V, D), got {embeddings.shape}")
        rows, columns = embeddings.shape
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        return cls(rows, columns, *options, _weight=embeddings, _freeze=freeze)

    def extra_repr(self) -> str:
        """Return the sizes, and the options that are not their defaults."""
        names = ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq")
        return self._shown(*names) + (", sparse=True" if self.sparse else "")


class EmbeddingBag(_Table):
    r"""Look up rows and add them up, take their mean, or the largest entries, bag by bag.

    Args:
        num_embeddings: V.
        embedding_dim: D.

    The other options are those of ``nn.functional.embedding_bag``.

    Raises:
        IndexRangeError: if the padding is no row, or when called with an index out of range.

    >>> from nnscratch import nn, tensor
    >>> nn.EmbeddingBag(10, 3, mode="sum")(tensor([1, 2, 4, 5]), tensor([0, 3])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the table from a generator, the default one unless another is given."""
        super().__init__()
        self.max_norm, self.norm_type, self.mode, self.sparse = max_norm, norm_type, mode, sparse
        self.scale_grad_by_freq = scale_grad_by_freq
        self.include_last_offset = include_last_offset
        sizes = (num_embeddings, embedding_dim, padding_idx)
        self._make(*sizes, _weight, False, generator, device=device, dtype=dtype)

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Tensor:
        """Return a row for each bag: (B, D)."""
        return embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """Return a layer with a weight (V, D) that is there already, and learned unless frozen."""
        if embeddings.ndim != 2:
            raise ShapeError(f"{cls.__name__}: expected a weight (V, D), got {embeddings.shape}")
        rows, columns = embeddings.shape
        options = (max_norm, norm_type, scale_grad_by_freq, mode, sparse)
        made = cls(rows, columns, *options, embeddings, include_last_offset, padding_idx)
        made.weight.requires_grad_(not freeze)
        return made

    def extra_repr(self) -> str:
        """Return the sizes, and the options that are not their defaults."""
        names = ("max_norm", "norm_type", "scale_grad_by_freq", "mode", "padding_idx")
        return self._shown(*names)
