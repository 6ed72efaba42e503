"""``checkup``: whether a model, with a given loss and data, can learn at all.

Most training that fails does so for one of a dozen reasons that show on a single batch. Each has a
check here. Weights, gradients, modes and the random generator are restored afterwards.
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
from nnscratch.train.evaluation import device_of_model
from nnscratch.verify.checkups.data_checks import (
    BroadcastRecorder,
    check_broadcasting,
    check_inputs,
    check_targets,
)
from nnscratch.verify.checkups.forward_checks import (
    ActivationRecorder,
    check_activations,
    check_graph,
    check_initial_loss,
)
from nnscratch.verify.checkups.gradient_checks import (
    check_gradients,
    check_sample_independence,
    check_update,
)
from nnscratch.verify.checkups.overfitting import overfit_batch
from nnscratch.verify.checkups.report import CheckupReport


class TrainingSetup:
    """The subject of a check-up: a model, its loss and one batch.

    Attributes:
        model: the model.
        loss: the loss, called as ``loss(output, target)``.
        x: the inputs of the batch.
        y: the targets of the batch.
        report: the symptoms found so far.
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
    r"""Check a model with its loss on one batch for the usual reasons why training fails.

    It checks: the inputs (scale, NaN, constant columns) and targets (shape, dtype, range, balance);
    the initial loss against that of a model that has learned nothing ($\ln K$ for K classes,
    $\ln 2$ for two, the variance of the targets for a squared error); softmax applied twice; dead
    or saturated units; parameters without a gradient, vanishing or exploding gradients; outputs
    that depend on other samples; the size of an update against that of the weights; and whether
    the model can overfit one batch.

    Args:
        model: the model.
        loss: called as ``loss(model(x), y)``.
        x: inputs (N, ...), a tensor, an array or nested lists. As in ``fit``, they and their
            targets are moved to the device of the model.
        y: the targets (N, ...).
        optimizer: the optimizer of the model, if its step is to be measured; its state is restored.
        steps: how many steps to take to overfit a batch; 0 leaves that check out.
        samples: how many samples of x and y to use, from the first.

    Returns:
        A report, which is true if no symptom is a fault.

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
    setup = TrainingSetup(model, loss, inputs, targets)
    with _restoring(model):
        _run_checks(setup, optimizer, steps)
    setup.report.sort()
    return setup.report


def _run_checks(setup: TrainingSetup, optimizer: Any, steps: int) -> None:
    report = setup.report
    check_inputs(report, setup.x)
    if len(setup.x) == 0:
        return
    if not setup.model.training:
        report.add(
            "eval mode", "warning", "The model is in evaluation mode: dropout does nothing.",
            "Call model.train() before training.",
        )  # fmt: skip
    setup.model.train()
    activations, broadcasts = ActivationRecorder(), BroadcastRecorder()
    try:
        setup.model.zero_grad()
        with registry.observing(activations):
            output = setup.model(setup.x)
            check_targets(report, setup.loss, output, setup.y)
            with registry.observing(broadcasts):
                value = setup.loss(output, setup.y)
    except NNScratchError as error:
        report.add("does not run", "fault", f"The loss cannot be computed: {error}")
        return
    check_broadcasting(report, broadcasts, output, setup.y)
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
    check_initial_loss(report, setup.loss, output, value, setup.y)
    check_graph(report, value, output)
    check_activations(report, activations)
    if not value.requires_grad:
        report.add(
            "no graph", "fault", "The loss depends on no parameter with requires_grad=True.",
            "Do not detach, and do not compute the forward under no_grad().",
        )  # fmt: skip
        return
    value.backward()
    check_gradients(report, setup.model)
    if optimizer is not None:
        check_update(report, setup.model, optimizer)
    check_sample_independence(report, setup.model, setup.x)
    if steps:
        overfit_batch(report, setup.model, setup.loss, setup.x, setup.y, steps)


def _copy(tensor: Tensor) -> Any:
    return np.array(to_numpy(tensor.array))


@contextmanager
def _restoring(model: Module) -> Iterator[None]:
    """Restore weights, buffers, gradients, modes and the random generator at the end."""
    held = [*model.parameters(), *model.buffers()]
    values = [(t, _copy(t), t.grad, t.grad_slot) for t in held]
    grads = [None if grad is None else _copy(grad) for _, _, grad, _ in values]
    modes = [(m, m.training) for m in model.modules()]
    random = default_generator.state()
    try:
        for tensor in held:
            # The gradients of the check-up must not be written into the optimizer's buffer.
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
