"""What a comparison says where several things differ, where one side lacks some, and of nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn as tnn

from nnscratch import nn, optim
from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.interop.comparing import StepLog, compare, record_steps
from nnscratch.interop.torch import from_torch

SOURCE = np.random.default_rng(0)
X, Y = SOURCE.normal(size=(6, 5)), SOURCE.integers(0, 4, 6)
CROSS = {"loss": nn.CrossEntropyLoss(), "other_loss": tnn.CrossEntropyLoss()}


def network() -> Any:
    torch.manual_seed(0)
    return tnn.Sequential(tnn.Linear(5, 5), tnn.GELU(), tnn.Linear(5, 4))


def test_one_setting_of_several_of_a_loss() -> None:
    """The one that gives the other's number is the cause, not the first that differs."""
    ours, loss = from_torch(network()), nn.CrossEntropyLoss(ignore_index=-1)
    other = tnn.CrossEntropyLoss(label_smoothing=0.1)
    made = compare(ours, network(), (X, Y), loss=loss, other_loss=other)
    assert made.cause is not None
    assert made.cause.said == "label_smoothing is 0.0 here and 0.1 there"
    assert made.cause.certain
    other = tnn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 3, 4], dtype=torch.float64))
    made = compare(ours, network(), (X, Y), loss=loss, other_loss=other)
    assert made.cause is not None
    assert not made.cause.certain
    both = tnn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum")
    made = compare(ours, network(), (X, Y), loss=nn.CrossEntropyLoss(), other_loss=both)
    assert made.cause is not None
    assert made.cause.kind == "settings of the loss"
    assert made.cause.certain


def test_groups_of_an_optimizer_have_their_own_settings() -> None:
    theirs = network()
    ours = from_torch(theirs)
    named = dict(ours.named_parameters())
    biases = [named.pop(name) for name in list(named) if name.endswith("bias")]
    groups = [{"params": list(named.values())}, {"params": biases, "weight_decay": 0.0}]
    mine = optim.SGD(groups, lr=0.1, weight_decay=0.1)
    its = torch.optim.SGD(theirs.parameters(), lr=0.1, weight_decay=0.1)
    made = compare(ours, theirs, (X, Y), optimizer=mine, other_optimizer=its, **CROSS)
    assert made.first is not None
    assert made.first.place == "step 0, 0.bias after the step"
    assert made.cause is not None
    assert made.cause.said == "weight_decay is 0.0 here and 0.1 there"
    assert made.cause.certain


def test_a_gradient_that_one_side_lacks() -> None:
    theirs = network()
    ours = from_torch(theirs)
    theirs[0].bias.requires_grad_(False)
    assert compare(from_torch(theirs), theirs, (X,)).same
    for one, other, side in ((ours, theirs, "there"), (from_torch(theirs), network(), "here")):
        made = compare(one, other, (X,))
        assert made.first is not None
        assert made.first.place == "step 0, the gradient of 0.bias"
        assert made.cause is not None
        assert made.cause.said == f"0.bias has none {side}: it is frozen, detached or not used"
        assert [d.path for d in made.by_phase["gradient"][1]] == ["0.bias"]
    log = record_steps(theirs, (X,))
    log.modules = {}  # as one from a file, which may leave out what it likes
    assert compare(ours, log, (X,)).same


def test_nothing_that_was_compared_is_not_equal() -> None:
    for arrays in ({}, {"0/forward/elsewhere/output": np.ones(2)}):
        with pytest.raises(ConfigurationError, match="nothing here has the name of anything"):
            compare(nn.Linear(5, 4).double(), StepLog("mine", arrays), (X,))


@pytest.mark.parametrize("number", ["9" * 5000, "1000000", "\u0663", "-1"])
def test_a_log_of_countless_steps(number: str, tmp_path: Path) -> None:
    save_file({f"{number}/loss": np.ones(1)}, tmp_path / "log.safetensors")
    with pytest.raises(CheckpointError, match="is no name of a log"):
        StepLog.load(tmp_path / "log.safetensors")
