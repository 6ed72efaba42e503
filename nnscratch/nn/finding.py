"""Which functions and modules there are: what the files of this folder name in ``__all__``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

# PyTorch has these as namespaces of their own, so what they define is found in them alone.
_NAMESPACES = ("functional", "init", "utils")


def exported(classes: bool) -> dict[str, Any]:
    """Return the classes that the files of ``nn`` name in ``__all__``, or all that is no class.

    A name that is made when somebody asks for it (``nn.derived_modules``) is not made here.

    >>> exported(classes=True)["Linear"]
    <class 'nnscratch.nn.linear.Linear'>
    >>> exported(classes=False)["linear"].__module__
    'nnscratch.nn.linear'
    """
    found = {}
    for file in iter_modules([str(Path(__file__).parent)]):
        if file.name in _NAMESPACES or file.ispkg:
            continue
        held = vars(import_module(f"nnscratch.nn.{file.name}"))
        for name in held.get("__all__", ()):
            if name in held and isinstance(held[name], type) is classes:
                found[name] = held[name]
    return found
