"""Tensors of bfloat16 are stored in 16 bits, computed in float32, and are PyTorch's to the bit."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file as load_theirs
from safetensors.torch import save_file as save_theirs

import nnscratch
from nnscratch import nn, optim
from nnscratch.array import Device, device
from nnscratch.array import bfloat16 as place
from nnscratch.errors import DTypeError
from nnscratch.interop.safetensors import load_file, load_model, save_file
from nnscratch.verify import audit
from nnscratch.verify.watch.anomaly import AnomalyError, detect_anomaly

X = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")


def both(values: Any = X) -> tuple[Any, Any]:
    return nnscratch.tensor(values).bfloat16(), torch.tensor(values).bfloat16()


def same(ours: Any, theirs: Any) -> None:
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_array_equal(ours.detach().tolist(), theirs.detach().tolist())


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "numbers": lambda lib, x: (x * 2.5 + 1) / 3 - 7,
    "numbers first": lambda lib, x: 1.0 - 2 / x,
    "itself": lambda lib, x: x * x - x,
    "float32": lambda lib, x: x + x.float(),
    "float16": lambda lib, x: x + x.half(),
    "integers": lambda lib, x: x + lib.ones(4, dtype=lib.int64),
    "0-d float32": lambda lib, x: x * lib.tensor(3.0),
    "power": lambda lib, x: x**2,
    "comparison": lambda lib, x: x > 0.5,
    "sum": lambda lib, x: x.sum(1),
    "mean": lambda lib, x: x.mean(),
    "max": lambda lib, x: x.max(1).values,
    "argmax": lambda lib, x: x.argmax(1),
    "sort": lambda lib, x: x.sort(1, descending=True).values,
    "cumsum": lambda lib, x: x.cumsum(0),
    "view": lambda lib, x: x.view(2, 6).T.reshape(-1)[::2],
    "cat": lambda lib, x: lib.cat([x, x[:1]]),
    "where": lambda lib, x: lib.where(x > 0, x, 0.0),
    "mask": lambda lib, x: x[x > 0],
    "clamp": lambda lib, x: x.clamp(-0.5, 0.5),
    "round": lambda lib, x: x.round(),
    "abs": lambda lib, x: x.abs().sqrt(),
    "relu": lambda lib, x: lib.relu(x),
    "nan_to_num": lambda lib, x: (x / 0).nan_to_num(),
    "to integers": lambda lib, x: x.int(),
    "to bool": lambda lib, x: x.bool(),
    "zeros_like": lambda lib, x: lib.zeros_like(x),
    "full": lambda lib, x: lib.full((2,), 0.1, dtype=lib.bfloat16),
    "new_tensor": lambda lib, x: x.new_tensor([0.1]),
    "add_": lambda lib, x: x.clone().add_(1, alpha=3),
    "item set": lambda lib, x: x.clone().index_fill_(0, lib.tensor([1]), 0.1),
    "type": lambda lib, x: x.float().type(lib.bfloat16),
    "type_as": lambda lib, x: x.float().type_as(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_pytorch_to_the_bit(name: str) -> None:
    ours, theirs = both()
    same(CALLS[name](nnscratch, ours), CALLS[name](torch, theirs))


def test_what_it_is() -> None:
    ours, theirs = both([1.0, 2.5, np.pi])
    assert repr(ours) == "tensor([1.    , 2.5   , 3.1406], dtype=bfloat16)"
    assert ours.dtype == nnscratch.bfloat16 == np.dtype(nnscratch.bfloat16) == "bfloat16"
    assert ours.is_floating_point()
    assert (ours.element_size(), ours.nbytes) == (theirs.element_size(), theirs.nbytes)
    assert ours.type() == theirs.type() == "torch.BFloat16Tensor"
    assert ours[2].item() == theirs[2].item()
    assert (float(ours[1]), bool(ours[0])) == (2.5, True)
    for name in ("eps", "max", "min", "tiny", "smallest_normal", "resolution", "bits"):
        theirs_say = getattr(torch.finfo(torch.bfloat16), name)
        assert getattr(nnscratch.finfo(nnscratch.bfloat16), name) == theirs_say
    view = ours.view(3, 1)
    view[0] = 7
    assert ours.tolist() == [7.0, 2.5, 3.140625]
    assert nnscratch.randn(1000, dtype="bfloat16").float().std().item() == pytest.approx(1, abs=0.1)
    drawn = nnscratch.rand(5000, dtype=nnscratch.bfloat16)
    assert drawn.dtype == nnscratch.bfloat16
    assert 0 <= drawn.min().item() <= drawn.max().item() < 1


def network(lib: Any) -> Any:
    layers = lib.nn
    return layers.Sequential(
        *(layers.Linear(4, 8), layers.LayerNorm(8), layers.GELU(), layers.Linear(8, 3))
    )


def test_a_model_trains_as_pytorchs_does() -> None:
    torch.manual_seed(0)
    ours, theirs = network(nnscratch), network(torch)
    ours.load_state_dict(theirs.state_dict())
    assert ours.bfloat16() is ours
    theirs.bfloat16()
    target = np.array([0, 2, 1])
    for lib, model in ((nnscratch, ours), (torch, theirs)):
        optimizer = lib.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            scores = model(lib.tensor(X).to(lib.bfloat16))
            loss = lib.nn.functional.cross_entropy(scores, lib.tensor(target))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            assert loss.dtype == lib.bfloat16
        for parameter in model.parameters():
            assert parameter.dtype == parameter.grad.dtype == lib.bfloat16
        if lib is nnscratch:
            expected = losses
    # Both round to 8 bits at every layer, though not at the same places inside of it.
    np.testing.assert_allclose(losses, expected, rtol=0.03)
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(
    "name", ["Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adamax", "Rprop", "ASGD"]
)
def test_optimizers_keep_the_dtype(name: str) -> None:
    weight = nn.Parameter(nnscratch.tensor(X).bfloat16())
    optimizer = getattr(optim, name)([weight], lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
    assert weight.dtype == nnscratch.bfloat16
    held = [one for one in optimizer.state_dict()["state"][0].values() if hasattr(one, "dtype")]
    assert {one.dtype for one in held if one.ndim} == {nnscratch.bfloat16}
    assert weight.float().norm().item() < float(np.linalg.norm(X))


def test_tensors_in_lists_keep_their_dtype() -> None:
    for lib in (nnscratch, torch):
        x, y = lib.ones(2).bfloat16(), lib.ones(())
        for given, expected in (([x[0], x[1]], "bfloat16"), ([1, x[0]], "bfloat16")):
            assert str(lib.tensor(given).dtype).endswith(expected)
        for given in ([x[0], 2.5], [x[0], y]):
            assert str(lib.tensor(given).dtype).endswith("float32")


def test_who_watches_knows_it() -> None:
    x = nnscratch.full((3,), 100.0).bfloat16()
    with (
        np.errstate(all="ignore"),
        pytest.raises(AnomalyError, match=r"beyond bfloat16, which ends at e\^88"),
        detect_anomaly(),
    ):
        x.exp()
    with audit() as found:
        x.float()
    assert "cast from bfloat16 to float32" in str(found)


def test_other_layers() -> None:
    x = nnscratch.randn(2, 5, 8).bfloat16()
    layers = [
        *(nn.MultiheadAttention(8, 2, batch_first=True), nn.LSTM(8, 8), nn.GRU(8, 8)),
        *(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Conv1d(5, 5, 3, padding=1)),
        *(nn.BatchNorm1d(5), nn.RMSNorm(8), nn.Softmax(-1), nn.MaxPool1d(2), nn.Dropout()),
    ]
    for layer in layers:
        layer.eval()
        args = (x, x, x) if isinstance(layer, nn.MultiheadAttention) else (x,)
        expected = layer(*(one.float() for one in args))
        made = layer.bfloat16()(*args)
        expected, made = (y[0] if isinstance(y, tuple) else y for y in (expected, made))
        assert made.dtype == nnscratch.bfloat16
        np.testing.assert_allclose(made.tolist(), expected.tolist(), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_of_16_bits_are_not_widened_at_once(dtype: str) -> None:
    linear, table = nn.Linear(2048, 2048).to(dtype), nn.Embedding(20_000, 64).to(dtype)
    x, i = nnscratch.ones(2, 2048, dtype=dtype), nnscratch.tensor([3, 1])
    assert linear.weight.nbytes == 2 * 2048**2
    for call, most in ((lambda: linear(x), 5 << 20), (lambda: table(i), 1 << 16)):
        with nnscratch.no_grad():
            call()
            tracemalloc.start()
            y = call()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < most
        assert str(y.dtype) == dtype
    linear(x).sum().backward()
    assert str(linear.weight.grad.dtype) == dtype


def test_compiled_steps() -> None:
    ours, _ = both()
    step = nnscratch.compile(lambda x: (x * 2 + 1).relu().sum(1))
    for _ in range(4):
        same(step(ours), (torch.tensor(X).bfloat16() * 2 + 1).relu().sum(1))


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    ours, theirs = both()
    save_file({"x": ours, "y": nnscratch.tensor(X)}, path)
    same(ours, load_theirs(path)["x"])
    save_theirs({"x": theirs, "empty": torch.zeros(0, 2, dtype=torch.bfloat16)}, path)
    read = load_file(path, keep_bfloat16=True)
    same(read["x"], theirs)
    assert (read["empty"].shape, read["empty"].dtype) == ((0, 2), nnscratch.bfloat16)
    same(load_file(path)["x"], theirs.float())
    model, other = nn.Linear(4, 3).bfloat16(), nn.Linear(4, 3).bfloat16()
    nnscratch.save({"model": model.state_dict(), "dtype": nnscratch.bfloat16}, path)
    back = nnscratch.load(path)
    assert back["dtype"] == back["model"]["weight"].dtype == nnscratch.bfloat16
    other.load_state_dict(back["model"])
    assert other.weight.tolist() == model.weight.tolist()
    nnscratch.save(model.state_dict(), path)
    load_model(other.float(), path)
    assert other.weight.tolist() == model.weight.float().tolist()


def test_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    monkeypatch.setattr(place, "brain", type(place.brain)())
    monkeypatch.setattr("nnscratch.array.dtypes._NAMES", {})
    for call in (
        lambda: nnscratch.bfloat16,
        lambda: nnscratch.ones(2).bfloat16(),
        lambda: nnscratch.ones(2, dtype="bfloat16"),
        lambda: nnscratch.ones(2).to(torch.bfloat16),
        lambda: nn.Linear(2, 2).bfloat16(),
    ):
        with pytest.raises(DTypeError, match=r"pip install 'nnscratch\[bfloat16\]'"):
            call()


def test_it_is_imported_when_it_is_wanted() -> None:
    code = """
import sys, nnscratch
from nnscratch import nn
nn.Linear(2, 2).half()(nnscratch.ones(1, 2).half()).sum().backward()
assert "ml_dtypes" not in sys.modules
import ml_dtypes, numpy
array = numpy.ones(2, ml_dtypes.bfloat16)
for x in (nnscratch.from_numpy(array), nnscratch.tensor(array)):
    assert (x * 2.5).dtype == nnscratch.bfloat16
assert nnscratch.tensor([array[0], 2.0]).tolist() == [1.0, 2.0]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_not_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, array = Device("cuda", 0), nnscratch.ones(2).bfloat16().array
    monkeypatch.setattr(device, "as_device", lambda given: given)
    with pytest.raises(DTypeError, match=r"arrays of the CPU only.*call \.float\(\) or \.half\(\)"):
        device.move(array, gpu)
