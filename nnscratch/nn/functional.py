"""Layers and losses as functions: each hands its inputs to formulas, under PyTorch's name.

Every function that a file of ``nnscratch.nn`` names in ``__all__`` is found here, and every
activation that is one body, also one that is made later. The equations, and the errors that a
formula raises, stand beside it in ``nnscratch.formulas``. Type checkers and editors read the stub
beside this file, which ``python -m nnscratch.inspect.stubs`` writes.
"""

from typing import Any

from nnscratch.absent import absent
from nnscratch.nn import derived_functions
from nnscratch.nn.finding import exported

_functions = exported(classes=False)
globals().update(_functions)
__all__ = sorted({*_functions, *derived_functions.__all__})


def __getattr__(name: str) -> Any:
    """Return the function of an activation, which is made when somebody asks for it."""
    try:
        return getattr(derived_functions, name)
    except AttributeError:
        raise absent(__name__, name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(derived_functions)})
