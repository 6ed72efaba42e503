"""What is done to parameters, gradients and sequences beside a model: clipping, vectors."""

from nnscratch.nn.utils import rnn
from nnscratch.nn.utils.clipping import clip_grad_norm_, clip_grad_value_
from nnscratch.nn.utils.vector import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
]
