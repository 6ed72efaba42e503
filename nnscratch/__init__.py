"""nnscratch: a neural-network engine that can be read from end to end.

Whoever knows PyTorch can use it at once: the names and semantics are PyTorch's. Every forward and
every derivative is written by hand in ``nnscratch.formulas``, beside its equation.
"""

import numpy as _np

from nnscratch import cuda, nn, optim
from nnscratch.array import Generator, set_default_dtype
from nnscratch.array.device import as_device as device
from nnscratch.functions import (
    abs,
    allclose,
    arange,
    argmax,
    argmin,
    cat,
    clamp,
    clip,
    concat,
    concatenate,
    empty,
    equal,
    exp,
    eye,
    flatten,
    from_numpy,
    full,
    is_floating_point,
    is_tensor,
    isfinite,
    isnan,
    linspace,
    log,
    log_softmax,
    manual_seed,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    mm,
    one_hot,
    ones,
    ones_like,
    pow,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    relu,
    reshape,
    sigmoid,
    softmax,
    sqrt,
    square,
    stack,
    std,
    sum,
    tanh,
    tensor,
    var,
    where,
    zeros,
    zeros_like,
)
from nnscratch.tape import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from nnscratch.tensor import Tensor, as_tensor

__version__ = "0.1.0"

float16, float32, float64 = _np.dtype("float16"), _np.dtype("float32"), _np.dtype("float64")
int8, int16, int32, int64 = (_np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, bool = _np.dtype("uint8"), _np.dtype("bool")
half, float, double, long = float16, float32, float64, int64

__all__ = [name for name in dir() if not name.startswith("_")]
