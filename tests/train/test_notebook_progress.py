"""The progress of a training in a notebook: one display, updated in place, without times."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.utils.capture import capture_output
from notebooks import in_place
from pasting import ipython
from small_training import blobs, net

import nnscratch
from nnscratch.train import Callback, EarlyStopping, History, Progress, Trainer, fit, notebook

X, Y = blobs()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the test as a cell of a notebook would run, and update the display after each batch."""
    monkeypatch.setattr(notebook, "_EVERY", 0.0)
    with ipython(tmp_path) as made:
        yield made


def shown(epochs: int = 3, **options: Any) -> tuple[History, list[dict[str, str]], str]:
    """Train, and return the history, what was displayed, and what was printed."""
    with capture_output() as captured:
        history = fit(net(), (X, Y), epochs, verbose=True, seed=0, **options)
    assert len({output.transient["display_id"] for output in captured.outputs}) == 1
    assert len(in_place(captured.outputs)) == 1
    return history, [output.data for output in captured.outputs], captured.stdout


def parts(html: str) -> tuple[str, float, int]:
    """Return the text of a display, how full its bar is, and the points of its first curve."""
    assert "src=" not in html
    assert "http" not in html
    tree = ET.fromstring(html)
    (bar,) = tree.iter("progress")
    paths = [one.attrib["d"] for one in tree.iter() if one.tag.endswith("path")]
    words = " ".join("".join(tree.itertext()).split())
    return words, float(bar.attrib["value"]), paths[0].count("L") + 1 if paths else 0


@pytest.mark.usefixtures("shell")
def test_one_display_grows_and_stays() -> None:
    history, displays, printed = shown(validation=(X, Y), metrics=["f1"])
    assert printed == ""
    seen = [parts(data["text/html"]) for data in displays]
    fullness, points = [one[1] for one in seen], [one[2] for one in seen]
    assert fullness == sorted(fullness)
    assert fullness[0] == 0.0
    assert any(0.0 < one < 30.0 for one in fullness)  # within the first epoch
    assert fullness[-2:] == [100.0, 100.0]
    assert points == sorted(points)
    assert points[-1] == 3
    words = seen[-1][0]
    assert "3/3 epochs train loss" in words
    row = history.rows[-1]
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_f1"):
        assert f"{name.replace('_', ' ')} {row[name]:.4g}" in words
        assert f"{row[name]:.4g}" in displays[-1]["text/plain"]
    assert displays[-1]["text/html"].count("<svg") == 3  # loss, accuracy, f1
    assert "seconds" not in str(displays)


@pytest.mark.usefixtures("shell")
def test_the_same_run_leaves_the_same_display() -> None:
    def last() -> dict[str, str]:
        nnscratch.manual_seed(0)
        return shown()[1][-1]

    assert last() == last()


@pytest.mark.usefixtures("shell")
def test_many_short_epochs_are_few_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "_EVERY", 3600.0)
    assert len(shown(epochs=30)[1]) <= 3


@pytest.mark.usefixtures("shell")
def test_why_a_training_ended_is_told() -> None:
    stopping = EarlyStopping(patience=1, monitor="train_loss", min_delta=1e9)
    words = parts(shown(epochs=9, callbacks=[stopping])[1][-1]["text/html"])[0]
    assert "2/9 epochs, stopped: train_loss has not got better since epoch 1" in words

    class Failing(Callback):
        def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
            raise ValueError("<of its own>")

    with capture_output() as captured, pytest.raises(ValueError, match="of its own"):
        fit(net(), (X, Y), 5, verbose=True, callbacks=[Failing()])
    assert "ended after epoch 1 of 5" in parts(captured.outputs[-1].data["text/html"])[0]


@pytest.mark.usefixtures("shell")
def test_lines_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Trainer(net(), callbacks=[Progress(bar=False)]).fit((X, Y), 1)
    Trainer(net(), callbacks=[Progress(sys.stdout)]).fit((X, Y), 1)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_lines_in_a_terminal_and_without_ipython(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = TerminalInteractiveShell.__new__(TerminalInteractiveShell)
    for module in (None, type(sys)("IPython")):
        if module is not None:
            module.get_ipython = lambda: terminal  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "IPython", module)
        fit(net(), (X, Y), 1, verbose=True)
        assert len(capsys.readouterr().out.splitlines()) == 2


def test_ipython_is_not_imported() -> None:
    program = (
        "import sys, numpy as np\nfrom nnscratch import nn\nfrom nnscratch.train import fit\n"
        "fit(nn.Linear(2, 1), (np.ones((4, 2)), np.ones((4, 1))), 1, verbose=True)\n"
        "print('IPython' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_a_history_is_stored_without_seconds() -> None:
    history = History([{"epoch": 1, "train_loss": 0.5, "seconds": 1.25}])
    assert re.fullmatch(
        r"History\(1 epochs, last \{'epoch': 1, 'train_loss': 0.5\}\)", f"{history}"
    )
