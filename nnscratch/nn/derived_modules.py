"""Activations and losses as modules, each made of its formula.

Type checkers and editors read the stub beside this file, which
``python -m nnscratch.inspect.stubs`` writes. How they are made is in ``nnscratch.nn.derived`` and
``nnscratch.nn.derived_losses``.
"""

from typing import Any

from nnscratch.nn import functional
from nnscratch.nn.derived import activation_module, activations
from nnscratch.nn.derived_losses import loss_module, losses


def _names() -> set[str]:
    return {public.module for _, public in (*activations("module"), *losses("module"))}


__all__ = sorted(_names())


def __getattr__(name: str) -> Any:
    """Make a module when somebody asks for it, also of a formula that is made later."""
    makers: Any = ((activations, activation_module), (losses, loss_module))
    for kind, make in makers:
        for made, public in kind("module"):
            if public.module == name:
                function = getattr(functional, public.function)
                return globals().setdefault(name, make(made, function, __name__))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_names()})
