"""The mathematics: pure functions on raw arrays, each a hand-written forward and backward."""

from nnscratch.formulas.activations import RELU, SIGMOID
from nnscratch.formulas.formula import FORMULAS, Formula, formula
from nnscratch.formulas.linear import LINEAR

__all__ = ["FORMULAS", "LINEAR", "RELU", "SIGMOID", "Formula", "formula"]
