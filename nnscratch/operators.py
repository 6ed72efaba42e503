"""The operators of a tensor, and changing its values in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnscratch import formulas as f
from nnscratch.array import (
    asarray,
    beside,
    default_dtype,
    dtype_name,
    is_floating,
    move,
    promote,
)
from nnscratch.array.addresses import copied, shares_memory
from nnscratch.array.dtypes import cast
from nnscratch.base import TensorBase
from nnscratch.errors import DTypeError, GradientError, ShapeError
from nnscratch.formulas import Formula, registry
from nnscratch.tape import is_grad_enabled

if TYPE_CHECKING:
    from nnscratch.tensor import Tensor


def alike(tensor: Any, other: Any) -> tuple[Any, Any]:
    """Bring a tensor, and another one or a number, to the dtype that they have in common."""
    if isinstance(other, (bool, int, float)):
        breaks = isinstance(other, float) and not is_floating(tensor.array)
        return (tensor.to(default_dtype()) if breaks else tensor), other
    if not isinstance(other, TensorBase):
        other = tensor._wrap(asarray(other))
    if tensor.array.dtype == other.array.dtype:
        return tensor, other
    common = promote(tensor.array, other.array)
    return tensor.to(common), other.to(common)


class TensorOperators(TensorBase):
    """``+ - * / ** @``, comparisons, and what ends in an underscore; ``Tensor`` inherits it."""

    __slots__ = ()

    def __add__(self, other: Any) -> Tensor:
        return self._binary(f.ADD, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Tensor:
        return self._binary(f.SUBTRACT, other)

    def __rsub__(self, other: Any) -> Tensor:
        return self._binary(f.SUBTRACT, other, reverse=True)

    def __mul__(self, other: Any) -> Tensor:
        return self._binary(f.MULTIPLY, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Tensor:
        return self._binary(f.DIVIDE, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return self._binary(f.DIVIDE, other, reverse=True)

    def __pow__(self, other: Any) -> Tensor:
        return self._binary(f.POWER, other)

    def __rpow__(self, other: Any) -> Tensor:
        return self._binary(f.POWER, other, reverse=True)

    def __matmul__(self, other: Any) -> Tensor:
        return self._binary(f.MATMUL, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return self._binary(f.MATMUL, other, reverse=True)

    def __neg__(self) -> Tensor:
        return self._apply(f.NEGATIVE)

    def __pos__(self) -> Tensor:
        return self.to()

    def __abs__(self) -> Tensor:
        return self._apply(f.ABS)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._binary(f.EQUAL, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._binary(f.NOT_EQUAL, other)

    __hash__ = object.__hash__

    def __lt__(self, other: Any) -> Tensor:
        return self._binary(f.LESS, other)

    def __le__(self, other: Any) -> Tensor:
        return self._binary(f.LESS_EQUAL, other)

    def __gt__(self, other: Any) -> Tensor:
        return self._binary(f.GREATER, other)

    def __ge__(self, other: Any) -> Tensor:
        return self._binary(f.GREATER_EQUAL, other)

    # Logic, on booleans only.

    def _logic(self, formula: Formula, other: Any) -> Tensor:
        theirs = getattr(other, "dtype", type(other).__name__)
        if dtype_name(self.array.dtype) != "bool" or str(theirs) != "bool":
            raise DTypeError(
                f"& | ^ ~ are for booleans, got {self.dtype} and {theirs}; compare first, as in "
                "(x > 0) & (x < 1)"
            )
        return self._binary(formula, other)

    def __and__(self, other: Any) -> Tensor:
        return self._logic(f.MINIMUM, other)

    def __or__(self, other: Any) -> Tensor:
        return self._logic(f.MAXIMUM, other)

    def __xor__(self, other: Any) -> Tensor:
        return self._logic(f.NOT_EQUAL, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        return self._logic(f.EQUAL, False)

    def logical_not(self) -> Tensor:
        """Say of each element whether it is zero or false."""
        return self._binary(f.EQUAL, 0)

    def _where(self, input: Any, other: Any) -> Tensor:
        """Return elements of ``input`` where this condition holds, of ``other`` elsewhere."""
        if dtype_name(self.array.dtype) != "bool":
            raise DTypeError(f"where needs booleans as its condition, got {self.dtype}")
        if not isinstance(input, TensorBase) and not isinstance(other, TensorBase):
            both = [self._wrap(beside(item, self.array)) for item in (input, other)]
            common = promote(both[0].array, both[1].array)
            common = default_dtype() if common == "float64" else common
            input, other = (item.to(common) for item in both)
        elif isinstance(input, TensorBase):
            input, other = alike(input, other)
        else:
            other, input = alike(other, input)
        return self._apply(f.WHERE, input, other)

    def masked_fill(self, mask: Any, value: Any) -> Tensor:
        """Return the elements, with ``value`` where the mask is true."""
        return mask._where(value, self)  # type: ignore[no-any-return]

    def where(self, condition: Any, other: Any) -> Tensor:
        """Return the elements where the condition holds, and those of ``other`` elsewhere."""
        return condition._where(self, other)  # type: ignore[no-any-return]

    # Changing values in place.

    def _assign(self, value: Any) -> Tensor:
        self._refuse_graph()
        registry.update(f.COPY_INTO, self.array, value)
        self._version[0] += 1
        return self  # type: ignore[return-value]

    def _refuse_graph(self) -> None:
        self._refuse_asking_leaf()
        self._refuse_expanded()
        if self.requires_grad and is_grad_enabled():
            raise GradientError(
                "a part of a graph cannot be overwritten; do it under no_grad(), or on x.detach()"
            )

    def _refuse_expanded(self) -> None:
        strides = getattr(self.array, "strides", ())
        if 0 in strides and any(n > 1 and not s for n, s in zip(self.shape, strides, strict=True)):
            raise ShapeError(
                f"a tensor that was expanded to {self.shape} has several elements in one place of "
                "memory and cannot be written into; write into x.clone()"
            )

    def _refuse_asking_leaf(self) -> None:
        if self.requires_grad and self.node is None and is_grad_enabled():
            raise GradientError(
                "a leaf that asks for a gradient cannot be changed in place; do it under "
                "no_grad(), or write x = x + y"
            )

    def _in_place(self, formula: Formula, other: Any) -> Tensor:
        """Write a formula's result into this tensor.

        In a graph the tensor gets a new array, so that what was recorded with the old one stays
        right; views that were taken of it before keep the old values.
        """
        self._refuse_asking_leaf()
        asks = self.requires_grad or getattr(other, "requires_grad", False)
        result = self._binary(formula, other)
        if result.shape != self.shape:
            raise ShapeError(
                f"the result of shape {result.shape} does not fit in place into {self.shape}"
            )
        if is_floating(result.array) and not is_floating(self.array):
            raise DTypeError(f"{result.dtype} results do not fit in place into {self.dtype}")
        result = result.to(self.dtype)
        if not (asks and is_grad_enabled()):
            return self._assign(result.array)
        self.array, self.node, self._version = result.array, result.node, result._version
        self.requires_grad = True
        return self  # type: ignore[return-value]

    def __iadd__(self, other: Any) -> Tensor:
        return self._in_place(f.ADD, other)

    def __isub__(self, other: Any) -> Tensor:
        return self._in_place(f.SUBTRACT, other)

    def __imul__(self, other: Any) -> Tensor:
        return self._in_place(f.MULTIPLY, other)

    def __itruediv__(self, other: Any) -> Tensor:
        if not is_floating(self.array):
            raise DTypeError(f"float32 results do not fit in place into {self.dtype}")
        return self._in_place(f.DIVIDE, other)

    def add_(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Add alpha · other in place."""
        return self._in_place(f.ADD, other if alpha == 1 else other * alpha)

    def sub_(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Subtract alpha · other in place."""
        return self._in_place(f.SUBTRACT, other if alpha == 1 else other * alpha)

    mul_, div_ = __imul__, __itruediv__

    def clamp_(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Hold the elements between two numbers, in place."""
        self._refuse_graph()
        return self._assign(self.detach()._apply(f.CLIP, min=min, max=max).array)

    def copy_(self, source: Any) -> Tensor:
        """Write the values of another tensor or array into this one, broadcast to its shape.

        Raises:
            ShapeError: if they do not broadcast to it.
            GradientError: if this tensor is a leaf that asks for a gradient, or part of a graph.
        """
        value = source.array if isinstance(source, TensorBase) else asarray(source)
        value = cast(move(value, self.device), self.array.dtype)
        if value is not self.array and shares_memory(value, self.array):
            value = copied(value)  # or what is written first would be read again
        return self._assign(value)

    def fill_(self, value: float) -> Tensor:
        """Write one value into every element."""
        self._refuse_graph()
        registry.update(f.FILL, self.array, value=value)
        self._version[0] += 1
        return self  # type: ignore[return-value]

    def zero_(self) -> Tensor:
        """Write 0 into every element."""
        return self.fill_(0)
