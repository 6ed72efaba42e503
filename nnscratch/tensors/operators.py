"""The operators of a tensor, and the methods that change it in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import (
    asarray,
    default_dtype,
    dtype_name,
    is_array,
    is_floating,
    move,
    promote,
    to_device_of,
)
from nnscratch.array.addresses import shares_memory
from nnscratch.array.dtypes import is_complex, is_inexact
from nnscratch.array.random import default_generator
from nnscratch.errors import DTypeError, GradientError, ShapeError
from nnscratch.formulas import Formula, registry
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.grad_mode import is_grad_enabled
from nnscratch.tensors.promotion import (
    checked_integer,
    checked_number,
    of_higher_kind,
    refuse_complex_items,
    to_common_dtype,
)
from nnscratch.tensors.views import overwritten, write_through

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor


def _comparable(other: object) -> bool:
    """Say whether tensor elements can be compared with ``other``: numbers, arrays and lists can."""
    if isinstance(other, (TensorBase, bool, int, float, complex, np.generic)) or is_array(other):
        return True
    return isinstance(other, (list, tuple))


def _array(value: Any) -> Any:
    return value.array if isinstance(value, TensorBase) else value


class TensorOperators(TensorBase):
    """The methods of ``Tensor`` for ``+ - * / ** @``, comparisons, and in-place operations."""

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

    def __rmul__(self, other: Any) -> Tensor:
        # A list times an integer tensor repeats the list, as in PyTorch.
        return (
            NotImplemented if isinstance(other, (list, tuple)) else self._binary(f.MULTIPLY, other)
        )

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

    def __eq__(self, other: object) -> Any:
        return self._binary(f.EQUAL, other) if _comparable(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return self._binary(f.NOT_EQUAL, other) if _comparable(other) else NotImplemented

    __hash__ = object.__hash__

    def __lt__(self, other: Any) -> Tensor:
        return self._binary(f.LESS, other)

    def __le__(self, other: Any) -> Tensor:
        return self._binary(f.LESS_EQUAL, other)

    def __gt__(self, other: Any) -> Tensor:
        return self._binary(f.GREATER, other)

    def __ge__(self, other: Any) -> Tensor:
        return self._binary(f.GREATER_EQUAL, other)

    # Logic, on booleans and on the bits of integers.

    def __and__(self, other: Any) -> Tensor:
        return self._binary(f.BITWISE_AND, other)

    def __or__(self, other: Any) -> Tensor:
        return self._binary(f.BITWISE_OR, other)

    def __xor__(self, other: Any) -> Tensor:
        return self._binary(f.BITWISE_XOR, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        if dtype_name(self.array.dtype) == "bool":
            return self._binary(f.EQUAL, False)
        return self._binary(f.BITWISE_XOR, -1)

    def logical_and(self, other: Any) -> Tensor:
        """Say of each pair of elements whether both are true (nonzero)."""
        return self.to("bool")._binary(f.BITWISE_AND, self._wrap(asarray(_array(other))).to("bool"))

    def logical_or(self, other: Any) -> Tensor:
        """Say of each pair of elements whether one is true (nonzero)."""
        return self.to("bool")._binary(f.BITWISE_OR, self._wrap(asarray(_array(other))).to("bool"))

    def logical_xor(self, other: Any) -> Tensor:
        """Say of each pair of elements whether just one is true (nonzero)."""
        return self.to("bool")._binary(f.BITWISE_XOR, self._wrap(asarray(_array(other))).to("bool"))

    def logical_not(self) -> Tensor:
        """Say of each element whether it is zero or false."""
        return self._binary(f.EQUAL, 0)

    def _where(self, input: Any, other: Any) -> Tensor:
        """Return elements of ``input`` where this condition holds, of ``other`` elsewhere."""
        if dtype_name(self.array.dtype) != "bool":
            raise DTypeError(f"where needs booleans as its condition, got {self.dtype}")
        if not isinstance(input, TensorBase) and not isinstance(other, TensorBase):
            both = [self._wrap(to_device_of(item, self.array)) for item in (input, other)]
            common = promote(both[0].array, both[1].array)
            common = default_dtype() if common == "float64" else common
            input, other = (item.to(common) for item in both)
        elif isinstance(input, TensorBase):
            other = checked_integer("where", other, input)
            input, other = to_common_dtype(input, other)
        else:
            input = checked_integer("where", input, other)
            other, input = to_common_dtype(other, input)
        return self._apply(f.WHERE, input, other)

    def masked_fill(self, mask: Any, value: Any) -> Tensor:
        """Return the elements, with ``value`` where the mask is true, in the tensor's dtype.

        Raises:
            DTypeError: if the dtype cannot hold the value, such as 0.5 or 300 in uint8.
        """
        value = checked_number("masked_fill", value, dtype_name(self.array.dtype))
        given = self._wrap(asarray(_array(value)))
        if is_inexact(given.array) and of_higher_kind(given, self):
            mend = "x.to('complex64')" if is_complex(given.array) else "x.float()"
            raise DTypeError(
                f"masked_fill: {given.dtype} values do not fit into {self.dtype}; use {mend}"
            )
        if isinstance(value, TensorBase) or dtype_name(self.array.dtype) == "bool":
            value = (value if isinstance(value, TensorBase) else given).to(self.dtype)
        return mask._where(value, self)  # type: ignore[no-any-return]

    def masked_fill_(self, mask: Any, value: Any) -> Tensor:
        """Write ``value`` where the mask is true, in place."""
        return self._replace(self._copy_if_aliased(value).masked_fill(mask, value))

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
        self._refuse_leaf_requiring_grad()
        self._refuse_expanded()
        if self.requires_grad and is_grad_enabled():
            raise GradientError(
                "a tensor computed from others with requires_grad=True cannot be overwritten; do "
                "it under no_grad(), or on x.detach()"
            )

    def _refuse_expanded(self) -> None:
        strides = getattr(self.array, "strides", ())
        if 0 not in strides or not self.numel():
            return
        if any(n > 1 and not s for n, s in zip(self.shape, strides, strict=True)):
            raise ShapeError(
                f"a tensor that was expanded to {self.shape} has several elements in one place of "
                "memory and cannot be written into; write into x.clone()"
            )

    def _refuse_leaf_requiring_grad(self) -> None:
        if self.requires_grad and self.node is None and is_grad_enabled():
            raise GradientError(
                "a leaf with requires_grad=True cannot be changed in place; do it under "
                "no_grad(), or write x = x + y"
            )

    def _in_place(self, formula: Formula, other: Any) -> Tensor:
        """Replace the tensor's values by the result of a formula on it and another operand.

        If the result is part of a graph, the tensor gets a new array, so that nodes which saved the
        old one stay valid. But if views share its memory, the memory is written, and the views are
        connected to the result (see ``views.py``).
        """
        self._refuse_leaf_requiring_grad()
        return self._replace(self._copy_if_aliased(other)._binary(formula, other))

    def _copy_if_aliased(self, *others: Any) -> Any:
        """Return the tensor, or a copy if its memory has views and will be written in a graph.

        The recorded formula then saves the copy, whose values do not change.
        """
        asks = any(getattr(one, "requires_grad", False) for one in (self, *others))
        return self.clone() if asks and is_grad_enabled() and any(self._aliases()) else self

    def _overwrite(self, place: Any, value: Any) -> Tensor:
        """Write values at an index and record it: value and kept elements get gradients."""
        self._refuse_leaf_requiring_grad()
        name = dtype_name(self.array.dtype)
        if not isinstance(value, TensorBase):
            if isinstance(value, (bool, int, float, complex)):
                value = checked_number("setting items", value, name)
            value = self._wrap(to_device_of(value, self.array))
            registry.notify_create(value.array, "setting items")
        refuse_complex_items(value.array, self.array)
        if not value.ndim or value.device == self.device:
            value = value.to(self.device)
        ones = next((d for d, n in enumerate(value.shape) if n != 1), value.ndim)
        value = value.reshape(value.shape[ones:]).to(name)  # x[0, 1] = tensor([7.]), as in PyTorch
        return self._replace(overwritten(self._copy_if_aliased(value), place, value))

    def _replace(self, result: Tensor) -> Tensor:
        """Replace the tensor's values by a result computed from them; see ``_in_place``."""
        self._refuse_leaf_requiring_grad()
        if result.shape != self.shape:
            raise ShapeError(
                f"the result of shape {result.shape} does not fit in place into {self.shape}"
            )
        if of_higher_kind(result, self):
            raise DTypeError(f"{result.dtype} results do not fit in place into {self.dtype}")
        result = result.to(self.dtype)
        if result.requires_grad and is_grad_enabled() and any(self._aliases()):
            self._refuse_expanded()
            write_through(self, result)
            return self  # type: ignore[return-value]
        if not (result.requires_grad and is_grad_enabled()):
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
        return self._in_place(f.DIVIDE, other)

    def add_(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Add alpha · other in place."""
        return self._in_place(f.ADD, self._times(other, alpha))

    def sub_(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Subtract alpha · other in place."""
        return self._in_place(f.SUBTRACT, self._times(other, alpha))

    mul_, div_ = __imul__, __itruediv__

    def __iand__(self, other: Any) -> Tensor:
        return self._in_place(f.BITWISE_AND, other)

    def __ior__(self, other: Any) -> Tensor:
        return self._in_place(f.BITWISE_OR, other)

    def __ixor__(self, other: Any) -> Tensor:
        return self._in_place(f.BITWISE_XOR, other)

    def __ipow__(self, other: Any) -> Tensor:
        return self._in_place(f.POWER, other)

    def pow_(self, exponent: Any) -> Tensor:
        """Write each element to a power in its place."""
        return self._in_place(f.POWER, exponent)

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """Limit the elements to the range from ``min`` to ``max``, numbers or tensors, in place."""
        return self._replace(self._copy_if_aliased(min, max).clamp(min, max))

    def copy_(self, src: Any, non_blocking: bool = False) -> Tensor:
        """Write the values of another tensor or array into this one, broadcast to its shape.

        Args:
            src: the tensor or array.
            non_blocking: accepted as in PyTorch, and changes nothing.

        Raises:
            ShapeError: if they do not broadcast to it.
            GradientError: if this tensor is a leaf with ``requires_grad=True``, or it was computed
                from one and the source has ``requires_grad=False``.
        """
        if getattr(src, "requires_grad", False) and is_grad_enabled():
            taken = src.to(self.dtype)
            if broadcast_shape("copy_", self.array, taken.array) != self.shape:
                raise ShapeError(f"copy_: {taken.shape} does not broadcast to {self.shape}")
            return self._replace(taken._apply(f.BROADCAST_TO, shape=self.shape).clone())
        value = src.array if isinstance(src, TensorBase) else asarray(src)
        if (there := move(value, self.device)) is not value:
            registry.notify_move(value, str(self.device))
            value = there
        name = dtype_name(self.array.dtype)
        overlaps = value is not self.array and shares_memory(value, self.array)
        if overlaps or dtype_name(value.dtype) != name:
            # A copy, because writing would change elements of the src that are still to be
            # read; by a formula, so that the recorder of a compiled step sees it.
            value = registry.forward(f.CAST, value, dtype=name)[0]
        return self._assign(value)

    def uniform_(self, low: float = 0.0, to: float = 1.0, *, generator: Any = None) -> Tensor:
        """Write numbers uniform in [low, to) into every element."""
        return self._draw(f.RANDOM_UNIFORM, "uniform", generator, low=low, high=to)

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
        """Write normal numbers into every element."""
        return self._draw(f.RANDOM_NORMAL, "normal", generator, mean=mean, std=std)

    def _draw(self, formula: Formula, kind: str, generator: Any, **options: float) -> Tensor:
        self._refuse_graph()
        if not is_floating(self.array):
            raise DTypeError(f"{kind}_ needs floating-point numbers, got {self.dtype}")
        source = default_generator if generator is None else generator
        name, count = dtype_name(self.array.dtype), self.numel()
        rows = self.shape[0] if self.ndim else None
        seed, offset = registry.host(lambda: source.reserve(kind, count, name, rows))
        place = {"shape": self.shape, "dtype": name, "device": str(self.device)}
        made = registry.forward(formula, seed=seed, offset=offset, **place, **options)[0]
        return self._assign(made)

    def fill_(self, value: Any) -> Tensor:
        """Write one value, a number or a tensor of no dimensions, into every element.

        Raises:
            DTypeError: if the dtype cannot hold it, such as 300 in uint8.
            ShapeError: if it is a tensor of dimensions.
        """
        if isinstance(value, TensorBase):
            if value.ndim:
                raise ShapeError(f"fill_: expected one number as value, got shape {value.shape}")
            if value.requires_grad and is_grad_enabled():
                return self._overwrite((...,), value.to(self.dtype))
        if self.requires_grad and is_grad_enabled():
            return self._overwrite((...,), value)
        self._refuse_graph()
        value = checked_number("fill_", value, dtype_name(self.array.dtype))
        registry.update(f.FILL, self.array, value=value)
        self._version[0] += 1
        return self  # type: ignore[return-value]

    def zero_(self) -> Tensor:
        """Write 0 into every element."""
        return self.fill_(0)
