"""Faster implementations of the formulas: ``nnscratch.kernels.cpu`` (Numba), ``.cuda`` (CUDA C++).

A kernel never has a formula of its own: each one implements a formula of ``nnscratch.formulas``
whose reference, in plain array code, stays the definition of what is right.
"""

from __future__ import annotations


def register() -> None:
    """Enter every kernel in the registry; none is compiled, and Numba not imported, before use."""
    from nnscratch.formulas import Formula, follow, registry

    from . import cpu, cuda

    def enter(made: Formula) -> None:
        # Those of the project are there; one that is made later has its loops as they have.
        if made.name in cpu.IMPLEMENTATIONS:
            return
        if made.pointwise is not None:
            registry.implement(made.name, cuda.elementwise(made.name))
            registry.implement(made.name, cpu.elementwise(made))
        elif made.update_body is not None:
            registry.implement(made.name, cpu.stepping(made))

    cuda.register()
    for name, implementation in cpu.IMPLEMENTATIONS.items():
        registry.implement(name, implementation)
    follow(enter)
