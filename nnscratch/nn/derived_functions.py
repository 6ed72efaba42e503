"""Activations and losses as functions, each made of its formula.

Type checkers and editors read the stub beside this file, which
``python -m nnscratch.inspect.stubs`` writes. How they are made is in ``nnscratch.nn.derived`` and
``nnscratch.nn.derived_losses``.
"""

from collections.abc import Callable

from nnscratch.nn.derived import activation_function, activations
from nnscratch.nn.derived_losses import loss_function, losses
from nnscratch.tensors import Tensor


def _names() -> set[str]:
    found = (*activations("function"), *losses("function"))
    return {public.function for _, public in found}


__all__ = sorted(_names())


def __getattr__(name: str) -> Callable[..., Tensor]:
    """Make a function when somebody asks for it, also of a formula that is made later."""
    for kind, make in ((activations, activation_function), (losses, loss_function)):
        for made, public in kind("function"):
            if public.function == name:
                return globals().setdefault(name, make(made, __name__))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_names()})
