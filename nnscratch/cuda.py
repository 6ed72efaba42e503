"""What is known of NVIDIA GPUs, under the names that PyTorch has in ``torch.cuda``."""

from __future__ import annotations

from nnscratch.array.device import cuda_problem, cupy


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


def synchronize() -> None:
    """Wait until the GPU has done all that it was asked.

    Raises:
        DeviceError: if there is no usable GPU, saying why.
    """
    cupy().cuda.Device().synchronize()
