"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from nnscratch.errors import ShapeError
from nnscratch.tensors import Tensor
from nnscratch.tensors.functions import cat
from nnscratch.tensors.grad_mode import no_grad


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return all elements of all parameters as one vector, which is part of the graph."""
    return cat([parameter.reshape(-1) for parameter in parameters])


@no_grad()
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the elements of one vector into all parameters, in order.

    Raises:
        ShapeError: if the vector has more or fewer elements.
    """
    given = list(parameters)
    count = sum(parameter.numel() for parameter in given)
    if vec.shape != (count,):
        raise ShapeError(f"expected a vector of {count} elements, got shape {vec.shape}")
    for parameter, part in zip(
        given, vec.split([parameter.numel() for parameter in given]), strict=True
    ):
        parameter.copy_(part.reshape(parameter.shape))
