"""Evaluation and prediction: passes over data that change neither the model nor its mode."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.array.device import current
from nnscratch.array.random import row_scope
from nnscratch.data import DataLoader, IterableDataset, StackDataset, TensorDataset
from nnscratch.errors import ConfigurationError
from nnscratch.graph.nested import mapped
from nnscratch.nn import Module
from nnscratch.parallel.world import World
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.train.batches import (
    Rearrange,
    arranged,
    batches,
    check_call,
    inputs_of,
    parts_of,
    samples_in,
    target_of,
)
from nnscratch.train.inputs import for_model
from nnscratch.train.losses import gives_probabilities, ignored_by, loss_for, same_but_one
from nnscratch.train.metrics import Gathered, Metric, as_metrics
from nnscratch.train.step import OwnStep, Totals, counts_hits, make_forward

EVALUATION_BATCH = 1024


@dataclass
class _EvaluatedModule:
    """The mode to which a module returns when its last evaluation ends.

    Attributes:
        before: ``training`` before the first evaluation began.
        users: how many evaluations, of several models or threads, are running.
    """

    before: bool
    users: int = 0


# The keys are weak references, so that an entry disappears with its module.
_modes: WeakKeyDictionary[Module, _EvaluatedModule] = WeakKeyDictionary()
_lock = threading.Lock()


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
    elif isinstance(data, dict):
        columns = TensorDataset(*data.values())
        columns = columns if device is None else columns.to(device)
        data = StackDataset(**dict(zip(data, columns.tensors, strict=True)))
    elif isinstance(data, (Tensor, np.ndarray)):
        column = TensorDataset(data)
        (data,) = (column if device is None else column.to(device)).tensors
    elif isinstance(data, IterableDataset):
        options.pop("shuffle", None)  # its order is its own
    elif not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise ConfigurationError(
            "data must be a DataLoader, a data set, a tuple of arrays (X, y) or a dictionary of "
            f"arrays; got {type(data).__name__}"
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
    modules = list(model.modules())
    with _lock:
        for module in modules:
            _modes.setdefault(module, _EvaluatedModule(module.training)).users += 1
        model.eval()
    try:
        with no_grad(), current(device_of_model(model) or "cpu"):
            yield
    finally:
        with _lock:
            done = {}
            for module in modules:
                _modes[module].users -= 1
                if not _modes[module].users:
                    done[module] = _modes.pop(module).before
            # What others still evaluate stays as it is.
            modes = {module: done.get(module, module.training) for module in modules}
            if model in done:
                model.train(done[model])
            for module, training in modes.items():
                module.training = training


def evaluate(
    model: Module,
    data: Any,
    *,
    loss: Any = None,
    metrics: Iterable[str | Metric] = (),
    batch_size: int = EVALUATION_BATCH,
    batch: Rearrange | None = None,
    step: OwnStep | None = None,
    world: World | None = None,
) -> dict[str, float]:
    """Return the mean loss, the accuracy if targets are classes, and the metrics, over some data.

    Args:
        model: in whatever mode; it is evaluated in evaluation mode, on the device it is on.
        data: a loader, a data set, a tuple (X, y) or (X1, X2, ..., y), or a dictionary of arrays;
            what of it is input and what target is said under ``fit``.
        loss: a function, a module or a name; None for cross-entropy with integer targets and mean
            squared error with others. What class weights and label smoothing a training had, this
            loss has only if it is given that of the training, ``trainer.loss``.
        metrics: names or metrics.
        batch: as for ``Trainer``.
        step: as for ``Trainer``; in the place of ``loss``.
        world: the processes that evaluate together, each some of the batches; all get the same
            result, that of one process. A metric of one's own, or a model that draws random
            numbers in evaluation, has every process take all batches.

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
    for metric in judged:
        metric.reset()
    forward = None if step is None else make_forward(model, None, step)
    totals, sums = Totals(), []
    size, rank = (1, 0) if world is None else (world.size, world.rank)
    if not all(isinstance(metric, Gathered) for metric in judged):
        size, rank = 1, 0
    with evaluating(model), row_scope(0, 0, 0) as scope:
        arrange: Rearrange | None = None
        for number, item in enumerate(batches(loader, device, batch)):
            if number and number % size != rank:
                continue
            drawn = len(scope.drawn)
            if step is None:
                if forward is None:
                    arrange = arranged(model, item)
                item = item if arrange is None else arrange(item)
                inputs, keywords, target = parts_of(item)
                if forward is None:
                    check_call(model, inputs, keywords, item)
                output = model(*inputs, **keywords)
                if forward is None:
                    loss = loss_for(loss, output, target)
                    forward = make_forward(model, loss)
                    totals.ignored = ignored_by(loss)
                    for metric in judged:
                        metric.of_probabilities = gives_probabilities(loss)
                        metric.ignored = totals.ignored
                value = loss(output, target)
            else:
                assert forward is not None
                value, output = forward(item)
                target = target_of(item)
            if not number and len(scope.drawn) > drawn:
                # The model draws random numbers, each batch its own: so every process takes all.
                size, rank = 1, 0
            if number % size != rank:
                continue  # the first batch, by which all choose the loss
            totals.classes = counts_hits(output, target)
            totals.take(value, output, target, samples_in(item))
            for metric in judged:
                metric.update(*_comparable(metric, output, target))
            if size > 1:
                sums.append(totals.state_dict())
                totals.reset()
    if world is not None and size > 1:
        totals = _put_together(world, totals, sums, judged)
    return totals.read() | {metric.name: metric.compute() for metric in judged}


def _put_together(
    world: World, totals: Totals, sums: list[dict[str, Any]], metrics: list[Metric]
) -> Totals:
    """Return the sums over all processes' batches, added in the order of the batches."""
    own = [metric for metric in metrics if isinstance(metric, Gathered)]
    world.place = "the end of an evaluation"
    found = world.gather((sums, [metric.state() for metric in own]))
    made, most = Totals(totals.ignored), max(len(one) for one, _ in found)
    for turn in range(most):
        for theirs, _ in found:
            if turn < len(theirs):
                made.add_state(theirs[turn])
    for index, metric in enumerate(own):
        metric.put_together([states[index] for _, states in found])
    return made


def _comparable(metric: Metric, output: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Return an output and its target as a metric takes them.

    Raises:
        ConfigurationError: if they are not one tensor each.
    """
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        raise ConfigurationError(
            f"{metric.name} compares one tensor of outputs with one of targets; got "
            f"{type(output).__name__} and {type(target).__name__}. Leave the metric out, or give "
            "one of your own, derived from nnscratch.train.Metric, whose update takes tensors"
        )
    if target.shape != output.shape and same_but_one(output.shape, target.shape):
        target = target.reshape(output.shape)
    return output, target


def predict(
    model: Module,
    data: Any,
    *,
    batch_size: int = EVALUATION_BATCH,
    batch: Rearrange | None = None,
) -> Any:
    """Return the model's outputs for all samples, on the host.

    Args:
        model: in whatever mode; it predicts in evaluation mode, on the device it is on.
        data: an array or tensor of inputs, a tuple or dictionary of them, a data set or a loader;
            targets in it are passed over: the last item of a tuple, unless it is the only one or
            the model's ``forward`` needs as many arguments, and a dictionary's, as in ``fit``.
        batch: makes what the model is given, (input, ...) or a dictionary, of each batch.

    Returns:
        An array (N, ...); of a model with several outputs a tuple or dictionary of arrays.

    >>> from nnscratch import nn
    >>> predict(nn.Linear(3, 2), np.ones((4, 3))).shape
    (4, 2)
    """
    device = device_of_model(model)
    loader = as_loader(for_model(model, data), batch_size, device)
    outputs = []
    with evaluating(model):
        for item in batches(loader, device, batch):
            inputs, keywords = inputs_of(item, model)
            outputs.append(mapped(_on_host, model(*inputs, **keywords)))
    return outputs[0] if len(outputs) == 1 else _joined(outputs)


def _on_host(item: Any) -> Any:
    return to_numpy(item.array) if isinstance(item, Tensor) else item


def _joined(outputs: Sequence[Any]) -> Any:
    """Put the outputs for several batches together: arrays along their first axis."""
    first = outputs[0]
    if isinstance(first, dict):
        return {name: _joined([one[name] for one in outputs]) for name in first}
    if isinstance(first, (list, tuple)):
        columns = [_joined(column) for column in zip(*outputs, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
    if isinstance(first, np.ndarray):
        return np.concatenate(outputs) if first.ndim else np.stack(outputs)
    return list(outputs)
