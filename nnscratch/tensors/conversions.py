"""Conversions of a tensor to Python numbers, to NumPy, and to other dtypes and devices."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import Device, as_device, dtype_name, is_integer, move, to_device_of, to_numpy
from nnscratch.array.dtypes import cast
from nnscratch.errors import DeviceError, DTypeError, GradientError, ShapeError
from nnscratch.formulas import registry
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.grad_mode import is_grad_enabled
from nnscratch.tensors.promotion import checked_number

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor


TYPE_NAMES = {
    "float32": "FloatTensor",
    "float64": "DoubleTensor",
    "float16": "HalfTensor",
    "bfloat16": "BFloat16Tensor",
    "int64": "LongTensor",
    "int32": "IntTensor",
    "int16": "ShortTensor",
    "int8": "CharTensor",
    "uint8": "ByteTensor",
    "bool": "BoolTensor",
}
"""PyTorch's type names of tensors, by their dtype."""


def _one_size(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size


def dtype_of_type(dtype: Any) -> str:
    """Return the name of a dtype given as such, as "torch.FloatTensor", or as ``FloatTensor``."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", "")
    last = name.rpartition(".")[2]
    found = [known for known, theirs in TYPE_NAMES.items() if theirs == last]
    return found[0] if found else dtype_name(dtype)


class TensorConversions(TensorBase):
    """The methods of ``Tensor`` for conversion: ``item``, ``numpy``, ``to``, ``float``, ..."""

    __slots__ = ()

    # Reading values.

    def item(self) -> Any:
        """Return the only element as a Python number.

        Raises:
            ShapeError: if the tensor does not have exactly one element.
        """
        if self.numel() != 1:
            raise ShapeError(f"item() needs exactly one element, got shape {self.shape}")
        registry.notify_read(self.array, "item()")
        return to_numpy(self.array).item()

    def tolist(self) -> Any:
        """Return the elements as nested Python lists."""
        registry.notify_read(self.array, "tolist()")
        return to_numpy(self.array).tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Return the tensor's memory as a NumPy array, without a copy.

        Args:
            force: whether to detach the tensor first, and to copy it from a GPU.

        Raises:
            GradientError: if the tensor has ``requires_grad=True``; call ``.detach()`` first.
            DeviceError: if it is on a GPU; call ``.cpu()`` first.
        """
        if force:
            return self.detach().to(device="cpu").numpy()
        if self.requires_grad:
            raise GradientError(
                "numpy() needs a tensor with requires_grad=False; use x.detach().numpy()"
            )
        if self.device.type != "cpu":
            raise DeviceError(f"the tensor is on {self.device}; use x.cpu().numpy()")
        registry.notify_read(self.array, "numpy()")
        return to_numpy(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != np.dtype(dtype):
            if copy is False:
                raise ValueError(f"{array.dtype} cannot become {np.dtype(dtype)} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise GradientError("DLPack needs a tensor with requires_grad=False; use x.detach()")
        registry.notify_read(self.array, "DLPack")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The address and the shape of memory on an NVIDIA GPU, for libraries without DLPack."""
        if self.device.type == "cpu":  # so that hasattr says no
            raise AttributeError(
                f"the tensor is on {self.device}, and has no __cuda_array_interface__"
            )
        if self.requires_grad:
            raise GradientError(
                "__cuda_array_interface__ needs a tensor with requires_grad=False; use x.detach()"
            )
        registry.notify_read(self.array, "the CUDA array interface")
        found: dict[str, Any] = self.array.__cuda_array_interface__
        return found

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise ShapeError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; use .any() or .all()"
            )
        registry.notify_read(self.array, "a branch on its truth")
        return bool(to_numpy(self.array).item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if not is_integer(self.array):
            raise DTypeError(f"only an integer tensor can be an index, got {self.array.dtype}")
        return int(self.item())

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise DTypeError("a 0-d tensor cannot be iterated over; use item() to read its value")
        return (self[index] for index in range(self.shape[0]))  # type: ignore[index]

    def element_size(self) -> builtins.int:
        """Return the size of one element in bytes."""
        return int(self.array.dtype.itemsize)

    # New tensors with the dtype and device of this one.

    def new_tensor(
        self, data: Any, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """Return a copy of data as a tensor, by default of this tensor's dtype and device."""
        raw = data.array if isinstance(data, TensorBase) else np.asarray(data)
        made = self._wrap(
            cast(to_device_of(raw, self.array), dtype_name(dtype or self.array.dtype))
        )
        return made.to(device=device).clone().requires_grad_(requires_grad)

    def new_full(self, size: Any, fill_value: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Return a tensor of a shape filled with one value; ``options`` as in ``new_tensor``.

        Raises:
            DTypeError: if the dtype cannot hold the value.
        """
        value = checked_number("new_full", fill_value, dtype_name(dtype or self.array.dtype))
        return self.new_tensor(np.full(size, value), dtype, **options)

    def new_zeros(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Return a tensor of zeros, of a size given as integers or one tuple."""
        return self.new_full(options.pop("size", None) or _one_size(size), 0, dtype, **options)

    def new_ones(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Return a tensor of ones, of a size given as integers or one tuple."""
        return self.new_full(options.pop("size", None) or _one_size(size), 1, dtype, **options)

    new_empty = new_zeros

    # Dtypes and devices.

    def to(
        self,
        *target: Any,
        device: Any = None,
        dtype: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: Any = None,
        tensor: Any = None,
    ) -> Tensor:
        """Return the tensor with another dtype, on another device, or with those of another tensor.

        A change of dtype is recorded, and gradients flow back through it. A move to another device
        is not, and a compiled step refuses to move what it computes.

        Args:
            *target: a device, a dtype, both, or a tensor that has them.
            device: the device, by name.
            dtype: the dtype, by name.
            non_blocking: accepted as in PyTorch; a copy to the CPU is waited for either way.
            copy: whether to copy if nothing changes; by default the tensor itself is returned.
            memory_format: accepted as in PyTorch; elements are in row-major order.
            tensor: a tensor that has the dtype and the device, by name.

        Raises:
            DeviceError: if this machine has no such device.
            GradientError: if a tensor with ``requires_grad=True`` would be moved.
        """
        target = target if tensor is None else (*target, tensor)
        # By position the last two are non_blocking and copy.
        flags = [item for item in target if isinstance(item, builtins.bool)]
        copy = copy or (len(flags) > 1 and flags[1])
        target = tuple(item for item in target if not isinstance(item, builtins.bool))
        device, dtype = read_target(target, device, dtype)
        result: Any = self
        if dtype is not None and dtype_name(dtype) != dtype_name(self.array.dtype):
            result = result._apply(f.CAST, dtype=dtype_name(dtype))
        if device is not None:
            moved = move(result.array, as_device(device))
            if moved is not result.array:
                if result.requires_grad and is_grad_enabled():
                    raise GradientError(
                        "moving a tensor with requires_grad=True between devices is not recorded; "
                        "move the model and its inputs before the forward, or use "
                        "x.detach().to(...)"
                    )
                registry.notify_move(result.array, str(as_device(device)))
                requires_grad = result.requires_grad
                result = self._wrap(moved)
                result.requires_grad = requires_grad
        if copy and result is self:
            result = result._apply(f.CAST, dtype=dtype_name(self.array.dtype))
        return result  # type: ignore[no-any-return]

    def cpu(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor on the CPU."""
        return self.to(device="cpu")

    def cuda(
        self, device: Any = None, non_blocking: bool = False, *, memory_format: Any = None
    ) -> Tensor:
        """Return the tensor on a GPU, by its number or name; the others as in ``to``."""
        return self.to(device="cuda" if device is None else as_device(device))

    def float(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as float32."""
        return self.to("float32")

    def double(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as float64."""
        return self.to("float64")

    def half(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as float16."""
        return self.to("float16")

    def bfloat16(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as bfloat16, on the CPU: 8 bits of mantissa, the range of float32.

        It takes half the memory of float32, in which it is computed. NumPy has its dtype from
        ``ml_dtypes``: ``pip install 'nnscratch[bfloat16]'``.

        Raises:
            DTypeError: if ``ml_dtypes`` is not installed.
        """
        return self.to("bfloat16")

    def long(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as int64."""
        return self.to("int64")

    def int(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as int32."""
        return self.to("int32")

    def short(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as int16."""
        return self.to("int16")

    def char(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as int8."""
        return self.to("int8")

    def byte(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as uint8."""
        return self.to("uint8")

    def cfloat(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as complex64."""
        return self.to("complex64")

    def cdouble(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as complex128."""
        return self.to("complex128")

    def bool(self, *, memory_format: Any = None) -> Tensor:
        """Return the tensor as booleans."""
        return self.to("bool")

    def type(self, dtype: Any = None, non_blocking: builtins.bool = False) -> Any:
        """Return the tensor in a dtype; without an argument, its type name "torch.FloatTensor"."""
        if dtype is None:
            place = "torch.cuda" if self.is_cuda else "torch"
            name = dtype_name(self.array.dtype)
            return f"{place}.{TYPE_NAMES.get(name, name)}"
        return self.to(dtype_of_type(dtype))

    def type_as(self, other: Tensor) -> Tensor:
        """Return the tensor in the dtype of another tensor."""
        return self.to(other.dtype)


def read_target(target: tuple[Any, ...], device: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the device and the dtype from the arguments of ``to``; None for one that is absent."""
    for item in target:
        if isinstance(item, TensorBase):
            device, dtype = item.device, item.dtype
        elif isinstance(item, (Device, int)) or (isinstance(item, str) and _names_device(item)):
            device = item
        elif item is not None:
            dtype = item
    return device, dtype


def _names_device(text: str) -> builtins.bool:
    # Those of others are named too, so that the error speaks of devices.
    return text.partition(":")[0] in ("cpu", "cuda", "mps", "xpu", "meta", "xla", "hpu", "mtia")
