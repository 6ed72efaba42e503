import numpy as np
import pytest
import safetensors.torch
import torch

from nnscratch import nn
from nnscratch.errors import CheckpointError
from nnscratch.interop.safetensors import load_file, load_model, save_file, save_model
from nnscratch.tensors import Tensor


def ours():
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))


def theirs():
    return torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))


def test_weights_of_pytorch_are_loaded_as_they_are(tmp_path):
    model, other = ours(), theirs()
    safetensors.torch.save_model(other, tmp_path / "w")
    assert load_model(model, tmp_path / "w") == ([], [])
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    expected = other(torch.from_numpy(x)).detach().numpy()
    assert model(Tensor(x)).detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_pytorch_loads_our_weights(tmp_path):
    model, other = ours(), theirs()
    save_model(model, tmp_path / "w", {"format": "pt"})
    safetensors.torch.load_model(other, tmp_path / "w")
    assert other[0].weight.detach().numpy().tolist() == model[0].weight.tolist()


def test_half_precision_is_cast_to_the_dtype_of_the_model(tmp_path):
    model = ours()
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        values = {k: v.to(dtype) for k, v in theirs().state_dict().items()}
        safetensors.torch.save_file(values, tmp_path / "w")
        load_model(model, tmp_path / "w")
        assert str(model[0].weight.dtype) == "float32"
        expected = values["0.weight"].float().numpy()
        assert model[0].weight.detach().numpy() == pytest.approx(expected, abs=1e-7)


def test_files(tmp_path):
    save_file({"a": Tensor(np.arange(3)), "b": np.ones((1, 2), np.float16)}, tmp_path / "f")
    found = load_file(tmp_path / "f")
    assert found["a"].tolist() == [0, 1, 2]
    assert str(found["b"].dtype) == "float16"


def test_weights_that_do_not_fit(tmp_path):
    model = ours()
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    save_model(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"2.weight has the shape \(3, 4\)"):
        load_model(model, tmp_path / "w", strict=False)
    save_file({"0.weight": np.zeros((4, 5), np.float32), "x": np.ones(1)}, tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"missing: 0.bias.*unexpected: x"):
        load_model(model, tmp_path / "w")
    for name, value in model.state_dict().items():
        assert np.array_equal(value.numpy(), before[name])
    assert load_model(model, tmp_path / "w", strict=False)[1] == ["x"]
    assert not model[0].weight.detach().numpy().any()
