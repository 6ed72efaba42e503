from collections import Counter

import numpy as np
import pytest
import torch.utils.data as theirs

import nnscratch
from nnscratch.array import Generator
from nnscratch.data import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)
from nnscratch.errors import ConfigurationError


def test_in_order():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    assert len(SequentialSampler("abc")) == 3


@pytest.mark.parametrize("num_samples", [None, 3, 10, 25])
@pytest.mark.parametrize("replacement", [False, True])
def test_at_random(num_samples, replacement):
    sampler = RandomSampler(range(10), replacement, num_samples)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == (num_samples or 10)
    assert set(drawn) <= set(range(10))
    if not replacement:
        counts = Counter(drawn)
        assert max(counts.values()) == -(-len(drawn) // 10)
        assert sorted(drawn[:10]) == sorted(set(drawn[:10]))
    assert drawn != list(sampler)


def test_a_generator_decides_what_comes():
    for make in (
        lambda generator: RandomSampler(range(30), generator=generator),
        lambda generator: RandomSampler(range(30), True, generator=generator),
        lambda generator: SubsetRandomSampler(range(5, 30), generator),
        lambda generator: WeightedRandomSampler([1.0] * 30, 20, generator=generator),
        lambda generator: WeightedRandomSampler([1.0] * 30, 20, False, generator=generator),
    ):
        one, two = make(Generator(3)), make(Generator(3))
        first, second = list(one), list(one)
        assert [list(two), list(two)] == [first, second]
        assert first != second
        nnscratch.manual_seed(8)
        drawn = list(make(None))
        nnscratch.manual_seed(8)
        assert list(make(None)) == drawn


def test_a_subset_at_random():
    sampler = SubsetRandomSampler([5, 7, 9])
    assert sorted(sampler) == [5, 7, 9]
    assert len(sampler) == 3


def test_weights():
    weights = [0.0, 1.0, 3.0, 0.0]
    drawn = Counter(WeightedRandomSampler(weights, 20_000, generator=Generator(1)))
    assert set(drawn) == {1, 2}
    assert abs(drawn[2] / 20_000 - 0.75) < 0.015
    assert sorted(WeightedRandomSampler(weights, 2, replacement=False)) == [1, 2]
    first = Counter(
        next(iter(WeightedRandomSampler(weights, 1, False, generator=Generator(seed))))
        for seed in range(2000)
    )
    assert abs(first[2] / 2000 - 0.75) < 0.05


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_in_batches(size, drop_last):
    ours, other = (kind.BatchSampler(range(7), size, drop_last) for kind in (nnscratch.utils.data,
                                                                             theirs))  # fmt: skip
    assert list(ours) == list(other)
    assert len(ours) == len(other)


@pytest.mark.parametrize(
    "make",
    [
        lambda d: d.RandomSampler(range(3), num_samples=0),
        lambda d: d.RandomSampler(range(3), replacement=1),
        lambda d: d.WeightedRandomSampler([1.0], 0),
        lambda d: d.WeightedRandomSampler([[1.0]], 1),
        lambda d: d.BatchSampler(range(3), 0, False),
        lambda d: d.BatchSampler(range(3), 2, 1),
        lambda d: d.ConcatDataset([]),
        lambda d: d.random_split(range(3), [1, 1]),
    ],
)
def test_values_that_make_no_sense(make):
    with pytest.raises(ConfigurationError):
        make(nnscratch.utils.data)
    with pytest.raises((ValueError, TypeError, AssertionError)):
        make(theirs)


def test_weights_that_are_too_few():
    with pytest.raises(ConfigurationError, match="only 1 weights are above 0"):
        WeightedRandomSampler([0.0, 1.0], 2, replacement=False)
    with pytest.raises(ConfigurationError, match="at least one above 0"):
        WeightedRandomSampler([0.0, 0.0], 1)


def test_a_sampler_without_an_order():
    with pytest.raises(TypeError, match="defines no __iter__"):
        iter(Sampler())


@pytest.mark.parametrize("lengths", [[6, 4], [0.7, 0.3], [0.35, 0.35, 0.3], [10], [3, 0, 7]])
def test_a_random_split(lengths):
    parts = random_split(range(10), lengths, generator=Generator(2))
    assert [len(part) for part in parts] == [
        len(part) for part in theirs.random_split(range(10), lengths)
    ]
    assert sorted(n for part in parts for n in part) == list(range(10))
    again = random_split(range(10), lengths, generator=Generator(2))
    assert [list(part) for part in again] == [list(part) for part in parts]


def test_a_part_that_is_empty_is_said():
    with pytest.warns(UserWarning, match="part 1 of random_split has no samples"):
        assert [len(p) for p in random_split(range(3), [0.9, 0.1])] == [3, 0]


def test_data_sets_one_after_another():
    class Letters(Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return "ab"[index]

    both = Letters() + Subset("cdef", [0, 3])
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(4)] == ["a", "b", "c", "f"]
    assert (both[-1], both[-4], len(both), both.cumulative_sizes) == ("f", "a", 4, [2, 4])
    with pytest.raises(IndexError):
        both[4]
    with pytest.raises(IndexError):
        both[-5]

    class Stream(IterableDataset):
        def __iter__(self):
            yield 1

    with pytest.raises(ConfigurationError, match="no indices"):
        Letters() + Stream()
    with pytest.raises(TypeError, match="defines no __iter__"):
        iter(IterableDataset())


def test_parts_are_taken_by_index_and_list():
    part = Subset(TensorDataset(np.arange(5)), [4, 2])
    assert part[0][0].item() == 4
    assert part[[1, 0]][0].tolist() == [2, 4]
    assert len(part) == 2
