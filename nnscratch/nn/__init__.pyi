# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from nnscratch.nn import functional as functional
from nnscratch.nn import init as init
from nnscratch.nn import utils as utils
from nnscratch.nn.activations import GELU as GELU
from nnscratch.nn.activations import GLU as GLU
from nnscratch.nn.activations import Hardtanh as Hardtanh
from nnscratch.nn.activations import LogSoftmax as LogSoftmax
from nnscratch.nn.activations import PReLU as PReLU
from nnscratch.nn.activations import Softmax as Softmax
from nnscratch.nn.activations import Softmax2d as Softmax2d
from nnscratch.nn.activations import Softmin as Softmin
from nnscratch.nn.adaptive import AdaptiveLogSoftmaxWithLoss as AdaptiveLogSoftmaxWithLoss
from nnscratch.nn.batch_norm import BatchNorm1d as BatchNorm1d
from nnscratch.nn.batch_norm import BatchNorm2d as BatchNorm2d
from nnscratch.nn.batch_norm import BatchNorm3d as BatchNorm3d
from nnscratch.nn.bilinear import Bilinear as Bilinear
from nnscratch.nn.containers import ModuleDict as ModuleDict
from nnscratch.nn.containers import ModuleList as ModuleList
from nnscratch.nn.containers import ParameterDict as ParameterDict
from nnscratch.nn.containers import ParameterList as ParameterList
from nnscratch.nn.containers import Sequential as Sequential
from nnscratch.nn.convolution import Conv1d as Conv1d
from nnscratch.nn.convolution import Conv2d as Conv2d
from nnscratch.nn.convolution import Conv3d as Conv3d
from nnscratch.nn.ctc import CTCLoss as CTCLoss
from nnscratch.nn.derived_modules import BCELoss as BCELoss
from nnscratch.nn.derived_modules import BCEWithLogitsLoss as BCEWithLogitsLoss
from nnscratch.nn.derived_modules import CELU as CELU
from nnscratch.nn.derived_modules import CosineEmbeddingLoss as CosineEmbeddingLoss
from nnscratch.nn.derived_modules import ELU as ELU
from nnscratch.nn.derived_modules import Hardshrink as Hardshrink
from nnscratch.nn.derived_modules import Hardsigmoid as Hardsigmoid
from nnscratch.nn.derived_modules import Hardswish as Hardswish
from nnscratch.nn.derived_modules import HingeEmbeddingLoss as HingeEmbeddingLoss
from nnscratch.nn.derived_modules import HuberLoss as HuberLoss
from nnscratch.nn.derived_modules import KLDivLoss as KLDivLoss
from nnscratch.nn.derived_modules import L1Loss as L1Loss
from nnscratch.nn.derived_modules import LeakyReLU as LeakyReLU
from nnscratch.nn.derived_modules import LogSigmoid as LogSigmoid
from nnscratch.nn.derived_modules import MSELoss as MSELoss
from nnscratch.nn.derived_modules import MarginRankingLoss as MarginRankingLoss
from nnscratch.nn.derived_modules import Mish as Mish
from nnscratch.nn.derived_modules import MultiLabelMarginLoss as MultiLabelMarginLoss
from nnscratch.nn.derived_modules import MultiMarginLoss as MultiMarginLoss
from nnscratch.nn.derived_modules import NLLLoss as NLLLoss
from nnscratch.nn.derived_modules import PoissonNLLLoss as PoissonNLLLoss
from nnscratch.nn.derived_modules import ReLU as ReLU
from nnscratch.nn.derived_modules import ReLU6 as ReLU6
from nnscratch.nn.derived_modules import SELU as SELU
from nnscratch.nn.derived_modules import SiLU as SiLU
from nnscratch.nn.derived_modules import Sigmoid as Sigmoid
from nnscratch.nn.derived_modules import SmoothL1Loss as SmoothL1Loss
from nnscratch.nn.derived_modules import SoftMarginLoss as SoftMarginLoss
from nnscratch.nn.derived_modules import Softplus as Softplus
from nnscratch.nn.derived_modules import Softshrink as Softshrink
from nnscratch.nn.derived_modules import Softsign as Softsign
from nnscratch.nn.derived_modules import Tanh as Tanh
from nnscratch.nn.derived_modules import Tanhshrink as Tanhshrink
from nnscratch.nn.derived_modules import Threshold as Threshold
from nnscratch.nn.distances import CosineSimilarity as CosineSimilarity
from nnscratch.nn.distances import PairwiseDistance as PairwiseDistance
from nnscratch.nn.dropout import Dropout as Dropout
from nnscratch.nn.embedding import Embedding as Embedding
from nnscratch.nn.embedding import EmbeddingBag as EmbeddingBag
from nnscratch.nn.feature_dropout import AlphaDropout as AlphaDropout
from nnscratch.nn.feature_dropout import Dropout1d as Dropout1d
from nnscratch.nn.feature_dropout import Dropout2d as Dropout2d
from nnscratch.nn.feature_dropout import Dropout3d as Dropout3d
from nnscratch.nn.feature_dropout import FeatureAlphaDropout as FeatureAlphaDropout
from nnscratch.nn.fractional_pooling import FractionalMaxPool2d as FractionalMaxPool2d
from nnscratch.nn.fractional_pooling import FractionalMaxPool3d as FractionalMaxPool3d
from nnscratch.nn.instance_norm import InstanceNorm1d as InstanceNorm1d
from nnscratch.nn.instance_norm import InstanceNorm2d as InstanceNorm2d
from nnscratch.nn.instance_norm import InstanceNorm3d as InstanceNorm3d
from nnscratch.nn.layer_norm import GroupNorm as GroupNorm
from nnscratch.nn.layer_norm import LayerNorm as LayerNorm
from nnscratch.nn.layer_norm import RMSNorm as RMSNorm
from nnscratch.nn.layers import Flatten as Flatten
from nnscratch.nn.layers import Identity as Identity
from nnscratch.nn.layers import Unflatten as Unflatten
from nnscratch.nn.linear import Linear as Linear
from nnscratch.nn.linear_cross_entropy import LinearCrossEntropyLoss as LinearCrossEntropyLoss
from nnscratch.nn.linear_cross_entropy import LinearCrossEntropyOptions as LinearCrossEntropyOptions
from nnscratch.nn.local_response import LocalResponseNorm as LocalResponseNorm
from nnscratch.nn.losses import CrossEntropyLoss as CrossEntropyLoss
from nnscratch.nn.losses import GaussianNLLLoss as GaussianNLLLoss
from nnscratch.nn.losses import MultiLabelSoftMarginLoss as MultiLabelSoftMarginLoss
from nnscratch.nn.losses import TripletMarginLoss as TripletMarginLoss
from nnscratch.nn.losses import TripletMarginWithDistanceLoss as TripletMarginWithDistanceLoss
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
from nnscratch.nn.multihead_attention import MultiheadAttention as MultiheadAttention
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
from nnscratch.nn.parameter import Buffer as Buffer
from nnscratch.nn.parameter import Parameter as Parameter
from nnscratch.nn.pooling import AdaptiveAvgPool1d as AdaptiveAvgPool1d
from nnscratch.nn.pooling import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from nnscratch.nn.pooling import AdaptiveAvgPool3d as AdaptiveAvgPool3d
from nnscratch.nn.pooling import AvgPool1d as AvgPool1d
from nnscratch.nn.pooling import AvgPool2d as AvgPool2d
from nnscratch.nn.pooling import AvgPool3d as AvgPool3d
from nnscratch.nn.random_activations import RReLU as RReLU
from nnscratch.nn.recurrent import GRU as GRU
from nnscratch.nn.recurrent import LSTM as LSTM
from nnscratch.nn.recurrent import RNN as RNN
from nnscratch.nn.recurrent import RNNBase as RNNBase
from nnscratch.nn.recurrent_cells import GRUCell as GRUCell
from nnscratch.nn.recurrent_cells import LSTMCell as LSTMCell
from nnscratch.nn.recurrent_cells import RNNCell as RNNCell
from nnscratch.nn.recurrent_cells import RNNCellBase as RNNCellBase
from nnscratch.nn.resizing import Upsample as Upsample
from nnscratch.nn.resizing import UpsamplingBilinear2d as UpsamplingBilinear2d
from nnscratch.nn.resizing import UpsamplingNearest2d as UpsamplingNearest2d
from nnscratch.nn.shuffling import ChannelShuffle as ChannelShuffle
from nnscratch.nn.shuffling import PixelShuffle as PixelShuffle
from nnscratch.nn.shuffling import PixelUnshuffle as PixelUnshuffle
from nnscratch.nn.transformer import Transformer as Transformer
from nnscratch.nn.transformer import TransformerDecoder as TransformerDecoder
from nnscratch.nn.transformer import TransformerEncoder as TransformerEncoder
from nnscratch.nn.transformer_layers import TransformerDecoderLayer as TransformerDecoderLayer
from nnscratch.nn.transformer_layers import TransformerEncoderLayer as TransformerEncoderLayer
from nnscratch.nn.transposed_convolution import ConvTranspose1d as ConvTranspose1d
from nnscratch.nn.transposed_convolution import ConvTranspose2d as ConvTranspose2d
from nnscratch.nn.transposed_convolution import ConvTranspose3d as ConvTranspose3d
from nnscratch.nn.windows import Fold as Fold
from nnscratch.nn.windows import Unfold as Unfold

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveLogSoftmaxWithLoss",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AlphaDropout",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Bilinear",
    "Buffer",
    "CELU",
    "CTCLoss",
    "ChannelShuffle",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "ELU",
    "Embedding",
    "EmbeddingBag",
    "FeatureAlphaDropout",
    "Flatten",
    "Fold",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "GELU",
    "GLU",
    "GRU",
    "GRUCell",
    "GaussianNLLLoss",
    "GroupNorm",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "KLDivLoss",
    "L1Loss",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LSTM",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "LocalResponseNorm",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MarginRankingLoss",
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
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "MultiheadAttention",
    "NLLLoss",
    "PReLU",
    "PairwiseDistance",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "PixelShuffle",
    "PixelUnshuffle",
    "PoissonNLLLoss",
    "RMSNorm",
    "RNN",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
    "RReLU",
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
    "SoftMarginLoss",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
    "Unflatten",
    "Unfold",
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
