"""Kernels for the CPU: compiled by Numba, run in tables by one driver, on one pool of threads.

A family of kernels is one file: each kernel declared by its signature (``runtime.declaration``),
and behind them how the calls of formulas become instructions. ``implementation`` is what the
registry sees; ``loops``, ``operands`` and ``scalars`` make kernels of the bodies of elementwise
formulas; ``runtime`` compiles and runs. Nothing imports Numba before a kernel is compiled or run.
"""

from nnscratch.formulas import FORMULAS

from .attention import ATTENTION_KERNELS
from .convolution import CONVOLUTION_KERNELS
from .cross_entropy import CROSS_ENTROPY_KERNELS
from .elementwise import elementwise
from .implementation import CpuKernel
from .linear import LINEAR_KERNELS
from .losses import LOSS_KERNELS
from .lstm import LSTM_KERNELS
from .normalizing import NORMALIZATION_KERNELS
from .optimizers import OPTIMIZER_KERNELS, stepping
from .pooling import POOLING_KERNELS
from .products import PRODUCT_KERNELS, by_blas, by_tiles, product_kernel
from .random import RANDOM_KERNELS
from .recurrent import RECURRENT_KERNELS
from .reductions import REDUCTION_KERNELS, blocks
from .running_statistics import RUNNING_KERNELS
from .runtime import processor, product_choice
from .runtime.blas import Blas, blas
from .runtime.cache import CacheStatus, cache_status
from .runtime.declaration import DECLARED
from .runtime.declaration import kernel_of as kernel
from .runtime.kernel import Kernel, Layout, compiled_kernels, import_problem
from .runtime.state import ALONE, NO_BARRIER
from .runtime.table import (
    Instruction,
    Program,
    Table,
    address,
    call,
    signed,
)
from .runtime.threads import available, choose, limit
from .shapes import SHAPE_KERNELS
from .softmax import SOFTMAX_KERNELS
from .updates import UPDATE_KERNELS
from .warming import usual_kernels, warmup

IMPLEMENTATIONS: dict[str, CpuKernel] = {
    **{name: elementwise(made) for name, made in FORMULAS.items() if made.has_loops},
    **ATTENTION_KERNELS,
    **CONVOLUTION_KERNELS,
    **CROSS_ENTROPY_KERNELS,
    **LINEAR_KERNELS,
    **LOSS_KERNELS,
    **LSTM_KERNELS,
    **NORMALIZATION_KERNELS,
    **OPTIMIZER_KERNELS,
    **POOLING_KERNELS,
    **PRODUCT_KERNELS,
    **RANDOM_KERNELS,
    **RECURRENT_KERNELS,
    **REDUCTION_KERNELS,
    **RUNNING_KERNELS,
    **SHAPE_KERNELS,
    **SOFTMAX_KERNELS,
    **UPDATE_KERNELS,
}
"""What the registry can choose beside the reference, by the formula's name."""

__all__ = [
    "IMPLEMENTATIONS",
    "ALONE",
    "DECLARED",
    "NO_BARRIER",
    "Blas",
    "CacheStatus",
    "CpuKernel",
    "Instruction",
    "Kernel",
    "Layout",
    "Program",
    "Table",
    "address",
    "available",
    "blas",
    "blocks",
    "by_blas",
    "by_tiles",
    "cache_status",
    "call",
    "choose",
    "compiled_kernels",
    "elementwise",
    "import_problem",
    "kernel",
    "limit",
    "processor",
    "product_choice",
    "product_kernel",
    "signed",
    "stepping",
    "usual_kernels",
    "warmup",
]
