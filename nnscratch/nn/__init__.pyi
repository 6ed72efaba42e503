# Written by `python -m nnscratch.inspect.stubs`; change the formulas, not this file.

from nnscratch.nn import functional as functional
from nnscratch.nn import init as init
from nnscratch.nn import utils as utils
from nnscratch.nn.activation_modules import CELU as CELU
from nnscratch.nn.activation_modules import ELU as ELU
from nnscratch.nn.activation_modules import Hardshrink as Hardshrink
from nnscratch.nn.activation_modules import Hardsigmoid as Hardsigmoid
from nnscratch.nn.activation_modules import Hardswish as Hardswish
from nnscratch.nn.activation_modules import LeakyReLU as LeakyReLU
from nnscratch.nn.activation_modules import LogSigmoid as LogSigmoid
from nnscratch.nn.activation_modules import Mish as Mish
from nnscratch.nn.activation_modules import ReLU as ReLU
from nnscratch.nn.activation_modules import ReLU6 as ReLU6
from nnscratch.nn.activation_modules import SELU as SELU
from nnscratch.nn.activation_modules import SiLU as SiLU
from nnscratch.nn.activation_modules import Sigmoid as Sigmoid
from nnscratch.nn.activation_modules import Softplus as Softplus
from nnscratch.nn.activation_modules import Softshrink as Softshrink
from nnscratch.nn.activation_modules import Softsign as Softsign
from nnscratch.nn.activation_modules import Tanh as Tanh
from nnscratch.nn.activation_modules import Tanhshrink as Tanhshrink
from nnscratch.nn.activation_modules import Threshold as Threshold
from nnscratch.nn.activations import GELU as GELU
from nnscratch.nn.activations import Hardtanh as Hardtanh
from nnscratch.nn.activations import LogSoftmax as LogSoftmax
from nnscratch.nn.activations import PReLU as PReLU
from nnscratch.nn.activations import Softmax as Softmax
from nnscratch.nn.containers import ModuleDict as ModuleDict
from nnscratch.nn.containers import ModuleList as ModuleList
from nnscratch.nn.containers import ParameterList as ParameterList
from nnscratch.nn.containers import Sequential as Sequential
from nnscratch.nn.convolution import Conv1d as Conv1d
from nnscratch.nn.convolution import Conv2d as Conv2d
from nnscratch.nn.convolution import Conv3d as Conv3d
from nnscratch.nn.dropout import Dropout as Dropout
from nnscratch.nn.embedding import Embedding as Embedding
from nnscratch.nn.embedding import EmbeddingBag as EmbeddingBag
from nnscratch.nn.layers import Flatten as Flatten
from nnscratch.nn.layers import Identity as Identity
from nnscratch.nn.layers import Unflatten as Unflatten
from nnscratch.nn.linear import Linear as Linear
from nnscratch.nn.linear_cross_entropy import LinearCrossEntropyLoss as LinearCrossEntropyLoss
from nnscratch.nn.linear_cross_entropy import LinearCrossEntropyOptions as LinearCrossEntropyOptions
from nnscratch.nn.losses import BCELoss as BCELoss
from nnscratch.nn.losses import BCEWithLogitsLoss as BCEWithLogitsLoss
from nnscratch.nn.losses import CosineEmbeddingLoss as CosineEmbeddingLoss
from nnscratch.nn.losses import CrossEntropyLoss as CrossEntropyLoss
from nnscratch.nn.losses import HingeEmbeddingLoss as HingeEmbeddingLoss
from nnscratch.nn.losses import HuberLoss as HuberLoss
from nnscratch.nn.losses import KLDivLoss as KLDivLoss
from nnscratch.nn.losses import L1Loss as L1Loss
from nnscratch.nn.losses import MSELoss as MSELoss
from nnscratch.nn.losses import NLLLoss as NLLLoss
from nnscratch.nn.losses import SmoothL1Loss as SmoothL1Loss
from nnscratch.nn.module import Module as Module
from nnscratch.nn.multihead_attention import MultiheadAttention as MultiheadAttention
from nnscratch.nn.parameter import Parameter as Parameter
from nnscratch.nn.recurrent import GRU as GRU
from nnscratch.nn.recurrent import LSTM as LSTM
from nnscratch.nn.recurrent import RNN as RNN
from nnscratch.nn.recurrent import RNNBase as RNNBase
from nnscratch.nn.recurrent_cells import GRUCell as GRUCell
from nnscratch.nn.recurrent_cells import LSTMCell as LSTMCell
from nnscratch.nn.recurrent_cells import RNNCell as RNNCell
from nnscratch.nn.recurrent_cells import RNNCellBase as RNNCellBase
from nnscratch.nn.transposed_convolution import ConvTranspose1d as ConvTranspose1d
from nnscratch.nn.transposed_convolution import ConvTranspose2d as ConvTranspose2d
from nnscratch.nn.transposed_convolution import ConvTranspose3d as ConvTranspose3d
from nnscratch.nn.windows import Fold as Fold
from nnscratch.nn.windows import Unfold as Unfold

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CELU",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "Dropout",
    "ELU",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "Fold",
    "GELU",
    "GRU",
    "GRUCell",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LSTM",
    "LSTMCell",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ParameterList",
    "RNN",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
    "ReLU",
    "ReLU6",
    "SELU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "Unflatten",
    "Unfold",
    "functional",
    "init",
    "utils",
]
