"""Choosing a loss by the shapes of outputs and targets, for ``fit`` and ``evaluate``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nnscratch import nn
from nnscratch.array import to_numpy
from nnscratch.data import TensorDataset
from nnscratch.errors import ConfigurationError, DataError, ShapeError
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.train.choices import LOSSES, balanced_weights, choose, losses_for, make_loss
from nnscratch.train.step import IGNORED


def _modules(*tasks: str) -> tuple[type, ...]:
    """Return the modules of the losses that are for one of some tasks."""
    return tuple(getattr(nn, LOSSES[name]) for name in losses_for(*tasks))


def loss_for(
    loss: Any, output: Any, target: Any, class_weight: Any = None
) -> Callable[[Any, Any], Any]:
    """Return a loss, a function of output and target, for a model's outputs and its targets.

    A loss of numbers (by name or a module: mse, l1, huber, bce, ...) takes whole numbers and
    booleans for the numbers that they are, and targets (N,) for one output (N, 1). Against class
    indices (N,) and outputs (N, K), ``"mse"`` is of probabilities and one-hot classes. A function
    is taken as it is.

    Args:
        loss: as for ``make_loss``; None for cross-entropy with integer targets and mean squared
            error with others.
        output: what the model gives for some samples; a function may compare anything.
        target: their targets.
        class_weight: a weight for each class; two of them, of 0 and 1, for "bce" and
            "bce_with_logits".

    Raises:
        ConfigurationError: if there is no such loss, if it takes no class weights, or if None
            leaves open what is meant.
        ShapeError: if outputs and targets do not fit, for a loss by name.
    """
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        if callable(loss):
            return loss  # type: ignore[no-any-return]
        raise ConfigurationError(
            f"loss={loss!r} compares one tensor of outputs with one of targets, got one of "
            f"{type(output).__name__} and {type(target).__name__}: give loss=, a function of what "
            "the model returns and of the batch's target"
        )
    integers = np.dtype(target.dtype).kind in "iub"
    alike = same_but_one(output.shape, target.shape)
    if loss is None and integers and output.ndim == 2 and output.shape[1] == 1:
        raise ConfigurationError(
            "the model has one output and the targets are whole numbers: say what they are with "
            "loss='mse' (numbers to predict) or loss='bce_with_logits' (labels 0 and 1), or make "
            "them floating-point numbers"
        )
    if class_weight is not None and loss in losses_for("binary"):
        binary: Any = make_loss(loss)
        weights = np.asarray(class_weight, np.float32)
        if weights.shape != (2,):
            raise ConfigurationError(
                f"class_weight needs two weights for loss={loss!r}, of 0 and of 1; got shape "
                f"{weights.shape}"
            )
        return _AgainstNumbers(binary, (float(weights[0]), float(weights[1])))
    # A target of the output's shape holds probabilities or numbers, not class indices.
    dtype = None if alike and loss is not None else np.dtype(target.dtype)
    made = make_loss(loss, dtype, class_weight)
    if isinstance(made, nn.Module) and isinstance(made, _modules("regression", "binary")):
        if alike and (integers or output.shape != target.shape):
            return _AgainstNumbers(made)
        if not alike and output.ndim == 2 and target.ndim == 1 and not callable(loss):
            mend = (
                f"loss={loss!r} is of numbers, so give the model one output, or take "
                "loss='cross_entropy' for classes"
                if integers
                else "a number to predict needs a model with one output, and classes need targets "
                "that are whole numbers, y.astype(int)"
            )
            raise ShapeError(
                f"the outputs (N, {output.shape[1]}) and the targets (N,) do not fit: {mend}"
            )
    return made


def weights_of(class_weight: Any, output: Any, dataset: Any) -> Any:
    """Return weights of the classes; those of "balanced" are from the labels of a data set.

    Raises:
        ConfigurationError: for another word, or if the data set does not show its labels.
    """
    if not isinstance(class_weight, str):
        return class_weight
    choose(class_weight, ("balanced",), "class weighting")
    labels = targets_of(dataset)
    if labels is None or not isinstance(output, Tensor):
        raise ConfigurationError(
            "class_weight='balanced' counts the labels of arrays or a TensorDataset; for other "
            "data give the weights, as from balanced_weights(labels, classes)"
        )
    one = output.ndim == 1 or output.shape[1] == 1
    classes = labels.reshape(-1).astype(np.int64)
    return balanced_weights(classes[classes >= 0], 2 if one else output.shape[1])


def check_labels(loss: Any, dataset: Any) -> None:
    """Check that the targets of a binary cross-entropy are from 0 to 1, if they are in memory.

    Other labels, such as 1 and 2, would be trained on for nothing: the loss has no bound then.

    Raises:
        DataError: a target is not; the message says which, and in which row from 1.
    """
    targets = targets_of(dataset)
    if targets is None or not isinstance(getattr(loss, "loss", loss), _modules("binary")):
        return
    wrong = ((targets < 0) | (targets > 1)).reshape(len(targets), -1).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"binary cross-entropy: expected targets from 0 to 1, got {targets[row].tolist()} in "
            f"row {row + 1} ({int(wrong.sum()):,} such rows); ClassTarget.fit(y).transform(y) "
            "makes 0 and 1 of two labels"
        )


def targets_of(dataset: Any) -> npt.NDArray[Any] | None:
    """Return the targets of a data set in memory, its last array, as in its batches; else None."""
    if not isinstance(dataset, TensorDataset) or len(dataset.arrays) < 2:
        return None
    return to_numpy(dataset.arrays[-1])


def same_but_one(output: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Say whether two shapes are the same but for a last dimension of 1.

    >>> same_but_one((4, 1), (4,)), same_but_one((4, 2), (4,))
    (True, False)
    """
    return output in (target, (*target, 1)) or target == (*output, 1)


class _ClassLoss(NamedTuple):
    """What a cross-entropy or NLL divides its sum by: as a module, a function, or a partial one."""

    weight: Any = None
    ignore_index: int = IGNORED
    reduction: str = "mean"


_OF_CLASSES = (nn.CrossEntropyLoss, nn.NLLLoss, nn.LinearCrossEntropyLoss)
_FUNCTIONS = (nn.functional.cross_entropy, nn.functional.nll_loss)


def _of_classes(loss: Any) -> _ClassLoss | None:
    """Return the options of a loss of classes, None for another loss."""
    inner = getattr(loss, "loss", loss)
    if isinstance(inner, _OF_CLASSES):
        given = {name: getattr(inner, name, None) for name in _ClassLoss._fields}
    else:
        given = {}
        while isinstance(inner, partial) and not inner.args:
            given, inner = {**inner.keywords, **given}, inner.func
        if inner not in _FUNCTIONS:
            return None
    kept = {k: v for k, v in given.items() if k in _ClassLoss._fields and v is not None}
    return _ClassLoss(**kept)


def ignored_by(loss: Any) -> int:
    """Return the class index of targets that a loss ignores."""
    found = _of_classes(loss)
    if found is not None:
        return found.ignore_index
    own = getattr(getattr(loss, "loss", loss), "ignore_index", None)
    return IGNORED if own is None else int(own)


def is_sum(loss: Any) -> bool:
    """Say whether a loss is the sum over its targets, not a mean."""
    found = _of_classes(loss)
    inner: Any = getattr(loss, "loss", loss) if found is None else found
    given = inner.keywords if isinstance(inner, partial) else {}
    return bool(given.get("reduction", getattr(inner, "reduction", "mean")) == "sum")


def denominator_of(loss: Any, ignored: int | None) -> Callable[[Any], float] | None:
    """Return what the mean of a loss divides by, a function of targets; None if by their number.

    That is the sum of the weights of the targets' classes, without the ignored ones, in
    cross-entropy and NLL. A function or module of one's own, which divides by something else, has
    an attribute ``denominator``: a function of the target that returns it.

    Args:
        loss: a function of output and target.
        ignored: the class of targets that count for nothing, None if none of the data is of it.

    >>> weighted = nn.CrossEntropyLoss(weight=Tensor(np.array([1.0, 3.0])))
    >>> denominator_of(weighted, None)(Tensor(np.array([0, 1, 1])))
    7.0
    """
    own = getattr(loss, "denominator", None)
    if callable(own):
        return lambda target: float(own(target))
    found = _of_classes(loss)
    if found is None or (found.weight is None and ignored is None):
        return None

    def total(target: Any) -> float:
        labels = to_numpy(target.array)
        if labels.dtype.kind not in "iu":
            return float(len(labels))
        judged = labels[labels != found.ignore_index].astype(np.int64)
        if found.weight is None:
            return float(judged.size)
        values = to_numpy(as_tensor(found.weight).array).astype(np.float64)
        # What is out of range is refused by the loss itself.
        inside = judged[(judged >= 0) & (judged < values.size)]
        return float(np.sum(values[inside]))

    return total


def gives_probabilities(loss: Any) -> bool:
    """Say whether a loss is of probabilities of two classes, not of logits."""
    return isinstance(getattr(loss, "loss", loss), nn.BCELoss)


class _AgainstNumbers(nn.Module):
    """A regression loss, whose target is reshaped and cast to the shape and dtype of the output."""

    def __init__(self, loss: nn.Module, weights: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.weights = weights

    def forward(self, output: Tensor, target: Tensor) -> Any:
        target = target.to(output.dtype)
        if same_but_one(output.shape, target.shape):
            target = target.reshape(output.shape)
        if self.weights is None:
            return self.loss(output, target)
        low, high = self.weights
        function = (
            nn.functional.binary_cross_entropy
            if isinstance(self.loss, nn.BCELoss)
            else nn.functional.binary_cross_entropy_with_logits
        )
        return function(output, target, weight=target * (high - low) + low)
