"""What both estimators share: parameters, the network, the epochs and when they end."""

from __future__ import annotations

import copy
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.interop.sklearn.fitting import (
    Fitted,
    Losses,
    epochs_of,
    minimize,
    optimizer_of,
    outputs_of,
)
from nnscratch.interop.sklearn.parameters import (
    OPEN_ENDED,
    SPELLINGS,
    check_parameters,
    check_partial,
    hidden_sizes,
    solver_options,
)
from nnscratch.random import get_rng_state, manual_seed, set_rng_state
from nnscratch.train.mlp import ACTIVATIONS


@dataclass(eq=False, repr=False)
class NeuralNetEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """Trains a network on arrays: what ``NeuralNetClassifier`` and ``NeuralNetRegressor`` share.

    It has scikit-learn's form: parameters are stored as they are given, and checked by ``fit``. The
    fields are the parameters; scikit-learn finds them in the signature of ``__init__``.
    """

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    _: KW_ONLY
    dropout: float = 0.0
    module: Any = None
    solver: Any = "adam"
    alpha: float = 0.0001
    batch_size: Any = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: int = 10
    max_fun: int = 15000
    compile: bool | None = None

    # What an estimator has of its own.

    @abstractmethod
    def _targets(self, y: Any, fresh: bool) -> np.ndarray:
        """Return the targets that the network is trained with."""

    @abstractmethod
    def _outputs(self) -> int:
        """Return how many numbers the network gives for a row."""

    @abstractmethod
    def _losses(self) -> Losses:
        """Return the function of the loss of each sample."""

    def _weights(self, y: Any, sample_weight: Any, X: Any) -> np.ndarray | None:
        if sample_weight is None:
            return None
        return np.asarray(_check_sample_weight(sample_weight, X, dtype=X.dtype))

    # Fitting.

    def _fit(self, X: Any, y: Any, sample_weight: Any, fresh: bool, epochs: int | None) -> Any:
        """Train.

        Args:
            fresh: whether to begin anew.
            epochs: how many to train whatever the losses do, as ``partial_fit`` does; None for at
                most ``max_iter``.
        """
        check_parameters(self)
        if epochs is not None:
            check_partial(self)
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=(np.float64, np.float32), multi_output=True,
            y_numeric=is_regressor(self), reset=fresh,
        )  # fmt: skip
        if not fresh:
            X = X.astype(self._dtype, copy=False)
        weights = self._weights(y, sample_weight, X)
        T = self._targets(y, fresh)
        if T.dtype.kind == "f":
            T = np.ascontiguousarray(T, X.dtype)
        if weights is not None:
            if not (weights > 0).any():
                raise ConfigurationError(
                    "sample_weight: expected at least one weight above 0, got none"
                )
            kept = np.flatnonzero(weights)  # a sample that counts for nothing is as if left out
            X, T, weights = X[kept], T[kept], weights[kept]
        rng = check_random_state(self.random_state)
        # What goes on draws other dropout masks than those before; it keeps the order and the
        # held out rows, as in MLPClassifier.
        with _seeded(int(rng.randint(np.iinfo(np.int32).max)) + (0 if fresh else self.n_iter_)):
            if fresh:
                self._begin(X)
            if fresh or epochs is None:
                self._make_optimizer(X, weights)
            if self.solver == "lbfgs":
                self._minimize(X, T, weights)
            else:
                self._epochs(X, T, weights, rng, epochs)
        self.module_.eval()
        bad = [
            n
            for n, p in self.module_.named_parameters()
            if not np.isfinite(p.detach().numpy()).all()
        ]
        if bad:
            raise ValueError(
                f"Solver produced non-finite parameter weights ({bad[0]}). The input data may "
                "contain large values and need to be preprocessed, or learning_rate_init is too "
                "large."
            )
        return self

    def _begin(self, X: Any) -> None:
        """Make the network, with weights of its own."""
        self.module_ = self._make_module(X.shape[1], self._outputs()).to(dtype=X.dtype)
        self.loss_curve_: list[float] = []
        self.n_iter_ = 0
        self.t_ = 0
        self._without_gain = 0
        self.validation_scores_: list[float] | None = None
        self.best_validation_score_: float | None = None
        self.best_loss_: float | None = None

    def _make_optimizer(self, X: Any, weights: np.ndarray | None) -> None:
        """Make the optimizer by the parameters as they are: a warm start may have others."""
        # The loss of a batch has alpha / 2 times the squared weights, divided by its size: a sample
        # of weight 2 counts as two.
        batch = self._batch_size(X.shape[0]) * (1.0 if weights is None else weights.mean())
        name, options = solver_options(self)
        decay = 0.0 if self.solver == "lbfgs" else float(self.alpha / batch)
        optimizer = optimizer_of(self.module_, name, decay, options)
        self._fitted = Fitted(self.module_, optimizer, self._losses(), None)

    def _make_module(self, inputs: int, outputs: int) -> nn.Module:
        if isinstance(self.module, nn.Module):
            return copy.deepcopy(self.module)
        if self.module is not None:
            made = self.module(inputs, outputs)
            if not isinstance(made, nn.Module):
                raise ConfigurationError(
                    "module: expected an nn.Module, or a function of the numbers of inputs and "
                    f"outputs that returns one, got one that returned {type(made).__name__}"
                )
            return made
        sizes = [inputs, *hidden_sizes(self.hidden_layer_sizes), outputs]
        name = SPELLINGS.get(self.activation, self.activation)
        layers: list[nn.Module] = []
        for place, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            layer = nn.Linear(fan_in, fan_out)
            bound = math.sqrt((2.0 if name == "sigmoid" else 6.0) / (fan_in + fan_out))
            for parameter in layer.parameters():  # Glorot and Bengio's, as in MLPClassifier
                nn.init.uniform_(parameter, -bound, bound)
            layers.append(layer)
            if place < len(sizes) - 2:
                if name != "identity":
                    layers.append(getattr(nn, ACTIVATIONS[name])())
                if self.dropout:
                    layers.append(nn.Dropout(self.dropout))
        return nn.Sequential(*layers)

    def _epochs(
        self, X: Any, T: Any, weights: Any, rng: np.random.RandomState, epochs: int | None
    ) -> None:
        X, T, weights, held = self._split(X, T, weights, rng)
        fitted = self._fitted
        if epochs is None:
            self._without_gain = 0
        # None is what there is none of: a warm start may ask for the other one than the first fit.
        if held is None:
            self.best_loss_ = math.inf if self.best_loss_ is None else self.best_loss_
            self.validation_scores_ = self.best_validation_score_ = None
        else:
            self.best_loss_ = None
            self.validation_scores_ = self.validation_scores_ or []
            self.best_validation_score_ = max([-math.inf, *self.validation_scores_])
        best = _copy(fitted.module) if self.validation_scores_ else None
        for loss in epochs_of(
            fitted, X, T, weights,
            epochs=epochs or self.max_iter, seen=self.t_, batch_size=self._batch_size(X.shape[0]),
            rate=self.learning_rate, power=self.power_t, shuffle=self.shuffle, rng=rng,
            compiled=self.compile,
        ):  # fmt: skip
            self.n_iter_ += 1
            self.t_ += X.shape[0]
            self.loss_curve_.append(loss)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
            if not math.isfinite(loss):
                break  # ``_fit`` says what to do
            if held is not None:
                better, gain = self._judge(*held)
                if better:
                    best = _copy(fitted.module)
                fitted.module.train()
            else:
                assert self.best_loss_ is not None
                gain = loss < self.best_loss_ - self.tol
                self.best_loss_ = min(loss, self.best_loss_)
            self._without_gain = 0 if gain else self._without_gain + 1
            if self._without_gain >= self.n_iter_no_change:
                if self._has_converged() and epochs is None:
                    break
                self._without_gain = 0
        else:
            if epochs is None and self.learning_rate in OPEN_ENDED:
                self._warn(self.max_iter)
        self.loss_ = self.loss_curve_[-1]
        if best is not None:
            fitted.module.load_state_dict(best)

    def _has_converged(self) -> bool:
        """Say that training ends, unless an adaptive learning rate can still be made smaller."""
        if self.learning_rate != "adaptive":
            return True
        groups = self._fitted.optimizer.param_groups
        if groups[0]["lr"] <= 1e-6:
            return True
        for group in groups:
            group["lr"] /= 5.0
        return False

    def _split(
        self, X: Any, T: Any, weights: Any, rng: np.random.RandomState
    ) -> tuple[Any, Any, Any, Any]:
        """Return what is trained with, and what validates if training may stop early."""
        if not self.early_stopping:
            return X, T, weights, None
        rows = np.arange(X.shape[0])
        strata = T if T.ndim == 1 and T.dtype.kind == "i" else None
        train, test = train_test_split(
            rows, test_size=self.validation_fraction, random_state=rng, stratify=strata
        )
        if is_classifier(self) and len(test) < 2:
            raise ConfigurationError(
                f"early_stopping: validation_fraction={self.validation_fraction:g} of {len(rows)} "
                "samples leaves fewer than 2 to validate with; raise it, or give more samples"
            )
        w = None if weights is None else weights[train]
        held = X[test], T[test], None if weights is None else weights[test]
        return X[train], T[train], w, held

    def _judge(self, X: Any, T: Any, weights: Any) -> tuple[bool, bool]:
        """Return whether the validation score is the best, and whether by ``tol``."""
        assert self.validation_scores_ is not None
        assert self.best_validation_score_ is not None
        score = self._score_of(outputs_of(self._fitted.module, X), T, weights)
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        gain = score > self.best_validation_score_ + self.tol
        better = score > self.best_validation_score_
        self.best_validation_score_ = max(score, self.best_validation_score_)
        return better, gain

    @abstractmethod
    def _score_of(self, outputs: np.ndarray, T: np.ndarray, weights: Any) -> float:
        """Return the score by which training stops early, of outputs and targets."""

    def _minimize(self, X: Any, T: Any, weights: Any) -> None:
        total = X.shape[0] if weights is None else float(weights.sum())
        options = {
            **{"max_iter": self.max_iter, "max_eval": self.max_fun, "lr": 1.0},
            **{"tolerance_grad": self.tol, "tolerance_change": 1e-12, "history_size": 10},
            "decay": self.alpha / total,
        }
        curve, count = minimize(self._fitted, X, T, weights, options)
        self.loss_curve_ += curve
        self.n_iter_ += count
        self.loss_ = min(curve)
        self.best_loss_ = self.loss_
        self.validation_scores_ = self.best_validation_score_ = None
        if count >= self.max_iter:
            self._warn(self.max_iter)

    def _warn(self, epochs: int) -> None:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=5,
        )

    # Parameters.

    def _batch_size(self, count: int) -> int:
        if isinstance(self.batch_size, str):
            return min(200, count)
        return int(min(max(self.batch_size, 1), count))

    # Predicting.

    def _predicted(self, X: Any) -> np.ndarray:
        """Return the network's outputs for new rows."""
        check_is_fitted(self, "module_")
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        return outputs_of(self.module_, X.astype(self._dtype, copy=False))

    @property
    def _dtype(self) -> Any:
        """The dtype that the network computes in: that of the first fit's X."""
        return next(iter(self.module_.parameters())).dtype

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of the linear layers, each (inputs, outputs) as in ``MLPClassifier``."""
        check_is_fitted(self, "module_")
        return [one.weight.detach().numpy().T for one in self._linear()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of the linear layers; zeros of one that has none."""
        check_is_fitted(self, "module_")
        return [
            np.zeros(one.out_features, self._dtype)
            if one.bias is None
            else one.bias.detach().numpy()
            for one in self._linear()
        ]

    def _linear(self) -> list[nn.Linear]:
        return [one for one in self.module_.modules() if isinstance(one, nn.Linear)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _copy(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: one.detach().numpy().copy() for name, one in module.state_dict().items()}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the default generator in the block, and leave it as it was."""
    before = get_rng_state()
    manual_seed(seed)
    try:
        yield
    finally:
        set_rng_state(before)
