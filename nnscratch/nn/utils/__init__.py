"""What is done to parameters, gradients and sequences beside a model: clipping, vectors."""

from nnscratch.absent import refuse_absent_names
from nnscratch.nn.utils import parametrizations, parametrize, rnn
from nnscratch.nn.utils.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from nnscratch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from nnscratch.nn.utils.making import skip_init
from nnscratch.nn.utils.old_norms import (
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)
from nnscratch.nn.utils.vector import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_linear_bn_eval",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "skip_init",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]

refuse_absent_names(__name__)
