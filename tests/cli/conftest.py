"""A run folder that several tests look at."""

import contextlib
import io

import pytest

from nnscratch.cli import language, main
from nnscratch.train import plots


@pytest.fixture(autouse=True)
def quick_ends(monkeypatch):
    """Draw curves coarsely, where they happen to lie, and let models write less.

    Every training ends with them, and they took most of its time. Runs that several tests look at
    have them as they should be, and all other pictures are, whose words come from the data.
    """
    monkeypatch.setattr(language, "_SAMPLE", 40)
    drawn = plots._curves

    def coarse(axes, *given):
        drawn(axes, *given)
        axes.figure.set_layout_engine("none")
        axes.figure.set_dpi(36)

    monkeypatch.setattr(plots, "_curves", coarse)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A run folder of a digits model, and what the training printed."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["train", "digits", "--run", str(folder), "--epochs", "6"]) == 0
    return folder, out.getvalue()
