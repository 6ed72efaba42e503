"""What a model does besides its outputs, as it is found out before ranks share batches."""

from __future__ import annotations

from functools import partial
from typing import Any

import many_ranks
import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError
from nnscratch.parallel.probing import Habits, habits_of
from nnscratch.tensors import Tensor
from nnscratch.train import Trainer
from nnscratch.train.losses import denominator_of, ignored_by, is_sum

X, Y = many_ranks._data("classes")
F = nn.functional


def probed(model: nn.Module) -> Habits:
    return habits_of(model, lambda x: model(x).sum(), Tensor(X[:2]), Tensor(X[:3]))


def test_numbers_for_weights_are_told_from_numbers_for_rows() -> None:
    nnscratch.manual_seed(4)
    model = many_ranks.NoisyNet().eval()
    before = {name: one.numpy().copy() for name, one in model.state_dict().items()}
    state = default_generator.state()
    assert probed(model) == Habits((False, True, True), frozenset({"largest"}), 1)
    # Nothing of it is left.
    assert default_generator.state() == state
    assert not any(module.training for module in model.modules())
    assert all((one.numpy() == before[n]).all() for n, one in model.state_dict().items())


def test_heads_folded_into_rows_are_rows() -> None:
    class Folded(nn.Module):
        def forward(self, x: Any) -> Any:
            return F.dropout(x.reshape(-1, 2), 0.5, self.training)

    assert probed(Folded()).of_rows == (True,)
    assert probed(nn.BatchNorm1d(6)).changed == {
        "running_mean", "running_var", "num_batches_tracked",
    }  # fmt: skip


def test_rows_stay_together_where_a_block_of_numbers_ends_within_them() -> None:
    for features, together in ((8, 1), (6, 2), (3, 4), (5, 4)):
        model = nn.Sequential(nn.Linear(6, features), nn.Dropout(0.5), nn.Linear(features, 3))
        assert probed(model).together == together
    # Here nothing is drawn.
    assert probed(nn.Sequential(nn.Linear(6, 3), nn.ReLU())).together == 1
    # A batch norm has no variance of one row.
    assert probed(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))).together == 2
    assert Habits().together == 4


def test_numbers_that_cannot_be_shared_out_are_refused() -> None:
    class TimeFirst(nn.Module):
        def forward(self, x: Any) -> Any:
            return F.dropout(x.t(), 0.5, self.training).t()[:, :3]

    trainer = Trainer(TimeFirst(), optimizer=nnscratch.optim.SGD([nn.Parameter(Tensor(X[0]))]),
                      shards=2)  # fmt: skip
    with pytest.raises(ConfigurationError, match="draws 12 random numbers for 2 rows and 18 for 3"):
        trainer.fit((X, Y), 1)


def test_a_step_that_cannot_be_run_without_gradients_is_left_alone() -> None:
    model = nn.Linear(6, 3)

    def refuses(batch: Any) -> Any:
        raise ValueError("no gradient")

    assert habits_of(model, refuses, X[:2], X[:3]) == Habits()


def test_what_has_no_rows_is_not_divided_though_it_be_as_long() -> None:
    table = Tensor(np.random.default_rng(1).normal(size=(16, 6)).astype(np.float32))

    class WithTable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x: Any, table: Any) -> Any:
            return self.layer(x + table.sum(0))

    losses = []
    for shards in (None, 2):
        nnscratch.manual_seed(0)
        trainer = Trainer(
            WithTable(), lr=0.01, seed=0, shards=shards, batch=lambda b: (b[0], table, b[1])
        )
        history = trainer.fit((X, Y), 2, batch_size=16)
        losses.append([row["train_loss"] for row in history])
    np.testing.assert_allclose(losses[1], losses[0], 1e-6)


def test_losses_of_classes_are_known_as_modules_and_as_functions() -> None:
    weight = Tensor(many_ranks.WEIGHTS)
    target = Tensor(np.array([0, 1, -100, 2]))
    by_weight: list[Any] = [
        nn.CrossEntropyLoss(weight=weight),
        nn.NLLLoss(weight=weight),
        nn.LinearCrossEntropyLoss(6, 3, weight=weight),
        partial(F.cross_entropy, weight=weight),
        partial(partial(F.nll_loss, ignore_index=-100), weight=weight),
    ]
    for loss in by_weight:
        divides = denominator_of(loss, -100)
        assert divides is not None
        assert divides(target) == pytest.approx(6.2)
    for loss in (F.cross_entropy, F.nll_loss, nn.LinearCrossEntropyLoss(6, 3)):
        divides = denominator_of(loss, -100)
        assert divides is not None
        assert divides(target) == 3.0
        assert ignored_by(loss) == -100
        assert not is_sum(loss)
    assert ignored_by(partial(F.cross_entropy, ignore_index=2)) == 2
    assert is_sum(partial(F.nll_loss, reduction="sum"))
    assert is_sum(partial(F.mse_loss, reduction="sum"))
    assert denominator_of(F.mse_loss, -100) is None
