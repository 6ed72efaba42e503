"""The part of a check-up that inspects inputs and targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.array.integers import intp
from nnscratch.formulas.observing import Call, Observer
from nnscratch.nn.derived_losses import losses
from nnscratch.tensors import Tensor
from nnscratch.verify.checkups.report import CheckupReport

# With fewer targets, an unbalanced batch may be chance.
MIN_TARGETS = 10


def names_of_losses(task: str) -> tuple[str, ...]:
    """Return the names of the functions and of the modules of losses for a task.

    >>> names_of_losses("classification")
    ('nll_loss', 'NLLLoss', 'cross_entropy', 'CrossEntropyLoss')
    """
    found = [(one.function, one.module) for _, one in losses() if one.task == task]
    return tuple(name for names in found for name in names)


CLASS_LOSSES = names_of_losses("classification")
BINARY_LOSSES = names_of_losses("binary")
NUMBER_LOSSES = names_of_losses("regression")


def loss_name(loss: Any) -> str:
    """Return the name of a loss: of its class, or of the function."""
    while hasattr(loss, "func"):  # functools.partial
        loss = loss.func
    return str(getattr(loss, "__name__", type(loss).__name__))


def host(tensor: Tensor) -> Any:
    """Return a tensor's values as NumPy in float64 (integers as they are)."""
    values = to_numpy(tensor.detach().array)
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def check_inputs(report: CheckupReport, x: Tensor) -> None:
    """Report inputs that are not finite, not scaled, integers, or constant."""
    values = host(x)
    if len(values) == 0:
        report.add("no data", "fault", "The batch is empty.")
        return
    if values.dtype.kind in "iu":
        report.add(
            "integer inputs", "note", f"The inputs are integers ({x.dtype}).",
            "Convert them with .float() unless the model looks them up in a table.",
        )  # fmt: skip
        values = values.astype(np.float64)
    elif values.dtype.kind != "f":
        return
    bad = int(np.sum(~np.isfinite(values)))
    if bad:
        report.add(
            "inputs not finite", "fault", f"{bad} of the {values.size} inputs are NaN or infinite.",
            "Fill or drop them before training.", value=float(bad),
        )  # fmt: skip
        return
    mean, spread = float(values.mean()), float(values.std())
    if spread == 0:
        report.add(
            "constant inputs", "fault", f"All inputs are {mean:.4g}: there is nothing to learn."
        )
        return
    if spread > 20 or abs(mean) > 10 * max(spread, 1e-12) or spread < 1e-2:
        report.add(
            "unscaled inputs", "warning",
            f"The inputs are not scaled: their mean is {mean:.4g}, their standard deviation "
            f"{spread:.4g}.",
            "Subtract the mean and divide by the standard deviation of the training data.",
            value=spread,
        )  # fmt: skip
    if values.ndim == 2:
        _check_columns(report, values)


def _check_columns(report: CheckupReport, values: Any) -> None:
    spreads = values.std(axis=0)
    constant = int(np.sum(spreads == 0))
    moving = spreads[spreads > 0]
    if constant and constant < 0.5 * len(spreads):
        report.add(
            "constant columns", "note",
            f"{constant} of the {len(spreads)} input columns are constant in this batch.",
            value=float(constant),
        )  # fmt: skip
    if moving.size > 1 and moving.max() > 1e3 * moving.min() and moving.max() > 10:
        report.add(
            "columns of different scale", "warning",
            f"The input columns differ in scale by a factor of {moving.max() / moving.min():.0f}.",
            "Standardise each column.", value=float(moving.max() / moving.min()),
        )  # fmt: skip


def check_targets(report: CheckupReport, loss: Any, output: Any, y: Tensor) -> None:
    """Report targets with a wrong shape, dtype or range, without scale, or unbalanced."""
    name = loss_name(loss)
    if not isinstance(output, Tensor):
        return
    n, m = output.shape, y.shape
    if name in (*NUMBER_LOSSES, *BINARY_LOSSES) and n != m and len(n) and len(m):
        _add_broadcast(report, n, m)
        return
    values = host(y)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        report.add("targets not finite", "fault", "Some targets are NaN or infinite.")
        return
    if name in CLASS_LOSSES and values.dtype.kind in "iu" and values.ndim == 1:
        _check_classes(report, values, n)
    elif name in BINARY_LOSSES:
        if values.min() < 0 or values.max() > 1:
            report.add(
                "targets out of range", "fault",
                f"{name} needs targets from 0 to 1; they go from {values.min():.4g} to "
                f"{values.max():.4g}.",
            )  # fmt: skip
        elif values.min() == values.max() and values.size >= MIN_TARGETS:
            report.add("one class", "warning", "All targets of the batch are the same.")
    elif name in NUMBER_LOSSES and values.size > 1:
        spread = float(values.std())
        if spread == 0 and values.size >= MIN_TARGETS:
            report.add("one class", "warning", "All targets of the batch are the same.")
        elif spread > 50 or abs(values.mean()) > 50 * spread:
            report.add(
                "unscaled targets", "warning",
                f"The targets are not scaled: their mean is {values.mean():.4g}, their standard "
                f"deviation {spread:.4g}.",
                "Standardise the targets, and scale predictions back.", value=spread,
            )  # fmt: skip


def _check_classes(report: CheckupReport, values: Any, shape: tuple[int, ...]) -> None:
    classes = shape[1] if len(shape) > 1 else 1
    known = values[(values >= 0)]
    if known.size and int(known.max()) >= classes:
        report.add(
            "targets out of range", "fault",
            f"There is a class {int(known.max())}, but the model has outputs for 0 to "
            f"{classes - 1} only.",
            f"Give the last layer {int(known.max()) + 1} outputs, or number the classes from 0.",
        )  # fmt: skip
        return
    counts = np.bincount(intp(known), minlength=classes)
    if counts.sum() < MIN_TARGETS:
        return
    if (counts > 0).sum() == 1:
        report.add(
            "one class", "warning", "All targets of the batch are of one class.",
            "Shuffle the data before taking batches.",
        )  # fmt: skip
    elif counts.max() > 0.9 * counts.sum():
        share = counts.max() / counts.sum()
        report.add(
            "unbalanced classes", "warning", f"{share:.0%} of the batch is of one class.",
            "Weigh the classes, and look at more than the accuracy.", value=float(share),
        )  # fmt: skip


class BroadcastRecorder(Observer):
    """An observer that records the shapes of the two operands of every formula that broadcasts."""

    def __init__(self) -> None:
        self.shapes: set[tuple[tuple[int, ...], ...]] = set()

    def on_call(self, call: Call) -> None:
        """Record the shapes of the operands."""
        if call.direction == "forward" and call.formula.pointwise and len(call.inputs) == 2:
            self.shapes.add(tuple(np.shape(value) for value in call.inputs))


def check_broadcasting(
    report: CheckupReport, broadcasts: BroadcastRecorder, output: Any, y: Tensor
) -> None:
    """Report a user-defined loss in which output and target broadcast to a larger shape."""
    if not isinstance(output, Tensor):
        return
    n, m = output.shape, y.shape
    combined = {(n, m), (m, n)} & broadcasts.shapes
    if combined and n != m and len(n) and len(m) and _broadcast(n, m) not in (n, m):
        _add_broadcast(report, n, m)


def _add_broadcast(report: CheckupReport, n: tuple[int, ...], m: tuple[int, ...]) -> None:
    wide = _broadcast(n, m)
    if wide is None:
        return  # the loss itself raises an error for them
    report.add(
        "broadcasting target", "fault",
        f"The output has shape {n} and the target {m}: subtracted, they would broadcast to "
        f"{wide}, and samples would be compared with others.",
        "Give the target the output's shape, for example y.reshape(-1, 1).",
    )  # fmt: skip


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None
