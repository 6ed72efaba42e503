"""The state of an optimizer divided among the ranks: the same bits, and the same checkpoints."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import many_ranks
import numpy as np
import pytest
from many_ranks import configurations, job

from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.optim import SGD, Adafactor, Adam, Muon, NAdam, Optimizer
from nnscratch.optim.remembering import remembered
from nnscratch.parallel.dividing import DividedState, bounds_of
from nnscratch.parallel.world import World
from nnscratch.tensors import Tensor
from nnscratch.train import Trainer
from nnscratch.train.tensor_file import TensorFile

BY_PARAMETER = ("adafactor", "muon", "sparseadam")
SHARDED = ("dropout", "compiled groups", "group later")


def test_ranks_that_divide_the_state_train_to_the_same_bits(tmp_path: Path) -> None:
    names = [one for one in configurations() if one.startswith("optimizer ")]
    names = [one for one in names if one.partition(" ")[2] not in BY_PARAMETER]
    assert len(names) >= 11
    # Clipped by the norm of all gradients, compiled, accumulated, with a group that comes later.
    names += ["compiled", "groups", "group later, compiled", "few counted, compiled", "schedule"]
    shas = []
    for divides in (False, True):
        done = job(3, "equal", tmp_path, names=names, shard_optimizer=divides)
        assert done.code == 0, done.err
        found = json.loads((tmp_path / "found.json").read_text())
        shas.append({name: (found[name]["sha"], found[name]["rows"]) for name in names})
    assert shas[0] == shas[1]


def test_with_shards_the_bits_are_those_of_one_process(tmp_path: Path) -> None:
    alone = {name: many_ranks.train(name, shards=4)["sha"] for name in SHARDED}
    for ranks in (2, 4):
        done = job(ranks, "equal", tmp_path, names=SHARDED, shards=4, shard_optimizer=True)
        assert done.code == 0, done.err
        found = json.loads((tmp_path / "found.json").read_text())
        assert {name: found[name]["sha"] for name in SHARDED} == alone


@pytest.mark.parametrize("compiled", [False, True])
def test_each_rank_has_its_part_of_the_state_and_no_more(compiled: bool, tmp_path: Path) -> None:
    done = job(4, "divided", tmp_path, compile=compiled)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "divided.json").read_text())
    for ranks in found.values():
        whole = ranks[0][1]
        for name in ("exp_avg", "exp_avg_sq"):
            parts = [sizes[name] for sizes, *_ in ranks]
            assert sum(parts) == whole
            assert max(parts) <= whole / 4 + 64
        # A rank without elements counts the steps of all parameters too.
        assert {tuple(steps) for _, _, steps, _ in ranks} == {(6, 6)}
        assert all("divided among ranks" in said for *_, said in ranks)
    assert sum(sizes["exp_avg"] == 0 for sizes, *_ in found["tiny"]) == 1


def test_checkpoints_are_those_of_one_process_and_go_on_with_any_number(tmp_path: Path) -> None:
    options: dict[str, Any] = {"shards": 4, "deadline": 60.0, "clip_norm": 0.5, "resume": True}
    quiet = many_ranks.fit(tmp_path, run="quiet", **options)
    # Written within the epochs too: rank 0 says when, one step before.
    for ranks, step, divides in ((2, 4, True), (4, 7, True), (2, 9, False), (1, 11, True)):
        done = job(ranks, "fit", tmp_path, fault="kill", rank=ranks - 1, step=step,
                   shard_optimizer=divides, **options)  # fmt: skip
        assert done.code != 0
        assert not (tmp_path / "fitted.json").exists()
    done = job(2, "fit", tmp_path, shard_optimizer=True, **options)
    assert done.code == 0, done.err
    assert tuple(json.loads((tmp_path / "fitted.json").read_text())) == quiet
    with (
        TensorFile(tmp_path / "run" / "checkpoint.safetensors") as mine,
        TensorFile(tmp_path / "quiet" / "checkpoint.safetensors") as theirs,
    ):
        assert sorted(mine) == sorted(theirs)
        assert any(name.startswith("optimizer.") for name in mine)
        for name in mine:
            assert mine.read(name).tobytes() == theirs.read(name).tobytes()


def test_a_checkpoint_is_written_within_an_epoch_of_ranks_that_accumulate(tmp_path: Path) -> None:
    done = job(2, "fit", tmp_path, fault="kill", step=5, accumulate=2, shard_optimizer=True)
    assert done.code != 0
    # An epoch has five batches: after the second one is asked for, after the fourth it is written.
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


def by_hand(ranks: int, make: Any) -> None:
    """Let several optimizers stand for ranks, each of which steps its part of the parameters."""
    whole, parts = nn.Linear(20, 7), [nn.Linear(20, 7) for _ in range(ranks)]
    for one in parts:
        one.load_state_dict(whole.state_dict())
    optimizer, divided = make(whole.parameters()), [make(one.parameters()) for one in parts]
    (flat,) = optimizer.flats()
    bounds = bounds_of(flat.values.size, ranks)
    for rank, one in enumerate(divided):
        one.flats()[0].divide(slice(bounds[rank], bounds[rank + 1]), lambda values: None)
    rng = np.random.default_rng(0)
    for step in range(6):
        gradients = [Tensor(rng.normal(size=p.shape).astype("f")) for p in whole.parameters()]
        for model, its in ((whole, optimizer), *zip(parts, divided, strict=True)):
            for p, gradient in zip(model.parameters(), gradients, strict=True):
                p.grad = gradient
            if step >= 3:  # SGD begins its momentum in the middle then
                its.param_groups[0]["momentum"] = 0.9
            its.step()
        for rank, one in enumerate(divided):
            mine = slice(bounds[rank], bounds[rank + 1])
            values = one.flats()[0].values
            assert values[mine].tobytes() == flat.values[mine].tobytes()
            values[:] = flat.values
    if isinstance(optimizer, SGD):
        assert all(one.flats()[0].state["momentum_buffer"].size for one in divided)


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_a_momentum_may_begin_in_the_middle(ranks: int) -> None:
    by_hand(ranks, lambda parameters: SGD(parameters, lr=0.1, dampening=0.3))
    by_hand(ranks, lambda parameters: Adam(parameters, lr=0.1, amsgrad=True))


def test_what_looks_at_whole_parameters_is_refused_by_name() -> None:
    class Own(Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {})

    model = nn.Linear(3, 2, bias=False)
    for optimizer in (Adafactor(model.parameters()), Muon(model.parameters()),
                      Own(model.parameters())):  # fmt: skip
        name = type(optimizer).__name__
        with pytest.raises(ConfigurationError, match=f"{name} looks at whole parameters: choose"):
            DividedState(optimizer, World())


def test_an_optimizer_that_was_divided_is_not_trained_alone() -> None:
    model = nn.Linear(6, 3)
    optimizer = Adam(model.parameters())
    optimizer.flats()[0].divide(slice(0, 16), lambda values: None)
    with pytest.raises(ConfigurationError, match="divided among the ranks of a job: train with"):
        Trainer(model, optimizer=optimizer)
    model(Tensor(np.ones((1, 6), np.float32))).sum().backward()
    optimizer.step()
    with pytest.raises(ConfigurationError, match="this one has a part of it"):
        optimizer.state_dict()
    with pytest.raises(ConfigurationError, match="this one has a part of it"):
        copy.deepcopy(optimizer)


def test_what_an_optimizer_knew_is_brought_back() -> None:
    for make in (NAdam, Adafactor, SGD):
        model = nn.Linear(3, 2)
        optimizer: Any = make(model.parameters(), lr=0.1)

        def step(model: Any = model, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            model(Tensor(np.ones((1, 3), np.float32))).sum().backward()
            optimizer.step()

        step()
        before = str(optimizer.state_dict())
        bring_back = remembered(optimizer)
        optimizer.param_groups[0]["lr"] = 0.3
        step()
        assert str(optimizer.state_dict()) != before
        bring_back()
        assert str(optimizer.state_dict()) == before
