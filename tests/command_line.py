"""Calling the command line in this process, and small files to call it on."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import polars

from nnscratch.cli import main
from nnscratch.train.tensor_file import read_tensors

QUICK = ["--epochs", "2", "--hidden", "16", "--schedule", "constant"]


def call(capsys, *arguments):
    """Run a command in this process; its exit code and what it printed."""
    code = main([str(item) for item in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def fails(capsys, *arguments):
    """Run a command that must fail; its one line."""
    code, _, err = call(capsys, *arguments)
    assert code == 2, err
    assert err.startswith("nnscratch: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def flowers(path, n=90):
    source = np.random.default_rng(0)
    kinds = np.arange(n) % 3
    rows = {
        "width": (kinds + source.normal(0, 0.2, n)).round(3).tolist(),
        "colour": [("red", "blue", "white [sic]")[k] for k in (kinds + (np.arange(n) > 80)) % 3],
        "wild": [bool(k) for k in np.arange(n) % 2],
        "kind": [("oak", "elm", "[fir]")[k] for k in kinds],
        "height": (2.0 * kinds + source.normal(0, 0.1, n)).round(3).tolist(),
    }
    frame = polars.DataFrame(rows)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


def write_idx(path, array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def squares(folder, n=120, test=True):
    """Images 6 x 5 with a bright row, whose number is the label."""
    folder.mkdir()
    source = np.random.default_rng(0)
    for part, count in (("train", n), *([("t10k", 40)] if test else [])):
        labels = np.arange(count) % 4
        images = source.integers(0, 60, (count, 6, 5))
        images[np.arange(count), labels] += 180
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


def weights(folder):
    tensors, _ = read_tensors(folder / "model.safetensors")
    return {name: value.tobytes() for name, value in tensors.items()}
