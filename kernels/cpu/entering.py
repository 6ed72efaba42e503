"""What the registry can choose for NumPy's arrays."""

from __future__ import annotations

from nnscratch.formulas import Formula

from ..bodies import has_text
from ..finding import KernelsOf
from . import __path__ as folders
from .implementation import CpuKernel
from .runtime.declaration import kernel_of
from .runtime.kernel import Kernel


def _is_body(formula: Formula) -> bool:
    body = formula.update_body or (formula.pointwise.forward if formula.has_loops else None)
    return body is not None and has_text(body)


def _of_body(formula: Formula) -> CpuKernel:
    if formula.update_body is not None:
        from .optimizers import stepping

        return stepping(formula)
    from .elementwise import elementwise

    return elementwise(formula)


IMPLEMENTATIONS = KernelsOf(__package__, folders, CpuKernel, _is_body, _of_body)
"""What the registry can choose beside the reference, by the formula's name."""


def kernel(name: str, dtype: str, *options: int | str) -> Kernel:
    """Return the kernel of that name for a dtype and options, of whichever file.

    Raises:
        KeyError: if no such kernel is declared.
        ValueError: if the dtype or the number of options is wrong.
    """
    for implementation in IMPLEMENTATIONS:
        IMPLEMENTATIONS[implementation]
    return kernel_of(name, dtype, *options)
