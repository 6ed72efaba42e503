"""``nnscratch export --to onnx``: what a run predicts, run by onnxruntime."""

from __future__ import annotations

import csv

import numpy as np
import onnx
import onnxruntime
import pytest
from command_line import QUICK, call

from nnscratch.cli import runs
from nnscratch.cli.tables import table_like
from nnscratch.tensors import Tensor, no_grad


def table_with_everything(path, rows, *, odd):
    """Write a table; odd: with gaps, new categories, numbers far out, and other spellings."""
    source = np.random.default_rng(odd)
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["size (m²)", "year", "town", "wild", "label", "day", "kind", "price"])
        for n in range(rows):
            kind = n % 3
            size = round(kind + source.normal(0, 0.2), 3)
            day = f"20{n % 30:02}-0{1 + n % 9}-1{n % 7}"
            town, wild = ("Ulm", "Köln", "a, b")[n % 3], ("true", "false")[n % 2]
            if odd:
                size = ("", "n/a", 1e30, -1e30, 1e-300, size)[n % 6]
                town = ("Rome", "", "ulm", "Ulm", "nan")[n % 5]
                wild = ("", "Yes", "0", "TRUE", "no")[n % 5]
                day = ("", "1900-03-01", "2400-02-29", day)[n % 4]
            out.writerow([size, "" if n % 11 == 0 else 1990 + n % 40, town, wild,
                          "abc"[n * n % 3], day, ("oak", "elm", "fir")[kind],
                          round(1e6 + 1e4 * kind + 100 * (n % 7), 2)])  # fmt: skip
    return path


def columns_of(path, found):
    """The columns of a file as the ONNX model takes them, each (N, 1)."""
    table = table_like(str(path), found.preprocessor, found.settings, labelled=False)
    given = {}
    for name, kind in found.preprocessor.encoder.kinds.items():
        values = table.column(name)
        if kind == "numeric":
            values = values.astype(np.float64)
        elif kind == "datetime":
            values = values.astype("datetime64[us]").view(np.int64)
        else:
            values = np.array(["" if one is None else str(one) for one in values], object)
        given[name] = values[:, None]
    return given


@pytest.mark.parametrize("target", ["kind", "price"])
def test_a_table_is_predicted_elsewhere_as_here(capsys, tmp_path, target):
    train = table_with_everything(tmp_path / "t.csv", 120, odd=False)
    other = table_with_everything(tmp_path / "o.csv", 60, odd=True)
    run, place = tmp_path / "run", tmp_path / "model.onnx"
    assert call(capsys, "train", train, "--target", target, *QUICK, "--run", run)[0] == 0
    code, out, _ = call(capsys, "export", run, "--to", "onnx", "-o", place)
    assert code == 0
    assert "takes the table's columns by name" in out
    assert "microseconds since 1970" in out
    found = runs.open_run(run)
    session = onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == [*found.preprocessor.encoder.column_names]
    for source in (train, other):
        call(capsys, "predict", run, source, "-o", tmp_path / "p.csv", "--probabilities")
        with open(tmp_path / "p.csv", encoding="utf-8") as file:
            wanted = list(csv.DictReader(file))
        got = session.run(None, columns_of(source, found))
        if target == "price":
            here = [float(row["prediction"]) for row in wanted]
            np.testing.assert_allclose(got[0].ravel(), here, rtol=1e-5)
            continue
        labels, shares = got
        assert labels.tolist() == [row["prediction"] for row in wanted]
        here = [[float(row[f"p({name})"]) for name in ("elm", "fir", "oak")] for row in wanted]
        np.testing.assert_allclose(shares, here, atol=2e-6)
    told = {one.key: one.value for one in onnx.load(place).metadata_props}
    assert "columns" in told["nnscratch.preprocessing"]
    assert ("classes" in told) == (target == "kind")


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
