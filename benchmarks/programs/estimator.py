"""Fits of one estimator as a whole process: the first alone, or as many as are asked for.

    python estimator.py nnscratch digits 32 float64 0    # one fit with seed 0, and what it took

prints JSON: the seconds of the import and of the fit, how many epochs it trained, its score on the
test rows and its last loss. Without the seed it reads seeds, a line each, and answers each with
such a line, until there are no more. It imports one library's estimators only, so that no other
counts.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

IMAGES = "NNSCRATCH_BENCHMARK_IMAGES"
"""The variable that names a file of X (10000, 784), bytes, and y (10000,): see ``estimators``."""
HIDDEN = (100,)


def digits() -> tuple[Any, Any]:
    """Return 1,797 images of 8 x 8 of ten digits."""
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)  # type: ignore[no-any-return]


def breast_cancer() -> tuple[Any, Any]:
    """Return 569 rows of 30 numbers of two classes."""
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(return_X_y=True)  # type: ignore[no-any-return]


def wine() -> tuple[Any, Any]:
    """Return 178 rows of 13 numbers of three classes."""
    from sklearn.datasets import load_wine

    return load_wine(return_X_y=True)  # type: ignore[no-any-return]


def houses() -> tuple[Any, Any]:
    """Return a regression of the size of California's houses, 20,640 x 8, drawn with a seed.

    The target is a network of 16 tanh units of the inputs, with noise of 0.3 of its own deviation.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20640, 8))
    y = np.tanh(X @ rng.standard_normal((8, 16)) / 2.0) @ rng.standard_normal(16)
    y = (y - y.mean()) / y.std() + 0.3 * rng.standard_normal(len(X))
    return X, y


def images() -> tuple[Any, Any]:
    """Return 10,000 images of 28 x 28 of ten classes, of the file that is named."""
    with np.load(os.environ[IMAGES]) as found:
        return found["X"] / 255.0, found["y"]


CASES: dict[str, tuple[Callable[[], tuple[Any, Any]], int]] = {
    "digits": (digits, 50),
    "breast cancer": (breast_cancer, 100),
    "wine": (wine, 200),
    "houses": (houses, 20),
    "images": (images, 10),
}
"""For each data set what loads it, and the epochs of a fit."""


class Work:
    """What is fitted, ready to begin."""

    def __init__(self, case: str, batch: int, dtype: str, epochs: int | None = None) -> None:
        """Load the data, split and standardise them."""
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        load, usual = CASES[case]
        X, y = load()
        self.X, self.X_test, self.y, self.y_test = train_test_split(X, y, random_state=0)
        if case != "images":
            scaler = StandardScaler().fit(self.X)
            self.X, self.X_test = scaler.transform(self.X), scaler.transform(self.X_test)
        self.X, self.X_test = self.X.astype(dtype), self.X_test.astype(dtype)
        self.epochs = usual if epochs is None else epochs
        self.options = {
            "hidden_layer_sizes": HIDDEN,
            "batch_size": min(batch, len(self.X)),
            "max_iter": self.epochs,
            # No early end: both train all epochs.
            "tol": 0.0,
            "n_iter_no_change": 10**9,
        }
        self.regression = case == "houses"

    def estimator(self, who: str) -> Any:
        """Import the class of an estimator."""
        if who == "nnscratch":
            from nnscratch.interop.sklearn import NeuralNetClassifier, NeuralNetRegressor

            return NeuralNetRegressor if self.regression else NeuralNetClassifier
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        return MLPRegressor if self.regression else MLPClassifier

    def fit(self, kind: Any, seed: int) -> dict[str, Any]:
        """Fit once; return what it took and how good it is."""
        model = kind(**self.options, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            began, processor = time.perf_counter(), time.process_time()
            model.fit(self.X, self.y)
            seconds, used = time.perf_counter() - began, time.process_time() - processor
        return {
            "seconds": seconds,
            "processor": used,
            "epochs": int(model.n_iter_),
            "score": float(model.score(self.X_test, self.y_test)),
            "loss": float(model.loss_),
        }


def main(arguments: list[str]) -> None:
    """Fit with the seed that is given, or with those that come."""
    who, case, batch, dtype, *rest = arguments
    epochs = os.environ.get("NNSCRATCH_BENCHMARK_EPOCHS")
    work = Work(case, int(batch), dtype, int(epochs) if epochs else None)
    began = time.perf_counter()
    kind = work.estimator(who)
    imported = time.perf_counter() - began
    for seed in rest or sys.stdin:
        print(json.dumps({"import": imported, **work.fit(kind, int(seed))}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
