"""A model on a GPU against the same model on the CPU: values, training, random numbers, devices."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_training
import torch

import nnscratch
from nnscratch import nn, optim
from nnscratch.array import Generator, OutOfMemory, to_numpy
from nnscratch.errors import DataError, DeviceError
from nnscratch.formulas import registry
from nnscratch.interop.safetensors import load_model, save_model
from nnscratch.kernels.cuda import IMPLEMENTATIONS

CLASSES, FEATURES = 10, 33
OPTIMIZERS: dict[str, Any] = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 1e-3},
    "AdamW": {"lr": 1e-3, "weight_decay": 0.1},
    "RMSprop": {"lr": 1e-3, "centered": True, "momentum": 0.5},
    "Adagrad": {"lr": 1e-2},
    "Adadelta": {"lr": 1.0},
    "NAdam": {"lr": 1e-3},
}


def model(seed: int = 3, dropout: float = 0.0) -> nn.Sequential:
    nnscratch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(FEATURES, 65), nn.GELU(), nn.Dropout(dropout),
        nn.Linear(65, 31), nn.ReLU(), nn.Linear(31, CLASSES),
    )  # fmt: skip


def data(rows: int = 70, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, FEATURES)).astype(np.float32), rng.integers(0, CLASSES, rows)


def train(device: str, steps: int = 10, optimizer: str = "Adam", dropout: float = 0.0) -> Any:
    """Return the losses, and the weights in the end, of a training run."""
    net = model(dropout=dropout).to(device)
    step = getattr(optim, optimizer)(net.parameters(), **OPTIMIZERS[optimizer])
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    losses = []
    X, T = (nnscratch.tensor(one).to(device) for one in data())
    for _ in range(steps):
        step.zero_grad()
        loss = criterion(net(X), T)
        loss.backward()
        step.step()
        losses.append(loss.item())
    return losses, {name: np.asarray(t.cpu()) for name, t in net.state_dict().items()}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_as_on_the_cpu(optimizer: str, device: str) -> None:
    with registry.use_kernels("off"):
        expected, weights = train("cpu", optimizer=optimizer)
    losses, found = train(device, optimizer=optimizer)
    np.testing.assert_allclose(losses, expected, rtol=2e-4, atol=1e-5)
    for name, value in weights.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_run_repeats_bit_for_bit(device: str) -> None:
    first, weights = train(device, dropout=0.3)
    again, same = train(device, dropout=0.3)
    assert first == again
    assert all(weights[name].tobytes() == same[name].tobytes() for name in weights)


def test_the_forward_and_gradients_of_pytorch(device: str) -> None:
    net = model()
    copy = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 65), torch.nn.GELU(), torch.nn.Dropout(0.0),
        torch.nn.Linear(65, 31), torch.nn.ReLU(), torch.nn.Linear(31, CLASSES),
    )  # fmt: skip
    copy.load_state_dict({n: torch.tensor(np.asarray(t)) for n, t in net.state_dict().items()})
    net.to(device)
    X, T = data()
    loss = nn.CrossEntropyLoss()(
        net(nnscratch.tensor(X).to(device)), nnscratch.tensor(T).to(device)
    )
    loss.backward()
    theirs = torch.nn.CrossEntropyLoss()(copy(torch.tensor(X)), torch.tensor(T))
    theirs.backward()
    np.testing.assert_allclose(loss.item(), theirs.item(), rtol=1.3e-6)
    expected = dict(copy.named_parameters())
    for name, parameter in net.named_parameters():
        got = np.asarray(parameter.grad.cpu())
        np.testing.assert_allclose(got, expected[name].grad.numpy(), rtol=1e-4, atol=1e-5)


def test_random_numbers_are_the_cpus(device: str) -> None:
    for dtype in ("float32", "float64"):
        here, there = Generator(2**40 + 7), Generator(2**40 + 7)
        for shape in ((), (0,), (5,), (33, 31)):
            np.testing.assert_array_equal(
                to_numpy(there.uniform(shape, dtype, device)), here.uniform(shape, dtype)
            )
            np.testing.assert_allclose(
                to_numpy(there.normal(shape, dtype, device)), here.normal(shape, dtype), rtol=1e-6
            )
        np.testing.assert_array_equal(
            to_numpy(there.permutation(257, device)), here.permutation(257)
        )
        np.testing.assert_array_equal(
            to_numpy(there.randint(-5, 9, (99,), device)), here.randint(-5, 9, (99,))
        )


def test_dropout_drops_the_same_entries(device: str) -> None:
    kept = []
    for place in ("cpu", device):
        nnscratch.manual_seed(11)
        layer = nn.Dropout(0.4)
        kept.append(np.asarray(layer(nnscratch.ones(1025, device=place)).cpu()))
    np.testing.assert_array_equal(kept[0], kept[1])


class Reads(registry.CallLog):
    """Notes which implementations ran and what Python read out of arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def on_read(self, array: Any, what: str) -> None:
        self.reads.append(what)


def test_a_step_reads_nothing_and_runs_kernels(device: str) -> None:
    net = model(dropout=0.2).to(device)
    step = optim.AdamW(net.parameters())
    criterion = nn.CrossEntropyLoss()
    X, T = (nnscratch.tensor(one).to(device) for one in data())
    with registry.observing(Reads()) as log:
        criterion(net(X), T).backward()
        step.step()
    assert not log.reads
    if device != "cpu":
        left = {name for name, _, how in log.ran if name in IMPLEMENTATIONS and how != "cuda"}
        # A gradient is written where the optimizer has it, and its copy is only told of.
        assert left <= {"copy_into"}


def test_checkpoints_move_between_devices(device: str, tmp_path: Path) -> None:
    net = model().to(device)
    path = tmp_path / "weights.safetensors"
    save_model(net, path)
    other, back = model(seed=99), model(seed=98).to(device)
    load_model(other, path)
    load_model(back, path)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name].cpu(), tensor.cpu())
        np.testing.assert_array_equal(back.state_dict()[name].cpu(), tensor.cpu())
        assert back.state_dict()[name].device == tensor.device


def test_the_training_loop(device: str) -> None:
    X, y = small_training.blobs()
    run = small_training.trainer(device=device)
    history = run.fit((X, y), epochs=12)
    rows = small_training.figures(history)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]


@pytest.mark.gpu
def test_tensors_on_two_devices() -> None:
    a, b = nnscratch.ones(2, 3), nnscratch.ones(2, 3, device="cuda")
    with pytest.raises(DeviceError, match=r"A is on cpu but B is on cuda:0.*\.to\('cpu'\)"):
        a + b
    with pytest.raises(DeviceError, match=r"in 0 \(Linear.*\): "):
        nn.Sequential(nn.Linear(3, 2))(b)
    with pytest.raises(DeviceError, match="does not exist"):
        a.to("cuda:99")


@pytest.mark.gpu
def test_a_model_moved_after_its_optimizer_was_made() -> None:
    net = model()
    step = optim.Adam(net.parameters())
    net.to("cuda")
    X, T = (nnscratch.tensor(one).to("cuda") for one in data())
    nn.CrossEntropyLoss()(net(X), T).backward()
    with pytest.raises(DeviceError, match=r"moved.*after the optimizer"):
        step.step()


@pytest.mark.gpu
def test_out_of_memory() -> None:
    import cupy

    pool = cupy.get_default_memory_pool()
    gc.collect()  # arrays of other tests that die meanwhile would make room
    pool.free_all_blocks()
    # A chunk that is used in part keeps its rest, whatever its size: ask for more than that.
    pool.set_limit(size=pool.total_bytes() + (1 << 20))
    numbers = (pool.free_bytes() + (8 << 20)) // 8
    try:
        with pytest.raises(OutOfMemory, match=r"asked for [\d.]+ MB.*are free.*smaller batch"):
            nnscratch.tensor(np.zeros(numbers)).to("cuda")
    finally:
        pool.set_limit(size=0)


@pytest.mark.gpu
def test_a_label_out_of_range_is_an_error_at_the_next_call() -> None:
    logits = nnscratch.zeros(4, 3, device="cuda")
    criterion = nn.CrossEntropyLoss()
    loss = criterion(logits, nnscratch.tensor([0, 1, 3, 2]).to("cuda"))
    assert np.isnan(loss.item())
    good = nnscratch.tensor([0, 1, 2, 2]).to("cuda")
    with pytest.raises(DataError, match="1 labels are out of range in an earlier batch"):
        criterion(logits, good)
    assert np.isfinite(criterion(logits, good).item())
