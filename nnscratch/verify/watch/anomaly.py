r"""``detect_anomaly``: the first formula that makes a NaN or an infinity out of finite numbers.

A loss that turns NaN says nothing of where it began: one $0 \cdot \infty$ spreads through all that
follows. So every forward, backward and update is looked at as it happens, and the first one whose
output is not finite, though its inputs are, is reported with its layer and its inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnscratch.array import is_array, is_floating
from nnscratch.errors import NonFiniteError
from nnscratch.formulas import registry
from nnscratch.formulas.observing import Call
from nnscratch.graph import LayerTracker
from nnscratch.verify.watch.causes import likely_cause
from nnscratch.verify.watch.statistics import Statistics, statistics


class AnomalyError(NonFiniteError):
    """The first formula that made a NaN or an infinity.

    Attributes:
        formula: its name.
        direction: "forward", "backward" or "update".
        where: the path of its layer with the layer in words, "" outside of all modules.
        statistics: of its inputs (for a backward dY and what was saved), then of its outputs.
        cause: the likely cause in a sentence.
    """

    def __init__(
        self, call: Call, where: str, inputs: list[Statistics], outputs: list[Statistics]
    ) -> None:
        self.formula = call.formula.name
        self.direction = call.direction
        self.where = where
        self.statistics = [*inputs, *outputs]
        self.cause = likely_cause(call, inputs, outputs)
        bad = next(s for s in outputs if not s.finite)
        # A forward's layer is put in front when the error leaves the module.
        kind = "NaN" if bad.nans else "an infinity"
        lines = [
            f"{self.formula} {self.direction} made {kind} out of finite numbers"
            + (f" in {where}" if where and self.direction == "backward" else "")
            + f". {self.cause}"
        ]
        lines += [f"  {s}" for s in inputs]
        lines += [f"  -> {s}" for s in outputs]
        super().__init__("\n".join(lines))


class _Watch(LayerTracker):
    """Raises at the first output that is not finite though the inputs are."""

    def __init__(self, check_inputs: bool) -> None:
        super().__init__()
        self.check_inputs = check_inputs

    def on_call(self, call: Call) -> None:
        """Look at one call; cheap as long as everything is finite."""
        layer = self.layer_of(call)
        if all(_finite(array) for array in call.outputs):
            return
        inputs = [statistics(name, array) for name, array in named_inputs(call) if _number(array)]
        if call.direction == "update":
            inputs = []  # they are overwritten by now
        elif not all(s.finite for s in inputs) and not self.check_inputs:
            return
        outputs = [
            statistics(name, array) for name, array in named_outputs(call) if _floating(array)
        ]
        raise AnomalyError(call, "" if layer is None else layer.label, inputs, outputs)


def named_inputs(call: Call) -> list[tuple[str, Any]]:
    """Return the names and values of what a call was given."""
    if call.direction == "backward":
        fields = getattr(type(call.saved), "_fields", ())
        given = call.inputs[: len(call.inputs) - len(call.saved)]
        names = [f"d{name}" for name in call.formula.output_names(len(given))]
        return [*zip(names, given, strict=True), *zip(fields, call.saved, strict=False)]
    inputs = call.formula.inputs
    if call.formula.variadic:
        return [(f"{inputs[0]}[{i}]", value) for i, value in enumerate(call.inputs)]
    return list(zip(inputs, call.inputs, strict=False))


def named_outputs(call: Call) -> list[tuple[str, Any]]:
    """Return the names and values of what a call returned; the gradient of X is dX."""
    if call.direction == "forward":
        names = call.formula.output_names(len(call.outputs))
        return list(zip(names, call.outputs, strict=True))
    changed = call.formula.updates if call.direction == "update" else call.formula.inputs
    if call.formula.variadic:
        changed = tuple(f"{changed[0]}[{i}]" for i in range(len(call.outputs)))
    lead = "" if call.direction == "update" else "d"
    return [(lead + name, value) for name, value in zip(changed, call.outputs, strict=False)]


def _number(value: Any) -> bool:
    """Say whether a value is an array of floats, or a float that is not finite."""
    return _floating(value) or (isinstance(value, float) and not math.isfinite(value))


def _floating(value: Any) -> bool:
    return is_array(value) and is_floating(value)


def _finite(value: Any) -> bool:
    if not _floating(value):
        return True
    from nnscratch.array import array_namespace

    xp = array_namespace(value)
    return bool(xp.all(xp.isfinite(value)))


@contextmanager
def detect_anomaly(check_inputs: bool = False) -> Iterator[None]:
    """Raise at the first forward, backward or update that makes a NaN or an infinity.

    Compiled steps run eagerly inside the block. It costs a pass over every output.

    Args:
        check_inputs: raise also where the inputs of the first such formula are not finite already,
            so that NaN in the data is reported too.

    Raises:
        AnomalyError: a NonFiniteError with the formula, the layer, statistics of the inputs and a
            likely cause.

    >>> import nnscratch
    >>> x = nnscratch.tensor([1.0, 0.0])
    >>> try:
    ...     with detect_anomaly():
    ...         x.log().sum()
    ... except NonFiniteError as error:
    ...     print(error.cause)
    The logarithm of 0 is minus infinity: 1 of the inputs is 0.
    """
    with registry.observing(_Watch(check_inputs)):
        yield
