"""Faults planted into source code: each operator is one small change of one expression."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Mod: ast.Mult, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
CALLS = {
    "maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "exp": "expm1",
    "expm1": "exp", "log": "log1p", "log1p": "log", "sum": "mean", "mean": "sum", "tanh": "sin",
    "argmax": "argmin", "argmin": "argmax", "any": "all", "all": "any",
    "zeros_like": "ones_like", "ones_like": "zeros_like", "zeros": "ones", "ones": "zeros",
}  # fmt: skip
# A call that is replaced by its first argument: a transpose, a sum, an absolute value left out.
DROPPED = {"permute_dims", "sum", "abs", "sqrt", "sign", "flip", "conj", "real", "broadcast_to"}


@dataclass(frozen=True)
class Change:
    """One planted fault: ``node`` is replaced by ``new``."""

    kind: str
    node: ast.AST
    new: ast.AST


def changes(function: ast.FunctionDef) -> Iterator[Change]:
    """Yield every fault that can be planted into a function, docstring and annotations aside."""
    for statement in _body(function):
        for node in ast.walk(statement):
            yield from _of_node(node)
    for default in (*function.args.defaults, *function.args.kw_defaults):
        if default is not None:
            yield from _of_node(default)


def _body(function: ast.FunctionDef) -> list[ast.stmt]:
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return function.body[1:] if documented else function.body


def _of_node(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.BinOp():
            yield from _binary(node)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert()):
            yield Change("sign" if isinstance(node.op, ast.USub) else "not", node, node.operand)
        case ast.Compare():
            for position, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    new = copy.deepcopy(node)
                    new.ops[position] = other()
                    yield Change("comparison", node, new)
        case ast.BoolOp():
            new = copy.deepcopy(node)
            new.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
            yield Change("and/or", node, new)
        case ast.Constant():
            yield from _constant(node)
        case ast.Call():
            yield from _call(node)
        case ast.Attribute(attr="T"):
            yield Change("transpose", node, node.value)
        case ast.IfExp():
            new = copy.deepcopy(node)
            new.body, new.orelse = new.orelse, new.body
            yield Change("branch", node, new)
        case ast.If():
            new = copy.deepcopy(node)
            new.test = ast.UnaryOp(ast.Not(), new.test)
            yield Change("branch", node.test, new.test)
        case ast.Assign(targets=[ast.Tuple(elts=[*names])]) if len(names) > 1:
            for position in range(len(names) - 1):
                if not all(isinstance(n, ast.Name) for n in names[position : position + 2]):
                    continue
                new = copy.deepcopy(node.targets[0])
                assert isinstance(new, ast.Tuple)
                pair = new.elts[position : position + 2]
                new.elts[position : position + 2] = pair[::-1]
                yield Change("exchanged names", node.targets[0], new)
        case ast.Raise():
            yield Change("no error", node, ast.Pass())


def _binary(node: ast.BinOp) -> Iterator[Change]:
    if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
        return
    other = ARITHMETIC.get(type(node.op))
    if other is not None:
        new = copy.deepcopy(node)
        new.op = other()
        yield Change("arithmetic", node, new)
    if isinstance(node.op, (ast.MatMult, ast.Sub, ast.Div)):
        new = copy.deepcopy(node)
        new.left, new.right = new.right, new.left
        yield Change("exchanged operands", node, new)
    yield Change("dropped term", node, node.left)
    if not isinstance(node.op, (ast.Pow, ast.Div)):
        yield Change("dropped term", node, node.right)


def _constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield Change("constant", node, ast.Constant(not value))
    elif isinstance(value, int):
        yield Change("constant", node, ast.Constant(value + 1))
        if value in (1, -1):
            yield Change("constant", node, ast.Constant(0))
    elif isinstance(value, float):
        yield Change("constant", node, ast.Constant(value * 1.1 if value else 1.0))


def _call(node: ast.Call) -> Iterator[Change]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if isinstance(node.func, ast.Attribute):
        if name in CALLS:
            new = copy.deepcopy(node)
            assert isinstance(new.func, ast.Attribute)
            new.func.attr = CALLS[name]
            yield Change("call", node, new)
        if name in DROPPED and node.args:
            yield Change("dropped call", node, node.args[0])
        if name == "where" and len(node.args) == 3:
            new = copy.deepcopy(node)
            new.args[1], new.args[2] = new.args[2], new.args[1]
            yield Change("branch", node, new)
    if name.endswith("Saved") and len(node.args) > 1:
        for position in range(len(node.args) - 1):
            new = copy.deepcopy(node)
            pair = new.args[position : position + 2]
            new.args[position : position + 2] = pair[::-1]
            yield Change("exchanged saved", node, new)


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, new: ast.AST) -> None:
        self.target, self.new = target, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.target:
            return ast.copy_location(copy.deepcopy(self.new), node)
        return super().visit(node)


def applied(tree: ast.Module, change: Change) -> ast.Module:
    """Return a copy of a module with one change."""
    memo: dict[int, object] = {}
    copied = copy.deepcopy(tree, memo)
    target = memo[id(change.node)]
    assert isinstance(target, ast.AST)
    made = _Replace(target, change.new).visit(copied)
    assert isinstance(made, ast.Module)
    return ast.fix_missing_locations(made)


def sample(found: list[T], count: int, seed: int, file: Callable[[T], str]) -> list[T]:
    """Return so many at random, with one of every file among them."""
    mixed = random.Random(seed).sample(found, len(found))
    firsts = {file(one): index for index, one in reversed(list(enumerate(mixed)))}
    order = sorted(range(len(mixed)), key=lambda index: firsts[file(mixed[index])] != index)
    return [mixed[index] for index in order[:count]]
