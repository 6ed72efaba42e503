"""Tools that explain: equations, summaries, pictures.

They load where they are first used, so that importing ``nnscratch`` stays light.
"""

from __future__ import annotations

from nnscratch.loading import later

# No module is named like something in it: the name would then stand for the module.
PLACES = {
    "Explanation": "explanations",
    "Summary": "summarising",
    "explain": "explaining",
    "summary": "summarising",
}
__getattr__ = later(__name__, PLACES)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
