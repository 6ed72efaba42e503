"""The mathematical methods of a tensor, with PyTorch's names: each calls one formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nnscratch import formulas as f
from nnscratch.array import is_floating
from nnscratch.base import TensorBase
from nnscratch.errors import ShapeError
from nnscratch.formulas import Formula

if TYPE_CHECKING:
    from nnscratch.tensor import Tensor

Dims = int | tuple[int, ...] | list[int] | None


class ValuesAndIndices(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Tensor
    indices: Tensor


def axes_of(dim: Any, ndim: int) -> Any:
    """Check dimensions in PyTorch's sense against a number of dimensions.

    None and () stand for all of them, as in PyTorch's reductions.

    Raises:
        ShapeError: if there is no such dimension.

    >>> axes_of(-1, 3), axes_of([0, 1], 3)
    (2, (0, 1))
    """
    if dim is None:
        return None
    if isinstance(dim, (tuple, list)):
        return tuple(axis_of(item, ndim) for item in dim) or None
    return axis_of(dim, ndim)


def axis_of(dim: int, ndim: int) -> int:
    """Check one dimension, and count it from the front."""
    limit = ndim or 1
    if not -limit <= dim < limit:
        raise ShapeError(
            f"dim must be from {-limit} to {limit - 1} for {ndim} dimensions; got {dim}"
        )
    return dim % limit


def _several(dim: Dims) -> Dims:
    return (dim,) if isinstance(dim, int) else dim


class TensorMethods(TensorBase):
    """Elementwise mathematics and reductions; ``Tensor`` inherits them."""

    __slots__ = ()

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

    def rsqrt(self) -> Tensor:
        """Return 1 over the square root of each element."""
        return 1.0 / self.sqrt()

    def reciprocal(self) -> Tensor:
        """Return 1 over each element."""
        return 1.0 / self._as_float()

    def abs(self) -> Tensor:
        """Return the absolute value of each element."""
        return self._apply(f.ABS)

    def neg(self) -> Tensor:
        """Return minus each element."""
        return self._apply(f.NEGATIVE)

    def relu(self) -> Tensor:
        """Return max(x, 0) of each element."""
        return self._apply(f.RELU)

    def sigmoid(self) -> Tensor:
        """Return 1 / (1 + e^-x) of each element."""
        return self._as_float()._apply(f.SIGMOID)

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent of each element."""
        return self._as_float()._apply(f.TANH)

    def add(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Return self + alpha · other."""
        return self._binary(f.ADD, other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Return self − alpha · other."""
        return self._binary(f.SUBTRACT, other if alpha == 1 else other * alpha)

    def mul(self, other: Any) -> Tensor:
        """Return self · other, element by element."""
        return self._binary(f.MULTIPLY, other)

    def div(self, other: Any) -> Tensor:
        """Return self / other; integers become floats first."""
        return self._binary(f.DIVIDE, other)

    def pow(self, exponent: Any) -> Tensor:
        """Return each element to a power."""
        return self._binary(f.POWER, exponent)

    def square(self) -> Tensor:
        """Return the square of each element."""
        return self._binary(f.POWER, 2)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Return each element, at least ``min`` and at most ``max``: numbers or tensors.

        Raises:
            ShapeError: if neither bound is given.
        """
        if min is None and max is None:
            raise ShapeError("clamp needs min, max or both")
        numbers = (int, float, type(None))
        if isinstance(min, numbers) and isinstance(max, numbers):
            return self._apply(f.CLIP, min=min, max=max)
        low = self.to() if min is None else self._binary(f.MAXIMUM, min)
        return low if max is None else low._binary(f.MINIMUM, max)

    clip = clamp

    def softmax(self, dim: int) -> Tensor:
        """Return e^x over its sum along a dimension."""
        self._needs_floats("softmax")
        return self._apply(f.SOFTMAX, axis=axis_of(dim, self.ndim))

    def log_softmax(self, dim: int) -> Tensor:
        """Return the logarithm of the softmax along a dimension."""
        self._needs_floats("log_softmax")
        return self._apply(f.LOG_SOFTMAX, axis=axis_of(dim, self.ndim))

    def logsumexp(self, dim: int, keepdim: bool = False) -> Tensor:
        """Return log Σ e^x along a dimension, without overflow."""
        self._needs_floats("logsumexp")
        return self._apply(f.LOGSUMEXP, axis=axis_of(dim, self.ndim), keepdims=keepdim)

    def maximum(self, other: Any) -> Tensor:
        """Return the larger of two elements."""
        return self._binary(f.MAXIMUM, other)

    def minimum(self, other: Any) -> Tensor:
        """Return the smaller of two elements."""
        return self._binary(f.MINIMUM, other)

    def eq(self, other: Any) -> Tensor:
        """Say of each element whether it equals ``other``."""
        return self._binary(f.EQUAL, other)

    def isnan(self) -> Tensor:
        """Say of each element whether it is NaN."""
        return self._binary(f.NOT_EQUAL, self)

    def isfinite(self) -> Tensor:
        """Say of each element whether it is neither NaN nor infinite."""
        return self.abs()._binary(f.LESS, float("inf"))

    def isinf(self) -> Tensor:
        """Say of each element whether it is infinite."""
        return self.abs()._binary(f.EQUAL, float("inf"))

    # Reductions.

    def sum(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the sum of all elements, or along dimensions; integers are added up in int64."""
        summed = self if is_floating(self.array) else self.to("int64")
        return summed._apply(f.SUM, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the mean of all elements, or along dimensions.

        Raises:
            DTypeError: of integers.
        """
        self._needs_floats("mean")
        return self._apply(f.MEAN, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def var(
        self,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Tensor:
        """Return the variance, with n - correction in the denominator: 1, or 0 if not unbiased."""
        self._needs_floats("var")
        if correction is None:
            correction = 1 if unbiased else 0
        axis = axes_of(dim, self.ndim)
        return self._apply(f.VAR, axis=axis, correction=correction, keepdims=keepdim)

    def std(
        self,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Tensor:
        """Return the standard deviation, the root of ``var``."""
        return self.var(dim, unbiased, keepdim, correction=correction).sqrt()

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the largest element, or (values, indices) along a dimension."""
        return self._extreme((f.MAX, f.ARGMAX, f.MAXIMUM), dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the smallest element, or (values, indices) along a dimension."""
        return self._extreme((f.MIN, f.ARGMIN, f.MINIMUM), dim, keepdim)

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the largest element along dimensions; equal ones share the gradient."""
        return self._apply(f.MAX, axis=axes_of(_several(dim), self.ndim), keepdims=keepdim)

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the smallest element along dimensions; equal ones share the gradient."""
        return self._apply(f.MIN, axis=axes_of(_several(dim), self.ndim), keepdims=keepdim)

    def _extreme(self, formulas: tuple[Formula, Formula, Formula], dim: Any, keepdim: bool) -> Any:
        whole, place, pair = formulas
        if dim is None:
            return self._apply(whole)
        if not isinstance(dim, int):
            return self._binary(pair, dim)
        axis = axis_of(dim, self.ndim)
        return ValuesAndIndices(
            self._apply(whole, axis=axis, keepdims=keepdim),
            self._apply(place, axis=axis, keepdims=keepdim),
        )

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return the index of the first largest element."""
        return self._apply(f.ARGMAX, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return the index of the first smallest element."""
        return self._apply(f.ARGMIN, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def norm(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the Euclidean norm of all elements, or along dimensions."""
        return self.square().sum(dim, keepdim).sqrt()

    def all(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Say whether every element is true (nonzero)."""
        return self._binary(f.EQUAL, 0).sum(dim, keepdim)._binary(f.EQUAL, 0)

    def any(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Say whether an element is true (nonzero)."""
        return self._binary(f.NOT_EQUAL, 0).sum(dim, keepdim)._binary(f.GREATER, 0)

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product, batched over leading dimensions."""
        return self._binary(f.MATMUL, other)

    mm = bmm = matmul

    def dot(self, other: Any) -> Tensor:
        """Return the sum of the products of two vectors."""
        if self.ndim != 1:
            raise ShapeError(f"dot needs vectors, got shape {self.shape}; use @ for matrices")
        return self._binary(f.MATMUL, other)
