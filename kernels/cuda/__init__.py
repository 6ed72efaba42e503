"""Kernels for NVIDIA GPUs: CUDA C++ text, compiled by CuPy when a CuPy array first meets it.

Nothing here imports CuPy before that. ``source`` reads the .cu files, ``bodies`` writes the text of
elementwise formulas from their bodies, ``launch`` lays out the arguments of a kernel, ``driver``
compiles and starts it, ``implementation`` is what the registry sees. A family of kernels is a .cu
file and the file of its name, which turns the calls of formulas into launches, run at once or kept
in a plan (``target``). What a file makes for a formula is found there (``kernels.finding``). The
text also compiles for a CPU, where the tests run it.
"""

from __future__ import annotations

from nnscratch.formulas import FORMULAS, Formula

from ..bodies import has_text
from ..finding import made_in
from .cupy_driver import CupyDriver
from .driver import CompileWarning, Driver
from .elementwise import elementwise
from .implementation import CudaKernel
from .launch import At, KernelArgumentError, Launch, Numbers


def made_of(formula: Formula) -> CudaKernel | None:
    """Return the kernels that the bodies of a formula become, None if there is nothing to read."""
    readable = formula.has_loops and has_text(formula.pointwise.forward)
    return elementwise(formula.name) if readable else None


_of_bodies = ((name, made_of(formula)) for name, formula in FORMULAS.items())

IMPLEMENTATIONS: dict[str, CudaKernel] = {
    **{name: made for name, made in _of_bodies if made is not None},
    **made_in(__name__, __path__, CudaKernel),
}
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
    "made_of",
]
