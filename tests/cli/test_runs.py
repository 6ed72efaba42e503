"""``nnscratch runs``, run.toml, and what a shell offers."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import polars
import pytest
from command_line import QUICK, call, fails, flowers, weights
from PIL import Image

from nnscratch.cli import main
from nnscratch.cli.settings import TrainingSettings, read_toml, settings_text


def again(capsys, tmp_path, monkeypatch, *arguments):
    """Train, then with the file that it wrote, from another folder."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    first, second = tmp_path / "first", tmp_path / "second"
    assert call(capsys, "train", *arguments, "--run", first)[0] == 0
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, "train", "--config", first / "run.toml", "--run", second)
    assert (code, err) == (0, "")
    assert weights(first) == weights(second)
    assert (first / "run.toml").read_bytes() == (second / "run.toml").read_bytes()
    one, other = (json.loads((run / "report.json").read_text()) for run in (first, second))
    assert {**one, "training_seconds": 0} == {**other, "training_seconds": 0}


def test_a_table_is_trained_again(capsys, tmp_path, monkeypatch):
    flowers(tmp_path / 'it\'s "flowers".csv')
    again(capsys, tmp_path, monkeypatch, "../it's \"flowers\".csv", "--target", "kind",
          "--exclude", "height", "--seed", 3, *QUICK)  # fmt: skip


def test_images_are_trained_again(capsys, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(60) % 3)
    again(capsys, tmp_path, monkeypatch, "../images.npz", "--model", "cnn", "--epochs", 1)


def test_a_text_is_trained_again(capsys, tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("the cat sat on the mat.\n" * 40, encoding="utf-8")
    again(capsys, tmp_path, monkeypatch, "../text.txt", "--model", "gpt", "--width", 8,
          "--layers", 1, "--heads", 2, "--block", 8, "--epochs", 1)  # fmt: skip


def test_settings_as_toml(tmp_path):
    settings = TrainingSettings(
        data='a "b"\\\n\tü\x7f', target="x", exclude=("a,b", "c"), hidden=(3, 4), lr=1e-05,
        compile=False, augment=("none",), seed=(1 << 63) - 1,
    )  # fmt: skip
    place = tmp_path / "run.toml"
    place.write_text(settings_text(settings, "Said."), encoding="utf-8", newline="\n")
    assert TrainingSettings.from_dict(read_toml(str(place)), "it") == settings
    text = settings_text(TrainingSettings(data="\udce4.csv"), "Said.")
    assert "data is not UTF-8" in text
    assert "data" not in tomllib.loads(text)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    table = flowers(folder / "flowers.csv")
    for name, lr in (("slow [x]", "0.001"), ("quick", "0.01")):
        arguments = ["train", str(table), "--target", "kind", "--lr", lr, *QUICK, "--quiet"]
        assert main([*arguments, "--run", str(folder / name)]) == 0
    return folder


def test_runs_are_compared(capsys, several, tmp_path):
    code, out, _ = call(capsys, "runs", several)
    assert code == 0
    assert out.index("quick") < out.index("slow [x]")
    assert "What differs" in out
    assert "0.001" in out
    table = tmp_path / "runs.csv"
    assert call(capsys, "runs", several / "quick", several / "slow [x]", "-o", table)[0] == 0
    frame = polars.read_csv(table)
    assert frame["lr"].to_list() == [0.01, 0.001]
    report = json.loads((several / "quick" / "report.json").read_text())
    assert frame["score"][0] == report["accuracy"]
    call(capsys, "runs", several, "--sort", "score", "-o", table)
    scores = polars.read_csv(table)["score"].to_list()
    assert scores == sorted(scores, reverse=True)
    call(capsys, "runs", several, "--sort", "loss", "--most", 1, "-o", table)
    assert len(polars.read_csv(table)) == 1


def test_curves_are_drawn(capsys, several, tmp_path):
    assert call(capsys, "runs", several, "-o", tmp_path / "curves.png")[0] == 0
    with Image.open(tmp_path / "curves.png") as image:
        assert min(image.size) > 300


def test_runs_that_are_not_whole(capsys, several, tmp_path):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text('{"form": "nnscratch-run", "settings": 3')
    assert "no run folders" in fails(capsys, "runs", tmp_path)
    (tmp_path / "other").mkdir()
    head = {"form": "nnscratch-run", "version": 1, "settings": {"lr": "x"}}
    (tmp_path / "other" / "config.json").write_text(json.dumps(head))
    assert "lr must be of type float" in fails(capsys, "runs", tmp_path)
    (tmp_path / "begun").mkdir()
    head = {"form": "nnscratch-run", "version": 1, "state": "beginning"}
    (tmp_path / "begun" / "config.json").write_text(json.dumps(head))
    code, out, _ = call(capsys, "runs", tmp_path)
    assert code == 0
    assert "begun" in out
    assert "left out" in out
    assert "has a history" in fails(capsys, "runs", tmp_path / "begun", "-o", tmp_path / "c.png")


def test_what_runs_refuses(capsys, several, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "runs: there is no such folder; trainings write there" in fails(capsys, "runs")
    assert "there is no such folder" in fails(capsys, "runs", "nowhere")
    assert "must end in .png" in fails(capsys, "runs", several, "-o", "x.txt")
    assert "sorted by name" in fails(capsys, "runs", several, "--sort", "size")
    inside = several / "quick" / "curves.png"
    assert "file of a run" in fails(capsys, "runs", several, "-o", inside)


def offered(capsys, monkeypatch, line, place):
    monkeypatch.setenv("_NNSCRATCH_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(place))
    main([])
    monkeypatch.delenv("_NNSCRATCH_COMPLETE")
    return capsys.readouterr().out.split("\n")[:-1]


def test_completion(capsys, several, monkeypatch):
    assert "plain,export" in offered(capsys, monkeypatch, "nnscratch exp", 1)
    assert offered(capsys, monkeypatch, "nnscratch train --optimizer adamw", 3) == ["plain,adamw"]
    assert "plain,--optimizer" in offered(capsys, monkeypatch, "nnscratch train --opt", 2)
    monkeypatch.chdir(several)
    assert offered(capsys, monkeypatch, "nnscratch predict q", 2) == ["plain,quick"]
    assert offered(capsys, monkeypatch, "nnscratch train fl", 2) == ["file,fl"]
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = call(capsys, "completion", shell)
        assert code == 0
        assert "_NNSCRATCH_COMPLETE" in out
    assert "choose from bash, zsh, fish" in fails(capsys, "completion", "tcsh")
