"""What the equation pages print as derivatives, in NumPy, next to the equation itself."""

from __future__ import annotations

from verify.answers import activations, arrays, functions, layers, losses, matrices, recurrent
from verify.answers.spelled import Answers

ANSWERS: Answers = {
    **activations.ANSWERS,
    **arrays.ANSWERS,
    **functions.ANSWERS,
    **layers.ANSWERS,
    **losses.ANSWERS,
    **matrices.ANSWERS,
    **recurrent.ANSWERS,
}
