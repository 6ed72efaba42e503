"""PyTorch's files: read as torch.load reads them, and written so that it reads ours."""

from __future__ import annotations

import collections
import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faults.other_files import PROTOCOL, archive, keyed, members, tensor, zipped

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import CheckpointError, DTypeError, RunError
from nnscratch.interop.torch import save
from nnscratch.interop.weights import load_weights

FORMS: dict[str, dict[str, Any]] = {
    "zip": {},
    "legacy": {"_use_new_zipfile_serialization": False},
    "zip, protocol 4": {"pickle_protocol": 4},
    "legacy, protocol 4": {"pickle_protocol": 4, "_use_new_zipfile_serialization": False},
    "zip, protocol 5": {"pickle_protocol": 5},
}
DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
          "complex64", "complex128", "uint16", "uint32"]  # fmt: skip


def network() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.LSTM(4, 5, bidirectional=True)
    )


def checkpoint() -> dict[str, Any]:
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.Adam(model[0].parameters())
    model[0](torch.randn(2, 3)).sum().backward()
    optimizer.step()
    base = torch.arange(12.0)
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "plain": (1, -1, 300, 70_000, 10**30, 2.5, None, True, False, "ä\ud800", b"\0\xff"),
        "containers": [[], (), {}, {1: (2, 3, 4, 5)}, {1, 2}, frozenset({3}), 1 + 2j, range],
        "counted": collections.Counter("aab"),
        "ordered": collections.OrderedDict(a=1),
        "size": torch.Size([2, 3]),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "many": list(range(3000)),
        "turned": base.reshape(3, 4).t(),
        "part": base[2:5],
        "steps": base[::3],
        "expanded": torch.ones(1).expand(5),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "asks": torch.ones(2, requires_grad=True),
        "bfloat16": torch.tensor([1.5, -3e38, 1e-40], dtype=torch.bfloat16),
        **{name: torch.tensor([0, 1, 1]).to(getattr(torch, name)) for name in DTYPES},
    }


def same(ours: Any, theirs: Any, where: str = "") -> None:
    """Assert that what was read is what PyTorch reads."""
    if isinstance(theirs, torch.Tensor):
        expected = theirs.detach().float() if theirs.dtype is torch.bfloat16 else theirs.detach()
        got = np.asarray(ours.detach())
        assert got.shape == tuple(theirs.shape), where
        assert str(got.dtype) == str(expected.dtype).removeprefix("torch."), where
        assert np.array_equal(got, expected.numpy()), where
        assert ours.requires_grad is theirs.requires_grad, where
        assert isinstance(ours, nn.Parameter) is isinstance(theirs, torch.nn.Parameter), where
    elif isinstance(theirs, torch.dtype):
        assert str(ours) == str(theirs).removeprefix("torch."), where
    elif isinstance(theirs, torch.device):
        assert ours.type == theirs.type
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict)
        assert list(ours) == list(theirs), where
        for key in theirs:
            same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), where
        for n, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{where}[{n}]")
    else:
        assert type(ours) is type(theirs), where
        assert ours == theirs, where


@pytest.mark.parametrize("form", FORMS)
def test_what_torch_saved(form: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    kept = checkpoint()
    kept["containers"].pop()  # a class, which no data need
    if "legacy" in form:  # which PyTorch itself cannot write so
        del kept["uint16"], kept["uint32"]
    torch.save(kept, path, **FORMS[form])
    same(nnscratch.load(path), torch.load(path, weights_only=False))
    same(nnscratch.load(io.BytesIO(path.read_bytes())), kept)


@pytest.mark.parametrize("form", FORMS)
def test_what_else_torch_saved_is_refused_by_name(form: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    for kept, said in (
        (network(), r"import 'torch\.nn\.modules\.container\.Sequential'.*state_dict"),
        ({"lr": np.float64(0.1)}, r"import 'numpy\..*float\(x\)"),
        ({"range": range}, r"import '(builtins|__builtin__)\.x?range'"),
        ({"x": collections.defaultdict(int)}, r"import 'collections\.defaultdict'"),
        ({"conjugate": torch.tensor([1j]).conj()}, "hooks or is a conjugate"),
        ({"x": torch.eye(2).to_sparse()}, r"is sparse\. Where PyTorch is, save x\.to_dense\(\)"),
        ({"x": torch.ones(2, device="meta")}, "a tensor in it has no values"),
        ({"x": torch.nn.Buffer(torch.ones(2))}, "a tensor in it is of a subclass"),
    ):
        torch.save(kept, path, **FORMS[form])
        with pytest.raises(CheckpointError, match=said) as caught:
            nnscratch.load(path)
        assert str(caught.value).startswith(str(path))


def test_shared_memory_is_shared_again(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    kept = {"a": weight, "b": weight, "data": weight.detach(), "row": weight.detach()[1]}
    torch.save(kept, tmp_path / "a.pt")
    read = nnscratch.load(tmp_path / "a.pt")
    assert read["a"] is read["b"]
    assert read["data"].array is read["a"].array
    read["data"][1, 0] = 99
    assert read["a"].detach()[1, 0].item() == 99
    assert read["row"].tolist() == [3, 4, 5]


def test_where_tensors_go(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "b": torch.zeros(1)}, tmp_path / "a.pt")
    seen = []

    def place(tensor: nnscratch.Tensor, where: str) -> nnscratch.Tensor:
        seen.append(where)
        return tensor * 2

    assert nnscratch.load(tmp_path / "a.pt", map_location=place)["a"].tolist() == [2, 2]
    assert seen == ["cpu", "cpu"]
    assert nnscratch.load(tmp_path / "a.pt", "cpu", weights_only=True)["b"].tolist() == [0]


def test_a_file_of_a_machine_with_another_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"w": torch.arange(3.0), "n": torch.tensor([258])}, path)
    whole = members(path.read_bytes())
    turned = {"a/byteorder": b"big"}
    for name, content in whole.items():
        key = name.partition("/")[2]
        kind = {"data/0": "f4", "data/1": "i8"}.get(key)
        swapped = (
            np.frombuffer(content, f"<{kind}").astype(f">{kind}").tobytes() if kind else content
        )
        turned.setdefault(f"a/{key}", swapped)
    path.write_bytes(zipped(turned))
    read = nnscratch.load(path)
    assert read["w"].tolist() == [0, 1, 2]
    assert read["n"].tolist() == [258]


def test_memory_is_taken_for_what_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for size, stride, fits in (((1 << 20,), (0,), True), ((1 << 30,), (0,), False)):
        path.write_bytes(archive(keyed(tensor(1, 0, size, stride))))
        if fits:
            assert nnscratch.load(path)["w"].shape == size
        else:
            with pytest.raises(CheckpointError, match="many times the memory of the file"):
                nnscratch.load(path)


def _calls(start: bytes, argument: bytes, count: int) -> bytes:
    """Return the pickle of a list of that many calls with one and the same argument."""
    return PROTOCOL + b"](" + start + b"q\0" + argument + b"\x85q\1R" + b"h\0h\1R" * count + b"e."


@pytest.mark.parametrize(
    ("start", "argument"),
    [
        (b"ccollections\nOrderedDict\n", b"}(" + b"".join(b"K%cN" % n for n in range(99)) + b"u"),
        (b"cbuiltins\nset\n", b"](" + b"".join(b"K%c" % n for n in range(99)) + b"e"),
        (b"ctorch\nSize\n", b"(" + b"K\1" * 999 + b"t"),
    ],
    ids=["dictionaries", "sets", "sizes"],
)
def test_calls_copy_no_more_than_the_file_has(
    start: bytes, argument: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(archive(_calls(start, argument, 0)))
    assert len(nnscratch.load(path)) == 1
    path.write_bytes(archive(_calls(start, argument, 1000)))
    with pytest.raises(CheckpointError, match="copy the same items again and again"):
        nnscratch.load(path)


def test_names_and_marks_are_no_part_of_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"classes": ((1, set), 2)}, path)
    with pytest.raises(CheckpointError, match=r"import '\w+\.set'"):
        nnscratch.load(path)
    torch.save({"dtypes": ((1, torch.float16), 2)}, path)
    assert nnscratch.load(path)["dtypes"] == ((1, np.dtype("float16")), 2)
    path.write_bytes(archive(PROTOCOL + b"(."))
    with pytest.raises(CheckpointError, match="a mark where a value was expected"):
        nnscratch.load(path)


@pytest.mark.parametrize("cut", [0, 1, 5, 40, 200, 400])
def test_truncated(cut: int, tmp_path: Path) -> None:
    for form in FORMS.values():
        path = tmp_path / "a.pt"
        torch.save({"w": torch.ones(3, 4)}, path, **form)
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(CheckpointError):
            nnscratch.load(path)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(PROTOCOL + b"K\1.")
    with pytest.raises(CheckpointError, match="was not opened"):
        nnscratch.load(path)
    torch.save({"w": torch.ones(1)}, path)
    path.write_bytes(zipped(members(path.read_bytes()) | {f"{path.stem}/constants.pkl": b"."}))
    with pytest.raises(CheckpointError, match="TorchScript archive, which holds a program"):
        nnscratch.load(path)
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a.txt", "a")
    with pytest.raises(CheckpointError, match=r"a zip that torch\.save did not write"):
        nnscratch.load(path)
    for wrong in (tmp_path, tmp_path / "nothing.pt"):
        with pytest.raises(CheckpointError, match=r"no (such )?file"):
            nnscratch.load(wrong)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_what_is_written_is_what_torch_loads(tmp_path: Path) -> None:
    path = tmp_path / "ours.pt"
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LSTM(4, 5, bidirectional=True))
    optimizer = optim.Adam(model[0].parameters())
    model[0](nnscratch.randn(2, 3)).sum().backward()
    optimizer.step()
    tied = nnscratch.ones(2)
    kept = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "plain": [1, -(2**40), 10**30, 2.5, None, True, False, "ä", (), (1, (2, 3, 4, 5))],
        "size": nnscratch.ones(2, 3).shape,
        "parameter": nn.Parameter(nnscratch.ones(2)),
        "asks": nnscratch.ones(2, requires_grad=True),
        "scalar": nnscratch.tensor(3),
        "empty": nnscratch.zeros(0, 3),
        "turned": nnscratch.arange(6.0).reshape(2, 3).t(),
        "bfloat16": nnscratch.ones(2).bfloat16(),
        "tied": tied,
        "again": tied,
        **{n: nnscratch.tensor([0, 1]).to(np.dtype(n)) for n in DTYPES[:-2]},
    }
    save(path, kept)
    for mapped in (False, True):
        read = torch.load(path, weights_only=True, mmap=mapped)
        same(kept | {"bfloat16": kept["bfloat16"].float()}, read)
        assert read["tied"].data_ptr() == read["again"].data_ptr()
        if mapped:
            assert read["tied"].data_ptr() % 64 == 0
        network().load_state_dict(read["model"])
        torch.optim.Adam(network()[0].parameters()).load_state_dict(read["optimizer"])
    same(nnscratch.load(path), read)


def test_what_cannot_be_written_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ours.pt"
    save(path, {"w": nnscratch.ones(1)})
    before = path.read_bytes()
    holds: list[Any] = []
    holds.append(holds)
    for wrong, said in (
        ({"m": nn.Linear(1, 1)}, "'m' is of type Linear"),
        ({"a": {"b": object()}}, r"'a\.b' is of type object"),
        ({(1, 2): 1}, "key of type tuple"),
        (holds, "in itself"),
        ({"w": nnscratch.tensor([1]).to(nnscratch.uint16)}, "uint16, which PyTorch's files lack"),
        ({"n": 1 << 3000}, "2,000 bits"),
    ):
        with pytest.raises(DTypeError, match=said):
            save(path, wrong)
    with pytest.raises(RunError):
        save(tmp_path / "no" / "a.pt", {})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["ours.pt"]


def test_tensors_of_eight_bits_are_refused_with_what_to_save(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"float8_e4m3fn': .* 8 bits.*save x\.float\(\)"):
        nnscratch.load(tmp_path / "a.pt")


def test_the_tar_of_the_first_versions_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.pt", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    for read in (nnscratch.load, lambda path: load_weights(nn.Linear(1, 1), path)):
        with pytest.raises(CheckpointError, match=r"a tar of PyTorch from before 0\.1\.10"):
            read(tmp_path / "a.pt")
