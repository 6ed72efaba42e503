"""Optimizers: parameters, groups and state; the arithmetic is in ``nnscratch.formulas``."""

from nnscratch.optim import lr_scheduler
from nnscratch.optim.adam import Adam, AdamW
from nnscratch.optim.adaptive import Adadelta, Adagrad, RMSprop
from nnscratch.optim.nadam import NAdam
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "NAdam",
    "Optimizer",
    "RMSprop",
    "lr_scheduler",
]
