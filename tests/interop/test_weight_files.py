"""Weights of every kind of file go into a model, by name, layout and number of files."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import CheckpointError, ConfigurationError, RunError
from nnscratch.interop.safetensors import save_file
from nnscratch.interop.weights import load_weights, save_weights
from nnscratch.models import GPT2, GPT2Config

GPT = GPT2Config(vocab_size=11, n_positions=6, n_embd=4, n_layer=2, n_head=2)
ENDINGS = ["safetensors", "pt", "pth", "npz", "weights.h5", "safetensors.index.json"]


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Conv2d(3, 6, 2, groups=3), nn.Flatten(),
        nn.Linear(24, 5), nn.LayerNorm(5), nn.Linear(5, 5, bias=False), nn.Linear(5, 2),
    )  # fmt: skip


def shaken(model: nn.Module) -> nn.Module:
    source = np.random.default_rng(3)
    for tensor in model.state_dict().values():
        if tensor.array.dtype.kind == "f":
            tensor.copy_(nnscratch.tensor(source.normal(size=tensor.shape) ** 2 + 0.1))
    return model


def values(model: nn.Module) -> dict[str, Any]:
    return {name: np.asarray(value.detach()).tolist() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("ending", ENDINGS)
def test_there_and_back(ending: str, tmp_path: Path) -> None:
    published, model = shaken(network()), network()
    path = tmp_path / f"model.{ending}"
    save_weights(published, path)
    assert load_weights(model, path) == []
    assert values(model) == values(published)


def test_what_pytorch_reads(tmp_path: Path) -> None:
    model = network()
    theirs = torch.nn.Linear(5, 2)
    save_weights(model[7], tmp_path / "a.pt")
    theirs.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))
    assert theirs.weight.tolist() == model[7].weight.tolist()
    save_weights(model, tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as read:
        assert sorted(read) == sorted(model.state_dict())


@pytest.mark.parametrize("name", ["a", "a.h5", "a.onnx"])
def test_other_endings(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ends in \.safetensors, \.pt"):
        save_weights(network(), tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("key", [None, "state_dict", "model", "model_state_dict"])
def test_a_checkpoint_that_has_them_under_a_name(key: str | None, tmp_path: Path) -> None:
    theirs, ours = torch.nn.Linear(3, 2), nn.Linear(3, 2)
    state = theirs.state_dict()
    kept = state | {"epoch": 3} if key is None else {"loss": torch.ones(()), key: state}
    torch.save(kept, tmp_path / "a.pt")
    assert load_weights(ours, tmp_path / "a.pt") == []
    assert ours.weight.tolist() == theirs.weight.tolist()
    torch.save({"mine": state, "epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"holds no state dict: 'mine', 'epoch'"):
        load_weights(ours, tmp_path / "a.pt")


def test_left_out_as_a_copy(tmp_path: Path) -> None:
    """safetensors' own function keeps one of two tied weights, and says so in the metadata."""
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    theirs[1].weight = theirs[0].weight
    safetensors.torch.save_model(theirs, str(tmp_path / "a.safetensors"))
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    load_weights(tied, tmp_path / "a.safetensors")
    for n in (0, 1):
        assert tied[n].weight.tolist() == theirs[0].weight.tolist()


def test_several_files(tmp_path: Path) -> None:
    published, model = shaken(network()), network()
    path = tmp_path / "model.safetensors.index.json"
    save_weights(published, path, max_shard_bytes=200)
    files = sorted(p.name for p in tmp_path.glob("*.safetensors"))
    assert files[0] == "model-00001-of-00005.safetensors"
    index = json.loads(path.read_text())
    assert set(index["weight_map"]) == set(model.state_dict())
    for file in files:
        read = safetensors.torch.load_file(tmp_path / file)
        assert all(index["weight_map"][name] == file for name in read)
    load_weights(model, path)
    assert values(model) == values(published)
    before = values(model)
    (tmp_path / files[2]).unlink()
    with pytest.raises(CheckpointError, match=rf"{files[2]}: there is no such file"):
        load_weights(model, path)
    assert values(model) == before


def test_several_files_that_cannot_all_be_written(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        save_weights(network(), path, max_shard_bytes=200)
    assert os.listdir(tmp_path) == [path.name]


def test_an_index_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_text(json.dumps({"weight_map": {"weight": "a.bin"}}))
    with pytest.raises(CheckpointError, match="this is JSON, no safetensors file"):
        load_weights(nn.Linear(3, 2), path)


@pytest.mark.parametrize("length", [0x7B, 0x7B20])
def test_a_header_whose_length_looks_like_the_brace_of_an_index(
    length: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    told = {"weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}
    head = json.dumps(told).encode().ljust(length)
    path.write_bytes(struct.pack("<Q", len(head)) + head + struct.pack("<f", 2.5))
    model = nn.Linear(1, 1, bias=False)
    load_weights(model, path)
    assert model.weight.tolist() == [[2.5]]


def test_several_of_pytorchs_files(tmp_path: Path) -> None:
    theirs, ours = torch.nn.Linear(3, 2), nn.Linear(3, 2)
    torch.save({"weight": theirs.weight.detach()}, tmp_path / "1.bin")
    torch.save({"bias": theirs.bias.detach()}, tmp_path / "2.bin")
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"weight_map": {"weight": "1.bin", "bias": "2.bin"}}))
    load_weights(ours, path)
    assert ours.bias.tolist() == theirs.bias.tolist()
    path.write_text(json.dumps({"weight_map": {"weight": "1.bin", "bias": "1.bin"}}))
    with pytest.raises(CheckpointError, match=r"'bias' should be in 1\.bin, and is not"):
        load_weights(ours, path)


class Wide(nn.Module):
    """GPT-2's layers of one block, as torch.nn has them."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.ModuleDict({"c_attn": nn.Linear(4, 12), "c_proj": nn.Linear(4, 4)})
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(4, 16), "c_proj": nn.Linear(16, 4)})
        self.head = nn.Linear(4, 11)


def test_gpt2s_matrices_lie_the_other_way_round(tmp_path: Path) -> None:
    published = shaken(GPT2(GPT))
    block = {
        name.removeprefix("transformer.h.0."): np.asarray(value)
        for name, value in published.state_dict().items()
        if ".h.0.attn" in name or ".h.0.mlp" in name
    }
    head = {"head.weight": np.ones((11, 4), "f4"), "head.bias": np.zeros(11, "f4")}
    model = Wide()
    save_file(block | head, tmp_path / "a.safetensors")
    load_weights(model, tmp_path / "a.safetensors")
    for name, value in model.state_dict().items():
        if "head" not in name:
            assert np.array_equal(np.asarray(value), block[name].T), name
    # And the other way: a file of a torch.nn.Linear for our Conv1D.
    state = {name: np.asarray(value) for name, value in published.state_dict().items()}
    for name in state:
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            state[name] = np.ascontiguousarray(state[name].T)
    save_file(state, tmp_path / "b.safetensors")
    other = GPT2(GPT)
    load_weights(other, tmp_path / "b.safetensors")
    assert values(other) == values(published)


def test_square_matrices_do_not_tell(tmp_path: Path) -> None:
    published, model = shaken(nn.Linear(3, 3)), nn.Linear(3, 3)
    state = {k: np.asarray(v) for k, v in published.state_dict().items()}
    state["weight"] = np.ascontiguousarray(state["weight"].T)
    save_file(state, tmp_path / "a.safetensors")
    load_weights(model, tmp_path / "a.safetensors")
    assert values(model) != values(published)
    load_weights(model, tmp_path / "a.safetensors", transposed=True)
    assert values(model) == values(published)
    tall = nn.Linear(3, 2)
    save_file({"weight": np.zeros((3, 2), "f4"), "bias": np.zeros(2, "f4")}, tmp_path / "b.npz")
    with pytest.raises(CheckpointError, match=r"weight has the shape \(3, 2\), the model's .*2, 3"):
        load_weights(tall, tmp_path / "b.npz", transposed=False)


def test_one_matrix_of_several_that_lies_the_other_way_is_named(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4))
    state = {k: np.asarray(v) for k, v in model.state_dict().items()}
    state["1.weight"] = np.ascontiguousarray(state["1.weight"].T)
    np.savez(tmp_path / "a.npz", **state)
    with pytest.raises(CheckpointError, match=r"1\.weight has the shape \(2, 4\), .* is \(4, 2\)"):
        load_weights(model, tmp_path / "a.npz")


def test_numbers_of_another_kind_leave_the_model_as_it_was(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    before = values(model)
    torch.save({"weight": torch.ones(2, 3) * 1j, "bias": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="weight is complex64, the model's weight is float32"):
        load_weights(model, tmp_path / "a.pt")
    save_file(
        {"weight": np.ones((2, 3), "f4"), "bias": np.ones(2, bool)}, tmp_path / "a.safetensors"
    )
    content = bytearray((tmp_path / "a.safetensors").read_bytes())
    content[-1] = 7
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="'bias' is of booleans but holds other values"):
        load_weights(model, tmp_path / "a.safetensors")
    assert values(model) == before
