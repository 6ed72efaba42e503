"""NVIDIA GPUs, under the names of ``torch.cuda``."""

from __future__ import annotations

from typing import Any

from nnscratch.absent import refuse_absent_names
from nnscratch.array.device import as_device, cuda_problem, cupy, current
from nnscratch.array.random import default_generator
from nnscratch.cuda import amp as amp


def is_available() -> bool:
    """Say whether ``.to("cuda")`` would work.

    >>> from nnscratch.array import cuda_problem
    >>> is_available() == (cuda_problem() is None)
    True
    """
    return cuda_problem() is None


def device_count() -> int:
    """Return the number of GPUs that can be used."""
    return int(cupy().cuda.runtime.getDeviceCount()) if is_available() else 0


def current_device() -> int:
    """Return the index of the GPU that "cuda" without a number stands for.

    Raises:
        DeviceError: if there is no usable GPU; it says why.
    """
    return int(cupy().cuda.runtime.getDevice())


def get_device_name(device: Any = None) -> str:
    """Return the model name of a GPU, such as "NVIDIA H100 80GB HBM3".

    Args:
        device: a device or the number of a GPU; the current one by default.

    Raises:
        DeviceError: if there is no usable GPU; it says why.
    """
    index = current_device() if device is None else as_device(device).index or 0
    name = cupy().cuda.runtime.getDeviceProperties(index)["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def memory_allocated() -> int:
    """Return the bytes that arrays of this process take on the current GPU; 0 without one."""
    return int(cupy().get_default_memory_pool().used_bytes()) if is_available() else 0


def empty_cache() -> None:
    """Release the memory that CuPy caches for new arrays; without a GPU, do nothing."""
    if is_available():
        cupy().get_default_memory_pool().free_all_blocks()


def manual_seed_all(seed: int) -> None:
    """Seed the default generator, whose numbers are the same on every device."""
    default_generator.manual_seed(seed)


manual_seed = manual_seed_all


def synchronize(device: Any = None) -> None:
    """Wait until all work queued on a GPU, by default the current one, is done.

    Raises:
        DeviceError: if there is no usable GPU; it says why.
    """
    cupy()
    with current("cuda" if device is None else device):
        cupy().cuda.Device().synchronize()


refuse_absent_names(__name__)
