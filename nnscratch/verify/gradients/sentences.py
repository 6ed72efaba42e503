"""Faults in words: a sentence without a full stop for each kind, made of its numbers."""

from __future__ import annotations

from collections.abc import Callable

from nnscratch.verify.gradients.faults import Fault, Kind, Region, RegionKind


def sentence(fault: Fault) -> str:
    """Return a fault in words.

    >>> sentence(Fault(Kind.DOUBLE, factor=-2.0))[:51]
    'the sign is wrong, and factor 2: twice the right gr'
    >>> sentence(Fault(Kind.SHIFTED, axes=(1,)))
    'the right gradient shifted by one along axis 1'
    """
    made = SENTENCES[fault.kind]
    return made if isinstance(made, str) else made(fault)


def _signed(text: str) -> Callable[[Fault], str]:
    """Return a sentence about a factor's size, which says too if its sign is wrong."""

    def made(f: Fault) -> str:
        sign = "the sign is wrong, and " if f.factor is not None and f.factor < 0 else ""
        return sign + text.format(f=f)

    return made


def _filled(text: str) -> Callable[[Fault], str]:
    return lambda f: text.format(f=f, axes=", ".join(map(str, f.axes)))


def _not_summed(f: Fault) -> str:
    kept = all(f.given[axis] == 1 for axis in f.axes)  # summed already, with an axis too many
    what = "shape" if kept else "the output's shape"
    return (
        f"missing un-broadcast: the gradient has {what} "
        f"{f.given}; summed over axis {', '.join(map(str, f.axes))} it would be right"
    )


def _few(f: Fault) -> str:
    if len(f.indices) == 1:
        return f"one element is off: {list(f.indices[0])}{' (it is 0)' if f.factor == 0 else ''}"
    return f"{len(f.indices)} elements are off: {', '.join(str(list(i)) for i in f.indices)}"


def _box(f: Fault) -> str:
    parts = [
        f"{low}" if low == high else f"{low}:{high + 1}"
        for low, high in zip(*f.indices, strict=True)
    ]
    where = f"[{', '.join(parts)}]" if parts else "the only element"
    return f"a block of zeros: {where} get no gradient"


def _region(f: Fault) -> str:
    assert f.region is not None
    text = where(f.region)
    return (
        text if f.factor is None else f"{text}; there it is {f.factor:.4g} times the right gradient"
    )


def where(region: Region) -> str:
    """Return in words in which part of a tensor a gradient is wrong."""
    return {
        RegionKind.NEGATIVE: "wrong only where the input is negative",
        RegionKind.POSITIVE: "wrong only where the input is positive",
        RegionKind.LARGE: f"wrong only where the input is large (beyond ±{region.limit:.3g})",
        RegionKind.FROM: f"wrong from position {region.position} on along axis {region.axis} "
        f"(of {region.size}): an end is left out",
        RegionKind.UP_TO: f"wrong up to position {region.position} along axis {region.axis} "
        f"(of {region.size})",
        RegionKind.TAIL: f"wrong from flat position {region.position} on: the tail of a loop is "
        "left out",
    }[region.place]


SENTENCES: dict[Kind, str | Callable[[Fault], str]] = {
    Kind.ABOVE: "the forward under test differs from the reference; see the finding above",
    Kind.NONE: "no gradient at all: the backward returns None here, or the graph is cut",
    Kind.SHAPE: _filled("the gradient has shape {f.given}, and {f.shape} was needed"),
    Kind.RESHAPED: _filled(
        "the values are right, only the shape is {f.given} instead of {f.shape}"
    ),
    Kind.NOT_SUMMED: _not_summed,
    Kind.NOT_SUMMED_AND_WRONG: _filled(
        "missing un-broadcast over axis {axes}, and the values are wrong as well"
    ),
    Kind.TRANSPOSED: "transpose: the transposed gradient would be right",
    Kind.NOT_FINITE: "the gradient is not finite where the function is",
    Kind.ZERO: "zero everywhere: the gradient never reaches this input",
    Kind.RIGHT_IS_ZERO: (
        "the right gradient is 0 everywhere: the output does not change with this input"
    ),
    Kind.SIGN: "sign: the gradient is the right one with the wrong sign",
    Kind.DOUBLE: _signed(
        "factor 2: twice the right gradient (a term counted twice, or a ½ left out)"
    ),
    Kind.HALF: _signed("factor 1/2: half the right gradient (a 2 left out, or a ½ too many)"),
    Kind.TIMES_LENGTH: _signed(
        "factor N: {f.length} times the right gradient, and {f.length} is {f.name} "
        "(1/N of a mean is missing)"
    ),
    Kind.OVER_LENGTH: _signed(
        "factor 1/N: 1/{f.length} of the right gradient, and {f.length} is {f.name} "
        "(a mean is taken twice, or a sum divided)"
    ),
    Kind.FACTOR: _filled("a constant factor: {f.factor:.6g} times the right gradient"),
    Kind.FACTOR_PER_SLICE: _filled(
        "along axis {axes} the gradient is wrong by one factor, another for each slice"
    ),
    Kind.MAGNITUDE: "the absolute value of the right gradient",
    Kind.SIGNS: "the right magnitudes with wrong signs in some elements",
    Kind.ROUNDED: (
        "lost precision: right to the digits of float32; something is computed in float32 (such as "
        "by .float()) where the inputs are float64"
    ),
    Kind.NO_COTANGENT: "the incoming gradient dY is left out",
    Kind.COTANGENT_TWICE: "the incoming gradient dY is multiplied in twice",
    Kind.NOT_AT_OUTPUT: _filled("the derivative is taken at {f.name} instead of at the output"),
    Kind.AT_OUTPUT: _filled("the derivative is taken at the output instead of at {f.needed}"),
    Kind.WRONG_ARRAY: _filled("the backward uses {f.name} where it needs {f.needed}"),
    Kind.SAVED_EXCHANGED: _filled("the saved arrays {f.name} and {f.needed} are exchanged"),
    Kind.OTHER_INPUT: _filled("exchanged: this is the gradient of {f.name}"),
    Kind.ARRAY_LEFT_OUT: _filled("the factor {f.name} is left out, or one too many"),
    Kind.SIGN_OF_TERM: "one of two terms has the wrong sign",
    Kind.ANOTHER_FUNCTION: _filled("this is the derivative of {f.name}"),
    Kind.TRANSFORMED: _filled("{f.needed} {f.name} is forgotten, or one too many"),
    Kind.DIAGONAL: (
        "the diagonal of the Jacobian alone: each output by its own input, not by the others"
    ),
    Kind.WRONG_AXIS: _filled("the right terms, summed along axis {axes} instead of another one"),
    Kind.REVERSED: _filled("the right gradient reversed along axis {axes}"),
    Kind.SHIFTED: _filled("the right gradient shifted by one along axis {axes}"),
    Kind.MISSING_SUM: _filled(
        "the error is the same for all elements along axis {axes}: a term that is summed "
        "over that axis is missing, or one too many"
    ),
    Kind.MISSING_TERM_OF_OUTPUT: _filled(
        "along axis {axes} the error is proportional to the output: a term "
        "output times a sum over that axis is missing, or one too many"
    ),
    Kind.MISSING_TERM_OF_EXPONENTIAL: _filled(
        "along axis {axes} the error is proportional to the exponential of the output: a term "
        "with a sum over that axis is missing, or one too many"
    ),
    Kind.MISSING_TERM_OF_INPUT: _filled(
        "along axis {axes} the error is proportional to the input: a term "
        "input times a sum over that axis is missing, or one too many"
    ),
    Kind.KINKS: _filled(
        "wrong only at kinks, as at x = {f.point:.6g}: the gradient there lies outside the slopes "
        "to both sides, {f.slopes[0]:.6g} and {f.slopes[1]:.6g}"
    ),
    Kind.MASK: _filled("wrong only where {f.name} is 0: this mask is forgotten"),
    Kind.REPEATED: _filled(
        "wrong only where {f.name} has an index twice: a sum over the repetitions is missing"
    ),
    Kind.LABELS: _filled("wrong only at the classes {f.name}: the term of the labels is missing"),
    Kind.FEW: _few,
    Kind.ZERO_BLOCK: _box,
    Kind.REGION: _region,
    Kind.DIRECTIONS: "a difference along random directions that no single element explains",
    Kind.UNKNOWN: _filled(
        "no known pattern: {f.counts[0]} of the {f.counts[1]} elements looked at are wrong"
    ),
}
