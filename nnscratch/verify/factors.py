"""Signatures that are factors: sign, 2, N or 1/N, the cotangent left out or taken twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nnscratch.verify.signatures import Evidence


def constant(e: Evidence) -> str | None:
    """See whether every wrong element is the right one times one number."""
    if len(e.known) > len(e.wrong) and len(e.wrong) < 3:
        return None
    # What is right beside what is wrong must be 0, where no factor shows.
    bystanders = [x for x in e.known if x not in e.wrong]
    if any(abs(x.numeric) > 100 * x.allowance for x in bystanders):
        return None
    with np.errstate(all="ignore"):
        factor = float(np.dot(e.a, e.n) / np.dot(e.n, e.n)) if np.any(e.n) else float("nan")
    if not np.isfinite(factor) or len(e.a) < 1 or not e.close(e.a, factor * e.n):
        return None
    if len(e.a) == 1 and not _plain(factor, e):
        return None
    return name_factor(factor, e)


def _plain(factor: float, e: Evidence) -> bool:
    return "times the right" not in name_factor(factor, e)


def name_factor(factor: float, e: Evidence) -> str:
    """Say in words what a constant factor means."""
    if _is(factor, -1):
        return "sign: the gradient is the right one with the wrong sign"
    sign = "the sign is wrong, and " if factor < 0 else ""
    size = abs(factor)
    if _is(size, 2):
        return f"{sign}factor 2: twice the right gradient (a term counted twice, or a ½ left out)"
    if _is(size, 0.5):
        return f"{sign}factor 1/2: half the right gradient (a 2 left out, or a ½ too many)"
    for number, name in lengths(e):
        if _is(size, number):
            return (
                f"{sign}factor N: {number} times the right gradient, and {number} is {name} "
                "(1/N of a mean is missing)"
            )
        if _is(size, 1 / number):
            return (
                f"{sign}factor 1/N: 1/{number} of the right gradient, and {number} is {name} "
                "(a mean is taken twice, or a sum divided)"
            )
    return f"a constant factor: {factor:.6g} times the right gradient"


def lengths(e: Evidence) -> list[tuple[int, str]]:
    """Return the sizes in the problem by which a mean might divide, with their names."""
    found: dict[int, str] = {}
    outputs = e.checker.run.outputs
    arrays = [
        *((slot.name, slot.value) for slot in e.checker.problem.slots),
        *(
            (("the output" if len(outputs) == 1 else f"output {i}"), y)
            for i, y in enumerate(outputs)
        ),
    ]
    for name, array in arrays:
        if not isinstance(array, np.ndarray):
            continue
        for axis, size in enumerate(array.shape):
            what = "the batch size" if axis == 0 and array.ndim > 1 else f"axis {axis} of {name}"
            if size > 1:
                found.setdefault(size, what)
        if array.ndim > 2 and array.size > array.shape[-1] > 0:
            rows = array.size // array.shape[-1]
            found.setdefault(rows, f"the number of rows of {name}")
        if array.ndim > 1 and array.size > 1:
            found.setdefault(array.size, f"the number of elements of {name}")
    return list(found.items())


def _is(factor: float, number: float) -> bool:
    return abs(factor - number) <= 1e-3 * abs(number)


def magnitude(e: Evidence) -> str | None:
    """See whether only the signs are wrong."""
    if len(e.wrong) > 1 and e.close(np.abs(e.a), np.abs(e.n)):
        if np.all(e.a >= 0):
            return "the absolute value of the right gradient"
        return "the right magnitudes with wrong signs in some elements"
    return None


def cotangent(e: Evidence) -> str | None:
    """See whether the incoming gradient is missing, or multiplied in twice."""
    outputs = e.checker.run.outputs
    upstream = e.checker.cotangents[0] if e.checker.cotangents else None
    few = len(e.wrong) < min(2, e.promised.size)
    if upstream is None or outputs[0].shape != e.shape or few:
        return None
    C = np.array([float(upstream[x.index]) for x in e.wrong])
    if e.close(e.a * C, e.n):
        return "the incoming gradient dY is left out"
    if e.close(e.a, e.n * C):
        return "the incoming gradient dY is multiplied in twice"
    return None
