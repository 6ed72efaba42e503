"""Families of tensor functions, one file each, with PyTorch's names and arguments.

A function is written once, under ``tensor_function``: it is ``nnscratch.name`` by its file's
``__all__``, a method of ``Tensor``, and in place with ``_`` where that makes sense. What is a
composition of formulas is composed here; no derivative is written here.
"""

from nnscratch.tensors.ops import (
    comparing,
    complexes,
    contracting,
    counting,
    dividing,
    drawing,
    elementwise,
    factoring,
    fourier,
    joining,
    moving,
    norms,
    placing,
    powers,
    products,
    replacing,
    scanning,
    sharing,
    solving,
    sorting,
    windows,
)
from nnscratch.tensors.ops.comparing import *  # noqa: F403
from nnscratch.tensors.ops.complexes import *  # noqa: F403
from nnscratch.tensors.ops.contracting import *  # noqa: F403
from nnscratch.tensors.ops.counting import *  # noqa: F403
from nnscratch.tensors.ops.dividing import *  # noqa: F403
from nnscratch.tensors.ops.drawing import *  # noqa: F403
from nnscratch.tensors.ops.elementwise import *  # noqa: F403
from nnscratch.tensors.ops.factoring import *  # noqa: F403
from nnscratch.tensors.ops.fourier import *  # noqa: F403
from nnscratch.tensors.ops.joining import *  # noqa: F403
from nnscratch.tensors.ops.moving import *  # noqa: F403
from nnscratch.tensors.ops.norms import *  # noqa: F403
from nnscratch.tensors.ops.placing import *  # noqa: F403
from nnscratch.tensors.ops.powers import *  # noqa: F403
from nnscratch.tensors.ops.products import *  # noqa: F403
from nnscratch.tensors.ops.scanning import *  # noqa: F403
from nnscratch.tensors.ops.sharing import *  # noqa: F403
from nnscratch.tensors.ops.solving import *  # noqa: F403
from nnscratch.tensors.ops.sorting import *  # noqa: F403
from nnscratch.tensors.ops.windows import *  # noqa: F403

__all__ = [
    *comparing.__all__,
    *complexes.__all__,
    *contracting.__all__,
    *counting.__all__,
    *dividing.__all__,
    *drawing.__all__,
    *elementwise.__all__,
    *fourier.__all__,
    *joining.__all__,
    *factoring.__all__,
    *powers.__all__,
    *solving.__all__,
    *moving.__all__,
    *norms.__all__,
    *placing.__all__,
    *products.__all__,
    *replacing.__all__,
    *scanning.__all__,
    *sharing.__all__,
    *sorting.__all__,
    *windows.__all__,
]
