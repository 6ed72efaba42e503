"""``save`` and ``load``: what scripts keep in a checkpoint, and what is refused."""

from __future__ import annotations

import argparse
import io
import json
import math
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import CheckpointError, DTypeError, RunError
from nnscratch.interop import saved
from nnscratch.interop.safetensors import load_file as load_tensors
from nnscratch.train import load_model


def trained() -> tuple[nn.Module, Any, Any]:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = optim.Adam(model.parameters(), lr=0.1, betas=(0.8, 0.9))
    schedule = optim.lr_scheduler.StepLR(optimizer, 2)
    return model, optimizer, schedule


def step(model: nn.Module, optimizer: Any, schedule: Any, x: Any) -> None:
    optimizer.zero_grad()
    model(x).pow(2).sum().backward()
    optimizer.step()
    schedule.step()


def test_a_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    x = nnscratch.randn(8, 3)
    parts = trained()
    for _ in range(3):
        step(*parts, x)
    model, optimizer, schedule = parts
    nnscratch.save(
        {
            "epoch": 3,
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "rng": nnscratch.get_rng_state(),
            "best": math.inf,
        },
        tmp_path / "run.pt",
    )
    others = trained()
    kept = nnscratch.load(tmp_path / "run.pt", map_location="cpu", weights_only=True)
    for part, name in zip(
        others, ("model_state_dict", "optimizer_state_dict", "schedule"), strict=True
    ):
        part.load_state_dict(kept[name])
    assert (kept["epoch"], kept["best"]) == (3, math.inf)
    assert list(kept["model_state_dict"]) == list(model.state_dict())
    nnscratch.set_rng_state(kept["rng"])
    for _ in range(2):
        step(*parts, x)
        step(*others, x)
    for mine, theirs in zip(model.parameters(), others[0].parameters(), strict=True):
        assert mine.tolist() == theirs.tolist()
    assert others[1].param_groups[0]["betas"] == (0.8, 0.9)


KEPT: dict[str, Any] = {
    "numbers": {"a": 1, "b": -0.0, "c": 1e300, "d": True, "e": None, "f": 3 + 4j, "g": 10**30},
    "not finite": [math.inf, -math.inf],
    "texts": ["", "ä\n", "😀", "a.b"],
    "tuples": (1, (2, [3, ()]), {"x": (4,)}),
    "keys": {1: "a", "1": "b", 2.5: "c", (1, "x"): "d", None: "e", False: "f"},
    "sets": [{1, 2}, frozenset({3})],
    "dtype": nnscratch.float16,
    "device": nnscratch.device("cpu"),
    "shape": nnscratch.ones(2, 3).shape,
    "nothing": {},
    "mappings": [OrderedDict({"b": 1, "a": OrderedDict()}), Counter("abba"), {"a": Counter()}],
}


@pytest.mark.parametrize("name", KEPT)
def test_what_comes_back_is_what_was_kept(name: str) -> None:
    file = io.BytesIO()
    nnscratch.save(KEPT[name], file)
    file.seek(0)
    back = nnscratch.load(file)
    assert back == KEPT[name]
    assert repr(back) == repr(KEPT[name])


def test_where_save_and_load_are() -> None:
    assert (nnscratch.save, nnscratch.load) == (saved.save, saved.load)
    assert not hasattr(nnscratch.interop, "load")  # it took a name, not a path


def test_long_integers() -> None:
    given = {"a": 10**5000, "b": -(2**2001), 3**9999: [2**1999, 2**2000]}
    file = io.BytesIO()
    nnscratch.save(given, file)
    file.seek(0)
    assert nnscratch.load(file) == given


def test_mappings_that_do_more_are_refused() -> None:
    class Own(dict[str, int]):
        pass

    for given in (defaultdict(list, a=[1]), Own(a=1)):
        with pytest.raises(
            DTypeError, match=r"'m' is of type (defaultdict|Own).*save dict\(\.\.\.\)"
        ):
            nnscratch.save({"m": given}, io.BytesIO())


def test_tensors_of_one_array_share_it_again() -> None:
    p = nn.Parameter(nnscratch.ones(2))
    for place in (None, lambda x, where: x * 1):
        file = io.BytesIO()
        nnscratch.save({"a": p, "b": p.detach(), "c": p.detach().numpy(), "d": p[:1]}, file)
        file.seek(0)
        back = nnscratch.load(file, place)
        assert (type(back["a"]), back["b"].requires_grad) == (nn.Parameter, False)
        back["b"].fill_(3.0)
        assert back["a"].tolist() == [3.0, 3.0]
        assert back["d"].tolist() == [1.0]
        assert back["c"].tolist() == ([3.0, 3.0] if place is None else [1.0, 1.0])


def test_a_name_that_is_another_tensors_is_no_tie(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    w, u = nnscratch.ones(2), nnscratch.zeros(3)
    nnscratch.save({"w": w, "a": {"b": w}, "c": {"d": w}, "a.b": u}, path)
    with safe_open(path, "pt") as file:
        assert file.metadata().get("c.d") == "w"
        assert "a.b" not in file.metadata()
        assert sorted(file.keys()) == ["a.b", "w"]
    back = nnscratch.load(path)
    assert (back["a"]["b"].tolist(), back["a.b"].tolist()) == ([1.0, 1.0], [0.0, 0.0, 0.0])


def test_tensors_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    tied = nnscratch.ones(2)
    given = {
        **{name: nnscratch.ones(2, dtype=name) for name in ("float16", "float64", "int8", "bool")},
        "scalar": nnscratch.tensor(3.0),
        "empty": nnscratch.zeros(0, 2),
        "turned": nnscratch.arange(6.0).reshape(2, 3).t(),
        "leaf": nnscratch.ones(2, requires_grad=True),
        "parameter": nn.Parameter(nnscratch.ones(1), requires_grad=False),
        "array": np.arange(3),
        "number": np.float64(2.5),
        "a.b": tied,
        "a": {"b": nnscratch.zeros(1), "c": tied},
    }
    nnscratch.save(given, path)
    back = nnscratch.load(path)
    for name, one in given.items():
        if isinstance(one, nnscratch.Tensor):
            assert type(back[name]) is type(one)
            assert back[name].dtype == one.dtype
            assert (back[name].tolist(), back[name].requires_grad) == (
                one.tolist(),
                one.requires_grad,
            )
    assert isinstance(back["array"], np.ndarray)
    assert type(back["number"]) is float
    assert back["a.b"] is back["a"]["c"]
    assert back["a"]["b"].tolist() == [0.0]


def test_other_libraries_read_a_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    model = nn.Linear(3, 2)
    nnscratch.save(model.state_dict(), path)
    theirs = torch.nn.Linear(3, 2)
    theirs.load_state_dict(load_file(path))
    assert theirs.weight.tolist() == model.weight.tolist()
    save_file({"weight": torch.ones(2, 3, dtype=torch.bfloat16), "bias": torch.ones(2)}, path)
    read = nnscratch.load(path)
    model.load_state_dict(read)
    assert read["weight"].dtype == nnscratch.float32
    nnscratch.save(OrderedDict(model.state_dict()), path)
    other = nn.Linear(3, 2)
    load_model(path, other)
    assert other.weight.tolist() == model.weight.tolist()


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)
            self.two.weight = self.one.weight

    model = Tied()
    nnscratch.save(model.state_dict(), tmp_path / "tied")
    assert sorted(load_file(tmp_path / "tied")) == ["one.bias", "one.weight", "two.bias"]
    back = nnscratch.load(tmp_path / "tied")
    assert list(back) == list(model.state_dict())
    load_model(tmp_path / "tied", Tied())


def test_where_tensors_go(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    nnscratch.save([nnscratch.ones(1)], path)
    for place in (None, "cpu", nnscratch.device("cpu"), {"cuda:0": "cpu"}, lambda x, where: x):
        assert nnscratch.load(path, place)[0].device.type == "cpu"
    assert nnscratch.load(path, map_location=lambda x, where: x * 2)[0].tolist() == [2.0]
    assert nnscratch.load(path, map_location=lambda x, where: None)[0].tolist() == [1.0]
    with pytest.raises(DTypeError, match="returns the tensor or None, got str"):
        nnscratch.load(path, map_location=lambda x, where: "cpu")
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        nnscratch.load(path, map_location=lambda x: x)
    for kind in (LookupError, ValueError, RecursionError):

        def fails(x: Any, where: str, kind: Any = kind) -> Any:
            raise kind("of the user")

        with pytest.raises(kind, match="of the user"):
            nnscratch.load(path, map_location=fails)
    with open(path, "rb") as file:
        assert nnscratch.load(file, "cpu", weights_only=False, mmap=True)[0].tolist() == [1.0]


class Thing:
    pass


REFUSED = {
    "a model": (nn.Linear(2, 1), r"of type Linear.*model\.state_dict\(\)"),
    "a model in a dictionary": ({"net": nn.Linear(2, 1)}, r"'net' is of type Linear.*state_dict"),
    "an optimizer": (
        {"a": [optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)]},
        r"'a\.0' is of type SGD.*its \.state_dict",
    ),
    "arguments": (
        {"args": argparse.Namespace(a=1)},
        r"'args' is of type Namespace.*vars\(\.\.\.\)",
    ),
    "a function": ({"f": max}, r"'f' is of type builtin_function.*save tensors"),
    "a key": ({"a": {Thing: 1}}, r"'a' has a key of type type; keys are texts"),
    "complex tensors": (
        {"z": nnscratch.ones(1).cfloat()},
        "'z' is an array of complex64.*view_as_real",
    ),
    "objects": (np.asarray([Thing()]), "the object is an array of object"),
    "long floats": ({"a": [np.longdouble(1)]}, r"'a\.0' is of type longdouble.*save float\("),
    "a long key": ({np.longdouble(1): 1}, "is of type longdouble"),
    "texts": ({"kinds": np.asarray(["a"])}, r"'kinds' is an array of <U1.*\.tolist\(\)"),
}
if np.dtype(np.longdouble).itemsize > 8:
    said = r"'a' is an array of .*save \.astype\('float64'\)"
    REFUSED["arrays of long floats"] = ({"a": np.ones(2, np.longdouble)}, said)


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_a_pickle_holds_is_refused(name: str, tmp_path: Path) -> None:
    given, said = REFUSED[name]
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(DTypeError, match=said):
        nnscratch.save(given, tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "mine"


def test_what_holds_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(DTypeError, match="nested more than 200 deep, or in itself"):
        nnscratch.save(ring, io.BytesIO())


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    torch.save({"w": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match=r"a zip, as torch\.save writes it.*nnscratch\.load"):
        load_tensors(path)
    with pytest.raises(CheckpointError, match="there is no such file"):
        nnscratch.load(tmp_path / "none")
    with pytest.raises(CheckpointError, match="truncated"):
        nnscratch.load(io.BytesIO(b""))
    with pytest.raises(RunError, match="cannot be written"):
        nnscratch.save({}, tmp_path / "none" / "kept")
    with pytest.raises(TypeError, match="unexpected keyword argument 'wights_only'"):
        nnscratch.load(path, wights_only=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'protocol'"):
        nnscratch.save({}, path, protocol=4)


@pytest.mark.parametrize(
    "value",
    [
        *({}, [], ["list"], ["list", 3], ["zzz", 3], ["tensor", "none", False], ["tuple", [{}]]),
        *(["dict", [[1]]], ["float", "x"], ["dtype", "zzz"], ["complex", [1]], [[], 1]),
        *(["dict", [[["list", []], 1]]], ["set", [["list", []]]], ["device", 3]),
    ],
)
def test_damaged_records(value: Any, tmp_path: Path) -> None:
    record = {"form": "nnscratch-saved", "version": 1, "value": value}
    save_file({"w": torch.ones(1)}, tmp_path / "a", {"nnscratch": json.dumps(record)})
    with pytest.raises(CheckpointError):
        nnscratch.load(tmp_path / "a")
    record["version"] = 2
    save_file({"w": torch.ones(1)}, tmp_path / "a", {"nnscratch": json.dumps(record)})
    with pytest.raises(CheckpointError, match="this nnscratch reads version 1"):
        nnscratch.load(tmp_path / "a")
