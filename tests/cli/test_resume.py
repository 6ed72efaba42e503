import os
import shlex
import signal

from command_line import QUICK, call, fails, weights

from nnscratch.train import Callback


class Interrupt(Callback):
    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_interrupted_and_resumed_it_ends_with_the_same_weights(capsys, tmp_path, monkeypatch):
    from nnscratch.cli import training

    whole, broken = tmp_path / "whole", tmp_path / "bro ken"
    options = ["train", "digits", "--epochs", "3", "--hidden", "16"]
    assert call(capsys, *options, "--run", whole)[0] == 0
    with monkeypatch.context() as patched:
        callbacks = training._callbacks
        patched.setattr(training, "_callbacks", lambda *a: [*callbacks(*a), Interrupt(30)])
        code, _, err = call(capsys, *options, "--run", broken)
    assert code == 130
    assert err.count("\n") == 1
    command = shlex.split(err.partition("go on with: ")[2])
    assert command == ["nnscratch", "train", "--resume", "--run", str(broken)]
    assert "not finished" in fails(capsys, "predict", broken, "digits")
    assert call(capsys, "info", broken)[0] == 0
    assert call(capsys, *command[1:], "--quiet")[0] == 0
    assert weights(broken) == weights(whole)
    # Resumed once more, nothing is left to do.
    assert call(capsys, *command[1:], "--quiet")[0] == 0
    assert weights(broken) == weights(whole)


def test_what_a_resumed_run_cannot_change(capsys, digits):
    folder, _ = digits
    resume = ["train", "--resume", "--run", folder]
    assert "where batch is 64, not 5" in fails(capsys, *resume, "--batch", "5")
    assert "spans 6 epochs" in fails(capsys, *resume, "--epochs", "7")
    assert "exclude each other" in fails(capsys, *resume, "--overwrite")
    assert "no run folder" in fails(capsys, "train", "--resume", "--run", folder.parent)


def test_a_run_can_be_replaced(capsys, tmp_path):
    options = ["train", "digits", "--run", tmp_path, "--quiet", *QUICK]
    assert call(capsys, *options)[0] == 0
    before = weights(tmp_path)
    assert call(capsys, *options, "--overwrite", "--seed", "5")[0] == 0
    assert weights(tmp_path) != before


def test_nan_in_training_stops_it(capsys, tmp_path):
    err = fails(
        capsys,
        *["train", "digits", "--run", tmp_path, "--lr", "1e30", "--optimizer", "sgd", *QUICK],
    )
    assert "training stopped at step" in err
    assert "smaller learning rate" in err
