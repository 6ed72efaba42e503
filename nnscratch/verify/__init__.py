"""Tools that check: gradients, anomalies, hidden copies, training that goes wrong.

They load where they are first used, so that importing ``nnscratch`` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "GradcheckError": "gradients.checking",
    "Report": "gradients.report",
    "Verdict": "gradients.elements",
    "assert_gradients": "gradients.checking",
    "assert_second_derivatives": "gradients.second",
    "audit": "watch.copies",
    "checkup": "checkups.training",
    "detect_anomaly": "watch.anomaly",
    "gradcheck": "gradients.checking",
    "gradgradcheck": "gradients.second",
    "homework": "gradients.lessons",
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
