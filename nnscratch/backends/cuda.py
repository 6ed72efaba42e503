"""The settings of products and of attention on NVIDIA GPUs, under the names of PyTorch."""

from __future__ import annotations

from nnscratch.absent import refuse_absent_names
from nnscratch.array.device import cuda_problem
from nnscratch.array.precision import get_float32_matmul_precision, set_float32_matmul_precision


class ProductSettings:
    """What precision products of float32 matrices have on a GPU.

    >>> matmul.allow_tf32
    False
    >>> matmul.allow_tf32 = True
    >>> get_float32_matmul_precision()
    'high'
    >>> matmul.allow_tf32 = False
    """

    __slots__ = ("allow_bf16_reduced_precision_reduction", "allow_fp16_reduced_precision_reduction")

    def __init__(self) -> None:
        """Begin with PyTorch's defaults; sums of half precision are in float32 here, always."""
        self.allow_fp16_reduced_precision_reduction = True
        self.allow_bf16_reduced_precision_reduction = True

    @property
    def allow_tf32(self) -> bool:
        """Whether TensorFloat32 may be used: ``set_float32_matmul_precision("high")``."""
        return get_float32_matmul_precision() != "highest"

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        set_float32_matmul_precision("high" if allowed else "highest")


matmul = ProductSettings()


def is_built() -> bool:
    """Say whether CUDA can be used, for there is no build with or without it."""
    return cuda_problem() is None


def enable_flash_sdp(enabled: bool) -> None:
    """Accept a choice between PyTorch's kernels of attention; here one formula has one kernel."""


enable_mem_efficient_sdp = enable_math_sdp = enable_cudnn_sdp = enable_flash_sdp

refuse_absent_names(__name__)
