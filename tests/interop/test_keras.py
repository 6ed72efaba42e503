"""Keras' own files, written and read by Keras itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_models import L, images, keras, sequences, shaken, table

import nnscratch
from nnscratch import nn
from nnscratch.errors import CheckpointError, ConfigurationError, DTypeError
from nnscratch.interop.keras import hdf5, load_model, save_model
from nnscratch.interop.weights import load_weights, save_weights

# Keras itself reads PyTorch's tensors in a way that NumPy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def predicted(model: Any, x: np.ndarray) -> list[np.ndarray]:
    found = model(x, training=False)
    return [np.asarray(one.detach()) for one in (found if isinstance(found, list) else [found])]


def outputs(model: nn.Module, x: np.ndarray) -> list[np.ndarray]:
    found = model(nnscratch.tensor(x))
    return [np.asarray(one.detach()) for one in (found if isinstance(found, tuple) else [found])]


def close(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("make", [images, sequences, table])
def test_a_model_of_keras_and_back(make: Any, tmp_path: Path) -> None:
    theirs = make()
    source = np.random.default_rng(1)
    shape = (3, *theirs.input_shape[1:])
    x = source.normal(size=shape).astype("f4")
    if make is sequences:
        x = source.integers(0, 10, shape)
    theirs.save(tmp_path / "theirs.keras")
    ours = load_model(tmp_path / "theirs.keras").eval()
    close(outputs(ours, x), predicted(theirs, x))
    save_model(ours, tmp_path / "ours.keras")
    again = keras.models.load_model(tmp_path / "ours.keras")
    for a, b in zip(again.get_weights(), theirs.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_model_of_ours_goes_to_keras(tmp_path: Path) -> None:
    ours = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4, momentum=0.2), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(4, 8, 2, groups=4), nn.SiLU(), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(8, 6), nn.LayerNorm(6), nn.GELU(), nn.BatchNorm1d(6), nn.LeakyReLU(0.1),
        nn.Linear(6, 3, bias=False), nn.Softmax(1),
    ).eval()  # fmt: skip
    x = np.random.default_rng(1).normal(size=(3, 2, 8, 8)).astype("f4")
    ours(nnscratch.tensor(x))
    save_model(ours, tmp_path / "a.keras", (2, 8, 8))
    theirs = keras.models.load_model(tmp_path / "a.keras")
    close(outputs(ours, x), predicted(theirs, x))
    save_weights(ours, tmp_path / "a.weights.h5")
    shaken(theirs)
    theirs.load_weights(tmp_path / "a.weights.h5")
    close(outputs(ours, x), predicted(theirs, x))
    close(outputs(load_model(tmp_path / "a.keras").eval(), x), predicted(theirs, x))


def test_tables_and_tokens_of_ours(tmp_path: Path) -> None:
    made = nn.Sequential(
        nn.Linear(4, 3), nn.Tanh(), nn.Identity(), nn.Linear(3, 2), nn.LogSoftmax(-1)
    )
    x = np.random.default_rng(1).normal(size=(3, 4)).astype("f4")
    save_model(made, tmp_path / "a.keras")
    close(outputs(made, x), predicted(keras.models.load_model(tmp_path / "a.keras"), x))
    words = nn.Sequential(nn.Embedding(10, 3), nn.LayerNorm(3), nn.Linear(3, 2))
    save_model(words, tmp_path / "b.keras", (5,))
    tokens = np.arange(10).reshape(2, 5)
    close(outputs(words, tokens), predicted(keras.models.load_model(tmp_path / "b.keras"), tokens))


def test_models_of_64_bits(tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((4,)), L.Dense(2, dtype="float64")])
    theirs.set_weights([np.random.default_rng(0).normal(size=(4, 2)), np.full(2, 0.1)])
    theirs.save(tmp_path / "a.keras")
    layer = next(iter(load_model(tmp_path / "a.keras").layers.values()))
    assert np.asarray(layer.weight.detach()).tolist() == theirs.get_weights()[0].T.tolist()


def test_weights_alone_are_matched_by_kind_and_order(tmp_path: Path) -> None:
    theirs = shaken(keras.Sequential([
        keras.Input((4,)), L.Dense(5), L.LayerNormalization(), L.Dense(5),
        L.Dense(3, use_bias=False),
    ]))  # fmt: skip
    path = tmp_path / "a.weights.h5"
    theirs.save_weights(path)
    ours = nn.Sequential(
        nn.Linear(4, 5), nn.LayerNorm(5, eps=1e-3), nn.Linear(5, 5), nn.Linear(5, 3, bias=False)
    )
    assert load_weights(ours, path) == []
    x = np.random.default_rng(1).normal(size=(3, 4)).astype("f4")
    close(outputs(ours, x), predicted(theirs, x))
    theirs.save(tmp_path / "a.keras")
    ours[0].weight.detach().fill_(0)
    load_weights(ours, tmp_path / "a.keras")
    close(outputs(ours, x), predicted(theirs, x))
    before = ours[0].weight.tolist()
    for other, said in (
        (nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5)), r"3 layers of the kind 'dense' \(dense, "
         r"dense_1, dense_2\), the model 1 \(0\)"),
        (nn.Sequential(*ours[:3], nn.Linear(5, 3)), r"dense_2 for 3: expected the arrays"),
        (nn.Sequential(nn.Linear(7, 5), *ours[1:]), r"dense has the shape \(5, 4\), the model's "
         r"0\.weight is \(5, 7\)"),
    ):  # fmt: skip
        with pytest.raises(CheckpointError, match=said):
            load_weights(other, path)
    assert ours[0].weight.tolist() == before


def test_recurrent_weights(tmp_path: Path) -> None:
    theirs = shaken(keras.Sequential([
        keras.Input((5, 4)), L.LSTM(3, return_sequences=True), L.GRU(2, return_sequences=True),
        L.Bidirectional(L.GRU(3)),
    ]))  # fmt: skip
    theirs.save_weights(tmp_path / "a.weights.h5")
    layers = nn.ModuleList([
        nn.LSTM(4, 3, batch_first=True), nn.GRU(3, 2, batch_first=True),
        nn.GRU(2, 3, batch_first=True, bidirectional=True),
    ])  # fmt: skip
    load_weights(layers, tmp_path / "a.weights.h5")
    x = np.random.default_rng(1).normal(size=(2, 5, 4)).astype("f4")
    y = nnscratch.tensor(x)
    for layer in layers:
        y, last = layer(y)
    close([np.concatenate(np.asarray(last.detach()), axis=-1)], predicted(theirs, x))
    save_weights(layers, tmp_path / "b.weights.h5")
    shaken(theirs)
    theirs.load_weights(tmp_path / "b.weights.h5")
    close([np.concatenate(np.asarray(last.detach()), axis=-1)], predicted(theirs, x))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda: L.Lambda(lambda x: x, output_shape=(4,)), "'Lambda' is none of those"),
        (lambda: L.Dense(2, activation="exponential"), "activation is 'exponential'"),
        (lambda: L.GroupNormalization(2), "'GroupNormalization' is none of those"),
        (lambda: L.BatchNormalization(center=False), "only one of center and scale"),
        (lambda: L.LayerNormalization(scale=False, center=False), "vars/0 of 1 dimensions"),
        (lambda: L.ReLU(max_value=3.0), "maximum other than 6"),
    ],
)
def test_what_is_not_read_is_named(layer: Any, said: str, tmp_path: Path) -> None:
    theirs = keras.Sequential([keras.Input((4,)), layer()])
    theirs.save(tmp_path / "a.keras")
    name = theirs.layers[0].name
    with pytest.raises(CheckpointError, match=rf"a\.keras: the layer '{name}': .*{said}"):
        load_model(tmp_path / "a.keras")


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    for model, said in (
        (nn.Linear(2, 1), "expected a Sequential"),
        (nn.Sequential(nn.Linear(2, 1), nn.Bilinear(1, 1, 1)), r"the layer 1 \(Bilinear"),
        (nn.Sequential(nn.Linear(2, 1), nn.GELU("tanh")), "this one is by tanh"),
        (nn.Sequential(nn.Tanh()), "give the shape of one example"),
        (nn.Sequential(nn.Linear(2, 4), nn.LayerNorm((2, 4))), "for the last axis"),
    ):
        with pytest.raises(DTypeError, match=said):
            save_model(model, path)
    with pytest.raises(DTypeError, match=r"weight is in no layer that Keras has"):
        save_weights(nn.Bilinear(1, 1, 1), tmp_path / "a.weights.h5")
    assert os.listdir(tmp_path) == []


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    table().save(tmp_path / "a.keras")
    found = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return found(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'nnscratch\[keras\]'"):
        hdf5.h5py()
    with pytest.raises(ConfigurationError, match=r"need h5py"):
        load_model(tmp_path / "a.keras")


def test_as_many_groups_as_channels(tmp_path: Path) -> None:
    """A Conv2D with them is no DepthwiseConv2D of Keras', though it computes the same."""
    x = np.random.default_rng(1).normal(size=(3, 6, 6, 2)).astype("f4")
    for layer in (L.Conv2D(4, 3, groups=2), L.DepthwiseConv2D(3, depth_multiplier=2)):
        theirs = shaken(keras.Sequential([keras.Input((6, 6, 2)), layer]))
        theirs.save(tmp_path / "theirs.keras")
        theirs.save_weights(tmp_path / "theirs.weights.h5")
        ours = load_model(tmp_path / "theirs.keras")
        close(outputs(ours, x), predicted(theirs, x))
        save_model(ours, tmp_path / "ours.keras")
        again = keras.models.load_model(tmp_path / "ours.keras")
        for a, b in zip(again.get_weights(), theirs.get_weights(), strict=True):
            assert np.array_equal(a, b)
        plain = nn.Conv2d(2, 4, 3, groups=2)
        assert load_weights(plain, tmp_path / "theirs.weights.h5") == []
        close(
            outputs(plain, x.transpose(0, 3, 1, 2)), [predicted(theirs, x)[0].transpose(0, 3, 1, 2)]
        )
    line = nn.Sequential(nn.Conv1d(2, 4, 3, groups=2))
    save_model(line, tmp_path / "line.keras", (2, 9))
    its = keras.models.load_model(tmp_path / "line.keras")
    if its.layers[0].data_format == "channels_last":
        close(outputs(line, x[:, 0].transpose(0, 2, 1)), predicted(its, x[:, 0]))
    assert its.get_weights()[0].shape == (3, 1, 4)


def test_weights_that_a_file_has_not_are_named(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((3,)), L.Dense(2)]).save_weights(tmp_path / "a.weights.h5")

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin, self.scale = nn.Linear(3, 2), nn.Parameter(nnscratch.ones(2))

    for model, name in (
        (Scaled(), "scale"),
        (nn.Sequential(nn.Linear(3, 2), nn.PReLU()), r"1\.weight"),
    ):
        before = {key: value.tolist() for key, value in model.state_dict().items()}
        with pytest.raises(CheckpointError, match=f"do not fit this .*: missing: {name}$"):
            load_weights(model, tmp_path / "a.weights.h5")
        assert {key: value.tolist() for key, value in model.state_dict().items()} == before
