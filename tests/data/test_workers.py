"""Batches that are loaded ahead of time: the same bits, errors that say where, nothing left."""

import copy
import gc
import json
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.array import Generator
from nnscratch.array.random import default_generator, own_stream
from nnscratch.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    StackDataset,
    Subset,
    TensorDataset,
    get_worker_info,
)
from nnscratch.errors import ConfigurationError, DataError, RunError
from nnscratch.train import Callback, Trainer, fit

WORKERS = (0, 1, 2, 3, 5)


class Noisy(Dataset):
    """Draws from the default generator, some of its samples twice."""

    def __init__(self, n: int = 23) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.001 * (index % 3))  # so that threads overtake one another
        noise = nnscratch.rand(2) + (nnscratch.randn(2) if index % 4 else 0)
        return {"x": noise + index, "y": index}


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("DataLoader")]


def values(batches: Any) -> list[Any]:
    return [(one["x"].tolist(), one["y"].tolist()) for one in batches]


LOADERS = {
    "in order": {"batch_size": 4},
    "shuffled": {"batch_size": 4, "shuffle": True},
    "with a seed": {"batch_size": 4, "shuffle": True, "seed": 5},
    "seeded, in order": {"batch_size": 4, "seed": 5},
    "with a generator": {"batch_size": 5, "shuffle": True, "generator": 3},
    "cut": {"batch_size": 4, "drop_last": True},
    "sampled": {"batch_size": 3, "sampler": [3, 1, 4, 1, 5, 9, 2, 6]},
    "sampled at random": {"batch_size": 3, "sampler": "twice"},
    "in ready lists": {"batch_sampler": [[1, 2], [3], [4, 5, 6]]},
    "in batches at random": {"batch_sampler": "random"},
}


def made(name: str, workers: int, **more: Any) -> DataLoader:
    options = {**LOADERS[name], **more}
    if options.get("sampler") == "twice":
        options["sampler"] = RandomSampler(range(23), num_samples=60)
    if options.get("batch_sampler") == "random":
        options["batch_sampler"] = BatchSampler(RandomSampler(range(23)), 4, False)
    if "generator" in options:
        options["generator"] = Generator(options["generator"])
    return DataLoader(Noisy(), num_workers=workers, **options)


@pytest.mark.parametrize("name", LOADERS)
def test_the_bits_do_not_depend_on_the_number_of_workers(name: str) -> None:
    found = []
    for workers in WORKERS:
        nnscratch.manual_seed(8)
        loader = made(name, workers)
        epochs = []
        for _ in range(3):
            epochs.append(values(loader))
            nnscratch.rand(3)  # as dropout would
        found.append((epochs, default_generator.state()))
    assert all(one == found[0] for one in found[1:])
    first, second, third = found[0][0]
    assert first != second != third
    assert threads() == []


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", ["in order", "shuffled", "with a seed"])
def test_a_resumed_epoch_has_the_same_bits(name: str, workers: int) -> None:
    nnscratch.manual_seed(2)
    whole = made(name, workers)
    values(whole)
    expected = values(whole)
    nnscratch.manual_seed(2)
    broken = made(name, workers)
    values(broken)
    batches = iter(broken)
    seen = [values([next(batches)])[0] for _ in range(3)]
    state, random = broken.state_dict(), default_generator.state()
    del batches
    nnscratch.manual_seed(99)
    resumed = made(name, 3)
    resumed.load_state_dict(state)
    default_generator.set_state(random)
    assert seen + values(resumed) == expected
    assert threads() == []


def test_training_with_workers_is_that_without(tmp_path: Any) -> None:
    class Save(Callback):
        def on_batch_end(self, trainer: Trainer) -> None:
            if trainer.step_number == 9:
                trainer.save(tmp_path / "c.safetensors")

    def run(workers: int, load: bool = False, **options: Any) -> Any:
        nnscratch.manual_seed(4)
        model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.4), nn.Linear(4, 23))
        trainer = Trainer(model, **options)
        data = DataLoader(Noisy(), 4, shuffle=True, num_workers=workers)
        if load:
            trainer.fit(data, 1)
            trainer.load(tmp_path / "c.safetensors")
        trainer.fit(data, 3, validation=DataLoader(Noisy(), 7, num_workers=workers))
        return [p.detach().tolist() for p in model.parameters()]

    expected = run(0, callbacks=[Save()])
    for workers in (1, 3):
        assert run(workers) == expected
        assert run(workers, load=True) == expected
    assert threads() == []


def test_validation_draws_nothing_from_the_training() -> None:
    """Where the samples are not random, evaluating them must leave the generator alone."""

    class Rows(Dataset):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> Any:
            return np.ones(2, np.float32) * index, index % 2

    nnscratch.manual_seed(1)
    before = default_generator.state()
    for workers in (0, 2):
        list(DataLoader(Rows(), 2, num_workers=workers))
        assert default_generator.state() == before


def test_a_seed_within_a_data_set_is_that_of_its_batch() -> None:
    class Seeds(Dataset):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> Any:
            nnscratch.manual_seed(index)
            return nnscratch.rand(1).item(), default_generator.state()["seed"]

    nnscratch.manual_seed(3)
    first = [[part.tolist() for part in batch] for batch in DataLoader(Seeds(), 2)]
    assert default_generator.state()["seed"] == 3
    with_workers = DataLoader(Seeds(), 2, num_workers=2)
    assert [[part.tolist() for part in batch] for batch in with_workers] == first
    assert [seeds for _, seeds in first] == [[0, 1], [2, 3], [4, 5]]


def test_streams_are_of_their_thread() -> None:
    nnscratch.manual_seed(3)
    with own_stream(Generator(5)) as stream:
        nnscratch.rand(8)
        assert default_generator.state() == stream.state() == {"seed": 5, "offset": 2}
        default_generator.set_state({"seed": 6, "offset": 1})
        assert stream.state() == {"seed": 6, "offset": 1}
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(default_generator.state()))
        thread.start()
        thread.join()
        assert found == [{"seed": 3, "offset": 0}]
    assert default_generator.state() == {"seed": 3, "offset": 0}


# Who loads.


class Who(Dataset):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Any:
        info = get_worker_info()
        return (-1, -1, 0) if info is None else (info.id, info.num_workers, info.seed % 2**31)


def test_workers_know_who_they_are() -> None:
    assert get_worker_info() is None
    alone = [[part.tolist() for part in batch] for batch in DataLoader(Who(), 2)]
    assert alone == [[[-1, -1], [-1, -1], [0, 0]]] * 6
    found = [batch[0].tolist() for batch in DataLoader(Who(), 2, num_workers=3)]
    assert found == [[0, 0], [1, 1], [2, 2], [0, 0], [1, 1], [2, 2]]
    seeds = [batch[2].tolist() for batch in DataLoader(Who(), 2, num_workers=2)]
    assert seeds[0] == seeds[2] != seeds[1]
    assert get_worker_info() is None


def test_worker_init_fn_is_called_in_each_worker_once() -> None:
    calls: list[Any] = []

    def init(number: int) -> None:
        info = get_worker_info()
        assert info is not None
        info.dataset.mark = number
        calls.append((number, info.id, info.num_workers))

    class Marked(Who):
        mark = -1

        def __getitem__(self, index: int) -> Any:
            return self.mark

    data = Marked()
    loader = DataLoader(data, 3, num_workers=2, worker_init_fn=init)
    assert [batch.tolist() for batch in loader] == [[0] * 3, [1] * 3] * 2
    assert sorted(calls) == [(0, 0, 2), (1, 1, 2)]
    assert data.mark == -1
    list(loader)
    assert len(calls) == 4
    calls.clear()
    lasting = DataLoader(data, 3, num_workers=2, worker_init_fn=init, persistent_workers=True)
    for _ in range(3):
        assert len(list(lasting)) == 4
    assert len(calls) == 2
    # Without workers there is nobody to call it.
    list(DataLoader(data, 3, worker_init_fn=init))
    assert len(calls) == 2


def test_rows_of_arrays_are_taken_by_nobody_else() -> None:
    table = TensorDataset(np.arange(12), np.arange(12) * 2)
    for data in (table, Subset(table, range(9)), StackDataset(a=table, b=np.arange(12))):
        batches = iter(DataLoader(data, 5, num_workers=2))
        next(batches)
        assert threads() == []
    expected = [x.tolist() for x, _ in DataLoader(table, 5)]
    asked: list[int] = []
    loader = DataLoader(table, 5, num_workers=2, worker_init_fn=asked.append)
    assert [x.tolist() for x, _ in loader] == expected
    assert sorted(asked) == [0, 1]


def test_a_worker_is_ahead_by_its_factor() -> None:
    for factor, workers in ((1, 1), (2, 2), (3, 1)):
        asked: list[int] = []

        class Asked(Dataset):
            def __len__(self) -> int:
                return 40

            def __getitem__(self, index: int, asked: list[int] = asked) -> Any:
                asked.append(index)
                return index

        batches = iter(DataLoader(Asked(), 1, num_workers=workers, prefetch_factor=factor))
        next(batches)
        most = factor * workers + 1
        until = time.monotonic() + 20.0
        while len(asked) < most and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(0.02)
        assert sorted(asked) == list(range(most))
        del batches
        assert threads() == []


# Data without indices.


class Range(IterableDataset):
    def __init__(self, stop: int, share: bool) -> None:
        self.stop, self.share = stop, share

    def __iter__(self) -> Any:
        info = get_worker_info()
        if info is None or not self.share:
            return iter(range(self.stop))
        return iter(range(info.id, self.stop, info.num_workers))


CUTS = [(11, 2, False), (11, 2, True), (7, None, False), (3, 4, False)]
THEIRS = """
    import json, sys, warnings
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info

    warnings.simplefilter("ignore")  # such as that there are fewer processors than workers

    class Range(IterableDataset):
        def __init__(self, stop, share):
            self.stop, self.share = stop, share
        def __iter__(self):
            info = get_worker_info()
            if info is None or not self.share:
                return iter(range(self.stop))
            return iter(range(info.id, self.stop, info.num_workers))

    found = []
    for workers in range(4):
        for stop, size, drop_last in json.loads(sys.argv[1]):
            for share in (False, True):
                loader = DataLoader(Range(stop, share), size, num_workers=workers,
                                    drop_last=drop_last,
                                    multiprocessing_context="fork" if workers else None)
                found.append([x if isinstance(x, int) else x.tolist() for x in loader])
    print(json.dumps(found))
"""


def test_each_worker_has_the_samples_that_it_has_in_pytorch() -> None:
    # In a process of its own, which has no threads that a fork would lose.
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(THEIRS), json.dumps(CUTS)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = iter(json.loads(done.stdout))
    for workers in range(4):
        for stop, size, drop_last in CUTS:
            for share in (False, True):
                loader = DataLoader(
                    Range(stop, share), size, num_workers=workers, drop_last=drop_last
                )
                theirs = next(expected)
                for _ in range(2):
                    assert [x if isinstance(x, int) else x.tolist() for x in loader] == theirs
    assert next(expected, None) is None
    assert threads() == []


def test_a_worker_configures_its_own_copy() -> None:
    """The second way of PyTorch's page on iterable data sets."""

    class Between(IterableDataset):
        def __init__(self, start: int, end: int) -> None:
            self.start, self.end = start, end

        def __iter__(self) -> Any:
            return iter(range(self.start, self.end))

    def init(number: int) -> None:
        info = get_worker_info()
        assert info is not None
        whole = info.dataset.end - info.dataset.start
        part = -(-whole // info.num_workers)
        start = info.dataset.start
        info.dataset.start = start + number * part
        info.dataset.end = min(info.dataset.start + part, info.dataset.end)

    data = Between(3, 14)
    loader = DataLoader(data, 2, num_workers=3, worker_init_fn=init)
    assert sorted(n for batch in loader for n in batch.tolist()) == list(range(3, 14))
    assert (data.start, data.end) == (3, 14)


@pytest.mark.parametrize("workers", [0, 2])
def test_data_without_indices_go_on_where_they_were(workers: int) -> None:
    class Random(IterableDataset):
        def __iter__(self) -> Any:
            for _ in range(9):
                yield nnscratch.rand(1).item()

    nnscratch.manual_seed(6)
    loader = DataLoader(Random(), 2, num_workers=workers)
    expected = [batch.tolist() for batch in loader]
    nnscratch.manual_seed(6)
    loader = DataLoader(Random(), 2, num_workers=workers)
    batches = iter(loader)
    seen = [next(batches).tolist() for _ in range(2)]
    state = loader.state_dict()
    resumed = DataLoader(Random(), 2, num_workers=workers)
    resumed.load_state_dict(state)
    assert seen + [batch.tolist() for batch in resumed] == expected


# Errors.


class Broken(Dataset):
    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        if index == 11:
            raise_here()
        return index


def raise_here() -> None:
    raise LookupError("the file is gone")


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_comes_with_its_own_traceback_and_index(workers: int, persistent: bool) -> None:
    more = {"persistent_workers": True} if persistent and workers else {}
    loader = DataLoader(Broken(), 2, num_workers=workers, **more)
    for _ in range(2):
        batches = iter(loader)
        seen = [next(batches).tolist() for _ in range(5)]
        assert seen == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
        with pytest.raises(LookupError, match="the file is gone") as caught:
            next(batches)
        assert "raise_here" in [entry.name for entry in caught.traceback]
        notes = " ".join(caught.value.__notes__)
        assert "asked Broken for sample 11." in notes
        worker = f"worker {5 % max(workers, 1)} of the DataLoader, at batch 5."
        assert (worker in notes) == (workers > 0)
        del caught
    del batches, loader
    gc.collect()
    assert threads() == []


def test_errors_of_other_places() -> None:
    def collate(samples: Any) -> Any:
        raise KeyError("collate")

    with pytest.raises(KeyError, match="collate") as caught:
        list(DataLoader(Who(), 2, num_workers=2, collate_fn=collate))
    assert "worker 0 of the DataLoader, at batch 0" in caught.value.__notes__[0]
    with pytest.raises(ZeroDivisionError) as other:
        list(DataLoader(Who(), 2, num_workers=2, worker_init_fn=lambda number: 1 // number))
    assert "worker_init_fn(0)" in other.value.__notes__[0]
    with pytest.raises(DataError, match="different shapes") as last:
        list(DataLoader([np.zeros(2), np.zeros(3)], 2, num_workers=2))
    del caught, other, last
    gc.collect()
    assert threads() == []


def test_a_sample_that_takes_too_long() -> None:
    class Slow(Who):
        def __getitem__(self, index: int) -> Any:
            go.wait(20.0)
            return index

    go = threading.Event()
    threading.Timer(0.5, go.set).start()
    with pytest.raises(RunError, match=r"batch 0 was not loaded by worker 0 within timeout=0.05"):
        list(DataLoader(Slow(), 2, num_workers=2, timeout=0.05))
    assert threads() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor"),
        ({"num_workers": 1, "prefetch_factor": -1}, "prefetch_factor"),
        ({"num_workers": 1, "multiprocessing_context": "thread"}, "workers are threads"),
        ({"num_workers": 1.5}, "num_workers"),
    ],
)
def test_arguments_that_make_no_sense(options: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        DataLoader(Who(), **options)
    assert DataLoader(Who(), num_workers=3).prefetch_factor == 2
    assert DataLoader(Who()).prefetch_factor is None


# Nothing is left over.


def test_a_pass_that_is_broken_off_leaves_no_thread() -> None:
    loader = DataLoader(Noisy(), 2, num_workers=3)
    for number, _ in enumerate(loader):
        assert len(threads()) == 3
        if number == 1:
            break
    assert threads() == []
    batches = iter(loader)
    next(batches)
    assert len(threads()) == 3
    del batches
    assert threads() == []


def test_lasting_threads_end_with_the_loader() -> None:
    loader = DataLoader(Noisy(), 4, num_workers=2, persistent_workers=True, seed=1)
    assert values(loader) == values(DataLoader(Noisy(), 4, seed=1))
    started = [one for one in threading.enumerate() if one.name.startswith("DataLoader")]
    assert len(started) == 2
    for batch in loader:  # and one that is broken off
        values([batch])
        break
    again = [one for one in threading.enumerate() if one.name.startswith("DataLoader")]
    assert again == started
    whole = DataLoader(Noisy(), 4, seed=1)
    epochs = [values(whole) for _ in range(4)]
    assert [values(loader), values(loader)] == epochs[2:]
    inner = [(one["y"].tolist(), other["y"].tolist()) for one in loader for other in loader]
    assert len(inner) == 36
    assert len(threads()) == 2
    for made_again in (
        copy.copy(loader),
        copy.deepcopy(loader),
        pickle.loads(pickle.dumps(loader)),
    ):
        assert len(values(made_again)) == 6
    del made_again
    del loader
    gc.collect()
    assert threads() == []


INTERRUPTED = """
    import os, signal, threading, time
    import numpy as np
    from nnscratch.data import DataLoader

    class Slow:
        def __len__(self):
            return 1000
        def __getitem__(self, index):
            time.sleep(0.01)
            return index

    print("ready", flush=True)
    try:
        for batch in DataLoader(Slow(), 4, num_workers=3):
            pass
    except KeyboardInterrupt:
        left = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
        print("left", left, flush=True)
        raise SystemExit(7)
"""


def test_ctrl_c_leaves_nothing() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert out == "left []\n"
    assert process.returncode == 7


def test_a_program_that_ends_in_the_middle_of_an_epoch_ends() -> None:
    program = textwrap.dedent(INTERRUPTED).partition("print(")[0] + textwrap.dedent("""
        batches = iter(DataLoader(Slow(), 4, num_workers=3))
        next(batches)
        lasting = DataLoader(Slow(), 4, num_workers=2, persistent_workers=True)
        next(iter(lasting))
        print("end")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          timeout=120, check=True)  # fmt: skip
    assert (done.stdout, done.stderr) == ("end\n", "")


def test_a_fit_that_is_broken_off_leaves_no_thread() -> None:
    class Stop(Callback):
        def on_batch_end(self, trainer: Trainer) -> None:
            assert len(threads()) == 2
            raise MemoryError

    class Pairs(Noisy):
        def __getitem__(self, index: int) -> Any:
            found = super().__getitem__(index)
            return found["x"], found["y"]

    with pytest.raises(MemoryError):
        fit(nn.Linear(2, 23), DataLoader(Pairs(), 4, num_workers=2), 1, callbacks=[Stop()])
    gc.collect()
    assert threads() == []
