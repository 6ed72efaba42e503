"""A network as a scikit-learn classifier."""

from __future__ import annotations

import functools
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from nnscratch.errors import ConfigurationError
from nnscratch.interop.sklearn.estimator import NeuralNetEstimator
from nnscratch.interop.sklearn.fitting import Losses
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor


@dataclass(eq=False, repr=False)
class NeuralNetClassifier(ClassifierMixin, NeuralNetEstimator):  # type: ignore[misc]
    r"""A network that classifies, in scikit-learn's form.

    It minimises the cross-entropy of softmax, for two classes and several labels of the logistic
    function, with $\frac{\alpha}{2n} \sum w^2$ of the weights, and computes in the dtype of X:
    float32 or float64.

    Args:
        hidden_layer_sizes: how many units each hidden layer has.
        activation: behind each, "relu", "tanh", "logistic", "identity" or any of nnscratch's.
        dropout: the share of units that is dropped behind each hidden layer in training.
        module: a network of your own: an ``nn.Module``, which is copied, or a function of the
            numbers of inputs and outputs that returns one. It gives logits: one for two classes,
            else one for each class or label.
        solver: "adam", "sgd", "lbfgs" or any optimizer of ``nnscratch.optim`` by name; or a
            function of the parameters.
        alpha: the strength of the penalty on the squared weights.
        batch_size: how many samples a step takes; "auto" for min(200, samples).
        learning_rate: "constant", "invscaling", "adaptive", or a schedule over all of ``max_iter``:
            "cosine", "one_cycle", "step", "exponential", "plateau" or "warmup".
        learning_rate_init: the learning rate.
        power_t: the exponent of "invscaling".
        max_iter: the most epochs.
        shuffle: whether every epoch takes the samples in another order.
        random_state: the seed of weights, order and dropout.
        tol: by how much the loss, or the score with ``early_stopping``, has to become better.
        verbose: whether to print every epoch.
        warm_start: whether ``fit`` goes on with the network that there is.
        momentum, nesterovs_momentum: of "sgd".
        early_stopping: whether a part of the samples is held out to score by, the best network is
            kept, and training stops when it becomes no better.
        validation_fraction: the share that is held out.
        beta_1, beta_2, epsilon: of "adam" and its like.
        n_iter_no_change: after how many epochs without a better loss or score training stops.
        max_fun: how often "lbfgs" may compute the loss.
        compile: whether the step is compiled; None to compile it if the run is long enough.
        class_weight: a weight for each class, as a dictionary, or "balanced".

    Attributes:
        classes_: the classes.
        module_: the network.
        loss_, loss_curve_: the loss of the last epoch, and of all.
        n_iter_: how many epochs were trained.
        validation_scores_, best_validation_score_: with ``early_stopping``, else None.
        n_features_in_, feature_names_in_: what X has.

    Raises:
        ValueError: by ``fit``, if a parameter makes no sense, naming it.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NeuralNetClassifier((16,), learning_rate_init=0.01, random_state=0, tol=1e-3)
    >>> model.fit(X, y).score(X, y) > 0.95
    True
    """

    _: KW_ONLY
    class_weight: Any = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetClassifier:
        """Train on samples X (n, features) and labels y (n,), or (n, labels) of 0 and 1.

        Args:
            X: an array, a data frame or a sparse matrix.
            y: the labels, of any kind.
            sample_weight: a weight for each sample, (n,).

        Returns:
            The estimator itself.
        """
        fresh = not (self.warm_start and hasattr(self, "module_"))
        self._fit(X, y, sample_weight, fresh, None)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> NeuralNetClassifier:
        """Train one epoch on these samples, and keep what was learned before.

        Args:
            X: samples.
            y: their labels.
            classes: all classes there will be; the first call needs them.
            sample_weight: a weight for each sample.

        Raises:
            ValueError: if the first call does not say the classes.
        """
        fresh = not hasattr(self, "module_")
        if fresh:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._given_classes = unique_labels(classes)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"classes={classes!r} is not the same as on the first call to partial_fit: "
                f"{self.classes_!r}"
            )
        try:
            self._fit(X, y, sample_weight, fresh, 1)
        finally:
            self.__dict__.pop("_given_classes", None)
        return self

    def _targets(self, y: Any, fresh: bool) -> np.ndarray:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                "Unknown label type: several columns of classes; give one column, or 0 and 1 for "
                "each label"
            )
        several = kind == "multilabel-indicator"
        if not several:
            y = column_or_1d(y, warn=True)
        if fresh:
            given = getattr(self, "_given_classes", None)
            self._binarizer = LabelBinarizer().fit(y if given is None or several else given)
            self.classes_ = self._binarizer.classes_ if given is None else given
            self._several = several
        elif several != self._several:
            raise ValueError("y: several labels a sample are learned by a fresh fit only")
        unknown = [] if several else sorted(set(y.tolist()) - set(self.classes_.tolist()))
        if unknown:
            raise ValueError(
                f"`y` has classes not in `self.classes_`: got {unknown[:3]}, known are "
                f"{self.classes_.tolist()[:10]}"
            )
        if len(self.classes_) < 2 and not several:
            # One class has nothing to be told from; its logit is learned to be large.
            return np.ones((len(y), 1))
        if several or len(self.classes_) == 2:
            return np.asarray(self._binarizer.transform(y), np.float64)
        return np.asarray(np.searchsorted(self.classes_, y), np.int64)

    def _weights(self, y: Any, sample_weight: Any, X: Any) -> np.ndarray | None:
        weights = super()._weights(y, sample_weight, X)
        if self.class_weight is None:
            return weights
        by_class = np.asarray(compute_sample_weight(self.class_weight, y), X.dtype)
        return by_class if weights is None else weights * by_class

    def _outputs(self) -> int:
        count = len(self.classes_)
        return count if self._several or count > 2 else 1

    def _losses(self) -> Losses:
        if self._outputs() == 1 or self._several:
            return _logistic
        return functools.partial(_softmax, classes=len(self.classes_))

    def _score_of(self, outputs: np.ndarray, T: np.ndarray, weights: Any) -> float:
        found = outputs > 0 if T.ndim == 2 else outputs.argmax(axis=1)
        return float(accuracy_score(T.astype(int), found.astype(int), sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each sample, or 0 and 1 for each label."""
        outputs = self._predicted(X)
        if self._several:
            return (outputs > 0).astype(int)
        if len(self.classes_) < 2:
            return np.repeat(self.classes_, len(outputs))
        places = (outputs[:, 0] > 0).astype(int) if outputs.shape[1] == 1 else outputs.argmax(1)
        return np.asarray(self.classes_[places])

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits (n, classes) or (n, labels); of two classes the second's, (n,)."""
        outputs = self._predicted(X)
        return outputs[:, 0] if outputs.shape[1] == 1 and not self._several else outputs

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (n, classes), or of each label."""
        outputs = self._predicted(X)
        if self._several:
            return _sigmoid(outputs)
        if len(self.classes_) < 2:
            return np.ones_like(outputs)
        if outputs.shape[1] == 1:
            P = _sigmoid(outputs)
            return np.hstack([1 - P, P])
        E = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(E / E.sum(axis=1, keepdims=True))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of ``predict_proba``."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _logistic(Z: Tensor, T: Tensor) -> Tensor:
    if Z.shape != T.shape:
        raise ConfigurationError(_wrong(Z, T.shape))
    losses: Any = F.binary_cross_entropy_with_logits(Z, T, reduction="none")
    return losses.sum(dim=1)  # type: ignore[no-any-return]


def _softmax(Z: Tensor, T: Tensor, classes: int) -> Tensor:
    if Z.shape != (T.shape[0], classes):
        raise ConfigurationError(_wrong(Z, (T.shape[0], classes)))
    return F.cross_entropy(Z, T, reduction="none")


def _wrong(Z: Tensor, shape: Any) -> str:
    wanted = ", ".join(map(str, shape))
    return f"module: expected logits of shape ({wanted}), got {tuple(Z.shape)}"


def _sigmoid(Z: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * Z)))
