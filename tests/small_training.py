"""Small data and models for the tests of the training loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.array.random import default_generator
from nnscratch.train import Trainer


def blobs(n: int = 60, classes: int = 3, features: int = 4, seed: int = 0) -> Any:
    """Rows around a centre for each class, and their classes."""
    source = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = source.normal(size=(classes, features)) * 3.0
    return (centres[y] + source.normal(size=(n, features))).astype(np.float32), y


def line(n: int = 60, features: int = 3, seed: int = 0) -> Any:
    """Rows and a weighted sum of each."""
    X = np.random.default_rng(seed).normal(size=(n, features)).astype(np.float32)
    return X, (X @ np.arange(1.0, features + 1.0, dtype=np.float32))[:, None]


def net(features: int = 4, classes: int = 3, dropout: float = 0.3, seed: int = 7) -> nn.Sequential:
    default_generator.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(features, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, classes)
    )


def weights(model: nn.Module) -> dict[str, bytes]:
    """All values of a model as bytes, to compare bit for bit."""
    return {name: t.numpy().tobytes() for name, t in model.state_dict().items()}


def trainer(model: nn.Module | None = None, **options: Any) -> Trainer:
    return Trainer(net() if model is None else model, **{"seed": 1, "lr": 0.01, **options})


def figures(history: Any) -> list[dict[str, Any]]:
    """The rows of a history without the seconds, which no two runs share."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]
