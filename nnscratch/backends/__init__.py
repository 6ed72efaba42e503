"""PyTorch's backends and their settings, as far as scripts ask for them and set them.

nnscratch computes with none of them. A setting that only chooses between their algorithms is
accepted, and what it would change does not exist here; one that means something for nnscratch's own
kernels has that meaning: ``cuda.matmul.allow_tf32``.
"""

from nnscratch.absent import refuse_absent_names
from nnscratch.backends import cuda, cudnn, mkl, mkldnn, mps, openmp

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]

refuse_absent_names(__name__)
