"""Faster implementations of the formulas: ``nnscratch.kernels.cpu`` (Numba), ``.cuda`` (CUDA C++).

A kernel never has a formula of its own: each one implements a formula of ``nnscratch.formulas``
whose reference, in plain array code, stays the definition of what is right.
"""

from __future__ import annotations


def register() -> None:
    """Enter every kernel in the registry; none is compiled, and Numba not imported, before use."""
    import inspect

    from nnscratch.formulas import Formula, follow, registry
    from nnscratch.formulas.fused import FUSABLE

    from . import cpu, cuda

    def enter(made: Formula) -> None:
        # Those of the project are there; one that is made later has its loops as they have.
        body = made.update_body or (made.pointwise.forward if made.has_loops else None)
        if made.name in cpu.IMPLEMENTATIONS or body is None:
            return
        try:
            inspect.getsource(body)
        except OSError:  # typed at a prompt: no text to make loops of, so it runs as it is written
            FUSABLE.pop(made.name, None)
            return
        if made.pointwise is not None:
            registry.implement(made.name, cuda.elementwise(made.name))
        make = cpu.elementwise if made.pointwise is not None else cpu.stepping
        registry.implement(made.name, make(made))

    cuda.register()
    for name, implementation in cpu.IMPLEMENTATIONS.items():
        registry.implement(name, implementation)
    follow(enter)
