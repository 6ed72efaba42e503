"""Published ONNX models beside onnxruntime: the same outputs, gradients that are right, the time.

    python -m benchmarks.onnx_published [FOLDER]

FOLDER is searched for wheels and for .onnx files; wheels of basic-pitch, magika, silero-vad and
others have some. Nothing is downloaded here, and nothing of a wheel is installed or run. Without a
folder only the time of one row through small networks is printed.

Times are those of one core: the least processor time of several rounds, in which all take turns.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import nnscratch
from nnscratch import nn
from nnscratch.errors import NNScratchError
from nnscratch.interop.onnx import OnnxModel, export, load

SIZES = (320, 512, 576, 64, 32)
ALLOWED = 5e-4
DTYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(bool)": "bool", "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}  # fmt: skip


def inputs_of(session: Any, size: int, source: np.random.Generator) -> dict[str, np.ndarray]:
    """Inputs of the asked shapes; an open size is 1 for the batch, 3 for channels, else given."""
    made = {}
    for one in session.get_inputs():
        shape = [
            n if isinstance(n, int) and n > 0
            else 1 if i == 0 or one.name == "state" else 3 if i == 1 and len(one.shape) == 4
            else size
            for i, n in enumerate(one.shape)
        ]  # fmt: skip
        dtype = np.dtype(DTYPES[one.type])
        if one.name == "sr":
            made[one.name] = np.full(shape, 16000, dtype)
        elif dtype.kind == "f":
            made[one.name] = source.random(shape).astype(dtype)
        else:
            made[one.name] = source.integers(0, 256 if dtype.itemsize > 1 else 2, shape, dtype)
    return made


def measured(*runs: Any, rounds: int = 5, calls: int = 1) -> list[float]:
    """The least milliseconds of the processor that a call of each takes, of rounds in turns."""
    least = [float("inf")] * len(runs)
    for run in runs:
        run()
    for _ in range(rounds):
        for place, run in enumerate(runs):
            began = time.process_time()
            for _ in range(calls):
                run()
            least[place] = min(least[place], (time.process_time() - began) / calls)
    return [one * 1e3 for one in least]


def session_of(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = nnscratch.get_num_threads()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def one_row(folder: Path) -> None:
    """Print what one row takes where the work is small: the calls of Python are most of it."""
    networks = {
        "MLP 13-64-3": (nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 3)), (13,)),
        "MLP 784-128-10": (
            nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)), (784,)
        ),
        "MLP 784-512-512-10": (
            nn.Sequential(
                nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
            ), (784,),
        ),
        "CNN 1x28x28": (
            nn.Sequential(
                nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(),
                nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 10),
            ), (1, 28, 28),
        ),
    }  # fmt: skip
    print("One row, in microseconds of a core:")
    print(f"{'':20}{'eager':>8}{'loaded':>8}{'compiled':>10}{'loaded, compiled':>18}"
          f"{'onnxruntime':>13}")  # fmt: skip
    for name, (network, shape) in networks.items():
        path = folder / "small.onnx"
        export(network.eval(), np.zeros((1, *shape), np.float32), path)
        session, loaded = session_of(path), load(path)
        row = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
        given = nnscratch.tensor(row)
        replayed = nnscratch.compile(network, freeze=True)
        loaded_replayed = nnscratch.compile(loaded, freeze=True)
        with nnscratch.no_grad():
            for _ in range(3):  # recorded, planned, replayed
                np.testing.assert_allclose(
                    loaded_replayed(given).numpy(), session.run(None, {"input": row})[0], atol=1e-4
                )
                replayed(given)
            took = measured(
                partial(network, given), partial(loaded, given), partial(replayed, given),
                partial(loaded_replayed, given), partial(session.run, None, {"input": row}),
                rounds=15, calls=300,
            )  # fmt: skip
        eager, eager_loaded, own, own_loaded, theirs = (1e3 * one for one in took)
        print(f"{name:20}{eager:8.0f}{eager_loaded:8.0f}{own:10.0f}{own_loaded:18.0f}"
              f"{theirs:13.0f}", flush=True)  # fmt: skip


def in_double(inputs: dict[str, np.ndarray]) -> dict[str, nnscratch.Tensor]:
    return {
        name: nnscratch.tensor(one.astype(np.float64) if one.dtype.kind == "f" else one)
        for name, one in inputs.items()
    }


def floats(outputs: list[Any]) -> list[nnscratch.Tensor]:
    return [one for one in outputs if isinstance(one, nnscratch.Tensor) and one.dtype == "float64"]


def slope_error(model: OnnxModel, inputs: dict[str, np.ndarray], most: int = 3) -> float:
    """How far a loss changes otherwise than its gradient says, the median of some parameters."""
    given = in_double(inputs)

    def loss() -> Any:
        total = 0.0
        for one in floats(model.run([], given)):
            total = total + (one * one).mean()
        return total

    loss().backward()
    errors = []
    with nnscratch.no_grad():
        for one in [one for one in model.parameters() if one.grad is not None]:
            squared, size = (float((part * part).sum()) for part in (one.grad, one))
            if squared == 0.0 or size == 0.0 or len(errors) == most:
                continue
            step = 1e-6 * (size / squared) ** 0.5
            kept, sides = one.clone(), []
            for way in (1.0, -1.0):
                one.copy_(kept + one.grad * (step * way))
                sides.append(float(loss()))
            one.copy_(kept)
            errors.append(abs((sides[0] - sides[1]) / (2 * step) / squared - 1.0))
    return float(np.median(errors)) if errors else 0.0


def look_at(path: Path, name: str, used: Counter[str]) -> bool:
    session = session_of(path)
    try:
        model = load(path)
    except NNScratchError as error:
        print(f"{name}: refused: {str(error)[-160:]}")
        return False
    source = np.random.default_rng(0)
    for size in SIZES:
        inputs = inputs_of(session, size, source)
        try:
            want = session.run(None, inputs)
            break
        except Exception as error:
            reason = error
    else:
        print(f"{name}: no inputs found for it: {str(reason)[:100]}")
        return False
    # What decides about branches is a number of Python, which a compiled step takes for a constant.
    given = {
        key: nnscratch.tensor(one) if one.ndim or one.dtype.kind == "f" else one.item()
        for key, one in inputs.items()
    }
    with nnscratch.no_grad():
        found = model.run([], given)
        runs = [lambda: model.run([], given), lambda: session.run(None, inputs)]
        compiled = nnscratch.compile(lambda **named: model(**named), freeze=True)
        try:
            for _ in range(3):
                compiled(**given)
            runs.append(lambda: compiled(**given))
        except NNScratchError:  # a branch that depends on what was computed
            pass
        ours, theirs, *planned = measured(*runs)
        told = f"compiled {planned[0]:.2f}" if planned else "not compiled"
    used.update(step.node.op_type for step in model.graph.steps)
    own = [one.numpy() if isinstance(one, nnscratch.Tensor) else one for one in found]
    for one, other in zip(want, own, strict=True):
        if other.shape != one.shape or other.dtype != one.dtype:
            print(f"{name}: {other.dtype} {other.shape} instead of {one.dtype} {one.shape}")
            return False
    worst = gap(want, own)
    said = f"{name}: off by {worst:.0e}, {ours:.2f} ms, {told}, beside {theirs:.2f}"
    try:
        slope = slope_error(model.double(), inputs)
        with nnscratch.no_grad():
            truth = [one.numpy() for one in floats(model.run([], in_double(inputs)))]
        said += f", gradients off by {slope:.0e}"
        if len(truth) == len(own):
            mine, other = gap(truth, own), gap(truth, want)
            said += f"; off float64 by {mine:.0e}, onnxruntime by {other:.0e}"
            worst = min(worst, mine)
    except NNScratchError as error:
        said += f"; not in float64: {str(error)[:60]}"
    print(said, flush=True)
    return worst <= ALLOWED


def gap(truth: list[np.ndarray], found: list[np.ndarray]) -> float:
    """The largest difference, of the largest entry of each."""
    return max(
        float(np.abs(one.astype(float) - other.astype(float)).max(initial=0.0))
        / max(float(np.abs(one.astype(float)).max(initial=0.0)), 1e-30)
        for one, other in zip(truth, found, strict=True)
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    folder = parser.parse_args(arguments).folder
    onnxruntime.set_default_logger_severity(4)
    nnscratch.set_num_threads(1)
    used: Counter[str] = Counter()
    results = []
    with tempfile.TemporaryDirectory() as inside:
        one_row(Path(inside))
        if folder is None:
            return 0
        for wheel in sorted(folder.rglob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                for entry in archive.namelist():
                    if entry.endswith(".onnx"):
                        name = f"{wheel.name.partition('-')[0]} {Path(entry).name}"
                        path = Path(inside, f"{len(results)}.onnx")
                        path.write_bytes(archive.read(entry))
                        results.append(look_at(path, name, used))
        for path in sorted(folder.rglob("*.onnx")):
            results.append(look_at(path, path.name, used))
    print(
        f"{sum(results)} of {len(results)} within {ALLOWED:g} of the largest, {len(used)} operators"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
