"""The state of a run in one place, and evaluation that leaves models as they were."""

import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import blobs, figures, net, trainer, weights

from nnscratch import nn
from nnscratch.optim import SGD
from nnscratch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau, StepLR
from nnscratch.tensors import Tensor
from nnscratch.train import Callback, fit, predict
from nnscratch.train.evaluation import evaluating
from nnscratch.train.run import TrainingRun

X, Y = blobs()


def test_a_run_is_made_of_a_model_and_an_optimizer() -> None:
    model = net()
    run = TrainingRun(model, SGD(model.parameters(), lr=0.1))
    assert (run.epoch, run.step, run.seconds, run.stop, len(run.history)) == (0, 0, 0.0, "", 0)
    assert (run.where, run.taken, run.has_checkpoint) == ("after epoch 0", (1, 1), False)
    run.count_step(between_steps=False)
    run.totals.add(np.asarray(2.0), None, None, samples=3)
    assert (run.step, run.between_steps, run.taken) == (1, False, (1, 1))
    run.end_epoch({"epoch": 1, "train_loss": 2.0})
    assert (run.epoch, run.history["train_loss"], run.totals.samples) == (1, [2.0], 0)
    run.start(5)
    assert (run.epochs, run.between_steps) == (5, True)


def test_callbacks_read_the_run_by_the_names_of_the_trainer() -> None:
    class Look(Callback):
        def on_epoch_end(self, trainer: Any, row: dict[str, Any]) -> None:
            run = trainer.run
            for name in {one.name for one in fields(run)} & set(dir(trainer)):
                assert getattr(trainer, name) is getattr(run, name), name
            assert (trainer.step_number, trainer.epoch) == (run.step, row["epoch"])
            trainer.stop = "enough"
            seen.append(row)

    seen: list[Any] = []
    made = trainer(callbacks=[Look()])
    assert len(made.fit((X, Y), 5)) == 1
    assert made.run.stop == made.stop == "enough"
    assert seen == made.history.rows


@pytest.mark.parametrize("every", ["epoch", "batch"])
def test_a_subclass_of_a_schedule_is_what_its_parent_is(every: str, tmp_path: Path) -> None:
    class Plateau(ReduceLROnPlateau):
        pass

    class Steps(StepLR):
        pass

    class Falling(ExponentialLR):
        pass

    kinds: Any = {
        Plateau: lambda kind, o: kind(o, patience=0, threshold=1e9),
        Steps: lambda kind, o: kind(o, step_size=2),
        Falling: lambda kind, o: kind(o, gamma=0.5),
    }
    for own, make in kinds.items():
        found = []
        for kind in (own, own.__mro__[1]):
            made = trainer(
                scheduler=lambda o, kind=kind, make=make: make(kind, o),
                schedule_every=every,
                run_dir=tmp_path / f"{kind.__module__}.{kind.__name__}",
            )
            made.fit((X, Y), 2)
            found.append(figures(made.fit((X, Y), 3, resume=True)))
        assert found[0] == found[1]


def test_threads_that_evaluate_one_model_leave_its_modes() -> None:
    """Whoever comes second must not take the first one's mode for the model's own."""
    model = net()
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with evaluating(model):
            inside.set()
            leave.wait(20.0)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(20.0)
    with evaluating(model):
        assert not model.training
    assert not model.training
    leave.set()
    thread.join()
    assert all(module.training for module in model.modules())


def test_models_that_share_layers_leave_their_modes() -> None:
    shared = nn.Dropout(0.5)
    one, two = nn.Sequential(shared), nn.Sequential(shared, nn.Dropout(0.1))
    two[1].eval()
    with evaluating(one):
        with evaluating(two):
            assert not shared.training
        assert not shared.training
        assert not one.training
        assert two.training
    assert shared.training
    assert not two[1].training


def test_nothing_is_kept_of_a_model_that_is_gone() -> None:
    from nnscratch.train.evaluation import _modes

    before = len(_modes)
    for _ in range(3):
        predict(nn.Linear(4, 2), X)
        with pytest.raises(ValueError, match="input"):
            predict(nn.Linear(3, 2), X)
    assert len(_modes) == before


def test_a_model_in_a_fit_may_be_used_by_its_callbacks() -> None:
    class Use(Callback):
        def on_batch_end(self, trainer: Any) -> None:
            predict(trainer.model, X)
            assert trainer.model.training

    one, two = net(), net()
    fit(one, (X, Y), 2, callbacks=[Use()], seed=3)
    fit(two, (X, Y), 2, seed=3)
    assert weights(one) == weights(two)
    assert one(Tensor(X)).shape == (60, 3)
