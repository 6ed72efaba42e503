"""Complex tensors: their parts, and how gradients pass between them and real ones.

The gradient of a complex tensor is ∂L/∂Re + i ∂L/∂Im, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.array import is_floating
from nnscratch.array.dtypes import is_complex as _is_complex
from nnscratch.errors import DTypeError
from nnscratch.tensors.functions import stack
from nnscratch.tensors.ops.calling import tensor_function, written
from nnscratch.tensors.ops.elementwise import atan2, cos, sin
from nnscratch.tensors.pairs import viewed
from nnscratch.tensors.tensor import Tensor

__all__ = [
    "angle",
    "complex",
    "conj",
    "conj_physical",
    "imag",
    "is_complex",
    "isreal",
    "polar",
    "real",
    "resolve_conj",
    "resolve_neg",
    "view_as_complex",
    "view_as_real",
]


@tensor_function(method=False)
def view_as_complex(input: Tensor) -> Tensor:
    """Return pairs (..., 2) of real and imaginary parts as complex numbers; a view.

    Raises:
        ShapeError: if the last dimension has not two elements.
        DTypeError: unless the dtype is float32 or float64.

    >>> from nnscratch.tensors import as_tensor
    >>> view_as_complex(as_tensor([[1.0, 2.0]]))
    tensor([1.+2.j], dtype=complex64)
    """
    return viewed(f.VIEW_AS_COMPLEX, input)


@tensor_function(method=False)
def view_as_real(input: Tensor) -> Tensor:
    """Return the real and imaginary parts of complex numbers, (..., 2); a view.

    Raises:
        DTypeError: if the tensor is not complex.
    """
    return viewed(f.VIEW_AS_REAL, input)


def complex(real: Tensor, imag: Tensor, *, out: Any = None) -> Tensor:
    """Return complex numbers of their real and imaginary parts.

    >>> from nnscratch.tensors import as_tensor
    >>> complex(as_tensor([1.0]), as_tensor([2.0]))
    tensor([1.+2.j], dtype=complex64)
    """
    if real.dtype != imag.dtype or not is_floating(real.array):
        raise DTypeError(
            f"complex: expected two of one floating dtype, got {real.dtype} and {imag.dtype}"
        )
    from nnscratch.tensors.ops.joining import broadcast_tensors

    made = view_as_complex(stack(broadcast_tensors(real, imag), -1))
    return written("complex", made, out)


def polar(abs: Tensor, angle: Tensor, *, out: Any = None) -> Tensor:
    """Return the complex numbers of these sizes and angles."""
    made = complex(abs * cos(angle), abs * sin(angle))
    return written("polar", made, out)


@tensor_function(method=False)
def real(input: Tensor) -> Tensor:
    """Return the real parts of complex numbers, a view; a real tensor itself."""
    if not _is_complex(input.array):
        return input
    return view_as_real(input)._apply(f.GETITEM, index=(..., 0))


@tensor_function(method=False)
def imag(input: Tensor) -> Tensor:
    """Return the imaginary parts of complex numbers, a view.

    Raises:
        DTypeError: if the tensor is not complex.
    """
    return view_as_real(input)._apply(f.GETITEM, index=(..., 1))


for _name, _part in (("real", real), ("imag", imag)):
    setattr(Tensor, _name, property(_part, doc=_part.__doc__))


@tensor_function()
def conj(input: Tensor) -> Tensor:
    """Return the complex conjugates; a real tensor itself."""
    if not _is_complex(input.array):
        return input
    return input._apply(f.CONJUGATE)


@tensor_function()
def conj_physical(input: Tensor) -> Tensor:
    """Return the complex conjugates, as ``conj`` does."""
    return conj(input)


@tensor_function()
def resolve_conj(input: Tensor) -> Tensor:
    """Return the tensor itself: conjugates are computed at once."""
    return input


@tensor_function()
def resolve_neg(input: Tensor) -> Tensor:
    """Return the tensor itself: negatives are computed at once."""
    return input


@tensor_function()
def angle(input: Tensor) -> Tensor:
    """Return the angles of complex numbers; of real ones 0, and π below 0."""
    if _is_complex(input.array):
        return atan2(imag(input), real(input))
    taken = input._as_float()
    made = (taken < 0).to(taken.dtype) * 3.141592653589793
    made = made.masked_fill(taken != taken, float("nan"))
    # A part of the graph with a gradient of 0, of infinity too.
    return made + taken.masked_fill(taken == taken, 0.0) * 0 if taken.requires_grad else made


@tensor_function()
def isreal(input: Tensor) -> Tensor:
    """Say of each element whether its imaginary part is 0."""
    if _is_complex(input.array):
        return imag(input) == 0
    return (input == input) | (input != input)


@tensor_function("is_complex")
def is_complex(input: Tensor) -> bool:
    """Say whether a tensor holds complex numbers."""
    return _is_complex(input.array)
