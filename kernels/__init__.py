"""Faster implementations of the formulas: ``nnscratch.kernels.cpu`` (Numba), ``.cuda`` (CUDA C++).

A kernel never has a formula of its own: each one implements a formula of ``nnscratch.formulas``
whose reference, in plain array code, stays the definition of what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnscratch.formulas import Formula
    from nnscratch.formulas.registry import Implementation

LIBRARIES = ("numpy", "cupy")
"""Whose arrays there are kernels for."""


def register() -> None:
    """Let the registry load the kernels for the arrays of a library when it first meets one.

    The file of a kernel loads when such an array first meets its formula. None is compiled then,
    and neither Numba nor CuPy imported, before it is used.
    """
    from nnscratch.formulas import follow, registry

    for library in LIBRARIES:
        registry.implement_later(library, partial(_kernels_for, library))
    follow(_enter_new)


def _enter_new(made: Formula) -> None:
    """Enter the kernels of a formula that is made after those of the others were entered."""
    from nnscratch.formulas import registry
    from nnscratch.formulas.fused import FUSABLE

    if made.name in FUSABLE and not _has_text(made.pointwise.forward):
        # Typed at a prompt: there is no text to make loops of, so it runs as it is written.
        FUSABLE.pop(made.name)
    for library in LIBRARIES:
        if not registry.awaits(library):
            kernels = _kernels_for(library)
            if made.name in kernels:
                registry.implement(made.name, kernels[made.name])


def _has_text(body: Callable[..., Any]) -> bool:
    if body.__module__.partition(".")[0] == "nnscratch":
        return True  # and nothing is loaded to see it
    from .bodies import has_text

    return has_text(body)


def _kernels_for(library: str) -> Mapping[str, Implementation]:
    if library == "numpy":
        from . import cpu

        return cpu.IMPLEMENTATIONS
    from . import cuda

    return cuda.IMPLEMENTATIONS
