"""The activations as functions, each made of its formula (``nnscratch.nn.derived``).

Type checkers and editors read the stub beside this file, which
``python -m nnscratch.inspect.stubs`` writes.
"""

from collections.abc import Callable
from typing import Any

from nnscratch.nn.derived import activation_function, activations
from nnscratch.tensors import Tensor

__all__ = sorted(public.function for _, public in activations("function"))


def __getattr__(name: str) -> Callable[[Any], Tensor]:
    """Make a function when somebody asks for it, also of a formula that is made later."""
    for made, public in activations("function"):
        if public.function == name:
            found = activation_function(made, __name__)
            return globals().setdefault(name, found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(public.function for _, public in activations("function"))})
