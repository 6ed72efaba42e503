"""Devices: where an array lives, and the explicit move from one to another."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from nnscratch.array.backend import array_namespace, asarray, to_numpy
from nnscratch.array.bfloat16 import brain
from nnscratch.array.cuda import CudaRequirement, cuda_problem, cuda_report, cupy
from nnscratch.array.memory import explaining
from nnscratch.errors import DeviceError, DTypeError

__all__ = [
    "CPU",
    "Device",
    "CudaRequirement",
    "as_device",
    "to_device_of",
    "cuda_problem",
    "cuda_report",
    "cupy",
    "current",
    "device_of",
    "move",
    "namespace_on",
    "place_on",
    "same_device",
]


@dataclass(frozen=True)
class Device:
    """The device that an array's memory belongs to: ``cpu``, or ``cuda`` with a GPU's index.

    Attributes:
        type: "cpu" or "cuda".
        index: the number of the GPU; None for the CPU, and for "cuda" without a number, which is
            the current GPU.

    >>> as_device("cuda:1")
    device(type='cuda', index=1)
    """

    type: str
    index: int | None = None

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


CPU = Device("cpu")


def as_device(value: Device | str | int, index: int | None = None) -> Device:
    """Return the device that ``value`` names, as ``torch.device`` does.

    Args:
        value: "cpu", "cuda" or "cuda:N"; an integer N, which means "cuda:N"; or a ``Device``,
            which is returned as it is.
        index: the number of the GPU, if ``value`` is "cuda" alone.

    Raises:
        DeviceError: if ``value`` names no device.

    >>> as_device("cuda", 1), str(as_device(0))
    (device(type='cuda', index=1), 'cuda:0')
    """
    if isinstance(value, Device):
        return value
    if isinstance(value, int):
        value = f"cuda:{value}"
    elif index is not None:
        value = f"{value}:{index}"
    kind, colon, number = str(value).partition(":")
    if kind not in ("cpu", "cuda") or (colon and not number.isdecimal()):
        raise DeviceError(f"expected 'cpu', 'cuda' or 'cuda:N' as the device, got {value!r}")
    return Device(kind, int(number) if colon and kind == "cuda" else None)


def device_of(array: Any) -> Device:
    """Return the device on which an array lives.

    >>> str(device_of(np.ones(2)))
    'cpu'
    """
    if isinstance(array, (np.ndarray, np.generic)):
        return CPU
    if array_api_compat.is_cupy_array(array):
        return Device("cuda", int(array.device.id))
    if isinstance(array.device, Device):
        return array.device
    name = str(array.device)
    # str() of array_api_strict's simulated devices is "array_api_strict.Device('device1')".
    name = name.partition("'")[2].partition("'")[0] or name
    return CPU if name in ("CPU_DEVICE", "cpu") else Device(name)


def same_device(where: str, **arrays: Any) -> None:
    """Check that all the named arrays live on the same device; None and numbers are ignored.

    Args:
        where: the formula or layer, with which the message begins.
        **arrays: the arrays by the names of their arguments.

    Raises:
        DeviceError: if two are on different devices; it names both arguments, both devices and
            the call that moves one.
    """
    first: tuple[str, Device] | None = None
    for name, array in arrays.items():
        if array is None or isinstance(array, (bool, int, float, complex)):
            continue
        device = device_of(array)
        if first is None:
            first = (name, device)
        elif device != first[1]:
            raise DeviceError(
                f"{where}: {first[0]} is on {first[1]} but {name} is on {device}. "
                f"Nothing moves silently: move one of them, for example {name}.to('{first[1]}')."
            )


def namespace_on(device: Device | str) -> Any:
    """Return the array namespace whose arrays live on a device.

    >>> namespace_on("cpu").__name__
    'array_api_compat.numpy'
    """
    if as_device(device).type == "cpu":
        return array_api_compat.array_namespace(np.empty(0))
    return array_api_compat.array_namespace(cupy().empty(0))


def place_on(device: Device | str) -> Any:
    """Return a device as the array library's own object, to pass as its ``device=`` argument.

    It is None, the library's default, for the CPU and for "cuda" without a number.

    >>> place_on("cpu") is None
    True
    """
    device = as_device(device)
    if device.type == "cpu" or device.index is None:
        return None
    return _gpu(cupy(), device)


def current(device: Device | str) -> AbstractContextManager[Any]:
    """Return a context in which the array library allocates and computes on ``device``.

    Raises:
        DeviceError: if this machine has no such device.
    """
    place: AbstractContextManager[Any] | None = place_on(device)
    return nullcontext() if place is None else place


def _gpu(library: Any, device: Device) -> Any:
    count = int(library.cuda.runtime.getDeviceCount())
    if (device.index or 0) >= count:
        raise DeviceError(f"device {device} does not exist: this machine has {count} GPU(s)")
    return library.cuda.Device(device.index or 0)


def move(array: Any, device: Device | str) -> Any:
    """Return the array on a device; the same object if it lives there already.

    Raises:
        DeviceError: if this machine has no such device.
        DTypeError: if it is of bfloat16, and not for the CPU.
    """
    target = as_device(device)
    source = device_of(array)
    if source == target or (source.type == target.type and target.index is None):
        return array
    if target.type == "cpu":
        return to_numpy(array)
    if target.type != "cuda":
        return array.to_device(array_namespace(array).Device(target.type))
    if array.dtype is brain.dtype:
        raise DTypeError(
            "bfloat16 is for arrays of the CPU only, and this one was to go to "
            f"{target}; call .float() or .half() first"
        )
    library = cupy()
    with _gpu(library, target), explaining("copying an array to the GPU"):
        return library.asarray(array)


def to_device_of(value: Any, array: Any) -> Any:
    """Return ``value`` as an array on the device of ``array``.

    Numbers, lists and arrays of the CPU are copied to the GPU if ``array`` is there. An array of
    a GPU is returned as it is: nothing is copied back to the CPU, or between GPUs, silently.

    >>> to_device_of([1, 2], np.empty(0))
    array([1, 2])
    """
    made, device = asarray(value), device_of(array)
    return move(made, device) if device.type == "cuda" and device_of(made) == CPU else made
