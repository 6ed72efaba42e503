# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from nnscratch.nn.activations import gelu as gelu
from nnscratch.nn.activations import glu as glu
from nnscratch.nn.activations import log_softmax as log_softmax
from nnscratch.nn.activations import prelu as prelu
from nnscratch.nn.activations import softmax as softmax
from nnscratch.nn.activations import softmin as softmin
from nnscratch.nn.attention import scaled_dot_product_attention as scaled_dot_product_attention
from nnscratch.nn.batch_norm import batch_norm as batch_norm
from nnscratch.nn.bilinear import bilinear as bilinear
from nnscratch.nn.convolution import conv1d as conv1d
from nnscratch.nn.convolution import conv2d as conv2d
from nnscratch.nn.convolution import conv3d as conv3d
from nnscratch.nn.ctc import ctc_loss as ctc_loss
from nnscratch.nn.derived_functions import binary_cross_entropy as binary_cross_entropy
from nnscratch.nn.derived_functions import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from nnscratch.nn.derived_functions import celu as celu
from nnscratch.nn.derived_functions import cosine_embedding_loss as cosine_embedding_loss
from nnscratch.nn.derived_functions import elu as elu
from nnscratch.nn.derived_functions import hardshrink as hardshrink
from nnscratch.nn.derived_functions import hardsigmoid as hardsigmoid
from nnscratch.nn.derived_functions import hardswish as hardswish
from nnscratch.nn.derived_functions import hardtanh as hardtanh
from nnscratch.nn.derived_functions import hinge_embedding_loss as hinge_embedding_loss
from nnscratch.nn.derived_functions import huber_loss as huber_loss
from nnscratch.nn.derived_functions import kl_div as kl_div
from nnscratch.nn.derived_functions import l1_loss as l1_loss
from nnscratch.nn.derived_functions import leaky_relu as leaky_relu
from nnscratch.nn.derived_functions import logsigmoid as logsigmoid
from nnscratch.nn.derived_functions import mish as mish
from nnscratch.nn.derived_functions import mse_loss as mse_loss
from nnscratch.nn.derived_functions import multi_margin_loss as multi_margin_loss
from nnscratch.nn.derived_functions import multilabel_margin_loss as multilabel_margin_loss
from nnscratch.nn.derived_functions import nll_loss as nll_loss
from nnscratch.nn.derived_functions import poisson_nll_loss as poisson_nll_loss
from nnscratch.nn.derived_functions import relu as relu
from nnscratch.nn.derived_functions import relu6 as relu6
from nnscratch.nn.derived_functions import selu as selu
from nnscratch.nn.derived_functions import silu as silu
from nnscratch.nn.derived_functions import smooth_l1_loss as smooth_l1_loss
from nnscratch.nn.derived_functions import soft_margin_loss as soft_margin_loss
from nnscratch.nn.derived_functions import softplus as softplus
from nnscratch.nn.derived_functions import softshrink as softshrink
from nnscratch.nn.derived_functions import softsign as softsign
from nnscratch.nn.derived_functions import tanhshrink as tanhshrink
from nnscratch.nn.derived_functions import threshold as threshold
from nnscratch.nn.distances import cosine_similarity as cosine_similarity
from nnscratch.nn.distances import pairwise_distance as pairwise_distance
from nnscratch.nn.dropout import dropout as dropout
from nnscratch.nn.embedding import embedding as embedding
from nnscratch.nn.embedding import embedding_bag as embedding_bag
from nnscratch.nn.feature_dropout import alpha_dropout as alpha_dropout
from nnscratch.nn.feature_dropout import dropout1d as dropout1d
from nnscratch.nn.feature_dropout import dropout2d as dropout2d
from nnscratch.nn.feature_dropout import dropout3d as dropout3d
from nnscratch.nn.feature_dropout import feature_alpha_dropout as feature_alpha_dropout
from nnscratch.nn.fractional_pooling import fractional_max_pool2d as fractional_max_pool2d
from nnscratch.nn.fractional_pooling import fractional_max_pool3d as fractional_max_pool3d
from nnscratch.nn.grids import affine_grid as affine_grid
from nnscratch.nn.grids import grid_sample as grid_sample
from nnscratch.nn.in_place import celu_ as celu_
from nnscratch.nn.in_place import elu_ as elu_
from nnscratch.nn.in_place import hardtanh_ as hardtanh_
from nnscratch.nn.in_place import leaky_relu_ as leaky_relu_
from nnscratch.nn.in_place import relu_ as relu_
from nnscratch.nn.in_place import rrelu_ as rrelu_
from nnscratch.nn.in_place import selu_ as selu_
from nnscratch.nn.in_place import threshold_ as threshold_
from nnscratch.nn.instance_norm import instance_norm as instance_norm
from nnscratch.nn.layer_norm import group_norm as group_norm
from nnscratch.nn.layer_norm import layer_norm as layer_norm
from nnscratch.nn.layer_norm import rms_norm as rms_norm
from nnscratch.nn.layers import normalize as normalize
from nnscratch.nn.layers import one_hot as one_hot
from nnscratch.nn.linear import linear as linear
from nnscratch.nn.linear_cross_entropy import linear_cross_entropy as linear_cross_entropy
from nnscratch.nn.local_response import local_response_norm as local_response_norm
from nnscratch.nn.loss_functions import cross_entropy as cross_entropy
from nnscratch.nn.loss_functions import gaussian_nll_loss as gaussian_nll_loss
from nnscratch.nn.loss_functions import margin_ranking_loss as margin_ranking_loss
from nnscratch.nn.loss_functions import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from nnscratch.nn.loss_functions import triplet_margin_loss as triplet_margin_loss
from nnscratch.nn.loss_functions import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss
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
from nnscratch.nn.multihead_attention import multi_head_attention_forward as multi_head_attention_forward
from nnscratch.nn.padding import pad as pad
from nnscratch.nn.pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from nnscratch.nn.pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from nnscratch.nn.pooling import adaptive_avg_pool3d as adaptive_avg_pool3d
from nnscratch.nn.pooling import avg_pool1d as avg_pool1d
from nnscratch.nn.pooling import avg_pool2d as avg_pool2d
from nnscratch.nn.pooling import avg_pool3d as avg_pool3d
from nnscratch.nn.random_activations import gumbel_softmax as gumbel_softmax
from nnscratch.nn.random_activations import rrelu as rrelu
from nnscratch.nn.resizing import interpolate as interpolate
from nnscratch.nn.resizing import upsample as upsample
from nnscratch.nn.resizing import upsample_bilinear as upsample_bilinear
from nnscratch.nn.resizing import upsample_nearest as upsample_nearest
from nnscratch.nn.shuffling import channel_shuffle as channel_shuffle
from nnscratch.nn.shuffling import pixel_shuffle as pixel_shuffle
from nnscratch.nn.shuffling import pixel_unshuffle as pixel_unshuffle
from nnscratch.nn.transposed_convolution import conv_transpose1d as conv_transpose1d
from nnscratch.nn.transposed_convolution import conv_transpose2d as conv_transpose2d
from nnscratch.nn.transposed_convolution import conv_transpose3d as conv_transpose3d
from nnscratch.nn.windows import fold as fold
from nnscratch.nn.windows import unfold as unfold
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
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "celu_",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "grid_sample",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "linear_cross_entropy",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "mse_loss",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "scaled_dot_product_attention",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]
