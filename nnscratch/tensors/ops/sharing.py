"""Tensors of what other libraries hold, in their memory where that is possible."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import is_array
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
    requires_grad: bool | None = None,
) -> Tensor:
    """Return a tensor of anything array-like, by default without a copy if that is possible.

    Args:
        obj: a tensor, an array, an object with DLPack, a number, or nested lists of them.
        dtype: the dtype of the result; by default that of ``obj``.
        device: the device of the result; by default that of ``obj``.
        copy: True to copy it, which is recorded as ``clone`` is; False to refuse where that would
            be needed.
        requires_grad: whether ``backward`` computes a gradient for the tensor; None for what
            ``obj`` says, False to detach the result from the graph.

    Raises:
        DTypeError: if ``obj`` holds no numbers.
        ConfigurationError: if it cannot be had without the copy that is not wanted.

    >>> asarray([1.5, 2.5], requires_grad=True)
    tensor([1.5, 2.5], requires_grad=True)
    """
    made = as_tensor(obj, dtype, device) if copy is not False else _shared(obj, dtype, device)
    if copy:
        made = made.clone()
    if requires_grad is False and made.requires_grad:
        made = made.detach()
    return made.requires_grad_() if requires_grad else made


def _shared(obj: Any, dtype: Any, device: Any) -> Tensor:
    """Return a tensor over the memory of an object.

    Raises:
        ConfigurationError: if it has none to share, or not in that dtype and on that device.
    """
    numbers = isinstance(obj, np.generic)  # which are copied
    if numbers or not (is_array(obj) or hasattr(obj, "__dlpack_device__")):
        raise ConfigurationError(
            f"asarray: copy=False needs a tensor, an array or an object with DLPack, got "
            f"{type(obj).__name__}; leave copy= out"
        )
    source = as_tensor(obj)
    made = source.to(dtype=dtype, device=device)
    known = is_array(obj) and source.numel() > 0
    if made.array is not source.array or (known and not shares_memory(source.array, obj)):
        raise ConfigurationError(
            f"asarray: copy=False, but {getattr(obj, 'dtype', source.dtype)} on {source.device} "
            f"becomes {made.dtype} on {made.device} by a copy only; leave copy= out"
        )
    return made


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
