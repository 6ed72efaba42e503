"""Gradients that are sent as bfloat16: their error is bounded, with shards the bits are fixed."""

from __future__ import annotations

import json
from pathlib import Path

import many_ranks
import numpy as np
import pytest
from many_ranks import job

from nnscratch.array.bfloat16 import bfloat16
from nnscratch.cli.settings import TrainingSettings
from nnscratch.errors import ConfigurationError
from nnscratch.parallel.adding import round_to_bfloat16
from nnscratch.tensors import Tensor
from nnscratch.train import Trainer

NAMES = ("dropout", "compiled groups", "few counted")


@pytest.mark.parametrize("ranks", [2, 4, 5])
def test_sums_are_those_of_a_tree_that_rounds_and_within_their_bound(
    ranks: int, tmp_path: Path
) -> None:
    done = job(ranks, "sums", tmp_path, rounded=True)
    assert done.code == 0, done.err


def test_with_shards_the_bits_are_the_same_on_any_number_of_ranks(tmp_path: Path) -> None:
    alone = {name: many_ranks.train(name, shards=4, wire="bfloat16")["sha"] for name in NAMES}
    for ranks in (2, 4):
        # With the state divided too: values are sent to the last bit.
        done = job(ranks, "equal", tmp_path, names=NAMES, shards=4, wire="bfloat16",
                   shard_optimizer=ranks == 4)  # fmt: skip
        assert done.code == 0, done.err
        found = json.loads((tmp_path / "found.json").read_text())
        assert {name: found[name]["sha"] for name in NAMES} == alone
    assert alone["dropout"] != many_ranks.train("dropout", shards=4)["sha"]


def test_ranks_without_shards_learn_as_well(tmp_path: Path) -> None:
    done = job(3, "equal", tmp_path, names=["groups"], wire="bfloat16")
    assert done.code == 0, done.err  # all ranks have the same weights
    found = json.loads((tmp_path / "found.json").read_text())["groups"]["rows"]
    exact = many_ranks.train("groups")["rows"]
    for row, expected in zip(found, exact, strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=0.01)
    assert found[-1]["train_loss"] != exact[-1]["train_loss"]


def test_rounding_keeps_what_is_not_finite_and_what_bfloat16_holds() -> None:
    some = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 3.0e38, 1e-40], np.float32)
    made = some.copy()
    round_to_bfloat16(made)
    assert np.array_equal(np.isnan(made), np.isnan(some))
    assert made[1:6].tobytes() == some[1:6].tobytes()
    again = made.copy()
    round_to_bfloat16(again)
    assert again[1:].tobytes() == made[1:].tobytes()
    assert bfloat16().itemsize == 2


def test_a_wire_that_makes_no_sense_is_refused() -> None:
    model = many_ranks._net(outputs=3)
    with pytest.raises(ConfigurationError, match="wire must be 'bfloat16', or None for gradients"):
        Trainer(model, wire="float16")
    with pytest.raises(ConfigurationError, match="there is no wire 'float8'"):
        TrainingSettings(wire="float8")
    data = tuple(Tensor(one) for one in many_ranks._data("doubles"))
    with pytest.raises(ConfigurationError, match="wire='bfloat16' is for parameters of at most 32"):
        Trainer(model.double(), wire="bfloat16", shards=2).fit(data, 1)
