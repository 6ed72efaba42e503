import os
import signal
import threading

import numpy as np
import pytest
import torch
from small_training import blobs, figures, line, net, trainer, weights

import nnscratch
from nnscratch import nn, no_grad
from nnscratch.data import DataLoader, TensorDataset
from nnscratch.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    DeviceError,
    NonFiniteError,
    ShapeError,
)
from nnscratch.formulas import registry
from nnscratch.optim import SGD, Adafactor, Adam
from nnscratch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau
from nnscratch.tensors import Tensor
from nnscratch.train import Callback, TrainingInterrupted, evaluate, fit, predict
from nnscratch.train.choices import balanced_weights

X, Y = blobs()


def test_a_classification_is_learned():
    model = net()
    history = fit(model, (X, Y), 40, validation=blobs(30, seed=0), lr=0.01, seed=0)
    assert history["val_accuracy"][-1] > 0.9
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert history.columns == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "lr",
        "seconds",
    ]


def test_a_regression_is_learned():
    model = nn.Linear(3, 1)
    history = fit(model, line(), 60, validation=line(20, seed=3), lr=0.1, metrics=["r2", "mae"])
    assert history["val_r2"][-1] > 0.999
    assert "train_accuracy" not in history.columns


def test_an_optimizer_of_whole_parameters_by_its_name():
    models = []
    for optimizer in ("adafactor", lambda p: Adafactor(p, lr=0.05)):
        nnscratch.manual_seed(0)
        models.append(nn.Linear(4, 3))
        rate = 0.05 if optimizer == "adafactor" else None
        fit(models[-1], (X, Y), 2, optimizer=optimizer, lr=rate, seed=1)
    assert models[0].weight.tolist() == models[1].weight.tolist()
    for name in ("muon", "sparseadam", "lbfgs"):  # they do not fit any model and loss
        with pytest.raises(ConfigurationError, match=f"no optimizer '{name}'.*adafactor"):
            fit(models[0], (X, Y), 1, optimizer=name)


@pytest.mark.parametrize(("name", "cycles"), [("adafactor", 0), ("sgd", 0), ("nadam", 1)])
def test_one_cycle_with_and_without_a_momentum(name, cycles):
    rates = []

    class Note(Callback):
        def on_batch_end(self, trainer):
            group = trainer.optimizer.param_groups[0]
            rates.append((group["lr"], group.get("betas", (0.0,))[0]))

    options = {"optimizer": name, "lr": 0.01, "scheduler": "one_cycle", "batch_size": 10}
    fit(net(), (X, Y), 2, callbacks=[Note()], **options)
    its = torch.optim.NAdam([torch.ones(1)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(its, 0.01, 13)
    for rate, beta in rates:
        its.step()
        schedule.step()
        assert rate == pytest.approx(its.param_groups[0]["lr"])
        assert beta == pytest.approx(its.param_groups[0]["betas"][0]) or not cycles
    assert len(rates) == 12


def test_the_training_is_that_of_pytorch():
    """Losses and weights of some epochs, step by step, with clipping and a schedule."""
    ours, theirs = nn.Linear(4, 3), torch.nn.Linear(4, 3)
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(ours.weight.detach().numpy()))
        theirs.bias.copy_(torch.from_numpy(ours.bias.detach().numpy()))
    other = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ExponentialLR(other, 0.5)
    made = trainer(
        ours,
        optimizer=lambda p: SGD(p, lr=0.1, momentum=0.9),
        lr=None,
        scheduler=lambda o: ExponentialLR(o, 0.5),
        clip_norm=0.3,
        class_weight=[1.0, 2.0, 3.0],
    )
    loader = DataLoader(TensorDataset(X, Y), 16, shuffle=True, seed=5)
    expected = []
    for epoch in range(3):
        order = loader.order(epoch)
        total = 0.0
        for start in range(0, 60, 16):
            rows = order[start : start + 16]
            other.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                theirs(torch.from_numpy(X[rows])),
                torch.from_numpy(Y[rows]),
                torch.tensor([1.0, 2.0, 3.0]),
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.3)
            other.step()
            total += loss.item() * len(rows)
        schedule.step()
        expected.append(total / 60)
    history = made.fit(loader, 3)
    assert history["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert ours.weight.detach().numpy() == pytest.approx(theirs.weight.detach().numpy(), abs=1e-5)
    assert history["lr"] == pytest.approx([0.1, 0.05, 0.025])


def test_accumulated_batches_are_one_large_batch():
    """Also where the last group and the last batch are smaller: 60 = 4 groups of 14 + one of 4."""
    one, two = net(dropout=0.0), net(dropout=0.0)
    assert weights(one) == weights(two)
    options = {"optimizer": "sgd", "lr": 0.1}
    trainer(one, **options).fit((X, Y), 3, batch_size=14, shuffle=False)
    parts = trainer(two, accumulate=2, **options)
    parts.fit((X, Y), 3, batch_size=7, shuffle=False)
    for name, tensor in one.state_dict().items():
        assert tensor.numpy() == pytest.approx(two.state_dict()[name].numpy(), abs=1e-6)
    assert parts.step_number == 27


def test_a_seed_repeats_a_run_and_another_does_not():
    runs = [figures(fit(net(), (X, Y), 3, seed=seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_validation_changes_nothing():
    with_it = fit(one := net(), (X, Y), 3, validation=(X, Y), seed=1)
    without = fit(two := net(), (X, Y), 3, seed=1)
    assert with_it["train_loss"] == without["train_loss"]
    assert weights(one) == weights(two)
    assert one.training


def test_evaluate_and_predict():
    model = net().train()
    outputs = predict(model, X, batch_size=7)
    assert outputs.shape == (60, 3)
    assert model.training
    with no_grad():
        expected = model.eval()(Tensor(X)).numpy()
    assert outputs == pytest.approx(expected, abs=1e-6)
    found = evaluate(model, (X, Y), metrics=["accuracy", "f1", "top5"], batch_size=7)
    assert found["accuracy"] == pytest.approx((outputs.argmax(1) == Y).mean())
    assert found["top5"] == 1.0
    assert found["loss"] == pytest.approx(evaluate(model, (X, Y), batch_size=60)["loss"])
    assert predict(model, TensorDataset(X, Y)).shape == (60, 3)


def test_loaders_tuples_and_data_sets_are_all_the_same():
    runs = [
        fit(net(), data, 2, seed=1, shuffle=False)["train_loss"]
        for data in ((X, Y), [X, Y], TensorDataset(X, Y), DataLoader(TensorDataset(X, Y), 32))
    ]
    assert runs[0] == runs[1] == runs[2] == runs[3]


def test_class_weights_that_balance():
    labels = np.array([0] * 90 + [1] * 10)
    found = balanced_weights(labels, 2)
    assert found == pytest.approx([100 / 180, 5.0])


def test_a_scheduler_of_ones_own():
    made = trainer(scheduler=lambda o: ExponentialLR(o, 0.5), lr=0.1)
    assert made.fit((X, Y), 3)["lr"] == pytest.approx([0.1, 0.05, 0.025])
    by_batch = trainer(scheduler=lambda o: ExponentialLR(o, 0.5), lr=0.1, schedule_every="batch")
    by_batch.fit((X, Y), 1, batch_size=20)
    assert by_batch.learning_rate == pytest.approx(0.0125)
    model = net()
    optimizer = Adam(model.parameters(), lr=0.1)
    made = trainer(
        model, optimizer=optimizer, lr=None, scheduler=ReduceLROnPlateau(optimizer, patience=0)
    )
    assert made.fit((X, Y), 2)["lr"][0] == 0.1


def test_the_sums_are_read_once_an_epoch_and_not_once_a_batch():
    class Reads(registry.Observer):
        count = 0

        def on_read(self, array, what):
            self.count += 1

    made = trainer()
    made._guard = lambda *_: None
    made._check = lambda: None
    with registry.observing(Reads()) as reads:
        made.fit((X, Y), 2, batch_size=4)
    assert reads.count <= 2 * 4


# After a fit that was broken off.


class Raise(Callback):
    """Breaks off after a batch of that number, once."""

    def __init__(self, batch):
        self.batch = batch

    def on_batch_end(self, trainer):
        if trainer.step_number == self.batch:
            raise MemoryError


def plain(model=None, **options):
    """A trainer whose weights are all that it remembers."""
    return trainer(
        net(dropout=0.0) if model is None else model,
        **{"optimizer": lambda p: SGD(p, lr=0.1), "lr": None, **options},
    )


def copy_of(model):
    made = net(dropout=0.0)
    made.load_state_dict(model.state_dict())
    return made


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("batch", [3, 6])
@pytest.mark.parametrize("same", [False, True])
def test_an_epoch_that_was_broken_off_begins_anew(same, batch, accumulate, compile):
    data = DataLoader(TensorDataset(X, Y), 10) if same else (X, Y)
    options = {"accumulate": accumulate, "compile": compile}
    made = plain(callbacks=[Raise(batch)], **options)
    with pytest.raises(MemoryError):
        made.fit(data, 2, batch_size=10, shuffle=False)
    alone = plain(copy_of(made.model), **options)
    expected = alone.fit((X, Y), 2, batch_size=10, shuffle=False)
    assert figures(made.fit(data, 2, batch_size=10, shuffle=False)) == figures(expected)
    assert made.step_number == batch + 12
    assert weights(made.model) == weights(alone.model)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_who_looks_at_a_batch_moves_no_epoch(accumulate):
    class Look(Callback):
        def on_epoch_end(self, trainer, row):
            next(iter(trainer.loader))

    loader = DataLoader(TensorDataset(X, Y), 10)
    next(iter(loader))
    made = plain(accumulate=accumulate, callbacks=[Look()])
    other = plain(accumulate=accumulate)
    expected = other.fit((X, Y), 3, batch_size=10, shuffle=False)
    assert figures(made.fit(loader, 3)) == figures(expected)
    assert weights(made.model) == weights(other.model)


def test_a_fit_after_another_goes_on_counting():
    made = trainer()
    made.fit((X, Y), 2)
    assert made.fit((X, Y), 2)["epoch"] == [1, 2]
    assert made.fit((X, Y), 5)["epoch"] == [1, 2, 3, 4, 5]
    assert made.step_number == 10


def test_an_error_before_training_leaves_the_weights():
    calls = []

    def loss(output, target):
        calls.append(target)
        if len(calls) == 2:
            raise MemoryError
        return nn.functional.cross_entropy(output, target)

    made = trainer(loss=loss, compile=True)
    before = weights(made.model)
    with pytest.raises(MemoryError):
        made.fit((X, Y), 2, batch_size=8)
    assert weights(made.model) == before


# Numbers that are not finite.


def test_nan_in_a_layer_is_named_with_its_step(tmp_path):
    class Blow(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return x / 0.0 if self.calls == 12 else x * 1.0

    model = nn.Sequential(nn.Linear(4, 8), Blow(), nn.Linear(8, 3))
    made = trainer(model, run_dir=tmp_path)
    # The model is called once more than there are batches, to look at its output; 6 an epoch.
    model._modules["1"].calls = -1
    with pytest.raises(NonFiniteError, match=r"step 12 \(epoch 2\)") as caught:
        made.fit((X, Y), 5, batch_size=10)
    assert "the last good checkpoint is kept" in str(caught.value).lower()


class Huge(nn.Module):
    def forward(self, x):
        return x * 1e38 * 1e38


@pytest.mark.parametrize(
    ("model", "loss", "data", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(4, 3), Huge()), None, (X, Y), r"layer '1' \(Huge"),
        (net, None, (np.where(X > 3, np.nan, X), Y), "the inputs of the batch have"),
        (net, lambda o, t: (o - o).log().mean(), (X, Y), "the loss itself"),
    ],
)
def test_where_a_nan_began(model, loss, data, message):
    with pytest.raises(NonFiniteError, match=message) as caught:
        trainer(model(), loss=loss).fit(data, 3)
    assert "step 1 (epoch 1)" in str(caught.value)
    assert isinstance(caught.value, ArithmeticError)


@pytest.mark.parametrize("size", [1.0, 0.0])
def test_compiled_the_layer_is_found_by_taking_the_steps_again(tmp_path, size):
    """At first the weights fit; one batch holds an image that is far too bright."""
    big = X.copy()
    big[37] *= 1e30 * size
    model = nn.Sequential(nn.Linear(4, 3), Square())
    made = trainer(model, compile=True, run_dir=tmp_path / "run", checkpoint_seconds=0.0)
    if not size:
        made.fit((big, Y), 2, batch_size=10)
        return
    with pytest.raises(NonFiniteError, match=r"layer '1' \(Square") as caught:
        made.fit((big, Y), 2, batch_size=10, shuffle=False)
    assert "step 4 (epoch 1)" in str(caught.value)


class Square(nn.Module):
    def forward(self, x):
        return x * x


def test_a_checkpoint_of_another_run_says_nothing(tmp_path):
    trainer(nn.Sequential(nn.Linear(4, 3), Square()), run_dir=tmp_path).fit(
        (X, Y), 1, batch_size=10
    )
    big = X.copy()
    big[37] *= 1e30
    made = trainer(
        nn.Sequential(nn.Linear(4, 3), Square()),
        compile=True,
        run_dir=tmp_path,
        checkpoint_seconds=None,
    )
    with pytest.raises(NonFiniteError, match=r"step 4 \(epoch 1\).*no checkpoint yet") as caught:
        made.fit((big, Y), 2, batch_size=10, shuffle=False)
    assert "is kept" not in str(caught.value)
    assert (made.epoch, len(made.history)) == (0, 0)


def test_what_cannot_be_found_again_is_said_of_its_own_step(tmp_path):
    class Spoil(Callback):
        def on_batch_end(self, trainer):
            if trainer.step_number == 8:
                trainer.totals.add(np.float32(np.nan), np.zeros((1, 3)), np.zeros(1, int))

    made = trainer(compile=True, run_dir=tmp_path, callbacks=[Spoil()])
    with pytest.raises(
        NonFiniteError, match=r"step 9 \(epoch 2\).*repeated.*the losses were finite"
    ):
        made.fit((X, Y), 3, batch_size=10)


def test_a_learning_rate_that_is_too_large():
    data = (np.float32(1e6) * X, np.float32(1e6) * line()[1])
    with pytest.raises(NonFiniteError, match="smaller learning rate"):
        trainer(nn.Linear(4, 1), optimizer="sgd", lr=100.0).fit(data, 50)


# Ctrl-C.


class Press(Callback):
    def __init__(self, number=signal.SIGINT):
        self.number = number

    def on_batch_end(self, trainer):
        if trainer.step_number == 3:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_finishes_the_batch_and_leaves_the_handlers(tmp_path, number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    made = trainer(run_dir=tmp_path, callbacks=[Press(number)])
    with pytest.raises(TrainingInterrupted, match="in epoch 1 after batch 3; the chec") as caught:
        made.fit((X, Y), 3, batch_size=10)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert caught.value.signal == number
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert made.step_number == 3


def test_an_interruption_waits_for_gradients_that_add_up(tmp_path):
    made = trainer(callbacks=[Press()], accumulate=4)
    with pytest.raises(TrainingInterrupted, match="after batch 4"):
        made.fit((X, Y), 3, batch_size=10)


def test_training_in_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(fit(net(), (X, Y), 2, seed=1)))
    thread.start()
    thread.join()
    assert figures(found[0]) == figures(fit(net(), (X, Y), 2, seed=1))


# What makes no sense.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": 0}, "accumulate"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"schedule_every": "step"}, "schedule_every"),
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"loss": "cross-entropy"}, "did you mean 'cross_entropy'"),
        ({"loss": "mse", "class_weight": [1.0, 1.0, 1.0]}, "class_weight needs"),
        ({"scheduler": "cosin"}, "did you mean 'cosine'"),
        ({"metrics": ["acuracy"]}, "no metric"),
    ],
)
def test_options(options, message):
    with pytest.raises(ConfigurationError, match=message):
        trainer(**options).fit((X, Y), 1)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((X, Y[:-1]), DataError, "different lengths"),
        ((X[:0], Y[:0]), DataError, "empty"),
        ((X[:, :3], Y), ShapeError, r"in 0 \(Linear"),
        ((X, np.array(["a"] * len(Y))), DataError, r"holds str, not numbers .* ClassTarget.fit"),
        ((X.astype(object), np.array([None] * len(Y))), DataError, "tensor 1 .* holds NoneType"),
        ((X,), ConfigurationError, "got 1 tensors a batch"),
        (3, ConfigurationError, "got int"),
    ],
)
def test_data_that_do_not_fit(data, error, message):
    with pytest.raises(error, match=message):
        trainer().fit(data, 1)


def test_labels_out_of_range():
    with pytest.raises(ValueError, match="7"):
        trainer().fit((X, np.where(Y == 2, 7, Y)), 1)


def test_targets_of_another_shape_than_the_outputs():
    features, targets = line()
    with pytest.raises(ShapeError, match=r"outputs \(N, 2\) and the targets \(N,\) do not fit"):
        trainer(nn.Linear(3, 2)).fit((features, targets[:, 0]), 1)


def test_other_arguments():
    with pytest.raises(ConfigurationError, match="epochs"):
        trainer().fit((X, Y), 0)
    with pytest.raises(ConfigurationError, match="run_dir"):
        trainer().fit((X, Y), 1, resume=True)
    with pytest.raises(DeviceError, match="cuda"):
        trainer(device="cuda:77")
    made = trainer()
    for call in (made.load, made.save):
        with pytest.raises(ConfigurationError, match="call fit first"):
            call("/nowhere")
    made.fit((X, Y), 1)
    with pytest.raises(CheckpointError, match="no such file"):
        made.load("/nowhere")


def test_clipping_is_of_what_the_optimizer_has():
    """Gradients of a part that is not trained add up, and must not make the steps small."""
    first, second = nn.Linear(4, 4), nn.Linear(4, 3)
    optimizer = SGD(second.parameters(), lr=0.1)
    run = trainer(nn.Sequential(first, second), optimizer=optimizer, lr=None, clip_norm=1e-3)
    run.fit((X, Y), 3)
    norm = sum(float(np.square(p.grad.numpy()).sum()) for p in second.parameters()) ** 0.5
    assert abs(norm - 1e-3) < 1e-5


def test_a_schedule_of_the_users_own() -> None:
    """A subclass is what its parent is, and anything with step() is a schedule."""

    class Patient(ReduceLROnPlateau):
        pass

    class Halving:
        def __init__(self, optimizer):
            self.optimizer = optimizer

        def step(self):
            self.optimizer.param_groups[0]["lr"] *= 0.5

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    for make, rates in (
        (lambda o: Patient(o, patience=0, threshold=1e9), [0.1, 0.01, 0.001]),
        (Halving, [0.1, 0.05, 0.025]),
    ):
        model = nn.Linear(3, 1)
        history = fit(
            model, (x, x[:, :1]), epochs=3, optimizer=SGD(model.parameters(), 0.1),
            scheduler=make,
        )  # fmt: skip
        assert [row["lr"] for row in history.rows] == pytest.approx(rates)
