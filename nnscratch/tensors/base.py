"""The base class of ``Tensor``: its fields, and its shape, dtype and device.

The methods of ``Tensor`` are divided among the other modules of this package by subject, as mixin
classes of this base.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnscratch.absent import HidingAbsent
from nnscratch.array import Device, default_dtype, device_of, dtype_name, is_floating
from nnscratch.array.addresses import address
from nnscratch.array.dtypes import is_complex, is_inexact
from nnscratch.errors import DTypeError
from nnscratch.formulas import Formula
from nnscratch.formulas.checks import refuse_complex
from nnscratch.tensors.nodes import Node
from nnscratch.tensors.size import SIZES, Size

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor


class TensorBase(metaclass=HidingAbsent):
    """The fields of a tensor; ``Tensor`` inherits its methods from the mixin classes."""

    __slots__ = (
        "__weakref__",
        "_slot_grad",
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
    _slot_grad: Any
    # The version counter that all tensors over the same memory share: [how often the memory was
    # written, views of it by id, detached tensors over it by id], without the last two if none.
    _version: list[Any]

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
        def tolist(self) -> Any: ...  # noqa: D102
        def clamp(self, min: Any = None, max: Any = None) -> Tensor: ...  # noqa: D102

    def _share_memory_with(self, owner: TensorBase, detached: bool = False) -> None:
        """Share the version counter of ``owner``, in whose memory this tensor's elements are.

        Args:
            owner: the tensor that this one is a view of, or was detached from.
            detached: whether this tensor must stay outside of ``owner``'s graph.
        """
        self._version = version = owner._version
        if len(version) == 1:
            views = weakref.WeakValueDictionary({id(owner): owner})
            version += [views, weakref.WeakValueDictionary()]
        version[2 if detached else 1][id(self)] = self

    def _aliases(self) -> tuple[list[Any], list[Any]]:
        """Return the other views of this tensor's memory, and the detached tensors over it."""
        if len(self._version) == 1:
            return [], []
        views, detached = ([*known.values()] for known in self._version[1:])
        return [one for one in views if one is not self], detached

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return SIZES[self.array.shape]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype, as a NumPy dtype on every device."""
        return np.dtype(dtype_name(self.array.dtype))

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self.array.ndim)

    @property
    def device(self) -> Device:
        """The device on which the array lives."""
        return device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        """Whether the tensor is on a GPU."""
        return self.device.type == "cuda"

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor is a leaf: no recorded formula computed it."""
        return self.node is None

    @property
    def grad_fn(self) -> Node | None:
        """The node of the recorded formula that computed the tensor; None for a leaf."""
        return self.node

    @property
    def data(self) -> Tensor:
        """A detached tensor over the same memory; assigning a tensor replaces the array."""
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
        return self.shape if dim is None else self.array.shape[dim]

    def numel(self) -> int:
        """Return the number of elements."""
        return math.prod(self.array.shape)

    nelement = numel

    ndimension = dim

    @property
    def itemsize(self) -> int:
        """The size of one element in bytes."""
        return int(self.array.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """The size of all elements in bytes."""
        return self.numel() * self.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Return how many elements lie between neighbours of each dimension, or of one.

        Of a tensor without elements they are those of its shape with 1 in the place of 0.
        """
        steps = self.array.strides
        if not self.numel() and not any(steps):  # NumPy's of no elements; where one would follow
            sizes = [max(n, 1) for n in self.array.shape]
            strides = tuple(math.prod(sizes[d + 1 :]) for d in range(len(sizes)))
        else:
            strides = tuple(step // self.itemsize for step in steps)
        return strides if dim is None else strides[dim]

    def data_ptr(self) -> int:
        """Return the address of the first element in memory, 0 if there is none."""
        return (address(self.array) or 0) if self.numel() else 0

    def get_device(self) -> int:
        """Return the number of the GPU that the tensor is on, -1 on the CPU."""
        return -1 if self.device.type == "cpu" else self.device.index or 0

    def is_floating_point(self) -> bool:
        """Say whether the dtype is a floating one."""
        return is_floating(self.array)

    def is_signed(self) -> bool:
        """Say whether the dtype has negative numbers."""
        return dtype_name(self.array.dtype) != "bool" and self.array.dtype.kind != "u"

    def is_same_size(self, other: TensorBase) -> bool:
        """Say whether another tensor has the same shape."""
        return self.shape == other.shape

    is_cpu = property(lambda self: self.device.type == "cpu", doc="Whether it is on the CPU.")
    # What no tensor is here.
    is_sparse = is_quantized = is_meta = is_mps = is_xpu = is_nested = property(
        lambda self: False, doc="False: nnscratch has no such tensors."
    )

    def share_memory_(self) -> Tensor:
        """Return the tensor: threads, which loaders use here, share all memory as it is."""
        return self  # type: ignore[return-value]

    def pin_memory(self, device: Any = None) -> Tensor:
        """Return the tensor: a copy to a GPU waits until it is done, from any memory."""
        return self  # type: ignore[return-value]

    def __len__(self) -> int:
        if self.ndim == 0:
            raise DTypeError("a 0-d tensor has no length; use item() to read its value")
        return int(self.array.shape[0])

    def _needs_floats(self, name: str) -> None:
        linear = name == "mean" and is_complex(self.array)
        if not is_floating(self.array) and not linear:
            refuse_complex(name, self.array)
            raise DTypeError(
                f"{name} needs floating-point numbers, got {self.array.dtype}; call .float() first"
            )

    def _as_float(self) -> Tensor:
        """Return the tensor itself if it is floating, else a copy in the default dtype."""
        return self.to() if is_inexact(self.array) else self.to(default_dtype())

    def _in_dtype(self, dtype: Any) -> Tensor:
        return self.to() if dtype is None else self.to(dtype_name(dtype))
