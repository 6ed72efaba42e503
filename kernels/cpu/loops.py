"""Elementwise loops, made of the bodies of formulas, over arrays of any strides.

A loop computes one or several results of each element in one pass. Which array is contiguous along
the inner axis, repeated along it, or neither is known when it is compiled, so what can vectorise
does. This file needs no Numba before a loop is compiled.

The layout of ``a``: the sizes of the inner axis and of three outer ones, then for every input and
every output five words, its address and its bytes along these axes. ``s`` holds the numbers.
"""

from __future__ import annotations

import ast
import functools
import types
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from nnscratch.formulas import FORMULAS

from ..bodies import Parsed, parsed
from ..strided import OUTER, broadcast_strides, walk
from .kernel import Kernel, Layout
from .table import Shifted, address

Kernelled = TypeVar("Kernelled")
HEAD = OUTER + 1
WORDS = OUTER + 2
GRAIN = 1024

CONTIGUOUS, REPEATED, STRIDED, IN_PLACE = "c", "r", "s", "i"


@dataclass(frozen=True)
class Node:
    """One body applied in a loop.

    Attributes:
        body: the body.
        takes: for each parameter what stands there: ("input", k), ("number", k) or ("node", k) for
            the result of an earlier one.
    """

    body: Parsed
    takes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Loop:
    """What a loop computes and how its arrays lie.

    Attributes:
        dtype: the dtype that it computes in, "float32" or "float64".
        inputs: for each input its dtype, how it lies ("c", "r", "s", or "i": it is an output), and
            which output it is in that case.
        nodes: the bodies, in order.
        outputs: for each output its dtype, how it lies, and the node whose result it is.
        numbers: how many numbers it takes.
    """

    dtype: str
    inputs: tuple[tuple[str, str, int], ...]
    nodes: tuple[Node, ...]
    outputs: tuple[tuple[str, str, int], ...]
    numbers: int

    @functools.cached_property
    def text(self) -> str:
        """The body of the kernel as Python, with the calls of the bodies in the inner loop."""
        return _text(self)

    @functools.cached_property
    def kernel(self) -> Kernel:
        """The kernel of it."""
        whole = "\n".join([self.text, *(node.body.text() for node in self.nodes)])
        names = "_".join(dict.fromkeys(n.body.name.rpartition("__")[2] for n in self.nodes))
        title = f"loop_{names[:60]}_{zlib.crc32(whole.encode()):08x}"
        count = len(self.inputs) + len(self.outputs)
        arrays = [f"{role}{k}_{what}" for role, n in (("in", len(self.inputs)),
                  ("out", len(self.outputs))) for k in range(n)
                  for what in ("p", "inner", "outer1", "outer2", "outer3")]  # fmt: skip
        cost = 0.04 * count + sum(node.body.cost for node in self.nodes)
        if any(how == STRIDED for _, how, _ in (*self.inputs, *self.outputs)):
            cost += 0.5
        layout = Layout(
            name=title,
            module="loops",
            a=("inner", "outer1", "outer2", "outer3", *arrays),
            s=tuple(f"number{k}" for k in range(self.numbers)),
            options=(),
            doc="An elementwise loop.",
            cost=lambda a: cost * a[0] * a[1] * a[2] * a[3] + 5.0 * a[1] * a[2] * a[3],
            make=lambda dtype: make_loop(self),
        )
        return Kernel(layout, self.dtype)


def _text(loop: Loop) -> str:
    lines = [
        "def kernel(a, s, tid, threads):",
        "    n, d1, d2, d3 = a[0], a[1], a[2], a[3]",
        f"    first, last = part(n * d1 * d2 * d3, tid, threads, {GRAIN})",
        *[f"    p{k} = K(s[{k}])" for k in range(loop.numbers)],
        "    while first < last:",
        "        row = first // n",
        "        start = first - row * n",
        "        stop = min(n, start + last - first)",
        "        i1 = row % d1",
        "        rest = row // d1",
        "        i2 = rest % d2",
        "        i3 = rest // d2",
    ]
    arrays = [("x", k, *one) for k, one in enumerate(loop.inputs)]
    arrays += [("y", k, *one) for k, one in enumerate(loop.outputs)]
    for place, (role, k, dtype, how, _) in enumerate(arrays):
        at, kind = HEAD + WORDS * place, _kind(dtype)
        if how == IN_PLACE:
            continue
        where = f"a[{at}] + i1 * a[{at + 2}] + i2 * a[{at + 3}] + i3 * a[{at + 4}]"
        if how == STRIDED:
            lines += [f"        {role}{k} = {where}", f"        {role}{k}s = a[{at + 1}]"]
        else:
            lines.append(f"        {role}{k} = pointer({where}, {kind})")
        if how == REPEATED:
            lines.append(f"        {role}{k}v = {_loaded(f'{role}{k}[0]', dtype, loop.dtype)}")
    lines.append("        for j in range(start, stop):")
    for k, (dtype, how, output) in enumerate(loop.inputs):
        if how == REPEATED:
            continue
        if how == STRIDED:
            read = f"pointer(x{k} + j * x{k}s, {_kind(dtype)})[0]"
        elif how == IN_PLACE:
            strided = loop.outputs[output][1] == STRIDED
            read = (
                f"pointer(y{output} + j * y{output}s, {_kind(dtype)})[0]"
                if strided
                else f"y{output}[j]"
            )
        else:
            read = f"x{k}[j]"
        lines.append(f"            x{k}v = {_loaded(read, dtype, loop.dtype)}")
    for k, node in enumerate(loop.nodes):
        names = {"input": "x{}v", "number": "p{}", "node": "m{}"}
        taken = ", ".join(names[what].format(which) for what, which in node.takes)
        lines.append(f"            m{k} = {node.body.name}({taken})")
    for k, (dtype, how, result) in enumerate(loop.outputs):
        value = _stored(f"m{result}", dtype, loop.dtype)
        if how == STRIDED:
            lines.append(f"            pointer(y{k} + j * y{k}s, {_kind(dtype)})[0] = {value}")
        else:
            lines.append(f"            y{k}[j] = {value}")
    lines.append("        first += stop - start")
    return "\n".join(lines) + "\n"


def _kind(dtype: str) -> str:
    return "np.uint8" if dtype == "bool" else f"np.{dtype}"


def _loaded(text: str, dtype: str, kind: str) -> str:
    if dtype == "bool":
        return f"{text} != np.uint8(0)"
    return text if dtype == kind else f"K({text})"


def _stored(text: str, dtype: str, kind: str) -> str:
    if dtype == "bool":
        return f"np.uint8({text})"
    return text if dtype == kind else f"np.{dtype}({text})"


def make_loop(loop: Loop) -> Any:
    """Return the kernel of a loop, to be compiled."""
    from .intrinsics import pointer
    from .parts import part

    scope: dict[str, Any] = {
        "__name__": __name__,
        **{"np": np, "K": getattr(np, loop.dtype), "pointer": pointer, "part": part},
        **{node.body.name: scalar(node.body, loop.dtype) for node in loop.nodes},
    }
    # Numba keeps what it compiles beside the file that a function says it comes from.
    exec(compile(loop.text, __file__, "exec"), scope)
    return scope["kernel"]


_scalars: dict[tuple[str, str], Any] = {}


def scalar(body: Parsed, dtype: str) -> Any:
    """Return a body as a function on one number of a dtype, for use in compiled code."""
    key = (body.text(), dtype)
    if key not in _scalars:
        _scalars[key] = _made(body, dtype)
    return _scalars[key]


def activation_of(name: str, dtype: str) -> tuple[Any, Any]:
    """Return f(x, p, q) and dY · f'(v) of an activation, for use in compiled code.

    v is what the formula saves, p and q are its options; "identity" is the lack of an activation.
    """
    from numba import njit

    from .intrinsics import INLINE

    if name == "identity":
        return njit(**INLINE)(_identity), njit(**INLINE)(_identity_backward)
    words = FORMULAS[name].pointwise
    pq = ["p", "q"][: len(words.options)]
    (body,) = words.backward.values()
    names = dict(zip(words.options, pq, strict=False))
    behind = [names.get(one, "v") for one in parsed(body).parameters[1:]]
    scope = {
        "__name__": __name__,
        "f": scalar(parsed(words.forward), dtype),
        "b": scalar(parsed(body), dtype),
    }
    text = f"def forward(x, p, q): return f({', '.join(['x', *pq])})\n"
    text += f"def backward(dy, v, p, q): return b({', '.join(['dy', *behind])})\n"
    exec(compile(text, __file__, "exec"), scope)
    return njit(**INLINE)(scope["forward"]), njit(**INLINE)(scope["backward"])


def _identity(x, p, q):
    return x


def _identity_backward(dy, v, p, q):
    return dy


def specialised(kernel: Kernelled, **functions: Any) -> Kernelled:
    """Return a kernel in which global names stand for other functions.

    They are no closure: Numba's cache would take a kernel that encloses functions for a new one in
    every process.
    """
    given: Any = kernel
    scope = {**given.__globals__, **functions}
    made: Any = types.FunctionType(
        given.__code__, scope, given.__name__, given.__defaults__, given.__closure__
    )
    return made  # type: ignore[no-any-return]


def _made(body: Parsed, dtype: str) -> Any:
    from numba import njit

    from .intrinsics import INLINE
    from .words import WORDS as SCALAR_WORDS

    scope: dict[str, Any] = {
        "__name__": __name__,
        **SCALAR_WORDS,
        **{name: scalar(used, dtype) for name, used in body.uses.items()},
        "K": getattr(np, dtype),
    }
    arguments = ast.arguments(
        [], [ast.arg(name) for name in body.parameters], None, [], [], None, []
    )
    statements = [_Typed().visit(_copied(one)) for one in body.statements]
    function = ast.FunctionDef(body.name, arguments, statements, [], None)
    module = ast.fix_missing_locations(ast.Module([function], []))
    exec(compile(ast.unparse(module), __file__, "exec"), scope)
    return njit(**INLINE)(scope[body.name])


def _copied(node: ast.stmt) -> ast.stmt:
    return ast.parse(ast.unparse(node)).body[0]


class _Typed(ast.NodeTransformer):
    """Gives numbers the dtype of the loop: a float64 among float32 would widen all of it."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Call(ast.Name("K", ast.Load()), [node], [])


# Putting arrays into loops.


class Operands:
    """Collects the arrays and numbers of a loop and says how they lie."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        """Start with the shape that everything broadcasts to and the dtype to compute in."""
        self.shape, self.dtype = shape, np.dtype(dtype).name
        self.inputs: list[Any] = []
        self.numbers: list[Any] = []
        self.nodes: list[Node] = []
        self.outputs: list[tuple[Any, int]] = []

    def add(self, value: Any) -> tuple[str, int]:
        """Return what stands for an array or a number among a node's parameters."""
        if not isinstance(value, np.ndarray):
            self.numbers.append(value)
            return "number", len(self.numbers) - 1
        for place, known in enumerate(self.inputs):
            if known is value:
                return "input", place
        self.inputs.append(value)
        return "input", len(self.inputs) - 1

    def apply(self, body: Parsed, takes: Sequence[tuple[str, int]]) -> tuple[str, int]:
        """Apply a body, and return what stands for its result."""
        self.nodes.append(Node(body, tuple(takes)))
        return "node", len(self.nodes) - 1

    def store(self, node: tuple[str, int], array: Any) -> None:
        """Write the result of a node into an array.

        Raises:
            TypeError: for what is none, as a number that indexing made of an array.
        """
        if not isinstance(array, np.ndarray):
            raise TypeError(f"a loop writes into arrays, got {type(array).__name__}")
        self.outputs.append((array, node[1]))

    def emit(self, builder: Any) -> None:
        """Emit the loop; one of more axes than a loop has as several of fewer."""
        arrays = [*self.inputs, *(array for array, _ in self.outputs)]
        strides = [broadcast_strides(array, self.shape) for array in arrays]
        self._emit(builder, arrays, self.shape, strides, [0] * len(arrays))

    def _emit(
        self, builder: Any, arrays: list[Any], shape: Any, strides: list[Any], at: list[int]
    ) -> None:
        try:
            sizes, steps = walk(shape, strides)
        except ValueError:
            inner = [one[1:] for one in strides]
            for k in range(shape[0]):
                start = [here + k * one[0] for here, one in zip(at, strides, strict=True)]
                self._emit(builder, arrays, shape[1:], inner, start)
            return
        count = len(self.inputs)
        hows = [_how(array, step, sizes[0]) for array, step in zip(arrays, steps, strict=True)]
        if STRIDED in hows:  # one loop for all mixtures: none of them would vectorise well
            hows = [STRIDED] * len(hows)
        where = [
            (address(array) + offset, step, array.dtype)
            for array, offset, step in zip(arrays, at, steps, strict=True)
        ]
        ins = []
        for array, how, here in zip(self.inputs, hows, where, strict=False):
            same = where[count:].index(here) if here in where[count:] else -1
            ins.append((array.dtype.name, how if same < 0 else IN_PLACE, same))
        outs = [
            (array.dtype.name, how, node)
            for (array, node), how in zip(self.outputs, hows[count:], strict=True)
        ]
        loop = _interned(
            Loop(self.dtype, tuple(ins), tuple(self.nodes), tuple(outs), len(self.numbers))
        )
        words: list[Any] = [*sizes]
        for array, step, offset in zip(arrays, steps, at, strict=True):
            words += [Shifted(array, offset) if offset else array, *step]
        builder.emit(loop.kernel, words, tuple(self.numbers))


def _how(array: Any, step: tuple[int, ...], inner: int) -> str:
    if step[0] == array.itemsize:
        return CONTIGUOUS
    if step[0] == 0 and inner > 1:
        return REPEATED
    return CONTIGUOUS if inner == 1 else STRIDED


@functools.cache
def _interned(loop: Loop) -> Loop:
    return loop
