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
from nnscratch.nn.dropout import Dropout as Dropout
from nnscratch.nn.fractional_pooling import FractionalMaxPool2d as FractionalMaxPool2d
from nnscratch.nn.fractional_pooling import FractionalMaxPool3d as FractionalMaxPool3d
from nnscratch.nn.layers import Flatten as Flatten
from nnscratch.nn.layers import Identity as Identity
from nnscratch.nn.layers import Unflatten as Unflatten
from nnscratch.nn.linear import Linear as Linear
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
from nnscratch.nn.lp_pooling import LPPool1d as LPPool1d
from nnscratch.nn.lp_pooling import LPPool2d as LPPool2d
from nnscratch.nn.lp_pooling import LPPool3d as LPPool3d
from nnscratch.nn.max_pooling import AdaptiveMaxPool1d as AdaptiveMaxPool1d
from nnscratch.nn.max_pooling import AdaptiveMaxPool2d as AdaptiveMaxPool2d
from nnscratch.nn.max_pooling import AdaptiveMaxPool3d as AdaptiveMaxPool3d
from nnscratch.nn.max_pooling import MaxPool1d as MaxPool1d
from nnscratch.nn.max_pooling import MaxPool2d as MaxPool2d
from nnscratch.nn.max_pooling import MaxPool3d as MaxPool3d
from nnscratch.nn.max_pooling import MaxUnpool1d as MaxUnpool1d
from nnscratch.nn.max_pooling import MaxUnpool2d as MaxUnpool2d
from nnscratch.nn.max_pooling import MaxUnpool3d as MaxUnpool3d
from nnscratch.nn.module import Module as Module
from nnscratch.nn.padding import CircularPad1d as CircularPad1d
from nnscratch.nn.padding import CircularPad2d as CircularPad2d
from nnscratch.nn.padding import CircularPad3d as CircularPad3d
from nnscratch.nn.padding import ConstantPad1d as ConstantPad1d
from nnscratch.nn.padding import ConstantPad2d as ConstantPad2d
from nnscratch.nn.padding import ConstantPad3d as ConstantPad3d
from nnscratch.nn.padding import ReflectionPad1d as ReflectionPad1d
from nnscratch.nn.padding import ReflectionPad2d as ReflectionPad2d
from nnscratch.nn.padding import ReflectionPad3d as ReflectionPad3d
from nnscratch.nn.padding import ReplicationPad1d as ReplicationPad1d
from nnscratch.nn.padding import ReplicationPad2d as ReplicationPad2d
from nnscratch.nn.padding import ReplicationPad3d as ReplicationPad3d
from nnscratch.nn.padding import ZeroPad1d as ZeroPad1d
from nnscratch.nn.padding import ZeroPad2d as ZeroPad2d
from nnscratch.nn.padding import ZeroPad3d as ZeroPad3d
from nnscratch.nn.parameter import Parameter as Parameter
from nnscratch.nn.pooling import AdaptiveAvgPool1d as AdaptiveAvgPool1d
from nnscratch.nn.pooling import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from nnscratch.nn.pooling import AdaptiveAvgPool3d as AdaptiveAvgPool3d
from nnscratch.nn.pooling import AvgPool1d as AvgPool1d
from nnscratch.nn.pooling import AvgPool2d as AvgPool2d
from nnscratch.nn.pooling import AvgPool3d as AvgPool3d
from nnscratch.nn.resizing import Upsample as Upsample
from nnscratch.nn.resizing import UpsamplingBilinear2d as UpsamplingBilinear2d
from nnscratch.nn.resizing import UpsamplingNearest2d as UpsamplingNearest2d
from nnscratch.nn.shuffling import ChannelShuffle as ChannelShuffle
from nnscratch.nn.shuffling import PixelShuffle as PixelShuffle
from nnscratch.nn.shuffling import PixelUnshuffle as PixelUnshuffle

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CELU",
    "ChannelShuffle",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "Dropout",
    "ELU",
    "Flatten",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "GELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ParameterList",
    "PixelShuffle",
    "PixelUnshuffle",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
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
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "functional",
    "init",
    "utils",
]
