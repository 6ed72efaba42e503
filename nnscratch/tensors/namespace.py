"""The array API standard's functions on tensors, so that a backward can be differentiated.

A backward calls functions of the namespace ``array_namespace(dY)``: NumPy's or CuPy's for an array,
those here for a tensor. Each function here applies formulas, which are recorded. So the derivative
of a first derivative is the chain rule over the formulas that the first derivative calls.

No function here reads a value, so a compiled step can record it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import Device, dtype_name
from nnscratch.array.device import current, namespace_on
from nnscratch.array.dtypes import dtype_of
from nnscratch.formulas import FORMULAS
from nnscratch.tensors.base import TensorBase

Axis = int | tuple[int, ...] | None
_NUMBERS = (bool, int, float)
# The standard's names for formulas that have others.
_NAMES = {"logical_and": "bitwise_and", "logical_or": "bitwise_or", "pow": "power"}


class LinearAlgebra:
    """The extension ``linalg`` of the namespace of tensors: what derivatives need of it."""

    def solve(self, A: Any, B: Any) -> Any:
        """Return the solution of A Y = B."""
        return A._apply(f.SOLVE, B)

    def det(self, A: Any) -> Any:
        """Return the determinant."""
        return A._apply(f.DET)


class Namespace:
    """The array API namespace of tensors: what ``Tensor.__array_namespace__`` returns.

    A formula with the name of a function of the standard, and arrays as its only arguments, is
    that function, without an entry here: ``exp``, ``tanh``, ``maximum``.

    >>> from nnscratch.tensors import Tensor
    >>> x = Tensor(np.asarray([0.0, 1.0]), requires_grad=True)
    >>> xp = x.__array_namespace__()
    >>> xp.sum(xp.exp(x)).backward()
    >>> x.grad
    tensor([1.        , 2.71828183], dtype=float64)
    """

    __name__ = "nnscratch.tensors.namespace"
    pi, e, inf, nan, newaxis = math.pi, math.e, math.inf, math.nan, None
    linalg = LinearAlgebra()

    def __init__(self, wrap: Callable[[Any], Any], apply: Callable[..., Any]) -> None:
        """Make the namespace, given the functions ``wrap`` and ``apply`` of ``tensor.py``."""
        self._wrap, self._call = wrap, apply
        for name in ("bool", "float16", "float32", "float64"):
            setattr(self, name, np.dtype(name))
        for bits in (8, 16, 32, 64):
            setattr(self, f"int{bits}", np.dtype(f"int{bits}"))
            setattr(self, f"uint{bits}", np.dtype(f"uint{bits}"))

    def __getattr__(self, name: str) -> Any:
        """Return the function that applies the formula of a name.

        Raises:
            AttributeError: if there is no such formula, or it takes options.
        """
        formula = FORMULAS.get(_NAMES.get(name, name))
        if formula is None or formula.options or formula.updates or formula.variadic:
            raise AttributeError(
                f"tensors have no function {name!r} of the array API", name=name, obj=self
            )

        def function(*operands: Any) -> Any:
            return self._call(formula, *operands)

        self.__dict__[name] = function
        return function

    # Making arrays.

    def _made(self, make: str, device: Any, *args: Any, dtype: Any = None) -> Any:
        device = "cpu" if device is None else device
        xp = namespace_on(device)
        with current(device):
            return self._wrap(
                getattr(xp, make)(*args, dtype=None if dtype is None else dtype_of(xp, dtype))
            )

    def zeros(self, shape: Any, *, dtype: Any = "float32", device: Device | None = None) -> Any:
        """Return zeros."""
        return self._made("zeros", device, shape, dtype=dtype)

    def ones(self, shape: Any, *, dtype: Any = "float32", device: Device | None = None) -> Any:
        """Return ones."""
        return self._made("ones", device, shape, dtype=dtype)

    def full(
        self, shape: Any, value: Any, *, dtype: Any = "float32", device: Device | None = None
    ) -> Any:
        """Return an array of one number."""
        return self._made("full", device, shape, value, dtype=dtype)

    def arange(self, *ends: int, dtype: Any = "int64", device: Device | None = None) -> Any:
        """Return consecutive integers, as ``numpy.arange`` does."""
        return self._made("arange", device, *ends, dtype=dtype)

    def eye(self, size: int, *, dtype: Any = "float32", device: Device | None = None) -> Any:
        """Return the identity matrix."""
        return self._made("eye", device, size, dtype=dtype)

    def zeros_like(self, X: Any, *, dtype: Any = None) -> Any:
        """Return zeros of the shape and dtype of X."""
        return self.zeros(X.shape, dtype=dtype or X.dtype, device=X.device)

    def ones_like(self, X: Any, *, dtype: Any = None) -> Any:
        """Return ones of the shape and dtype of X."""
        return self.ones(X.shape, dtype=dtype or X.dtype, device=X.device)

    def full_like(self, X: Any, value: Any, *, dtype: Any = None) -> Any:
        """Return one number, or a tensor of no axes, in the shape and dtype of X."""
        if isinstance(value, TensorBase):
            return self.broadcast_to(value, X.shape)
        return self.full(X.shape, value, dtype=dtype or X.dtype, device=X.device)

    def asarray(
        self, value: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None
    ) -> Any:
        """Return a tensor or a number as a tensor; with ``copy`` one of its own."""
        if isinstance(value, TensorBase):
            return self.astype(value, value.dtype if dtype is None else dtype, copy=bool(copy))
        return self._made("asarray", device, value, dtype=dtype)

    def astype(self, X: Any, dtype: Any, *, copy: bool = True) -> Any:
        """Return X in another dtype."""
        name = dtype_name(dtype)
        return X if not copy and X.dtype == np.dtype(name) else X._apply(f.CAST, dtype=name)

    # Functions of each entry.

    def where(self, C: Any, A: Any, B: Any) -> Any:
        """Return A where C holds, else B; one of them may be a number, or both."""
        if isinstance(A, _NUMBERS) and isinstance(B, _NUMBERS):
            A = self.full(C.shape, float(A), device=C.device)
        return C._apply(f.WHERE, A, B)

    def isnan(self, X: Any) -> Any:
        """Say which entries are NaN."""
        return X._apply(f.NOT_EQUAL, X)

    def isinf(self, X: Any) -> Any:
        """Say which entries are infinite."""
        return X._apply(f.ABS)._apply(f.EQUAL, math.inf)

    def isfinite(self, X: Any) -> Any:
        """Say which entries are numbers and not infinite."""
        return X._apply(f.ABS)._apply(f.LESS, math.inf)

    def square(self, X: Any) -> Any:
        """Return X²."""
        return X._apply(f.MULTIPLY, X)

    def reciprocal(self, X: Any) -> Any:
        """Return 1 / X."""
        return self._call(f.DIVIDE, 1.0, X)

    def clip(self, X: Any, min: float | None = None, max: float | None = None) -> Any:
        """Return X limited to the range from ``min`` to ``max``."""
        return X._apply(f.CLIP, min=min, max=max)

    def sign(self, X: Any) -> Any:
        """Return -1, 0 or 1 as X is negative, zero or positive; NaN stays NaN."""
        sides = [self.astype(side, X.dtype) for side in (X > 0, X < 0)]
        return self.where(self.isnan(X), X, sides[0] - sides[1])

    def conj(self, X: Any) -> Any:
        """Return the complex conjugates."""
        return X._apply(f.CONJUGATE)

    def real(self, X: Any) -> Any:
        """Return the real parts."""
        return X.real

    # Reductions.

    def sum(self, X: Any, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
        """Return sums along axes."""
        X = X if dtype is None else self.astype(X, dtype, copy=False)
        return X._apply(f.SUM, axis=axis, keepdims=keepdims)

    def count_nonzero(self, X: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
        """Return how many entries are not 0 along axes."""
        return self.sum(X._apply(f.NOT_EQUAL, 0), axis=axis, keepdims=keepdims)

    def mean(self, X: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
        """Return means along axes."""
        return X._apply(f.MEAN, axis=axis, keepdims=keepdims)

    def cumulative_sum(self, X: Any, *, axis: int) -> Any:
        """Return the sums up to each entry along an axis."""
        return X._apply(f.CUMULATIVE_SUM, axis=axis)

    def cumulative_prod(self, X: Any, *, axis: int) -> Any:
        """Return the products up to each entry along an axis."""
        return X._apply(f.CUMULATIVE_PROD, axis=axis)

    def max(self, X: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
        """Return the largest entries along axes."""
        return X._apply(f.MAX, axis=axis, keepdims=keepdims)

    def min(self, X: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
        """Return the smallest entries along axes."""
        return X._apply(f.MIN, axis=axis, keepdims=keepdims)

    def var(
        self, X: Any, *, axis: Axis = None, correction: float = 0, keepdims: bool = False
    ) -> Any:
        """Return variances along axes, of all entries unless ``correction`` is 1."""
        return X._apply(f.VAR, axis=axis, correction=correction, keepdims=keepdims)

    def std(
        self, X: Any, *, axis: Axis = None, correction: float = 0, keepdims: bool = False
    ) -> Any:
        """Return standard deviations along axes, of all entries unless ``correction`` is 1."""
        return X._apply(f.STD, axis=axis, correction=correction, keepdims=keepdims)

    def argmax(self, X: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return where the first of the largest entries is."""
        return X._apply(f.ARGMAX, axis=axis, keepdims=keepdims)

    def argmin(self, X: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return where the first of the smallest entries is."""
        return X._apply(f.ARGMIN, axis=axis, keepdims=keepdims)

    # Shapes.

    def reshape(self, X: Any, shape: Sequence[int]) -> Any:
        """Return X in another shape."""
        return X._apply(f.RESHAPE, shape=tuple(shape))

    def permute_dims(self, X: Any, axes: tuple[int, ...]) -> Any:
        """Return X with its axes in another order."""
        return X._apply(f.TRANSPOSE, axes=tuple(axes))

    def matrix_transpose(self, X: Any) -> Any:
        """Return X with its last two axes exchanged."""
        n = X.ndim
        return self.permute_dims(X, (*range(n - 2), n - 1, n - 2))

    def moveaxis(self, X: Any, source: int, destination: int) -> Any:
        """Return X with one axis moved to another position."""
        order = [axis for axis in range(X.ndim) if axis != source % X.ndim]
        order.insert(destination % X.ndim, source % X.ndim)
        return self.permute_dims(X, tuple(order))

    def expand_dims(self, X: Any, *, axis: int = 0) -> Any:
        """Return X with a new axis of size 1 at position ``axis``."""
        shape = list(X.shape)
        shape.insert(axis % (X.ndim + 1), 1)
        return self.reshape(X, shape)

    def squeeze(self, X: Any, axis: int | tuple[int, ...]) -> Any:
        """Return X without axes of size 1."""
        axes = {one % X.ndim for one in ((axis,) if isinstance(axis, int) else axis)}
        return self.reshape(X, [n for one, n in enumerate(X.shape) if one not in axes])

    def broadcast_to(self, X: Any, shape: Sequence[int]) -> Any:
        """Return X repeated to a shape."""
        return X._apply(f.BROADCAST_TO, shape=tuple(shape))

    def concat(self, arrays: Sequence[Any], *, axis: int = 0) -> Any:
        """Return arrays joined along an existing axis."""
        return self._call(f.CONCATENATE, *arrays, axis=axis)

    def stack(self, arrays: Sequence[Any], *, axis: int = 0) -> Any:
        """Return arrays joined along a new axis."""
        return self._call(f.STACK, *arrays, axis=axis)

    def flip(self, X: Any, *, axis: Axis = None) -> Any:
        """Return X with its entries in the opposite order along axes."""
        axes = range(X.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        turned = {one % X.ndim for one in axes}
        index = tuple(slice(None, None, -1 if one in turned else 1) for one in range(X.ndim))
        return X._apply(f.GETITEM, index=index)

    # Picking entries, and putting them back.

    def take(self, X: Any, I: Any, *, axis: int = 0) -> Any:
        """Return the slices of X at the indices I along an axis."""
        return X._apply(f.TAKE, I, axis=axis)

    def take_along_axis(self, X: Any, I: Any, *, axis: int = -1) -> Any:
        """Return the entries of X at the indices I along an axis, in the shape of I."""
        axis %= X.ndim
        step = math.prod(X.shape[axis + 1 :])
        start = np.zeros(I.shape, np.int64)
        for other, size in enumerate(X.shape):
            if other != axis:
                numbers = np.arange(size) * math.prod(X.shape[other + 1 :])
                start = start + numbers.reshape([-1 if a == other else 1 for a in range(X.ndim)])
        place = self.asarray(start, dtype="int64", device=X.device)._apply(f.ADD, I * step)
        return self.reshape(X, (-1,))._apply(f.TAKE, place, axis=0)

    def gather(self, X: Any, I: Any, axis: int) -> Any:
        """Return the entries of X at the indices I along an axis, of which others may be fewer."""
        return X._apply(f.GATHER, I, axis=axis)

    def scatter(self, X: Any, I: Any, U: Any, axis: int) -> Any:
        """Return X with its entries at the indices I along an axis replaced by those of U."""
        return X._apply(f.SCATTER, I, U, axis=axis)

    def scatter_add(self, X: Any, I: Any, U: Any, axis: int) -> Any:
        """Return X with the entries of U added at the indices I along an axis."""
        return X._apply(f.SCATTER_ADD, I, U, axis=axis)

    def scatter_prod(self, X: Any, I: Any, U: Any, axis: int) -> Any:
        """Return X with its entries times those of U at the indices I along an axis."""
        return X._apply(f.SCATTER_PROD, I, U, axis=axis)

    def fourier(self, P: Any, axes: tuple[int, ...], inverse: bool, norm: str) -> Any:
        """Return the Fourier transform of pairs."""
        return P._apply(f.FOURIER, axes=axes, inverse=inverse, norm=norm)

    def add_rows(self, rows: Any, I: Any, count: int) -> Any:
        """Return a (count, columns) matrix, whose row k is the sum of the rows i with I[i] = k."""
        return rows._apply(f.ADD_ROWS, I, count=count)

    def place(self, X: Any, shape: tuple[int, ...], index: tuple[int | slice, ...]) -> Any:
        """Return zeros of a shape, with X at the entries that ``index`` selects."""
        return X._apply(f.PLACE, shape=shape, index=index)

    def formula(self, name: str, *operands: Any, **options: Any) -> Any:
        """Return a formula of these, for backwards whose derivative is a formula with options."""
        return self._call(FORMULAS[name], *operands, **options)

    def matmul(self, A: Any, B: Any) -> Any:
        """Return the matrix product."""
        return A._apply(f.MATMUL, B)
