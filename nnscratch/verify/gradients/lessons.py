"""Homework: the user writes a derivative, and gets hints on what is wrong, but not the answer.

    check = homework("tanh", lambda dY, Y: dY * (1 - Y))
    print(check)            # a grade and a hint
    print(check.hint(2))    # a clearer one

The grade is that of a lesson: one small case that can be worked out by hand. The cases of the
contract, with more axes, other options and other devices of the trade, are a bonus.

As a context manager the derivative takes the formula's place, so that a network trains with it
(step by step: a compiled step keeps the kernels that it was recorded with):

    with homework("tanh", my_backward):
        loss.backward()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from nnscratch.errors import ConfigurationError, NNScratchError
from nnscratch.formulas import FORMULAS, Formula, choosing, registry
from nnscratch.formulas.cases import Case, cases
from nnscratch.formulas.cases.lessons import lesson
from nnscratch.formulas.cases.names import Names
from nnscratch.verify.gradients.cards import card
from nnscratch.verify.gradients.checker import Checker
from nnscratch.verify.gradients.elements import Verdict, combined
from nnscratch.verify.gradients.exercises import Answer, Exercise, NotAnswered, gives_loss
from nnscratch.verify.gradients.hints import hints_for
from nnscratch.verify.gradients.hygiene import linearity_findings
from nnscratch.verify.gradients.measurement import CheckSettings
from nnscratch.verify.gradients.pairs import PairProblem
from nnscratch.verify.gradients.report import Report

MOST_CASES, MOST_ENTRIES = 6, 300


class Bonus(NamedTuple):
    """How many general cases a derivative is right in, and how many there are."""

    right: int
    cases: int

    def __str__(self) -> str:
        return f"right in {self.right} of {self.cases} general cases"


class Homework:
    """A learner's derivative of a formula, and what the checker says of it.

    Attributes:
        formula: the formula.
        report: the full report on the lesson, for teachers: it shows the right numbers. None if
            the derivative does not run.
        points: from 0 to 100; 100 are given to what is right alone, and at most 90 to the rest.
        passed: whether it is right in the lesson.
        answered: whether there is more than a stub.
        error: why it does not run.
    """

    def __init__(
        self,
        formula: Formula,
        backward: Callable[..., Any],
        seed: int = 0,
        of: Sequence[str] = (),
    ) -> None:
        self.formula = formula
        self.names = Names(formula)
        self.backward = Answer(self.names, backward)
        self.answered, self.error = True, ""
        self._seed = seed
        self._stack = ExitStack()
        self.exercise = Exercise(self.backward, lesson(formula), of)
        if not of and gives_loss(formula) and self.exercise.given_alone():
            # The gradient of a prediction alone; a target is data.
            of = formula.inputs[:1]
            self.exercise = Exercise(self.backward, lesson(formula), of)
        self.of = of
        self.report = self._checked(self.exercise)
        right = self.report is not None and self.report.verdict is Verdict.RIGHT
        self.passed = self.answered and not self.error and right
        self.points = _points(self.report)

    @np.errstate(all="ignore")
    def _checked(self, problem: Exercise) -> Report | None:
        """Return the report on one case; a learner's code may raise anything."""
        report = Report(self.formula.name, Verdict.RIGHT, [], [])
        try:
            checker = Checker(problem, CheckSettings(seed=self._seed))
            report.verdict = checker.check()
            extra = linearity_findings(problem, checker.run, checker.cotangents)
        except NotAnswered:
            self.answered = False
            return None
        except Exception as error:
            self.error = f"{_shapes(problem)}: {_words(error)}"
            if isinstance(error, NameError):
                self.error += f" (it may use {self.names.words})"
            return None
        report.tensors, report.findings = checker.tensors, [*checker.findings, *extra]
        faults = any(f.severity == "fault" for f in report.findings)
        report.verdict = combined([report.verdict, *([Verdict.WRONG] if faults else [])])
        return report

    @cached_property
    def bonus(self) -> Bonus:
        """How many of the contract's cases it is right in: more axes, other options."""
        error, right = self.error, 0
        chosen = general_cases(self.formula)
        for case in chosen:
            report = self._checked(Exercise(self.backward, case, self.of))
            right += report is not None and report.verdict is Verdict.RIGHT
        self.error = error  # that of the lesson
        return Bonus(right, len(chosen))

    @property
    def stub(self) -> str:
        """The text of a function to begin with."""
        slots = self.exercise.slots
        asked = [f"d{slots[place].name}" for place in self.exercise.asked]
        arrays = [slot.name for slot in slots if slot.value is not None]
        if self.formula.variadic:
            asked, arrays = [f"d{self.formula.inputs[0]}"], list(self.formula.inputs)
        given = dict.fromkeys([*self.names.upstream, *arrays, *self.names.outputs])
        lines = [f"def backward({', '.join(given)}):", *(f"    {name} = ..." for name in asked)]
        return "\n".join([*lines, f"    return {', '.join(asked)}"])

    def hint(self, level: int = 1) -> str:
        """Return a hint; levels 1, 2 and 3 say more each, and none gives the formula away.

        Raises:
            ConfigurationError: for another level.
        """
        if level not in (1, 2, 3):
            raise ConfigurationError(f"hints have levels 1, 2 and 3, got {level}")
        if not self.answered:
            return f"It is not answered yet. It may use {self.names.words}."
        if self.passed:
            return "It is right; there is nothing to hint at."
        if self.report is None:
            return f"It does not run for {self.error}"
        return hints_for(self.formula, self.report)[level - 1]

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        if not self.answered:
            return f"{self.formula.name}: not answered yet. Begin with\n\n{self.stub}"
        head = f"{self.formula.name}: {self.points} of 100 points"
        if self.passed:
            return f"{head}. Right: every gradient agrees with the numeric one."
        return f"{head}. {self.hint(1)}"

    def _repr_html_(self) -> str:
        return card(self)

    # As a context manager.

    def __enter__(self) -> Self:
        self._stack.enter_context(registry.use_kernels("auto"))
        self._stack.enter_context(_implementing(self.formula.name, _Learner(self)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@contextmanager
def _implementing(name: str, implementation: Any) -> Iterator[None]:
    registry.implement(name, implementation)
    try:
        yield
    finally:
        choosing._implementations[name].remove(implementation)


class _Learner:
    """An implementation whose forward is the reference and whose backward is the learner's."""

    library = "numpy"

    def __init__(self, work: Homework) -> None:
        self.name = "homework"
        self._work = work

    def refuses(
        self, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> str | None:
        """Take everything."""
        return None

    def worthwhile(self, direction: str, inputs: tuple[Any, ...]) -> bool:
        """Always run."""
        return True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the reference forward, and save what the learner may use."""
        return self._work.names.forward(*inputs, **options)

    def backward(self, dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Compute the learner's backward, and the formula's where the learner gives none."""
        work = self._work
        asked = work.exercise.asked
        if work.formula.variadic:
            asked = list(range(len(needs)))
        found = list(work.backward(dY, saved, needs, asked))
        rest = tuple(need and place not in asked for place, need in enumerate(needs))
        if any(rest):
            assert work.formula.backward is not None
            own = work.formula.backward(dY, work.names.own(saved), rest)
            found = [
                one if left else given for left, given, one in zip(rest, found, own, strict=True)
            ]
        return tuple(g if need else None for g, need in zip(found, needs, strict=True))

    def update(self, *inputs: Any, **options: Any) -> None:
        """No formula with a derivative updates state."""


def homework(
    formula: Formula | str,
    backward: Callable[..., Any] | None = None,
    seed: int = 0,
    of: str | Sequence[str] = (),
) -> Homework:
    """Check a derivative that a learner wrote, and grade it with hints.

    Args:
        formula: a formula or its name.
        backward: the derivative. Its parameters are filled by their names: ``dY`` (the first may
            have another name), which is ∂L/∂Y; any input, output and option of the formula, and
            what it saves, ``saved`` for all of that; ``needs``; others keep their defaults. It
            returns one gradient, or a tuple with one for each input that has one. Without one there
            is a stub to begin with.
        seed: of the random numbers.
        of: the inputs whose gradients it gives; all by default. Those of the others are the
            formula's own where a network trains with it.

    Returns:
        A grade: print it, ask it for a ``hint``, or use it as a context manager, in which the
        derivative takes part in training. It is true if the derivative is right.

    Raises:
        ConfigurationError: if there is no such formula, or it has no derivative, or a parameter
            has a name that nothing is known of.

    >>> homework("tanh", lambda dY, Y: dY * (1 - Y**2))
    tanh: 100 of 100 points. Right: every gradient agrees with the numeric one.
    >>> bool(homework("tanh", lambda dY, Y: dY * (1 - Y)))
    False
    >>> homework("linear", lambda dY, X, W, b: dY.T @ X, of="W").points
    100
    >>> homework("linear")
    linear: not answered yet. Begin with
    <BLANKLINE>
    def backward(dZ, X, W, b, Z):
        dX = ...
        dW = ...
        db = ...
        return dX, dW, db
    """
    if isinstance(formula, str):
        if formula not in FORMULAS:
            raise ConfigurationError(f"no formula is named {formula!r}")
        formula = FORMULAS[formula]
    if formula.backward is None:
        raise ConfigurationError(f"the formula {formula.name} has no derivative")
    of = tuple(of) if not isinstance(of, str) else (of,) if of else ()
    able = [n for n, can in zip(formula.inputs, formula.differentiable, strict=True) if can]
    unknown = [name for name in of if name not in able]
    if unknown:
        raise ConfigurationError(
            f"of= has {', '.join(unknown)}; the gradients of {formula.name} are those of "
            f"{', '.join(able)}"
        )
    return Homework(formula, backward or _unanswered, seed, of)


def _unanswered(dY: Any) -> Any:
    """Answer nothing yet."""
    raise NotAnswered


def general_cases(formula: Formula) -> list[Case]:
    """Return a few small cases of the contract, of real numbers where there are some."""
    found: list[tuple[int, Case]] = []
    of_complex: list[tuple[int, Case]] = []
    for case in cases(formula.name):
        values = case.build()
        size = sum(np.size(v) for v in values if isinstance(v, np.ndarray))
        floats = [v for v in values if np.asarray(v).dtype.kind == "f"]
        finite = all(np.isfinite(v).all() for v in floats)
        if case.smooth and 4 <= size <= MOST_ENTRIES and finite:
            some = any(np.iscomplexobj(value) for value in values)
            (of_complex if some else found).append((size, case))
    found = found or of_complex
    found.sort(key=lambda entry: entry[0])
    spread = np.linspace(0, len(found) - 1, min(MOST_CASES, len(found))).astype(int)
    return [found[place][1] for place in spread]


def _shapes(problem: PairProblem) -> str:
    return ", ".join(
        f"{slot.name} of shape {slot.value.shape}"
        for slot in problem.slots
        if isinstance(slot.value, np.ndarray)
    )


def _words(error: Exception) -> str:
    known = isinstance(error, NNScratchError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _points(report: Report | None) -> int:
    """Return 100 times the share of entries that are right, at most 90 unless all is."""
    if report is None:
        return 0
    if report.verdict is Verdict.RIGHT:
        return 100
    total = sum(len(tensor.elements) + len(tensor.kinks) for tensor in report.tensors)
    wrong = sum(len(tensor.wrong) for tensor in report.tensors)
    return min(90, int(100 * (total - wrong) / max(total, 1)))
