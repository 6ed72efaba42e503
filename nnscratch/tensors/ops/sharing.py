"""Tensors of what other libraries hold, in their memory where that is possible."""

from __future__ import annotations

from typing import Any

from nnscratch.array.addresses import shares_memory
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = ["asarray", "from_dlpack"]


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of anything array-like, by default without a copy if that is possible.

    Args:
        obj: a tensor, an array, an object with DLPack, a number, or nested lists of them.
        dtype: the dtype of the result; by default that of ``obj``.
        device: the device of the result; by default that of ``obj``.
        copy: True to copy it, False to refuse where that would be needed.
        requires_grad: whether ``backward`` computes a gradient for the tensor.

    Raises:
        DTypeError: if ``obj`` holds no numbers.
        ConfigurationError: if it cannot be had without the copy that is not wanted.

    >>> asarray([1.5, 2.5], requires_grad=True)
    tensor([1.5, 2.5], requires_grad=True)
    """
    made = as_tensor(obj, dtype, device)
    given = obj.array if isinstance(obj, Tensor) else obj
    if copy:
        made = made.detach().clone()
    elif copy is False and not (hasattr(given, "dtype") and shares_memory(made.array, given)):
        raise ConfigurationError("asarray: copy=False, but these data cannot be had without a copy")
    return made.requires_grad_() if requires_grad else made


def from_dlpack(ext_tensor: Any) -> Tensor:
    """Return a tensor that shares memory with an array of another library, through DLPack.

    >>> import numpy as np
    >>> from_dlpack(np.asarray([1.0, 2.0]))
    tensor([1., 2.], dtype=float64)
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        raise DTypeError(
            f"from_dlpack: expected an object with __dlpack__, got {type(ext_tensor).__name__}; "
            "write nnscratch.as_tensor(...) for other data"
        )
    return as_tensor(ext_tensor)
