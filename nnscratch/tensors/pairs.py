"""Views between pairs of real numbers and complex ones, and how gradients pass through them."""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_recorded
from nnscratch.array.dtypes import is_complex
from nnscratch.formulas import registry
from nnscratch.tensors.grad_mode import is_grad_enabled
from nnscratch.tensors.nodes import Node


class _Viewed(Node):
    """The node of a view between pairs and complex numbers: gradients are turned as values are."""

    __slots__ = ()

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Return the gradient in the other form, which is the view back."""
        if not self.edges:
            return super().gradients(dY, needs)
        back = f.VIEW_AS_REAL if self.formula is f.VIEW_AS_COMPLEX else f.VIEW_AS_COMPLEX
        if is_recorded(dY):
            return (viewed(back, dY),)
        if back is f.VIEW_AS_REAL and not is_complex(dY):
            name = "complex64" if dtype_name(dY.dtype) == "float32" else "complex128"
            dY = registry.forward(f.CAST, dY, dtype=name)[0]
        return (registry.forward(back, dY)[0],)


def viewed(formula: Any, input: Any) -> Any:
    """Return a tensor in the other form, a view.

    Args:
        formula: VIEW_AS_COMPLEX or VIEW_AS_REAL.
        input: the tensor, of pairs (..., 2) or of complex numbers.
    """
    made = input._apply(formula)
    if input.requires_grad and is_grad_enabled():
        edge = input if input.node is None else input.node
        form = (input.array.shape, input.array.dtype)
        made.node = _Viewed(formula, None, (edge,), (form,), ())
        made.requires_grad = True
    return made
