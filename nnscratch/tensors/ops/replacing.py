"""Methods with ``_`` that change the tensor itself: each of its elements, or its shape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.errors import ShapeError
from nnscratch.tensors.grad_mode import set_grad_enabled
from nnscratch.tensors.ops.calling import also_named, in_place
from nnscratch.tensors.ops.moving import swapaxes, swapdims
from nnscratch.tensors.tensor import Tensor

__all__: list[str] = []  # methods only

_OF_EACH_ELEMENT = """
    abs exp log sqrt rsqrt reciprocal square neg relu sigmoid tanh eq ne lt le gt ge
    logical_and logical_or logical_xor logical_not
"""
for _name in _OF_EACH_ELEMENT.split():
    setattr(Tensor, f"{_name}_", in_place(_name, getattr(Tensor, _name)))
also_named(absolute="abs", negative="neg", multiply="mul", subtract="sub", clip="clamp")


def _reshaping(name: str, view: Callable[..., Any]) -> Callable[..., Tensor]:
    """Return the method that gives the tensor itself the shape that a view of it would have."""

    @functools.wraps(view)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self._refuse_leaf_requiring_grad()
        # Under no_grad() too: the elements keep the history that they have.
        with set_grad_enabled(self.node is not None):
            made = view(self, *args, **kwargs)
        self.array, self.node = made.array, made.node
        return self

    method.__name__ = method.__qualname__ = f"{name}_"
    method.__doc__ = f"Change the tensor itself as ``{name}`` does; its elements stay in place."
    return method


for _name, _view in (
    ("squeeze", Tensor.squeeze),
    ("unsqueeze", Tensor.unsqueeze),
    ("transpose", Tensor.transpose),
    ("swapaxes", swapaxes),
    ("swapdims", swapdims),
    ("t", Tensor.t),
):
    setattr(Tensor, f"{_name}_", _reshaping(_name, _view))


def _detach_in_place(self: Tensor) -> Tensor:
    """Take the tensor itself out of the graph: it asks for no gradient any more."""
    self.node, self.requires_grad = None, False
    return self


def _fill_diagonal_in_place(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a value into the diagonal of a matrix; ``wrap`` begins it anew below a square.

    Raises:
        ShapeError: if the tensor is no matrix.
    """
    if self.ndim != 2:
        raise ShapeError(
            f"fill_diagonal_ is for a matrix, got shape {self.shape}; write x[i, i, i] = value"
        )
    rows, columns = self.shape
    end = rows * columns if wrap else min(rows, columns) * columns
    places = np.arange(0, end, columns + 1)
    self[places // max(columns, 1), places % max(columns, 1)] = fill_value
    return self


setattr(Tensor, "fill_diagonal_", _fill_diagonal_in_place)  # noqa: B010 - as below
setattr(Tensor, "detach_", _detach_in_place)  # noqa: B010 - a type checker knows no such method
