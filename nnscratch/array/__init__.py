"""The array layer: which library an array belongs to, dtypes, devices and random numbers.

Nothing here knows of neural networks. The rooms above work on NumPy and CuPy arrays alike,
because they ask this layer on which device an array lives; there is no global setting for it.
"""

from nnscratch.array.backend import (
    array_namespace,
    asarray,
    from_dlpack,
    is_array,
    is_recorded,
    to_numpy,
)
from nnscratch.array.cuda import cuda_problem, cuda_report
from nnscratch.array.device import (
    CPU,
    Device,
    as_device,
    device_of,
    move,
    same_device,
    to_device_of,
)
from nnscratch.array.dtypes import (
    default_dtype,
    dtype_name,
    dtype_of,
    is_complex,
    is_floating,
    is_integer,
    promote,
    set_default_dtype,
)
from nnscratch.array.memory import OutOfMemory
from nnscratch.array.philox import normal, permutation, randint, uniform
from nnscratch.array.random import Generator

__all__ = [
    "CPU",
    "Device",
    "Generator",
    "OutOfMemory",
    "array_namespace",
    "as_device",
    "asarray",
    "to_device_of",
    "cuda_problem",
    "cuda_report",
    "default_dtype",
    "device_of",
    "dtype_name",
    "dtype_of",
    "from_dlpack",
    "is_array",
    "is_complex",
    "is_floating",
    "is_integer",
    "is_recorded",
    "move",
    "normal",
    "permutation",
    "promote",
    "randint",
    "same_device",
    "set_default_dtype",
    "to_numpy",
    "uniform",
]
