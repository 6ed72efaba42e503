import time

import numpy as np
import pytest
import torch.utils.data as torch_data
from hypothesis import given
from hypothesis import strategies as st

import nnscratch
from nnscratch.array import Generator
from nnscratch.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
)
from nnscratch.errors import CheckpointError, ConfigurationError, DataError


def loader(n=10, batch_size=3, **options):
    return DataLoader(TensorDataset(np.arange(n), np.arange(n) * 1.0), batch_size, **options)


def epoch(loaded):
    return [x.tolist() for x, _ in loaded]


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_changed_in_place_leave_the_data_set_alone(shuffle):
    loaded = loader(shuffle=shuffle)
    for _ in range(2):
        for x, y in loaded:
            assert x.tolist() == y.tolist()
            x.add_(1), y.sub_(1.0)
    for x, _ in loaded.on("cpu"):
        x.zero_()
    assert loaded.dataset.arrays[0].tolist() == list(range(10))
    assert len(loaded) == 4


def test_drop_last():
    loaded = loader(drop_last=True)
    assert epoch(loaded) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert len(loaded) == 3


@given(
    n=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    seed=st.integers(0, 2**64 - 1),
    epochs=st.integers(1, 3),
)
def test_every_sample_once_an_epoch(n, batch_size, seed, epochs):
    loaded = loader(n, batch_size, shuffle=True, seed=seed)
    for _ in range(epochs):
        batches = epoch(loaded)
        assert sorted(n for batch in batches for n in batch) == list(range(n))
        assert [len(b) for b in batches] == [loaded.batch_samples(i) for i in range(len(loaded))]


def test_epochs_differ_and_a_seed_repeats_them():
    first, second = loader(50, shuffle=True, seed=3), loader(50, shuffle=True, seed=3)
    runs = [epoch(first) for _ in range(3)]
    assert runs == [epoch(second) for _ in range(3)]
    assert runs[0] != runs[1] != runs[2]
    assert epoch(loader(50, shuffle=True, seed=4)) != runs[0]


def test_features_and_targets_stay_together():
    for x, y in loader(31, 4, shuffle=True, seed=1):
        assert x.tolist() == y.tolist()


def test_a_generator_gives_the_orders():
    a, b, c = (loader(20, shuffle=True, generator=Generator(seed)) for seed in (5, 5, 6))
    first, second = epoch(a), epoch(a)
    assert [epoch(b), epoch(b)] == [first, second]
    assert first != second
    assert epoch(c) != first
    a.generator.manual_seed(5)
    assert epoch(a) == first


def test_manual_seed_gives_the_orders():
    loaded = loader(20, shuffle=True)
    nnscratch.manual_seed(3)
    runs = [epoch(loaded) for _ in range(3)]
    assert runs[0] != runs[1] != runs[2] != runs[0]
    nnscratch.manual_seed(3)
    assert [epoch(loaded) for _ in range(3)] == runs
    nnscratch.manual_seed(4)
    assert epoch(loaded) != runs[0]


def test_passes_at_once_have_orders_of_their_own():
    loaded = loader(20, 4, shuffle=True)
    one, two = zip(*zip(loaded, loaded, strict=True), strict=True)
    assert epoch(one) != epoch(two)
    for batches in (one, two):
        assert sorted(n for x, _ in batches for n in x.tolist()) == list(range(20))
    pairs = [(x[0].item(), y[0].item()) for x, _ in loader() for y, _ in loader()]
    assert len(pairs) == len(set(pairs)) == 16
    outer = loader(shuffle=True)
    inner = [n for _ in outer for x, _ in outer for n in x.tolist()]
    assert sorted(inner) == sorted(list(range(10)) * 4)


@given(stop=st.integers(0, 8), shuffle=st.booleans(), n=st.integers(1, 20))
def test_resumed_anywhere_it_goes_on_at_the_next_batch(stop, shuffle, n):
    whole = loader(n, 3, shuffle=shuffle, seed=2)
    expected = epoch(whole) + epoch(whole) + epoch(whole)
    stop = min(stop, len(expected) - 1)
    broken = loader(n, 3, shuffle=shuffle, seed=2)
    seen = []
    while len(seen) < stop:
        for x, _ in broken:
            seen.append(x.tolist())
            if len(seen) == stop:
                break
    state = broken.state_dict()
    # The seed comes with the state.
    resumed = loader(n, 3, shuffle=shuffle, seed=9)
    resumed.load_state_dict(state)
    while len(seen) < len(expected):
        seen += epoch(resumed)
    assert seen[: len(expected)] == expected


def test_where_the_next_pass_starts():
    loader = DataLoader(TensorDataset(np.arange(6)), 2)
    assert loader.start == 0
    next(iter(loader))
    assert (loader.batch, loader.start) == (1, 0)
    loader.load_state_dict(loader.state_dict())
    assert loader.start == 1
    assert len(list(loader)) == 2
    assert loader.start == 0


def test_a_pass_that_was_broken_off_is_followed_by_another():
    loaded = loader(30, shuffle=True, seed=0)
    next(iter(loaded))
    assert epoch(loaded) == [x.tolist() for x in np.split(loaded.order(1), range(3, 30, 3))]


@pytest.mark.parametrize(
    "change",
    [{"n": 11}, {"batch_size": 4}, {"shuffle": True}, {"drop_last": True}],
)
def test_the_state_of_another_loader(change):
    with pytest.raises(CheckpointError, match="data loader was saved with"):
        loader(**{"n": 10, **change}).load_state_dict(loader().state_dict())


@pytest.mark.parametrize(
    "change",
    [{"epoch": "1"}, {"batch": 4}, {"batch": -1}, {"seed": None}, {"epoch": True}, {"seed": 2**64}],
)
def test_a_damaged_state(change):
    with pytest.raises(CheckpointError):
        loader().load_state_dict({**loader().state_dict(), **change})


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "3"])
def test_batch_sizes_that_are_none(size):
    with pytest.raises(ConfigurationError, match="batch_size"):
        loader(batch_size=size)


def test_too_few_for_one_batch():
    with pytest.raises(DataError, match="fewer than one batch"):
        loader(2, 3, drop_last=True)
    with pytest.raises(DataError, match="empty"):
        DataLoader([])


class Squares:
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return np.full(2, index, np.float32), index * index


def test_any_data_set_with_length_and_items():
    loaded = DataLoader(Squares(), 2, shuffle=True, seed=0)
    for x, y in loaded:
        assert x.shape == (len(y), 2)
        assert (x.numpy()[:, 0] ** 2).tolist() == y.tolist()


def test_samples_of_different_shapes():
    with pytest.raises(DataError, match="different shapes"):
        list(DataLoader([np.zeros(2), np.zeros(3)], 2))


def test_the_overhead_of_a_batch_is_small():
    loaded = loader(64_000, 64, shuffle=True, seed=0)
    best = np.inf
    for _ in range(5):
        began = time.perf_counter()
        for _ in loaded:
            pass
        best = min(best, (time.perf_counter() - began) / len(loaded))
    # Some 10 µs on an idle machine, the permutation included; here it must only not be slow.
    assert best < 500e-6


# PyTorch's arguments.


WORKERS = {
    "num_workers": 2,
    "pin_memory": True,
    "timeout": 5,
    "worker_init_fn": lambda number: None,
    "multiprocessing_context": "spawn",
    "prefetch_factor": 2,
    "persistent_workers": True,
    "in_order": True,
    "pin_memory_device": "",
}


def test_workers_change_no_batch():
    loaded = loader(shuffle=True, seed=1, **WORKERS)
    assert epoch(loaded) == epoch(loader(shuffle=True, seed=1))
    assert loaded.num_workers == 2
    assert epoch(loader(num_workers=0, pin_memory=True, timeout=0)) == epoch(loader())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": -1}, "num_workers"),
        ({"timeout": -1}, "timeout"),
        ({"prefetch_factor": 2}, "num_workers above 0"),
        ({"persistent_workers": True}, "num_workers above 0"),
        ({"multiprocessing_context": "fork"}, "num_workers above 0"),
        ({"sampler": range(4), "shuffle": True}, "not both"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler determines"),
        ({"batch_sampler": [[0]], "shuffle": True, "batch_size": 1}, "batch_sampler determines"),
        ({"batch_sampler": [[0]], "drop_last": True, "batch_size": 1}, "batch_sampler determines"),
        ({"batch_size": None, "drop_last": True}, "no last batch"),
    ],
)
def test_arguments_that_make_no_sense(options, message):
    with pytest.raises(ConfigurationError, match=message):
        loader(**options)
    with pytest.raises(ValueError, match=".+"):  # noqa: RUF043
        torch_data.DataLoader(list(range(4)), **options)


def test_samplers():
    data = TensorDataset(np.arange(10))
    assert [x.tolist() for (x,) in DataLoader(data, 2, sampler=[7, 1, 3])] == [[7, 1], [3]]
    loaded = DataLoader(data, batch_size=2, sampler=range(0, 10, 2), drop_last=True)
    assert (len(loaded), len(loaded.sampler), len(loaded.dataset)) == (2, 5, 10)
    assert [x.tolist() for (x,) in loaded] == [[0, 2], [4, 6]]
    loaded = DataLoader(data, batch_sampler=[[1, 2, 3], [0]])
    assert len(loaded) == 2
    assert [x.tolist() for (x,) in loaded] == [[1, 2, 3], [0]]
    batches = BatchSampler(RandomSampler(data), 4, drop_last=False)
    orders = [[n for (x,) in DataLoader(data, batch_sampler=batches) for n in x.tolist()]
              for _ in range(2)]  # fmt: skip
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == list(range(10))
    # As in PyTorch a data set needs no length, and no numbers, where a sampler says what comes.
    named = {"a": 1.0, "b": 2.0}
    assert [x.tolist() for x in DataLoader(named, 1, sampler=["b", "a"])] == [[2.0], [1.0]]


def test_no_batches_but_samples():
    loaded = DataLoader(Squares(), batch_size=None)
    assert len(loaded) == 5
    assert [y for _, y in loaded] == [0, 1, 4, 9, 16]
    assert [type(x) for x, _ in loaded] == [nnscratch.Tensor] * 5
    shuffled = DataLoader(Squares(), batch_size=None, shuffle=True, seed=0)
    assert sorted(y for _, y in shuffled) == [0, 1, 4, 9, 16]
    assert [y for _, y in DataLoader(Squares(), batch_size=None, sampler=[2, 1])] == [4, 1]


def test_a_collate_fn_is_given_the_list_of_samples():
    for data in (Squares(), TensorDataset(np.zeros((5, 2), np.float32), np.arange(5))):
        assert [len(x) for x in DataLoader(data, 2, collate_fn=list)] == [2, 2, 1]
        first = next(iter(DataLoader(data, 2, collate_fn=lambda samples: samples)))
        assert isinstance(first, list)
        assert isinstance(first[0], tuple)


def test_a_subclass_of_a_tensor_dataset_gives_its_own_samples():
    class Noisy(TensorDataset):
        def __getitem__(self, index):
            (x,) = super().__getitem__(index)
            return x + 100, "noisy"

    x, words = next(iter(DataLoader(Noisy(np.arange(4)), 4)))
    assert (x.tolist(), words) == ([100, 101, 102, 103], ("noisy",) * 4)


def test_a_data_set_may_give_a_whole_batch():
    class Together(Squares):
        def __getitems__(self, indices):
            asked.append(indices)
            return [self[index] for index in indices]

    asked = []
    assert [y.tolist() for _, y in DataLoader(Together(), 3)] == [[0, 1, 4], [9, 16]]
    assert asked == [[0, 1, 2], [3, 4]]


class Counting(IterableDataset):
    def __init__(self, stop):
        self.stop = stop

    def __iter__(self):
        return iter(range(self.stop))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [None, 2, 3])
def test_data_without_indices(batch_size, drop_last):
    if batch_size is None and drop_last:
        batch_size = 5
    loaded = DataLoader(Counting(7), batch_size, drop_last=drop_last)

    class Theirs(torch_data.IterableDataset):
        def __iter__(self):
            return iter(range(7))

    other = torch_data.DataLoader(Theirs(), batch_size, drop_last=drop_last)
    expected = [x if isinstance(x, int) else x.tolist() for x in other]
    for _ in range(2):
        assert [x if isinstance(x, int) else x.tolist() for x in loaded] == expected
    assert loaded.epoch == 2
    with pytest.raises(TypeError):
        len(loaded)
    state = loaded.state_dict()
    next(iter(loaded))
    loaded.load_state_dict({**state, "batch": 1})
    assert len(list(loaded)) == len(expected) - 1


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_data_without_indices_have_an_order_of_their_own(options):
    with pytest.raises(ConfigurationError, match="its own order"):
        DataLoader(Counting(3), **options)


def test_data_sets_that_lack_something():
    class Nothing(Dataset):
        pass

    class NoLength(Dataset):
        def __getitem__(self, index):
            return index

    with pytest.raises(ConfigurationError, match="NoLength has no __len__"):
        DataLoader(NoLength())
    assert [x.tolist() for x in DataLoader(NoLength(), 2, sampler=[5, 6])] == [[5, 6]]
    with pytest.raises(TypeError, match="Nothing defines no __getitem__"):
        Nothing()[0]


def test_tensors_and_lists_are_data_sets_of_their_rows():
    x = nnscratch.arange(6.0).reshape(3, 2)
    rows = list(DataLoader(x, 2))
    assert [row.tolist() for row in rows] == [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0]]]
    rows[0].zero_()
    assert x.sum().item() == 15.0
    assert [b.tolist() for b in DataLoader(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.dtype for b in DataLoader(np.zeros((2, 3)), 2)] == ["float64"]


def test_a_part_is_loaded_as_the_whole():
    data = TensorDataset(np.arange(10), np.arange(10) * 2.0)
    part = Subset(data, [9, 3, 5, 0])
    assert [x.tolist() for x, _ in DataLoader(part, 3)] == [[9, 3, 5], [0]]
    for x, y in DataLoader(Subset(part, [1, 2]), 2, shuffle=True):
        assert sorted(x.tolist()) == [3, 5]
        assert (x * 2).tolist() == y.tolist()
    assert [x.item() for x, _ in part] == [9, 3, 5, 0]


def test_a_resumed_epoch_that_was_drawn_goes_on_in_its_order():
    nnscratch.manual_seed(1)
    whole = loader(20, shuffle=True)
    expected = epoch(whole)
    nnscratch.manual_seed(1)
    broken = loader(20, shuffle=True)
    batches = iter(broken)
    seen = [next(batches)[0].tolist() for _ in range(3)]
    resumed = loader(20, shuffle=True)
    resumed.load_state_dict(broken.state_dict())
    assert seen + epoch(resumed) == expected


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_a_restored_loader_has_the_state_that_was_saved(finished):
    class Noisy:
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return nnscratch.rand(2) + index

    options = {"seed": 3, "shuffle": True}
    first, second = DataLoader(Noisy(), 3, **options), DataLoader(Noisy(), 3, **options)
    list(first)
    batches = iter(first)
    for _ in range(finished):
        next(batches)
    state = first.state_dict()
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert ("stream" in state) == bool(finished)


def test_utils_data_is_pytorchs_address():
    assert nnscratch.utils.data.DataLoader is DataLoader
    assert nnscratch.utils.data.get_worker_info() is None
