"""Which array library an array belongs to, and conversion from and to other objects.

The interface is the Python array API standard (https://data-apis.org/array-api), reached through
array-api-compat: the same lines run on NumPy, on CuPy and on array_api_strict.
"""

from __future__ import annotations

import sys
from typing import Any

import array_api_compat
import numpy as np

from nnscratch.array.integers import as_numbers
from nnscratch.errors import DeviceError, DTypeError

_NAMESPACES: dict[type, Any] = {}
_NUMBERS = frozenset({bool, int, float, complex, type(None)})
# DLPack's device types: kDLCPU and kDLCUDAHost (pinned memory); kDLCUDA and kDLCUDAManaged.
_DLPACK_HOST, _DLPACK_CUDA = (1, 3), (2, 13)


def array_namespace(*arrays: Any) -> Any:
    """Return the array API namespace (``xp``) that the given arrays belong to.

    Python scalars and None are ignored, so that optional arguments need no special case.

    Raises:
        DeviceError: if the arrays belong to two libraries.
        DTypeError: if none of the arguments is an array.

    >>> array_namespace(np.ones(3)).__name__
    'array_api_compat.numpy'
    """
    found = None
    for array in arrays:
        kind = type(array)
        namespace = _NAMESPACES.get(kind)
        if namespace is None:
            if kind in _NUMBERS:
                continue
            # np.float64 is a subclass of float, but stands for a 0-d array: NumPy returns it
            # where other libraries return one. So it counts as an array here.
            if array is None or (
                isinstance(array, (bool, int, float, complex)) and not isinstance(array, np.generic)
            ):
                continue
            namespace = _lookup(array)
        if found is None:
            found = namespace
        elif found is not namespace:
            raise DeviceError(
                f"arrays of two libraries in one formula: {_library(found)} and "
                f"{_library(namespace)}. Move one of them first: .to('cuda') or .cpu()."
            )
    if found is None:
        raise DTypeError(
            "expected at least one array, got "
            f"{', '.join(type(array).__name__ for array in arrays) or 'nothing'}"
        )
    return found


def _lookup(array: Any) -> Any:
    if is_recorded(array):
        return array.__array_namespace__()
    if not _supported(array):
        raise DTypeError(
            f"expected a NumPy or CuPy array, got {type(array).__name__}; "
            "convert it with nnscratch.tensor(...) or numpy.asarray(...)"
        )
    namespace = array_api_compat.array_namespace(array)
    _NAMESPACES[type(array)] = namespace
    return namespace


def _supported(value: Any) -> bool:
    """Say whether a value is an array of NumPy, CuPy or array_api_strict, and of nothing else."""
    if array_api_compat.is_numpy_array(value) or array_api_compat.is_cupy_array(value):
        return True
    return type(value).__module__.partition(".")[0] == "array_api_strict"


def is_recorded(array: Any) -> bool:
    """Say whether ``array`` is a Tensor, so that the operations on it are recorded on the tape.

    The body of a formula is run on tensors to differentiate it once more (``create_graph=True``).
    It was run on arrays of the same values before, so it can leave out checks of the values, which
    would wait for a GPU.

    >>> is_recorded(np.ones(2))
    False
    """
    return type(array) is not np.ndarray and hasattr(array, "grad_slot")


def _library(namespace: Any) -> str:
    return str(namespace.__name__).removeprefix("array_api_compat.")


def is_array(value: Any) -> bool:
    """Say whether ``value`` is an array of a supported library.

    >>> is_array(np.ones(2)), is_array([1.0, 2.0])
    (True, False)
    """
    return type(value) in _NAMESPACES or _supported(value)


_ARRAY = np.ndarray
_FOREIGN = ">" if sys.byteorder == "little" else "<"


def asarray(value: Any) -> Any:
    """Return ``value`` as an array: an array as it is, anything else as a NumPy array.

    NumPy's scalars (``np.float32(2)``), which NumPy returns where other libraries return 0-d
    arrays, become 0-d arrays. An array whose byte order is not this machine's is copied into
    native byte order.

    Raises:
        DTypeError: if NumPy reads no numbers from ``value``, or its lists are ragged.

    >>> asarray(np.float32(2.0)).shape
    ()
    """
    if type(value) is _ARRAY:
        if value.dtype.byteorder == _FOREIGN:
            return value.astype(value.dtype.newbyteorder("="))
        return value
    if is_array(value) and not isinstance(value, np.generic):
        return value
    try:
        array = as_numbers(value)
    except ValueError as error:
        raise DTypeError(f"nested lists must have rows of one length: {error}") from None
    if array.dtype.kind not in "biufc" and array.dtype.name != "bfloat16":
        raise DTypeError(
            f"expected numbers, got {type(value).__name__} that NumPy reads as dtype "
            f"{array.dtype}; nested lists must have rows of one length"
        )
    return array


def to_numpy(array: Any) -> np.ndarray:
    """Return ``array`` as a NumPy array in host memory, without a copy if it is there already.

    >>> to_numpy(np.arange(3))
    array([0, 1, 2])
    """
    if isinstance(array, np.ndarray):
        return array
    if isinstance(array, np.generic):
        return np.asarray(array)
    if array_api_compat.is_cupy_array(array):
        return np.asarray(array.get())
    namespace = array_namespace(array)
    host = getattr(namespace, "Device", None)
    return np.asarray(array if host is None else array.to_device(host("CPU_DEVICE")))


def from_dlpack(source: Any) -> Any:
    """Return an array over the memory of another library's tensor or array, through DLPack.

    The result shares memory with ``source``: NumPy's array for memory of the CPU, CuPy's for
    that of an NVIDIA GPU.

    Raises:
        DTypeError: if ``source`` does not implement DLPack, needs a gradient, or has a dtype that
            NumPy lacks (such as bfloat16).
        DeviceError: if it lives on a device that is neither a CPU nor an NVIDIA GPU.

    >>> from_dlpack(np.arange(3.0))
    array([0., 1., 2.])
    """
    if not hasattr(source, "__dlpack_device__"):
        raise DTypeError(
            f"expected an object with __dlpack__ (a tensor or an array), got "
            f"{type(source).__name__}"
        )
    kind = int(source.__dlpack_device__()[0])
    if kind in _DLPACK_CUDA:
        from nnscratch.array.cuda import cupy

        return cupy().from_dlpack(source)
    if kind not in _DLPACK_HOST:
        raise DeviceError(
            f"expected memory of the CPU or of an NVIDIA GPU, got {type(source).__name__} on "
            f"DLPack's device type {kind}; copy it to the CPU first, for example with .cpu()"
        )
    try:
        return np.from_dlpack(source)
    except (BufferError, RuntimeError, TypeError) as error:
        mend = "detach it or convert it first, for example with .detach() or .float()"
        raise DTypeError(
            f"{type(source).__name__} cannot be converted through DLPack: {error}; {mend}"
        ) from error
