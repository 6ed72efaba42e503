"""A run folder that several tests look at."""

import contextlib
import io

import pytest

from nnscratch.cli import main


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A run folder of a digits model, and what the training printed."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["train", "digits", "--run", str(folder), "--epochs", "6"]) == 0
    return folder, out.getvalue()
