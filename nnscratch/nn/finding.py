"""Which functions and modules there are: what the files of this folder name in ``__all__``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnscratch.loading import modules_of

# PyTorch has three of these as namespaces of their own: what they define is found in them alone.
# The fourth has no layers, and needs autograd, which an import can do without.
_LEFT_OUT = ("functional", "init", "utils", "backward_hooks")


def exported(classes: bool) -> dict[str, Any]:
    """Return the classes that the files of ``nn`` name in ``__all__``, or all that is no class.

    A name that is made when somebody asks for it (``nn.derived_modules``) is not made here.

    >>> exported(classes=True)["Linear"]
    <class 'nnscratch.nn.linear.Linear'>
    >>> exported(classes=False)["linear"].__module__
    'nnscratch.nn.linear'
    """
    found = {}
    for module in modules_of("nnscratch.nn", [str(Path(__file__).parent)], _LEFT_OUT):
        held = vars(module)
        for name in held.get("__all__", ()):
            if name in held and isinstance(held[name], type) is classes:
                found[name] = held[name]
    return found
