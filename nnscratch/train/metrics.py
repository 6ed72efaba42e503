"""Metrics, accumulated batch by batch on the device and read once at the end of a pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.array import array_namespace, same_device, to_numpy
from nnscratch.array.integers import intp
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.train.step import IGNORED

Integers = npt.NDArray[np.int64]


class Metric(ABC):
    """The base of metrics, which are updated for each batch of a pass over data.

    Attributes:
        name: its column in the history.
        higher_is_better: which way is better.
        of_probabilities: whether one output for two classes is a probability (of class 1 from 0.5
            on) or a logit (from 0 on); ``evaluate`` and ``fit`` know it from the loss.
        ignored: the class index of targets that count for nothing; they know that from the loss's
            ``ignore_index``.
    """

    name: str = ""
    higher_is_better: bool = True
    of_probabilities: bool = False
    ignored: int = IGNORED

    @abstractmethod
    def reset(self) -> None:
        """Forget everything."""

    @abstractmethod
    def update(self, output: Tensor, target: Tensor) -> None:
        """Update the metric with the model's output for a batch and the target.

        Raises:
            ShapeError: if their shapes do not fit.
            DeviceError: if they are on two devices.
        """

    @abstractmethod
    def compute(self) -> float:
        """Return the value over all that was taken in.

        Raises:
            ConfigurationError: if there was nothing.
        """

    def __call__(self, output: Any, target: Any) -> float:
        """Return the value for one output and target.

        >>> Accuracy()(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
        0.5
        """
        self.reset()
        with no_grad():
            self.update(as_tensor(output).detach(), as_tensor(target).detach())
        return self.compute()


class Gathered(Metric):
    """Keeps two small arrays per batch on the device, and concatenates them at the end."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._kept: list[tuple[Any, Any]] = []

    def state(self) -> tuple[list[Any], int]:
        """Return what was taken in so far, on the host, for ``put_together``."""
        kept = [(to_numpy(left), to_numpy(right)) for left, right in self._kept]
        return kept, getattr(self, "classes", 0)

    def put_together(self, states: list[tuple[list[Any], int]]) -> None:
        """Take in what several processes have, which had one batch each in turn."""
        self._kept = []
        for turn in range(max(len(kept) for kept, _ in states)):
            self._kept += [kept[turn] for kept, _ in states if turn < len(kept)]
        if hasattr(self, "classes"):
            self.classes = max(classes for _, classes in states)

    def _keep(self, left: Tensor, right: Tensor) -> None:
        self._kept.append((left.array, right.array))

    def _joined(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if not self._kept:
            raise ConfigurationError(f"{self.name}: nothing to compute it from: no batch came")
        xp = array_namespace(self._kept[0][0])
        left, right = (xp.concat([pair[side] for pair in self._kept]) for side in (0, 1))
        return to_numpy(left), to_numpy(right)


def _check_classes(name: str, output: Tensor, target: Tensor) -> None:
    if output.ndim < 2 or target.shape != (output.shape[0], *output.shape[2:]):
        raise ShapeError(
            f"{name}: expected outputs (N, K) and class indices (N,), or (N, K, ...) and (N, ...); "
            f"got {output.shape} and {target.shape}"
        )
    same_device(name, output=output.array, target=target.array)


def _predicted(metric: Metric, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, int]:
    """Predicted and true classes, (N,) each, of outputs (N, K, ...) more, and how many classes.

    One output is that of two classes: a logit, or a probability.
    """
    if output.ndim == 1 or output.shape[1] == 1:
        if target.shape not in (output.shape, (output.shape[0], *output.shape[2:])):
            raise ShapeError(
                f"{metric.name}: expected outputs (N, 1) and labels 0 and 1, (N, 1) or (N,); got "
                f"{output.shape} and {target.shape}"
            )
        same_device(metric.name, output=output.array, target=target.array)
        xp = array_namespace(output.array)
        bound = 0.5 if metric.of_probabilities else 0.0
        classes = [xp.astype(output.array > bound, xp.int64), xp.astype(target.array, xp.int64)]
        predicted, true = (Tensor(xp.reshape(one, (-1,))) for one in classes)
        return predicted, true, 2
    _check_classes(metric.name, output, target)
    return output.argmax(1).reshape(-1), target.reshape(-1), output.shape[1]


def _share(right: npt.NDArray[Any], counts: npt.NDArray[Any]) -> float:
    """Return the share of correct predictions among the targets not ignored, NaN if all are."""
    return float(right[counts].mean()) if counts.any() else float("nan")


class Accuracy(Gathered):
    """The share of samples whose largest output is at their class.

    Of outputs (N, K, ...), with the classes along axis 1 as in cross-entropy, and targets (N, ...):
    the share of all targets. Of one output, (N, 1), for labels 0 and 1: the share of samples on the
    right side of it.

    >>> Accuracy()(np.array([[2.0], [-1.0]]), np.array([[1.0], [1.0]]))
    0.5
    """

    name = "accuracy"

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in a batch."""
        predicted, true, _ = _predicted(self, output, target)
        self._keep(predicted == true, true != self.ignored)

    def compute(self) -> float:
        """Return the value over all that was taken in."""
        return _share(*self._joined())


class TopK(Gathered):
    """The share of samples whose class is among their k largest outputs.

    >>> TopK(2)(np.array([[0.1, 0.5, 0.4], [0.7, 0.2, 0.1]]), np.array([2, 2]))
    0.5
    """

    def __init__(self, k: int = 5) -> None:
        if k < 1:
            raise ConfigurationError(f"top-k needs a k of at least 1, got {k}")
        self.k = k
        self.name = f"top{k}"
        super().__init__()

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in a batch."""
        _check_classes(self.name, output, target)
        xp = array_namespace(output.array)
        scores, classes = output.array, target.array
        # An ignored target has no score; it is left out below.
        classes = xp.where(classes == self.ignored, 0, classes)
        own = xp.take_along_axis(scores, intp(classes[:, None]), axis=1)
        # A tie goes to the class with the smaller index, as argmax has it.
        along = (1, -1) + (1,) * (scores.ndim - 2)
        indices = xp.reshape(xp.arange(scores.shape[1], device=scores.device), along)
        earlier = indices < classes[:, None]
        above = xp.sum(xp.astype((scores > own) | ((scores == own) & earlier), xp.int64), axis=1)
        right = Tensor(xp.reshape(above < self.k, (-1,)))
        self._keep(right, target.reshape(-1) != self.ignored)

    def compute(self) -> float:
        """Return the value over all that was taken in."""
        return _share(*self._joined())


class _OfConfusion(Gathered):
    """A metric of predicted and true classes alone."""

    classes = 0

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.classes = 0

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in a batch."""
        predicted, true, classes = _predicted(self, output, target)
        self.classes = max(self.classes, classes)
        self._keep(predicted, true)

    def confusion(self) -> Integers:
        """Return the counts, true classes in rows and predicted ones in columns."""
        predicted, true = self._joined()
        counts = true != self.ignored
        predicted, true = predicted[counts], true[counts]
        return confusion_matrix(true, predicted, self.classes)

    def per_class(self) -> npt.NDArray[np.float64]:
        """Return the value of each class."""
        return precision_recall_f1(self.confusion())[self.name]

    def compute(self) -> float:
        """Return the value over all that was taken in."""
        return float(self.per_class().mean())


class Precision(_OfConfusion):
    """Of the samples predicted as a class the share that are of it; the mean over classes."""

    name = "precision"


class Recall(_OfConfusion):
    """Of the samples of a class the share predicted as it; the mean over classes."""

    name = "recall"


class F1(_OfConfusion):
    """The harmonic mean of a class's precision and recall; the mean over classes."""

    name = "f1"


class _OfNumbers(Gathered):
    higher_is_better = False

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in a batch."""
        if output.shape != target.shape:
            raise ShapeError(
                f"{self.name}: outputs {output.shape} and targets {target.shape} must have one "
                "shape"
            )
        same_device(self.name, output=output.array, target=target.array)
        self._keep(output, target)

    def _numbers(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        output, target = self._joined()
        return output.astype(np.float64), target.astype(np.float64)


class MSE(_OfNumbers):
    """The mean of (output − target)²."""

    name = "mse"

    def compute(self) -> float:
        """Return the value over all that was taken in."""
        output, target = self._numbers()
        return float(np.mean((output - target) ** 2))


class MAE(_OfNumbers):
    """The mean of |output − target|."""

    name = "mae"

    def compute(self) -> float:
        """Return the value over all that was taken in."""
        output, target = self._numbers()
        return float(np.mean(np.abs(output - target)))


class R2(_OfNumbers):
    """1 − Σ(output − target)² / Σ(target − mean)²: 1 is perfect, 0 no better than the mean.

    >>> R2()(np.array([[1.0], [2.0]]), np.array([[1.0], [2.0]]))
    1.0
    """

    name = "r2"
    higher_is_better = True

    def compute(self) -> float:
        """Return the value over all that was taken in."""
        output, target = self._numbers()
        left = float(np.sum((output - target) ** 2))
        spread = float(np.sum((target - target.mean(axis=0)) ** 2))
        if spread == 0.0:
            return 1.0 if left == 0.0 else 0.0
        return 1.0 - left / spread


METRICS: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "top5": TopK,
    "precision": Precision,
    "recall": Recall,
    "f1": F1,
    "mse": MSE,
    "mae": MAE,
    "r2": R2,
}


def as_metrics(wanted: Iterable[str | Metric]) -> list[Metric]:
    """Return a list of metrics; one that is given by name is made here.

    Raises:
        ConfigurationError: if there is none of a name.
    """
    if isinstance(wanted, (str, Metric)):
        wanted = [wanted]
    made = []
    for item in wanted:
        if isinstance(item, str):
            if item not in METRICS:
                raise ConfigurationError(
                    f"there is no metric {item!r}; choose from {', '.join(METRICS)}"
                )
            item = METRICS[item]()
        made.append(item)
    return made


def confusion_matrix(true: Any, predicted: Any, classes: int) -> Integers:
    """Count how often each class (rows) was predicted as each (columns): (K, K) int64.

    >>> confusion_matrix([0, 1, 1], [0, 1, 0], 2)
    array([[1, 0],
           [1, 1]])
    """
    rows, columns = np.asarray(true, np.int64), np.asarray(predicted, np.int64)
    if rows.shape != columns.shape or rows.ndim != 1:
        raise ShapeError(f"expected two lists of one length, got {rows.shape} and {columns.shape}")
    for indices in (rows, columns):
        if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < classes:
            raise ShapeError(f"class indices must be from 0 to {classes - 1}")
    counts = np.bincount(intp(rows * classes + columns), minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def precision_recall_f1(confusion: Integers) -> dict[str, npt.NDArray[np.float64]]:
    """Return precision, recall and F1 of each class, 0 where a class was never seen or predicted.

    >>> found = precision_recall_f1(np.array([[1, 0], [1, 1]]))
    >>> found["precision"], found["recall"]
    (array([0.5, 1. ]), array([1. , 0.5]))
    """
    right = np.diag(confusion).astype(np.float64)
    predicted, true = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(true, 1)
    both = precision + recall
    f1 = np.where(both > 0.0, 2.0 * precision * recall / np.where(both > 0.0, both, 1.0), 0.0)
    return {"precision": precision, "recall": recall, "f1": f1}
