# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from nnscratch.kernels.cpu.entering import IMPLEMENTATIONS as IMPLEMENTATIONS
from nnscratch.kernels.cpu.entering import kernel as kernel
from nnscratch.kernels.cpu.implementation import CpuKernel as CpuKernel
from nnscratch.kernels.cpu.optimizers import stepping as stepping
from nnscratch.kernels.cpu.products import by_blas as by_blas
from nnscratch.kernels.cpu.products import by_tiles as by_tiles
from nnscratch.kernels.cpu.products import product_kernel as product_kernel
from nnscratch.kernels.cpu.reductions import blocks as blocks
from nnscratch.kernels.cpu.runtime.blas import Blas as Blas
from nnscratch.kernels.cpu.runtime.blas import blas as blas
from nnscratch.kernels.cpu.runtime.cache import CacheStatus as CacheStatus
from nnscratch.kernels.cpu.runtime.cache import cache_status as cache_status
from nnscratch.kernels.cpu.runtime.declaration import DECLARED as DECLARED
from nnscratch.kernels.cpu.runtime.eager import call as call
from nnscratch.kernels.cpu.runtime.kernel import Kernel as Kernel
from nnscratch.kernels.cpu.runtime.kernel import Layout as Layout
from nnscratch.kernels.cpu.runtime.kernel import compiled_kernels as compiled_kernels
from nnscratch.kernels.cpu.runtime.kernel import import_problem as import_problem
from nnscratch.kernels.cpu.runtime.state import ALONE as ALONE
from nnscratch.kernels.cpu.runtime.state import NO_BARRIER as NO_BARRIER
from nnscratch.kernels.cpu.runtime.table import Instruction as Instruction
from nnscratch.kernels.cpu.runtime.table import Program as Program
from nnscratch.kernels.cpu.runtime.table import Table as Table
from nnscratch.kernels.cpu.runtime.table import signed as signed
from nnscratch.kernels.cpu.runtime.threads import available as available
from nnscratch.kernels.cpu.runtime.threads import choose as choose
from nnscratch.kernels.cpu.runtime.threads import limit as limit
from nnscratch.kernels.cpu.warming import usual_kernels as usual_kernels
from nnscratch.kernels.cpu.warming import warmup as warmup

__all__ = [
    "ALONE",
    "Blas",
    "CacheStatus",
    "CpuKernel",
    "DECLARED",
    "IMPLEMENTATIONS",
    "Instruction",
    "Kernel",
    "Layout",
    "NO_BARRIER",
    "Program",
    "Table",
    "available",
    "blas",
    "blocks",
    "by_blas",
    "by_tiles",
    "cache_status",
    "call",
    "choose",
    "compiled_kernels",
    "import_problem",
    "kernel",
    "limit",
    "product_kernel",
    "signed",
    "stepping",
    "usual_kernels",
    "warmup",
]
