"""The mathematical methods of a tensor, with PyTorch's names: each calls one formula."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from nnscratch import formulas as f
from nnscratch.array import default_dtype, dtype_name, is_floating, promote
from nnscratch.array.wholes import as_index
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas import Formula
from nnscratch.formulas.checks import refuse_complex
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.promotion import checked_number, to_common_dtype

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor

P = ParamSpec("P")
R = TypeVar("R")
Dims = int | tuple[int, ...] | list[int] | None


def axes_of(dim: Any, ndim: int) -> Any:
    """Return dimensions as axes counted from 0, None for all of them.

    Args:
        dim: one dimension or several, negative ones counted from the end; None and () stand for
            all of them, as in PyTorch's reductions.
        ndim: how many dimensions there are.

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
    """Return one dimension as an axis counted from 0.

    Raises:
        ShapeError: if there is no such dimension.
    """
    number = None if isinstance(dim, bool) else as_index(dim)
    if number is None:
        raise ShapeError(f"dim must be an integer, got {dim!r}")
    limit = ndim or 1
    if not -limit <= number < limit:
        raise ShapeError(
            f"dim must be from {-limit} to {limit - 1} for {ndim} dimensions; got {dim}"
        )
    return number % limit


_NUMPY_NAMES = (("axis", "dim"), ("keepdims", "keepdim"), ("ddof", "correction"))


def numpy_names(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method also take ``axis`` and ``keepdims`` in place of ``dim`` and ``keepdim``.

    ``out=None`` and ``dtype=None`` are ignored: NumPy's functions pass them when they call the
    method, as ``np.sum(x)`` does. Their ``ddof`` is the ``correction``.
    """

    @functools.wraps(method)
    def taking(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for theirs, ours in _NUMPY_NAMES:
                if theirs in kwargs:
                    if ours in kwargs:
                        raise ConfigurationError(f"{ours} and {theirs} mean the same; give one")
                    kwargs[ours] = kwargs.pop(theirs)
            for word in ("out", "dtype"):
                if kwargs.get(word, 0) is None:
                    del kwargs[word]
        return method(*args, **kwargs)

    return taking


class TensorMethods(TensorBase):
    """Elementwise mathematics and products; ``Tensor`` inherits them."""

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
        return self._binary(f.ADD, self._times(other, alpha))

    def sub(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Return self − alpha · other."""
        return self._binary(f.SUBTRACT, self._times(other, alpha))

    def _times(self, other: Any, alpha: Any) -> Any:
        """Return alpha · other in the dtype that it has in common with this tensor."""
        if alpha == 1:
            return other
        tensors = [self, other] if isinstance(other, TensorBase) else [self]
        floats = any(is_floating(tensor.array) for tensor in tensors)
        if isinstance(alpha, float) and not (floats or isinstance(other, float)):
            raise DTypeError(f"alpha must be an integer among integers, got {alpha}")
        if isinstance(other, TensorBase) and is_floating(self.array):
            other = other.to(promote(self.array, other.array))
        return other * alpha

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
            DTypeError: of complex numbers, which have no order.
        """
        refuse_complex("clamp", self.array)
        if min is None and max is None:
            raise ShapeError("clamp needs min, max or both")
        numbers = (int, float, type(None))
        if isinstance(min, numbers) and isinstance(max, numbers):
            held = self
            if not is_floating(self.array):
                breaks = isinstance(min, float) or isinstance(max, float)
                own = dtype_name(self.array.dtype)
                kept = "int64" if own == "bool" else own
                held = self.to(default_dtype() if breaks else kept)
            name = dtype_name(held.array.dtype)
            min, max = checked_number("clamp", min, name), checked_number("clamp", max, name)
            return held._apply(f.CLIP, min=min, max=max)
        low = self.to() if min is None else self._bounded(f.LESS, min)
        return low if max is None else low._bounded(f.GREATER, max)

    clip = clamp

    def _bounded(self, beyond: Formula, bound: Any) -> Tensor:
        """Replace elements beyond a bound by the bound; those equal to it keep their gradient."""
        if isinstance(bound, (int, float)):
            return self.clamp(bound) if beyond is f.LESS else self.clamp(max=bound)
        left, right = to_common_dtype(self, bound)
        replaced = left._binary(beyond, right) | right._binary(f.NOT_EQUAL, right)
        return replaced._where(right, left)  # type: ignore[no-any-return]

    @numpy_names
    def softmax(self, dim: int, dtype: Any = None) -> Tensor:
        """Return e^x over its sum along a dimension."""
        taken = self._in_dtype(dtype)
        taken._needs_floats("softmax")
        if self.ndim == 0:
            return taken.reshape(1).softmax(dim).reshape(())
        return taken._apply(f.SOFTMAX, axis=axis_of(dim, self.ndim))

    @numpy_names
    def log_softmax(self, dim: int, dtype: Any = None) -> Tensor:
        """Return the logarithm of the softmax along a dimension."""
        taken = self._in_dtype(dtype)
        taken._needs_floats("log_softmax")
        if self.ndim == 0:
            return taken.reshape(1).log_softmax(dim).reshape(())
        return taken._apply(f.LOG_SOFTMAX, axis=axis_of(dim, self.ndim))

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

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product, batched over leading dimensions."""
        return self._binary(f.MATMUL, other)

    def mm(self, mat2: Any) -> Tensor:
        """Return the product of two matrices."""
        return self._product("mm", mat2, 2)

    def bmm(self, mat2: Any) -> Tensor:
        """Return the products of two batches of matrices, (B, n, m) and (B, m, p)."""
        return self._product("bmm", mat2, 3)

    def _product(self, name: str, other: Any, ndim: int) -> Tensor:
        shapes = self.shape, tuple(other.shape)
        if any(len(shape) != ndim for shape in shapes) or shapes[0][:-2] != shapes[1][:-2]:
            raise ShapeError(
                f"{name} needs two tensors of {ndim} dimensions"
                f"{' and as many matrices' if ndim == 3 else ''}, got {shapes[0]} and {shapes[1]}; "
                "use @ for others"
            )
        return self._binary(f.MATMUL, other)

    def dot(self, tensor: Any) -> Tensor:
        """Return the sum of the products of two vectors."""
        if self.ndim != 1:
            raise ShapeError(f"dot needs vectors, got shape {self.shape}; use @ for matrices")
        return self._binary(f.MATMUL, tensor)
