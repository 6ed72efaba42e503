"""The mathematical methods of a tensor, with PyTorch's names: each calls one formula."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from nnscratch import formulas as f
from nnscratch.array import default_dtype, dtype_name, is_floating
from nnscratch.base import TensorBase
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import Formula

if TYPE_CHECKING:
    from nnscratch.tensor import Tensor

P = ParamSpec("P")
R = TypeVar("R")
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
        chosen: Any = tuple(axis_of(item, ndim) for item in dim) or None
    else:
        chosen = axis_of(dim, ndim)
    return chosen if ndim else None


def axis_of(dim: int, ndim: int) -> int:
    """Check one dimension, and count it from the front."""
    limit = ndim or 1
    if not -limit <= dim < limit:
        raise ShapeError(
            f"dim must be from {-limit} to {limit - 1} for {ndim} dimensions; got {dim}"
        )
    return dim % limit


def numpy_names(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method take ``axis`` and ``keepdims`` for ``dim`` and ``keepdim``.

    NumPy's own functions, such as ``np.sum(x)``, call with ``out=None`` and ``dtype=None`` besides.
    """

    @functools.wraps(method)
    def taking(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for theirs, ours in (("axis", "dim"), ("keepdims", "keepdim")):
                if theirs in kwargs:
                    if ours in kwargs:
                        raise ConfigurationError(f"{ours} and {theirs} mean the same; give one")
                    kwargs[ours] = kwargs.pop(theirs)
            for word in ("out", "dtype"):
                if kwargs.get(word, 0) is None:
                    del kwargs[word]
        return method(*args, **kwargs)

    return taking


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
            held = self
            if not is_floating(self.array):
                breaks = isinstance(min, float) or isinstance(max, float)
                name = dtype_name(self.array.dtype)
                kept = "int64" if name == "bool" else name
                held = self.to(default_dtype() if breaks else kept)
            return held._apply(f.CLIP, min=min, max=max)
        low = self.to() if min is None else self._binary(f.MAXIMUM, min)
        return low if max is None else low._binary(f.MINIMUM, max)

    clip = clamp

    def softmax(self, dim: int, dtype: Any = None) -> Tensor:
        """Return e^x over its sum along a dimension."""
        taken = self._in_dtype(dtype)
        taken._needs_floats("softmax")
        if self.ndim == 0:
            return taken.reshape(1).softmax(dim).reshape(())
        return taken._apply(f.SOFTMAX, axis=axis_of(dim, self.ndim))

    def log_softmax(self, dim: int, dtype: Any = None) -> Tensor:
        """Return the logarithm of the softmax along a dimension."""
        taken = self._in_dtype(dtype)
        taken._needs_floats("log_softmax")
        if self.ndim == 0:
            return taken.reshape(1).log_softmax(dim).reshape(())
        return taken._apply(f.LOG_SOFTMAX, axis=axis_of(dim, self.ndim))

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

    def ne(self, other: Any) -> Tensor:
        """Say of each element whether it differs from ``other``."""
        return self._binary(f.NOT_EQUAL, other)

    def lt(self, other: Any) -> Tensor:
        """Say of each element whether it is below ``other``."""
        return self._binary(f.LESS, other)

    def le(self, other: Any) -> Tensor:
        """Say of each element whether it is at most ``other``."""
        return self._binary(f.LESS_EQUAL, other)

    def gt(self, other: Any) -> Tensor:
        """Say of each element whether it is above ``other``."""
        return self._binary(f.GREATER, other)

    def ge(self, other: Any) -> Tensor:
        """Say of each element whether it is at least ``other``."""
        return self._binary(f.GREATER_EQUAL, other)

    def isnan(self) -> Tensor:
        """Say of each element whether it is NaN."""
        return self._binary(f.NOT_EQUAL, self)

    def isfinite(self) -> Tensor:
        """Say of each element whether it is neither NaN nor infinite."""
        return self.abs()._binary(f.LESS, float("inf"))

    def isinf(self) -> Tensor:
        """Say of each element whether it is infinite."""
        return self.abs()._binary(f.EQUAL, float("inf"))

    # Reductions. ``axis`` and ``keepdims`` are NumPy's names, which PyTorch takes too.

    @numpy_names
    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        """Return the sum of all elements, or along dimensions; integers are added up in int64.

        ``dtype`` is that to add up in.
        """
        summed = self._in_dtype(dtype) if dtype or is_floating(self.array) else self.to("int64")
        return summed._apply(f.SUM, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    @numpy_names
    def mean(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        """Return the mean of all elements, or along dimensions.

        Raises:
            DTypeError: of integers, unless ``dtype`` names a floating one.
        """
        averaged = self._in_dtype(dtype)
        averaged._needs_floats("mean")
        return averaged._apply(f.MEAN, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    @numpy_names
    def var(
        self,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Tensor:
        """Return the variance, with n - correction in the denominator: 1, or 0 if not unbiased.

        A boolean in the first place is ``unbiased``, as in PyTorch: ``x.var(False)``.
        """
        return self._spread(f.VAR, dim, unbiased, keepdim, correction)

    @numpy_names
    def std(
        self,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Tensor:
        """Return the standard deviation, the root of ``var``; its slope is 0 where it is 0."""
        return self._spread(f.STD, dim, unbiased, keepdim, correction)

    def _spread(
        self, formula: Formula, dim: Any, unbiased: bool, keepdim: bool, correction: Any
    ) -> Tensor:
        self._needs_floats(formula.name)
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if correction is None:
            correction = 1 if unbiased else 0
        axis = axes_of(dim, self.ndim)
        return self._apply(formula, axis=axis, correction=correction, keepdims=keepdim)

    def _in_dtype(self, dtype: Any) -> Tensor:
        return self.to() if dtype is None else self.to(dtype_name(dtype))

    @numpy_names
    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the largest element, or (values, indices) along a dimension."""
        return self._extreme((f.MAX, f.ARGMAX, f.MAXIMUM), dim, keepdim)

    @numpy_names
    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the smallest element, or (values, indices) along a dimension."""
        return self._extreme((f.MIN, f.ARGMIN, f.MINIMUM), dim, keepdim)

    @numpy_names
    def amax(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the largest element along dimensions; equal ones share the gradient."""
        return self._apply(f.MAX, axis=axes_of(_several(dim), self.ndim), keepdims=keepdim)

    @numpy_names
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
        if self.ndim == 0:  # whose one dimension is meant
            return ValuesAndIndices(self._apply(whole), self._apply(place))
        return ValuesAndIndices(
            self._apply(whole, axis=axis, keepdims=keepdim),
            self._apply(place, axis=axis, keepdims=keepdim),
        )

    @numpy_names
    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return the index of the first largest element."""
        return self._apply(f.ARGMAX, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    @numpy_names
    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return the index of the first smallest element."""
        return self._apply(f.ARGMIN, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    @numpy_names
    def norm(
        self, p: Any = 2.0, dim: Dims = None, keepdim: bool = False, dtype: Any = None
    ) -> Tensor:
        """Return the p-norm of all elements, or along dimensions: (Σ |x|^p)^(1/p).

        ``p`` may be infinite, 0 (how many are not 0), or "fro", which is 2.

        Raises:
            ConfigurationError: for another word, such as "nuc".
        """
        if p is None or p == "fro":
            p = 2.0
        if isinstance(p, str):
            raise ConfigurationError(f"norm: p is a number or 'fro', got {p!r}")
        taken = self._in_dtype(dtype)
        taken._needs_floats("norm")
        return taken._apply(f.NORM, p=p, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    @numpy_names
    def all(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Say whether every element is true (nonzero)."""
        said = self._binary(f.EQUAL, 0).sum(dim, keepdim)._binary(f.EQUAL, 0)
        return said.to("uint8") if dtype_name(self.array.dtype) == "uint8" else said

    @numpy_names
    def any(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Say whether an element is true (nonzero)."""
        said = self._binary(f.NOT_EQUAL, 0).sum(dim, keepdim)._binary(f.GREATER, 0)
        return said.to("uint8") if dtype_name(self.array.dtype) == "uint8" else said

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product, batched over leading dimensions."""
        return self._binary(f.MATMUL, other)

    mm = bmm = matmul

    def dot(self, other: Any) -> Tensor:
        """Return the sum of the products of two vectors."""
        if self.ndim != 1:
            raise ShapeError(f"dot needs vectors, got shape {self.shape}; use @ for matrices")
        return self._binary(f.MATMUL, other)
