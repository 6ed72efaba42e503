r"""Optimizers, one file each: the update as a formula, and parameters, groups and state.

An update returns the new parameter and state from the old ones and the gradient: P is the
parameter, G its gradient, $\eta$ the learning rate ``lr``, $\lambda$ the weight decay and $t$ the
step, counted from 1. Decay is added to the gradient, $G \leftarrow G + \lambda P$, unless it is
decoupled, $P \leftarrow P - \eta \lambda P$; ``maximize`` turns the sign of G. Its function is the
reference as it stands, and the same text becomes a compiled loop (``nnscratch.kernels.updating``):
choices by options and by which state there is are made before it, and so is arithmetic with
numbers. Arrays meet in ``+ - * /`` and the words of ``nnscratch.array.maths``; ``math`` is for
numbers.

Every file here is loaded, and each optimizer that one defines can be imported from here. So can one
of your own, once the file that defines it was imported. Type checkers and editors read the stub
beside this file, which ``python -m nnscratch.inspect.stubs`` writes.
"""

from typing import Any

from nnscratch.absent import absent
from nnscratch.loading import modules_of
from nnscratch.optim.by_parameter import ParameterOptimizer
from nnscratch.optim.optimizer import Optimizer

_BASES = (Optimizer, ParameterOptimizer)  # which others are made of
_names = {}
for _module in modules_of(__name__, __path__):
    for _kind in vars(_module).values():
        if isinstance(_kind, type) and issubclass(_kind, Optimizer) and _kind not in _BASES:
            _names[_kind.__name__] = _kind

globals().update(_names)
__all__ = [*sorted(_names), "Optimizer", "lr_scheduler", "swa_utils"]


def __getattr__(name: str) -> Any:
    kind = Optimizer.kinds.get(name.lower())
    if kind is None or kind.__name__ != name:
        raise absent(__name__, name)
    return kind


def __dir__() -> list[str]:
    return sorted({*globals(), *(kind.__name__ for kind in Optimizer.kinds.values())})
