"""Kernels for NVIDIA GPUs: CUDA C++ text, compiled by CuPy when a CuPy array first meets it.

Nothing here imports CuPy before that. ``source`` reads the .cu files, ``bodies`` writes the text of
elementwise formulas from their bodies, ``launch`` lays out the arguments of a kernel, ``driver``
compiles and starts it, ``implementation`` is what the registry sees; ``linear``, ``losses``,
``elementwise`` and ``updates`` turn the call of a formula into launches, run at once or kept in a
plan (``target``). What a file makes for a formula is found there (``kernels.finding``). The text
also compiles for a CPU, where the tests run it.
"""

from __future__ import annotations

from ..finding import made_in
from .bodies import formulas
from .cupy_driver import CupyDriver
from .driver import CompileWarning, Driver
from .elementwise import elementwise
from .implementation import CudaKernel
from .launch import At, KernelArgumentError, Launch, Numbers

IMPLEMENTATIONS: dict[str, CudaKernel] = {
    **{name: elementwise(name) for name in formulas()},
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
    "register",
]


def register() -> None:
    """Enter every CUDA kernel in the registry; none is compiled, and CuPy not imported."""
    from nnscratch.formulas import registry

    for name, implementation in IMPLEMENTATIONS.items():
        registry.implement(name, implementation)
