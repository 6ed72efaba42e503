"""What every part of ``Tensor`` knows: its fields, its shape and dtype, and where it lives."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnscratch.array import Device, default_dtype, device_of, dtype_name, is_floating
from nnscratch.errors import DTypeError
from nnscratch.formulas import Formula
from nnscratch.tensors.tape import Node

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor


class TensorBase:
    """The fields of a tensor; its methods are in the classes that ``Tensor`` joins."""

    __slots__ = (
        "__weakref__",
        "_lent",
        "_version",
        "array",
        "grad",
        "grad_slot",
        "hooks",
        "node",
        "requires_grad",
    )

    array: Any
    requires_grad: bool
    node: Node | None
    grad: Tensor | None
    grad_slot: Any
    hooks: list[Callable[[Any], Any]] | None
    _lent: Any
    _version: list[Any]  # how often the memory was changed; its views, and those detached

    if TYPE_CHECKING:

        def _apply(self, formula: Formula, *others: Any, **options: Any) -> Tensor: ...
        def _binary(self, formula: Formula, other: Any, reverse: bool = False) -> Tensor: ...
        def _wrap(self, array: Any) -> Tensor: ...
        def to(self, *target: Any, **options: Any) -> Tensor: ...  # noqa: D102
        def detach(self) -> Tensor: ...  # noqa: D102
        def _times(self, other: Any, alpha: float) -> Any: ...
        def _refuse_expanded(self) -> None: ...
        def _overwrite(self, place: Any, value: Any) -> Tensor: ...
        def permute(self, *dims: Any) -> Tensor: ...  # noqa: D102
        def reshape(self, *shape: Any) -> Tensor: ...  # noqa: D102
        def clone(self) -> Tensor: ...  # noqa: D102
        def clamp(self, min: Any = None, max: Any = None) -> Tensor: ...  # noqa: D102

    def _lies_in(self, owner: TensorBase, detached: bool = False) -> None:
        """Note that the memory is that of another tensor: what changes one changes both."""
        self._version = version = owner._version
        if len(version) == 1:
            views = weakref.WeakValueDictionary({id(owner): owner})
            version += [views, weakref.WeakValueDictionary()]
        version[2 if detached else 1][id(self)] = self

    def _neighbours(self) -> tuple[list[Any], list[Any]]:
        """Return the others that are known in this memory, and all that were detached in it."""
        if len(self._version) == 1:
            return [], []
        views, detached = ([*known.values()] for known in self._version[1:])
        return [one for one in views if one is not self], detached

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype, as NumPy's object for it whatever the backend."""
        return np.dtype(dtype_name(self.array.dtype))

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self.array.ndim)

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        """Whether it lives on a GPU."""
        return self.device.type == "cuda"

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded formula made it."""
        return self.node is None

    @property
    def grad_fn(self) -> Node | None:
        """The recorded formula that made it, by PyTorch's name."""
        return self.node

    @property
    def data(self) -> Tensor:
        """A tensor that shares the array but not the graph."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        self.array = value.array
        self._version[0] += 1

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Return the number of elements."""
        return math.prod(self.array.shape)

    nelement = numel

    def is_floating_point(self) -> bool:
        """Say whether it holds floating-point numbers."""
        return is_floating(self.array)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise DTypeError("a 0-d tensor has no length; use item() to read its value")
        return self.shape[0]

    def _needs_floats(self, name: str) -> None:
        if not is_floating(self.array):
            raise DTypeError(
                f"{name} needs floating-point numbers, got {self.array.dtype}; call .float() first"
            )

    def _as_float(self) -> Tensor:
        """Return the tensor, in the default dtype if it holds integers."""
        return self.to() if is_floating(self.array) else self.to(default_dtype())

    def _in_dtype(self, dtype: Any) -> Tensor:
        return self.to() if dtype is None else self.to(dtype_name(dtype))
