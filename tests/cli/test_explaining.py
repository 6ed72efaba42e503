"""`nnscratch explain`: one training step of a saved model."""

import json

import numpy as np
import pytest
from command_line import QUICK, call, fails, flowers

from nnscratch.cli import runs


def test_a_step_of_a_run_is_shown_as_text_and_as_a_page(digits, capsys, tmp_path):
    folder, _ = digits
    before = (folder / "model.safetensors").read_bytes()
    code, text, err = call(capsys, "explain", folder)
    assert (code, err) == (0, "")
    assert "One training step, loss" in text
    assert "backward  CrossEntropyLoss  cross_entropy" in text
    for ending in ("html", "json"):
        code, out, err = call(capsys, "explain", folder, "-o", tmp_path / f"step.{ending}")
        assert (code, err) == (0, "")
        assert "10 calls of one training step written to" in out
    assert (tmp_path / "step.html").read_text().startswith("<!doctype html>")
    steps = json.loads((tmp_path / "step.json").read_text())["steps"]
    first = steps[0]["inputs"]
    assert [one["name"] for one in first] == ["X", "W", "b"]
    assert first[0]["shape"] == [4, 64]
    weights = runs.open_run(folder).model().state_dict()["0.weight"].numpy()
    assert first[1]["mean"] == pytest.approx(float(np.mean(weights)), rel=1e-5)
    assert (folder / "model.safetensors").read_bytes() == before


def test_samples_and_data_are_chosen(digits, capsys, tmp_path):
    folder, _ = digits
    where = tmp_path / "step.json"
    code, _, _ = call(capsys, "explain", folder, "--data", "digits", "--samples", 7, "-o", where)
    assert code == 0
    assert json.loads(where.read_text())["steps"][0]["inputs"][0]["shape"] == [7, 64]


def test_a_step_of_a_table(capsys, tmp_path):
    flowers(tmp_path / "flowers.csv")
    run = tmp_path / "run"
    train = ["train", tmp_path / "flowers.csv", "--target", "kind", "--run", run, *QUICK]
    assert call(capsys, *train)[0] == 0
    code, text, err = call(capsys, "explain", run)
    assert (code, err) == (0, "")
    assert "backward  0 (Linear)  linear" in text


def test_what_is_wrong_is_said(digits, capsys, tmp_path):
    folder, _ = digits
    assert "saved as .html, .htm, .json, .txt" in fails(capsys, "explain", folder, "-o", "x.pdf")
    assert "no such folder" in fails(capsys, "explain", tmp_path / "none")
