"""``nnscratch export --to onnx``: what a run predicts, run by onnxruntime."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
from command_line import QUICK, call

from nnscratch.cli import runs
from nnscratch.cli.exporting import sample_of
from nnscratch.tensors import Tensor, no_grad


def test_a_run_on_a_table_is_run_elsewhere(capsys, tmp_path):
    source = np.random.default_rng(0)
    lines = [f"{k + source.normal(0, 0.2):.3f},{'ab'[k % 2]},{'xyz'[k]}" for k in range(3)] * 20
    (tmp_path / "t.csv").write_text("size,sort,kind\n" + "\n".join(lines) + "\n")
    run, place = tmp_path / "run", tmp_path / "model.onnx"
    options = ("--target", "kind", *QUICK, "--run", run)
    assert call(capsys, "train", tmp_path / "t.csv", *options)[0] == 0
    code, out, _ = call(capsys, "export", run, "--to", "onnx", "-o", place)
    assert code == 0
    assert "it takes the" in out
    found = runs.open_run(run)
    x = source.standard_normal((5, sample_of(found).shape[1])).astype(np.float32)
    session = onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"])
    (got,) = session.run(["probabilities"], {"features": x})
    with no_grad():
        want = found.model().eval()(Tensor(x)).softmax(-1).numpy()
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    told = {one.key: one.value for one in onnx.load(place).metadata_props}
    assert json.loads(told["classes"]) == ["x", "y", "z"]
    assert "columns" in told["nnscratch.preprocessing"]


def test_images_come_as_they_are_in_files(capsys, tmp_path):
    run, place = tmp_path / "run", tmp_path / "model.onnx"
    assert call(capsys, "train", "digits", *QUICK, "--run", run)[0] == 0
    assert call(capsys, "export", run, "--to", "onnx", "-o", place)[0] == 0
    found = runs.open_run(run)
    pre = found.preprocessor
    images = np.random.default_rng(0).integers(0, int(pre.white) + 1, (4, *pre.shape))
    images = images.astype(np.float32)
    session = onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"images": images})
    x = (images / pre.white - np.reshape(pre.mean, (-1, 1, 1))) / np.reshape(pre.std, (-1, 1, 1))
    with no_grad():
        model = found.model().eval()
        want = model(Tensor(x.astype(np.float32).reshape(4, -1))).softmax(-1).numpy()
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
