"""Families of tensor functions, one file each, with PyTorch's names and arguments.

A function is written once, under ``tensor_function``: it is ``nnscratch.name`` by its file's
``__all__``, a method of ``Tensor``, and in place with ``_`` where that makes sense. What is a
composition of formulas is composed here; no derivative is written here.
"""

from nnscratch.tensors.ops import (
    comparing,
    elementwise,
    joining,
    moving,
    placing,
    scanning,
    sorting,
)
from nnscratch.tensors.ops.comparing import *  # noqa: F403
from nnscratch.tensors.ops.elementwise import *  # noqa: F403
from nnscratch.tensors.ops.joining import *  # noqa: F403
from nnscratch.tensors.ops.moving import *  # noqa: F403
from nnscratch.tensors.ops.placing import *  # noqa: F403
from nnscratch.tensors.ops.scanning import *  # noqa: F403
from nnscratch.tensors.ops.sorting import *  # noqa: F403

__all__ = [
    *comparing.__all__,
    *elementwise.__all__,
    *joining.__all__,
    *moving.__all__,
    *placing.__all__,
    *scanning.__all__,
    *sorting.__all__,
]
