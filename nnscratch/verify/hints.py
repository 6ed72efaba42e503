"""Graded hints for a wrong derivative: where to look, what is odd, what kind of mistake it is."""

from __future__ import annotations

from nnscratch.formulas import Formula
from nnscratch.verify.report import Report, TensorReport

# For each signature: where to look, and what to think about. The third hint names the signature.
THOUGHTS: tuple[tuple[str, str, str], ...] = (
    ("sign", "Look at the signs.", "Which terms of the derivative carry a minus?"),
    ("factor 2", "Look at constant factors.", "Is one term counted twice, or a ½ lost?"),
    ("factor 1/2", "Look at constant factors.", "Did a power bring down a factor that is missing?"),
    ("factor N", "Look at the averaging.", "By how many numbers does the forward divide?"),
    ("factor 1/N", "Look at the averaging.", "Is something divided twice, or a sum turned into a "
     "mean?"),
    ("a constant factor", "Look at constant factors.", "Write down the derivative of each factor "
     "of the product; is one of them missing?"),
    ("dY is left out", "Think of the chain rule.", "Where does the gradient of the loss with "
     "respect to Y come in?"),
    ("multiplied in twice", "Think of the chain rule.", "How often does dY come into it?"),
    ("taken at the output", "Look at which array you use.", "Is the derivative a function of the "
     "input here, or of the output?"),
    ("instead of at the output", "Look at which array you use.", "Is the derivative written in "
     "terms of the input here, or of the output?"),
    ("the backward uses", "Look at which array you use.", "Which saved array belongs into which "
     "term?"),
    ("exchanged", "Look at the order.", "Which gradient comes first?"),
    ("transpose", "Look at shapes and their order.", "Which index is summed over in the product?"),
    ("un-broadcast", "Look at the shapes.", "An input that was repeated is used many times: what "
     "happens to the gradients of its uses?"),
    ("the shape is", "Look at the shapes.", "A gradient has the shape of its input."),
    ("zero everywhere", "Something is always 0.", "Where in your lines is dY lost?"),
    ("zeros", "Look at which elements you leave out.", "Which elements have no gradient in yours, "
     "and should they have one?"),
    ("one element", "Almost everything is right.", "What is special about the other?"),
    ("elements are off", "Almost everything is right.", "What is special about the rest?"),
    ("negative", "Look at the branches.", "What is the slope on the negative side?"),
    ("positive", "Look at the branches.", "What is the slope on the positive side?"),
    ("large", "Look at large inputs.", "Does the function change its rule far from 0?"),
    ("kinks", "Almost everything is right.", "What happens exactly at the kink?"),
    ("proportional", "A term is missing.", "Every output depends on every input along an axis: "
     "which sum does that bring?"),
    ("summed over that axis", "A term is missing.", "A mean or sum over an axis lets every input "
     "act on every output there: what does that add?"),
    ("for each slice", "Look at the axes.", "Is something summed, divided or weighted along the "
     "wrong axis?"),
    ("absolute value", "Look at the signs.", "Can the right gradient be negative?"),
    ("wrong signs", "Look at the signs.", "On which side of 0 does the slope change its sign?"),
    ("None", "A gradient is missing.", "Every input that has a derivative needs a gradient."),
    ("was changed", "Something is written into.", "Do you use *=, += or out= on an array that was "
     "given to you?"),
    ("has shape", "Look at the shapes.", "A gradient has the shape of its input."),
    (", the input is", "Look at the dtypes.", "A gradient has the dtype of its input."),
    ("Two runs", "The answer is another one each time.", "Does it keep something from one call to "
     "the next, or draw random numbers?"),
    ("not finite", "Look for a division.", "Where is the denominator 0?"),
)  # fmt: skip


def hints_for(formula: Formula, report: Report) -> tuple[str, str, str]:
    """Return three hints for a report that is not right, each saying more than the one before."""
    tensor = next((t for t in report.tensors if t.fault), None)
    where = _where(formula, tensor)
    fault = (tensor.fault if tensor is not None else None) or " ".join(report.faults)
    matched = [thought for thought in THOUGHTS if thought[0] in fault]
    if not matched:
        look, think = (
            "Look at each term of the derivative.",
            ("Take one element, work its derivative out by hand, and compare."),
        )
        return (
            f"{where}{look}",
            f"{where}{think}",
            f"{where}{think} Try an input with a single element first: is it right there?",
        )
    # The longest match is the most telling one.
    _, look, think = max(matched, key=lambda thought: len(thought[0]))
    return (
        f"{where}{look}",
        f"{where}{look} {think}",
        f"{where}{think} What shows is: {_short(fault)}.",
    )


def _where(formula: Formula, tensor: TensorReport | None) -> str:
    if tensor is None or len(formula.inputs) < 2:
        return ""
    return f"d{tensor.name}: "


def _short(fault: str) -> str:
    """Return a fault without numbers that would give the answer away."""
    return fault.split(";")[0].split("(")[0].strip()
