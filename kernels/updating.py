"""Bodies of updates as straight lines: an optimizer's step as one loop over its arrays.

An update (``nnscratch.optim``) is written once, as ordinary Python on arrays: it may ask whether a
state is kept (``M is not None``), whether an option is set (``if maximize``), and it computes with
numbers (``1.0 - beta2**step``). Once it is known which arrays there are and which options are set,
the choices are made and what is left is a straight line. Numbers in it are computed before the
loop, in float64.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
import operator
import textwrap
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnscratch.formulas.checks import LIVE

from .bodies import COSTS, USUAL, WORDS, NotABodyError, Parsed

_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}

ARRAY, NUMBER, KNOWN = "array", "number", "known"


@dataclass(frozen=True)
class Value:
    """What a name of an update stands for.

    Attributes:
        kind: an array, a number that is computed before the loop, or something that is known now.
        node: what stands for it in the text; for what is known, itself.
    """

    kind: str
    node: Any


@dataclass(frozen=True, eq=False)
class Straight:
    """An update without choices.

    Attributes:
        body: its text; it takes ``arrays`` and then ``scalars`` and returns ``outputs``.
        arrays: the names of the inputs that it reads.
        scalars: for each number that it takes an expression in names of options.
        options: the names of the options in these.
        outputs: the names of the inputs that get new values, in the order of the results.
    """

    body: Parsed
    arrays: tuple[str, ...]
    scalars: tuple[str, ...]
    options: tuple[str, ...]
    outputs: tuple[str, ...]


@functools.cache
def straight(
    update: Callable[..., Any],
    present: tuple[str, ...],
    known: tuple[tuple[str, Any], ...],
    updates: tuple[str, ...],
) -> Straight:
    """Return what is left of an update once its choices are made.

    Args:
        update: the update, a function of arrays and options.
        present: the names of the inputs that are there; the others are None.
        known: names and values of the options that choices may depend on.
        updates: the names of the inputs that its results replace.

    Raises:
        NotABodyError: if it does what no loop can, naming it and its line.
    """
    parameters = inspect.signature(update).parameters
    fixed = dict(known)
    given: dict[str, Value] = {}
    for name, parameter in parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            here = name in present
            given[name] = Value(ARRAY, ast.Name(name, ast.Load())) if here else Value(KNOWN, None)
        elif name in fixed:
            given[name] = Value(KNOWN, fixed[name])
        else:
            given[name] = Value(NUMBER, ast.Name(name, ast.Load()))
    line = _Line(update, given)
    returned = line.run()
    results = returned if isinstance(returned, list) else [returned]
    outputs, nodes = [], []
    for name, result in zip(updates, results, strict=True):
        unchanged = isinstance(result.node, ast.Name) and result.node.id == name
        if result.kind == ARRAY and not (unchanged and name not in line.assigned):
            outputs.append(name)
            nodes.append(result.node)
    statements = [*line.statements, ast.Return(ast.Tuple(nodes, ast.Load()))]
    used = {name for statement in statements for name in _names(statement)}
    arrays = tuple(name for name in present if name in used)
    names = tuple(line.scalars.values())
    text = "; ".join(ast.unparse(one) for one in statements) + repr((arrays, names))
    title = f"{update.__module__.replace('.', '_')}__{update.__name__}"
    title = f"{title}_{zlib.crc32(text.encode()):08x}"
    body = Parsed(title, (*arrays, *names), tuple(statements), {}, line.cost, True)
    texts = tuple(line.scalars)
    asked = {name for text in texts for name in _names(ast.parse(text))}
    options = tuple(name for name in parameters if name in asked)
    return Straight(body, arrays, texts, options, tuple(outputs))


class _Line:
    """Goes through a function with what its names stand for, and collects what is left of it."""

    def __init__(
        self, function: Callable[..., Any], given: dict[str, Value], outer: _Line | None = None
    ) -> None:
        self.function, self.given = function, given
        self.statements: list[ast.stmt] = [] if outer is None else outer.statements
        self.scalars: dict[str, str] = {} if outer is None else outer.scalars
        self.assigned: set[str] = set()
        self.cost = 0.0
        self._outer = outer
        root = self
        while root._outer is not None:
            root = root._outer
        self._root = root
        self.inlined = 0
        self._prefix = "" if outer is None else f"f{root.inlined}_"
        closed = inspect.getclosurevars(function)
        self._scope = {**closed.builtins, **closed.globals, **closed.nonlocals}

    def run(self) -> Any:
        """Return what the function returns: a value, or a list of them."""
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(self.function))).body
        if not isinstance(tree, ast.FunctionDef):
            raise self._refuse(tree, "is no function that is defined by def")
        found = self._block(tree.body)
        if found is None:
            raise self._refuse(tree, "does not end in a return")
        return found

    def _refuse(self, node: ast.AST, what: str) -> NotABodyError:
        line = getattr(node, "lineno", 1) + inspect.getsourcelines(self.function)[1] - 1
        return NotABodyError(f"{self.function.__qualname__} (line {line} of its file) {what}")

    def _block(self, statements: list[ast.stmt]) -> Any:
        for statement in statements:
            match statement:
                case ast.Expr(ast.Constant()):  # the docstring
                    continue
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._assign(name, self._value(value))
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._assign(name, self._value(value))
                case ast.If(test=test, body=body, orelse=orelse):
                    found = self._block(body if self._known(test) else orelse)
                    if found is not None:
                        return found
                case ast.Return(value=ast.Tuple(elts=parts)):
                    return [self._value(one) for one in parts]
                case ast.Return(value=ast.expr() as value):
                    return self._value(value)
                case _:
                    raise self._refuse(statement, f"has a {type(statement).__name__}")
        return None

    def _assign(self, name: str, value: Value) -> None:
        if value.kind == ARRAY:
            own = self._prefix + name
            made = ast.Assign([ast.Name(own, ast.Store())], value.node)
            self.statements.append(ast.fix_missing_locations(made))
            value = Value(ARRAY, ast.Name(own, ast.Load()))
            self.assigned.add(name)
        self.given[name] = value

    def _known(self, node: ast.expr) -> Any:
        """Return what a condition is, which has to be known before the loop is made."""
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._known(one) for one in values)
            case ast.BoolOp(op=ast.Or(), values=values):
                return any(self._known(one) for one in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._known(operand)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                sides = [self._value(one) for one in (left, right)]
                if isinstance(op, (ast.Is, ast.IsNot)) and ARRAY in [one.kind for one in sides]:
                    return isinstance(op, ast.IsNot)  # an array is not None
                if all(one.kind == KNOWN for one in sides):
                    return _COMPARED[type(op)](sides[0].node, sides[1].node)
        value = self._value(node)
        if value.kind == KNOWN:
            return bool(value.node)
        # An option that is not known to be 0 may be anything.
        if value.kind == NUMBER and isinstance(value.node, ast.Name):
            return True
        raise self._refuse(node, f"chooses by {ast.unparse(node)!r}, which only the loop knows")

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=value):
                return Value(KNOWN, value)
            case ast.Name(id=name):
                if name in self.given:
                    return self.given[name]
                if isinstance(self._scope.get(name), (int, float)):
                    return Value(KNOWN, self._scope[name])
                raise self._refuse(node, f"uses {name!r}")
            case ast.BinOp(left=left, op=sign, right=right):
                return self._combined(node, [left, right], lambda a, b: ast.BinOp(a, sign, b))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._combined(node, [operand], lambda a: ast.UnaryOp(ast.USub(), a))
            case ast.Compare(left=left, ops=[than], comparators=[right]):
                return self._combined(node, [left, right], lambda a, b: ast.Compare(a, [than], [b]))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._chosen(node, test, body, orelse)
            case ast.Call(func=func, args=args, keywords=keywords):
                return self._called(node, func, args, keywords)
        raise self._refuse(node, f"uses {ast.unparse(node)!r}")

    def _combined(self, node: ast.expr, parts: list[ast.expr], make: Callable[..., Any]) -> Value:
        values = [self._value(one) for one in parts]
        if ARRAY not in [one.kind for one in values]:
            return Value(NUMBER, make(*[_text(one) for one in values]))
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Pow, ast.Mod, ast.FloorDiv)):
            raise self._refuse(node, f"takes {type(node.op).__name__} of arrays")
        self._root.cost += 0.04 if isinstance(getattr(node, "op", None), ast.Div) else 0.01
        return Value(ARRAY, make(*[self._in_loop(one) for one in values]))

    def _in_loop(self, value: Value) -> Any:
        """Return what stands for a value inside of the loop: numbers are computed before it."""
        if value.kind == ARRAY:
            return value.node
        if value.kind == KNOWN and isinstance(value.node, (int, float)):
            return ast.Constant(float(value.node))
        text = ast.unparse(_text(value))
        name = self.scalars.setdefault(text, f"number{len(self.scalars)}")
        return ast.Name(name, ast.Load())

    def _chosen(self, node: ast.expr, test: ast.expr, yes: ast.expr, no: ast.expr) -> Value:
        try:
            return self._value(yes if self._known(test) else no)
        except NotABodyError:
            values = [self._value(one) for one in (test, yes, no)]
            if ARRAY in [one.kind for one in values]:
                raise
            return Value(NUMBER, ast.IfExp(*[_text(one) for one in values]))

    def _called(
        self, node: ast.expr, func: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]
    ) -> Value:
        values = [self._value(one) for one in args]
        if isinstance(func, ast.Attribute):
            if self._scope.get(getattr(func.value, "id", "")) is math and ARRAY not in [
                one.kind for one in values
            ]:
                return Value(NUMBER, ast.Call(func, [_text(one) for one in values], []))
            raise self._refuse(node, f"calls {ast.unparse(func)}")
        function = self._scope.get(getattr(func, "id", ""))
        word = WORDS.get(id(function))
        if word is not None:
            self._root.cost += COSTS.get(word, USUAL).nanoseconds
            called = ast.Name(f"word_{word}", ast.Load())
            return Value(ARRAY, ast.Call(called, [self._in_loop(one) for one in values], []))
        if not inspect.isfunction(function):
            raise self._refuse(node, f"calls {ast.unparse(func)}")
        self._root.inlined += 1
        bound = inspect.signature(function).bind(
            *values, **{one.arg: self._value(one.value) for one in keywords if one.arg}
        )
        inner = _Line(function, dict(bound.arguments), self)
        made = inner.run()
        if isinstance(made, list):
            raise self._refuse(node, f"calls {ast.unparse(func)}, which returns several values")
        return Value(made.kind, made.node)


def _names(tree: ast.AST) -> list[str]:
    return [one.id for one in ast.walk(tree) if isinstance(one, ast.Name)]


def _text(value: Value) -> Any:
    """Return what stands for a number in an expression that is computed before the loop."""
    return ast.Constant(value.node) if value.kind == KNOWN else value.node


def known_options(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the options that choices may depend on: switches, texts, and numbers that stay 0.

    A dynamic scalar may be another number at the next step, so nothing is chosen by it.
    """
    return tuple(
        [
            (name, value)
            for name, value in options.items()
            if value is None
            or type(value) in (bool, str)
            or (value == 0 and type(value) not in LIVE)
        ]
    )
