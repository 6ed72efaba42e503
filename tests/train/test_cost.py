"""Whether a run compiles its step: by the size of all of it, whatever was done of it before."""

from __future__ import annotations

import numpy as np
import pytest

from nnscratch import nn
from nnscratch.train import Trainer, cost

X = np.ones((64, 4), np.float32)
Y = np.zeros((64, 2), np.float32)


def trainer(folder, **options) -> Trainer:
    model = nn.Linear(4, 2)
    return Trainer(model, loss="mse", optimizer="sgd", lr=0.1, run_dir=folder, seed=0, **options)


@pytest.mark.parametrize(("epochs", "compiled"), [(1, False), (3, False), (4, True)])
def test_many_short_epochs_are_a_long_run(tmp_path, monkeypatch, epochs, compiled) -> None:
    # Two batches of an epoch are estimated at 0.6 ms.
    monkeypatch.setattr(cost, "WORTH_COMPILING", 0.002)
    one = trainer(tmp_path)
    one.fit((X, Y), epochs, batch_size=32)
    assert one._stepper.compile is compiled


def test_a_resumed_run_takes_the_same_steps(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cost, "WORTH_COMPILING", 0.002)

    first = trainer(tmp_path)
    first.fit((X, Y), 4, batch_size=32)
    second = trainer(tmp_path)
    second.fit((X, Y), 4, batch_size=32, resume=True)
    assert first._stepper.compile is second._stepper.compile is True


def test_whoever_says_so_is_obeyed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cost, "WORTH_COMPILING", 0.0)
    one = trainer(tmp_path, compile=False)
    one.fit((X, Y), 1, batch_size=32)
    assert one._stepper.compile is False
