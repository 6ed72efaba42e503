"""The programs in docs/examples take the same first steps under PyTorch, from the same text."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from example_data import write_clothes, write_recordings

import nnscratch
from benchmarks import examples
from benchmarks.twins import program


def assert_alike(found: examples.Losses, most: float) -> None:
    """Three steps that learn, with the losses of PyTorch's."""
    assert len(found.ours) == len(found.theirs) == 3
    assert found.ours[0] != found.ours[1]
    assert found.difference < most


@pytest.mark.parametrize("network", ["cnn", "resnet"])
def test_clothes(tmp_path, network) -> None:
    begin = partial(examples._train, network=network, data=str(write_clothes(tmp_path)), epochs=1)
    found = examples.first_losses("fashion_mnist", begin, 3)
    assert_alike(found, 1e-3)


def test_spoken_digits(tmp_path) -> None:
    found = examples.first_losses(
        "spoken_digits", partial(examples._train, data=str(write_recordings(tmp_path))), 3
    )
    assert_alike(found, 1e-3)


@pytest.mark.parametrize("name", ["cartpole_reinforce", "cartpole_dqn", "char_gpt"])
def test_other_programs(name) -> None:
    found = examples.first_losses(name, examples._train, 3)
    assert_alike(found, 1e-4)


def test_a_difference_is_seen() -> None:
    assert examples.Losses("", [1.0, 2.2], [1.0, 2.0]).difference == pytest.approx(0.1)


def test_afterwards_both_libraries_are_as_before() -> None:
    parts = [
        (one.Tensor.backward, one.nn.Dropout.forward, one.compile, one.optim.Optimizer.__init__)
        for one in (nnscratch, torch)
    ]
    examples.first_losses("cartpole_reinforce", examples._train, 1)
    assert parts == [
        (one.Tensor.backward, one.nn.Dropout.forward, one.compile, one.optim.Optimizer.__init__)
        for one in (nnscratch, torch)
    ]


def test_a_program_runs_to_its_end_under_pytorch(tmp_path, capsys) -> None:
    examples.main(
        ["run", "spoken_digits", "--data", str(write_recordings(tmp_path)), "--epochs", "1"]
    )
    assert "of the test's recordings" in capsys.readouterr().out
    with examples._importable():
        path = examples.EXAMPLES / "spoken_digits.py"
        assert isinstance(program(path, torch=True).network(), torch.nn.Module)
    with pytest.raises(SystemExit, match="where NAME is one of cartpole, "):
        examples.main(["run", "nothing"])
