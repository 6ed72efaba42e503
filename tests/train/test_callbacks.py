import csv
import io
import json

import numpy as np
import pytest
from small_training import blobs, net, trainer, weights

from nnscratch import nn
from nnscratch.errors import ConfigurationError, RunError
from nnscratch.train import (
    MLP,
    BestWeights,
    Callback,
    CSVHistory,
    EarlyStopping,
    History,
    LearningRateLog,
    Progress,
)
from nnscratch.train.files import plain, read_json, run_folder, write_json

X, Y = blobs()


class Scripted(Callback):
    """Gives each epoch a number of our choice, and notes the weights."""

    def __init__(self, values):
        self.values = list(values)
        self.weights = []

    def on_epoch_end(self, trainer, row):
        row["score"] = self.values[trainer.epoch - 1]
        self.weights.append(weights(trainer.model))


def run(values, callback, epochs=8):
    script = Scripted(values)
    made = trainer(callbacks=[script, callback])
    history = made.fit((X, Y), epochs)
    return made, history, script


def test_early_stopping_stops_and_restores_the_best_weights():
    stopping = EarlyStopping(patience=3, monitor="score", mode="min")
    made, history, script = run([5, 4, 2, 3, 2, 2.5, 1, 0], stopping)
    assert len(history) == 6
    assert (stopping.best, stopping.best_epoch, stopping.wait) == (2, 3, 3)
    assert "not got better since epoch 3" in made.stop
    assert weights(made.model) == script.weights[2]


def test_the_largest_can_be_the_best_and_a_gain_too_small_counts_for_nothing():
    best = BestWeights(monitor="score", mode="max", min_delta=0.5)
    made, history, script = run([1, 1.4, 1.6, 1.7, 2.2, 1, 1, 1], best)
    assert len(history) == 8
    assert (best.best, best.best_epoch) == (2.2, 5)
    assert weights(made.model) == script.weights[4]


def test_without_restoring_the_last_weights_stay():
    made, _, script = run([1, 2, 3, 4, 5, 6, 7, 8], BestWeights("score", "min", restore=False))
    assert weights(made.model) == script.weights[-1]


@pytest.mark.parametrize(("monitor", "mode"), [("val_loss", "min"), ("val_accuracy", "max")])
def test_what_is_better_is_known_from_the_name(monitor, mode):
    assert BestWeights(monitor).mode == mode


def test_what_cannot_be_monitored():
    with pytest.raises(ConfigurationError, match=r"no 'val_loss'.*give validation data"):
        trainer(callbacks=[EarlyStopping()]).fit((X, Y), 2)
    with pytest.raises(ConfigurationError, match="patience"):
        EarlyStopping(0)
    with pytest.raises(ConfigurationError, match="mode"):
        BestWeights(mode="best")


def test_the_history_as_csv_and_json(tmp_path):
    made = trainer(callbacks=[CSVHistory(tmp_path / "h.csv", tmp_path / "h.json")])
    history = made.fit((X, Y), 3)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "h.csv").read_text())))
    assert [float(row["train_loss"]) for row in rows] == history["train_loss"]
    assert json.loads((tmp_path / "h.json").read_text()) == history.rows


def test_a_history():
    history = History([{"epoch": 1, "a": 3.0}, {"epoch": 2, "a": 1.0, "b": 2.0}])
    assert history["b"] == [None, 2.0]
    assert history.best("a")["epoch"] == 2
    assert history.best("a", "max")["epoch"] == 1
    assert "2 epochs" in repr(history)
    assert [row["epoch"] for row in history] == [1, 2]
    with pytest.raises(ConfigurationError, match="no column 'c'; it has epoch, a, b"):
        history["c"]
    with pytest.raises(ConfigurationError, match="no values"):
        history.best("c")


def test_the_learning_rates():
    log = LearningRateLog()
    trainer(callbacks=[log], scheduler="cosine", lr=0.1).fit((X, Y), 2, batch_size=20)
    steps, rates = zip(*log.rates, strict=True)
    assert steps == (1, 2, 3, 4, 5, 6)
    assert list(rates) == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


def test_lines_where_there_is_no_terminal():
    stream = io.StringIO()
    trainer(callbacks=[Progress(stream)]).fit((X, Y), 2, validation=(X, Y))
    lines = stream.getvalue().splitlines()
    assert " ".join(lines[0].split()) == "epoch train loss train acc val loss val acc lr seconds"
    assert [line.split()[0] for line in lines[1:]] == ["1", "2"]


def test_a_bar_where_there_is_one():
    stream = io.StringIO()
    trainer(callbacks=[Progress(stream, bar=True)]).fit((X, Y), 2, batch_size=1)
    assert "train loss" in stream.getvalue()
    assert "epoch 2/2" in stream.getvalue()


def test_callbacks_are_called_in_order_and_at_the_end_in_any_case():
    calls = []

    class Note(Callback):
        def on_fit_start(self, trainer):
            calls.append("start")

        def on_epoch_start(self, trainer):
            calls.append("epoch")

        def on_batch_end(self, trainer):
            calls.append("batch")

        def on_epoch_end(self, trainer, row):
            calls.append("end of epoch")
            if trainer.epoch == 2:
                raise KeyError("enough")

        def on_fit_end(self, trainer):
            calls.append("end")

    with pytest.raises(KeyError):
        trainer(callbacks=[Note()]).fit((X, Y), 3, batch_size=30)
    epoch = ["epoch", "batch", "batch", "end of epoch"]
    assert calls == ["start", *epoch, *epoch, "end"]


def test_a_callback_can_stop_the_training():
    class Stop(Callback):
        def on_epoch_end(self, trainer, row):
            trainer.stop = "seen enough"

    assert len(trainer(callbacks=[Stop()]).fit((X, Y), 9)) == 1


def test_descriptions_of_models():
    made = MLP(4, (8, 6), 3, "gelu", 0.25)
    model = made.build()
    assert sum(p.numel() for p in model.parameters()) == made.parameters
    assert MLP.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert isinstance(MLP(4, (), 3).build()[0], nn.Linear)
    for wrong in ({"hidden": (0,)}, {"activation": "rel"}, {"dropout": 1.0}, {"inputs": True}):
        with pytest.raises(ConfigurationError):
            MLP(**{"inputs": 4, "hidden": (8,), "outputs": 3, **wrong})


@pytest.mark.parametrize("seed", range(3))
def test_models_of_one_seed_are_the_same(seed):
    assert weights(net(seed=seed)) == weights(net(seed=seed)) != weights(net(seed=seed + 1))


def test_json(tmp_path):
    value = {"a": (1, 2.5, float("inf")), 3: None, "n": np.float32(0.5), "t": True}
    assert plain(value) == {"a": [1, 2.5, None], "3": None, "n": 0.5, "t": True}
    write_json(tmp_path / "a", value)
    assert read_json(tmp_path / "a") == plain(value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a": NaN}', b'{"a":1,"a":2}', b"\xff", b"[" * 100_000]
)
def test_json_that_is_none(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match="not valid JSON"):
        read_json(tmp_path / "a")


def test_json_that_is_not_there_or_too_large(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_json(tmp_path / "a")
    (tmp_path / "a").write_text("[1, 2, 3]")
    with pytest.raises(ValueError, match="larger than 4"):
        read_json(tmp_path / "a", most=4)


def test_what_a_crash_left_is_cleared_away(tmp_path):
    (tmp_path / ".checkpoint.safetensors.123.writing").write_text("half")
    with run_folder(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        with pytest.raises(RunError, match="another process"), run_folder(tmp_path):
            pass
