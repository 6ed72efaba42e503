"""What is worth doing for a training run of a given size.

Both answers depend on sizes alone, never on a clock or on what is cached, so that a run repeats and
a resumed run goes on with the same implementations.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from nnscratch.kernels.cpu.runtime.blas import blas_threads
from nnscratch.nn import Module

STEP_SECONDS = 3e-4
"""What an eager step costs beside its arithmetic."""
EAGER_RATE = 5e10
"""Floating-point operations a second that an eager step reaches."""
WORTH_COMPILING = 1.0
"""Seconds an epoch from which compiling kernels, once some ten seconds, is repaid."""
SMALL_PRODUCT = 1 << 23
"""Multiplications below which a second thread in BLAS costs more than it brings."""


def epoch_seconds(model: Module, batches: int, samples: int) -> float:
    """Return about how long an eager epoch takes: three products of 2 operations a weight."""
    weights = sum(parameter.numel() for parameter in model.parameters())
    return batches * STEP_SECONDS + 6.0 * weights * samples / EAGER_RATE


def worth_compiling(model: Module, batches: int, samples: int) -> bool:
    """Say whether a run of such epochs is long enough to compile its step."""
    return epoch_seconds(model, batches, samples) >= WORTH_COMPILING


def threads_for(model: Module, batch_size: int) -> AbstractContextManager[None]:
    """Return a context in which BLAS uses one thread if all products of the model are small."""
    largest = max((parameter.numel() for parameter in model.parameters()), default=0)
    return blas_threads(1) if largest * batch_size < SMALL_PRODUCT else nullcontext()
