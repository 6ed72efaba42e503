"""What the options of pooling mean: numbers for each dimension, and the shapes of inputs."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import dtype_name
from nnscratch.array.wholes import as_index
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas.pooling_windows import window_count
from nnscratch.nn.options import each, left_out
from nnscratch.tensors import Tensor, as_tensor


def planes(where: str, input: Any, dims: int) -> Tensor:
    """Return an input of one sample or several, (C, ...) or (N, C, ...), as a tensor.

    Raises:
        ShapeError: if it has another number of dimensions, or no entries in one but the samples'.
    """
    x = as_tensor(input)
    if x.ndim not in (dims + 1, dims + 2) or math.prod(x.shape[-dims - 1 :]) == 0:
        space = ", ".join("LHWDHW"[-dims:] if dims > 1 else "L")
        raise ShapeError(
            f"{where}: expected an input (N, C, {space}) or (C, {space}) with entries in all "
            f"dimensions but that of samples, got shape {x.shape}"
        )
    if dtype_name(x.dtype) == "bool":
        raise DTypeError(f"{where}: expected numbers, got bool; convert it first with .float()")
    return x


class Pooling:
    """The numbers of a pooling call: window, step, padding and dilation of each dimension.

    Attributes:
        kernel, stride, padding, dilation: one number for each dimension.
        counts: how many windows there are in each.
    """

    def __init__(
        self,
        where: str,
        x: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        *,
        dims: int,
    ) -> None:
        """Read the options, and count the windows of the last dimensions of x.

        Raises:
            ConfigurationError: if an option is out of range.
            ShapeError: if there is no window.
        """
        self.sizes = x.shape[x.ndim - dims :]
        self.kernel = each(where, "kernel_size", kernel_size, dims)
        chosen = kernel_size if left_out(stride) else stride
        self.stride = each(where, "stride", chosen, dims)
        self.padding = each(where, "padding", padding, dims)
        self.dilation = each(where, "dilation", dilation, dims)
        self.counts = tuple(
            window_count(where, *numbers, bool(ceil_mode))
            for numbers in zip(
                self.sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )


def adaptive_counts(where: str, output_size: Any, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many windows an ``output_size`` asks for; None is as many as there are entries.

    Raises:
        ConfigurationError: if it is neither a number nor one for each dimension.
    """
    dims = len(sizes)
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    if len(given) == 1:
        given *= dims
    made = [n if one is None else as_index(one) for one, n in zip(given, sizes, strict=False)]
    counts = tuple([n for n in made if n is not None and n >= 0])
    if not len(counts) == len(given) == dims:
        raise ConfigurationError(
            f"{where}: output_size is a size, None, or one of these for each of {dims} "
            f"dimensions, got {output_size!r}"
        )
    return counts
