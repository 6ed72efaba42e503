"""Compiled steps: the same formulas, recorded once and replayed without allocation or dispatch."""

from nnscratch.plan.compiled import Compiled
from nnscratch.plan.compiling import compile

__all__ = ["Compiled", "compile"]
