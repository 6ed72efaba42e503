"""An estimate of a training run's cost, by which it compiles its step and limits BLAS's threads.

Both decisions depend on sizes alone, never on measured times or caches, so that a repeated or
resumed run uses the same implementations.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from nnscratch.kernels.cpu.runtime.blas import blas_threads
from nnscratch.nn import Module

STEP_SECONDS = 3e-4
"""The overhead of an eager step, in seconds, without its arithmetic."""
EAGER_RATE = 5e10
"""The floating-point operations per second of an eager step."""
WORTH_COMPILING = 5.0
"""The seconds of a whole run from which compiling its step pays off.

That takes some ten seconds the first time on a machine, and half a second from then on, for the
kernels are kept.
"""
SMALL_PRODUCT = 1 << 23
"""The number of multiplications below which a second BLAS thread costs more time than it saves."""


def epoch_seconds(model: Module, batches: int, samples: int) -> float:
    """Return an estimate of the seconds of an eager epoch.

    A sample takes three matrix products (one forward, two backward) of 2 operations per weight.
    """
    weights = sum(parameter.numel() for parameter in model.parameters())
    return batches * STEP_SECONDS + 6.0 * weights * samples / EAGER_RATE


def worth_compiling(model: Module, batches: int, samples: int, epochs: int) -> bool:
    """Say whether a run is long enough for compiling its step to pay off.

    Args:
        model: what is trained.
        batches: in an epoch.
        samples: in an epoch.
        epochs: of the whole run, so that one which is resumed takes the same steps.
    """
    return epochs * epoch_seconds(model, batches, samples) >= WORTH_COMPILING


def threads_for(model: Module, batch_size: int) -> AbstractContextManager[None]:
    """Return a context in which BLAS uses one thread if all products of the model are small."""
    largest = max((parameter.numel() for parameter in model.parameters()), default=0)
    return blas_threads(1) if largest * batch_size < SMALL_PRODUCT else nullcontext()
