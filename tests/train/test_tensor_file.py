import json
import os
import struct
import sys
from unittest import mock

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from nnscratch.errors import CheckpointError, DTypeError, RunError
from nnscratch.nn import Linear
from nnscratch.tensors import Tensor
from nnscratch.train import load_model, save_model
from nnscratch.train.tensor_file import TensorFile, read_tensors, write_tensors

DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]
# With and without the library, which a browser has not got.
HEADER_CHECKS = {"the library": {}, "our own": {"safetensors": None}}
ARRAYS = st_numpy.arrays(
    st.sampled_from(DTYPES), st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
)


@given(st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4))
def test_what_is_written_is_read_and_the_library_agrees(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("a") / "a.safetensors"
    tensors.pop("__metadata__", None)
    write_tensors(path, tensors, {"made": "by a test ∂"})
    found, metadata = read_tensors(path)
    assert metadata == {"made": "by a test ∂"}
    theirs = safetensors.numpy.load_file(path)
    assert set(found) == set(theirs) == set(tensors)
    for name, value in tensors.items():
        for other in (found[name], theirs[name]):
            assert (other.dtype, other.shape) == (value.dtype, value.shape)
            assert other.tobytes() == value.tobytes()


@given(st.dictionaries(st.text(min_size=1, max_size=8), ARRAYS, max_size=4))
def test_what_the_library_writes_is_read(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("a") / "a.safetensors"
    tensors.pop("__metadata__", None)
    safetensors.numpy.save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path)
    for modules in HEADER_CHECKS.values():
        with mock.patch.dict(sys.modules, modules):
            found, _ = read_tensors(path)
        assert {k: v.tobytes() for k, v in found.items()} == {
            k: v.tobytes() for k, v in tensors.items()
        }


def test_views_and_tensors(tmp_path):
    array = np.arange(24.0).reshape(4, 6)
    views = {"t": array.T, "s": array[::2, ::-3], "tensor": Tensor(array)}
    write_tensors(tmp_path / "a", views)
    found, _ = read_tensors(tmp_path / "a")
    assert np.array_equal(found["t"], array.T)
    assert np.array_equal(found["s"], array[::2, ::-3])
    assert np.array_equal(found["tensor"], array)


def test_bfloat16_is_read_as_float32(tmp_path):
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    content = struct.pack("<Q", len(header)) + header + struct.pack("<HH", 0x3FC0, 0xC000)
    (tmp_path / "a").write_bytes(content)
    assert read_tensors(tmp_path / "a")[0]["w"].tolist() == [1.5, -2.0]


def test_what_the_format_cannot_hold(tmp_path):
    with pytest.raises(DTypeError, match="cannot hold complex128"):
        write_tensors(tmp_path / "a", {"z": np.zeros(1, complex)})
    assert not (tmp_path / "a").exists()


def file(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype="F32", shape=(1,), offsets=(0, 4), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


HOSTILE = {
    "a header longer than the file": (b"{}", b"", 1 << 60),
    "a header of a length that memory lacks": (b"{}", b"", (1 << 64) - 1),
    "no JSON": (b"{not json", b"", None),
    "a list": (b"[]", b"", None),
    "bytes that are no text": (b"{\xff\xff}", b"", None),
    "nested without end": (b'{"a":' * 100_000, b"", None),
    "a number of a million digits": (b'{"a":' + b"9" * 1_000_000 + b"}", b"", None),
    "metadata that is no text": ({"__metadata__": {"a": 1}}, b"", None),
    "metadata that is a list": ({"__metadata__": []}, b"", None),
    "an entry that is none": ({"a": 3}, b"", None),
    "an unknown dtype": ({"a": entry("F128")}, b"1234", None),
    "a dtype that is a list": ({"a": entry([1])}, b"1234", None),
    "a negative shape": ({"a": entry(shape=(-1,))}, b"1234", None),
    "a shape of text": ({"a": entry(shape=("1",))}, b"1234", None),
    "a shape of true": ({"a": entry(shape=(True,))}, b"1234", None),
    "a shape of floats": ({"a": entry(shape=(1.0,))}, b"1234", None),
    "a shape beyond memory": ({"a": entry(shape=(1 << 40, 1 << 40))}, b"1234", None),
    "an empty shape beyond memory": (
        {"a": entry(shape=(1 << 62, 1 << 62, 0), offsets=(0, 0))},
        b"",
        None,
    ),
    "too many dimensions": ({"a": entry(shape=(1,) * 100)}, b"1234", None),
    "offsets beyond the file": ({"a": entry(offsets=(4, 8))}, b"1234", None),
    "offsets back to front": ({"a": entry(offsets=(4, 0))}, b"1234", None),
    "one offset": ({"a": entry(offsets=(4,))}, b"1234", None),
    "offsets too far apart": ({"a": entry(offsets=(0, 8))}, b"12345678", None),
    "an overlap": ({"a": entry(), "b": entry()}, b"1234", None),
    "a gap": ({"a": entry(), "b": entry(offsets=(8, 12))}, b"1" * 12, None),
    "more data than arrays": ({"a": entry()}, b"12345", None),
    "less data than arrays": ({"a": entry()}, b"123", None),
    "NaN in the header": (b'{"a": NaN}', b"", None),
}


@pytest.mark.parametrize("check", HEADER_CHECKS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers(tmp_path, name, check, monkeypatch):
    for module, there in HEADER_CHECKS[check].items():
        monkeypatch.setitem(sys.modules, module, there)
    path = file(tmp_path / "a", *HOSTILE[name])
    with pytest.raises(CheckpointError) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


def test_booleans_that_are_none(tmp_path):
    path = file(tmp_path / "a", {"a": entry("BOOL", offsets=(0, 1))}, b"\x07")
    with pytest.raises(CheckpointError, match="booleans"):
        read_tensors(path)


@given(st.data())
def test_random_damage_is_an_error_or_other_values(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("a") / "a"
    write_tensors(path, {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2)})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    verdicts = []
    for modules in HEADER_CHECKS.values():
        with mock.patch.dict(sys.modules, modules):
            try:
                found, metadata = read_tensors(path)
                verdicts.append(({name: one.tobytes() for name, one in found.items()}, metadata))
            except CheckpointError:
                verdicts.append(None)
    assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize("dtype", ["F8_E4M3", "C64"])
def test_what_numpy_lacks_is_named_with_what_to_do(tmp_path, dtype):
    size = {"F8_E4M3": 1, "C64": 8}[dtype]
    path = file(tmp_path / "a", {"a": entry(dtype, offsets=(0, size))}, b"1" * size)
    with pytest.raises(CheckpointError, match=f"{dtype}.*convert it to float32"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"weight_map": {"w": "model-1.safetensors"}}', "index of several files"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        (b"PK\x03\x04" + b"\0" * 40, "torch.save"),
        (b"\x80\x04" + b"\0" * 40, "pickle"),
        (struct.pack("<Q", 0x0480) + b'{"a":', "truncated"),
        (b"", "copy or download it again"),
        (b"<html><body>not found</body></html>", "no safetensors file"),
    ],
)
def test_other_files_are_named(tmp_path, content, words):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        TensorFile(tmp_path / "a")
    assert str(tmp_path / "a") in str(caught.value)


def test_a_file_that_is_cut_short_while_it_is_open(tmp_path):
    write_tensors(tmp_path / "a", {"w": np.ones(100_000)})
    with TensorFile(tmp_path / "a") as opened:
        os.truncate(tmp_path / "a", 1000)
        with pytest.raises(CheckpointError, match="breaks off"):
            opened.read("w")


def test_files_that_are_none(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        TensorFile(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="no file"):
        TensorFile(tmp_path)
    write_tensors(tmp_path / "a", {"w": np.ones(1)})
    with TensorFile(tmp_path / "a") as opened, pytest.raises(CheckpointError, match="no array"):
        opened.read("v")
    with pytest.raises(RunError, match="cannot be written"):
        write_tensors(tmp_path / "missing" / "a", {"w": np.ones(1)})


def test_a_model_is_saved_and_loaded(tmp_path):
    model, other = Linear(3, 2), Linear(3, 2)
    save_model(tmp_path / "m", model)
    load_model(tmp_path / "m", other)
    assert np.array_equal(model.weight.detach().numpy(), other.weight.detach().numpy())
    with pytest.raises(CheckpointError, match=r"another architecture.*'weight' has the shape"):
        load_model(tmp_path / "m", Linear(4, 2))
