"""Kernels for the CPU: compiled by Numba, run in tables by one driver, on one pool of threads.

``catalogue`` lists every kernel with the layout of its arguments, ``table`` builds and runs
programs, ``threads`` has the policy for threads, ``cache`` knows where compiled code is kept. None
of them imports Numba until a kernel is first compiled or run.
"""

from nnscratch.formulas import FORMULAS

from .catalogue import LAYOUTS, by_blas, by_tiles, gemm, kernel, usual_kernels
from .implementation import CpuKernel
from .lower_elementwise import elementwise
from .lower_linear import LINEAR_KERNELS
from .lower_losses import LOSS_KERNELS
from .lower_shapes import SHAPE_KERNELS
from .lower_updates import UPDATE_KERNELS
from .optimizer_flags import optimizer_flags
from .reduction_sizes import blocks
from .runtime import processor, product_choice
from .runtime.blas import Blas, blas
from .runtime.cache import CacheStatus, cache_status
from .runtime.kernel import Kernel, Layout, compiled_kernels, import_problem
from .runtime.table import (
    ALONE,
    NO_BARRIER,
    Instruction,
    Program,
    Table,
    address,
    call,
    signed,
    warmup,
)
from .runtime.threads import available, choose, limit

IMPLEMENTATIONS: dict[str, CpuKernel] = {
    **{name: elementwise(made) for name, made in FORMULAS.items() if made.pointwise is not None},
    **LINEAR_KERNELS,
    **LOSS_KERNELS,
    **SHAPE_KERNELS,
    **UPDATE_KERNELS,
}
"""What the registry can choose beside the reference, by the formula's name."""

__all__ = [
    "IMPLEMENTATIONS",
    "ALONE",
    "LAYOUTS",
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
    "gemm",
    "kernel",
    "limit",
    "optimizer_flags",
    "processor",
    "product_choice",
    "signed",
    "usual_kernels",
    "warmup",
]
