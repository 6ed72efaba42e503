"""The activations as modules, each made of its formula (``nnscratch.nn.derived``).

Type checkers and editors read the stub beside this file, which
``python -m nnscratch.inspect.stubs`` writes.
"""

from typing import Any

from nnscratch.nn import functional
from nnscratch.nn.derived import activation_module, activations

__all__ = sorted(public.module for _, public in activations("module"))


def __getattr__(name: str) -> Any:
    """Make a module when somebody asks for it, also of a formula that is made later."""
    for made, public in activations("module"):
        if public.module == name:
            function = getattr(functional, public.function)
            return globals().setdefault(name, activation_module(made, function, __name__))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(public.module for _, public in activations("module"))})
