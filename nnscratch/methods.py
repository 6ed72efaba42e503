"""The mathematical methods of a tensor, with PyTorch's names: each calls one formula."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, NamedTuple

from nnscratch import formulas as f
from nnscratch.array import array_namespace, default_dtype, is_floating
from nnscratch.errors import DTypeError, ShapeError
from nnscratch.formulas import Formula

if TYPE_CHECKING:
    from nnscratch.tensor import Tensor

Dims = int | tuple[int, ...] | list[int] | None


class ValuesAndIndices(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Tensor
    indices: Tensor


def axes_of(dim: Dims, ndim: int) -> int | tuple[int, ...] | None:
    """Check dimensions in PyTorch's sense against a number of dimensions.

    >>> axes_of(-1, 3), axes_of([0, 1], 3)
    (2, (0, 1))
    """
    if dim is None:
        return None
    if isinstance(dim, (tuple, list)):
        return tuple(_axis(item, ndim) for item in dim)
    return _axis(dim, ndim)


def _axis(dim: int, ndim: int) -> int:
    limit = builtins.max(ndim, 1)
    if not -limit <= dim < limit:
        raise ShapeError(f"dim must be from {-limit} to {limit - 1} for {ndim} dimensions; got {dim}")
    return dim % limit


def _shape_arguments(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        return tuple(shape[0])
    return tuple(shape)


class TensorMethods:
    """Mathematics on tensors; ``Tensor`` inherits it."""

    __slots__ = ()

    if TYPE_CHECKING:
        array: Any

        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def ndim(self) -> int: ...
        def _apply(self, formula: Formula, *others: Any, **options: Any) -> Tensor: ...
        def _binary(self, formula: Formula, other: Any, reverse: bool = False) -> Tensor: ...
        def to(self, *target: Any, **kwargs: Any) -> Tensor: ...

    def _needs_floats(self, name: str) -> None:
        if not is_floating(self.array):
            raise DTypeError(
                f"{name} needs floating-point numbers, got {self.array.dtype}; call .float() first"
            )

    # Elementwise.

    def exp(self) -> Tensor:
        """Return e to the power of each element."""
        return self._as_float()._apply(f.EXP)

    def log(self) -> Tensor:
        """Return the natural logarithm of each element."""
        return self._as_float()._apply(f.LOG)

    def sqrt(self) -> Tensor:
        """Return the square root of each element."""
        return self._as_float()._apply(f.SQRT)

    def abs(self) -> Tensor:
        """Return the absolute value of each element."""
        return self._apply(f.ABS)

    def relu(self) -> Tensor:
        """Return max(x, 0) of each element."""
        return self._apply(f.RELU)

    def sigmoid(self) -> Tensor:
        """Return 1 / (1 + e^-x) of each element."""
        return self._as_float()._apply(f.SIGMOID)

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent of each element."""
        return self._as_float()._apply(f.TANH)

    def pow(self, exponent: Any) -> Tensor:
        """Return each element to a power."""
        return self._binary(f.POWER, exponent)

    def square(self) -> Tensor:
        """Return the square of each element."""
        return self._binary(f.POWER, 2)

    def clamp(self, min: float | None = None, max: float | None = None) -> Tensor:  # noqa: A002
        """Return each element, at least ``min`` and at most ``max``."""
        return self._apply(f.CLIP, min=min, max=max)

    clip = clamp

    def softmax(self, dim: int) -> Tensor:
        """Return e^x over its sum along a dimension."""
        self._needs_floats("softmax")
        return self._apply(f.SOFTMAX, axis=_axis(dim, self.ndim))

    def log_softmax(self, dim: int) -> Tensor:
        """Return the logarithm of the softmax along a dimension."""
        self._needs_floats("log_softmax")
        return self._apply(f.LOG_SOFTMAX, axis=_axis(dim, self.ndim))

    def maximum(self, other: Any) -> Tensor:
        """Return the larger of two elements."""
        return self._binary(f.MAXIMUM, other)

    def minimum(self, other: Any) -> Tensor:
        """Return the smaller of two elements."""
        return self._binary(f.MINIMUM, other)

    def isnan(self) -> Tensor:
        """Say of each element whether it is NaN."""
        return self._binary(f.NOT_EQUAL, self)

    def isfinite(self) -> Tensor:
        """Say of each element whether it is neither NaN nor infinite."""
        return self.abs()._binary(f.LESS, float("inf"))

    def _as_float(self) -> Tensor:
        return self.to() if is_floating(self.array) else self.to(default_dtype())

    # Reductions.

    def sum(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the sum of all elements, or along dimensions."""
        return self._apply(f.SUM, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the mean of all elements, or along dimensions."""
        self._needs_floats("mean")
        return self._apply(f.MEAN, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def var(
        self, dim: Dims = None, keepdim: bool = False, correction: int = 1, unbiased: bool = True
    ) -> Tensor:
        """Return the variance, with n - correction in the denominator."""
        self._needs_floats("var")
        correction = correction if unbiased else 0
        axis = axes_of(dim, self.ndim)
        return self._apply(f.VAR, axis=axis, correction=correction, keepdims=keepdim)

    def std(
        self, dim: Dims = None, keepdim: bool = False, correction: int = 1, unbiased: bool = True
    ) -> Tensor:
        """Return the standard deviation, the root of ``var``."""
        return self.var(dim, keepdim, correction, unbiased).sqrt()

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the largest element, or (values, indices) along a dimension."""
        return self._extreme(f.MAX, f.ARGMAX, f.MAXIMUM, dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the smallest element, or (values, indices) along a dimension."""
        return self._extreme(f.MIN, f.ARGMIN, f.MINIMUM, dim, keepdim)

    def _extreme(
        self, whole: Formula, where: Formula, pair: Formula, dim: Any, keepdim: bool
    ) -> Any:
        if dim is None:
            return self._apply(whole)
        if not isinstance(dim, int):
            return self._binary(pair, dim)
        axis = _axis(dim, self.ndim)
        return ValuesAndIndices(
            self._apply(whole, axis=axis, keepdims=keepdim),
            self._apply(where, axis=axis, keepdims=keepdim),
        )

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return the index of the first largest element."""
        return self._apply(f.ARGMAX, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return the index of the first smallest element."""
        return self._apply(f.ARGMIN, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def norm(self) -> Tensor:
        """Return the Euclidean norm of all elements."""
        return self.square().sum().sqrt()

    def all(self) -> Tensor:
        """Say whether every element is true (nonzero)."""
        return self._binary(f.EQUAL, 0).to("int64").sum()._binary(f.EQUAL, 0)

    def any(self) -> Tensor:
        """Say whether an element is true (nonzero)."""
        return self._binary(f.NOT_EQUAL, 0).to("int64").sum()._binary(f.GREATER, 0)

    # Shapes.

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape; one -1 is worked out."""
        return self._apply(f.RESHAPE, shape=_shape_arguments(shape))

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Return the dimensions from start to end as one."""
        if self.ndim == 0:
            return self.reshape(1)
        start, end = _axis(start_dim, self.ndim), _axis(end_dim, self.ndim)
        return self.reshape(*self.shape[:start], -1, *self.shape[end + 1 :])

    def squeeze(self, dim: Dims = None) -> Tensor:
        """Return the tensor without dimensions of size 1."""
        axes = range(self.ndim) if dim is None else axes_of(dim, self.ndim)
        chosen = (axes,) if isinstance(axes, int) else tuple(axes or ())
        kept = [n for i, n in enumerate(self.shape) if i not in chosen or n != 1]
        return self.reshape(*kept) if kept else self._apply(f.RESHAPE, shape=())

    def unsqueeze(self, dim: int) -> Tensor:
        """Return the tensor with a dimension of size 1 put in."""
        axis = _axis(dim, self.ndim + 1)
        return self.reshape(*self.shape[:axis], 1, *self.shape[axis:])

    def permute(self, *dims: Any) -> Tensor:
        """Return the dimensions in another order."""
        axes = tuple(_axis(dim, self.ndim) for dim in _shape_arguments(dims))
        if sorted(axes) != list(range(self.ndim)):
            raise ShapeError(f"permute needs each of {self.ndim} dimensions once, got {axes}")
        return self._apply(f.TRANSPOSE, axes=axes)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Return the tensor with two dimensions exchanged."""
        axes = list(range(self.ndim))
        first, second = _axis(dim0, self.ndim), _axis(dim1, self.ndim)
        axes[first], axes[second] = second, first
        return self._apply(f.TRANSPOSE, axes=tuple(axes))

    def t(self) -> Tensor:
        """Return the transpose of a matrix; vectors stay as they are."""
        if self.ndim > 2:
            raise ShapeError(f"t() needs at most 2 dimensions, got {self.shape}; use permute(...)")
        return self.transpose(0, 1) if self.ndim == 2 else self.permute(*range(self.ndim))

    def expand(self, *shape: Any) -> Tensor:
        """Return the tensor with dimensions of size 1 repeated; -1 keeps a size."""
        wanted = list(_shape_arguments(shape))
        lead = len(wanted) - self.ndim
        for i, size in enumerate(wanted):
            if size == -1:
                wanted[i] = self.shape[i - lead]
        return self._apply(f.BROADCAST_TO, shape=tuple(wanted))

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product, batched over leading dimensions."""
        return self._binary(f.MATMUL, other)

    mm = matmul

    def nonzero_positions(self) -> tuple[Any, ...]:
        """Return for each dimension the raw array of positions of nonzero elements."""
        return tuple(array_namespace(self.array).nonzero(self.array))
