"""A model of ours beside the same one written, run by onnxruntime and by our own loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

import nnscratch
from nnscratch import nn
from nnscratch.graph.nested import leaves
from nnscratch.interop.onnx import export, load

onnxruntime.set_default_logger_severity(3)
# The newest that this onnxruntime runs; newer ones are run by our loader alone.
RUNTIME = 25
NEWEST = onnx.defs.onnx_opset_version()


def draw(*shape: int, seed: int = 0) -> Any:
    source = np.random.default_rng(seed)
    return nnscratch.tensor(source.standard_normal(shape).astype(np.float32))


def tokens(*shape: int) -> Any:
    return nnscratch.tensor(np.random.default_rng(1).integers(0, 20, shape))


def run_elsewhere(made: onnx.ModelProto, *arrays: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [one.name for one in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))


def differ(model: nn.Module) -> None:
    """Move biases, scales and statistics: ones and zeros hide which was taken for which."""
    source = np.random.default_rng(5)
    with nnscratch.no_grad():
        for one in (*model.parameters(), *model.buffers()):
            if one.ndim == 1 and one.is_floating_point():
                moved = source.uniform(0.05, 0.4, tuple(one.shape)).astype(np.float32)
                one.add_(nnscratch.tensor(moved).to(one.dtype))


def numbers(found: Any) -> list[np.ndarray]:
    return [
        one.detach().numpy() if isinstance(one, nnscratch.Tensor) else one
        for one in leaves(found)
        if one is not None
    ]


def compare(want: list[np.ndarray], got: list[Any]) -> None:
    assert len(want) == len(got)
    for one, other in zip(want, numbers(got), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        scale = max(1.0, float(np.abs(one[np.isfinite(one)]).max(initial=0.0)))
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5 * scale)


def grown(x: Any) -> Any:
    """The same rows twice, and the first once more."""
    return nnscratch.cat([x, x, x[:1]])


def both_ways(model: Any, x: Any, path: Path, opsets: tuple[int, ...], more: bool = True) -> None:
    if isinstance(model, nn.Module):
        differ(model.eval())
    samples = [x] if isinstance(x, tuple) else [(x,)]
    if more:
        samples.append(tuple(map(grown, samples[0])))
    with nnscratch.no_grad():
        wanted = [numbers(model(*one)) for one in samples]
    for opset in opsets:
        export(model, x, path, opset=opset, dynamic_batch=more)
        session = None
        if opset <= RUNTIME:
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        loaded = load(path)
        for sample, want in zip(samples, wanted, strict=True):
            with nnscratch.no_grad():
                compare(want, loaded.run(list(sample)))
            if session is not None:
                names = [one.name for one in session.get_inputs()]
                arrays = [one.numpy() for one in sample]
                compare(want, session.run(None, dict(zip(names, arrays, strict=True))))
