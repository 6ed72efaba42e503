"""Kernels for NVIDIA GPUs: CUDA C++ text, compiled by CuPy when a CuPy array first meets it.

Nothing here imports CuPy before that. ``source`` reads the .cu files, ``bodies`` writes the text of
elementwise formulas from their bodies, ``launch`` lays out the arguments of a kernel, ``driver``
compiles and starts it, ``implementation`` is what the registry sees. A family of kernels is a .cu
file and the file of its name, which turns the calls of formulas into launches, run at once or kept
in a plan (``target``). What a file makes for a formula is found there (``kernels.finding``). The
text also compiles for a CPU, where the tests run it.
"""

from __future__ import annotations

from nnscratch.formulas import Formula

from ..bodies import has_text
from ..finding import KernelsOf
from .cupy_driver import CupyDriver
from .driver import CompileWarning, Driver
from .elementwise import elementwise
from .implementation import CudaKernel
from .launch import At, KernelArgumentError, Launch, Numbers


def _is_body(formula: Formula) -> bool:
    return formula.has_loops and has_text(formula.pointwise.forward)


IMPLEMENTATIONS = KernelsOf(
    __name__, __path__, CudaKernel, _is_body, lambda formula: elementwise(formula.name)
)
"""What the registry can choose for CuPy arrays, by the formula's name."""

__all__ = [
    "IMPLEMENTATIONS",
    "At",
    "CompileWarning",
    "CudaKernel",
    "CupyDriver",
    "Driver",
    "KernelArgumentError",
    "Launch",
    "Numbers",
    "elementwise",
]
