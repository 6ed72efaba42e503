"""Tools that explain: equations, summaries, pictures.

They load where they are first used, so that importing ``nnscratch`` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "Explanation": "explanations",
    "Summary": "summarising",
    "explain": "explaining",
    "summary": "summarising",
}


def load(name: str) -> Any:
    """Return a public name of this room, importing the module that it is in.

    Raises:
        AttributeError: if there is none of that name.

    >>> load("explain").__name__
    'explain'
    """
    if name not in PLACES:
        raise AttributeError(f"nnscratch.inspect has no attribute {name!r}")
    return getattr(importlib.import_module(f"nnscratch.inspect.{PLACES[name]}"), name)


def __getattr__(name: str) -> Any:
    return load(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
