"""A network as a scikit-learn regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from nnscratch.errors import ConfigurationError
from nnscratch.interop.sklearn.estimator import NeuralNetEstimator
from nnscratch.interop.sklearn.fitting import Losses
from nnscratch.tensors import Tensor


class NeuralNetRegressor(RegressorMixin, NeuralNetEstimator):  # type: ignore[misc]
    r"""A network that predicts numbers, in scikit-learn's form.

    It minimises half the squared error, $\frac{1}{2n} \sum (y - t)^2$, with
    $\frac{\alpha}{2n} \sum w^2$ of the weights, and computes in the dtype of X. Its parameters are
    those of ``NeuralNetClassifier`` without ``class_weight``; a ``module`` of your own gives one
    number for each target.

    >>> import numpy as np
    >>> X = np.linspace(-2, 2, 200)[:, None]
    >>> model = NeuralNetRegressor((32,), "tanh", solver="lbfgs", random_state=0, max_iter=500)
    >>> model.fit(X, np.sin(X[:, 0])).score(X, np.sin(X[:, 0])) > 0.99
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetRegressor:
        """Train on samples X (n, features) and targets y (n,) or (n, targets).

        Args:
            X: an array, a data frame or a sparse matrix.
            y: the numbers to predict.
            sample_weight: a weight for each sample, (n,).

        Returns:
            The estimator itself.
        """
        fresh = not (self.warm_start and hasattr(self, "module_"))
        self._fit(X, y, sample_weight, fresh, None)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetRegressor:
        """Train one epoch on these samples, and keep what was learned before."""
        self._fit(X, y, sample_weight, not hasattr(self, "module_"), 1)
        return self

    def _targets(self, y: Any, fresh: bool) -> np.ndarray:
        T = np.asarray(y, np.float64)
        T = T[:, None] if T.ndim == 1 else T
        if fresh:
            self.n_outputs_, self._flat = T.shape[1], np.ndim(y) == 1
        elif T.shape[1] != self.n_outputs_:
            raise ValueError(f"y: expected {self.n_outputs_} targets, got {T.shape[1]}")
        return T

    def _outputs(self) -> int:
        return int(self.n_outputs_)

    def _losses(self) -> Losses:
        return _halved_squares

    def _score_of(self, outputs: np.ndarray, T: np.ndarray, weights: Any) -> float:
        return float(r2_score(T, outputs, sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted numbers, in the form of y."""
        outputs = self._predicted(X)
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _halved_squares(Y: Tensor, T: Tensor) -> Tensor:
    if Y.shape != T.shape:
        raise ConfigurationError(
            f"module: expected outputs of shape {tuple(T.shape)}, got {tuple(Y.shape)}"
        )
    difference = Y - T
    return 0.5 * (difference * difference).sum(dim=1)
