# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from nnscratch.optim import lr_scheduler as lr_scheduler
from nnscratch.optim import swa_utils as swa_utils
from nnscratch.optim.adadelta import Adadelta as Adadelta
from nnscratch.optim.adafactor import Adafactor as Adafactor
from nnscratch.optim.adagrad import Adagrad as Adagrad
from nnscratch.optim.adam import Adam as Adam
from nnscratch.optim.adam import AdamW as AdamW
from nnscratch.optim.adamax import Adamax as Adamax
from nnscratch.optim.asgd import ASGD as ASGD
from nnscratch.optim.lbfgs import LBFGS as LBFGS
from nnscratch.optim.muon import Muon as Muon
from nnscratch.optim.nadam import NAdam as NAdam
from nnscratch.optim.radam import RAdam as RAdam
from nnscratch.optim.rmsprop import RMSprop as RMSprop
from nnscratch.optim.rprop import Rprop as Rprop
from nnscratch.optim.sgd import SGD as SGD
from nnscratch.optim.sparse_adam import SparseAdam as SparseAdam
from nnscratch.optim.optimizer import Optimizer as Optimizer

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "Optimizer",
    "lr_scheduler",
    "swa_utils",
]
