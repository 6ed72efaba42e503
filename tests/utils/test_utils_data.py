"""``utils.data`` has PyTorch's names, orders, lengths and errors."""

import array
from collections import OrderedDict, UserDict, UserList, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.data as theirs

import nnscratch
from nnscratch import data
from nnscratch.errors import NNScratchError

ours = nnscratch.utils.data
A = np.arange(3, dtype=np.float32)


def shown(item: Any) -> Any:
    """Everything of a batch that can be compared: kinds, dtypes, values."""
    if isinstance(item, (torch.Tensor, nnscratch.Tensor)):
        return str(item.dtype).removeprefix("torch."), tuple(item.shape), item.tolist()
    if isinstance(item, (dict, UserDict)):
        parts = {key: shown(value) for key, value in item.items()}
        return type(item).__name__, parts, getattr(item, "default_factory", None)
    if isinstance(item, (list, tuple, UserList, range)):
        return type(item).__name__, [shown(part) for part in item]
    return item


def test_names() -> None:
    """All that is no data pipe, which PyTorch gives up, and no distributed training."""
    pipes = {"DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe", "_DatasetKind",
             "argument_validation", "functional_datapipe", "guaranteed_datapipes_determinism",
             "non_deterministic", "runtime_validation", "runtime_validation_disabled"}  # fmt: skip
    names = set(theirs.__all__) - pipes - {"DistributedSampler"}
    assert names <= set(ours.__all__)
    for name in names:
        assert getattr(ours, name) is getattr(data, name)


class MyList(list[Any]):
    pass


BATCHES: dict[str, list[Any]] = {
    "default": [defaultdict(int, a=1), defaultdict(int, a=2)],
    "ordered": [OrderedDict(a=1), OrderedDict(a=2)],
    "no dict": [UserDict(a=1), UserDict(a=2)],
    "no list": [UserList([1, 2]), UserList([3, 4])],
    "a list": [MyList([1]), MyList([2])],
    "numbers only": [array.array("i", [1, 2]), array.array("i", [3, 4])],
    "integers, then floats": [1, 2.5],
    "floats, then integers": [1.5, 2],
    "integers and booleans": [1, True],
    "large integers": [2**40, 1],
    "boolean scalars": [np.bool_(1), np.bool_(0)],
    "float16 scalars": [np.float16(1)] * 2,
    "int8 scalars": [np.int8(1)] * 2,
    "text scalars": [np.str_("a")] * 2,
    "of no dimensions": [np.array(3)] * 2,
    "empty lists": [[], []],
    "empty dictionaries": [{}, {}],
    "more keys than the first": [{"a": 1}, {"a": 1, "b": 2}],
    "float32 and float64": [np.ones(2, "f4"), np.ones(2, "f8")],
    "int64 and float32": [np.ones(2, "i8"), np.ones(2, "f4")],
    "uint8 and int32": [np.ones(2, "u1"), np.ones(2, "i4")],
    "deep": [{"a": [(A, {"b": 1})], "c": "x"}, {"a": [(A, {"b": 2})], "c": "y"}],
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches(name: str) -> None:
    batch = BATCHES[name]
    assert shown(ours.default_collate(batch)) == shown(theirs.default_collate(batch))
    assert shown(ours.default_convert(batch[0])) == shown(theirs.default_convert(batch[0]))


class Many:
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> int:
        return index

    def __getitems__(self, indices: list[int]) -> list[int]:
        return [index * 10 for index in indices]


class TooFew(Many):
    def __getitems__(self, indices: list[int]) -> list[int]:
        return [1]


def stream(module: Any, stop: int, length: bool = True) -> Any:
    class Stream(module.IterableDataset):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Any:
            return iter(range(stop))

    if length:
        Stream.__len__ = lambda self: stop
    return Stream()


CALLS: dict[str, Callable[[Any], Any]] = {
    "stack": lambda m: [m.StackDataset(range(3), "abc")[i] for i in (0, 2, -1)],
    "stack by name": lambda m: m.StackDataset(a=range(3), b="abc")[1],
    "stack, its length": lambda m: len(m.StackDataset(a=range(3), b="abc")),
    "stack, its parts": lambda m: m.StackDataset(a=[1]).datasets,
    "stack of many": lambda m: m.StackDataset(Many(), range(5)).__getitems__([1, 2]),
    "stack of many by name": lambda m: m.StackDataset(a=Many(), b="abcde").__getitems__([3, 0]),
    "stack loaded": lambda m: list(m.DataLoader(m.StackDataset(a=Many(), b="abcde"), 2)),
    "concat": lambda m: [m.ConcatDataset([range(3), "ab"])[i] for i in range(-5, 5)],
    "concat of a generator": lambda m: len(m.ConcatDataset(iter([range(3), range(2)]))),
    "concat, its sizes": lambda m: m.ConcatDataset([range(3), "ab"]).cumulative_sizes,
    "concat loaded": lambda m: list(m.DataLoader(m.ConcatDataset([range(3), range(4)]), 2)),
    "chain": lambda m: list(m.ChainDataset([stream(m, 2), stream(m, 3)])),
    "chain by +": lambda m: list(stream(m, 2) + stream(m, 3)),
    "chain, its kind": lambda m: type(stream(m, 2) + stream(m, 3)).__name__,
    "chain, its length": lambda m: len(m.ChainDataset([stream(m, 2), stream(m, 3)])),
    "chain loaded": lambda m: list(m.DataLoader(stream(m, 2) + stream(m, 3), 2)),
    "subset": lambda m: [m.Subset("abcd", [3, 0])[i] for i in range(-2, 2)],
    "subset of many": lambda m: m.Subset(Many(), [3, 0]).__getitems__([1, 0]),
    "subset of a subset": lambda m: list(m.Subset(m.Subset("abcdef", [5, 4, 3]), [2, 0])),
    "subset loaded": lambda m: list(m.DataLoader(m.Subset(range(9), [3, 4, 5]), 2)),
    "split": lambda m: [len(part) for part in m.random_split(range(10), [0.33, 0.33, 0.34])],
    "batches": lambda m: [list(m.BatchSampler(range(7), 3, drop)) for drop in (False, True)],
    "batches, how many": lambda m: [len(m.BatchSampler(range(7), 3, d)) for d in (False, True)],
    "batches of an iterator": lambda m: list(m.BatchSampler(iter(range(5)), 2, False)),
    "random, how many": lambda m: [len(m.RandomSampler(range(3), num_samples=7)),
                                   len(list(m.RandomSampler(range(3), num_samples=7)))],
    "random with replacement": lambda m: len(list(m.RandomSampler(range(3), True, 70))),
    "weighted": lambda m: sorted(m.WeightedRandomSampler([1, 1, 1], 3, replacement=False)),
    "weighted, how many": lambda m: len(m.WeightedRandomSampler([1, 2], 5)),
    "subset at random": lambda m: sorted(m.SubsetRandomSampler([4, 2])),
    "sequential": lambda m: list(m.SequentialSampler("abc")),
    "loader, how many": lambda m: [len(m.DataLoader(range(7), 2, drop_last=d))
                                   for d in (False, True)],
    "loader without the last": lambda m: list(m.DataLoader(range(7), 2, drop_last=True)),
    "loader of samples": lambda m: list(m.DataLoader(range(3), None)),
    "loader of a sampler": lambda m: list(m.DataLoader(range(7), 2, sampler=[6, 5, 4])),
    "loader of batches": lambda m: list(m.DataLoader(range(7), batch_sampler=[[1], [2, 3]])),
    "loader, its samplers": lambda m: [type(m.DataLoader(range(3), 2, shuffle=s).sampler).__name__
                                       for s in (True, False)],
    "loader, its batches": lambda m: type(m.DataLoader(range(3), 2).batch_sampler).__name__,
    "loader, its size": lambda m: [m.DataLoader(range(3), 2).batch_size,
                                   m.DataLoader(range(3), batch_sampler=[[0]]).batch_size],
    "loader, how far ahead": lambda m: [m.DataLoader(range(3)).prefetch_factor,
                                        m.DataLoader(range(3), num_workers=1).prefetch_factor],
    "loader of a stream": lambda m: [x.tolist() for x in m.DataLoader(stream(m, 5), 2)],
    "loader of a stream, how many": lambda m: len(m.DataLoader(stream(m, 5), 2)),
    "loader of a stream in order": lambda m: list(m.DataLoader(stream(m, 2), shuffle=False)),
    "worker": lambda m: m.get_worker_info(),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_results(name: str) -> None:
    assert shown(CALLS[name](ours)) == shown(CALLS[name](theirs))


ERRORS: dict[str, Callable[[Any], Any]] = {
    "stack of nothing": lambda m: m.StackDataset(),
    "stack of both kinds": lambda m: m.StackDataset([1], a=[2]),
    "stack of other lengths": lambda m: m.StackDataset([1], [2, 3]),
    "stack of too few": lambda m: m.StackDataset(TooFew(), range(5)).__getitems__([1, 2]),
    "stack, out of range": lambda m: m.StackDataset(range(3), "abc")[3],
    "concat of nothing": lambda m: m.ConcatDataset([]),
    "concat, out of range": lambda m: m.ConcatDataset([range(3)])[3],
    "concat, out of range below": lambda m: m.ConcatDataset([range(3)])[-4],
    "concat of a stream": lambda m: m.ConcatDataset([stream(m, 2)]),
    "chain of no streams": lambda m: list(m.ChainDataset([range(3)])),
    "chain of no length": lambda m: len(m.ChainDataset([stream(m, 2, length=False)])),
    "subset, out of range": lambda m: m.Subset("abcd", [3, 0])[2],
    "split into too few": lambda m: m.random_split(range(10), [5, 4]),
    "split into shares beyond 1": lambda m: m.random_split(range(10), [1.5, -0.5]),
    "split into shares below 1": lambda m: m.random_split(range(10), [0.5, 0.4]),
    "batches of nothing": lambda m: m.BatchSampler(range(3), 0, False),
    "random of nothing": lambda m: m.RandomSampler([]),
    "random none": lambda m: m.RandomSampler(range(3), num_samples=0),
    "random and a half": lambda m: m.RandomSampler(range(3), num_samples=1.5),
    "weighted none": lambda m: m.WeightedRandomSampler([1, 2], 0),
    "weighted, no boolean": lambda m: m.WeightedRandomSampler([1, 2], 1, 1),
    "weighted by a table": lambda m: m.WeightedRandomSampler([[1.0]], 1),
    "loader of no workers": lambda m: m.DataLoader(range(3), num_workers=-1),
    "loader of another context": lambda m: m.DataLoader(
        range(3), num_workers=1, multiprocessing_context="thread"
    ),
    "loader behind": lambda m: m.DataLoader(range(3), num_workers=1, prefetch_factor=-1),
    "loader of a shuffled stream": lambda m: m.DataLoader(stream(m, 2), shuffle=True),
    "loader of no length": lambda m: len(m.DataLoader(stream(m, 2, length=False), 2)),
    "collated nothing": lambda m: m.default_collate([]),
    "collated None": lambda m: m.default_collate([None, None]),
    "collated sets": lambda m: m.default_collate([{1}, {2}]),
    "collated dates": lambda m: m.default_collate([np.datetime64("2020-01-01")] * 2),
    "collated other keys": lambda m: m.default_collate([{"a": 1}, {"b": 1}]),
    "collated other lengths": lambda m: m.default_collate([[1, 2], [1]]),
    "collated other shapes": lambda m: m.default_collate([np.ones(2), np.ones(3)]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, AssertionError, RuntimeError)):
        ERRORS[name](theirs)
    with pytest.raises((NNScratchError, TypeError, LookupError)):
        ERRORS[name](ours)


def test_a_subset_of_ones_own_gives_its_own_samples() -> None:
    """PyTorch refuses such a class that has no ``__getitems__`` besides."""

    class Marked(ours.Subset):  # type: ignore[misc]
        def __getitem__(self, index: Any) -> Any:
            return f"sample {self.indices[index]}"

    class Two(ours.StackDataset):  # type: ignore[misc]
        def __getitem__(self, index: Any) -> Any:
            return f"both {index}"

    assert list(ours.DataLoader(Marked(range(4), [1, 2]), 2)) == [["sample 1", "sample 2"]]
    assert list(ours.DataLoader(Two(range(2), range(2)), 2)) == [["both 0", "both 1"]]


def test_stacks_of_arrays_are_loaded_at_once() -> None:
    table = ours.TensorDataset(np.arange(6.0), np.arange(6))
    stack = ours.StackDataset(x=np.arange(12.0).reshape(6, 2), pair=table, y=nnscratch.arange(6))
    for shuffle in (False, True):
        for batch in ours.DataLoader(stack, 4, shuffle=shuffle):
            assert list(batch) == ["x", "pair", "y"]
            assert batch["x"].dtype == "float64"
            rows = batch["y"].tolist()
            assert batch["x"].tolist() == [[2.0 * n, 2.0 * n + 1] for n in rows]
            assert [part.tolist() for part in batch["pair"]] == [rows, rows]
            batch["x"].zero_()
    assert stack[0]["x"].tolist() == [0.0, 1.0]
