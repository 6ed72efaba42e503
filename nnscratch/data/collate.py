"""Making a batch of samples of any structure, as PyTorch's collate functions do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_array
from nnscratch.array.addresses import copied
from nnscratch.data.dataset import StackDataset, Subset, TensorDataset
from nnscratch.data.rows import take
from nnscratch.errors import DataError, DTypeError
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.functions import stack

_NUMBERS = "biuf"


def default_collate(batch: Sequence[Any]) -> Any:
    """Return a list of samples as one batch of the same structure, stacked along a new first axis.

    Tensors and arrays are stacked in their dtype. Python integers become int64, booleans bool and
    floats float64, as in PyTorch. Texts stay a list. Dictionaries, named tuples, tuples and lists
    are taken apart, and the batch is a dictionary or a list of the batches of their parts.

    Args:
        batch: at least one sample.

    Raises:
        DataError: if there is none, or tensors differ in shape, or lists in length.
        DTypeError: of samples that can be no batch, such as None.

    >>> default_collate([(np.ones(2, np.float32), 3), (np.zeros(2, np.float32), 4)])
    [tensor([[1., 1.],
            [0., 0.]]), tensor([3, 4])]
    >>> default_collate([{"x": 0.5, "name": "a"}, {"x": 1.5, "name": "b"}])
    {'x': tensor([0.5, 1.5], dtype=float64), 'name': ['a', 'b']}
    """
    if not len(batch):
        raise DataError("a batch of no samples cannot be made")
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked([as_tensor(item) for item in batch])
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, (np.ndarray, np.generic)) and first.dtype.kind not in _NUMBERS:
        raise DTypeError(f"samples of dtype {first.dtype} can be no batch; give a collate_fn")
    if is_array(first) or isinstance(first, np.generic):
        return _stacked([as_tensor(item) for item in batch])
    if isinstance(first, float):
        return Tensor(np.asarray(batch, np.float64))
    if isinstance(first, int):
        return as_tensor(list(batch))
    if isinstance(first, Mapping):
        return _like(first, {key: default_collate([item[key] for item in batch]) for key in first})
    if isinstance(first, Sequence):
        lengths = sorted({len(item) for item in batch})
        if len(lengths) > 1:
            raise DataError(
                f"samples of one batch are lists of different lengths, {_joined(lengths)}; pad "
                "them, or give a collate_fn"
            )
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return _like(first, columns)
    raise DTypeError(
        "a batch is made of tensors, arrays, numbers, texts, dictionaries and lists; got "
        f"{type(first).__name__}. Give a collate_fn that makes a batch of these samples"
    )


def default_convert(data: Any) -> Any:
    """Return a sample with its arrays replaced by tensors, and everything else unchanged."""
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind not in _NUMBERS else as_tensor(data)
    if is_array(data):
        return as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(item) for item in data])
    return data


def fetch(
    dataset: Any, indices: Any, collate_fn: Callable[[list[Any]], Any], copies: bool = True
) -> Any:
    """Return the batch of the samples at some indices.

    Args:
        dataset: what gives samples by their index, or by a list of them in ``__getitems__``.
        indices: a list, an integer array, or a slice.
        collate_fn: makes the batch of a list of samples.
        copies: whether the batch has memory of its own also where a slice needs none.
    """
    if collate_fn is default_collate:
        made = _at_once(dataset, indices, copies)
        if made is not None:
            return made
    if isinstance(indices, slice):
        indices = range(indices.start, indices.stop)
    chosen = indices.tolist() if hasattr(indices, "tolist") else list(indices)
    many = getattr(dataset, "__getitems__", None)
    return collate_fn(many(chosen) if callable(many) else _samples(dataset, chosen))


def _samples(dataset: Any, chosen: list[Any]) -> list[Any]:
    samples = []
    for index in chosen:
        try:
            samples.append(dataset[index])
        except Exception as error:
            error.add_note(f"The DataLoader asked {type(dataset).__name__} for sample {index!r}.")
            raise
    return samples


def is_in_memory(dataset: Any) -> bool:
    """Say whether a data set's batches are rows of arrays, taken without running user code."""
    if isinstance(dataset, (Tensor, np.ndarray)):
        return _rows(dataset, slice(0, 0), copies=False) is not None
    kind = type(dataset).__getitem__ if hasattr(type(dataset), "__getitem__") else None
    if isinstance(dataset, TensorDataset):
        return kind is TensorDataset.__getitem__
    if isinstance(dataset, Subset):
        return kind is Subset.__getitem__ and is_in_memory(dataset.dataset)
    if isinstance(dataset, StackDataset):
        return kind is StackDataset.__getitem__ and all(map(is_in_memory, dataset.parts))
    return False


def _at_once(dataset: Any, indices: Any, copies: bool) -> Any:
    """Return a batch without making its samples one by one, None if the data set requires that."""
    # A subclass may return other samples than the rows.
    if isinstance(dataset, (Tensor, np.ndarray)):
        return _rows(dataset, indices, copies)
    if isinstance(dataset, TensorDataset):
        if type(dataset).__getitem__ is not TensorDataset.__getitem__:
            return None
        if isinstance(indices, slice):
            made = dataset.slice(indices.start, indices.stop)
            return [Tensor(copied(item.array)) if copies else item for item in made]
        return list(dataset.take(np.asarray(indices) if isinstance(indices, list) else indices))
    if isinstance(dataset, Subset) and type(dataset).__getitem__ is Subset.__getitem__:
        if isinstance(indices, slice):
            mine = list(dataset.indices[indices])
        else:
            chosen = indices.tolist() if hasattr(indices, "tolist") else indices
            mine = [dataset.indices[index] for index in chosen]
        return _at_once(dataset.dataset, mine, copies)
    if isinstance(dataset, StackDataset) and type(dataset).__getitem__ is StackDataset.__getitem__:
        columns = [_at_once(one, indices, copies) for one in dataset.parts]
        if any(column is None for column in columns):
            return None
        names = dataset.datasets
        return dict(zip(names, columns, strict=True)) if isinstance(names, dict) else columns
    return None


def _rows(data: Any, indices: Any, copies: bool) -> Tensor | None:
    """Return rows of a tensor or array as a batch, None where they have to be stacked."""
    if isinstance(data, Tensor) and data.requires_grad:
        return None
    array = data.array if isinstance(data, Tensor) else data
    if array.ndim == 0 or array.dtype.kind not in _NUMBERS or not array.dtype.isnative:
        return None
    if isinstance(indices, slice):
        part = Tensor(array[indices, ...])
        return Tensor(copied(part.array)) if copies else part
    return Tensor(take(array, np.asarray(indices) if isinstance(indices, list) else indices))


def _stacked(tensors: list[Tensor]) -> Tensor:
    shapes = sorted({tensor.shape for tensor in tensors})
    if len(shapes) > 1:
        raise DataError(
            f"samples of one batch have different shapes: {_joined(shapes)}; pad or crop them, or "
            "give a collate_fn"
        )
    # Those of several dtypes have one in common, which is not always NumPy's.
    if any(one.requires_grad for one in tensors) or len({one.dtype for one in tensors}) > 1:
        made: Tensor = stack(tensors)
        return made
    arrays = [tensor.array for tensor in tensors]
    return Tensor(array_namespace(arrays[0]).stack(arrays))


def _joined(items: list[Any]) -> str:
    return " and ".join(map(str, items[:4])) + (" ..." if len(items) > 4 else "")


def _like(sample: Any, parts: Any) -> Any:
    """Return the parts in the type of a sample, a list where that takes no parts or is a tuple."""
    if hasattr(sample, "_fields"):
        return type(sample)(*parts)
    if isinstance(sample, tuple) or type(sample) in (dict, list):
        return parts
    try:
        # A copy keeps what else the sample has, such as a default.
        if isinstance(sample, MutableMapping):
            mapping = copy.copy(sample)
            mapping.update(parts)
            return mapping
        if isinstance(sample, MutableSequence):
            sequence = copy.copy(sample)
            for place, part in enumerate(parts):
                sequence[place] = part
            return sequence
        return type(sample)(parts)
    except (TypeError, ValueError):  # such as a range, or an array.array, which holds numbers
        return parts
