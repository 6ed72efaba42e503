"""Bodies of elementwise formulas as syntax trees, from which the text for each compiler is made.

A body (``nnscratch.formulas.pointwise``) is a function of assignments, one of each name, and a
``return`` whose names are its own, words of ``nnscratch.array.maths``, numbers of its module, and
other bodies. Here every name is resolved: words become ``word_exp`` and their like, numbers stand
there themselves, other bodies get names of their own.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnscratch.array import maths

Body = Callable[..., Any]


@dataclass(frozen=True)
class WordCost:
    """What a word takes: ``nanoseconds`` in a loop, for one number; in NumPy so many additions."""

    nanoseconds: float
    additions: int = 1


# On one thread, roughly: measured, so nothing could say it but a table. A word that is not here
# costs as much as an addition or two. NumPy has instructions for exp and its like on some
# processors only: what stands here lies between.
COSTS = {
    "cos": WordCost(4.0),
    "exp": WordCost(0.15, 8),
    "expm1": WordCost(0.2, 25),
    "log": WordCost(0.3, 8),
    "log1p": WordCost(0.35, 25),
    "maximum": WordCost(0.02, 4),  # of an array and a number; of two arrays NumPy takes a third
    "minimum": WordCost(0.02, 4),
    "normal_tail": WordCost(0.35, 70),
    "normal_tail_and_density": WordCost(0.35, 75),
    "power": WordCost(4.0),
    "sin": WordCost(4.0),
    "sqrt": WordCost(0.1, 2),
    "tanh": WordCost(0.25, 16),
    "where": WordCost(0.02, 4),
}
USUAL = WordCost(0.02)
WORDS = {id(getattr(maths, name)): name for name in maths.__all__}
_ALLOWED = (
    ast.expr_context,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.Name,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Tuple,
    ast.Assign,
    ast.Return,
)


def has_text(body: Body) -> bool:
    """Say whether the text of a body can be read; that of one typed at a prompt cannot.

    >>> from nnscratch.formulas.sigmoids import silu_forward
    >>> has_text(silu_forward), has_text(eval("lambda X: X"))
    (True, False)
    """
    file = body.__code__.co_filename
    if body.__module__.partition(".")[0] == "nnscratch" and not file.startswith("<"):
        return True  # our files are not all read to see it
    return bool(linecache.getlines(file))


class NotABodyError(TypeError):
    """A function uses something that is no word of elementwise bodies."""


@dataclass(frozen=True, eq=False)
class Parsed:
    """A body ready to be written in another language.

    Attributes:
        name: a name that no other body has.
        parameters: its parameters; options stand behind the others.
        statements: assignments, and at last a ``return``.
        uses: the bodies that it calls, by their names here.
        cost: nanoseconds for one number, roughly.
        several: whether it returns a tuple.
    """

    name: str
    parameters: tuple[str, ...]
    statements: tuple[ast.stmt, ...]
    uses: dict[str, Parsed]
    cost: float
    several: bool = False

    def text(self) -> str:
        """Return all of it as text, to tell it from another version of itself."""
        own = "; ".join(ast.unparse(one) for one in self.statements)
        return f"{self.name}{self.parameters}: {own}" + "".join(
            f"\n{one.text()}" for one in self.uses.values()
        )


@functools.cache
def parsed(body: Body) -> Parsed:
    """Return a body's syntax tree with every name resolved.

    Raises:
        NotABodyError: if it uses anything else than a body may, naming it and its line.

    >>> from nnscratch.formulas.sigmoids import silu_forward
    >>> parsed(silu_forward).parameters
    ('X',)
    """
    source = textwrap.dedent(inspect.getsource(body))
    (function,) = ast.parse(source).body
    if not isinstance(function, ast.FunctionDef):
        raise NotABodyError(f"{body.__qualname__} is no function that is defined by def")
    arguments = function.args
    parameters = [one.arg for one in (*arguments.args, *arguments.kwonlyargs)]
    names = [*parameters, *_assigned(function)]
    resolver = _Resolver(body, set(names))
    statements = [
        resolver.visit(one)
        for one in function.body
        if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))  # docstring
    ]
    if not statements or not isinstance(statements[-1], ast.Return):
        raise NotABodyError(f"{body.__qualname__} does not end in a return")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise NotABodyError(
            f"{body.__qualname__} assigns {twice} twice; a name of a body stands for one number, "
            "which other languages declare once"
        )
    name = f"{body.__module__.replace('.', '_')}__{body.__name__}"
    return Parsed(name, tuple(parameters), tuple(statements), resolver.uses, resolver.cost)


def _assigned(function: ast.FunctionDef) -> list[str]:
    return [
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


class _Resolver(ast.NodeTransformer):
    """Gives every name of a body its meaning."""

    def __init__(self, body: Body, own: set[str]) -> None:
        self.body, self.own = body, own
        self.uses: dict[str, Parsed] = {}
        self.cost = 0.0
        closed = inspect.getclosurevars(body)
        self.scope = {**closed.globals, **closed.nonlocals}

    def refuse(self, node: ast.AST, what: str) -> NotABodyError:
        line = getattr(node, "lineno", 1) + inspect.getsourcelines(self.body)[1] - 1
        return NotABodyError(
            f"{self.body.__qualname__} (line {line} of its file) uses {what}; a body is made of "
            f"arithmetic, comparisons, numbers and {', '.join(maths.__all__)}"
        )

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, _ALLOWED):
            raise self.refuse(node, f"{ast.unparse(node)!r}")
        if isinstance(node, (ast.Pow, ast.FloorDiv, ast.Mod, ast.MatMult, ast.Not)):
            raise self.refuse(node, type(node).__name__)
        if isinstance(node, (ast.BinOp, ast.Compare)):
            self.cost += 0.04 if isinstance(getattr(node, "op", None), ast.Div) else 0.01
        return super().generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, (int, float)):
            raise self.refuse(node, repr(node.value))
        return ast.Constant(float(node.value))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.own:
            return node
        value = self.scope.get(node.id)
        if isinstance(value, (int, float)):
            return ast.Constant(float(value))
        raise self.refuse(node, f"{node.id!r}")

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        function = self.scope.get(name)
        if function is None or node.keywords:
            raise self.refuse(node, ast.unparse(node))
        arguments = [self.visit(one) for one in node.args]
        word = WORDS.get(id(function))
        if word is None:
            used = parsed(function)
            self.uses[used.name] = used
            self.cost += used.cost
            called = used.name
        else:
            self.cost += COSTS.get(word, USUAL).nanoseconds
            called = f"word_{word}"
        return ast.Call(ast.Name(called, ast.Load()), arguments, [])
