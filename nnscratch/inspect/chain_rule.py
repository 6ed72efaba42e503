"""The derivative of an elementwise formula by the chain rule, read from the text of its forward.

The forward's body is taken apart into lines of one operation each. Every operation has its slopes
in a table, and the chain rule carries the gradient from the last line back to the inputs: what a
tape does, written down. The lines can be computed, so a test compares them with the formula's own
backward.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnscratch.array import maths
from nnscratch.formulas import Formula
from nnscratch.formulas.sigmoids import logistic, tanh_softplus
from nnscratch.formulas.slopes import SLOPES
from nnscratch.kernels.bodies import NotABodyError, Parsed, parsed


@dataclass(frozen=True)
class Operation:
    """One line of a forward that was taken apart.

    Attributes:
        name: what it computes; "Y" in the last line.
        word: the operation, a key of ``SLOPES``; "condition" for one that has no slope at all.
        operands: names of earlier lines, inputs and options, or numbers; of a condition its text.
    """

    name: str
    word: str
    operands: tuple[str | float, ...]


@dataclass
class LineByLine:
    """A forward, one operation a line.

    Attributes:
        inputs: the names of the formula's inputs.
        lines: the operations, the last one Y.
    """

    inputs: tuple[str, ...]
    lines: list[Operation] = field(default_factory=list)

    def uses(self, name: str) -> list[tuple[Operation, str]]:
        """Return the lines that use a name, last first, each with its slope by that operand."""
        return [
            (line, SLOPES[line.word][place])
            for line in reversed(self.lines)
            if line.word != "condition"
            for place, operand in enumerate(line.operands)
            if operand == name and SLOPES[line.word][place] not in ("", "0")
        ]

    def reached(self) -> list[str]:
        """Return the names that the chain rule goes through, from Y back to the inputs."""
        names = [line.name for line in reversed(self.lines)]
        live = {"Y"}
        found = []
        for name in (*names, *self.inputs):
            if name == "Y" or any(line.name in live for line, _ in self.uses(name)):
                live.add(name)
                found.append(name)
        return found

    def gradients(self, values: Mapping[str, Any], dY: Any) -> dict[str, Any]:
        """Compute the lines and then, by the chain rule, the gradient of each input.

        Args:
            values: the inputs and options by name.
            dY: the gradient of Y.
        """
        known: dict[str, Any] = dict(values)
        for line in self.lines:
            if line.word == "condition":
                known[line.name] = _evaluated(str(line.operands[0]), known)
            else:
                known[line.name] = _FUNCTIONS[line.word](*_operands(line, known))
        found: dict[str, Any] = {"Y": dY}
        for name in self.reached()[1:]:
            found[name] = sum(
                found[line.name] * _slope(slope, _operands(line, known), known[line.name])
                for line, slope in self.uses(name)
                if line.name in found
            )
        return {name: found.get(name, 0.0 * dY) for name in self.inputs}


def chain(formula: Formula) -> LineByLine | None:
    """Return the lines of an elementwise formula; None of one that is none, or more than a body.

    >>> from nnscratch.formulas import SILU
    >>> for line in chain(SILU).lines:
    ...     print(line.name, "is", line.word, *line.operands)
    u1 is logistic X
    Y is mult X u1
    """
    words = formula.pointwise
    if words is None or formula.backward is None:
        return None
    try:
        body = parsed(words.forward)
    except NotABodyError:
        return None
    made = LineByLine(words.inputs)
    reader = _Reader(made, body)
    try:
        for statement in body.statements:
            reader.read(statement)
    except _UnknownOperation:
        return None
    return made


class _UnknownOperation(Exception):
    """An operation whose slopes stand in no table."""


class _Reader:
    """Takes the statements of a body apart."""

    def __init__(self, made: LineByLine, body: Parsed) -> None:
        self.made, self.body = made, body
        self.known: dict[str, str | float] = {}
        self.conditions: dict[str, str] = {}

    def read(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Return) and statement.value is not None:
            last = self.operand(statement.value)
            lines = self.made.lines
            if lines and last == lines[-1].name:
                lines[-1] = Operation("Y", lines[-1].word, lines[-1].operands)
            else:
                raise _UnknownOperation
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            self.known[statement.targets[0].id] = self.operand(statement.value)
        else:
            raise _UnknownOperation

    def operand(self, node: ast.expr) -> str | float:
        """Return the name or the number of an expression, after the lines that compute it."""
        if isinstance(node, ast.Constant):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            return self.known.get(node.id, node.id)
        if isinstance(node, ast.Compare) or (
            isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr))
        ):
            return self.line("condition", (self.condition(node),))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.operand(node.operand)
            return -inner if isinstance(inner, float) else self.line("usub", (inner,))
        if isinstance(node, ast.BinOp):
            operands = (self.operand(node.left), self.operand(node.right))
            return self.line(type(node.op).__name__.lower(), operands)
        if isinstance(node, ast.Call):
            word = ast.unparse(node.func).rpartition("__")[2].removeprefix("word_")
            if word == "real":
                return self.operand(node.args[0])
            return self.line(word, tuple(map(self.operand, node.args)))
        raise _UnknownOperation

    def line(self, word: str, operands: tuple[str | float, ...]) -> str | float:
        numbers = [one for one in operands if isinstance(one, float)]
        if word != "condition" and word not in SLOPES:
            raise _UnknownOperation
        if word != "condition" and len(numbers) == len(operands):
            return float(_FUNCTIONS[word](*numbers))
        same = (one for one in self.made.lines if (one.word, one.operands) == (word, operands))
        for one in same:
            return one.name
        count = sum(one.word != "condition" for one in self.made.lines)
        conditions = len(self.made.lines) - count
        name = f"c{conditions + 1}" if word == "condition" else f"u{count + 1}"
        self.made.lines.append(Operation(name, word, operands))
        return name

    def condition(self, node: ast.expr) -> str:
        """Return a comparison as text, its sides being names and numbers."""
        if isinstance(node, ast.Compare):
            sides = [self.operand(node.left), self.operand(node.comparators[0])]
            left, right = (f"{one:g}" if isinstance(one, float) else one for one in sides)
            sign = ast.unparse(ast.Compare(ast.Name("a"), node.ops, [ast.Name("b")])).split()[1]
            return f"({left} {sign} {right})"
        if isinstance(node, ast.BinOp):
            sign = "&" if isinstance(node.op, ast.BitAnd) else "|"
            return f"{self.condition(node.left)} {sign} {self.condition(node.right)}"
        raise _UnknownOperation


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(maths, name) for name in maths.__all__},
    **{"logistic": logistic, "tanh_softplus": tanh_softplus},
    **{"add": operator.add, "sub": operator.sub, "mult": operator.mul},
    **{"div": operator.truediv, "usub": operator.neg},
}
_SCOPE: dict[str, Any] = {**_FUNCTIONS, "pi": math.pi, "holds": lambda c: c, "fails": lambda c: ~c}


def _operands(line: Operation, known: Mapping[str, Any]) -> list[Any]:
    return [known[one] if isinstance(one, str) else one for one in line.operands]


def _slope(text: str, operands: list[Any], result: Any) -> Any:
    return _evaluated(text, {**dict(zip("ab", operands, strict=False)), "y": result})


@functools.cache
def _compiled(text: str) -> Any:
    return compile(text, "<slope>", "eval")


def _evaluated(text: str, known: Mapping[str, Any]) -> Any:
    # ``log(2)`` and its like are of numbers, which arrays' functions do not take.
    numbers = {"log": lambda a: math.log(a) if isinstance(a, int) else maths.log(a)}
    numbers["sqrt"] = lambda a: math.sqrt(a) if isinstance(a, float) else maths.sqrt(a)
    return eval(_compiled(text), {"__builtins__": {}}, {**_SCOPE, **numbers, **known})
