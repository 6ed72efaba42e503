"""Data sets, whose samples are read by index or by iteration."""

from __future__ import annotations

import math
import types
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, ClassVar

import numpy as np

from nnscratch.array import Generator, as_device, move
from nnscratch.array.random import default_generator
from nnscratch.data.rows import as_column, at, take
from nnscratch.errors import ConfigurationError, DataError
from nnscratch.tensors import Tensor


class Dataset:
    """The base of data sets: a subclass has ``__getitem__`` and ``__len__``.

    A loader takes anything that has these two, whatever its base.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return index, index**2
    >>> Squares()[2]
    (2, 4)
    """

    __class_getitem__: ClassVar[Any] = classmethod(types.GenericAlias)

    def __getitem__(self, index: Any) -> Any:
        raise TypeError(f"{type(self).__name__} defines no __getitem__(self, index)")

    def __add__(self, other: Any) -> Any:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """The base of data sets without indices: a subclass has ``__iter__``, asked anew each epoch.

    >>> class Lines(IterableDataset):
    ...     def __iter__(self):
    ...         yield from ("first", "second")
    >>> list(Lines())
    ['first', 'second']
    """

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{type(self).__name__} defines no __iter__(self)")

    def __add__(self, other: Any) -> Any:
        return ChainDataset([self, other])


class ChainDataset(IterableDataset):
    """Several data sets without indices one after another; ``a + b`` of two of them is one.

    Raises:
        ConfigurationError: if one is no ``IterableDataset``.

    >>> class Lines(IterableDataset):
    ...     def __iter__(self):
    ...         yield from ("first", "second")
    >>> list(Lines() + Lines())
    ['first', 'second', 'first', 'second']
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        for one in self.datasets:
            if not isinstance(one, IterableDataset):
                raise ConfigurationError(
                    f"a ChainDataset is made of IterableDatasets, got a {type(one).__name__}; a "
                    "ConcatDataset is made of data sets with indices"
                )

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(one) for one in self.datasets)


class ConcatDataset(Dataset):
    """Several data sets one after another; ``a + b`` of two data sets is one.

    Raises:
        ConfigurationError: if there is none, or one has no indices.

    >>> data = ConcatDataset(["ab", "cde"])
    >>> len(data), data[2], data[-1]
    (5, 'c', 'e')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ConfigurationError("a ConcatDataset needs at least one data set, got none")
        if any(isinstance(one, IterableDataset) for one in self.datasets):
            raise ConfigurationError(
                "an IterableDataset has no indices, so it cannot be part of a ConcatDataset; "
                "a ChainDataset is made of such"
            )
        self.cumulative_sizes = list(accumulate(len(one) for one in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range of {len(self)} samples")
        index %= len(self)
        which = bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]


class Subset(Dataset):
    """The samples of a data set at some indices, in their order.

    >>> list(Subset("abcd", [3, 1]))
    ['d', 'b']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[one] for one in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Return the samples at several indices; a loader asks for a whole batch so."""
        if type(self).__getitem__ is not Subset.__getitem__:
            return [self[index] for index in indices]  # those of a subclass are its own
        mine = [self.indices[index] for index in indices]
        many = getattr(self.dataset, "__getitems__", None)
        return many(mine) if callable(many) else [self.dataset[index] for index in mine]

    def __len__(self) -> int:
        return len(self.indices)


class StackDataset(Dataset):
    """Several data sets zipped: sample i consists of the i-th sample of each.

    Args:
        args: data sets of one length; samples are tuples then.
        kwargs: data sets of one length by name; samples are dictionaries then.

    Raises:
        ConfigurationError: if there is none, if there are both kinds, or if the lengths differ.

    >>> data = StackDataset(image=["a", "b"], label=[0, 1])
    >>> len(data), data[1]
    (2, {'image': 'b', 'label': 1})
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ConfigurationError(
                "a StackDataset is given all data sets by position, for tuples, or all by name, "
                "for dictionaries; got both"
            )
        self.datasets: tuple[Any, ...] | dict[str, Any] = args or kwargs
        lengths = [len(one) for one in (args or kwargs.values())]
        if not lengths:
            raise ConfigurationError("a StackDataset needs at least one data set, got none")
        if len(set(lengths)) > 1:
            raise ConfigurationError(
                "the data sets of a StackDataset have different lengths: "
                f"{', '.join(map(str, lengths))}; each needs one sample for each of the others"
            )
        self._length = lengths[0]

    def _sample(self, parts: Sequence[Any]) -> Any:
        """Return the parts of a sample, or of a batch, in the form of the data sets."""
        if isinstance(self.datasets, dict):
            return dict(zip(self.datasets, parts, strict=True))
        return tuple(parts)

    @property
    def parts(self) -> list[Any]:
        """The data sets in order, whether they have names or not."""
        both = self.datasets
        return list(both.values() if isinstance(both, dict) else both)

    def __getitem__(self, index: Any) -> Any:
        return self._sample([one[index] for one in self.parts])

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Return the samples at several indices; a loader asks for a whole batch so."""
        if type(self).__getitem__ is not StackDataset.__getitem__:
            return [self[index] for index in indices]  # those of a subclass are its own
        columns = []
        for one in self.parts:
            many = getattr(one, "__getitems__", None)
            columns.append(many(indices) if callable(many) else [one[index] for index in indices])
            if len(columns[-1]) != len(indices):
                raise DataError(
                    f"{type(one).__name__}.__getitems__ was asked for {len(indices)} samples and "
                    f"returned {len(columns[-1])}"
                )
        return [self._sample(parts) for parts in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return self._length


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset]:
    """Split a data set at random into parts that do not overlap.

    Args:
        dataset: what has a length and indices.
        lengths: how many samples each part has; or which share, if they add to 1.
        generator: where the random numbers come from, the default one if it is not given.

    Raises:
        ConfigurationError: if the lengths do not add to the number of samples, nor to 1.

    >>> [len(part) for part in random_split(range(10), [0.7, 0.3])]
    [7, 3]
    """
    count = len(dataset)
    sizes = [int(length) for length in lengths]
    if math.isclose(sum(lengths), 1.0) and sum(lengths) <= 1:
        if not all(0 <= share <= 1 for share in lengths):
            raise ConfigurationError(f"shares must be from 0 to 1, got {list(lengths)}")
        sizes = [math.floor(count * share) for share in lengths]
        for extra in range(count - sum(sizes)):
            sizes[extra % len(sizes)] += 1
        for position, size in enumerate(sizes):
            if size == 0:
                warnings.warn(f"part {position} of random_split has no samples", stacklevel=2)
    if sum(sizes) != count or any(size < 0 for size in sizes):
        raise ConfigurationError(
            f"random_split: {list(lengths)} add to {sum(lengths)}, expected {count}, the number of "
            "samples, or shares that add to 1"
        )
    order = (generator or default_generator).permutation(count)
    return [Subset(dataset, part.tolist()) for part in np.split(order, np.cumsum(sizes)[:-1])]


class TensorDataset(Dataset):
    """Tensors or arrays of one length: sample i is the i-th row of each.

    Tensors are taken as they are. Of arrays, floating ones become the default dtype (float32) and
    integers and booleans int64, without a copy where they are that already.

    Args:
        tensors: at least one, each (N, ...) with the same N above 0.

    Raises:
        ConfigurationError: if there is none, or one has no dimensions.
        DataError: if there are no samples, or the lengths differ.

    >>> data = TensorDataset(np.zeros((3, 2)), np.array([0, 1, 0]))
    >>> len(data), data[2]
    (3, (tensor([0., 0.]), tensor(0)))
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ConfigurationError("a TensorDataset needs at least one tensor, got none")
        self.arrays = tuple(as_column(item, place) for place, item in enumerate(tensors))
        for position, array in enumerate(self.arrays):
            if array.ndim == 0:
                raise ConfigurationError(
                    f"tensor {position} of a TensorDataset has no dimensions; the first one "
                    "counts the samples"
                )
        lengths = [int(array.shape[0]) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise DataError(
                f"the tensors of a data set have different lengths: "
                f"{', '.join(map(str, lengths))}; "
                "each needs one row a sample"
            )
        if lengths[0] == 0:
            raise DataError("the data set is empty: its tensors have no rows")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors, by PyTorch's name; they share memory with the data set."""
        return tuple(Tensor(array) for array in self.arrays)

    def __len__(self) -> int:
        return int(self.arrays[0].shape[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(at(array, index) for array in self.arrays)

    def take(self, indices: Any) -> tuple[Tensor, ...]:
        """Return the samples at an integer array of indices, as one copy of each array.

        Indices on the host serve all devices, also where the tensors are on several.

        Raises:
            DeviceError: if other indices are not where a tensor is.
        """
        return tuple([Tensor(take(array, indices)) for array in self.arrays])

    def slice(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """Return the samples from ``start`` to ``stop`` without a copy."""
        return tuple([Tensor(array[start:stop, ...]) for array in self.arrays])

    def to(self, device: Any) -> TensorDataset:
        """Return the data set on a device; the same object if it is there already.

        Raises:
            DeviceError: if this machine has no such device.
        """
        moved = [move(array, as_device(device)) for array in self.arrays]
        if all(new is old for new, old in zip(moved, self.arrays, strict=True)):
            return self
        return TensorDataset(*[Tensor(array) for array in moved])
