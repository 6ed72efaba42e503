"""The methods of a tensor that reduce dimensions: sums, means, variances, extremes, norms."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nnscratch import formulas as f
from nnscratch.array import dtype_name
from nnscratch.array.dtypes import is_complex, is_inexact
from nnscratch.array.named import NamedValues
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import Formula
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.methods import Dims, axes_of, axis_of, numpy_names

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor


class ValuesAndIndices(NamedValues):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Tensor
    indices: Tensor


def _several(dim: Dims) -> Dims:
    return (dim,) if isinstance(dim, int) else dim


def _values_for_numpy(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``max`` and ``min`` return no indices where NumPy calls them, as ``np.max(x, 0)`` does.

    They can be told by ``axis`` with ``out=None``, which nobody else writes; ``out=None`` alone is
    PyTorch's.
    """

    @functools.wraps(method)
    def taking(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs and "axis" in kwargs and kwargs.get("out", 0) is None:
            return getattr(self, f"a{method.__name__}")(*args, **kwargs)
        return method(self, *args, **kwargs)

    return taking


class TensorReductions(TensorBase):
    """Reductions; ``Tensor`` inherits them. They take NumPy's ``axis`` and ``keepdims`` too."""

    __slots__ = ()

    @numpy_names
    def logsumexp(self, dim: Any, keepdim: bool = False) -> Tensor:
        """Return log Σ e^x along one dimension or several, without overflow."""
        taken = self._as_float()
        if isinstance(dim, (tuple, list)):
            axes = axes_of(dim, self.ndim)
            if len(axes or ()) != 1:
                return taken._logsumexp_over(axes, keepdim)
            dim = axes[0]
        axis = axis_of(dim, self.ndim)
        if self.ndim == 0:
            return taken.to(copy=True)
        return taken._apply(f.LOGSUMEXP, axis=axis, keepdims=keepdim)

    def _logsumexp_over(self, axes: Any, keepdim: bool) -> Tensor:
        """Return logsumexp over several dimensions, or all if None, merged into the last one."""
        reduced = tuple(range(self.ndim)) if axes is None else axes
        rest = tuple(axis for axis in range(self.ndim) if axis not in reduced)
        sizes = [self.shape[axis] for axis in rest]
        count = math.prod(self.shape[axis] for axis in reduced)
        made = self.permute(*rest, *reduced).reshape(*sizes, count)
        kept = [1 if axis in reduced else n for axis, n in enumerate(self.shape)]
        result = made._apply(f.LOGSUMEXP, axis=len(rest), keepdims=False)
        return result.reshape(kept) if keepdim else result

    @numpy_names
    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        """Return the sum of all elements, or along dimensions.

        Args:
            dim: the dimensions to sum over; None for all.
            keepdim: whether to keep them with size 1.
            dtype: the dtype to sum in, which the result has; by default int64 for integers.
        """
        summed = self._in_dtype(dtype) if dtype or is_inexact(self.array) else self.to("int64")
        total = summed._apply(f.SUM, axis=axes_of(dim, self.ndim), keepdims=keepdim)
        return total if dtype is None else total._in_dtype(dtype)  # small integers wrap around

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
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
        dtype: Any = None,
    ) -> Tensor:
        """Return the variance, with n - correction in the denominator: 1, or 0 if not unbiased.

        A boolean in the first place is ``unbiased``, as in PyTorch: ``x.var(False)``. ``dtype`` is
        NumPy's: the dtype to compute in, which the result has.
        """
        made: Tensor = self._in_dtype(dtype)._spread(f.VAR, dim, unbiased, keepdim, correction)
        return made

    @numpy_names
    def std(
        self,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
        dtype: Any = None,
    ) -> Tensor:
        """Return the standard deviation, the root of ``var``; where it is 0, its gradient is 0."""
        made: Tensor = self._in_dtype(dtype)._spread(f.STD, dim, unbiased, keepdim, correction)
        return made

    def _spread(
        self, formula: Formula, dim: Any, unbiased: Any, keepdim: bool, correction: Any
    ) -> Any:
        self._needs_floats(formula.name)
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if correction is not None and unbiased is not None:
            raise ConfigurationError(
                f"{formula.name}: unbiased and correction say the same; give one, got {unbiased} "
                f"and {correction}"
            )
        if correction is None:
            correction = 1 if unbiased is None or unbiased else 0
        axis = axes_of(dim, self.ndim)
        return self._apply(formula, axis=axis, correction=correction, keepdims=keepdim)

    @_values_for_numpy
    @numpy_names
    def max(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        """Return the largest element, or (values, indices) along a dimension.

        With another tensor in the place of ``dim``, or as ``other``, it is ``maximum``.
        """
        return self._extreme(f.MAX, f.ARGMAX, f.MAXIMUM, dim, keepdim, other)

    @_values_for_numpy
    @numpy_names
    def min(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        """Return the smallest element, or (values, indices) along a dimension.

        With another tensor in the place of ``dim``, or as ``other``, it is ``minimum``.
        """
        return self._extreme(f.MIN, f.ARGMIN, f.MINIMUM, dim, keepdim, other)

    @numpy_names
    def amax(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the maximum along dimensions; the gradient is divided equally among ties."""
        return self._apply(f.MAX, axis=axes_of(_several(dim), self.ndim), keepdims=keepdim)

    @numpy_names
    def amin(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Return the minimum along dimensions; the gradient is divided equally among ties."""
        return self._apply(f.MIN, axis=axes_of(_several(dim), self.ndim), keepdims=keepdim)

    def _extreme(
        self, whole: Formula, place: Formula, pair: Formula, dim: Any, keepdim: bool, other: Any
    ) -> Any:
        """Return an extreme of all, of a dimension with its place, or of pairs with a tensor."""
        if other is not None or isinstance(dim, TensorBase):
            if (other is not None and dim is not None) or keepdim:
                raise ConfigurationError(
                    f"{whole.name} is of pairs with another tensor, or along a dimension; write "
                    f"{pair.name}(x, other), or x.{whole.name}(dim, keepdim)"
                )
            return self._binary(pair, dim if other is None else other)
        if dim is None:
            return self._apply(whole)
        if isinstance(dim, (tuple, list)):
            raise ShapeError(
                f"{whole.name} takes one dim, got {dim}; use a{whole.name} for several dimensions"
            )
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
        axis = None if dim is None else axes_of(axis_of(dim, self.ndim), self.ndim)
        return self._apply(f.ARGMAX, axis=axis, keepdims=keepdim)

    @numpy_names
    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return the index of the first smallest element."""
        axis = None if dim is None else axes_of(axis_of(dim, self.ndim), self.ndim)
        return self._apply(f.ARGMIN, axis=axis, keepdims=keepdim)

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
        if p == "nuc":
            axes = tuple(range(self.ndim)) if dim is None else axes_of(dim, self.ndim)
            if not isinstance(axes, tuple) or len(axes) != 2:
                raise ShapeError(f"norm: 'nuc' is for two dimensions, got {dim} of {self.shape}")
            return self._in_dtype(dtype)._norm_of_matrices(p, axes, keepdim)
        if isinstance(p, str):
            raise ConfigurationError(f"norm: p is a number, 'fro' or 'nuc', got {p!r}")
        taken = self._in_dtype(dtype)
        taken = taken.abs() if is_complex(taken.array) else taken
        taken._needs_floats("norm")
        return taken._apply(f.NORM, p=p, axis=axes_of(dim, self.ndim), keepdims=keepdim)

    def _norm_of_matrices(self, p: Any, axes: tuple[int, ...], keepdim: bool) -> Tensor:
        """Return the sum ("nuc"), largest (2) or smallest (-2) singular value of matrices."""
        rest = [axis for axis in range(self.ndim) if axis not in axes]
        _, S, _ = self.permute(*rest, *axes)._apply(f.SVD, full_matrices=False)
        kept = [1 if axis in axes else n for axis, n in enumerate(self.shape)]
        made: Tensor = S.sum(-1) if p == "nuc" else S.amax(-1) if p == 2 else S.amin(-1)
        return made.reshape(kept) if keepdim else made

    @numpy_names
    def all(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Say whether every element is true (nonzero)."""
        said = self._binary(f.EQUAL, 0)
        if dim in ((), []):  # over no dimension, where sum takes them all
            said = said._binary(f.EQUAL, False)
        else:
            said = said.sum(dim, keepdim)._binary(f.EQUAL, 0)
        return said.to("uint8") if dtype_name(self.array.dtype) == "uint8" else said

    @numpy_names
    def any(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """Say whether an element is true (nonzero)."""
        said = self._binary(f.NOT_EQUAL, 0)
        if dim not in ((), []):
            said = said.sum(dim, keepdim)._binary(f.GREATER, 0)
        return said.to("uint8") if dtype_name(self.array.dtype) == "uint8" else said
