"""Files of PyTorch, Keras and Hugging Face: sound ones, and what a hostile author would write."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from faults import damage

from nnscratch import nn, ones
from nnscratch.interop.comparing import StepLog, record_steps
from nnscratch.interop.keras import load_model, save_model
from nnscratch.interop.saved import load
from nnscratch.interop.torch import save
from nnscratch.interop.weights import load_weights, save_weights

Files = dict[str, bytes]
PROTOCOL = b"\x80\x02"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n("
END = b"\x89ccollections\nOrderedDict\n)RtR"


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2))


def zipped(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def inside(name: str, maker: Callable[..., damage.Cases]) -> Callable[..., damage.Cases]:
    """Damage one member, and zip the rest around it as it was: so no checksum tells."""

    def make(content: bytes, source: Any, count: int) -> damage.Cases:
        whole = members(content)
        for label, made in maker(whole[name], source, count):
            yield f"{name} {label}", zipped({**whole, name: made})

    return make


def as_json(content: bytes, source: Any, count: int) -> damage.Cases:
    return damage.json_cases(json.loads(content), source, count)


def integer(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def sizes(*values: int) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def tensor(
    count: int = 1,
    offset: int = 0,
    size: Any = (1,),
    stride: Any = (1,),
    kind: str = "FloatStorage",
) -> bytes:
    storage = b"(X\7\0\0\0storagectorch\n" + kind.encode() + b"\nX\1\0\0\0000X\3\0\0\0cpu"
    storage += integer(count) + b"tQ"
    return TENSOR + storage + integer(offset) + sizes(*size) + sizes(*stride) + END


def archive(pickled: bytes, data: bytes = b"\0\0\0\0", **more: bytes) -> bytes:
    whole = {"a/data.pkl": PROTOCOL + pickled + b".", "a/byteorder": b"little", "a/data/0": data}
    return zipped(whole | more)


def keyed(item: bytes) -> bytes:
    return b"}X\1\0\0\0w" + item + b"s"


class Runs:
    """Unpickled, it runs a program that leaves a file."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trap}",)


def legacy(pickled: bytes) -> bytes:
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    head += pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
    return head + pickled + pickle.dumps([], 2)


def hostile_pickles(trap: Path) -> Files:
    evil = pickle.dumps({"w": Runs(trap)}, 2)
    line = f"(Vtouch {trap}\ntR"
    programs = {
        "os.system": evil[2:-1],
        "the same in protocol 4": pickle.dumps(Runs(trap), 4)[2:-1],
        "the same in protocol 0": pickle.dumps(Runs(trap), 0)[:-1],
        "builtins.eval": b"cbuiltins\neval\n" + line.encode(),
        "getattr of what is known": b"cbuiltins\ngetattr\n(ctorch\nSize\nX\7\0\0\0__doc__tR",
        "an instance": b"(ios\nsystem\n",
        "an object": b"cos\nsystem\n(o",
        "a new object": b"ccollections\nOrderedDict\n)\x81",
        "a new object with names": b"ccollections\nOrderedDict\n)}\x92",
        "an extension": b"\x82\1",
        "a name by its text": b"X\5\0\0\0posixX\6\0\0\0system\x93",
        "a name of numbers": b"K\1K\2\x93",
        "a name of a list": b"](e]\x93",
        "a persistent name": b"Pname\n",
        "a persistent number": b"K\1Q",
        "attributes of a tensor": tensor() + b"}b",
        "attributes of a dictionary": b"ccollections\nOrderedDict\n)R}X\4\0\0\0walkK\1sb",
        "a call of a text": b"X\1\0\0\0ak)R",
        "a call of a dtype": b"ctorch\nfloat32\n)R",
        "a whole model": b"ctorch.nn.modules.linear\nLinear\n)\x81}b",
        "a class alone": b"ccollections\nOrderedDict\n",
        "laughs": b"(]q\0" + b"".join(b"]q" + bytes([n]) + (b"h" + bytes([n - 1]) + b"a") * 9
                                      for n in range(1, 60)) + b"t",
        "deep lists": b"]" * 30_000 + b"a" * 29_999,
        "deep tuples": b")" + b"\x85" * 30_000,
        "a deep tuple for a key": b"})" + b"\x85" * 30_000 + b"K\1s",
        "a list for a key": b"}]K\1s",
        "a long number": b"\x8b\xff\xff\xff\x7f" + b"9" * 9,
        "a long text": b"X\xff\xff\xff\xff" + b"a" * 9,
        "a number of a text's": b"I" + b"9" * 100_000 + b"\n",
        "memory of what is not there": b"h\7",
        "itself": b"]q\0h\0a",
        "a set of lists": b"c__builtin__\nset\n(]](]eetR",
        "bytes in another code": b"c_codecs\nencode\n(X\1\0\0\0aX\3\0\0\0hextR",
        "nothing": b"",
        "marks only": b"(" * 10_000,
    }  # fmt: skip
    tensors = {
        "more elements than memory": tensor(1, 0, (2,), (1,)),
        "an offset behind": tensor(1, 1, (1,), (1,)),
        "an offset before": tensor(1, -1, (1,), (1,)),
        "a negative size": tensor(1, 0, (-1,), (1,)),
        "a negative stride": tensor(1, 0, (1,), (-1,)),
        "2^40 copies": tensor(1, 0, (1 << 40,), (0,)),
        "2^62 copies twice": tensor(1, 0, (1 << 62, 1 << 62), (0, 0)),
        "70 dimensions": tensor(1, 0, (1,) * 70, (1,) * 70),
        "sizes without strides": tensor(1, 0, (1, 1), (1,)),
        "a stride that overflows": tensor(1, 0, (2,), (1 << 63,)),
        "a memory of a petabyte": tensor(1 << 47),
        "a memory of a negative size": tensor(-1),
        "no memory": tensor(0, 0, (0,), (1,)),
        "an empty one of 2^62": tensor(1, 0, (0, 1 << 62), (1, 1)),
        "another kind": tensor(kind="QInt8Storage"),
        "a kind that is none": tensor(kind="Size"),
        "booleans": tensor(4, 0, (4,), (1,), "BoolStorage"),
        "two kinds": b"(" + tensor() + tensor(2, kind="HalfStorage") + b"t",
        "many copies": b"("
        + b"".join(tensor(1, 0, ((1 << 22) + n,), (0,)) for n in range(40))
        + b"t",
    }
    made = {f"a pickle with {k}": archive(keyed(v)) for k, v in programs.items()}
    made |= {f"a tensor with {k}": archive(keyed(v), b"\2\2\2\2") for k, v in tensors.items()}
    made["a bare pickle"] = evil
    return made


def hostile_legacy(trap: Path) -> Files:
    programs = {
        "os.system": pickle.dumps({"w": Runs(trap)}, 2)[2:-1],
        "the same in protocol 4": pickle.dumps(Runs(trap), 4)[2:-1],
        "an instance": b"(ios\nsystem\n",
        "deep tuples": b")" + b"\x85" * 30_000,
        "a tensor of 2^40 copies": tensor(1, 0, (1 << 40,), (0,)),
        "a memory of a petabyte": tensor(1 << 47),
        "a memory that is not there": tensor(1),
    }
    made = {f"a legacy file with {k}": legacy(PROTOCOL + keyed(v) + b".")
            for k, v in programs.items()}  # fmt: skip
    return made


def hostile_zips(sound: bytes) -> Files:
    whole = members(sound)
    root = next(iter(whole)).partition("/")[0]
    bomb = {f"{root}/data/9": bytes(32 << 20)}
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as made:
        for name in (f"{root}/data.pkl", f"{root}/byte"):
            made.writestr(name, whole[f"{root}/data.pkl"])
    overlap = bytearray(twice.getvalue())
    # The second entry of the directory points to the first member, under its own name.
    place = overlap.rindex(b"PK\x01\x02")
    overlap[place + 42 : place + 46] = struct.pack("<I", 0)
    claims = bytearray(sound)
    place = claims.index(b"PK\x01\x02")
    claims[place + 20 : place + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    return {
        "compressed": zipped(whole, zipfile.ZIP_DEFLATED),
        "a bomb": zipped(bomb | whole, zipfile.ZIP_DEFLATED),
        "a bomb by bzip2": zipped(bomb | whole, zipfile.ZIP_BZIP2),
        "a name that climbs": zipped({**whole, "../../outside": b"1"}),
        "a name inside that climbs": zipped({**whole, f"{root}/../../outside": b"1"}),
        "an absolute name": zipped({**whole, "/outside": b"1"}),
        "a name of Windows": zipped({**whole, "a\\..\\outside": b"1"}),
        "two pickles": zipped({**whole, "b/data.pkl": b"."}),
        "no pickle": zipped({k: v for k, v in whole.items() if "data.pkl" not in k}),
        "nothing": zipped({}),
        "a program": zipped({**whole, f"{root}/constants.pkl": b"."}),
        "members that overlap": bytes(overlap),
        "a member that claims 4 GiB": bytes(claims),
        "another byte order": zipped({**whole, f"{root}/byteorder": b"middle"}),
    }


def hdf5(fill: Callable[[Any], Any]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def hostile_hdf5() -> Files:
    def deep(file: Any) -> None:
        for _ in range(100):
            file = file.create_group("a")

    def cycle(file: Any) -> None:
        inner = file.create_group("layers/dense")
        inner["layers"] = file["layers"]

    def twice(file: Any) -> None:
        file["layers/dense/vars/0"] = np.ones((3, 4), "f4")
        file["layers/dense/vars/1"] = file["layers/dense/vars/0"]

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((3, 4), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 4))
        file.create_virtual_dataset("layers/dense/vars/0", layout)

    def dataset(**options: Any) -> Callable[[Any], Any]:
        return lambda file: file.create_dataset("layers/dense/vars/0", **options)

    external = [("/etc/passwd", 0, 48)]
    made = {
        "a link to a file": lambda f: f.__setitem__("l", h5py.ExternalLink("/etc/passwd", "x")),
        "a soft link": lambda f: f.__setitem__("layers", h5py.SoftLink("/layers")),
        "values in a file": dataset(shape=(3, 4), dtype="f4", external=external),
        "values put together": virtual,
        "2^50 values": dataset(shape=(1 << 50,), dtype="f4"),
        "2^50 values in chunks": dataset(shape=(1 << 50,), dtype="f4", chunks=(1024,)),
        "compressed zeros": dataset(data=np.zeros(1 << 20, "f4"), compression="gzip"),
        "texts": dataset(data=["a", "b"], dtype=h5py.string_dtype()),
        "records": dataset(data=np.zeros(2, [("a", "f4"), ("b", "i4")])),
        "references": dataset(shape=(2,), dtype=h5py.ref_dtype),
        "a dtype": lambda f: f.__setitem__("layers", np.dtype("f4")),
        "nothing in it": dataset(dtype="f4", data=h5py.Empty("f4")),
        "100 groups deep": deep,
        "groups in a circle": cycle,
        "an array in two places": twice,
        "Keras 2's layers": lambda f: f.attrs.__setitem__("layer_names", ["a"]),
        "Keras 2's model": lambda f: f.attrs.__setitem__("model_config", "{}"),
        "no layers": lambda f: None,
    }
    return {name: hdf5(fill) for name, fill in made.items()}


def hostile_keras(sound: bytes) -> Files:
    whole = members(sound)
    config = json.loads(whole["config.json"])

    def changed(change: Callable[[Any, Any], Any]) -> bytes:
        copy = json.loads(whole["config.json"])
        change(copy, copy["config"]["layers"])
        return zipped({**whole, "config.json": json.dumps(copy).encode()})

    def layer(**entries: Any) -> bytes:
        return changed(lambda c, layers: layers[1].update(entries))

    def setting(**entries: Any) -> bytes:
        return changed(lambda c, layers: layers[1]["config"].update(entries))

    code = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA", None, None]}}
    assert config["config"]["layers"][1]["class_name"] == "Dense"
    return {
        "a Lambda": layer(class_name="Lambda", config={"name": "x", "function": code}),
        "a class of os": layer(module="os", class_name="system"),
        "a registered class": layer(registered_name="builtins>eval"),
        "a class of its author's": layer(class_name="Mine"),
        "a model of its author's": changed(lambda c, layers: c.update(class_name="Mine")),
        "a function by name": setting(activation={"module": "os", "class_name": "function",
                                                  "config": "system"}),
        "an activation that is none": setting(activation="os.system"),
        "2^50 units": setting(units=1 << 50),
        "units of text": setting(units="5"),
        "a layer without a name": setting(name=None),
        "two layers of one name": setting(name=config["config"]["layers"][-1]["config"]["name"]),
        "a name that climbs": setting(name="../../outside"),
        "a layer that is none": changed(lambda c, layers: layers.append(5)),
        "no layers": changed(lambda c, layers: layers.clear()),
        "a million layers": changed(lambda c, layers: layers.extend([layers[-1]] * 20_000)),
        "a deep config": zipped({**whole, "config.json": b"[" * 100_000}),
        "infinite": zipped({**whole, "config.json": b'{"a": 1e400}'}),
        "no weights": zipped({k: v for k, v in whole.items() if k != "model.weights.h5"}),
        "compressed": zipped(whole, zipfile.ZIP_DEFLATED),
        "a bomb": zipped({**whole, "model.weights.h5": bytes(32 << 20)}, zipfile.ZIP_DEFLATED),
        "a name in it that climbs": zipped({**whole, "../../outside": b"1"}),
        **{f"weights with {name}": zipped({**whole, "model.weights.h5": content})
           for name, content in hostile_hdf5().items()},
    }  # fmt: skip


def hostile_index() -> Files:
    def index(**places: Any) -> bytes:
        return json.dumps({"metadata": {}, "weight_map": places}).encode()

    return {
        "a file elsewhere": index(a="../outside.safetensors"),
        "an absolute path": index(a="/etc/passwd"),
        "itself": index(a="m.safetensors.index.json"),
        "a file that is none": index(a="nothing.safetensors"),
        "a number": index(a=5),
        "another's place": index(a="m-00001-of-00003.safetensors"),
        "a list": b'{"weight_map": [1]}',
        "nothing": b"{}",
        "deep": b'{"a":' * 100_000,
    }


def other_formats(folder: Path, trap: Path) -> dict[str, tuple[Any, ...]]:
    """For each format: the file, what reads it, how it is damaged, and what is hostile."""
    own = model()
    paths = {
        name: folder / f"m.{name}"
        for name in ("pt", "legacy.pt", "weights.h5", "keras", "safetensors.index.json", "steps")
    }
    checkpoint = {"model": own.state_dict(), "epoch": 3, "lr": 0.1, "names": ["a", ("b", None)]}
    save(paths["pt"], checkpoint)
    save_weights(own, paths["weights.h5"])
    save_model(own, paths["keras"])
    save_weights(own, paths["safetensors.index.json"], max_shard_bytes=64)
    assert (folder / "m-00001-of-00003.safetensors").exists()
    log = record_steps(own, (np.ones((2, 3)),))
    log.save(paths["steps"])
    sound = paths["pt"].read_bytes()
    pickled = PROTOCOL + b"}X\1\0\0\0w" + tensor() + b"s."
    old = legacy(b"").removesuffix(pickle.dumps([], 2)) + pickled
    old += pickle.dumps(["0"], 2) + struct.pack("<q", 1) + b"\0\0\x80?"
    paths["legacy.pt"].write_bytes(old)
    read = load(paths["legacy.pt"])
    assert read["w"].tolist() == ones(1).tolist()

    def weights(path: Path) -> Any:
        return load_weights(model(), path)

    def torch_file(path: Path) -> Any:
        load(path)
        return weights(path)

    def bytes_of(name: str) -> bytes:
        return paths[name].read_bytes()

    keras = bytes_of("keras")
    pickles = hostile_pickles(trap)
    return {
        "pt": (paths["pt"], torch_file, sound,
               (inside("archive/data.pkl", damage.byte_cases), damage.byte_cases),
               pickles | hostile_zips(sound)),
        "legacy.pt": (paths["legacy.pt"], load, old, (damage.byte_cases,), hostile_legacy(trap)),
        "weights.h5": (paths["weights.h5"], weights, bytes_of("weights.h5"),
                       (damage.byte_cases,), hostile_hdf5()),
        "keras": (paths["keras"], load_model, keras,
                  (inside("config.json", as_json), inside("model.weights.h5", damage.byte_cases),
                   damage.byte_cases), hostile_keras(keras)),
        "index.json": (paths["safetensors.index.json"], weights,
                       bytes_of("safetensors.index.json"), (as_json, damage.byte_cases),
                       hostile_index()),
        "steps": (paths["steps"], StepLog.load, bytes_of("steps"),
                  (damage.header_cases, damage.byte_cases), {}),
    }  # fmt: skip
