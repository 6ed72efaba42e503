"""Images of another size: interpolation, as a function and as modules."""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.array import is_floating
from nnscratch.array.wholes import whole_number
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError, warn
from nnscratch.formulas import interpolation as lines
from nnscratch.formulas.line_maps import LineMap
from nnscratch.nn import pooling
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, apply, as_tensor

__all__ = [
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "interpolate",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

# How many dimensions of space each mode is for; None where it is for one to three.
_MODES = {
    **{"nearest": None, "nearest-exact": None, "area": None},
    **{"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3},
}


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    r"""Return (N, C, ...) with one to three dimensions of space in another size.

    Result o of O along a dimension of n entries lies at $(o + \frac12) \frac{n}{O} - \frac12$, with
    ``align_corners`` at $o \frac{n - 1}{O - 1}$, and is

    - "nearest": the entry at $\lfloor o n / O \rfloor$; "nearest-exact": the nearest entry;
    - "linear", "bilinear", "trilinear": on the straight line between the two entries beside it;
    - "bicubic": on the cubic through four (Keys 1981, a = -3/4);
    - "area": the average of the entries that it covers.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: the sizes, or one for all.
        scale_factor: by how much each size grows, instead; the step from one result to the next is
            then 1 / ``scale_factor``.
        mode: one of those above.
        align_corners: whether the outermost entries stay where they are.
        recompute_scale_factor: whether the step follows from the sizes all the same.
        antialias: of "bilinear" and "bicubic", whether to average where the size shrinks.

    Raises:
        ConfigurationError: for options that do not belong together.
        ShapeError: if the mode is not for such an input, or a size would be 0.
        DTypeError: if the input holds integers and the mode is not a nearest one.

    >>> from nnscratch import tensor
    >>> interpolate(tensor([[[0.0, 4.0]]]), scale_factor=2, mode="linear")
    tensor([[[0., 1., 3., 4.]]])
    """
    x = as_tensor(input)
    dims = x.ndim - 2
    _check_mode(x, dims, mode, align_corners, antialias)
    align = bool(align_corners)
    sizes = x.shape[2:]
    counts, factors = _sizes_of(sizes, size, scale_factor, recompute_scale_factor, mode)
    if 0 in (*counts, *x.shape[1:]):
        raise ShapeError(
            f"interpolate: sizes before and after must be at least 1, got shape {x.shape} to "
            f"{counts}"
        )
    if mode == "area":
        pool = (pooling.adaptive_avg_pool1d, pooling.adaptive_avg_pool2d,
                pooling.adaptive_avg_pool3d)  # fmt: skip
        return pool[dims - 1](x, counts)
    maps = tuple(
        _line(mode, antialias, n, m, factor, align)
        for n, m, factor in zip(sizes, counts, factors, strict=True)
    )
    return apply(f.RESAMPLE, x, lines=maps)


def _check_mode(x: Tensor, dims: int, mode: str, align: bool | None, antialias: bool) -> None:
    if mode not in _MODES:
        raise ConfigurationError(f"interpolate: mode is one of {', '.join(_MODES)}; got {mode!r}")
    if align is not None and _MODES[mode] is None:
        raise ConfigurationError(
            "interpolate: align_corners goes with linear, bilinear, bicubic and trilinear, not "
            f"with {mode!r}"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ConfigurationError(
            f"interpolate: antialias goes with bilinear and bicubic, not with {mode!r}"
        )
    wanted = _MODES[mode]
    if not 1 <= dims <= 3 or (wanted is not None and dims != wanted):
        meant = f"{2 + wanted} dimensions" if wanted else "3, 4 or 5 dimensions (N, C, ...)"
        raise ShapeError(
            f"interpolate: mode {mode!r} takes an input of {meant}, got shape {x.shape}"
        )
    if not is_floating(x.array) and not mode.startswith("nearest"):
        raise DTypeError(
            f"interpolate: mode {mode!r} needs floating-point numbers, got {x.dtype}; convert the "
            "input first with .float()"
        )


def _sizes_of(
    sizes: tuple[int, ...], size: Any, scale: Any, recompute: bool | None, mode: str
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Return the sizes after, and the factors by which steps shrink (None: as the sizes say)."""
    dims = len(sizes)
    if (size is None) == (scale is None):
        raise ConfigurationError("interpolate: give either size or scale_factor")
    given = size if scale is None else scale
    each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * dims
    if len(each) != dims:
        raise ConfigurationError(
            f"interpolate: expected a {'size' if scale is None else 'scale_factor'} for each of "
            f"{dims} dimensions of space, got {given!r}"
        )
    if scale is None:
        if recompute:
            raise ConfigurationError(
                "interpolate: recompute_scale_factor goes with scale_factor, not with size"
            )
        return tuple([whole_number("interpolate: size", one) for one in each]), (None,) * dims
    counts = tuple(int(n * float(one)) for n, one in zip(sizes, each, strict=True))
    if recompute or mode == "area":
        return counts, (None,) * dims
    return counts, tuple(float(one) for one in each)


def _line(
    mode: str, antialias: bool, size: int, count: int, factor: float | None, align: bool
) -> LineMap:
    if mode.startswith("nearest"):
        return lines.nearest(size, count, factor, mode == "nearest-exact")
    if antialias:
        return lines.filtered(size, count, factor, align, mode == "bicubic")
    kind = lines.cubic if mode == "bicubic" else lines.linear
    return kind(size, count, factor, align)


def upsample(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Return ``interpolate`` of the input: PyTorch's word of old, taken with a warning."""
    warn("upsample is PyTorch's word of old; write interpolate", FutureWarning)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Return ``interpolate`` with "nearest": PyTorch's word of old, taken with a warning."""
    warn("upsample_nearest is PyTorch's word of old; write interpolate", FutureWarning)
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Return ``interpolate`` with "bilinear" and aligned corners, taken with a warning."""
    warn(
        "upsample_bilinear is PyTorch's word of old; write interpolate(..., mode='bilinear', "
        "align_corners=True)",
        FutureWarning,
    )
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


class Upsample(Module):
    """Images in another size, see ``functional.interpolate``.

    >>> from nnscratch import ones
    >>> Upsample(scale_factor=2, mode="bilinear")(ones(1, 3, 4, 5)).shape
    (1, 3, 8, 10)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        """Choose the size, or by how much it grows, and the mode."""
        super().__init__()
        self.size = size
        if isinstance(scale_factor, tuple):
            scale_factor = tuple(float(one) for one in scale_factor)
        self.scale_factor = float(scale_factor) if type(scale_factor) is int else scale_factor
        self.mode, self.align_corners = mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Tensor:
        """Return the input in the other size."""
        return interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """Return the size, and the mode."""
        by = self.scale_factor is not None
        what = f"scale_factor={self.scale_factor!r}" if by else f"size={self.size!r}"
        return f"{what}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Images (N, C, H, W) in another size, each result the nearest entry."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        """Choose the size, or by how much it grows."""
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Images (N, C, H, W) in another size, on straight lines, the corners where they were."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        """Choose the size, or by how much it grows."""
        super().__init__(size, scale_factor, "bilinear", align_corners=True)
