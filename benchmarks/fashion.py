"""One epoch of Fashion-MNIST, reading the files included: 784-256-128-10, batches of 128.

Everybody reads the same uncompressed IDX files, shuffles by random numbers of its own, and takes
the short last batch too. PyTorch and JAX get the quickest loop there is: one gather a batch, no
``DataLoader`` that collates sample by sample.
"""

from __future__ import annotations

import gzip
import importlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.competitors.base import Competitor
from benchmarks.competitors.jax_peer import JaxJit
from benchmarks.competitors.numpy_peer import PlainNumpy
from benchmarks.competitors.ours import Compiled, Eager
from benchmarks.competitors.registry import (
    COMPILED,
    EAGER,
    JAX,
    NUMPY,
    TORCH,
    TORCH_COMPILED,
    TORCH_FUSED,
    Entry,
)
from benchmarks.competitors.torch_peers import TorchCompiled, TorchEager, TorchFused
from benchmarks.competitors.workload import Workload

SIZES, BATCH = (784, 256, 128, 10), 128
WORKLOAD = Workload(SIZES, BATCH)
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
# Where Debian's package dataset-fashion-mnist puts them.
USUAL = Path("/usr/share/datasets/fashion-mnist")


def prepare(folder: Path, source: Path | None = None, samples: int = 60_000) -> str:
    """Put uncompressed IDX files into a folder and return what they are.

    Args:
        folder: where to.
        source: the folder of the real files; by default $FASHION_MNIST, or where Debian's package
            has them. Without them, images of the same shape are drawn at random.
        samples: how many to draw then.
    """
    named = os.environ.get("FASHION_MNIST")
    real = source or (Path(named) if named else USUAL)
    if all(_find(real, name) is not None for name in (IMAGES, LABELS)):
        for name in (IMAGES, LABELS):
            found = _find(real, name)
            assert found is not None
            content = found.read_bytes()
            data = gzip.decompress(content) if found.suffix == ".gz" else content
            (folder / name).write_bytes(data)
        return "Fashion-MNIST"
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (samples, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, samples, dtype=np.uint8)
    for name, array in ((IMAGES, images), (LABELS, labels)):
        head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (folder / name).write_bytes(head + array.tobytes())
    return "random images of the shape of Fashion-MNIST (the real files were not found)"


def _find(folder: Path, name: str) -> Path | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def _read(folder: str) -> tuple[Any, Any]:
    """Return images (N, 784) and labels (N,) as bytes, as quickly as NumPy reads them."""
    X = np.fromfile(Path(folder, IMAGES), np.uint8)[16:].reshape(-1, SIZES[0])
    return X, np.fromfile(Path(folder, LABELS), np.uint8)[8:]


class Epochs(Competitor):
    """What the competitors of an epoch share: ``run`` takes whole epochs."""

    def __init__(self, folder: str, device: str = "cpu") -> None:
        """Build the network; nothing is loaded yet."""
        self.folder = folder
        super().__init__(WORKLOAD, device)
        self.inputs = self.targets = ()

    def run(self, count: int) -> None:
        """Load the files and go through them once, that many times."""
        for _ in range(count):
            self.wait(self.epoch())

    def evidence(self, count: int) -> list[float]:
        """Return the losses of the first batches in the order of the files."""
        X, y = _read(self.folder)
        made = []
        for start in range(0, count * BATCH, BATCH):
            rows = slice(start, start + BATCH)
            x = X[rows].astype(np.float32) / np.float32(255)
            loss = self.step(self.give(x), self.give(y[rows].astype(np.int64)))
            made.append(float(self.read(loss)))
        return made

    def epoch(self) -> Any:
        """Load, shuffle, take every step, and return the last loss."""
        raise NotImplementedError


class _OursEpoch(Epochs):
    def epoch(self) -> Any:
        """Use the package's own reader and loader."""
        from nnscratch.data import DataLoader, TensorDataset, load_idx_folder

        train = load_idx_folder(self.folder).train
        data = TensorDataset(train.features(), train.labels).to(self.device)
        loss = None
        for x, y in DataLoader(data, batch_size=BATCH, shuffle=True, seed=1):
            loss = self.step(x, y)
        return loss


class CompiledEpoch(_OursEpoch, Compiled):
    """nnscratch, compiled."""


class EagerEpoch(_OursEpoch, Eager):
    """nnscratch, eager."""


class _TorchEpoch(Epochs):
    def epoch(self) -> Any:
        """Convert once, then gather every batch."""
        torch = importlib.import_module("torch")
        pixels, labels = _read(self.folder)
        X = torch.from_numpy(pixels).to(self.device).to(torch.float32).div_(255)
        y = torch.from_numpy(labels).to(self.device).to(torch.int64)
        order = torch.randperm(len(X), device=X.device)
        loss = None
        for start in range(0, len(X), BATCH):
            rows = order[start : start + BATCH]
            loss = self.step(X[rows], y[rows])
        return loss


class TorchEpoch(_TorchEpoch, TorchEager):
    """PyTorch, eager."""


class TorchFusedEpoch(_TorchEpoch, TorchFused):
    """PyTorch with fused Adam."""


class TorchCompiledEpoch(_TorchEpoch, TorchCompiled):
    """PyTorch, compiled, with fused Adam."""


class _GatherEpoch(Epochs):
    def epoch(self) -> Any:
        """Convert once, then gather every batch."""
        pixels, labels = _read(self.folder)
        X = pixels.astype(np.float32)
        X /= np.float32(255)
        y = labels.astype(np.int64)
        order = np.random.default_rng(1).permutation(len(X))
        loss = None
        for start in range(0, len(X), BATCH):
            rows = order[start : start + BATCH]
            loss = self.step(X[rows], y[rows])
        return loss


class NumpyEpoch(_GatherEpoch, PlainNumpy):
    """Plain NumPy."""


class JaxEpoch(_GatherEpoch, JaxJit):
    """JAX; NumPy gathers, which is quicker on a CPU than a call of JAX for it."""


_HERE = "benchmarks.fashion"
ENTRIES = (
    Entry(COMPILED, f"{_HERE}:CompiledEpoch", "ours"),
    Entry(EAGER, f"{_HERE}:EagerEpoch", "ours"),
    Entry(TORCH, f"{_HERE}:TorchEpoch", "peer", ("torch",)),
    Entry(TORCH_FUSED, f"{_HERE}:TorchFusedEpoch", "peer", ("torch",)),
    Entry(TORCH_COMPILED, f"{_HERE}:TorchCompiledEpoch", "peer", ("torch",), True),
    Entry(JAX, f"{_HERE}:JaxEpoch", "peer", ("jax",)),
    Entry(NUMPY, f"{_HERE}:NumpyEpoch", "baseline"),
)
