"""PyTorch's convolutions, called as ours are: a pair of paddings for each axis, and any rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _sides(padding: Any, sign: int = 1) -> list[int]:
    return [sign * side for pair in reversed(padding) for side in pair]


def convolution(
    x: Tensor, w: Tensor, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    x, none = F.pad(x, _sides(padding)), (0,) * len(stride)
    return torch.convolution(x, w, b, stride, none, dilation, False, none, groups)


def convolution_transpose(
    x: Tensor, w: Tensor, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    none = (0,) * len(stride)
    y = torch.convolution(x, w, None, stride, none, dilation, True, none, groups)
    y = F.pad(y, _sides(padding, -1))
    return y if b is None else y + b.reshape(-1, *[1] * len(stride))


def convolution_weight(x: Tensor, d: Tensor, **options: Any) -> Tensor:
    sizes = zip(x.shape[2:], d.shape[2:], *(options[k] for k in _NAMES), strict=True)
    kernel = [(n + sum(p) - (m - 1) * s - 1) // e + 1 for n, m, s, p, e in sizes]
    shape = (d.shape[1], x.shape[1] // options["groups"], *kernel)
    w = torch.zeros(shape, dtype=x.dtype, requires_grad=True)
    y = convolution(x, w, **options)
    graph = x.requires_grad or d.requires_grad
    return torch.autograd.grad(y, w, d, create_graph=graph)[0]


_NAMES = ("stride", "padding", "dilation")


def _picking(kernel: Any, channels: int, like: Tensor) -> Tensor:
    """Weights of which each picks one pixel of the kernel, for each channel."""
    pixels = math.prod(kernel)
    return torch.eye(pixels, dtype=like.dtype).reshape(pixels, 1, *kernel).repeat(
        channels, *[1] * (1 + len(kernel))
    )  # fmt: skip


def unfold(x: Tensor, *, kernel: Any, **options: Any) -> Tensor:
    channels = x.shape[1]
    y = convolution(x, _picking(kernel, channels, x), groups=channels, **options)
    return y.flatten(2) if y.numel() else y.reshape(0, y.shape[1], math.prod(y.shape[2:]))


def fold(x: Tensor, *, size: Any, kernel: Any, **options: Any) -> Tensor:
    channels = x.shape[1] // math.prod(kernel)
    rows = zip(size, kernel, *(options[k] for k in _NAMES), strict=True)
    made = [
        ((n + sum(p) - e * (k - 1) - 1) // s, s, p, e * (k - 1) + 1, n) for n, k, s, p, e in rows
    ]
    count = [steps + 1 for steps, *_ in made]
    padding = [(p[0], steps * s + r - p[0] - n) for steps, s, p, r, n in made]
    y = x.reshape(x.shape[0], x.shape[1], *count)
    options = {**options, "padding": padding}
    return convolution_transpose(y, _picking(kernel, channels, x), groups=channels, **options)


CONVOLUTIONS: dict[str, Callable[..., Any]] = {
    "convolution": convolution,
    "convolution_transpose": convolution_transpose,
    "convolution_weight": convolution_weight,
    "unfold": unfold,
    "fold": fold,
}
