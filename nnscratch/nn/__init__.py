"""Modules: layers and losses with parameters and names, and no mathematics of their own.

Every class that a file of this folder names in ``__all__`` is found here, and its functions in
``functional``; so is every activation that is one body, also one that is made later. Type checkers
and editors read the stub beside this file, which ``python -m nnscratch.inspect.stubs`` writes.
"""

from typing import Any

from nnscratch.absent import absent
from nnscratch.nn import derived_modules, functional, init, utils  # noqa: F401 - they are in __all__
from nnscratch.nn.finding import exported

_modules = exported(classes=True)
globals().update(_modules)
__all__ = sorted({*_modules, *derived_modules.__all__, "functional", "init", "utils"})


def __getattr__(name: str) -> Any:
    """Return the module of an activation, which is made when somebody asks for it."""
    try:
        return getattr(derived_modules, name)
    except AttributeError:
        raise absent(__name__, name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(derived_modules)})
