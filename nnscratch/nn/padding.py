"""Padding: constant, reflected, replicated and circular, as a function and as modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from nnscratch import formulas as f
from nnscratch.array.wholes import as_index, whole_number
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.padding import padded_shape
from nnscratch.nn.module import Module
from nnscratch.nn.options import listed
from nnscratch.tensors import Tensor, apply, as_tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "pad",
]


def pad(
    input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Return the input with entries put before and after it along its last dimensions.

    Args:
        input: any shape and dtype; in modes other than "constant" one of (N, C, ...) or (C, ...)
            with the one to three dimensions that are padded.
        pad: how many before and after in the last dimension, then in the one before it, and so on.
            A negative number cuts entries off.
        mode: "constant"; "reflect" mirrors at the first and last entry, which are not repeated;
            "replicate" repeats them; "circular" goes on at the other end.
        value: what "constant" puts there, 0 unless given.

    Raises:
        ConfigurationError: for another mode, and for a value with a mode other than "constant".
        ShapeError: if ``pad`` does not fit the shape, "reflect" or "circular" needs more entries
            than there are, or more is cut off than there is.

    >>> from nnscratch import tensor
    >>> pad(tensor([[1, 2, 3]]), (2, 1), mode="reflect")
    tensor([[3, 2, 1, 2, 3, 2]])
    """
    x = as_tensor(input)
    pads = tuple([whole_number("pad: each of the sizes", one) for one in pad])
    if mode == "constant":
        number = 0.0 if value is None else value
        return apply(f.CONSTANT_PAD_ND, x, pad=pads, value=number)
    if mode not in _ALONG:
        raise ConfigurationError(
            f"pad: mode is 'constant', {', '.join(map(repr, _ALONG))}; got {mode!r}"
        )
    if value:
        raise ConfigurationError(f"pad: mode {mode!r} takes no value, got {value!r}")
    shape = padded_shape("pad", x.shape, pads)
    dims = len(pads) // 2
    if not 1 <= dims <= 3 or x.ndim not in (dims + 1, dims + 2):
        raise ShapeError(
            f"pad: mode {mode!r} pads the last 1, 2 or 3 dimensions of an input with one or two "
            f"more (channels, and samples), got {dims} pairs and shape {x.shape}"
        )
    if math.prod(shape[-dims - 1 :]) == 0 or math.prod(x.shape[-dims - 1 :]) == 0:
        raise ShapeError(
            f"pad: mode {mode!r} needs entries in all dimensions but that of samples; got shape "
            f"{x.shape}, which pad={pads} makes {shape}"
        )
    for back in range(dims):
        x = _ALONG[mode](x, x.ndim - 1 - back, pads[2 * back], pads[2 * back + 1])
    # Where nothing is put, x is the input or a view of it until here.
    return x if any(p > 0 for p in pads) else x.clone()


def _cut(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    """Return x without the entries that negative numbers cut off."""
    if before >= 0 and after >= 0:
        return x
    start, stop = max(-before, 0), x.shape[dim] - max(-after, 0)
    return x.narrow(dim, start, stop - start)


def _joined(x: Tensor, dim: int, first: Tensor | None, last: Tensor | None) -> Tensor:
    parts = [one for one in (first, x, last) if one is not None]
    return x if len(parts) == 1 else apply(f.CONCATENATE, *parts, axis=dim)


def _turned(x: Tensor, dim: int, start: int, count: int) -> Tensor:
    """Return ``count`` entries along a dimension from ``start`` on, in the opposite order."""
    index = [slice(None)] * x.ndim
    index[dim] = slice(start + count - 1, start - 1 if start else None, -1)
    return x._apply(f.GETITEM, index=tuple(index))


def _reflect(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    n = x.shape[dim]
    if max(before, after) >= n:
        raise ShapeError(
            f"pad: mode 'reflect' mirrors at most {n - 1} of {n} entries of dimension {dim} of an "
            f"input of shape {x.shape}, got {before} before and {after} behind"
        )
    first = _turned(x, dim, 1, before) if before > 0 else None
    last = _turned(x, dim, n - 1 - after, after) if after > 0 else None
    return _cut(_joined(x, dim, first, last), dim, min(before, 0), min(after, 0))


def _replicate(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    def repeated(place: int, count: int) -> Tensor | None:
        if count <= 0:
            return None
        one = x.narrow(dim, place, 1)
        return one.expand(*[count if d == dim else size for d, size in enumerate(x.shape)])

    first, last = repeated(0, before), repeated(x.shape[dim] - 1, after)
    return _cut(_joined(x, dim, first, last), dim, min(before, 0), min(after, 0))


def _circular(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    x = _cut(x, dim, before, after)
    n = x.shape[dim]
    if max(before, after) > n:
        raise ShapeError(
            f"pad: mode 'circular' goes around once, by at most {n} entries of dimension {dim}, "
            f"got {before} before and {after} behind"
        )
    first = x.narrow(dim, n - before, before) if before > 0 else None
    return _joined(x, dim, first, x.narrow(dim, 0, after) if after > 0 else None)


_ALONG: dict[str, Callable[[Tensor, int, int, int], Tensor]] = {
    "reflect": _reflect,
    "replicate": _replicate,
    "circular": _circular,
}


class _Padding(Module):
    """The base of the padding modules: a number for all sides, or one for each.

    A subclass says how many dimensions it pads and in which mode.
    """

    dims: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | Sequence[int]) -> None:
        """Choose how many entries are put on each side, that before the last dimension first."""
        super().__init__()
        sides = 2 * self.dims
        sizes: Any = padding
        given = tuple(sizes) if listed(sizes) else (sizes,) * sides
        made = tuple([number for number in map(as_index, given) if number is not None])
        if not len(made) == len(given) == sides:
            raise ConfigurationError(
                f"{type(self).__name__}: padding is an integer or {sides} of them, got {padding!r}"
            )
        self.padding = made

    def forward(self, input: Any) -> Tensor:
        """Return the input padded."""
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """Return the padding."""
        return f"{self.padding}"


class _ConstantPad(_Padding):
    """The base of padding with one value; a subclass says how many dimensions it pads."""

    mode = "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        """Choose how many entries are put on each side, and what they are."""
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Tensor:
        """Return the input padded."""
        return pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """Return the padding and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Pad (..., L) with one value, by (left, right).

    >>> from nnscratch import ones
    >>> ConstantPad1d((1, 2), 5.0)(ones(1, 2))
    tensor([[5., 1., 1., 5., 5.]])
    """

    dims = 1


class ConstantPad2d(_ConstantPad):
    """Pad (..., H, W) with one value, by (left, right, top, bottom)."""

    dims = 2


class ConstantPad3d(_ConstantPad):
    """Pad (..., D, H, W) with one value, by (left, right, top, bottom, front, back)."""

    dims = 3


class _ZeroPad(_ConstantPad):
    """What padding with zeros has beside the padding with one value that it is, as in PyTorch."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        """Choose how many entries are put on each side."""
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """Return the padding."""
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Pad (..., L) with zeros, by (left, right)."""


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Pad (..., H, W) with zeros, by (left, right, top, bottom)."""


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Pad (..., D, H, W) with zeros, by (left, right, top, bottom, front, back)."""


class ReflectionPad1d(_Padding):
    """Pad (N, C, L) or (C, L) by mirroring it at its first and last entry.

    >>> from nnscratch import tensor
    >>> ReflectionPad1d(2)(tensor([[0.0, 1.0, 2.0]]))
    tensor([[2., 1., 0., 1., 2., 1., 0.]])
    """

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_Padding):
    """Pad (N, C, H, W) or (C, H, W) by mirroring it at its edges."""

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_Padding):
    """Pad (N, C, D, H, W) or (C, D, H, W) by mirroring it at its faces."""

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_Padding):
    """Pad (N, C, L) or (C, L) by repeating its first and last entry.

    >>> from nnscratch import tensor
    >>> ReplicationPad1d((1, 2))(tensor([[1.0, 2.0]]))
    tensor([[1., 1., 2., 2., 2.]])
    """

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_Padding):
    """Pad (N, C, H, W) or (C, H, W) by repeating its edges."""

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_Padding):
    """Pad (N, C, D, H, W) or (C, D, H, W) by repeating its faces."""

    dims = 3
    mode = "replicate"


class CircularPad1d(_Padding):
    """Pad (N, C, L) or (C, L) with what stands at the other end.

    >>> from nnscratch import tensor
    >>> CircularPad1d((1, 2))(tensor([[0.0, 1.0, 2.0]]))
    tensor([[2., 0., 1., 2., 0., 1.]])
    """

    dims = 1
    mode = "circular"


class CircularPad2d(_Padding):
    """Pad (N, C, H, W) or (C, H, W) with what stands at the other side."""

    dims = 2
    mode = "circular"


class CircularPad3d(_Padding):
    """Pad (N, C, D, H, W) or (C, D, H, W) with what stands at the other side."""

    dims = 3
    mode = "circular"
