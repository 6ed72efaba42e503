"""Tools that check: gradients, anomalies, hidden copies, training that goes wrong.

They load where they are first used, so that importing ``nnscratch`` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "GradcheckError": "gradients",
    "Report": "report",
    "Verdict": "report",
    "assert_gradients": "gradients",
    "assert_second_derivatives": "second",
    "audit": "copies",
    "checkup": "training",
    "detect_anomaly": "anomaly",
    "gradcheck": "gradients",
    "gradgradcheck": "second",
    "homework": "lessons",
}


def load(name: str) -> Any:
    """Return a public name of this room, importing the module that it is in.

    Raises:
        AttributeError: if there is none of that name.

    >>> load("gradcheck").__name__
    'gradcheck'
    """
    if name not in PLACES:
        raise AttributeError(f"nnscratch.verify has no attribute {name!r}")
    return getattr(importlib.import_module(f"nnscratch.verify.{PLACES[name]}"), name)


def __getattr__(name: str) -> Any:
    return load(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
