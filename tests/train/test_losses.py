"""Losses fitted to outputs and targets: whole numbers as numbers, one output for two classes."""

import numpy as np
import pytest
from sklearn import metrics as sk

from nnscratch import nn
from nnscratch.errors import ConfigurationError, DataError, ShapeError
from nnscratch.tensors import Tensor
from nnscratch.train import Trainer, evaluate, fit, predict
from nnscratch.train.choices import balanced_weights
from nnscratch.train.losses import loss_for

SOURCE = np.random.default_rng(0)
X = SOURCE.normal(size=(60, 3))
LABELS = (X[:, 0] > 0.0).astype(int)
AGES = SOURCE.integers(18, 90, 60)
NUMBERS = ["mse", "l1", "huber", "smooth_l1", nn.MSELoss(), nn.L1Loss()]


class Samples:
    """A data set that shows one sample at a time."""

    def __len__(self):
        return 60

    def __getitem__(self, index):
        return Tensor(X[index].astype(np.float32)), Tensor(LABELS[index])


def value(loss, output, target, **options):
    output, target = Tensor(output), Tensor(target)
    return loss_for(loss, output, target, **options)(output, target).item()


@pytest.mark.parametrize("loss", NUMBERS)
def test_whole_numbers_are_numbers_to_predict(loss):
    output = X[:, :1]
    expected = value(loss, output, AGES[:, None].astype(float))
    for target in (AGES, AGES[:, None], AGES.astype(float), AGES > 40):
        found = value(loss, output, target)
        if target.dtype != bool:
            assert found == pytest.approx(expected)
    history = fit(nn.Linear(3, 1), (X, AGES), epochs=2, loss=loss, seed=0, validation=(X, AGES))
    floats = AGES[:, None].astype(np.float32)
    again = fit(nn.Linear(3, 1), (X, floats), epochs=2, loss=loss, seed=0, validation=(X, floats))
    assert np.isfinite(history["val_loss"]).all()
    assert len(history["val_loss"]) == len(again["val_loss"]) == 2
    assert "val_accuracy" not in history.rows[0]


def test_class_indices_are_classes_still():
    output = SOURCE.normal(size=(60, 2))
    shares = np.exp(output) / np.exp(output).sum(1, keepdims=True)
    assert value("mse", output, LABELS) == pytest.approx(np.mean((shares - np.eye(2)[LABELS]) ** 2))
    # One-hot whole numbers have the outputs' shape, so they are no indices.
    hot = np.eye(2, dtype=int)[LABELS]
    assert value("mse", output, hot) == pytest.approx(np.mean((output - hot) ** 2))
    model = nn.Linear(3, 2)
    assert evaluate(model, (X, LABELS), loss="mse")["loss"] == pytest.approx(
        value("mse", predict(model, X), LABELS), rel=1e-5
    )


@pytest.mark.parametrize("loss", ["bce", "bce_with_logits"])
@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], LABELS.astype(float), LABELS[:, None] > 0]
)
def test_two_classes_by_one_output(loss, labels):
    layers = [nn.Linear(3, 1), *([nn.Sigmoid()] if loss == "bce" else [])]
    model = nn.Sequential(*layers)
    names = ["accuracy", "precision", "recall", "f1"]
    history = fit(
        model, (X, labels), epochs=60, lr=0.1, loss=loss, validation=(X, labels), metrics=names
    )
    assert history["val_accuracy"][-1] > 0.9
    outputs = predict(model, X)[:, 0]
    predicted = (outputs > (0.5 if loss == "bce" else 0.0)).astype(int)
    found = evaluate(model, (X, labels), loss=loss, metrics=names)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(LABELS, predicted))
    assert found["f1"] == pytest.approx(sk.f1_score(LABELS, predicted, average="macro"))
    assert found["recall"] == pytest.approx(sk.recall_score(LABELS, predicted, average="macro"))
    assert found["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-5)


@pytest.mark.parametrize("loss", ["bce", "bce_with_logits"])
@pytest.mark.parametrize("compiled", [True, False])
def test_weights_of_two_classes(loss, compiled):
    output = SOURCE.uniform(0.1, 0.9, size=(60, 1))
    parts = [value(loss, output[LABELS == k], LABELS[LABELS == k]) for k in (0, 1)]
    counts = np.bincount(LABELS)
    expected = (1.0 * counts[0] * parts[0] + 3.0 * counts[1] * parts[1]) / 60
    assert value(loss, output, LABELS, class_weight=[1.0, 3.0]) == pytest.approx(expected)
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    options = {"loss": loss, "class_weight": [1.0, 3.0], "compile": compiled}
    assert np.isfinite(fit(model, (X, LABELS), epochs=2, **options)["train_loss"]).all()


def test_what_is_left_open_or_does_not_fit():
    with pytest.raises(ConfigurationError, match=r"one output .* loss='mse' .* loss='bce_with_log"):
        fit(nn.Linear(3, 1), (X, LABELS), epochs=1)
    with pytest.raises(ConfigurationError, match=r"two weights for loss='bce'.* shape \(3,\)"):
        fit(nn.Linear(3, 1), (X, LABELS), epochs=1, loss="bce", class_weight=[1, 2, 3])
    with pytest.raises(ShapeError, match="classes need targets that are whole numbers"):
        fit(nn.Linear(3, 2), (X, LABELS.astype(float)), epochs=1)
    with pytest.raises(ShapeError, match="give the model one output, or take loss='cross_entropy'"):
        fit(nn.Linear(3, 2), (X, LABELS), epochs=1, loss="bce_with_logits")
    with pytest.raises(ShapeError, match="labels 0 and 1"):
        evaluate(nn.Linear(3, 1), (X, X[:, :2]), loss=lambda a, b: a.sum(), metrics=["accuracy"])


@pytest.mark.parametrize(("loss", "outputs"), [("cross_entropy", 2), ("bce_with_logits", 1)])
def test_balanced_weights(loss, outputs):
    labels = (np.arange(60) % 4 == 0).astype(int)
    balanced = balanced_weights(labels, 2)
    options = {"epochs": 3, "loss": loss, "seed": 0}
    found = []
    for weight in ("balanced", balanced, None):
        model = nn.Linear(3, outputs)
        for parameter in model.parameters():
            parameter.data.fill_(0.1)
        found.append(fit(model, (X, labels), class_weight=weight, **options)["train_loss"])
    assert found[0] == found[1] != found[2]
    with pytest.raises(ConfigurationError, match="did you mean 'balanced'"):
        fit(nn.Linear(3, outputs), (X, labels), class_weight="balance", **options)
    with pytest.raises(ConfigurationError, match="counts the labels of arrays"):
        fit(nn.Linear(3, outputs), Samples(), class_weight="balanced", **options)


@pytest.mark.parametrize("loss", ["bce_with_logits", nn.BCEWithLogitsLoss()])
def test_labels_of_two_classes_are_0_and_1(loss):
    for labels in (LABELS + 1, 2 * LABELS[:, None] - 1.0):
        with pytest.raises(
            DataError, match=r"targets from 0 to 1, got .* in row \d+ \(\d+ such ro"
        ):
            fit(nn.Linear(3, 1), (X, labels), epochs=1, loss=loss)


@pytest.mark.parametrize("kind", ["int64", "uint8", "bool", "object"])
def test_inputs_of_whole_numbers(kind):
    whole = SOURCE.integers(0, 2, size=(60, 3)).astype(kind)
    histories, outputs = [], []
    for inputs in (whole, whole.astype(np.float32)):
        model = nn.Sequential(
            nn.Flatten(), nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Linear(4, 2)
        )
        for parameter in model.parameters():
            parameter.data.fill_(0.3)
        data = (inputs, LABELS)
        histories.append(fit(model, data, epochs=2, seed=0, validation=data)["val_loss"])
        outputs.append(predict(model, inputs))
    assert histories[0] == histories[1]
    assert np.array_equal(*outputs)


def test_a_trained_loss_with_weights_is_evaluated_as_it_was():
    made = Trainer(nn.Linear(3, 2), class_weight=[1.0, 5.0], loss="cross_entropy")
    history = made.fit((X, LABELS), 1, validation=(X, LABELS))
    again = evaluate(made.model, (X, LABELS), loss=made.loss)
    assert again["loss"] == pytest.approx(history["val_loss"][-1])
