"""``checkup``: can this model, with this loss and these data, learn at all?

Most training that fails does so for one of a dozen reasons that a look at one batch reveals. Each
is looked for here, on a copy of everything that training changes: weights, gradients, modes and the
random generator are as before when it returns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError, NNScratchError
from nnscratch.formulas import registry
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.train.evaluate import device_of_model
from nnscratch.verify.checkups.data_checks import (
    Meetings,
    look_at_broadcasting,
    look_at_inputs,
    look_at_targets,
)
from nnscratch.verify.checkups.forward_checks import (
    Watch,
    look_at_graph,
    look_at_start,
    look_at_units,
)
from nnscratch.verify.checkups.gradient_checks import (
    look_at_gradients,
    look_at_mixing,
    look_at_update,
)
from nnscratch.verify.checkups.overfitting import learn_by_heart
from nnscratch.verify.checkups.report import CheckupReport


class Patient:
    """What is examined: a model, its loss, and one batch.

    Attributes:
        model: the model.
        loss: the loss, called as ``loss(output, target)``.
        x: the inputs of the batch.
        y: its targets.
        report: what was found so far.
    """

    def __init__(self, model: Module, loss: Callable[..., Any], x: Tensor, y: Tensor) -> None:
        self.model, self.loss, self.x, self.y = model, loss, x, y
        self.report = CheckupReport(type(model).__name__)


def checkup(
    model: Module,
    loss: Callable[..., Any],
    x: Any,
    y: Any,
    *,
    optimizer: Any = None,
    steps: int = 150,
    samples: int = 256,
) -> CheckupReport:
    r"""Examine a model with its loss on a batch, before hours of training go into it.

    Looked at: the inputs (scale, NaN, constant columns) and targets (shape, dtype, range, balance);
    the loss at the start against what ignorance costs ($\ln K$ for K classes, $\ln 2$ for yes or
    no, the variance of the targets for a squared error); softmax applied twice; units that are dead
    or saturated; parameters that get no gradient, gradients that vanish or explode; samples that
    mix; the size of an update against that of the weights; and whether one batch can be learned by
    heart.

    Args:
        model: the model.
        loss: called as ``loss(model(x), y)``.
        x: inputs, the batch first; arrays and lists are taken too. As in ``fit``, they and their
            targets are moved to where the model is.
        y: their targets.
        optimizer: the optimizer of the model, to measure its step; its state is put back.
        steps: how many steps to try to learn a batch by heart; 0 leaves that out.
        samples: how many samples to take.

    Returns:
        A report that is true if nothing stands in the way.

    Raises:
        ConfigurationError: if the model is no module of nnscratch, or the loss is a class.

    >>> import nnscratch
    >>> from nnscratch import nn
    >>> x = nnscratch.randn(64, 4)
    >>> y = (x[:, 0] > 0).long()
    >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2), nn.Softmax(dim=1))
    >>> "softmax twice" in checkup(model, nn.CrossEntropyLoss(), x, y).kinds()
    True
    """
    if not isinstance(model, Module):
        raise ConfigurationError(
            f"checkup takes a module of nnscratch, got {type(model).__module__}."
            f"{type(model).__name__}"
        )
    if inspect.isclass(loss):
        raise ConfigurationError(
            f"checkup takes a loss that can be called with (output, target), not the class "
            f"{loss.__name__}; write {loss.__name__}()"
        )
    device = device_of_model(model)
    inputs, targets = (as_tensor(one).detach()[:samples].to(device=device) for one in (x, y))
    patient = Patient(model, loss, inputs, targets)
    with _kept(model):
        _examine(patient, optimizer, steps)
    patient.report.sort()
    return patient.report


def _examine(patient: Patient, optimizer: Any, steps: int) -> None:
    report = patient.report
    look_at_inputs(report, patient.x)
    if len(patient.x) == 0:
        return
    if not patient.model.training:
        report.add(
            "eval mode", "warning", "The model is in evaluation mode: dropout does nothing.",
            "Call model.train() before training.",
        )  # fmt: skip
    patient.model.train()
    watch, meetings = Watch(), Meetings()
    try:
        patient.model.zero_grad()
        with registry.observing(watch):
            output = patient.model(patient.x)
            look_at_targets(report, patient.loss, output, patient.y)
            with registry.observing(meetings):
                value = patient.loss(output, patient.y)
    except NNScratchError as error:
        report.add("does not run", "fault", f"The loss cannot be computed: {error}")
        return
    look_at_broadcasting(report, meetings, output, patient.y)
    if not isinstance(value, Tensor):
        report.add(
            "loss is no number", "fault", f"The loss is a {type(value).__name__}, not a tensor.",
            "Return the tensor itself, without .item().",
        )  # fmt: skip
        return
    if value.numel() != 1:
        report.add(
            "loss is no number", "fault", f"The loss has shape {value.shape} and is no number.",
            'Take its mean: reduction="mean", or .mean().',
        )  # fmt: skip
        return
    look_at_start(report, patient.loss, output, value, patient.y)
    look_at_graph(report, value, output)
    look_at_units(report, watch)
    if not value.requires_grad:
        report.add(
            "no graph", "fault", "The loss depends on no parameter that asks for a gradient.",
            "Do not detach, and do not compute the forward under no_grad().",
        )  # fmt: skip
        return
    value.backward()
    look_at_gradients(report, patient.model)
    if optimizer is not None:
        look_at_update(report, patient.model, optimizer)
    look_at_mixing(report, patient.model, patient.x)
    if steps:
        learn_by_heart(report, patient.model, patient.loss, patient.x, patient.y, steps)


def _copy(tensor: Tensor) -> Any:
    return np.array(to_numpy(tensor.array))


@contextmanager
def _kept(model: Module) -> Iterator[None]:
    """Put weights, buffers, gradients, modes and the random generator back in the end."""
    held = [*model.parameters(), *model.buffers()]
    values = [(t, _copy(t), t.grad, t.grad_slot) for t in held]
    grads = [None if grad is None else _copy(grad) for _, _, grad, _ in values]
    modes = [(m, m.training) for m in model.modules()]
    random = default_generator.state()
    try:
        for tensor in held:
            # Gradients of the examination get arrays of their own.
            tensor.grad = tensor.grad_slot = None
        yield
    finally:
        with no_grad():
            for (tensor, value, grad, slot), content in zip(values, grads, strict=True):
                if not np.array_equal(to_numpy(tensor.array), value, equal_nan=True):
                    tensor.copy_(Tensor(value))
                if grad is not None and content is not None:
                    grad.copy_(Tensor(content))
                tensor.grad, tensor.grad_slot = grad, slot
        for module, training in modes:
            module.__dict__["training"] = training
        default_generator.set_state(random)
