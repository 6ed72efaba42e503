"""From data to a trained model on a GPU: loading, training, stopping, going on, checking."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_training
from command_line import QUICK, call, flowers

import nnscratch
from nnscratch import nn, optim
from nnscratch.array import to_numpy
from nnscratch.data import DataLoader, TensorDataset
from nnscratch.errors import DataError, DeviceError, NonFiniteError
from nnscratch.formulas import choosing
from nnscratch.kernels.cuda import IMPLEMENTATIONS, CupyDriver
from nnscratch.train import Callback, EarlyStopping, Trainer
from nnscratch.train.metrics import as_metrics
from nnscratch.verify import audit, gradcheck

X, Y = small_training.blobs()


def test_a_loader_brings_every_batch_whole(device: str) -> None:
    """Each is copied while the one before is used, out of memory that is filled again."""
    big = np.random.default_rng(0).standard_normal((700, 300)).astype(np.float32)
    labels = np.arange(700)
    loader = DataLoader(TensorDataset(big, labels), batch_size=64, shuffle=True, seed=3)
    seen = []
    for x, y in loader.on(device):
        assert str(x.device).startswith(device)
        assert x.device == y.device
        twice = x + x
        seen.append((twice, y))
    assert sorted(np.concatenate([to_numpy(y.array) for _, y in seen])) == list(range(700))
    for twice, y in seen:
        np.testing.assert_array_equal(to_numpy(twice.array), 2 * big[to_numpy(y.array)])


@pytest.mark.parametrize("compile", [False, True])
def test_the_figures_of_a_run_are_the_cpus(device: str, compile: bool) -> None:
    expected, found = (
        small_training.figures(
            # A trainer starts the random numbers anew, so it has to be used before the next.
            small_training.trainer(device=one, compile=compile).fit((X, Y), 6, validation=(X, Y))
        )
        for one in ("cpu", device)
    )
    for row, other in zip(expected, found, strict=True):
        assert row.keys() == other.keys()
        for name, value in row.items():
            np.testing.assert_allclose(other[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("compile", [False, True])
def test_a_run_goes_on_from_its_checkpoint_bit_for_bit(
    device: str, compile: bool, tmp_path: Path
) -> None:
    whole = small_training.trainer(device=device, compile=compile)
    whole.fit((X, Y), epochs=6)
    options = {"device": device, "compile": compile, "run_dir": tmp_path / "run"}
    small_training.trainer(**options).fit((X, Y), epochs=3)
    rest = small_training.trainer(**options)
    rest.fit((X, Y), epochs=6, resume=True)
    assert values(rest.model) == values(whole.model)


def test_a_checkpoint_of_one_device_goes_on_on_another(device: str, tmp_path: Path) -> None:
    for first, second in (("cpu", device), (device, "cpu"), (device, device)):
        options: dict[str, Any] = {"run_dir": tmp_path / f"{first}-{second}"}
        data = {"data": (X, Y), "validation": (X, Y)}
        # The best weights so far come from the file too, and are written over when one is better.
        stopping: list[Any] = [EarlyStopping(patience=9) for _ in range(2)]
        small_training.trainer(device=first, callbacks=stopping[:1], **options).fit(
            epochs=2, **data
        )
        moved = small_training.trainer(device=second, callbacks=stopping[1:], **options)
        history = moved.fit(epochs=4, resume=True, **data)
        assert stopping[1].best_epoch == 4
        alone = small_training.trainer(device=first).fit(epochs=4, **data)
        np.testing.assert_allclose(
            [row["train_loss"] for row in history.rows],
            [row["train_loss"] for row in alone.rows], rtol=1e-4,
        )  # fmt: skip


class Raise(Callback):
    def on_batch_end(self, trainer: Trainer) -> None:
        if trainer.step_number == 3:
            raise MemoryError


@pytest.mark.parametrize("compile", [False, True])
def test_a_fit_that_was_broken_off_is_begun_anew(device: str, compile: bool) -> None:
    made = small_training.trainer(device=device, compile=compile, accumulate=2, callbacks=[Raise()])
    with pytest.raises(MemoryError):
        made.fit((X, Y), 2, batch_size=10)
    before = values(made.model)
    history = made.fit((X, Y), 2, batch_size=10)
    assert history["epoch"] == [1, 2]
    assert made.step_number == 3 + 12
    assert values(made.model) != before


class Apart:
    """Samples whose parts lie on two devices."""

    def __init__(self, device: str) -> None:
        self.x, self.y = nnscratch.tensor(X).to(device), nnscratch.tensor(Y)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> Any:
        return self.x[index], self.y[index]


@pytest.mark.parametrize("compile", [False, True])
def test_data_on_two_devices(device: str, compile: bool) -> None:
    apart = Apart(device)
    expected = small_training.trainer(device=device, compile=compile).fit((X, Y), 2)
    for data in (apart, TensorDataset(apart.x, Y), TensorDataset(X, Y).to(device)):
        found = small_training.trainer(device=device, compile=compile).fit(data, 2)
        assert small_training.figures(found) == small_training.figures(expected)
    loader = DataLoader(TensorDataset(apart.x, Y, X), batch_size=16, shuffle=True)
    for x, y, plain in loader:
        assert (x.device, y.device.type) == (apart.x.device, "cpu")
        np.testing.assert_array_equal(to_numpy(x.array), plain.numpy())
    for index in ([2, 0], np.array([2, 0]), slice(1, 3), 5, X[:, 0] > 0):
        x, y = TensorDataset(apart.x, Y)[index]
        np.testing.assert_array_equal(to_numpy(x.array), X[index])
        np.testing.assert_array_equal(y.numpy(), Y[index])


@pytest.mark.gpu
def test_indices_and_targets_have_to_be_with_the_rest() -> None:
    there, index = nnscratch.tensor(X).to("cuda"), nnscratch.tensor([1, 0])
    with pytest.raises(DeviceError, match=r"I is on cpu.*I\.to\('cuda:0'\)"):
        TensorDataset(there)[index]
    for pick in (TensorDataset(X).__getitem__, TensorDataset(there, X).take):
        with pytest.raises(DeviceError, match=r"is on cpu but index is on cuda:0"):
            pick(index.to("cuda").array)
    outputs = there[:, :3]
    for metric in as_metrics(["accuracy", "top5", "f1", "precision"]):
        with pytest.raises(
            DeviceError, match=r"output is on cuda:0 but target is on cpu.*target\.to"
        ):
            metric(outputs, Y)
        assert metric(outputs, nnscratch.tensor(Y).to("cuda")) == metric(outputs.cpu(), Y)
    with pytest.raises(DeviceError, match="target is on cpu"):
        as_metrics("mse")[0](there, X)


CHOICES: list[tuple[Any, Any]] = [
    (nn.CrossEntropyLoss(), Y),
    (nn.CrossEntropyLoss(), np.full((60, 3), 1 / 3, np.float32)),
    (nn.BCEWithLogitsLoss(), np.eye(3, dtype=np.float32)[Y]),
    (nn.BCEWithLogitsLoss(), np.where(np.eye(3)[Y] > 0, 0.7, 0.2).astype(np.float32)),
    (nn.MSELoss(), X[:, :3]),
]


@pytest.mark.parametrize(("loss", "y"), CHOICES)
def test_the_check_up(device: str, loss: Any, y: Any) -> None:
    found = []
    for one, moved in (("cpu", False), (device, True), (device, False)):
        net = small_training.net(dropout=0.0).to(one)
        data = [nnscratch.tensor(a).to(one) if moved else a for a in (X, y)]
        step = optim.Adam(net.parameters(), lr=1e-3)
        report = nnscratch.checkup(net, loss, *data, optimizer=step)
        assert report, report
        found.append(
            {(each.kind, each.severity): each.value for each in report.symptoms if each.value}
        )
    for other in found[1:]:
        # Losses after a hundred steps, on a GPU that rounds otherwise.
        assert other == pytest.approx(found[0], rel=0.02, abs=1e-3)


def values(model: nn.Module) -> dict[str, bytes]:
    return {name: to_numpy(t.array).tobytes() for name, t in model.state_dict().items()}


def test_bad_data_are_named_with_their_step(device: str, tmp_path: Path) -> None:
    bad = X.copy()
    bad[41] = np.nan
    for compile in (False, True):
        options: dict[str, Any] = {"device": device, "compile": compile}
        for more in ({}, {"run_dir": tmp_path / str(compile), "checkpoint_seconds": 0.0}):
            run = small_training.trainer(**options, **more)
            with pytest.raises(NonFiniteError, match=r"step 2 \(epoch 1\).*inputs .* 4 of 40"):
                run.fit((bad, Y), epochs=2, batch_size=10)
        with pytest.raises(DataError, match="expected class indices"):
            small_training.trainer(**options).fit((X, np.where(Y == 2, 7, Y)), epochs=2)


class Square(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * x


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_layer_that_overflows_is_named(device: str, seconds: float, tmp_path: Path) -> None:
    """At first all fits; one row of the second epoch's first batch is far too bright."""
    nnscratch.manual_seed(0)
    run = small_training.trainer(
        nn.Sequential(nn.Linear(4, 3), Square()),
        device=device, run_dir=tmp_path, checkpoint_seconds=seconds,
    )  # fmt: skip
    run.fit((X, Y), epochs=1, batch_size=10, shuffle=False)
    bright = X.copy()
    bright[3] *= 1e30
    with pytest.raises(NonFiniteError, match=r"step 7 \(epoch 2\).*layer '1' \(Square"):
        run.fit((bright, Y), epochs=2, batch_size=10, shuffle=False, resume=True)


def test_the_command_line(device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, run = flowers(tmp_path / "flowers.csv"), tmp_path / "run"
    options = (*QUICK, "--target", "kind", "--run", run, "--quiet", "--device", device)
    for words, said in (
        (("train", table, *options), "Test accuracy"),
        (("evaluate", run, table, "--device", device), "accuracy"),
        (("predict", run, table, "--device", device), "prediction"),
    ):
        code, out, err = call(capsys, *words)
        assert code == 0, err
        assert said in out


def test_indices_of_the_host(device: str) -> None:
    array = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    x = nnscratch.tensor(array).to(device)
    mask = array[:, 0] > 2
    for index in ([2, 0], np.array([3, 1]), mask, mask.tolist(), (slice(None), [0, 2])):
        np.testing.assert_array_equal(to_numpy(x[index].array), array[index])
    changed = x.clone()
    changed[[0, 1]] = 7.0
    assert to_numpy(changed.array)[:2].tolist() == [[7.0] * 3] * 2
    found = nnscratch.where(x > 4, 1.0, 0.0)
    assert found.device == x.device
    np.testing.assert_array_equal(to_numpy(found.array), np.where(array > 4, 1.0, 0.0))


@pytest.mark.gpu
def test_a_tensor_as_an_index_has_to_be_there() -> None:
    x = nnscratch.ones(4, 3, device="cuda")
    with pytest.raises(DeviceError, match=r"I is on cpu.*I\.to\('cuda:0'\)"):
        x[nnscratch.tensor([1, 0])]


def test_the_gradient_checker(device: str) -> None:
    net = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3)).to(device)
    x = nnscratch.tensor(np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32))
    assert gradcheck(net, x.to(device))


def test_the_audit_counts_views_for_what_they_are(device: str) -> None:
    x = nnscratch.ones(40, 30, device=device)
    with audit() as seen:
        _ = x.reshape(30, 40)[2:5]
    seen.assert_no_copies()
    assert sum(cost.allocated for cost in seen.costs.values()) == 0
    with audit() as seen:
        x.T.reshape(-1)
    assert len(seen.of("contiguous copy")) == 1


def test_threads_train_models_of_their_own(device: str) -> None:
    def train(seed: int, model: nn.Module) -> dict[str, bytes]:
        step = optim.Adam(model.parameters(), lr=0.01)
        x, y = (nnscratch.tensor(one).to(device) for one in (X + np.float32(seed), Y))
        for _ in range(5):
            step.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            step.step()
        return values(model)

    # Random numbers are drawn before the threads start: they share a generator.
    models = [[small_training.net(dropout=0.0).to(device) for _ in range(4)] for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(train, range(4), models[0]))
    assert found == [train(seed, model) for seed, model in enumerate(models[1])]


@pytest.mark.gpu
def test_a_kernel_that_does_not_compile_falls_back_with_the_compilers_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = CupyDriver()
    monkeypatch.setattr(
        "nnscratch.kernels.cuda.cupy_driver.text", lambda file: 'extern "C" __global__ void k( {'
    )
    made = {name: [one.on(driver)] for name, one in IMPLEMENTATIONS.items()}
    monkeypatch.setattr(choosing, "_implementations", made)
    monkeypatch.setattr(choosing, "_later", {})
    x = nnscratch.tensor(np.array([-1.0, 2.0], np.float32)).to("cuda")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [to_numpy(x.relu().array).tolist() for _ in range(3)]
    assert found == [[0.0, 2.0]] * 3
    assert len(caught) == 1
    assert "reference formulas compute instead. The compiler says: " in str(caught[0].message)
    assert "error" in str(caught[0].message).partition("compiler says:")[2]


class Places(nn.Module):
    """Two inputs, and classes along axis 1 for five places of each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 15), nn.Linear(4, 15)

    def forward(self, left: Any, right: Any) -> Any:
        return (self.left(left) + self.right(right)).reshape(len(left), 3, 5)


class Rows:
    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> Any:
        labels = (np.arange(5) + Y[index]) % 3
        labels[index % 5] = -100
        return {"left": X[index], "right": X[index] * 2, "labels": labels}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("compile", [False, True])
def test_batches_of_any_structure(device: str, compile: bool, workers: int) -> None:
    histories = []
    for one in ("cpu", device):
        nnscratch.manual_seed(2)
        trainer = Trainer(Places(), device=one, compile=compile, lr=0.05, metrics=["f1", "top5"])
        data = DataLoader(Rows(), 16, shuffle=True, seed=1, num_workers=workers)
        histories.append(trainer.fit(data, 3, validation=Rows()))
    expected, found = (small_training.figures(history) for history in histories)
    assert expected[-1]["train_accuracy"] > expected[0]["train_accuracy"]
    for row, other in zip(expected, found, strict=True):
        assert row.keys() == other.keys()
        for name, value in row.items():
            np.testing.assert_allclose(other[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
