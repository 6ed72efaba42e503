"""Kernels for the CPU: compiled by Numba, run in tables by one driver, on one pool of threads.

A family of kernels is one file: each kernel declared by its signature (``runtime.declaration``),
and behind them how the calls of formulas become instructions. What a file makes for a formula is
found there (``kernels.finding``). ``implementation`` is what the registry sees; ``loops``,
``operands`` and ``scalars`` make kernels of the bodies of elementwise formulas; ``runtime``
compiles and runs. Nothing imports Numba before a kernel is compiled or run.
"""

from nnscratch.formulas import FORMULAS, Formula

from ..bodies import has_text
from ..finding import made_in
from .elementwise import elementwise
from .implementation import CpuKernel
from .optimizers import stepping
from .products import by_blas, by_tiles, product_kernel
from .reductions import blocks
from .runtime import processor, product_choice
from .runtime.blas import Blas, blas
from .runtime.cache import CacheStatus, cache_status
from .runtime.declaration import DECLARED
from .runtime.declaration import kernel_of as kernel
from .runtime.eager import call
from .runtime.kernel import Kernel, Layout, compiled_kernels, import_problem
from .runtime.state import ALONE, NO_BARRIER
from .runtime.table import (
    Instruction,
    Program,
    Table,
    signed,
)
from .runtime.threads import available, choose, limit
from .warming import usual_kernels, warmup


def made_of(formula: Formula) -> CpuKernel | None:
    """Return the kernels that the bodies of a formula become, None if there is nothing to read."""
    body = formula.update_body or (formula.pointwise.forward if formula.has_loops else None)
    if body is None or not has_text(body):
        return None
    return stepping(formula) if formula.update_body is not None else elementwise(formula)


_of_bodies = ((name, made_of(formula)) for name, formula in FORMULAS.items())

IMPLEMENTATIONS: dict[str, CpuKernel] = {
    **{name: made for name, made in _of_bodies if made is not None},
    **made_in(__name__, __path__, CpuKernel),
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
    "made_of",
    "processor",
    "product_choice",
    "product_kernel",
    "signed",
    "stepping",
    "usual_kernels",
    "warmup",
]
