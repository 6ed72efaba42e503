"""Kernels for the CPU: compiled by Numba, run in tables by one driver, on one pool of threads.

A family of kernels is one file: each kernel declared by its signature (``runtime.declaration``),
and behind them how the calls of formulas become instructions. What a file makes for a formula is
found there (``kernels.finding``). ``implementation`` is what the registry sees; ``loops``,
``operands`` and ``scalars`` make kernels of the bodies of elementwise formulas; ``runtime``
compiles and runs. Nothing imports Numba before a kernel is compiled or run.

A file loads when one of its names is first used. Type checkers and editors read the stub beside
this file, which ``python -m nnscratch.inspect.stubs`` writes.
"""

from nnscratch.loading import later

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "ALONE": "runtime.state",
    "Blas": "runtime.blas",
    "CacheStatus": "runtime.cache",
    "CpuKernel": "implementation",
    "DECLARED": "runtime.declaration",
    "IMPLEMENTATIONS": "entering",
    "Instruction": "runtime.table",
    "Kernel": "runtime.kernel",
    "Layout": "runtime.kernel",
    "NO_BARRIER": "runtime.state",
    "Program": "runtime.table",
    "Table": "runtime.table",
    "available": "runtime.threads",
    "blas": "runtime.blas",
    "blocks": "reductions",
    "by_blas": "products",
    "by_tiles": "products",
    "cache_status": "runtime.cache",
    "call": "runtime.eager",
    "choose": "runtime.threads",
    "compiled_kernels": "runtime.kernel",
    "import_problem": "runtime.kernel",
    "kernel": "entering",
    "limit": "runtime.threads",
    "product_kernel": "products",
    "signed": "runtime.table",
    "stepping": "optimizers",
    "usual_kernels": "warming",
    "warmup": "warming",
}
__all__ = sorted(PLACES)
__getattr__ = later(__name__, PLACES)


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})
