"""Pooling by the largest entry of each window, and back, as functions and modules.

Inputs are (N, C, ...) or, of one sample, (C, ...), with one to three dimensions behind. With
``return_indices`` the result is a pair: the largest entries, and the number of each in its plane.
"""

from __future__ import annotations

from typing import Any, ClassVar

from nnscratch import formulas as f
from nnscratch.array.wholes import whole_number
from nnscratch.errors import DTypeError, ShapeError
from nnscratch.formulas import pooling_windows as windows
from nnscratch.nn.module import Module
from nnscratch.nn.options import Sizes, each, left_out
from nnscratch.nn.pooling_sizes import Pooling, adaptive_counts, planes
from nnscratch.tensors import Tensor, apply, as_tensor

__all__ = [
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]


def max_pooled(where: str, dims: int, input: Any, options: tuple[Any, ...], both: bool) -> Any:
    """Return the largest entries of windows of so many dimensions, and their numbers if ``both``.

    The options are those of ``max_pool1d``, from ``kernel_size`` to ``ceil_mode``.
    """
    x = planes(where, input, dims)
    pool = Pooling(where, x, *options, dims=dims)
    lines = tuple(
        windows.windows(*numbers)
        for numbers in zip(
            pool.sizes, pool.kernel, pool.stride, pool.padding, pool.dilation, pool.counts,
            strict=True,
        )
    )  # fmt: skip
    found: Any = apply(f.MAX_POOL, x, lines=lines)
    return found if both else found[0]


def max_pool1d(
    input: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    r"""Return the largest entries of windows of (N, C, L): $y_o = \max_{i < k} x_{s o - p + d i}$.

    The first of several largest is taken, a NaN is larger than any number, and padding is smaller.

    Args:
        input: (N, C, L) or (C, L).
        kernel_size: k, how many entries a window has.
        stride: s, from one window to the next; ``kernel_size`` unless given.
        padding: p, by how much windows reach over both ends; at most half a window.
        dilation: d, from one entry of a window to the next.
        ceil_mode: whether a last window may reach further over the end.
        return_indices: whether to return the numbers of the entries too.

    Raises:
        ConfigurationError: if an option is out of range.
        ShapeError: if the shape does not fit, or there is no window.

    >>> from nnscratch import tensor
    >>> max_pool1d(tensor([[1.0, 3.0, 2.0, 5.0]]), 2, return_indices=True)
    (tensor([[3., 5.]]), tensor([[1, 3]]))
    """
    options = (kernel_size, stride, padding, dilation, ceil_mode)
    return max_pooled("max_pool1d", 1, input, options, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest entries of windows of (N, C, H, W), see ``max_pool1d``.

    An entry in row h and column w has the number h W + w.

    Raises:
        ConfigurationError, ShapeError: as ``max_pool1d``.
    """
    options = (kernel_size, stride, padding, dilation, ceil_mode)
    return max_pooled("max_pool2d", 2, input, options, return_indices)


def max_pool3d(
    input: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest entries of windows of (N, C, D, H, W), see ``max_pool1d``.

    Raises:
        ConfigurationError, ShapeError: as ``max_pool1d``.
    """
    options = (kernel_size, stride, padding, dilation, ceil_mode)
    return max_pooled("max_pool3d", 3, input, options, return_indices)


def _adaptive(where: str, dims: int, input: Any, output_size: Any, both: bool) -> Any:
    x = planes(where, input, dims)
    sizes = x.shape[x.ndim - dims :]
    counts = adaptive_counts(where, output_size, sizes)
    found: Any = apply(f.MAX_POOL, x, lines=tuple(map(windows.adaptive_windows, sizes, counts)))
    return found if both else found[0]


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest entries of windows that divide (N, C, L) evenly.

    The windows are those of ``adaptive_avg_pool1d``.

    Raises:
        ShapeError: if the shape does not fit.
        ConfigurationError: for a size that is none.

    >>> from nnscratch import arange
    >>> adaptive_max_pool1d(arange(5.0).reshape(1, 5), 3)
    tensor([[1., 3., 4.]])
    """
    return _adaptive("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest entries of windows that divide (N, C, H, W) evenly."""
    return _adaptive("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest entries of windows that divide (N, C, D, H, W) evenly."""
    return _adaptive("adaptive_max_pool3d", 3, input, output_size, return_indices)


def _put_back(
    where: str,
    dims: int,
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Tensor:
    x = planes(where, input, dims)
    places = as_tensor(indices)
    if places.dtype != "int64":
        raise DTypeError(f"{where}: expected indices in int64, got {places.dtype}")
    if places.shape != x.shape:
        raise ShapeError(f"{where}: indices of shape {places.shape} for an input of {x.shape}")
    kernel = each(where, "kernel_size", kernel_size, dims)
    step = kernel if left_out(stride) else each(where, "stride", stride, dims)
    edge = each(where, "padding", padding, dims)
    sizes = tuple(
        (n - 1) * s + k - 2 * p
        for n, s, k, p in zip(x.shape[x.ndim - dims :], step, kernel, edge, strict=True)
    )
    if output_size is not None:
        asked = tuple([whole_number(f"{where}: output_size", one) for one in output_size])
        if len(asked) == dims + 2:
            asked = asked[2:]
        near = [abs(a - n) < s for a, n, s in zip(asked, sizes, step, strict=False)]
        if len(asked) != dims or not all(near):
            raise ShapeError(
                f"{where}: output_size {tuple(output_size)} does not fit windows that come from "
                f"sizes near {sizes}; each may differ by less than the stride {step}"
            )
        sizes = asked
    return apply(f.MAX_UNPOOL, x, places, sizes=sizes)


def max_unpool1d(
    input: Any,
    indices: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Return zeros with the entries of the input at their indices: ``max_pool1d`` undone.

    Args:
        input: (N, C, L) or (C, L).
        indices: the number of each entry in its line, as ``max_pool1d`` returns them.
        kernel_size, stride, padding: those of the pooling, from which the size follows.
        output_size: the size, where several lead to that of the input.

    Raises:
        ShapeError: if the shapes, or the size, do not fit.
        DTypeError: if the indices are not int64.
        DataError: if an index is out of range.

    >>> from nnscratch import tensor
    >>> largest, places = max_pool1d(tensor([[1.0, 3.0, 5.0, 2.0]]), 2, return_indices=True)
    >>> max_unpool1d(largest, places, 2)
    tensor([[0., 3., 5., 0.]])
    """
    options = (kernel_size, stride, padding, output_size)
    return _put_back("max_unpool1d", 1, input, indices, *options)


def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Return planes of zeros with the entries of (N, C, H, W) at their indices.

    Raises:
        ShapeError, DTypeError, DataError: as ``max_unpool1d``.
    """
    options = (kernel_size, stride, padding, output_size)
    return _put_back("max_unpool2d", 2, input, indices, *options)


def max_unpool3d(
    input: Any,
    indices: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """Return volumes of zeros with the entries of (N, C, D, H, W) at their indices.

    Raises:
        ShapeError, DTypeError, DataError: as ``max_unpool1d``.
    """
    options = (kernel_size, stride, padding, output_size)
    return _put_back("max_unpool3d", 3, input, indices, *options)


class _MaxPool(Module):
    """The base of max pooling; a subclass says how many dimensions it pools."""

    dims: ClassVar[int]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Any = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        """Choose the windows; ``return_indices`` returns where the entries are, too."""
        super().__init__()
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Any) -> Any:
        """Return the largest entries of the windows."""
        options = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return max_pooled(type(self).__name__, self.dims, input, options, self.return_indices)

    def extra_repr(self) -> str:
        """Return the windows."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest entries of windows of (N, C, L) or (C, L), see ``functional.max_pool1d``.

    >>> from nnscratch import ones
    >>> MaxPool1d(3, stride=2)(ones(1, 3, 8)).shape
    (1, 3, 3)
    """

    dims = 1


class MaxPool2d(_MaxPool):
    """The largest entries of windows of (N, C, H, W) or (C, H, W), see ``functional.max_pool2d``.

    >>> from nnscratch import arange
    >>> MaxPool2d(2)(arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
            [13., 15.]]])
    """

    dims = 2


class MaxPool3d(_MaxPool):
    """The largest entries of windows of (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3


class _AdaptiveMaxPool(Module):
    """The base of adaptive max pooling; a subclass says how many dimensions it pools."""

    dims: ClassVar[int]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        """Choose the sizes; None leaves a size as it is."""
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Any) -> Any:
        """Return the largest entries of the windows."""
        name = type(self).__name__
        return _adaptive(name, self.dims, input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest entries of windows that divide (N, C, L) evenly.

    >>> from nnscratch import ones
    >>> AdaptiveMaxPool1d(3)(ones(2, 4, 7)).shape
    (2, 4, 3)
    """

    dims = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest entries of windows that divide (N, C, H, W) evenly."""

    dims = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest entries of windows that divide (N, C, D, H, W) evenly."""

    dims = 3


class _MaxUnpool(Module):
    """The base of what undoes max pooling; a subclass says of how many dimensions."""

    dims: ClassVar[int]

    def __init__(self, kernel_size: Sizes, stride: Any = None, padding: Sizes = 0) -> None:
        """Choose the windows of the pooling that is undone."""
        super().__init__()
        name = type(self).__name__
        self.kernel_size = each(name, "kernel_size", kernel_size, self.dims)
        step = self.kernel_size if stride is None else stride
        self.stride = each(name, "stride", step, self.dims)
        self.padding = each(name, "padding", padding, self.dims)

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Tensor:
        """Return the entries of the input at their indices, and zeros elsewhere."""
        options = (self.kernel_size, self.stride, self.padding, output_size)
        return _put_back(type(self).__name__, self.dims, input, indices, *options)

    def extra_repr(self) -> str:
        """Return the windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Zeros with entries where ``MaxPool1d`` took them from, see ``functional.max_unpool1d``."""

    dims = 1


class MaxUnpool2d(_MaxUnpool):
    """Planes of zeros with entries where ``MaxPool2d`` took them from."""

    dims = 2


class MaxUnpool3d(_MaxUnpool):
    """Volumes of zeros with entries where ``MaxPool3d`` took them from."""

    dims = 3
