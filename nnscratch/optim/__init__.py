"""Optimizers: parameters, groups and state; the arithmetic is in ``nnscratch.formulas``."""

from nnscratch.optim.adam import Adam, AdamW
from nnscratch.optim.optimizer import Optimizer

__all__ = ["Adam", "AdamW", "Optimizer"]
