"""Every elementwise formula as a loop made of its bodies; copies, fills and scaling."""

from __future__ import annotations

import ast
import functools
from functools import partial
from typing import Any

import numpy as np

from nnscratch.formulas import Formula
from nnscratch.formulas.pointwise import Pointwise, unchanged

from ..bodies import COSTS, USUAL, Parsed, parsed
from .implementation import (
    FLOATS,
    Builder,
    CpuKernel,
    EagerBuilder,
    Inputs,
    Lowering,
    Options,
    Refusal,
)
from .operands import Operands
from .runtime.declaration import Floats, Number, OptionalFloats, kernel
from .runtime.eager import RowCall
from .runtime.kernel import KernelCollector
from .runtime.language import KIND, given, part, same
from .turned import copied_turned

Lowered = tuple[tuple[Any, ...], Any]
_ARRAY, _BOOL = np.ndarray, np.dtype("bool")
GRAIN = 1024


@kernel(cost=lambda count: 0.15 * count)
def scale(X: Floats, Y: Floats, factor: OptionalFloats, count: int, c: Number, tid, threads):
    """Y = c X, times the number at ``factor`` if there is one. In place: Y = X."""
    first, last = part(count, tid, threads, GRAIN)
    if given(factor):
        c = c * factor[0]
    if not same(X, Y):
        for i in range(first, last):
            Y[i] = c * X[i]
    else:
        for i in range(first, last):
            Y[i] = c * Y[i]


@kernel(cost=lambda count: 0.1 * count)
def fill(Y: Floats, count: int, c: Number, tid, threads):
    """Y = c."""
    first, last = part(count, tid, threads, GRAIN)
    if c == KIND(0.0) and KIND(1.0) / c > KIND(0.0):  # not -0.0
        for i in range(first, last):  # memset, which reads no line before it writes it
            Y[i] = KIND(0.0)
    else:
        for i in range(first, last):
            Y[i] = c


def identity(A: Any) -> Any:
    """Return A: the body of a copy."""
    return A


def plus(A: Any, B: Any) -> Any:
    """Return A + B."""
    return A + B


def copy(builder: Builder, source: Any, target: Any) -> None:
    """Emit target = source, where source is an array that broadcasts to it or a number."""
    if not isinstance(source, np.ndarray) and target.dtype in FLOATS and target.flags.c_contiguous:
        fill.emit(builder, target.dtype.name, Y=target, count=target.size, c=source)
        return
    if isinstance(source, np.ndarray) and copied_turned(builder, source, target):
        return
    dtypes = [one.dtype for one in (target, source) if isinstance(one, np.ndarray)]
    floats = [dtype for dtype in dtypes if dtype in FLOATS]
    wide = np.dtype("float64") in floats or not floats
    loop = Operands(target.shape, "float64" if wide else "float32")
    loop.store(loop.apply(parsed(identity), [loop.add(source)]), target)
    loop.emit(builder)


def zeros(builder: Builder, position: int, shape: tuple[int, ...], dtype: Any) -> tuple[Any, bool]:
    """Return the array to write an output into, with zeros in it, and whether it has no pages yet.

    Of large memory that is new the system makes each page of zeros when it is first written to: it
    costs nothing where nobody writes, and time behind the call otherwise.
    """
    new = builder.new_zeros(position, shape, dtype) if type(builder) is EagerBuilder else None
    if new is not None:
        return new, True
    made = builder.output(position, shape, dtype)
    copy(builder, 0.0, made)
    return made, False


def contiguous(builder: Builder, item: Any) -> Any:
    """Return an array whose elements lie in order: the given one, or a copy that is emitted."""
    if not isinstance(item, np.ndarray) or item.flags.c_contiguous:
        return item
    return builder.once(_in_order, item)


def _in_order(builder: Builder, item: Any) -> Any:
    made = builder.empty(item.shape, item.dtype)
    copy(builder, item, made)
    return made


Job = tuple[Any, list[Any], Any]
"""A body, what it takes, and the array that its result goes to."""


class _Rows:
    """The loops of one formula; those over arrays of one shape, all in order, are known again.

    An eager call of a few thousand elements takes no longer than describing its loop does.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def emit(self, builder: Builder, shape: tuple[int, ...], dtype: Any, jobs: list[Job]) -> None:
        """Emit a loop of one or several bodies."""
        if type(builder) is not EagerBuilder or not self._run(shape, dtype, jobs):
            self._described(shape, dtype, jobs).emit(builder)

    def _described(self, shape: tuple[int, ...], dtype: Any, jobs: list[Job]) -> Operands:
        loop = Operands(shape, dtype)
        for body, values, out in jobs:
            loop.store(loop.apply(parsed(body), [loop.add(one) for one in values]), out)
        return loop

    def _run(self, shape: tuple[int, ...], dtype: Any, jobs: list[Job]) -> bool:
        """Run a loop over rows at once; return False if some array is no row of that shape."""
        arrays: list[Any] = []
        places: dict[int, int] = {}
        numbers: list[Any] = []
        key: list[Any] = [dtype]
        for body, values, _ in jobs:
            key.append(body)
            for one in values:
                if not isinstance(one, _ARRAY):
                    numbers.append(one)
                    key.append(None)
                    continue
                if one.shape != shape or not one.flags.c_contiguous:
                    return False
                place = places.setdefault(id(one), len(arrays))
                if place == len(arrays):
                    arrays.append(one)
                key += place, one.dtype
        arrays += [out for _, _, out in jobs]
        found = self._known.get(found_key := tuple(key))
        if found is None:
            collected = KernelCollector()
            size = arrays[0].size
            self._described((size,), dtype, _twins(jobs, size)).emit_now(collected)
            (kernel,) = collected.kernels
            found = RowCall(kernel, [array.itemsize for array in arrays])
            self._known[found_key] = found
        found(arrays, numbers)
        return True


def _twins(jobs: list[Job], size: int) -> list[Job]:
    """Return jobs on other arrays of the same dtypes, in one row, of which none meet by accident.

    What is one array several times is one there, too.
    """
    made: dict[int, Any] = {}

    def twin(one: Any) -> Any:
        if not isinstance(one, np.ndarray):
            return one
        return made.setdefault(id(one), np.empty(size, one.dtype))

    return [(body, [twin(one) for one in values], twin(out)) for body, values, out in jobs]


def elementwise(formula: Formula) -> CpuKernel:
    """Return the loops of an elementwise formula."""
    words: Pointwise = formula.pointwise
    rows = _Rows()

    def forward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> Lowered:
        arrays = [item for item in inputs if isinstance(item, _ARRAY)]
        shape, dtype = arrays[0].shape, arrays[0].dtype
        if len(arrays) > 1:
            shape = _common([array.shape for array in arrays])
            dtype = next(array.dtype for array in arrays if array.dtype in FLOATS)
        Y = builder.output(0, shape, _BOOL if words.truth else dtype, over=tuple(arrays))
        values = [*inputs, *[options.get(name, value) for name, value in words.options.items()]]
        rows.emit(builder, shape, dtype, [(words.forward, values, Y)])
        return (Y,), words.keep(inputs, Y, options)

    def backward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> Lowered:
        dY, *saved = inputs
        jobs: list[Job] = []
        found: list[Any] = []
        over = tuple([item for item in inputs if isinstance(item, _ARRAY)])
        for place, (name, need) in enumerate(zip(words.inputs, needs, strict=True)):
            body = words.backward.get(name)
            if not need or body is None:
                found.append(None)
            elif body is unchanged:
                found.append(dY)
            else:
                values = [dY, *(saved[k] for k in words.takes[name])]
                dX = builder.output(place, dY.shape, dY.dtype, over)
                jobs.append((body, values, dX))
                found.append(dX)
        if jobs:
            rows.emit(builder, dY.shape, dY.dtype, jobs)
        return tuple(found), None

    lowerings: dict[str, Lowering] = {"forward": forward}
    if words.backward:
        lowerings["backward"] = backward

    def check_forward(inputs: Inputs, options: Options) -> str | None:
        return _check(words.inputs, inputs, options) or words.senseless(options)

    refusals: dict[str, Refusal] = {
        "forward": check_forward if words.need else partial(_check, words.inputs),
        "backward": partial(_check, ("dY", *words.saved)),
    }

    @functools.cache
    def passes(direction: str) -> float:
        bodies = [words.forward] if direction == "forward" else [*words.backward.values()]
        most = max([1, *(_operations(parsed(one)) for one in bodies if one is not unchanged)])
        return (most - 1) / 3

    return CpuKernel(formula.name, lowerings, refusals, passes=passes, strided=True)


def _operations(body: Parsed) -> int:
    """Return how many operations of NumPy a body takes, as multiples of an addition."""
    found = sum(map(_operations, body.uses.values()))
    for statement in body.statements:
        for node in ast.walk(statement):
            if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare)):
                found += 1
            elif isinstance(node, ast.Call):
                word = ast.unparse(node.func).removeprefix("word_")
                found += COSTS.get(word, USUAL).additions
    return max(found, 1)


def _common(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape that all broadcast to; most often all are it."""
    first = shapes[0]
    for other in shapes:
        if other != first:
            return np.broadcast_shapes(*shapes)
    return first


def _check(names: tuple[str, ...], inputs: Inputs, options: Options) -> str | None:
    """Refuse what the reference says more about: mixtures of dtypes, shapes that do not fit."""
    shapes = []
    for name, item in zip(names, inputs, strict=False):
        if isinstance(item, _ARRAY):
            # Only a condition is no float; two floats of one dtype was checked before.
            if item.dtype.kind != ("b" if name == "C" else "f"):
                return f"{name} is {item.dtype}"
            shapes.append(item.shape)
        elif not isinstance(item, (bool, int, float)):
            return f"{type(item).__name__} is no number"
    if len(shapes) < 2:
        return None
    try:
        _common(shapes)
    except ValueError:
        return f"the shapes {' and '.join(map(str, shapes))} do not broadcast"
    return None
