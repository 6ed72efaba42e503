import json
import os
import signal

import numpy as np
import pytest
from small_training import blobs, figures, net, trainer, weights

from nnscratch import nn
from nnscratch.array.random import default_generator
from nnscratch.errors import CheckpointError, NonFiniteError, RunError
from nnscratch.optim import SGD
from nnscratch.train import Callback, EarlyStopping, LearningRateLog, TrainingInterrupted
from nnscratch.train.tensor_file import read_tensors, write_tensors
from nnscratch.train.trainer import CHECKPOINT_FILE

DATA = blobs(50)
VALIDATION = blobs(21, seed=5)
OPTIONS = [
    {"optimizer": "adamw"},
    {"optimizer": "adamw", "compile": True},
    {"compile": True, "accumulate": 3, "scheduler": "cosine", "clip_norm": 0.5},
    {"optimizer": "sgd", "clip_norm": 0.5},
    {"optimizer": "rmsprop", "accumulate": 3},
    {"optimizer": "nadam", "scheduler": "plateau"},
    {"optimizer": lambda p: SGD(p, lr=0.05, momentum=0.9), "lr": None, "scheduler": "warmup"},
    {"scheduler": "cosine", "class_weight": [1.0, 2.0, 0.5]},
    {"scheduler": "one_cycle"},
]


class StopAfter(Callback):
    """Sends the process a signal after so many batches."""

    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def run(epochs, folder, stop=None, resume=False, **options):
    callbacks = [EarlyStopping(patience=50), LearningRateLog()]
    if stop is not None:
        callbacks.append(StopAfter(stop))
    made = trainer(callbacks=callbacks, run_dir=folder, **options)
    history = made.fit(DATA, epochs, validation=VALIDATION, batch_size=8, resume=resume)
    return made, figures(history)


@pytest.mark.parametrize("options", OPTIONS)
def test_ten_epochs_are_five_and_five_after_an_interruption(tmp_path, options):
    whole, expected = run(10, tmp_path / "whole", **options)
    # 50 samples are 7 batches: 35 is the end of an epoch, 24 is in the middle of one.
    for stop in (35, 24):
        folder = tmp_path / f"broken{stop}"
        with pytest.raises(TrainingInterrupted, match="interrupted"):
            run(10, folder, stop=stop, **options)
        # Whatever happened since must not matter.
        default_generator.manual_seed(99)
        resumed, found = run(10, folder, resume=True, **options)
        assert found == expected
        assert weights(resumed.model) == weights(whole.model)
        assert resumed.callbacks[1].rates == whole.callbacks[1].rates
        assert read(folder) == read(tmp_path / "whole")


def read(folder):
    """The final checkpoint, without the seconds in it."""
    tensors, metadata = read_tensors(folder / CHECKPOINT_FILE)
    record = json.loads(metadata["nnscratch"])
    record.pop("seconds")
    record["history"] = figures(record["history"])
    return {name: value.tobytes() for name, value in tensors.items()}, record


def test_resume_with_more_epochs_and_with_nothing_to_resume(tmp_path):
    whole, expected = run(6, tmp_path / "whole", resume=True)
    run(3, tmp_path / "two")
    resumed, found = run(6, tmp_path / "two", resume=True)
    assert found == expected
    assert weights(resumed.model) == weights(whole.model)


def test_a_finished_run_resumed_trains_no_further(tmp_path):
    first, expected = run(3, tmp_path)
    again, found = run(3, tmp_path, resume=True)
    assert found == expected
    assert weights(again.model) == weights(first.model)


class Break(Callback):
    """Writes a checkpoint after so many batches, and breaks off."""

    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer):
        self.left -= 1
        if self.left == 0:
            trainer.save(trainer.checkpoint_path)
            raise ZeroDivisionError


@pytest.mark.parametrize("batches", [1, 7, 8, 14, 20])
def test_broken_off_after_any_batch_also_the_last_of_an_epoch(tmp_path, batches):
    whole = trainer(run_dir=tmp_path / "whole")
    expected = figures(whole.fit(DATA, 3, validation=VALIDATION, batch_size=8))
    broken = trainer(run_dir=tmp_path / "broken", callbacks=[Break(batches)])
    with pytest.raises(ZeroDivisionError):
        broken.fit(DATA, 3, validation=VALIDATION, batch_size=8)
    resumed = trainer(run_dir=tmp_path / "broken")
    found = resumed.fit(DATA, 3, validation=VALIDATION, batch_size=8, resume=True)
    assert figures(found) == expected
    assert read(tmp_path / "broken") == read(tmp_path / "whole")


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("batches", [3, 7, 14, 20])
def test_loaded_and_fitted_is_resumed(tmp_path, batches, compile):
    options = {"compile": compile, "scheduler": "cosine"}
    whole = trainer(run_dir=tmp_path / "whole", **options)
    expected = figures(whole.fit(DATA, 3, batch_size=8))
    made = trainer(run_dir=tmp_path / "broken", callbacks=[Break(batches)], **options)
    with pytest.raises(ZeroDivisionError):
        made.fit(DATA, 3, batch_size=8)
    made.load(made.checkpoint_path)
    if batches != 7:
        with pytest.raises(CheckpointError, match="batch_size"):
            made.fit(DATA, 3, batch_size=5)
    assert figures(made.fit(DATA, 3, batch_size=8)) == expected
    assert weights(made.model) == weights(whole.model)
    assert made.step_number == 21


# What is wrong with a checkpoint.


def saved(folder, **options):
    made = trainer(run_dir=folder, **options)
    made.fit(DATA, 1, batch_size=8)
    return folder / CHECKPOINT_FILE


def resume(folder, model=None, **options):
    made = trainer(model, run_dir=folder, **options)
    made.fit(DATA, 2, batch_size=8, resume=True)


def rewrite(path, change):
    tensors, metadata = read_tensors(path)
    record = json.loads(metadata["nnscratch"])
    change(record, tensors)
    write_tensors(path, tensors, {"nnscratch": json.dumps(record)})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: net(classes=4), "'3.weight' has the shape"),
        (lambda: nn.Sequential(nn.Linear(4, 3)), "'3.bias' is not in this model"),
    ],
)
def test_of_another_architecture(tmp_path, model, message):
    saved(tmp_path)
    changed = model()
    before = weights(changed)
    with pytest.raises(CheckpointError, match=message) as caught:
        resume(tmp_path, changed)
    assert "\n" not in str(caught.value)
    assert weights(changed) == before


def test_of_another_optimizer_data_or_callbacks(tmp_path):
    saved(tmp_path)
    with pytest.raises(CheckpointError, match="optimizer was Adam, this one is SGD"):
        resume(tmp_path, optimizer="sgd")
    with pytest.raises(CheckpointError, match="data loader was saved with batch_size=8"):
        trainer(run_dir=tmp_path).fit(DATA, 2, batch_size=9, resume=True)
    with pytest.raises(CheckpointError, match="callbacks were none"):
        resume(tmp_path, callbacks=[LearningRateLog()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, t: r.update(version=2), "newer nnscratch"),
        (lambda r, t: r.update(version="x"), "version x"),
        (lambda r, t: r.update(form="other"), "another form"),
        (lambda r, t: r.update(form="nnscratch-model"), "expected a nnscratch-checkpoint"),
        (lambda r, t: r.pop("loader"), "'loader' is missing"),
        (lambda r, t: r.update(epoch="three"), "'epoch' is 'three'"),
        (lambda r, t: r.update(history=[1]), "history"),
        (lambda r, t: r.update(callbacks=[1]), "damaged"),
        (lambda r, t: r.update(random={"seed": -1}), "damaged"),
        (lambda r, t: r.update(totals={}), "damaged"),
        (lambda r, t: r["optimizer"].update(numbers={"99": {}}), "no such parameter"),
        (lambda r, t: r["optimizer"].update(numbers={"0": [1]}), "damaged"),
        (lambda r, t: r["optimizer"].update(param_groups=[]), "options"),
        (lambda r, t: r["optimizer"]["param_groups"][0].update(betas=[0.9, 7.0]), "betas must be"),
        (lambda r, t: r["optimizer"]["param_groups"][0].update(eps=-1.0), "eps must be at least 0"),
        (lambda r, t: r["totals"].update(samples=10**400), "samples must be from 0 to"),
        (lambda r, t: r["totals"].update(right=-1), "right must be from 0 to"),
        (lambda r, t: r["loader"].update(epoch=2**64), "a data loader's state names batch"),
        (lambda r, t: t.pop("model.0.bias"), "missing"),
        (lambda r, t: t.pop("optimizer.0.exp_avg"), "exp_avg"),
    ],
)
def test_a_damaged_record(tmp_path, change, message):
    rewrite(saved(tmp_path), change)
    with pytest.raises(CheckpointError, match=message) as caught:
        resume(tmp_path)
    assert "\n" not in str(caught.value)


def test_truncated_anywhere_and_garbage(tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            resume(tmp_path)
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(CheckpointError):
        resume(tmp_path)


# The folder and the disk.


def test_a_second_training_into_one_folder(tmp_path):
    class Second(Callback):
        def on_epoch_start(self, trainer):
            with pytest.raises(RunError, match=r"another process \(process \d+\) is training"):
                saved(tmp_path)

    trainer(run_dir=tmp_path, callbacks=[Second()]).fit(DATA, 1)
    saved(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="no folder but a file"):
        saved(tmp_path / "file")
    with pytest.raises(RunError, match=r"cannot be written|no folder"):
        saved(tmp_path / "file" / "below")
    with pytest.raises(RunError, match="run folder cannot be written"):
        saved("/proc/nnscratch")


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = saved(tmp_path)
    before = path.read_bytes()
    import builtins

    real = builtins.open

    def full(file, mode="r", *args, **kwargs):
        if str(file).endswith(".writing") and CHECKPOINT_FILE in str(file):
            real(file, mode).close()
            return real("/dev/full", mode)
        return real(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", full)
    with pytest.raises(RunError, match=r"no space left on the disk.*is intact"):
        resume(tmp_path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*.writing"))
    resume(tmp_path)


@pytest.mark.parametrize("compile", [False, True])
def test_parameters_that_are_not_finite_are_never_saved(tmp_path, compile):
    class Spoil(Callback):
        def on_epoch_end(self, trainer, row):
            if trainer.epoch == 2:
                next(trainer.model.parameters()).array[0, 0] = np.nan

    made = trainer(run_dir=tmp_path, callbacks=[Spoil()], compile=compile)
    found = r"step 14 \(epoch 2\).*'0.weight'.*last good checkpoint is kept"
    with pytest.raises(NonFiniteError, match=found):
        made.fit(DATA, 5, batch_size=8)
    tensors, metadata = read_tensors(tmp_path / CHECKPOINT_FILE)
    assert json.loads(metadata["nnscratch"])["epoch"] == 1
    assert all(np.isfinite(value).all() for value in tensors.values())


def test_a_checkpoint_without_what_came_later(tmp_path):
    """Checkpoints had neither the number of judged targets nor the loader's random stream."""
    whole, expected = run(3, tmp_path / "whole")
    with pytest.raises(TrainingInterrupted):
        run(3, tmp_path / "old", stop=10)

    def forget(record, tensors):
        record["totals"].pop("judged")
        record["loader"].pop("stream", None)

    rewrite(tmp_path / "old" / CHECKPOINT_FILE, forget)
    resumed, found = run(3, tmp_path / "old", resume=True)
    assert found == expected
    assert weights(resumed.model) == weights(whole.model)
