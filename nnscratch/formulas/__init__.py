"""The mathematics: pure functions on raw arrays, each a hand-written forward and backward.

Every file here is loaded, and each formula that one makes can be imported from here by its name in
capitals. So can a formula of your own, once the file that makes it was imported::

    from nnscratch.formulas import RELU
"""

from typing import TYPE_CHECKING

from nnscratch.formulas.formula import FORMULAS, Formula, Public, follow, formula
from nnscratch.loading import modules_of

modules_of(__name__, __path__)

__all__ = ["FORMULAS", "Formula", "Public", "follow", "formula"]
__all__ += sorted(name.upper() for name in FORMULAS)


def _enter(made: Formula) -> None:
    name = made.name.upper()
    globals()[name] = made
    if name not in __all__:
        __all__.append(name)


follow(_enter)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Formula:
        """Tell type checkers what the names in capitals are."""
