"""``Module.to`` and its kin: the dtype and the device of all parameters and buffers."""

from __future__ import annotations

from typing import Any, Self

from nnscratch.array import as_device, dtype_name, is_floating, move
from nnscratch.array.addresses import on_device_of
from nnscratch.array.dtypes import FLOATS, cast
from nnscratch.errors import DTypeError
from nnscratch.nn.walking import Walking
from nnscratch.tensors import Tensor
from nnscratch.tensors.conversions import dtype_of_type, read_target


class Converting(Walking):
    """What a module can be moved to and turned into, in place."""

    def to(
        self,
        *target: Any,
        device: Any = None,
        dtype: Any = None,
        non_blocking: bool = False,
        tensor: Tensor | None = None,
        memory_format: Any = None,
    ) -> Self:
        """Move all parameters and buffers to a device or a floating dtype, in place.

        Either is named, or that of a tensor is taken. ``non_blocking`` and ``memory_format``
        are there for PyTorch's sake and change nothing.

        Raises:
            DeviceError: if this machine has no such device.
            DTypeError: for a dtype that is not floating.
        """
        target = target if tensor is None else (tensor,)
        device, dtype = read_target(target, device, dtype)
        name = None if dtype is None else dtype_name(dtype)
        if name is not None and name not in FLOATS:
            raise DTypeError(f"a model can be moved to {', '.join(FLOATS)}, got {name}")
        where = None if device is None else as_device(device)
        for held in [*self.parameters(), *self.buffers()]:
            for item in (held, held.grad):
                if item is None:
                    continue
                array = item.array
                if name is not None and is_floating(item.array):
                    with on_device_of(array):
                        array = cast(array, name)
                if where is not None:
                    array = move(array, where)
                if array is not item.array:
                    item.array = array
                    held.grad_slot = None
        return self

    def cpu(self) -> Self:
        """Move all parameters and buffers to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """Move all parameters and buffers to a GPU, by its number or name."""
        if device is None or isinstance(device, int):
            return self.to("cuda" if device is None else f"cuda:{device}")
        return self.to(device)

    def float(self) -> Self:
        """Turn all parameters and buffers into float32."""
        return self.to("float32")

    def share_memory(self) -> Self:
        """Return the module: threads, which loaders use here, share all memory as it is."""
        return self

    def half(self) -> Self:
        """Turn all parameters and buffers into float16."""
        return self.to("float16")

    def bfloat16(self) -> Self:
        """Turn all parameters and buffers into bfloat16, which is computed in float32.

        Raises:
            DTypeError: if ``ml_dtypes`` is not installed: ``pip install 'nnscratch[bfloat16]'``.
        """
        return self.to("bfloat16")

    def type(self, dst_type: Any) -> Self:
        """Turn all parameters and buffers into a floating dtype, or that of a type's name."""
        return self.to(dtype_of_type(dst_type))

    def double(self) -> Self:
        """Turn all parameters and buffers into float64."""
        return self.to("float64")
