"""What windows of convolution and pooling cover along each axis, by ONNX's attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnscratch.errors import ConfigurationError, ShapeError

AUTO = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True, slots=True)
class Span:
    """Windows along one axis.

    Attributes:
        size: how many entries the axis has.
        kernel, stride, dilation: the windows.
        pads: how much they reach over the two ends.
        count: how many there are.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    pads: tuple[int, int]
    count: int


def each(where: str, name: str, given: Sequence[int] | None, dims: int, least: int) -> list[int]:
    """Return an attribute that has a number for each axis; ``max(least, 0)`` or 1 unless given.

    Raises:
        ConfigurationError: if it has another length, or a number that is too small.
    """
    found = [max(least, 0)] * dims if given is None or not len(given) else list(given)
    if len(found) != dims or min(found, default=least) < least:
        raise ConfigurationError(
            f"{where}: {name} must have {dims} numbers of at least {least}, got {found}"
        )
    return found


def pairs(where: str, pads: Sequence[int] | None, dims: int) -> list[tuple[int, int]]:
    """Return ONNX's pads, first those at the beginnings, as a pair for each axis.

    Raises:
        ConfigurationError: if there are not two for each.
    """
    given = [0] * (2 * dims) if pads is None or not len(pads) else list(pads)
    if len(given) != 2 * dims:
        raise ConfigurationError(f"{where}: pads must have {2 * dims} numbers, got {given}")
    return list(zip(given[:dims], given[dims:], strict=True))


def automatic(where: str, auto_pad: str, pads: Sequence[int] | None) -> str:
    """Return how padding is chosen, "NOTSET" where it is given.

    Raises:
        ConfigurationError: if there is no such way, or padding is given besides.
    """
    auto = auto_pad or "NOTSET"
    if auto not in AUTO:
        raise ConfigurationError(f"{where}: auto_pad is one of {', '.join(AUTO)}; got {auto!r}")
    if auto != "NOTSET" and any(pads or ()):
        raise ConfigurationError(f"{where}: auto_pad {auto} and pads {list(pads or ())} at once")
    return auto


def halves(total: int, auto_pad: str) -> tuple[int, int]:
    """Return padding as a pair; of an odd one the larger part is behind with SAME_UPPER."""
    small = total // 2
    return (small, total - small) if auto_pad != "SAME_LOWER" else (total - small, small)


def spans(
    where: str,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    pads: Sequence[int] | None,
    dilations: Sequence[int] | None,
    auto_pad: str,
    ceil: bool = False,
) -> list[Span]:
    """Return the windows along each axis.

    Raises:
        ConfigurationError: if an attribute does not fit.
        ShapeError: if there is no window.
    """
    dims = len(sizes)
    auto = automatic(where, auto_pad, pads)
    kernels = each(where, "kernel_shape", kernel, dims, 1)
    steps = each(where, "strides", strides, dims, 1)
    apart = each(where, "dilations", dilations, dims, 1)
    given = pairs(where, pads, dims)
    found = []
    for n, k, s, d, (a, b) in zip(sizes, kernels, steps, apart, given, strict=True):
        reach = d * (k - 1) + 1
        if auto.startswith("SAME"):
            count = -(-n // s)
            a, b = halves(max((count - 1) * s + reach - n, 0), auto)
        else:
            room = n + a + b - reach
            count = (-(-room // s) if ceil else room // s) + 1
            # A last window must not begin behind the end.
            if ceil and (count - 1) * s >= n + a:
                count -= 1
        if count < 1:
            raise ShapeError(f"{where}: a window of {reach} entries does not fit {n} with {(a, b)}")
        found.append(Span(n, k, s, d, (a, b), count))
    return found
