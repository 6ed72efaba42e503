"""``fit`` takes data as PyTorch's scripts have them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)
from nnscratch.errors import ConfigurationError
from nnscratch.train import Trainer, evaluate, fit, predict

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


class Rows(Dataset):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return X[index], int(Y[index])


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X, Y, strict=True))


class Counted(Stream):
    def __len__(self) -> int:
        return len(X)


def trained(data: Any, **options: Any) -> list[float]:
    nnscratch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    history = fit(model, data, epochs=3, lr=0.05, **options)
    assert predict(model, data).shape[1] == 2
    return [row["train_loss"] for row in history.rows]


@pytest.mark.parametrize("compile", [False, True])
def test_all_kinds_of_data_train_alike(compile: bool) -> None:
    expected = trained(TensorDataset(X, Y), shuffle=False, batch_size=8, compile=compile)
    assert expected[-1] < expected[0]
    for data in (
        DataLoader(Rows(), 8),
        DataLoader(Rows(), 8, num_workers=2),
        DataLoader(Rows(), 8, sampler=range(40)),
        DataLoader(Rows(), batch_sampler=BatchSampler(range(40), 8, False)),
        DataLoader(Counted(), 8),
        DataLoader(Rows(), 8, collate_fn=lambda rows: (
            nnscratch.tensor(np.stack([x for x, _ in rows])),
            nnscratch.tensor([y for _, y in rows]),
        )),
        DataLoader([(X[i : i + 8], Y[i : i + 8]) for i in range(0, 40, 8)], batch_size=None),
    ):  # fmt: skip
        np.testing.assert_allclose(trained(data, compile=compile), expected, rtol=1e-6)
    for data in (Rows(), Counted()):
        found = trained(data, batch_size=8, shuffle=False, compile=compile)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "sampler",
    [RandomSampler(range(40)), WeightedRandomSampler(np.where(Y == 1, 3.0, 1.0), 24)],
)
def test_random_samplers(sampler: Any) -> None:
    losses = trained(DataLoader(Rows(), 8, sampler=sampler), accumulate=2)
    assert losses[-1] < losses[0]


def test_parts_of_a_data_set() -> None:
    train, held = random_split(TensorDataset(X, Y), [0.8, 0.2])
    model = nn.Linear(3, 2)
    history = fit(model, train, epochs=2, validation=held)
    assert set(history.rows[0]) >= {"val_loss", "val_accuracy"}
    assert evaluate(model, held)["loss"] == pytest.approx(history.rows[-1]["val_loss"])


def test_a_subclass_of_a_loader() -> None:
    class Scaled(DataLoader):
        def __iter__(self) -> Iterator[Any]:
            for x, y in super().__iter__():
                seen.append(len(y))
                yield x * 2, y

    seen: list[int] = []
    fit(nn.Linear(3, 2), Scaled(TensorDataset(X, Y), 10), epochs=1)
    assert seen == [10, 10, 10, 10]


def test_data_whose_length_is_not_known() -> None:
    for data in (Stream(), DataLoader(Stream(), 8)):
        with pytest.raises(ConfigurationError, match="give the Stream, or the sampler, a __len__"):
            fit(nn.Linear(3, 2), data, epochs=1)
    assert evaluate(nn.Linear(3, 2), Stream())["loss"] > 0
    with pytest.raises(ConfigurationError, match="accumulate weights each batch"):
        fit(nn.Linear(3, 2), DataLoader(Rows(), batch_sampler=[[0], [1]]), epochs=1, accumulate=2)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([{"x": X[0], "z": X[0], "y": 1}] * 4, "dictionaries of 'x', 'z', 'y'"),
        ([{"x": X[0]}] * 4, "dictionaries of 'x'"),
        ([X[0]] * 4, "got a Tensor a batch"),
        ([(X[0], 1, 2)] * 4, "got 3 tensors a batch"),
        ([(X[0], "a")] * 4, "one of Tensor and tuple"),
    ],
)
def test_batches_that_are_no_pairs(samples: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        fit(nn.Linear(3, 2), DataLoader(samples, 2), epochs=1)


def test_single_tensors_are_inputs_of_predict() -> None:
    model = nn.Linear(3, 2)
    expected = predict(model, X)
    np.testing.assert_array_equal(
        predict(model, DataLoader(nnscratch.tensor(X[:2]), 2)), expected[:2]
    )
    np.testing.assert_array_equal(predict(model, DataLoader(list(X), 7)), expected)
    rows = [{"x": row} for row in X]
    np.testing.assert_array_equal(predict(model, DataLoader(rows, 40)), expected)
    with pytest.raises(ConfigurationError, match="dictionaries of 'x', 'z'"):
        predict(model, DataLoader([{"x": X[0], "z": X[1]}], 1))


def test_a_model_that_changes_its_inputs_leaves_the_data_alone() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return self.layer(x.sub_(5.0))

    data, before = X.copy(), X.copy()
    fit(InPlace(), (data, Y), epochs=1, shuffle=False)
    predict(InPlace(), data)
    evaluate(InPlace(), (data, Y))
    np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize("stop", [7, 10])
def test_a_run_resumed_in_an_epoch_that_was_drawn(tmp_path: Any, stop: int) -> None:
    from nnscratch.train import Callback

    class Saving(Callback):
        def on_batch_end(self, trainer: Any) -> None:
            if trainer.step_number == stop:
                trainer.save(tmp_path / "c.safetensors")

    def trainer(**options: Any) -> Trainer:
        nnscratch.manual_seed(5)
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.Linear(4, 2))
        return Trainer(model, optimizer=optim.SGD(model.parameters(), 0.1), **options)

    whole = trainer(callbacks=[Saving()])
    whole.fit(DataLoader(Rows(), 8, shuffle=True), 4)
    again = trainer()
    again.fit(DataLoader(Rows(), 8, shuffle=True), 1)
    again.load(tmp_path / "c.safetensors")
    again.fit(DataLoader(Rows(), 8, shuffle=True), 4)
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())
