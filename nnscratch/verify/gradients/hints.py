"""Graded hints for a wrong derivative: which part of it, a question to consider, the fault."""

from __future__ import annotations

import re

from nnscratch.formulas import Formula
from nnscratch.verify.gradients.elements import TensorReport
from nnscratch.verify.gradients.faults import Kind, RegionKind
from nnscratch.verify.gradients.problem import FindingKind
from nnscratch.verify.gradients.report import Report

# For each kind of fault: where to look, and what to think about. The third hint is the fault.
_FACTORS = "Look at constant factors."
_CHAIN = "Think of the chain rule."
_ARRAYS = "Look at which array you use."
_ALMOST = "Almost everything is right."
_ORDER = ("Look at the order.", "Which gradient comes first?")
_SHAPE = ("Look at the shapes.", "A gradient has the shape of its input.")
_SUMMED = (
    "Look at the shapes.",
    "An input that was repeated is used many times: what happens to the gradients of its uses?",
)
_TERM = (
    "A term is missing.",
    "Every output depends on every input along an axis: which sum does that bring?",
)
THOUGHTS: dict[Kind | RegionKind | FindingKind, tuple[str, str]] = {
    Kind.SIGN: ("Look at the signs.", "Which terms of the derivative carry a minus?"),
    Kind.DOUBLE: (_FACTORS, "Is one term counted twice, or a ½ lost?"),
    Kind.HALF: (_FACTORS, "Did a power bring down a factor that is missing?"),
    Kind.TIMES_LENGTH: (
        "Look at the averaging.", "By how many numbers does the forward divide?"
    ),
    Kind.OVER_LENGTH: (
        "Look at the averaging.", "Is something divided twice, or a sum turned into a mean?"
    ),
    Kind.FACTOR: (
        _FACTORS,
        "Write down the derivative of each factor of the product; is one of them missing?",
    ),
    Kind.NO_COTANGENT: (
        _CHAIN, "Where does the gradient of the loss with respect to Y come in?"
    ),
    Kind.COTANGENT_TWICE: (_CHAIN, "How often does dY come into it?"),
    Kind.AT_OUTPUT: (
        _ARRAYS, "Is the derivative a function of the input here, or of the output?"
    ),
    Kind.NOT_AT_OUTPUT: (
        _ARRAYS, "Is the derivative written in terms of the input here, or of the output?"
    ),
    Kind.WRONG_ARRAY: (_ARRAYS, "Which saved array belongs into which term?"),
    Kind.SAVED_EXCHANGED: _ORDER,
    Kind.OTHER_INPUT: _ORDER,
    Kind.ARRAY_LEFT_OUT: (
        _FACTORS, "Which arrays does an entry meet between the input and the output?"
    ),
    Kind.SIGN_OF_TERM: ("Look at the signs.", "Which terms of the derivative carry a minus?"),
    Kind.ANOTHER_FUNCTION: (
        "Look at the function itself.", "Which function has the derivative that you wrote?"
    ),
    Kind.TRANSFORMED: (
        "One array comes in another form.", "Which power, sign or function belongs to it?"
    ),
    Kind.DIAGONAL: _TERM,
    Kind.WRONG_AXIS: ("Look at the axes.", "Along which axis does the forward sum?"),
    Kind.MASK: ("Look at a mask.", "Where does an input reach no output?"),
    Kind.REPEATED: _SUMMED,
    Kind.LABELS: (
        "Look at the labels.", "In which entries do the labels come into the forward?"
    ),
    Kind.TRANSPOSED: (
        "Look at shapes and their order.", "Which index is summed over in the product?"
    ),
    Kind.NOT_SUMMED: _SUMMED,
    Kind.NOT_SUMMED_AND_WRONG: _SUMMED,
    Kind.RESHAPED: _SHAPE,
    Kind.SHAPE: _SHAPE,
    Kind.ZERO: ("Something is always 0.", "Where in your lines is dY lost?"),
    Kind.ZERO_BLOCK: (
        "Look at which elements you leave out.",
        "Which elements have no gradient in yours, and should they have one?",
    ),
    Kind.KINKS: (_ALMOST, "What happens exactly at the kink?"),
    RegionKind.NEGATIVE: ("Look at the branches.", "What is the slope on the negative side?"),
    RegionKind.POSITIVE: ("Look at the branches.", "What is the slope on the positive side?"),
    RegionKind.LARGE: (
        "Look at large inputs.", "Does the function change its rule far from 0?"
    ),
    Kind.MISSING_TERM_OF_OUTPUT: _TERM,
    Kind.MISSING_TERM_OF_EXPONENTIAL: _TERM,
    Kind.MISSING_TERM_OF_INPUT: _TERM,
    Kind.MISSING_SUM: (
        "A term is missing.",
        "A mean or sum over an axis lets every input act on every output there: what does that "
        "add?",
    ),
    Kind.FACTOR_PER_SLICE: (
        "Look at the axes.",
        "Is something summed, divided or weighted along the wrong axis?",
    ),
    Kind.MAGNITUDE: ("Look at the signs.", "Can the right gradient be negative?"),
    Kind.SIGNS: ("Look at the signs.", "On which side of 0 does the slope change its sign?"),
    Kind.ROUNDED: (
        "Look at the dtypes.", "Where does float64 become float32, as by .float() or astype?"
    ),
    Kind.NONE: (
        "This one is not answered yet.", "Every input that has a derivative needs a gradient."
    ),
    Kind.NOT_FINITE: ("Look for a division.", "Where is the denominator 0?"),
    # Findings that are not about values, for reports without a wrong value.
    FindingKind.CHANGED: (
        "Something is written into.",
        "Do you use *=, += or out= on an array that was given to you?",
    ),
    FindingKind.WRONG_SHAPE: _SHAPE,
    FindingKind.WRONG_DTYPE: ("Look at the dtypes.", "A gradient has the dtype of its input."),
    FindingKind.NOT_DETERMINISTIC: (
        "The answer is another one each time.",
        "Does it keep something from one call to the next, or draw random numbers?",
    ),
    FindingKind.NOT_LINEAR: (_CHAIN, "How often does the incoming gradient come into it?"),
}  # fmt: skip
ONE = (_ALMOST, "What is special about the other?")
SOME = (_ALMOST, "What is special about the rest?")


def hints_for(formula: Formula, report: Report) -> tuple[str, str, str]:
    """Return three hints for a report that is not right, each saying more than the one before."""
    tensor = next((t for t in report.tensors if t.diagnosis), None)
    where = _where(formula, tensor)
    fault = (tensor.fault if tensor is not None else None) or " ".join(report.faults)
    if _loses_upstream(report, tensor):
        fault = "the incoming gradient is missing, or enters twice"
    thought = _thought(report, tensor)
    if thought is None:
        look, think = (
            "Look at each term of the derivative.",
            ("Take one element, work its derivative out by hand, and compare."),
        )
        return (
            f"{where}{look}",
            f"{where}{think}",
            f"{where}{think} Try an input with a single element first: is it right there?",
        )
    look, think = thought
    return (
        f"{where}{look}",
        f"{where}{look} {think}",
        f"{where}{think} What shows is: {_short(fault)}.",
    )


def _thought(report: Report, tensor: TensorReport | None) -> tuple[str, str] | None:
    if tensor is None or tensor.diagnosis is None:
        seen = {f.kind for f in report.findings if f.severity == "fault"}
        return next((THOUGHTS[kind] for kind in THOUGHTS if kind in seen), None)
    fault = tensor.diagnosis
    if _loses_upstream(report, tensor):
        return THOUGHTS[FindingKind.NOT_LINEAR]
    if fault.kind is Kind.FEW:
        return ONE if len(fault.indices) == 1 else SOME
    return THOUGHTS.get(fault.region.place if fault.region is not None else fault.kind)


def _loses_upstream(report: Report, tensor: TensorReport | None) -> bool:
    """Say whether a factor that is not right is the gradient of a single output, as of a loss."""
    fault = tensor.diagnosis if tensor is not None else None
    factor = fault is not None and fault.kind in (Kind.FACTOR, Kind.DOUBLE, Kind.HALF)
    return factor and any(f.kind is FindingKind.NOT_LINEAR for f in report.findings)


def _where(formula: Formula, tensor: TensorReport | None) -> str:
    if tensor is None or len(formula.inputs) < 2:
        return ""
    return f"d{tensor.name}: "


def _short(fault: str) -> str:
    """Return a fault without numbers that would give the answer away."""
    if fault.startswith("a constant factor"):
        return "a constant factor is missing, or one too many"
    # A remark in parentheses says what the slip is; a shape in them is part of the sentence.
    return re.sub(r"\s*\([^()]*[a-z][^()]*\)", "", fault.split(";")[0]).strip()
