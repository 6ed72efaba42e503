# Written by `python -m nnscratch.inspect.stubs`; change the formulas, not this file.

from nnscratch.nn.activation_functions import celu as celu
from nnscratch.nn.activation_functions import elu as elu
from nnscratch.nn.activation_functions import hardshrink as hardshrink
from nnscratch.nn.activation_functions import hardsigmoid as hardsigmoid
from nnscratch.nn.activation_functions import hardswish as hardswish
from nnscratch.nn.activation_functions import hardtanh as hardtanh
from nnscratch.nn.activation_functions import leaky_relu as leaky_relu
from nnscratch.nn.activation_functions import logsigmoid as logsigmoid
from nnscratch.nn.activation_functions import mish as mish
from nnscratch.nn.activation_functions import relu as relu
from nnscratch.nn.activation_functions import relu6 as relu6
from nnscratch.nn.activation_functions import selu as selu
from nnscratch.nn.activation_functions import silu as silu
from nnscratch.nn.activation_functions import softplus as softplus
from nnscratch.nn.activation_functions import softshrink as softshrink
from nnscratch.nn.activation_functions import softsign as softsign
from nnscratch.nn.activation_functions import tanhshrink as tanhshrink
from nnscratch.nn.activation_functions import threshold as threshold
from nnscratch.nn.activations import gelu as gelu
from nnscratch.nn.activations import log_softmax as log_softmax
from nnscratch.nn.activations import prelu as prelu
from nnscratch.nn.activations import softmax as softmax
from nnscratch.nn.dropout import dropout as dropout
from nnscratch.nn.fractional_pooling import fractional_max_pool2d as fractional_max_pool2d
from nnscratch.nn.fractional_pooling import fractional_max_pool3d as fractional_max_pool3d
from nnscratch.nn.grids import affine_grid as affine_grid
from nnscratch.nn.grids import grid_sample as grid_sample
from nnscratch.nn.layers import normalize as normalize
from nnscratch.nn.layers import one_hot as one_hot
from nnscratch.nn.linear import linear as linear
from nnscratch.nn.loss_functions import binary_cross_entropy as binary_cross_entropy
from nnscratch.nn.loss_functions import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from nnscratch.nn.loss_functions import cosine_embedding_loss as cosine_embedding_loss
from nnscratch.nn.loss_functions import cross_entropy as cross_entropy
from nnscratch.nn.loss_functions import hinge_embedding_loss as hinge_embedding_loss
from nnscratch.nn.loss_functions import huber_loss as huber_loss
from nnscratch.nn.loss_functions import kl_div as kl_div
from nnscratch.nn.loss_functions import l1_loss as l1_loss
from nnscratch.nn.loss_functions import mse_loss as mse_loss
from nnscratch.nn.loss_functions import nll_loss as nll_loss
from nnscratch.nn.loss_functions import smooth_l1_loss as smooth_l1_loss
from nnscratch.nn.lp_pooling import lp_pool1d as lp_pool1d
from nnscratch.nn.lp_pooling import lp_pool2d as lp_pool2d
from nnscratch.nn.lp_pooling import lp_pool3d as lp_pool3d
from nnscratch.nn.max_pooling import adaptive_max_pool1d as adaptive_max_pool1d
from nnscratch.nn.max_pooling import adaptive_max_pool2d as adaptive_max_pool2d
from nnscratch.nn.max_pooling import adaptive_max_pool3d as adaptive_max_pool3d
from nnscratch.nn.max_pooling import max_pool1d as max_pool1d
from nnscratch.nn.max_pooling import max_pool2d as max_pool2d
from nnscratch.nn.max_pooling import max_pool3d as max_pool3d
from nnscratch.nn.max_pooling import max_unpool1d as max_unpool1d
from nnscratch.nn.max_pooling import max_unpool2d as max_unpool2d
from nnscratch.nn.max_pooling import max_unpool3d as max_unpool3d
from nnscratch.nn.padding import pad as pad
from nnscratch.nn.pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from nnscratch.nn.pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from nnscratch.nn.pooling import adaptive_avg_pool3d as adaptive_avg_pool3d
from nnscratch.nn.pooling import avg_pool1d as avg_pool1d
from nnscratch.nn.pooling import avg_pool2d as avg_pool2d
from nnscratch.nn.pooling import avg_pool3d as avg_pool3d
from nnscratch.nn.resizing import interpolate as interpolate
from nnscratch.nn.resizing import upsample as upsample
from nnscratch.nn.resizing import upsample_bilinear as upsample_bilinear
from nnscratch.nn.resizing import upsample_nearest as upsample_nearest
from nnscratch.nn.shuffling import channel_shuffle as channel_shuffle
from nnscratch.nn.shuffling import pixel_shuffle as pixel_shuffle
from nnscratch.nn.shuffling import pixel_unshuffle as pixel_unshuffle
from nnscratch.tensors.functions import sigmoid as sigmoid
from nnscratch.tensors.functions import tanh as tanh

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "affine_grid",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "channel_shuffle",
    "cosine_embedding_loss",
    "cross_entropy",
    "dropout",
    "elu",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "gelu",
    "grid_sample",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "interpolate",
    "kl_div",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]
