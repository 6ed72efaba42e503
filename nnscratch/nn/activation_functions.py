"""The activations as functions, each made of its formula (``nnscratch.nn.derived``).

Type checkers and editors read the stub beside this file, which
``python -m nnscratch.inspect.stubs`` writes.
"""

from collections.abc import Callable
from typing import Any

from nnscratch.nn.derived import activation_function, activations
from nnscratch.tensors import Tensor

_made = {
    public.function: activation_function(made, __name__) for made, public in activations("function")
}
globals().update(_made)
__all__ = sorted(_made)


def __getattr__(name: str) -> Callable[[Any], Tensor]:
    """Make the function of a formula that was made after this file was loaded."""
    for made, public in activations("function"):
        if public.function == name:
            found = activation_function(made, __name__)
            return globals().setdefault(name, found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(public.function for _, public in activations("function"))})
