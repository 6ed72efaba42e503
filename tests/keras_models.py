"""Keras on PyTorch, with a home of its own: the real library beside our reader and writer."""

from __future__ import annotations

import os
import tempfile

os.environ["KERAS_BACKEND"] = "torch"
os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp(prefix="keras-"))

import keras
import numpy as np
from keras import layers as L

__all__ = ["L", "images", "keras", "sequences", "shaken", "table"]


def shaken(model: keras.Model) -> keras.Model:
    """The model with other weights than those that it begins with, variances above 0."""
    source = np.random.default_rng(0)
    made = [source.normal(size=w.shape).astype(w.dtype) * 0.5 for w in model.weights]
    for n, weight in enumerate(model.weights):
        if "variance" in weight.path:
            made[n] = np.abs(made[n]) + 0.1
    model.set_weights(made)
    return model


def images() -> keras.Model:
    """Layers on images (N, 9, 9, 3), with padding that is not even."""
    return shaken(keras.Sequential([
        keras.Input((9, 9, 3)),
        L.Rescaling(0.5, 0.1),
        L.ZeroPadding2D(((1, 0), (2, 1))),
        L.Conv2D(4, 3, padding="same", strides=2, activation="relu"),
        L.BatchNormalization(),
        L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False),
        L.LeakyReLU(),
        L.MaxPooling2D(2, padding="same"),
        L.AveragePooling2D(2, strides=1, padding="same"),
        L.Conv2D(6, 2, groups=2, padding="same", dilation_rate=2),
        L.ReLU(max_value=6),
        L.Flatten(),
        L.Dense(5, name="mine", activation="gelu"),
        L.Dropout(0.1),
        L.Dense(2),
    ]))  # fmt: skip


def sequences() -> keras.Model:
    """A graph of layers on tokens (N, 6), with three outputs."""
    tokens = keras.Input((6,), dtype="int32")
    x = L.Embedding(10, 4)(tokens)
    a = L.LSTM(5, return_sequences=True)(x)
    b = L.GRU(5, return_sequences=True, go_backwards=True)(x)
    c = L.Conv1D(5, 3, padding="same", activation="tanh")(x)
    y = L.Concatenate()([L.Add()([a, b, c]), L.Multiply()([a, c]), L.Average()([a, b])])
    y = L.LayerNormalization()(L.Bidirectional(L.LSTM(3))(y))
    flat = L.Permute((2, 1))(L.Reshape((3, 8))(L.MaxPooling1D(1)(x)))
    outputs = [L.Dense(2, activation="softmax")(y), L.SimpleRNN(2)(x), L.GlobalMaxPooling1D()(flat)]
    return shaken(keras.Model(tokens, outputs))


def table() -> keras.Model:
    """Layers on a table (N, 4)."""
    return shaken(keras.Sequential([
        keras.Input((4,)), L.Dense(5, activation="gelu"), L.LayerNormalization(), L.Dense(3),
    ]))  # fmt: skip
