"""Loops written as LLVM, with the bodies and words in it. Imports Numba.

Such a text has lines of arithmetic on integers of 64 bits and on floats, choices, loops and calls;
all that it calls is of the same kind. So the type of each value follows from those that it is made
of. Numba, which has to ask itself that for any Python, takes five times as long for a loop.

    integers    of addresses, sizes and indices
    floats      two of different dtypes make a float64; a number of the text has the other's dtype
    bytes       have no sign: uint8, and truth values in memory
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from ..bodies import Parsed
from .functions import SINGLE
from .runtime.exponents import EMITTERS
from .runtime.intrinsics import F32, F64, I32, I64, VOID, cast, emit_fma, fma, pointer
from .words import WORDS

Value = Any
"""A value of LLVM, a number of Python, or a tuple of these."""
Scope = Mapping[str, Any]

TRUTH, BYTE = ir.IntType(1), ir.IntType(8)
SIGNATURE = ir.FunctionType(VOID, [I64.as_pointer(), F64.as_pointer(), I64, I64])
"""Of every kernel: ``void k(int64 *a, float64 *s, int64 tid, int64 threads)``."""
_KINDS = {
    **{np.float32: F32, np.float64: F64, np.int32: I32, np.int64: I64, np.uint8: BYTE},
}
# These functions are words of bodies, and what LLVM or C's library calls them is no formula's.
_CALLED = {
    abs: "llvm.fabs", np.floor: "llvm.floor", math.sqrt: "llvm.sqrt", math.exp: "llvm.exp",
    math.log: "llvm.log", math.sin: "llvm.sin", math.cos: "llvm.cos", math.erfc: "erfc",
    math.expm1: "expm1", math.log1p: "log1p", math.tanh: "tanh",
}  # fmt: skip
"""What they are called in float64; of C's library, their names in float32 end in an f."""
_INTEGERS = {
    **{ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"},
    **{ast.FloorDiv: "sdiv", ast.Mod: "srem"},  # of what is not negative
}
_FLOATS = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
_ORDERS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_LOGIC = {ast.BitAnd: "and_", ast.BitOr: "or_", ast.And: "and_", ast.Or: "or_"}


def write_kernel(text: str, scope: Scope, kind: Any, module: Any, symbol: str) -> None:
    """Write ``def kernel(a, s, tid, threads): ...`` into a module of LLVM.

    Args:
        text: its text.
        scope: what the names in it mean.
        kind: the dtype that numbers have where nothing else says it, as the function of NumPy.
        module: of LLVM.
        symbol: the name that the kernel gets there.

    Raises:
        TypeError: if there is something in the text that cannot be written.
    """
    (defined,) = ast.parse(text).body
    assert isinstance(defined, ast.FunctionDef)
    function = ir.Function(module, SIGNATURE, symbol)
    builder = ir.IRBuilder(function.append_basic_block())
    names = dict(zip((one.arg for one in defined.args.args), function.args, strict=True))
    _Writer(builder, _KINDS[kind]).lines(defined.body, names, {**vars(builtins), **scope})
    builder.ret_void()


class _Writer:
    """Writes lines of Python where a builder of LLVM stands."""

    def __init__(self, builder: Any, kind: Any) -> None:
        self.builder, self.kind = builder, kind

    def lines(self, lines: Sequence[ast.stmt], names: dict[str, Value], scope: Scope) -> Value:
        """Write lines; return what they return."""
        for line in lines:
            match line:
                case ast.Return():
                    return self.value(line.value, names, scope)
                case ast.If():  # what is known of the processor
                    chosen = line.body if self.value(line.test, names, scope) else line.orelse
                    if (found := self.lines(chosen, names, scope)) is not None:
                        return found
                case ast.Assign(targets=[ast.Name(name)]):
                    names[name] = self.value(line.value, names, scope)
                case ast.Assign(targets=[ast.Tuple(targets)]):
                    values = self.value(line.value, names, scope)
                    names |= zip((one.id for one in targets), values, strict=True)  # type: ignore[attr-defined]
                case ast.Assign(targets=[ast.Subscript() as target]):
                    place = self.place(target, names, scope)
                    value = self.value(line.value, names, scope)
                    self.builder.store(self.cast(value, place.type.pointee), place)
                case ast.AugAssign(ast.Name(name)):
                    sum_ = ast.BinOp(ast.Name(name), line.op, line.value)
                    names[name] = self.value(sum_, names, scope)
                case ast.While():
                    self.loop(line, names, scope)
                case ast.For(ast.Name(name), ast.Call(ast.Name("range"), [start, stop])):
                    names[name] = self.cast(self.value(start, names, scope), I64)
                    goes_on = ast.Compare(ast.Name(name), [ast.Lt()], [stop])
                    step = ast.AugAssign(ast.Name(name), ast.Add(), ast.Constant(1))
                    self.loop(ast.While(goes_on, [*line.body, step], []), names, scope)
                case ast.Expr(ast.Constant()):  # a docstring
                    pass
                case _:
                    raise TypeError(f"{ast.unparse(line)} cannot be written as LLVM")
        return None

    def loop(self, line: ast.While, names: dict[str, Value], scope: Scope) -> None:
        """Write a loop, whose variables are those that ``+=`` changes in it."""
        b = self.builder
        adding = [node for node in ast.walk(line) if isinstance(node, ast.AugAssign)]
        changed = {one.target.id for one in adding if isinstance(one.target, ast.Name)} & {*names}
        before, head, inside, behind = b.block, *(b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        variables = {name: b.phi(names[name].type) for name in changed}
        for name, variable in variables.items():
            variable.add_incoming(names[name], before)
        names |= variables
        b.cbranch(self.truth(self.value(line.test, names, scope)), inside, behind)
        b.position_at_end(inside)
        self.lines(line.body, names, scope)
        for name, variable in variables.items():
            variable.add_incoming(names[name], b.block)
        b.branch(head)
        b.position_at_end(behind)
        names |= variables

    def value(self, node: Any, names: dict[str, Value], scope: Scope) -> Value:
        """Write an expression."""

        def of(one: ast.AST) -> Value:
            return self.value(one, names, scope)

        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return names[node.id] if node.id in names else scope[node.id]
            case ast.Attribute():
                return getattr(of(node.value), node.attr)
            case ast.Subscript():
                return self.builder.load(self.place(node, names, scope))
            case ast.Tuple():
                return tuple(map(of, node.elts))
            case ast.Call():
                return self.call(of(node.func), [of(one) for one in node.args])
            case ast.UnaryOp(ast.USub()):
                (value,) = self.floats(of(node.operand))
                return self.builder.fsub(ir.Constant(value.type, -0.0), value)
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                values = [self.truth(of(node.left)), self.truth(of(node.right))]
                return getattr(self.builder, _LOGIC[type(node.op)])(*values)
            case ast.BoolOp():
                values = [self.truth(of(one)) for one in node.values]
                return functools.reduce(getattr(self.builder, _LOGIC[type(node.op)]), values)
            case ast.BinOp():
                return self.arithmetic(type(node.op), of(node.left), of(node.right))
            case ast.Compare(ops=[order]):
                return self.compared(_ORDERS[type(order)], of(node.left), of(node.comparators[0]))
            case ast.IfExp():
                return self.chosen(node, of)
        raise TypeError(f"{ast.unparse(node)} cannot be written as LLVM")

    def place(self, node: ast.Subscript, names: dict[str, Value], scope: Scope) -> Value:
        """Write the address of ``array[index]``."""
        array, index = (self.value(one, names, scope) for one in (node.value, node.slice))
        return self.builder.gep(array, [self.cast(index, I64)])

    def arithmetic(self, how: Any, x: Value, y: Value) -> Value:
        """Write x + y and its like."""
        integers = self.integers(x, y)
        if how is ast.Pow:
            if isinstance(x, float) and isinstance(y, float):
                return x**y
            values = self.floats(x, y)
            power = self.builder.module.declare_intrinsic("llvm.pow", [values[0].type])
            return self.builder.call(power, values)
        written = (_INTEGERS if integers else _FLOATS).get(how)
        if written is None:
            raise TypeError(f"{how.__name__} cannot be written as LLVM")
        return getattr(self.builder, written)(*(integers or self.floats(x, y)))

    def compared(self, order: str, x: Value, y: Value) -> Value:
        """Write x < y and its like."""
        if integers := self.integers(x, y):
            return self.builder.icmp_signed(order, *integers)
        differ = order == "!="  # which holds of NaN
        compare = self.builder.fcmp_unordered if differ else self.builder.fcmp_ordered
        return compare(order, *self.floats(x, y))

    def chosen(self, node: ast.IfExp, of: Any) -> Value:
        """Write ``a if condition else b``: both are computed, but for powers, which take long.

        Branches behind one another would become branches through all of them, each with a copy of
        what stands in between, and of an exponential all copies are computed in a vector.
        """
        test = self.truth(of(node.test))
        if not any(isinstance(one, ast.Pow) for one in ast.walk(node)):
            return self.builder.select(test, *self.floats(of(node.body), of(node.orelse)))
        ways = []
        with self.builder.if_else(test) as both:
            for way, one in zip(both, (node.body, node.orelse), strict=True):
                with way:
                    ways.append((*self.floats(of(one)), self.builder.block))
        made = self.builder.phi(ways[0][0].type)
        for value, block in ways:
            made.add_incoming(value, block)
        return made

    def call(self, function: Any, given: Sequence[Value]) -> Value:
        """Write a call of a body, a word, a dtype, a function of C, or what these are made of."""
        if isinstance(function, Parsed):
            names = dict(zip(function.parameters, given, strict=True))
            return self.lines(function.statements, names, WORDS | function.uses)
        if function is pointer:
            return self.builder.inttoptr(given[0], _KINDS[given[1]].as_pointer())
        if function in _KINDS:
            return self.cast(given[0], _KINDS[function])
        if function is cast:
            return self.cast(given[0], given[1].type)
        if function is min:
            return self.builder.select(self.builder.icmp_signed("<", *given), *given)
        if function is fma:
            return emit_fma(self.builder, *self.floats(*given))
        if function in EMITTERS:
            return EMITTERS[function](self.builder, *given)
        if function in _CALLED:
            (value,) = self.floats(*given)
            return self.builder.call(self.declared(_CALLED[function], value.type), [value])
        function = getattr(function, "py_func", function)
        if function in SINGLE:
            given = self.floats(*given)
            function = SINGLE[function] if given[0].type == F32 else function
        if not inspect.isfunction(function):
            raise TypeError(f"{function!r} cannot be written as LLVM")
        parameters, lines, scope = _read(function)
        return self.lines(lines, dict(zip(parameters, given, strict=True)), scope)

    def declared(self, name: str, kind: Any) -> Any:
        """Declare a function of LLVM or of C's library."""
        if name.startswith("llvm."):
            return self.builder.module.declare_intrinsic(name, [kind])
        name += "f" * (kind == F32)
        known = self.builder.module.globals.get(name)
        if known is None:
            known = ir.Function(self.builder.module, ir.FunctionType(kind, [kind]), name)
            for attribute in ("readonly", "nounwind"):
                known.attributes.add(attribute)
        return known

    # --- types ------------------------------------------------------------------------------------

    def integers(self, x: Value, y: Value) -> list[Value]:
        """Return two integers as such of 64 bits; an empty list if one is none."""
        whole = [isinstance(one, int) or isinstance(_kind(one), ir.IntType) for one in (x, y)]
        truths = TRUTH in (_kind(x), _kind(y))
        return [self.cast(one, I64) for one in (x, y)] if all(whole) and not truths else []

    def floats(self, *values: Value) -> list[Value]:
        """Return numbers as floats of one dtype."""
        kinds = [one for one in map(_kind, values) if one in (F32, F64)]
        kind = F64 if F64 in kinds else (kinds or [self.kind])[0]
        return [self.cast(one, kind) for one in values]

    def truth(self, value: Value) -> Value:
        """Return whether a number is not 0."""
        return value if _kind(value) == TRUTH else self.compared("!=", value, 0)

    def cast(self, value: Value, kind: Any) -> Value:
        """Return a number as one of a type of LLVM."""
        b, old = self.builder, _kind(value)
        if old is None:
            return ir.Constant(kind, (int if isinstance(kind, ir.IntType) else float)(value))
        if old == kind:
            return value
        if isinstance(old, ir.IntType) and isinstance(kind, ir.IntType):
            unsigned = old in (TRUTH, BYTE)
            return (
                b.trunc(value, kind)
                if old.width > kind.width
                else (b.zext(value, kind) if unsigned else b.sext(value, kind))
            )
        if isinstance(old, ir.IntType):
            return (b.uitofp if old in (TRUTH, BYTE) else b.sitofp)(value, kind)
        if isinstance(kind, ir.IntType):
            return (b.fptoui if kind == BYTE else b.fptosi)(value, kind)
        return (b.fptrunc if kind == F32 else b.fpext)(value, kind)


def _kind(value: Value) -> Any:
    """Return the type of LLVM that a value has, None of a number of Python."""
    return getattr(value, "type", None)


@functools.cache
def _read(function: Any) -> tuple[list[str], list[ast.stmt], Scope]:
    """Return the parameters and lines of a function, and what its other names mean."""
    (defined,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(defined, ast.FunctionDef)
    names = [one.arg for one in defined.args.args]
    return names, defined.body, {**vars(builtins), **function.__globals__}
