"""``nnscratch runs``, run.toml, and what a shell offers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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
    assert "damaged" in fails(capsys, "runs", tmp_path)
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
    (several / "two\nlines").mkdir()
    shutil.copy(several / "quick" / "config.json", several / "two\nlines")
    assert offered(capsys, monkeypatch, "nnscratch predict t", 2) == ["file,t"]
    assert "choose from bash, zsh, fish" in fails(capsys, "completion", "tcsh")


def test_bash_takes_what_is_offered(capsys, several, tmp_path):
    """Its own script, run by bash, with names that have to be quoted."""
    for name in ("two words", "$HOME", "a,b", "back\\slash", "[qu]*", 'q"'):
        shutil.copytree(several / "quick", tmp_path / "runs" / name)
    command = tmp_path / "bin" / "nnscratch"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nnscratch "$@"\n')
    command.chmod(0o755)
    script = call(capsys, "completion", "bash")[1] + (
        '\nCOMP_WORDS=(nnscratch serve ""); COMP_CWORD=2\n_nnscratch_completion nnscratch\n'
        'eval "set -- ${COMPREPLY[*]}"\nprintf "%s\\n" "$@"\n'
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == sorted(
        f"runs/{one}" for one in os.listdir(tmp_path / "runs")
    )


def damaged(folder, name, file, content):
    path = shutil.copytree(folder / "good", folder / name) / file
    if callable(content):
        path.write_text(json.dumps(content(json.loads(path.read_text()))))
    else:
        path.write_bytes(content)


def test_folders_that_are_damaged_odd_or_of_others(capsys, tmp_path):
    flowers(tmp_path / "flowers.csv")
    runs = tmp_path / "r"
    call(capsys, "train", tmp_path / "flowers.csv", "--target", "kind", *QUICK, "--run",
         runs / "good")  # fmt: skip
    left_out = {
        "cut": ("config.json", b'{"form": "nnscr'),
        "empty": ("config.json", b""),
        "report": ("report.json", b"["),
        "list": ("report.json", b"[]"),
        "version": ("config.json", lambda c: {**c, "version": 9}),
        "settings": ("config.json", lambda c: {**c, "settings": {"epochs": "x"}}),
    }
    shown = {
        "huge": ("report.json", lambda c: {**c, "accuracy": 10**400, "epochs": 10**400}),
        "infinite": ("report.json", b'{"accuracy": 1e999, "loss": true, "epochs": "x"}'),
        "history": ("history.json", b"[{"),
        "named": ("config.json", lambda c: {**c, "data": {"name": "n" * 100_000}}),
        "listed": ("config.json", lambda c: {**c, "data": {"name": [1]}}),
        "unset": ("config.json", lambda c: {k: v for k, v in c.items() if k != "settings"}),
        "ü🎉 \x1b[2J" + "x" * 200: ("report.txt", b""),
        "old": ("report.txt", b""),
        "linked": ("report.txt", b""),
    }
    for name, (file, content) in {**left_out, **shown}.items():
        damaged(runs, name, file, content)
    (runs / "linked" / "link").symlink_to(tmp_path / "nothing")
    os.utime(runs / "old" / "report.txt", (-(2**40), 2**35))
    (runs / "bert").mkdir()
    (runs / "bert" / "config.json").write_text('{"model_type": "bert"}')
    (runs / "folder" / "config.json").mkdir(parents=True)
    (runs / "file").write_text("")
    code, out, err = call(capsys, "runs", runs, "-o", tmp_path / "all.csv")
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines() if line.startswith("left out")]
    assert len(lines) == len(left_out)
    for name in left_out:
        assert sum(f"/{name}/" in line for line in lines) == 1
    assert "bert" not in out
    assert "\x1b" not in out
    found = polars.read_csv(tmp_path / "all.csv")["run"].to_list()
    assert {name for name in ("good", *shown) if any(one.endswith(name) for one in found)} == {
        "good", *shown
    }  # fmt: skip
    for order in ("score", "loss", "time"):
        assert call(capsys, "runs", runs, "--sort", order)[0] == 0
    assert "cut" in fails(capsys, "runs", runs / "cut")
    assert "no run folders" in fails(capsys, "runs", runs / "bert")
    # A history that cannot be read leaves the others' curves.
    out = call(capsys, "runs", runs / "good", runs / "history", "-o", tmp_path / "c.png")[1]
    assert "left out" in out
    assert (tmp_path / "c.png").exists()


def test_many_settings_that_differ_are_listed(capsys, tmp_path):
    flowers(tmp_path / "flowers.csv")
    for name, more in (("a", ()), ("b", ("--batch", 8, "--lr", 0.1, "--seed", 1, "--dropout", 0.3,
                                         "--optimizer", "sgd", "--activation", "tanh",
                                         "--split-seed", 2))):  # fmt: skip
        call(capsys, "train", tmp_path / "flowers.csv", "--target", "kind", *QUICK, *more,
             "--run", tmp_path / name)  # fmt: skip
    out = call(capsys, "runs", tmp_path / "a", tmp_path / "b")[1].replace("\n", " ")
    assert "b: activation tanh, dropout 0.3, optimizer sgd, lr 0.1" in out
