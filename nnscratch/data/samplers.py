"""Samplers: which samples come in an epoch, and in which order.

Each is asked anew for every epoch. Random ones draw from a generator, the default one unless
another is given, so ``manual_seed`` decides what comes.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence, Sized
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnscratch.array import Generator, to_numpy
from nnscratch.array.random import default_generator
from nnscratch.array.wholes import as_index
from nnscratch.errors import ConfigurationError
from nnscratch.tensors import as_tensor

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """The base of samplers: a subclass has ``__iter__``, and ``__len__`` where it knows it.

    >>> class Evens(Sampler):
    ...     def __init__(self, data):
    ...         self.data = data
    ...     def __iter__(self):
    ...         return iter(range(0, len(self.data), 2))
    >>> list(Evens("abcde"))
    [0, 2, 4]
    """

    __class_getitem__: ClassVar[Any] = classmethod(types.GenericAlias)

    def __init__(self, data_source: Any = None) -> None:
        """Accept and ignore the arguments of a subclass."""

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{type(self).__name__} defines no __iter__(self)")


class SequentialSampler(Sampler):
    """The samples from first to last."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """The samples in random order, or drawn one by one where they may come twice.

    Args:
        data_source: what has a length.
        replacement: whether a sample may come again before all others have come.
        num_samples: how many an epoch has; as many as there are, if it is not said. More than
            that, without replacement, begin another order.
        generator: where the random numbers come from.

    Raises:
        ConfigurationError: for a ``num_samples`` below 1, no samples to draw from, or a
            ``replacement`` that is no boolean.

    >>> sorted(RandomSampler(range(4)))
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        _check_boolean(replacement, "replacement")
        if num_samples is not None:
            check_count(num_samples)
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self._num_samples = num_samples
        if self.num_samples < 1:
            raise ConfigurationError("RandomSampler has nothing to draw: the data set is empty")

    @property
    def num_samples(self) -> int:
        """How many samples an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        generator, size, count = self.generator, len(self), self.num_samples
        n = len(self.data_source)
        if generator is None:
            # All orders of an epoch follow from one number that is drawn now: whoever asks for
            # indices ahead of time takes no numbers away from others.
            generator = Generator(int(default_generator.randint(0, 2**62, (1,))[0]))
        if self.replacement:
            yield from generator.randint(0, n, (size,)).tolist()
            return
        while count > 0:
            yield from generator.permutation(n)[:count].tolist()
            count -= n

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """Some samples, by their indices, in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[Any]:
        for place in (self.generator or default_generator).permutation(len(self.indices)).tolist():
            yield self.indices[place]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Samples drawn with probabilities in proportion to their weights.

    Args:
        weights: (N,) one for each sample, not negative; they need not add to 1.
        num_samples: how many to draw.
        replacement: whether a sample may come twice.
        generator: where the random numbers come from.

    Raises:
        ConfigurationError: if the weights are no such vector, all are 0, or, without replacement,
            fewer than ``num_samples`` are above 0.

    >>> set(WeightedRandomSampler([0.0, 1.0, 3.0], 8)) <= {1, 2}
    True
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        check_count(num_samples)
        _check_boolean(replacement, "replacement")
        self.weights = as_tensor(weights).to("float64")
        values = to_numpy(self.weights.array)
        if values.ndim != 1 or not np.all(values >= 0) or not 0 < values.sum() < np.inf:
            raise ConfigurationError(
                "WeightedRandomSampler needs a vector of weights from 0 on, at least one above 0"
            )
        if not replacement and np.count_nonzero(values) < num_samples:
            raise ConfigurationError(
                f"WeightedRandomSampler: num_samples={num_samples} without replacement, but only "
                f"{np.count_nonzero(values)} weights are above 0"
            )
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        generator = self.generator or default_generator
        weights: npt.NDArray[np.float64] = to_numpy(self.weights.array)
        if self.replacement:
            sums = np.cumsum(weights)
            numbers = generator.uniform((self.num_samples,), "float64") * sums[-1]
            return iter(np.searchsorted(sums, numbers, side="right").tolist())
        # Of exponential waiting times with these rates, the first ones (Efraimidis, Spirakis 2006).
        with np.errstate(divide="ignore"):
            times = -np.log1p(-generator.uniform(weights.shape, "float64")) / weights
        times[weights == 0] = np.inf
        return iter(np.argsort(times, kind="stable")[: self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """The indices of another sampler, in lists of ``batch_size``.

    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        check_count(batch_size, "batch_size")
        _check_boolean(drop_last, "drop_last")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        group: list[Any] = []
        for index in self.sampler:
            group.append(index)
            if len(group) == self.batch_size:
                yield group
                group = []
        if group and not self.drop_last:
            yield group

    def __len__(self) -> int:
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


def check_count(value: Any, name: str = "num_samples", least: int = 1) -> None:
    """Raise ``ConfigurationError`` if a value is no whole number, or too small."""
    number = as_index(value)
    if isinstance(value, bool) or number is None or number < least:
        raise ConfigurationError(
            f"{name} must be a whole number of at least {least}, got {value!r}"
        )


def _check_boolean(value: Any, name: str) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, got {value!r}")
