"""Evaluation and prediction: a pass over data that changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.array import device_of, to_numpy
from nnscratch.array.device import current
from nnscratch.data import DataLoader, IterableDataset, TensorDataset
from nnscratch.errors import ConfigurationError
from nnscratch.nn import Module
from nnscratch.tensors import Tensor
from nnscratch.tensors.tape import no_grad
from nnscratch.train.inputs import for_model
from nnscratch.train.losses import gives_probabilities, loss_for, same_but_one
from nnscratch.train.metrics import Metric, as_metrics
from nnscratch.train.step import counts_hits

EVALUATION_BATCH = 1024


@dataclass
class _Use:
    """A model that is being evaluated: the modes before, and by how many threads."""

    before: dict[Module, bool]
    threads: int = 0


_USES: dict[int, _Use] = {}
_LOCK = threading.Lock()


def as_loader(data: Any, batch_size: int, device: Any = None, **options: Any) -> DataLoader:
    """Return a loader of data given as a loader, a data set, a tensor, or a tuple of arrays.

    Arrays and tensors are moved to the device at once.

    Raises:
        ConfigurationError, DataError, DeviceError: if they are nothing to load from.
    """
    if isinstance(data, DataLoader):
        return data
    if isinstance(data, (tuple, list)):
        data = TensorDataset(*data)
    elif isinstance(data, (Tensor, np.ndarray)):
        data = TensorDataset(data)
    elif isinstance(data, IterableDataset):
        options.pop("shuffle", None)  # its order is its own
    elif not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise ConfigurationError(
            "data must be a DataLoader, a data set, or a tuple of arrays (X, y); got "
            f"{type(data).__name__}"
        )
    if device is not None and isinstance(data, TensorDataset):
        data = data.to(device)
    return DataLoader(data, batch_size, **options)


def check_loader(loader: DataLoader, accumulate: int) -> None:
    """Check that a loader can be trained with: an epoch's batches are counted beforehand.

    Raises:
        ConfigurationError: if their number is not known, or, to accumulate, their sizes.
    """
    try:
        len(loader)
    except TypeError:
        raise ConfigurationError(
            "training needs to know how many batches an epoch has: give the "
            f"{type(loader.dataset).__name__}, or the sampler, a __len__"
        ) from None
    if accumulate > 1 and not loader.sized:
        raise ConfigurationError(
            "accumulate weights each batch by its size, which a batch_sampler or ready-made "
            "batches do not say beforehand; use batch_size, or accumulate=1"
        )


def device_of_model(model: Module) -> Any:
    """Return the device of a model's first parameter, None if it has none."""
    first = next(model.parameters(), None)
    return None if first is None else first.device


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Put a model into evaluation mode, and every layer of it back into the mode it was in.

    Of several threads that evaluate one model, the last one to finish puts it back.
    """
    with _LOCK:
        use = _USES.get(id(model))
        if use is None:
            before = {module: module.training for module in model.modules()}
            use = _USES[id(model)] = _Use(before)
            model.eval()
        use.threads += 1
    try:
        with no_grad(), current(device_of_model(model) or "cpu"):
            yield
    finally:
        with _LOCK:
            use.threads -= 1
            if use.threads == 0:
                del _USES[id(model)]
                model.train(use.before[model])
                for module, training in use.before.items():
                    module.training = training


def evaluate(
    model: Module,
    data: Any,
    *,
    loss: Any = None,
    metrics: Iterable[str | Metric] = (),
    batch_size: int = EVALUATION_BATCH,
) -> dict[str, float]:
    """Return the mean loss, the accuracy if targets are classes, and the metrics, over some data.

    Args:
        model: in whatever mode; it is evaluated in evaluation mode, on the device it is on.
        data: a loader, a data set or a tuple (X, y).
        loss: a function, a module or a name; None for cross-entropy with integer targets and mean
            squared error with others. What class weights and label smoothing a training had, this
            loss has only if it is given that of the training, ``trainer.loss``.
        metrics: names or metrics.

    Raises:
        ConfigurationError, DataError, ShapeError: if data, model and metrics do not fit.

    >>> from nnscratch import nn
    >>> data = (np.ones((4, 3)), np.array([0, 1, 0, 1]))
    >>> sorted(evaluate(nn.Linear(3, 2), data))
    ['accuracy', 'loss']
    """
    device = device_of_model(model)
    loader = as_loader(for_model(model, data), batch_size, device)
    judged = as_metrics(metrics)
    function: Callable[[Any, Any], Any] | None = None
    for metric in judged:
        metric.reset()
    total: Any = 0.0
    right: Any = None
    samples = 0
    with evaluating(model):
        for x, y in batches(loader, device):
            output = model(x)
            if function is None:
                function = loss_for(loss, output, y)
                for metric in judged:
                    metric.of_probabilities = gives_probabilities(function)
            total = total + function(output, y).double() * len(y)
            if counts_hits(output, y):
                right = (output.argmax(-1) == y).sum() + (0 if right is None else right)
            samples += len(y)
            if judged and y.shape != output.shape and same_but_one(output.shape, y.shape):
                y = y.reshape(output.shape)
            for metric in judged:
                metric.update(output, y)
    found = {"loss": total.item() / samples}
    if right is not None:
        found["accuracy"] = right.item() / samples
    return found | {metric.name: metric.compute() for metric in judged}


def as_pair(batch: Any, device: Any) -> Sequence[Tensor]:
    """Return a batch (x, y) on a device.

    Raises:
        ConfigurationError: if it is no pair of tensors.
    """
    if not isinstance(batch, (list, tuple)) or len(batch) != 2:
        raise ConfigurationError(
            "training and evaluation need batches of inputs and targets, (x, y), got "
            f"{_in_words(batch)}; a collate_fn of the DataLoader can make such pairs of others"
        )
    for item in batch:
        if not isinstance(item, Tensor):
            raise ConfigurationError(
                "training and evaluation need batches of two tensors, (x, y), got one of "
                f"{type(batch[0]).__name__} and {type(batch[1]).__name__}"
            )
    if device is None or all(device_of(item.array) == device for item in batch):
        return batch
    return [item.to(device=device) for item in batch]


def _in_words(batch: Any) -> str:
    if isinstance(batch, (list, tuple)):
        return f"{len(batch)} tensors a batch"
    if isinstance(batch, dict):
        return f"dictionaries of {', '.join(map(repr, batch))}"
    return f"a {type(batch).__name__} a batch"


def batches(loader: DataLoader, device: Any) -> Iterator[Sequence[Tensor]]:
    """Yield every batch (x, y) on a device.

    Raises:
        ConfigurationError: if the batches are not pairs.
    """
    for batch in loader.on(device):
        yield as_pair(batch, device)


def predict(model: Module, data: Any, *, batch_size: int = EVALUATION_BATCH) -> npt.NDArray[Any]:
    """Return the model's outputs for all samples, on the host.

    Args:
        model: in whatever mode; it predicts in evaluation mode, on the device it is on.
        data: an array or tensor of inputs, a data set or a loader; targets in it are passed over.

    >>> from nnscratch import nn
    >>> predict(nn.Linear(3, 2), np.ones((4, 3))).shape
    (4, 2)
    """
    device = device_of_model(model)
    loader = as_loader(for_model(model, data), batch_size, device)
    outputs = []
    with evaluating(model):
        for batch in loader.on(device):
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            if not isinstance(x, Tensor):
                raise ConfigurationError(f"predict needs batches of tensors, got {_in_words(x)}")
            x = x if device is None else x.to(device=device)
            outputs.append(model(x).array)
    if len(outputs) == 1:
        return to_numpy(outputs[0])
    return np.concatenate([to_numpy(one) for one in outputs])
