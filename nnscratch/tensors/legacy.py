"""``FloatTensor`` and the other tensor types of PyTorch's early versions, one for each dtype.

FloatTensor([1, 2])         a tensor of the numbers, in float32
LongTensor(2, 3)            an int64 tensor of that shape, filled with 0
isinstance(x, FloatTensor)  whether x is a float32 tensor
"""

from __future__ import annotations

from typing import Any

from nnscratch.array import dtype_name
from nnscratch.tensors.conversions import TYPE_NAMES
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [*TYPE_NAMES.values()]


class _TensorType(type):
    """The metaclass of the tensor types: a tensor is an instance of the type of its dtype."""

    dtype: str

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and dtype_name(instance.array.dtype) == cls.dtype

    def __call__(cls, *data: Any) -> Tensor:
        """Make a tensor of data, or of zeros in a shape given as integers."""
        if len(data) == 1 and not isinstance(data[0], int):
            return as_tensor(data[0]).detach().clone().to(cls.dtype)
        return Tensor(*data).to(cls.dtype)


def _made(dtype: str, name: str) -> Any:
    doc = f"Tensors of dtype {dtype}: ``{name}([1, 0])``, ``{name}(2, 3)``."
    return _TensorType(name, (), {"dtype": dtype, "__doc__": doc, "__module__": __name__})


globals().update({name: _made(dtype, name) for dtype, name in TYPE_NAMES.items()})
