"""nnscratch: a neural-network engine that can be read from end to end.

Names and semantics are PyTorch's. Every forward and every derivative is written by hand in
``nnscratch.formulas``, next to its equation.
"""

import math as _math
import sys as _sys
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

import numpy as _np

from nnscratch.loading import collecting_later as _collecting_later

with _collecting_later():  # these load nearly all that there is
    from nnscratch import nn, optim, random
from nnscratch import settings as _settings
from nnscratch.absent import AbsentFinder as _AbsentFinder
from nnscratch.absent import absent as _absent
from nnscratch.array import Generator, set_default_dtype
from nnscratch.array.device import as_device as device
from nnscratch.array.precision import (
    get_float32_matmul_precision,
    set_float32_matmul_precision,
)
from nnscratch.kernels import register as _register_kernels
from nnscratch.nn.functional import cosine_similarity, pairwise_distance
from nnscratch.random import (
    default_generator,
    get_rng_state,
    initial_seed,
    seed,
    set_rng_state,
)
from nnscratch.settings import *  # noqa: F403
from nnscratch.tensors import (
    Tensor,
    as_tensor,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from nnscratch.tensors import creation as _creation
from nnscratch.tensors import functions as _functions
from nnscratch.tensors import legacy as _legacy
from nnscratch.tensors import ops as _ops
from nnscratch.tensors.creation import *  # noqa: F403
from nnscratch.tensors.functions import *  # noqa: F403
from nnscratch.tensors.legacy import *  # noqa: F403
from nnscratch.tensors.ops import *  # noqa: F403
from nnscratch.tensors.size import Size

if _TYPE_CHECKING:
    from nnscratch import (
        amp,
        autograd,
        backends,
        cuda,
        fft,
        linalg,
        special,
    )
    from nnscratch.amp import GradScaler, autocast

    bfloat16: _np.dtype[_Any]
    from nnscratch.inspect.explaining import explain
    from nnscratch.inspect.summarising import summary
    from nnscratch.interop.saved import load, save
    from nnscratch.plan import compile
    from nnscratch.verify.checkups.training import checkup
    from nnscratch.verify.gradients.checking import GradcheckError, assert_gradients, gradcheck
    from nnscratch.verify.gradients.lessons import homework
    from nnscratch.verify.gradients.second import gradgradcheck
    from nnscratch.verify.watch.anomaly import detect_anomaly
    from nnscratch.verify.watch.copies import audit

_register_kernels()
_sys.meta_path.append(_AbsentFinder)

__version__ = "0.1.0"

float16, float32, float64 = _np.dtype("float16"), _np.dtype("float32"), _np.dtype("float64")
int8, int16, int32, int64 = (_np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (_np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
bool = _np.dtype("bool")
complex64, complex128 = _np.dtype("complex64"), _np.dtype("complex128")
cfloat, cdouble = complex64, complex128
half, float, double, long = float16, float32, float64, int64
short, int = int16, int32
# All tensors have their elements in row-major order; the names are accepted as in PyTorch.
contiguous_format, preserve_format = "contiguous_format", "preserve_format"
channels_last, channels_last_3d = "channels_last", "channels_last_3d"
pi, e, inf, nan = _math.pi, _math.e, _math.inf, _math.nan
newaxis = None
dtype = _np.dtype

__all__ = [
    "Generator",
    "GradScaler",
    "amp",
    "autocast",
    "backends",
    "default_generator",
    "dtype",
    "get_rng_state",
    "inference_mode",
    "initial_seed",
    "load",
    "newaxis",
    "random",
    "save",
    "seed",
    "set_rng_state",
    "uint16",
    "uint32",
    "uint64",
    "GradcheckError",
    "Tensor",
    "as_tensor",
    "assert_gradients",
    "audit",
    "autograd",
    "bool",
    "cdouble",
    "cfloat",
    "channels_last",
    "channels_last_3d",
    "checkup",
    "compile",
    "complex128",
    "complex64",
    "contiguous_format",
    "cosine_similarity",
    "cuda",
    "detect_anomaly",
    "device",
    "double",
    "enable_grad",
    "explain",
    "float",
    "float16",
    "float32",
    "fft",
    "float64",
    "get_float32_matmul_precision",
    "gradcheck",
    "gradgradcheck",
    "half",
    "homework",
    "Size",
    "e",
    "inf",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_grad_enabled",
    "linalg",
    "long",
    "nan",
    "pi",
    "short",
    "nn",
    "no_grad",
    "optim",
    "pairwise_distance",
    "preserve_format",
    "set_default_dtype",
    "set_float32_matmul_precision",
    "set_grad_enabled",
    "special",
    "summary",
    "uint8",
]
__all__ += _creation.__all__
__all__ += _functions.__all__
__all__ += _legacy.__all__
__all__ += _ops.__all__
__all__ += _settings.__all__


# These names are imported at their first use, so that ``import nnscratch`` stays quick.
_ROOMS = (
    *("amp", "autograd", "backends", "cuda", "fft", "graph", "linalg", "parallel", "plan"),
    *("special", "utils"),
)
_LATER = {
    "GradScaler": "amp",
    "GradcheckError": "verify",
    "assert_gradients": "verify",
    "audit": "verify",
    "autocast": "amp",
    "checkup": "verify",
    "compile": "plan",
    "detect_anomaly": "verify",
    "explain": "inspect",
    "gradcheck": "verify",
    "gradgradcheck": "verify",
    "homework": "verify",
    "load": "interop.saved",
    "save": "interop.saved",
    "summary": "inspect",
}


def __getattr__(name: str) -> _Any:
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"nnscratch.{name}")
    if name == "bfloat16":
        return import_module("nnscratch.array.bfloat16").bfloat16()
    if name not in _LATER:
        raise _absent(__name__, name)
    return getattr(import_module(f"nnscratch.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_ROOMS})
