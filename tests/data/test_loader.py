import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnscratch.array import Generator
from nnscratch.data import DataLoader, TensorDataset
from nnscratch.errors import CheckpointError, ConfigurationError, DataError


def loader(n=10, batch_size=3, **options):
    return DataLoader(TensorDataset(np.arange(n), np.arange(n) * 1.0), batch_size, **options)


def epoch(loaded):
    return [x.tolist() for x, _ in loaded]


def test_batches_in_order_are_views():
    loaded = loader()
    batches = list(loaded)
    assert epoch(loaded) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert np.shares_memory(batches[0][0].array, loaded.dataset.arrays[0])
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


def test_a_generator_gives_the_seed():
    a = loader(20, shuffle=True, generator=Generator(5))
    b = loader(20, shuffle=True, generator=Generator(5))
    assert a.seed == b.seed != loader(20, shuffle=True, generator=Generator(6)).seed
    assert epoch(a) == epoch(b)


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
