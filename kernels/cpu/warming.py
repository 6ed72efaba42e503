"""The kernels that most networks need, compiled ahead of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.formulas.live import LiveFloat

from .cross_entropy import cross_entropy, cross_entropy_backward, mean_rows
from .elementwise import fill, scale
from .linear import activation_bias_backward, bias_activation
from .losses import BCE, MSE, loss_backward, loss_sums
from .optimizers import kernels_of
from .products import gemm_tiles
from .random import dropout, dropout_backward
from .reductions import SQUARE, block_sums, finish_sum
from .runtime.cache import CacheStatus, cache_status
from .runtime.kernel import Kernel, compiled, import_problem
from .runtime.pool import pool
from .updates import clip_factor

# Those that most networks have, by experience. Every other one is compiled when it is first needed:
# to compile them all ahead would take minutes.
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
        # Eagerly, where a decay of 0 leaves no trace, and in compiled steps, where it may change.
        for decay in (0.0, LiveFloat(0.0, 0, "weight_decay")):
            for decoupled in (False, True):
                step: dict[str, Any] = {
                    "lr": 1e-3,
                    "weight_decay": decay,
                    "decoupled": decoupled,
                    "step": 1,
                }
                found += kernels_of("adam", dtype, 4, **step)
            for arrays, momentum in ((2, 0.0), (3, 0.9)):
                found += kernels_of("sgd", dtype, arrays, momentum=momentum, **step)
    return found


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
