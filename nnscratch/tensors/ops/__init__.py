"""Families of tensor functions, one file each, with PyTorch's names and arguments.

A function is written once, under ``tensor_function``: it is ``nnscratch.name`` by its file's
``__all__``, a method of ``Tensor``, and in place with ``_`` where that makes sense. What is a
composition of formulas is composed here; no derivative is written here.
"""

from nnscratch.tensors.ops import (
    comparing,
    complexes,
    drawing,
    elementwise,
    fourier,
    joining,
    linalg,
    moving,
    placing,
    products,
    scanning,
    sorting,
)
from nnscratch.tensors.ops.comparing import *  # noqa: F403
from nnscratch.tensors.ops.complexes import *  # noqa: F403
from nnscratch.tensors.ops.drawing import *  # noqa: F403
from nnscratch.tensors.ops.elementwise import *  # noqa: F403
from nnscratch.tensors.ops.fourier import *  # noqa: F403
from nnscratch.tensors.ops.joining import *  # noqa: F403
from nnscratch.tensors.ops.linalg import *  # noqa: F403
from nnscratch.tensors.ops.moving import *  # noqa: F403
from nnscratch.tensors.ops.placing import *  # noqa: F403
from nnscratch.tensors.ops.products import *  # noqa: F403
from nnscratch.tensors.ops.scanning import *  # noqa: F403
from nnscratch.tensors.ops.sorting import *  # noqa: F403

__all__ = [
    *comparing.__all__,
    *complexes.__all__,
    *drawing.__all__,
    *elementwise.__all__,
    *fourier.__all__,
    *joining.__all__,
    *linalg.__all__,
    *moving.__all__,
    *placing.__all__,
    *products.__all__,
    *scanning.__all__,
    *sorting.__all__,
]
