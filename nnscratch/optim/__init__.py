"""Optimizers: parameters, groups and state; the arithmetic is in ``nnscratch.formulas``.

Every file here is loaded, and each optimizer that one defines can be imported from here. So can one
of your own, once the file that defines it was imported. Type checkers and editors read the stub
beside this file, which ``python -m nnscratch.inspect.stubs`` writes.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from nnscratch.absent import absent
from nnscratch.optim.optimizer import Optimizer

_names = {}
for _module in iter_modules(__path__):
    _held = vars(import_module(f"{__name__}.{_module.name}"))
    for _kind in _held.values():
        if isinstance(_kind, type) and issubclass(_kind, Optimizer) and _kind is not Optimizer:
            _names[_kind.__name__] = _kind
del _names["ParameterOptimizer"]  # which others are made of

globals().update(_names)
__all__ = [*sorted(_names), "Optimizer", "lr_scheduler", "swa_utils"]


def __getattr__(name: str) -> Any:
    kind = Optimizer.kinds.get(name.lower())
    if kind is None or kind.__name__ != name:
        raise absent(__name__, name)
    return kind


def __dir__() -> list[str]:
    return sorted({*globals(), *(kind.__name__ for kind in Optimizer.kinds.values())})
