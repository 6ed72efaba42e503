"""The likely cause of a NaN or an infinity, from the formula and the statistics of its inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array import dtype_name, is_array, to_numpy
from nnscratch.array.bfloat16 import limits_of
from nnscratch.array.dtypes import FLOATS
from nnscratch.formulas.observing import Call
from nnscratch.verify.watch.statistics import Statistics

LARGE_WEIGHTS = (
    "The numbers have grown too large, as they do when the learning rate is too high; lower it, "
    "clip the gradients, or scale the inputs."
)


def likely_cause(call: Call, inputs: list[Statistics], outputs: list[Statistics]) -> str:
    """Return one sentence on why this call's output is not finite."""
    by_name = {s.name: s for s in inputs}
    if inputs and not all(s.finite for s in inputs):
        bad = next(s for s in inputs if not s.finite)
        return f"{bad.name} was not finite already: {bad.nans} NaN, {bad.infinities} infinite."
    rule = RULES.get(call.formula.name)
    found = rule(call, by_name) if rule is not None else None
    return (
        found
        or _overflow(call, inputs, outputs)
        or "No usual cause fits; look at the inputs below."
    )


def _overflow(call: Call, inputs: list[Statistics], outputs: list[Statistics]) -> str | None:
    """Explain results beyond the dtype's range."""
    if call.direction == "update":
        return LARGE_WEIGHTS
    largest = max((max(abs(s.low), abs(s.high)) for s in inputs), default=0.0)
    dtype = next((s.dtype for s in outputs if not s.finite), "float32")
    limit = float(limits_of(dtype).max) if dtype in FLOATS else np.inf
    if largest > np.sqrt(limit) * 1e-3:
        text = (
            f"The result is beyond the largest {dtype}, {limit:.2g}: inputs go up to {largest:.2g}."
        )
        return f"{text} {LARGE_WEIGHTS}"
    return None


def _count(number: int) -> str:
    return "1 of the inputs is" if number == 1 else f"{number} of the inputs are"


def _first(by_name: dict[str, Statistics], *names: str) -> Any:
    for name in names:
        if name in by_name:
            return by_name[name]
    return next((s for name, s in by_name.items() if name != "dY"), None)


def _log(call: Call, by_name: dict[str, Statistics]) -> str | None:
    X = _first(by_name, "X", "A")
    if X is None:
        return None
    if call.direction == "backward":
        return f"The derivative of the logarithm is 1/X, and {_count(X.zeros)} 0."
    if X.low < 0:
        return f"The logarithm of a negative number is NaN: the smallest input is {X.low:.4g}."
    return f"The logarithm of 0 is minus infinity: {_count(X.zeros)} 0."


def _exp(call: Call, by_name: dict[str, Statistics]) -> str | None:
    X = _first(by_name, "X", "A")
    if X is None:
        return None
    limit = float(np.log(float(limits_of(X.dtype).max)))
    return (
        f"exp overflows: e^{X.high:.4g} is beyond {X.dtype}, which ends at e^{limit:.4g}. "
        "In a softmax, subtract the largest input first."
    )


def _divide(call: Call, by_name: dict[str, Statistics]) -> str | None:
    B = by_name.get("B") or by_name.get("Y")
    if call.direction == "forward" and len(by_name) > 1:
        B = list(by_name.values())[1]
    if B is not None and B.zeros:
        return f"A division by zero: {B.zeros} of the divisors {'is' if B.zeros == 1 else 'are'} 0."
    held: Any = getattr(call.saved, "B", None)
    if call.direction == "backward" and is_array(held) and held.size:
        least = float(np.min(np.abs(to_numpy(held))))
        if least**2 < float(limits_of(dtype_name(held.dtype)).smallest_normal):
            return (
                f"Divisors are as small as {least:.2g}, and the derivative divides by its square; "
                "keep them away from 0."
            )
    return None


def _sqrt(call: Call, by_name: dict[str, Statistics]) -> str | None:
    X = _first(by_name, "X", "A", "Y")
    if X is None:
        return None
    if call.direction == "forward":
        return f"The square root of a negative number is NaN: the smallest input is {X.low:.4g}."
    return (
        f"The derivative of the square root is infinite at 0, and {_count(X.zeros)} 0; add a small "
        "number under the root."
    )


def _power(call: Call, by_name: dict[str, Statistics]) -> str | None:
    A = _first(by_name, "A", "X")
    if A is None:
        return None
    exponent = call.saved.B if call.direction == "backward" else call.inputs[1]
    exponents = np.asarray(to_numpy(exponent) if is_array(exponent) else exponent)
    if A.low < 0 and np.any(exponents % 1):
        return f"A negative number, {A.low:.4g}, to a power that is not whole is NaN."
    if A.zeros and np.any(exponents < (1 if call.direction == "backward" else 0)):
        return "Zero to a negative power is infinite, and so is the derivative of its small powers."
    return None


def _probabilities(call: Call, by_name: dict[str, Statistics]) -> str | None:
    return (
        "A probability was exactly 0 or 1, whose logarithm is infinite. Give the loss logits: "
        "BCEWithLogitsLoss, or CrossEntropyLoss without a softmax before it."
    )


def _normalised(call: Call, by_name: dict[str, Statistics]) -> str | None:
    averaged = math.prod(call.inputs[0].shape) // max(math.prod(call.outputs[0].shape), 1)
    if call.direction == "backward" or averaged > 1:
        return None
    if averaged == 1:
        return "The mean square of 1 number is divided by 0 (unbiased=False divides by 1)."
    return "The mean of no numbers is 0/0."


def _class_loss(call: Call, by_name: dict[str, Statistics]) -> str | None:
    T = next((v for n, v in zip(call.formula.inputs, call.inputs, strict=False) if n == "T"), None)
    if call.direction == "forward" and getattr(T, "size", 1) == 0:
        return "The mean over no samples is 0/0: the batch is empty."
    if call.direction == "forward" and call.options.get("ignore_index") is not None:
        return (
            "A mean over no samples is 0/0: the batch is empty, or every target is the ignored one."
        )
    return None


# Rules of thumb by what was computed. They are advice to a reader and no part of a formula, which
# is right to be infinite there.
RULES: dict[str, Any] = {
    "bce": _probabilities,
    "cross_entropy": _class_loss,
    "divide": _divide,
    "exp": _exp,
    "log": _log,
    "mean": _normalised,
    "nll": _class_loss,
    "power": _power,
    "sqrt": _sqrt,
    "var": _normalised,
}
