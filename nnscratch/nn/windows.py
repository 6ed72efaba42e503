"""Windows of images as columns, and columns as images: functions and modules."""

from __future__ import annotations

from inspect import Parameter as Argument
from typing import Any

from nnscratch import formulas as f
from nnscratch.errors import ShapeError
from nnscratch.nn.options import FunctionModule, Sizes, each
from nnscratch.tensors import Tensor, apply, as_tensor

__all__ = ["Fold", "Unfold", "fold", "unfold"]

NEEDED = Argument.empty


def _options(where: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    return {
        "kernel": each(where, "kernel_size", kernel_size, 2, 1),
        "stride": each(where, "stride", stride, 2, 1),
        "padding": tuple([(p, p) for p in each(where, "padding", padding, 2, 0)]),
        "dilation": each(where, "dilation", dilation, 2, 1),
    }


def unfold(
    input: Any, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """Return the windows of images (N, C, H, W) as columns (N, C kh kw, places).

    An image (C, H, W) gives (C kh kw, places). Each option is one number, or one for each axis.

    Raises:
        ShapeError: if the input has other axes, or a window does not fit in.
        ConfigurationError: if an option is not possible.

    >>> from nnscratch import arange
    >>> unfold(arange(6.0).reshape(1, 1, 2, 3), (2, 2))
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    x = as_tensor(input)
    if x.ndim not in (3, 4):
        raise ShapeError(
            f"unfold: expected an input (N, C, H, W) or (C, H, W), got shape {x.shape}"
        )
    alone = x.ndim == 3
    options = _options("unfold", kernel_size, dilation, padding, stride)
    y = apply(f.UNFOLD, x.unsqueeze(0) if alone else x, **options)
    return y.squeeze(0) if alone else y


def fold(
    input: Any,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """Return images (N, C, H, W) of columns (N, C kh kw, places), where windows meet their sum.

    Columns (C kh kw, places) give (C, H, W). It is the transpose of ``unfold``, not its inverse.

    Raises:
        ShapeError: if the columns are not those of an image of that size.
        ConfigurationError: if an option is not possible.

    >>> from nnscratch import ones
    >>> fold(ones(1, 4, 2), (2, 3), (2, 2))
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    x = as_tensor(input)
    if x.ndim not in (2, 3):
        raise ShapeError(
            "fold: expected an input (N, C x kernel, places) or (C x kernel, places), got shape "
            f"{x.shape}"
        )
    alone = x.ndim == 2
    options = _options("fold", kernel_size, dilation, padding, stride)
    size = each("fold", "output_size", output_size, 2, 1)
    y = apply(f.FOLD, x.unsqueeze(0) if alone else x, size=size, **options)
    return y.squeeze(0) if alone else y


class Unfold(
    FunctionModule, function=unfold, kernel_size=NEEDED, dilation=1, padding=0,
    stride=1,
):  # fmt: skip
    """The windows of images (N, C, H, W) as columns (N, C kh kw, places): ``unfold``.

    >>> from nnscratch import zeros
    >>> Unfold(3)(zeros(2, 5, 4, 6)).shape
    (2, 45, 8)
    """


class Fold(
    FunctionModule, function=fold, output_size=NEEDED,
    kernel_size=NEEDED, dilation=1, padding=0, stride=1,
):  # fmt: skip
    """Images (N, C, H, W) of columns (N, C kh kw, places), where windows meet their sum: ``fold``.

    >>> from nnscratch import zeros
    >>> Fold((4, 6), 3)(zeros(2, 45, 8)).shape
    (2, 5, 4, 6)
    """
