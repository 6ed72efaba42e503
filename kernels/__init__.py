"""Faster implementations of the formulas: ``nnscratch.kernels.cpu`` (Numba), ``.cuda`` (CUDA C++).

A kernel never has a formula of its own: each one implements a formula of ``nnscratch.formulas``
whose reference, in plain array code, stays the definition of what is right.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnscratch.formulas import Formula
    from nnscratch.formulas.registry import Implementation

LIBRARIES = ("numpy", "cupy")
"""Whose arrays there are kernels for."""


def register() -> None:
    """Let the registry load the kernels for the arrays of a library when it first meets one.

    None is compiled then, and neither Numba nor CuPy imported, before it is used.
    """
    from nnscratch.formulas import follow, registry

    for library in LIBRARIES:
        registry.implement_later(library, partial(_made_for, library))
    follow(_enter_new)


def _made_for(library: str) -> dict[str, Implementation]:
    """Return the kernels for arrays of a library, also those of formulas that users have made."""
    from nnscratch.formulas import FORMULAS

    kernels = _kernels_for(library)
    made = {name: _made_of(kernels, one) for name, one in tuple(FORMULAS.items())}
    return {name: one for name, one in made.items() if one is not None}


def _enter_new(made: Formula) -> None:
    """Enter the kernels of a formula that is made after those of the others were entered."""
    from nnscratch.formulas import registry

    for library in LIBRARIES:
        if not registry.awaits(library):
            implementation = _made_of(_kernels_for(library), made)
            if implementation is not None:
                registry.implement(made.name, implementation)


def _made_of(kernels: Any, formula: Formula) -> Implementation | None:
    from nnscratch.formulas.fused import FUSABLE

    found: Implementation | None = kernels.IMPLEMENTATIONS.get(formula.name)
    if found is None:
        found = kernels.made_of(formula)
    if found is None and formula.has_loops:
        # Typed at a prompt: there is no text to make loops of, so it runs as it is written.
        FUSABLE.pop(formula.name, None)
    return found


def _kernels_for(library: str) -> Any:
    if library == "numpy":
        from . import cpu

        return cpu
    from . import cuda

    return cuda
