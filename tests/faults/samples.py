"""A sound file of every format, what reads it, and what a hostile author would write instead."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from faults import damage
from faults.other_files import other_formats
from interop.onnx.onnx_models import mlp
from small_training import blobs, net

from nnscratch.cli.inputs import inputs_from
from nnscratch.cli.runs import open_run
from nnscratch.cli.settings import TrainingSettings, read_toml
from nnscratch.data import read_idx, read_npz, read_table
from nnscratch.interop.onnx import load as load_onnx
from nnscratch.train import EarlyStopping, History, Trainer, predict, save_model
from nnscratch.train.checkpoint import load_model
from nnscratch.train.files import read_json
from nnscratch.train.tensor_file import read_tensors
from nnscratch.train.trainer import CHECKPOINT_FILE

DATA, VALIDATION = blobs(24), blobs(9, seed=5)


class Bomb:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (str(self.path), "w"))


def train(folder: Path, epochs: int, resume: bool = False) -> Trainer:
    made = Trainer(
        net(),
        optimizer="adamw",
        lr=0.01,
        scheduler="cosine",
        seed=1,
        run_dir=folder,
        lock=False,
        compile=False,
        callbacks=[EarlyStopping(patience=50)],
    )
    made.fit(DATA, epochs, validation=VALIDATION, batch_size=8, resume=resume)
    return made


def make_run(folder: Path) -> Path:
    """A run folder as the command line leaves it, and the table it was trained on."""
    from nnscratch.cli import main

    table = folder.with_name("trees.csv")
    source = np.random.default_rng(0)
    rows = [
        f"{k + source.normal(0, 0.2):.3f},{('red', 'blue')[k % 2]},{'oak' if k else 'elm'}"
        for k in (np.arange(40) % 3).tolist()
    ]
    table.write_text("height,colour,kind\n" + "\n".join(rows) + "\n")
    options = ["--target", "kind", "--hidden", "6", "--epochs", "1", "--quiet"]
    assert main(["train", str(table), *options, "--run", str(folder)]) == 0
    return folder


class Sample:
    """One format: the sound bytes, where they lie, what reads them and how they are damaged."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], Any],
        content: bytes,
        *makers: Callable[..., damage.Cases],
        hostile: dict[str, bytes] | None = None,
    ) -> None:
        self.path, self.read, self.content = path, read, content
        self.makers = makers
        self.hostile = hostile or {}


def entry(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def hostile_tensors() -> dict[str, bytes]:
    huge = 1 << 50
    headers = {
        "an array of a petabyte": {"a": entry(shape=(huge,), offsets=(0, 4 * huge))},
        "two of them that overlap": {
            "a": entry(shape=(huge,), offsets=(0, 4 * huge)),
            "b": entry(shape=(huge,), offsets=(0, 4 * huge)),
        },
        "an unknown dtype": {"a": entry("O")},
        "a pickle for a dtype": {"a": entry("|O8")},
        "a path for a name": {"../../outside": entry()},
        "offsets from behind": {"a": entry(offsets=(-4, 0))},
        "half a character for a name": {"\ud800": entry()},
        "a name that clears the screen": {"\x1b[2J\x1b[1;1H": entry()},
        "brackets for a name": {"[/red] [bold": entry()},
    }
    made = {k: damage.join_header(json.dumps(v).encode(), b"1234") for k, v in headers.items()}
    made["a header of 2^63 bytes"] = damage.join_header(b"{}", b"", 1 << 63)
    made["a header of 90 MB that is not there"] = damage.join_header(b"{}", b"", 90_000_000)
    deep = b'{"a":{"dtype":' + b"[" * 960 + b"]" * 960 + b',"shape":[],"data_offsets":[0,4]}}'
    made["a dtype nested as deep as JSON may be"] = damage.join_header(deep, b"1234")
    many = json.dumps({f"{n}": entry(shape=(0,), offsets=(0, 0)) for n in range(5_000)})
    made["five thousand empty arrays"] = damage.join_header(many.encode(), b"")
    return made


def pickles(trap: Path) -> dict[str, bytes]:
    bomb = pickle.dumps(Bomb(trap))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("archive/data.pkl", bomb)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as made_tar:
        info = tarfile.TarInfo("../../outside")
        info.size = len(bomb)
        made_tar.addfile(info, io.BytesIO(bomb))
    objects = io.BytesIO()
    np.savez(objects, a=np.array([Bomb(trap)], object))
    return {
        "a pickle": bomb,
        "a PyTorch checkpoint": archive.getvalue(),
        "a tar archive that climbs": tar.getvalue(),
        "an array of objects": objects.getvalue(),
        "a pickle of protocol 0": pickle.dumps(Bomb(trap), protocol=0),
    }


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def hostile_npz() -> dict[str, bytes]:
    claim = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }"
    return {
        "a name that climbs": zipped("../../outside.npy", npy(claim % "0")),
        "an absolute name": zipped("/outside.npy", npy(claim % "0")),
        "an array of a petabyte": zipped("a.npy", npy(claim % (1 << 47), b"12345678")),
        "a call in the header": zipped("a.npy", npy("__import__('os').abort()")),
        "a shape of text": zipped("a.npy", npy(claim % "'x'")),
        "a digit repeated": zipped("a.npy", npy(claim % ("9" * 60))),
    }


def hostile_toml() -> dict[str, bytes]:
    return {
        "a number of 5,000 hexadecimal digits": b"epochs = 0x" + b"f" * 5000,
        "the same for a learning rate": b"lr = 0x" + b"f" * 5000,
        "a learning rate of 400 digits": b"lr = 1" + b"0" * 400,
        "a list of such": b"hidden = [0x" + b"f" * 5000 + b"]",
        "a key of 20,000 parts": b"data" + b".a" * 20_000 + b" = 1",
        "20,000 tables": b"".join(b"[a%d]\n" % n for n in range(20_000)),
        "a table of tables": b"[" + b"a." * 20_000 + b"a]\n",
        "a list in lists": b"hidden = " + b"[" * 400 + b"]" * 400,
        "a date": b"data = 1979-05-27T07:32:00Z",
        "infinite": b"lr = inf",
        "two megabytes": b"#" * (2 << 20),
        "control characters in a key": b'"\\u001b[2J" = 1',
        "control characters in a value": b'activation = "\\u001b[2J\\u0007"',
    }


def hostile_csv() -> dict[str, bytes]:
    return {
        "200,000 columns": b",".join(b"a%d" % n for n in range(200_000)) + b"\n1\n",
        "200,000 times one column": b",".join([b"a"] * 200_000) + b"\n1\n",
        "a field of a megabyte": b"a,b\n" + b"x" * (1 << 20) + b",1\n",
        "a quote that never ends": b'a,b\n"' + b"x,\n" * 100_000,
        "quotes without end": b"a,b\n" + b'"' * 200_001,
        "a name of quotes": b'"' * 200_001 + b"\n1,2\n",
        "a number of a million digits": b"a,b\n" + b"9" * 1_000_000 + b",2\n1,2\n",
        "commas only": b"," * 100_000,
        "lines only": b"\n" * 100_000,
        "a formula": b"a,b\n=cmd|' /C calc'!A0,1\n",
    }


def hostile_idx() -> dict[str, bytes]:
    head = bytes([0, 0, 8, 3])
    bomb = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(32 << 20))
    return {
        "64 GiB": head + struct.pack(">3I", 1 << 20, 1 << 8, 1 << 8),
        "sizes that overflow": head + struct.pack(">3I", *([0xFFFFFFFF] * 3)),
        "255 dimensions": bytes([0, 0, 8, 255]) + bytes(1020),
        "more than it says, gzipped": bomb,
        "gzip in gzip": gzip.compress(gzip.compress(head)),
    }


def hostile_json() -> dict[str, bytes]:
    return {
        "a number of a million digits": b'{"version":' + b"9" * 1_000_000 + b"}",
        "nested without end": b'{"a":' * 200_000,
        "lists without end": b"[" * 200_000,
        "a key twice": b'{"form":"nnscratch-run","form":"nnscratch-run"}',
        "another encoding": '{"form":"nnscratch-run"}'.encode("utf-16"),
        "infinite": b'{"form":Infinity}',
    }


def make_samples(folder: Path) -> dict[str, Sample]:
    """Every format, in a folder."""
    trap = folder / "unpickled"
    training, run = folder / "training", make_run(folder / "run")
    model = train(training, 2).model
    save_model(folder / "model.safetensors", model, {"a": 1})
    shutil.copy(training / CHECKPOINT_FILE, folder / "kept")

    def use(path: Path) -> Any:
        found = open_run(run)
        inputs = inputs_from(str(folder / "trees.csv"), found.preprocessor, found.settings,
                             labelled=True)  # fmt: skip
        return predict(found.model(), inputs.features)

    def resume(path: Path) -> Any:
        return train(path.parent, 3, resume=True)

    def history(path: Path) -> Any:
        return History.read(path).to_csv()

    def weights(path: Path) -> Any:
        read_tensors(path)
        load_model(path, net())

    def settings(path: Path) -> Any:
        return TrainingSettings().changed(read_toml(str(path)), str(path))

    images = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
    idx = bytes([0, 0, 8, 3]) + struct.pack(">3I", *images.shape) + images.tobytes()
    toml = (
        b'data = "digits"\nhidden = [32, 16]\nlr = 0.003\nepochs = 12\nactivation = "gelu"\n'
        b'exclude = ["a", "b"]\ncompile = false\nvalidation = 0.2\n'
    )
    as_json = (_json_bytes, damage.byte_cases)
    evil = hostile_json() | pickles(trap)
    tensors = hostile_tensors() | pickles(trap)

    def at(path: Path, read: Any, *makers: Any, hostile: dict[str, bytes]) -> Sample:
        return Sample(path, read, path.read_bytes(), *makers, hostile=hostile)

    made = {
        "weights": at(folder / "model.safetensors", weights, damage.header_cases,
                      damage.byte_cases, hostile=tensors),
        "checkpoint": at(training / CHECKPOINT_FILE, resume, damage.record_cases,
                         damage.header_cases, damage.byte_cases, hostile=tensors),
        "idx": Sample(folder / "i", read_idx, idx, damage.byte_cases,
                      hostile=hostile_idx() | pickles(trap)),
        "idx.gz": Sample(folder / "i.gz", read_idx, gzip.compress(idx), damage.byte_cases),
        "npz": Sample(folder / "a.npz", read_npz, npz(X=np.eye(5), y=np.arange(5)),
                      damage.byte_cases, hostile=hostile_npz() | pickles(trap)),
        "csv": Sample(folder / "t.csv", read_table, (folder / "trees.csv").read_bytes(),
                      damage.byte_cases, hostile=hostile_csv() | pickles(trap)),
        "history.csv": at(run / "history.csv", read_table, damage.byte_cases, hostile={}),
        "report.json": at(run / "report.json", read_json, *as_json, hostile=evil),
        "history.json": at(run / "history.json", history, *as_json, hostile=evil),
        "toml": Sample(folder / "s.toml", settings, toml, damage.byte_cases,
                       hostile=hostile_toml() | pickles(trap)),
        "onnx": Sample(folder / "m.onnx", load_onnx, mlp().SerializeToString(), damage.byte_cases,
                       hostile=pickles(trap)),
        "config.json": at(run / "config.json", use, *as_json, hostile=evil),
        "preprocessing.json": at(run / "preprocessing.json", use, *as_json, hostile=evil),
        "run weights": at(run / "model.safetensors", use, damage.header_cases,
                          damage.byte_cases, hostile=tensors),
    }  # fmt: skip
    for name, (path, read, content, makers, hostile) in other_formats(folder, trap).items():
        made[name] = Sample(path, read, content, *makers, hostile=hostile)
    made["csv"].path.write_bytes(made["csv"].content)
    return made


def _json_bytes(content: bytes, source: Any, count: int) -> damage.Cases:
    return damage.json_cases(json.loads(content), source, count)
