# Written by `python -m nnscratch.inspect.stubs`; change the formulas, not this file.

from nnscratch.optim import lr_scheduler as lr_scheduler
from nnscratch.optim.adadelta import Adadelta as Adadelta
from nnscratch.optim.adagrad import Adagrad as Adagrad
from nnscratch.optim.adam import Adam as Adam
from nnscratch.optim.adam import AdamW as AdamW
from nnscratch.optim.nadam import NAdam as NAdam
from nnscratch.optim.rmsprop import RMSprop as RMSprop
from nnscratch.optim.sgd import SGD as SGD
from nnscratch.optim.optimizer import Optimizer as Optimizer

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "NAdam",
    "RMSprop",
    "SGD",
    "Optimizer",
    "lr_scheduler",
]
