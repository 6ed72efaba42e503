"""Basic and advanced indexing of a tensor: integers, slices, masks and arrays of integers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import is_cupy_array

from nnscratch import formulas as f
from nnscratch.array import (
    array_namespace,
    dtype_name,
    is_array,
    is_integer,
    same_device,
    to_device_of,
)
from nnscratch.array.addresses import on_device_of
from nnscratch.array.memory import explaining
from nnscratch.errors import ShapeError
from nnscratch.formulas import registry
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.grad_mode import is_grad_enabled
from nnscratch.tensors.methods import axis_of, numpy_names
from nnscratch.tensors.promotion import checked_number, refuse_complex_items

if TYPE_CHECKING:
    from nnscratch.tensors.tensor import Tensor

_FULL = slice(None)


class TensorIndexing(TensorBase):
    """The methods of ``Tensor`` for indexing: ``x[i]``, ``gather``, ``nonzero``, ``x[i] = v``."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Tensor:
        """Return the elements at an index, with PyTorch's semantics.

        Raises:
            IndexError: if an integer is out of range, or there are too many indices.
            DataError: if an integer in an array is out of range.
            ShapeError: for a mask of another shape, or arrays that do not broadcast.
        """
        items = _items(index)
        if any(_is_boolean_scalar(item) for item in items):
            return self._index_with_booleans(items)
        if not any(_is_advanced(item) for item in items):
            return self._apply(f.GETITEM, index=_basic_index(items))
        return self._take_arrays(list(items))

    def _index_with_booleans(self, items: tuple[Any, ...]) -> Tensor:
        """Index by True, False or 0-d masks: insert an axis of size 1 for each, and mask that."""
        places: list[Any] = []
        for item in items:
            if item is None or item is Ellipsis:
                places.append(item)
            else:
                places += [None] if _is_boolean_scalar(item) else [_FULL] * _indexed_dims(item)
        masks = tuple(
            np.reshape(np.asarray(_boolean_scalar(item)), (1,))
            if _is_boolean_scalar(item)
            else item
            for item in items
        )
        rest = tuple(_FULL if item is None else item for item in masks)
        return self._apply(f.GETITEM, index=tuple(places))[rest]

    def _take_arrays(self, items: list[Any]) -> Tensor:
        """Index by arrays: apply the slices, merge the indexed dimensions, ``take`` from them."""
        tensor, items, places = _split(self, items)
        first, last = places[0], places[-1]
        together = places == list(range(first, last + 1))
        if not together:
            # If the indexed dimensions are not adjacent, the result's go to the front, as in NumPy.
            order = [*places, *(d for d in range(tensor.ndim) if d not in places)]
            tensor, first = tensor.permute(*order), 0
        count = len(places)
        sizes = tensor.shape[first : first + count]
        merged = tensor.reshape(
            *tensor.shape[:first], math.prod(sizes), *tensor.shape[first + count :]
        )
        flat = _flat_positions(self, [items[place] for place in places], sizes)
        return merged._apply(f.TAKE, flat, axis=first)  # type: ignore[no-any-return]

    @numpy_names
    def gather(self, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
        """Return the elements at indices along one dimension: ``Y[i, j, k] = x[i, I[i, j, k], k]``.

        Args:
            dim: the dimension that is indexed, 1 in the equation above.
            index: integers I of as many dimensions as the tensor, and at most its size along the
                other dimensions. The result has the shape of ``index``.
            sparse_grad: accepted as in PyTorch; gradients are dense.

        Raises:
            ShapeError: if ``index`` has another number of dimensions, or is larger than the tensor
                along another dimension.
            DataError: if an index is not from 0 to the size less 1.
        """
        axis = axis_of(dim, self.ndim)
        if not index.numel():
            return self.reshape(-1)._apply(f.TAKE, index.to("int64"), axis=0)
        if self.ndim == 0:
            return self.reshape(1).gather(0, index.reshape(-1)).reshape(index.shape)
        if index.ndim == 0 and self.ndim == 1:
            return self.gather(0, index.reshape(1)).reshape(())
        return self._apply(f.GATHER, index, axis=axis)

    @numpy_names
    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Return the slices along a dimension at the given indices, as many as indices.

        Raises:
            ShapeError: if ``index`` has more than one dimension.
            DataError: if an index is not from 0 to the size less 1; ``x[index]`` also counts from
                the end.
        """
        if index.ndim > 1:
            raise ShapeError(
                f"index_select: the index must be a vector, got shape {index.shape}; use "
                "index.flatten(), or x[index] for a result of more dimensions"
            )
        axis = axis_of(dim, self.ndim)
        if self.ndim == 0:
            return self.reshape(1).index_select(0, index).reshape(())
        return self._apply(f.TAKE, index.reshape(-1), axis=axis, negative=False)

    def masked_select(self, mask: Tensor) -> Tensor:
        """Return the elements where the mask is true, as a vector."""
        shape = broadcast_shape("masked_select", self.array, mask.array)
        return self._apply(f.BROADCAST_TO, shape=shape)[mask.expand(*shape)]

    def nonzero(self, as_tuple: bool = False) -> Any:
        """Return the indices of the nonzero elements.

        Returns:
            An int64 tensor of shape (count, ndim); with ``as_tuple`` a tuple of ndim vectors.
        """
        registry.notify_read(self.array, "nonzero()")
        xp = array_namespace(self.array)
        with on_device_of(self.array), explaining("nonzero"):
            array = self.array if self.ndim else xp.reshape(self.array, (1,))
            found = xp.nonzero(array)
            if as_tuple:
                return tuple(self._wrap(positions) for positions in found)
            return self._wrap(xp.stack(found, axis=1)[:, : self.ndim])

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write values at an index, in place.

        If the tensor or the value has ``requires_grad=True``, the change is recorded: gradients
        flow to the value, and to the elements of the tensor that were not overwritten.

        Raises:
            GradientError: if the tensor is a leaf with ``requires_grad=True``.
            IndexError: if the index is out of range, or not an index.
            DeviceError: if an index or the value is a tensor on another device.
            ShapeError: if the value does not broadcast to the shape of the indexed elements.
        """
        asks = self.requires_grad or getattr(value, "requires_grad", False)
        if asks and is_grad_enabled():
            self._overwrite(tuple(_raw_index(item, self.array) for item in _items(index)), value)
            return
        registry.notify_read(self.array, "setting items")
        self._refuse_expanded()
        if isinstance(value, TensorBase):
            registry.notify_read(value.array, "setting items")
            if value.ndim:
                same_device("setting items", tensor=self.array, value=value.array)
            ones = next((d for d, n in enumerate(value.shape) if n != 1), value.ndim)
            held = value.array.reshape(value.shape[ones:])  # as in PyTorch, x[0, 1] = tensor([7.])
            value = held if held.ndim else held.item()
        if isinstance(value, (complex, np.complexfloating)):
            value = checked_number("setting items", value, dtype_name(self.array.dtype))
        elif hasattr(value, "dtype"):
            refuse_complex_items(value, self.array)
        place = tuple(_raw_index(item, self.array) for item in _items(index))
        with on_device_of(self.array):
            if is_cupy_array(self.array):
                place = _checked_for_cupy(self.array, place)
                if not isinstance(value, (bool, int, float)):
                    value = to_device_of(value, self.array)
            try:
                self.array[place] = value
            except (ValueError, TypeError) as error:
                where = f"setting items of a tensor of shape {self.shape}"
                raise ShapeError(f"{where}: {error}") from error
        self._version[0] += 1


def _is_advanced(item: Any) -> bool:
    if isinstance(item, TensorBase):
        return True
    return isinstance(item, (list, tuple, bool)) or (
        is_array(item) and not _is_integer_scalar(item)
    )


def _items(index: Any) -> tuple[Any, ...]:
    """Return the entries of an index as a tuple.

    As in NumPy, a list counts as a tuple if it contains a slice, an array or a list.
    """
    if isinstance(index, list) and len(index) < 32:
        if any(_is_entry(item) for item in index):
            return tuple(index)
    elif isinstance(index, range):
        index = list(index)
    return index if isinstance(index, tuple) else (index,)


def _is_entry(item: Any) -> bool:
    kinds = (TensorBase, list, tuple, slice, type(None), type(Ellipsis))
    return isinstance(item, kinds) or is_array(item)


def _is_boolean_scalar(item: Any) -> bool:
    """Say whether an entry is True, False or a 0-d mask."""
    if isinstance(item, (bool, np.bool_)):
        return True
    array = getattr(item, "array", item)
    return is_array(array) and array.ndim == 0 and dtype_name(array.dtype) in ("bool", "uint8")


def _boolean_scalar(item: Any) -> bool:
    if isinstance(item, TensorBase):
        registry.notify_read(item.array, "indexing by a mask")
    return bool(getattr(item, "array", item))


def _indexed_dims(item: Any) -> int:
    """Return how many of the tensor's dimensions an entry indexes."""
    array = getattr(item, "array", item)
    if isinstance(array, (list, tuple)):
        array = np.asarray(array)
    masks = is_array(array) and dtype_name(array.dtype) in ("bool", "uint8")
    return int(array.ndim) if masks else 1


def _is_integer_scalar(item: Any) -> bool:
    return item.ndim == 0 and is_integer(item)


def _basic_index(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(int(item) if is_array(item) else item for item in items)


def _split(tensor: Any, items: list[Any]) -> tuple[Any, list[Any], list[int]]:
    """Apply the integers, slices and None of an index, and leave the arrays.

    A mask is replaced by the indices of its true elements, one array for each of its dimensions.

    Returns:
        The indexed tensor, the entries for its dimensions (arrays, slices, None), and the numbers
        of the dimensions whose entry is an array.
    """
    spread: list[Any] = []
    for item in items:
        if not _is_advanced(item):
            spread.append(item)
            continue
        # A list or a NumPy array is copied to the tensor's device; a tensor must be there already.
        array: Any = item
        if not isinstance(item, TensorBase):
            array = tensor._wrap(to_device_of(item, tensor.array))
        if dtype_name(array.array.dtype) == "uint8":
            array = array.to("bool")  # as in PyTorch, whose masks were uint8 before it had bool
        if dtype_name(array.array.dtype) == "bool":
            spread += _positions(tensor, array, spread)
        elif array.array.size == 0 and not is_integer(array.array):
            spread.append(array.to("int64"))
        else:
            spread.append(array)
    named = sum(item is not None and item is not Ellipsis for item in spread)
    if named > tensor.ndim:
        raise IndexError(f"index of {named} entries for a tensor of shape {tensor.shape}")
    rest = [_FULL] * (tensor.ndim - named)
    if any(item is Ellipsis for item in spread):
        at = next(i for i, item in enumerate(spread) if item is Ellipsis)
        spread[at : at + 1] = rest
    else:
        spread += rest
    basic = [_FULL if isinstance(item, TensorBase) else item for item in spread]
    if any(not (isinstance(item, slice) and item == _FULL) for item in basic):
        tensor = tensor._apply(f.GETITEM, index=_basic_index(tuple(basic)))
    # Applied integers have removed their dimensions; None has inserted one.
    kept = [item for item in spread if item is None or isinstance(item, (TensorBase, slice))]
    return tensor, kept, [d for d, item in enumerate(kept) if isinstance(item, TensorBase)]


def _positions(tensor: Any, mask: Any, before: list[Any]) -> list[Any]:
    registry.notify_read(mask.array, "indexing by a mask")
    if mask.ndim == 0:
        raise ShapeError(
            "expected a mask of at least one dimension, got one of none; use a slice or "
            "nnscratch.where"
        )
    at = sum(item is not None for item in before)
    if Ellipsis in [item for item in before if not isinstance(item, TensorBase)]:
        at = tensor.ndim - mask.ndim
    lead = tensor.shape[at : at + mask.ndim]
    if lead != mask.shape:
        raise ShapeError(f"a mask of shape {mask.shape} does not fit dimensions {lead}")
    with on_device_of(mask.array):
        found = array_namespace(mask.array).nonzero(mask.array)
    return [tensor._wrap(one) for one in found]


def _flat_positions(tensor: Any, indices: list[Any], sizes: tuple[int, ...]) -> Any:
    """Return the row-major index into merged dimensions, as ``numpy.ravel_multi_index`` does."""
    if len(indices) == 1:
        return indices[0]
    flat: Any = None
    for position, size in zip(indices, sizes, strict=True):
        if not is_integer(position.array):
            raise ShapeError(f"only integers and masks can be an index, got {position.dtype}")
        # Taking from 0, 1, 2, ... checks the range and makes negative indices count from 0.
        array = position.array
        with on_device_of(array):
            counted = array_namespace(array).arange(size, dtype=array.dtype, device=array.device)
        wrapped = tensor._wrap(counted)._apply(f.TAKE, position, axis=0)
        flat = wrapped if flat is None else flat * size + wrapped
    return flat


def _raw_index(index: Any, array: Any) -> Any:
    if isinstance(index, tuple):
        index = list(index)
    if isinstance(index, list):
        return [_raw_index(item, array) for item in index]
    if is_array(index) and dtype_name(index.dtype) == "uint8":
        return index != 0  # a mask, as in PyTorch
    if isinstance(index, TensorBase):
        registry.notify_read(index.array, "indexing by it")
        same_device("setting items", tensor=array, index=index.array)
        return _raw_index(index.array, array)
    return index


def _checked_for_cupy(array: Any, items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an index after the checks that CuPy leaves out.

    CuPy wraps indices that are out of range, and truncates fractions.

    Raises:
        IndexError: if an entry is not an index, or is out of range.
    """
    made = [
        to_device_of(np.asarray(i, None if len(i) else np.int64), array)
        if isinstance(i, (list, np.ndarray))
        else i
        for i in items
    ]
    taken = [_count_dims(item) for item in made]
    axis = 0
    for item, count in zip(made, taken, strict=True):
        if item is Ellipsis:
            axis += array.ndim - sum(taken)
        elif is_cupy_array(item) and is_integer(item) and axis < array.ndim:
            size = array.shape[axis]
            wrong = (item < -size) | (item >= size)
            if bool(wrong.any()):
                raise IndexError(
                    f"an index of {int(item[wrong].ravel()[0])} is out of range for axis {axis} "
                    f"with size {size}"
                )
        axis += count
    return tuple(made)


def _count_dims(item: Any) -> int:
    """Return how many dimensions of an array an entry of its index takes.

    Raises:
        IndexError: if the entry is not an index.
    """
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if is_cupy_array(item) and dtype_name(item.dtype) == "bool":
        return int(item.ndim)
    whole = hasattr(item, "__index__") or (is_cupy_array(item) and is_integer(item))
    if not (whole or isinstance(item, slice)):
        raise IndexError(
            "expected an integer, a slice, None, ..., a mask or an array of integers as an index, "
            f"got {getattr(item, 'dtype', None) or repr(item)}"
        )
    return 1
