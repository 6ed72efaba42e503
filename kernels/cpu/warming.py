"""The kernels that most networks need, compiled ahead of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError

from .cross_entropy import cross_entropy, cross_entropy_backward, mean_rows
from .elementwise import fill, scale
from .implementation import EagerBuilder
from .linear import activation_bias_backward, bias_activation
from .losses import BCE, MSE, loss_backward, loss_sums
from .products import gemm_tiles
from .random import dropout, dropout_backward
from .reductions import SQUARE, block_sums, finish_sum
from .runtime.cache import CacheStatus, cache_status
from .runtime.kernel import Kernel, compiled, import_problem
from .runtime.pool import pool
from .updates import UPDATE_KERNELS, clip_factor

UPDATES: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("adam", 4, {}),
    ("adam", 4, {"weight_decay": 0.01, "decoupled": True}),
    ("sgd", 2, {}),
    ("sgd", 3, {"momentum": 0.9}),
)
"""Optimizers, how many arrays they take, and options."""
ACTIVATIONS = ("identity", "relu", "sigmoid", "tanh", "gelu")


def usual_kernels(dtypes: Sequence[str] = ("float32",)) -> list[Kernel]:
    """Return what most networks need."""
    found = []
    for dtype in dtypes:
        for activation in ACTIVATIONS:
            found.append(bias_activation.kernel(dtype, activation))
            found.append(activation_bias_backward.kernel(dtype, activation))
        for loss in (MSE, BCE):
            found += [loss_sums.kernel(dtype, loss), loss_backward.kernel(dtype, loss)]
        plain = (
            *(gemm_tiles, cross_entropy, cross_entropy_backward, mean_rows, finish_sum),
            *(dropout, dropout_backward, fill, scale, clip_factor),
        )
        found += [one.kernel(dtype) for one in plain]
        found += [block_sums.kernel(dtype, SQUARE)]
        found += _updates(dtype)
    return found


def _updates(dtype: str) -> list[Kernel]:
    """Return the loops of Adam, AdamW, and stochastic gradient descent with momentum or without."""
    found = _Kernels()
    arrays = [np.zeros(1024, dtype) for _ in range(4)]
    for name, count, options in UPDATES:
        lower = UPDATE_KERNELS[name].lowerings["update"]
        lower(found, tuple(arrays[:count]), {"lr": 1e-3, "step": 2, **options}, ())
    return found.kernels


class _Kernels(EagerBuilder):
    """A builder that runs nothing and notes the kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[Kernel] = []

    def emit(self, kernel: Kernel, a: Any, s: Any = (), flags: int = 0) -> None:
        """Note the kernel."""
        self.kernels.append(kernel)


def warmup(
    dtypes: Sequence[str] = ("float32",),
    progress: Callable[[int, int, str], None] | None = None,
) -> CacheStatus:
    """Compile the usual kernels, so that later processes load them from the disk.

    Args:
        dtypes: "float32", "float64".
        progress: called with (done, all, name) before each kernel.

    Raises:
        ConfigurationError: if Numba cannot be imported.
    """
    if (why := import_problem()) is not None:
        raise ConfigurationError(f"{why}, so there are no kernels; install numba")
    pool()
    kernels = usual_kernels(dtypes)
    for done, kernel in enumerate(kernels):
        if progress is not None:
            progress(done, len(kernels), kernel.symbol)
        compiled(kernel)
    if progress is not None:
        progress(len(kernels), len(kernels), "")
    return cache_status()
