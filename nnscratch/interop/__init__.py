"""Other libraries' weights: safetensors files, in PyTorch's and Hugging Face's names.

``nnscratch.save`` and ``nnscratch.load`` are here too.
"""

from __future__ import annotations

import importlib
from typing import Any

# What ``nnscratch`` has of this room: it loads where it is first used.
PLACES = {"load": "saved", "save": "saved"}


def load(name: str) -> Any:
    """Return a public name of this room, importing the module that it is in.

    Raises:
        AttributeError: if there is none of that name.

    >>> load("save").__name__
    'save'
    """
    if name not in PLACES:
        raise AttributeError(f"nnscratch.interop has no attribute {name!r}")
    return getattr(importlib.import_module(f"nnscratch.interop.{PLACES[name]}"), name)
