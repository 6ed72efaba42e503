"""``torch.autograd``: gradients of any order, and operations with user-defined derivatives.

Second derivatives need no formulas of their own: a first derivative that runs on tensors is
recorded like any other computation (``docs/second_derivatives.md``).
"""

from nnscratch.absent import refuse_absent_names
from nnscratch.autograd import function, functional
from nnscratch.autograd.function import Function
from nnscratch.autograd.gradcheck import gradcheck, gradgradcheck
from nnscratch.autograd.gradients import backward, grad
from nnscratch.autograd.variable import Variable
from nnscratch.tensors import enable_grad, no_grad, set_grad_enabled
from nnscratch.tensors.anomaly import detect_anomaly, set_detect_anomaly

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]

refuse_absent_names(__name__)
