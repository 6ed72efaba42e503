"""Tensors on a GPU: items, devices, and what waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.array import to_numpy
from nnscratch.errors import DeviceError, ShapeError

F = nn.functional
ARRAY = np.arange(12.0, dtype=np.float32).reshape(3, 4)


def there(device: str, array: Any = ARRAY) -> Any:
    return nnscratch.tensor(array).to(device)


def host(tensor: Any) -> np.ndarray:
    return to_numpy(tensor.array)


MASK = [True, False, True]
PLACES: dict[str, Any] = {
    "list": [0, -1], "array": np.array([2, 0]), "pairs": ([0, 1], [1, -4]), "mask": MASK,
    "mask of the host": np.array(MASK), "behind": (..., [0, 3]), "new axis": (None, 1),
    "nothing": [], "numpy's integer": np.int64(1), "steps": (slice(None, None, 2), slice(1, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_items_are_set_as_numpy_sets_them(name: str, device: str) -> None:
    x, expected = there(device), ARRAY.copy()
    x[PLACES[name]] = 7.5
    expected[PLACES[name]] = 7.5
    np.testing.assert_array_equal(host(x), expected)


def test_values_of_items(device: str) -> None:
    x, expected = there(device), ARRAY.copy()
    for value in ([1, 2, 3, 4], np.ones(4), nnscratch.tensor(5.0)):
        x[1] = value
        expected[1] = np.asarray(value)
        np.testing.assert_array_equal(host(x), expected)
    x[nnscratch.tensor([0, 2]).to(device)] = there(device, np.zeros((2, 4), np.float32))
    assert not host(x)[[0, 2]].any()
    with pytest.raises(ShapeError, match=r"setting items of a tensor of shape \(3, 4\)"):
        x[0] = there(device, np.ones(3, np.float32))


@pytest.mark.parametrize("wrong", [[5], [-4], (..., [0, 4]), 1.5, (0, 1.5), "a", 3, (0, 0, 0)])
def test_what_is_no_index_writes_nothing(wrong: Any, device: str) -> None:
    x = there(device)
    with pytest.raises(IndexError):
        x[wrong] = 1.0
    if isinstance(wrong, list):
        with pytest.raises(IndexError, match="out of"):
            x[nnscratch.tensor(wrong).to(device)] = 1.0
    np.testing.assert_array_equal(host(x), ARRAY)


def test_overlapping_and_expanded_targets(device: str) -> None:
    for count in (5, 100_000):
        x = there(device, np.arange(count, dtype=np.float32))
        x[1:].copy_(x[:-1])
        np.testing.assert_array_equal(host(x), np.arange(-1, count - 1).clip(0))
    row = nnscratch.zeros(1, 3, device=device)
    for write in (lambda e: e.add_(1), lambda e: e.__setitem__(0, 5), lambda e: e.fill_(2)):
        with pytest.raises(ShapeError, match=r"expanded to \(4, 3\).*clone"):
            write(row.expand(4, 3))
    assert not host(row).any()


def test_numbers_in_front(device: str) -> None:
    x = there(device)
    for function, expected in (
        (nnscratch.pow, 2.0**ARRAY), (nnscratch.sub, 2 - ARRAY), (nnscratch.mul, 2 * ARRAY),
        (nnscratch.maximum, np.maximum(2, ARRAY)),
    ):  # fmt: skip
        made = function(2.0, x)
        assert made.device == x.device
        np.testing.assert_array_equal(host(made), expected)


@pytest.mark.gpu
def test_what_is_elsewhere_is_refused() -> None:
    x = there("cuda")
    with pytest.raises(DeviceError, match="value is on cpu"):
        x[0] = nnscratch.ones(4)
    with pytest.raises(DeviceError, match="index is on cpu"):
        x[nnscratch.tensor([0])] = 1.0
    leaf = nnscratch.ones(2, device="cuda", requires_grad=True)
    for gradient in (nnscratch.ones(2), np.ones(2, np.float32)):
        with pytest.raises(DeviceError, match="backward: tensor is on cuda:0 but gradient is on"):
            (leaf + 0.0).backward(gradient)
    y = leaf * 2.0
    y.register_hook(lambda gradient: gradient.cpu())
    with pytest.raises(DeviceError, match="a hook"):
        y.sum().backward()
    assert leaf.grad is None
    with pytest.raises(DeviceError, match="cuda:99 does not exist"):
        nnscratch.ones(2, device="cuda:99")


LABELS = np.array([0, 1, 2, 3] * 2)
SILENT: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    "cross-entropy": (LABELS, F.cross_entropy),
    "cross-entropy, int32": (LABELS.astype(np.int32), F.cross_entropy),
    "mean squared error": (ARRAY, lambda z, y: F.mse_loss(z[:3], y)),
    "l1": (ARRAY, lambda z, y: F.l1_loss(z[:3], y)),
    "huber": (ARRAY, lambda z, y: F.huber_loss(z[:3], y)),
    "smooth l1": (ARRAY, lambda z, y: F.smooth_l1_loss(z[:3], y)),
    "bce with logits": (ARRAY / 12, lambda z, y: F.binary_cross_entropy_with_logits(z[:3], y)),
    "abs, gelu": (ARRAY, lambda z, y: (F.gelu(z[:3]) - y).abs().sum()),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", SILENT)
def test_a_step_waits_for_nothing(name: str, counts: Any) -> None:
    target, loss = SILENT[name]
    model = nn.Linear(5, 4).to("cuda")
    optimizer = optim.AdamW(model.parameters())
    x, y = nnscratch.rand(8, 5).to("cuda"), there("cuda", target)

    def step() -> Any:
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return value

    step()
    before = counts.waits, counts.to_host, counts.to_device
    value = step()
    assert (counts.waits, counts.to_host, counts.to_device) == before
    assert np.isfinite(value.item())


@pytest.mark.gpu
def test_what_is_known_of_a_gpu() -> None:
    cuda = nnscratch.cuda
    assert cuda.current_device() == 0
    assert cuda.get_device_name() == cuda.get_device_name("cuda:0") != ""
    x = nnscratch.ones(1 << 20, device="cuda")
    assert cuda.memory_allocated() >= 4 << 20
    del x
    cuda.empty_cache()
    cuda.synchronize()
    cuda.synchronize("cuda:0")
    assert nnscratch.ones(2).to(0, non_blocking=True).device == nnscratch.device("cuda", 0)
