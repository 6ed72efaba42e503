"""The methods of a tensor that change its shape, or the order or number of its elements."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import dtype_name
from nnscratch.array.addresses import shares_memory
from nnscratch.errors import ConfigurationError, GradientError, ShapeError
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.methods import Dims as Dims
from nnscratch.tensors.methods import axes_of, axis_of, numpy_names

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor


P = ParamSpec("P")
R = TypeVar("R")


def sizes_of(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Return sizes given as separate arguments or as one tuple.

    >>> sizes_of((2, 3)), sizes_of(((2, 3),))
    ((2, 3), (2, 3))
    """
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    return tuple(size.__index__() for size in sizes)


def is_dtype(item: Any) -> bool:
    """Say whether an argument is a dtype, and no size."""
    return isinstance(item, (np.dtype, str)) or (
        isinstance(item, type) and issubclass(item, np.generic)
    )


def _sizes_by_name(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a method that takes sizes as separate arguments take them by a name too."""

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def taking(*args: P.args, **kwargs: P.kwargs) -> R:
            if name in kwargs:
                args = (*args, kwargs.pop(name))  # type: ignore[assignment]
            return method(*args, **kwargs)

        return taking

    return decorate


class TensorShapes(TensorBase):
    """Shapes and the order of dimensions; ``Tensor`` inherits it."""

    __slots__ = ()

    @_sizes_by_name("shape")
    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape; one size may be -1 and is inferred.

        Raises:
            ShapeError: if the shape has another number of elements.
        """
        return self._apply(f.RESHAPE, shape=sizes_of(shape))

    @_sizes_by_name("size")
    def view(self, *shape: Any, dtype: Any = None) -> Tensor:
        """Return the elements in another shape, or given a dtype their bytes as numbers of that.

        Raises:
            ShapeError: if the shape has another number of elements, or the bytes do not make whole
                numbers of the dtype.
            GradientError: if another dtype is asked of a tensor with ``requires_grad=True``.
            ConfigurationError: if both are given.
        """
        if dtype is not None and shape:
            raise ConfigurationError(
                f"view takes a shape or a dtype, got {shape} and {dtype_name(dtype)}; write "
                "x.view(shape).view(dtype)"
            )
        if dtype is None and not (len(shape) == 1 and is_dtype(shape[0])):
            return self.reshape(*shape)
        name = dtype_name(shape[0] if dtype is None else dtype)
        if self.requires_grad:
            raise GradientError("view(dtype) has no gradient; use x.detach(), or x.to(dtype)")
        try:
            made = self._wrap(self.array.view(name))
        except ValueError as error:
            raise ShapeError(f"view: the bytes of {self.shape} make no {name}: {error}") from None
        made._share_memory_with(self, detached=True)
        return made

    def view_as(self, other: Tensor) -> Tensor:
        """Return the elements in the shape of another tensor."""
        return self.reshape(other.shape)

    reshape_as = view_as

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Return the tensor with the dimensions from start to end merged into one."""
        start, end = axis_of(start_dim, self.ndim), axis_of(end_dim, self.ndim)
        if self.ndim == 0:
            return self.reshape(1)
        if start > end:
            raise ShapeError(f"flatten: start_dim {start} comes after end_dim {end}")
        size = math.prod(self.shape[start : end + 1])
        return self.reshape(*self.shape[:start], size, *self.shape[end + 1 :])

    @numpy_names
    def unflatten(self, dim: int, sizes: tuple[int, ...]) -> Tensor:
        """Return the tensor with one dimension split into several of the given sizes."""
        axis = axis_of(dim, self.ndim)
        return self.reshape(*self.shape[:axis], *sizes, *self.shape[axis + 1 :])

    @numpy_names
    def squeeze(self, dim: Dims = None) -> Tensor:
        """Return the tensor without its dimensions of size 1, or without those of ``dim`` only."""
        chosen = () if dim in ((), []) else axes_of(dim, self.ndim)
        if chosen is None:
            chosen = tuple(range(self.ndim))
        elif isinstance(chosen, int):
            chosen = (chosen,)
        kept = tuple(n for i, n in enumerate(self.shape) if i not in chosen or n != 1)
        return self._apply(f.RESHAPE, shape=kept)

    @numpy_names
    def unsqueeze(self, dim: int) -> Tensor:
        """Return the tensor with a new dimension of size 1 at position ``dim``."""
        axis = axis_of(dim, self.ndim + 1)
        return self.reshape(*self.shape[:axis], 1, *self.shape[axis:])

    @_sizes_by_name("dims")
    def permute(self, *dims: Any) -> Tensor:
        """Return the dimensions in another order.

        Raises:
            ShapeError: unless each dimension is named once.
        """
        axes = tuple(axis_of(dim, self.ndim) for dim in sizes_of(dims))
        if sorted(axes) != list(range(self.ndim)):
            raise ShapeError(f"permute needs each of {self.ndim} dimensions once, got {axes}")
        return self._apply(f.TRANSPOSE, axes=axes)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Return the tensor with two dimensions exchanged."""
        axes = list(range(self.ndim))
        first, second = axis_of(dim0, self.ndim), axis_of(dim1, self.ndim)
        if not axes:
            return self._apply(f.RESHAPE, shape=())
        axes[first], axes[second] = second, first
        return self._apply(f.TRANSPOSE, axes=tuple(axes))

    def t(self) -> Tensor:
        """Return the transpose of a matrix; vectors stay as they are."""
        if self.ndim > 2:
            raise ShapeError(f"t() needs at most 2 dimensions, got {self.shape}; use permute(...)")
        return self.transpose(0, 1) if self.ndim == 2 else self.permute(*range(self.ndim))

    @property
    def T(self) -> Tensor:
        """The tensor with its dimensions in reverse order."""
        return self.permute(*range(self.ndim)[::-1])

    @property
    def mT(self) -> Tensor:
        """The tensor with its last two dimensions exchanged."""
        return self.transpose(-2, -1)

    @_sizes_by_name("size")
    def expand(self, *shape: Any) -> Tensor:
        """Return the tensor with dimensions of size 1 repeated; -1 keeps a size."""
        wanted = list(sizes_of(shape))
        lead = len(wanted) - self.ndim
        for i, size in enumerate(wanted):
            if size == -1:
                if i < lead:
                    raise ShapeError(f"expand: -1 needs a dimension to keep, got {tuple(wanted)}")
                wanted[i] = self.shape[i - lead]
        return self._apply(f.BROADCAST_TO, shape=tuple(wanted))

    def expand_as(self, other: Tensor) -> Tensor:
        """Return the tensor with dimensions of size 1 repeated to the shape of another."""
        return self.expand(other.shape)

    @_sizes_by_name("repeats")
    def repeat(self, *repeats: Any) -> Tensor:
        """Return the whole tensor repeated along each dimension.

        Raises:
            ShapeError: if there are fewer numbers than dimensions.
        """
        counts = sizes_of(repeats)
        if len(counts) < self.ndim:
            raise ShapeError(f"repeat needs a number for each of {self.ndim} dimensions: {counts}")
        shape = (1,) * (len(counts) - self.ndim) + self.shape
        apart = [n for size in shape for n in (1, size)]
        wide = [n for count, size in zip(counts, shape, strict=True) for n in (count, size)]
        whole = [count * size for count, size in zip(counts, shape, strict=True)]
        made = self.reshape(*apart).expand(*wide).reshape(*whole)
        return made.clone() if shares_memory(made.array, self.array) else made

    @numpy_names
    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        """Return ``length`` elements along a dimension, from ``start`` on, or from so far the end.

        Raises:
            ShapeError: if there are not so many.
        """
        axis = axis_of(dim, self.ndim)
        first = start + self.shape[axis] if start < 0 else start
        if first < 0 or length < 0 or first + length > self.shape[axis]:
            raise ShapeError(
                f"narrow: {length} elements from {start} on do not fit dimension {axis} of "
                f"shape {self.shape}"
            )
        index = (slice(None),) * axis + (slice(first, first + length),)
        return self._apply(f.GETITEM, index=index)

    @numpy_names
    def split(
        self, split_size: int | list[int] | tuple[int, ...], dim: int = 0
    ) -> tuple[Tensor, ...]:
        """Return the tensor split along a dimension.

        Args:
            split_size: the size of each part (the last may be smaller), or a list of sizes.
            dim: the dimension.

        Raises:
            ShapeError: if the list of sizes does not add up to the size of the dimension.
        """
        whole = self.shape[axis_of(dim, self.ndim)]
        if isinstance(split_size, int):
            if split_size < 1:
                raise ShapeError(f"split: a piece needs at least one element, got {split_size}")
            starts = range(0, max(whole, 1), split_size)
            sizes = [min(split_size, whole - start) for start in starts]
        else:
            sizes = list(split_size)
        pieces: Any = self._apply(f.SPLIT, sizes=tuple(sizes), axis=axis_of(dim, self.ndim))
        return pieces  # type: ignore[no-any-return]

    @numpy_names
    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """Return at most ``chunks`` equal parts along a dimension; the last may be smaller."""
        if chunks < 1:
            raise ShapeError(f"chunk: expected at least one piece, got {chunks}")
        whole = self.shape[axis_of(dim, self.ndim)]
        if whole == 0:
            return self.split([0] * chunks, dim)
        return self.split(-(-whole // chunks), dim)

    @numpy_names
    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """Return all slices along a dimension, which they do not have any more."""
        axis = axis_of(dim, self.ndim)
        front = (slice(None),) * axis
        return tuple(self._apply(f.GETITEM, index=(*front, i)) for i in range(self.shape[axis]))
