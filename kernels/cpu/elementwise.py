"""Every elementwise formula as a loop made of its bodies; copies, fills and scaling."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from nnscratch.formulas import Formula
from nnscratch.formulas.pointwise import Pointwise, unchanged

from ..bodies import parsed
from .implementation import FLOATS, Builder, CpuKernel, Inputs, Lowering, Options, Refusal
from .operands import Operands
from .runtime.declaration import Floats, Number, OptionalFloats, kernel
from .runtime.language import given, part, same

Lowered = tuple[tuple[Any, ...], Any]
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
    dtypes = [one.dtype for one in (target, source) if isinstance(one, np.ndarray)]
    floats = [dtype for dtype in dtypes if dtype in FLOATS]
    wide = np.dtype("float64") in floats or not floats
    loop = Operands(target.shape, "float64" if wide else "float32")
    loop.store(loop.apply(parsed(identity), [loop.add(source)]), target)
    loop.emit(builder)


def contiguous(builder: Builder, item: Any) -> Any:
    """Return an array whose elements lie in order: the given one, or a copy that is emitted."""
    if not isinstance(item, np.ndarray) or item.flags.c_contiguous:
        return item
    made = builder.empty(item.shape, item.dtype)
    copy(builder, item, made)
    return made


def elementwise(formula: Formula) -> CpuKernel:
    """Return the loops of an elementwise formula."""
    words: Pointwise = formula.pointwise

    def forward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> Lowered:
        arrays = [item for item in inputs if isinstance(item, np.ndarray)]
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        dtype = next(array.dtype for array in arrays if array.dtype in FLOATS)
        Y = builder.output(0, shape, np.dtype("bool") if words.truth else dtype)
        loop = Operands(shape, dtype)
        values = [*inputs, *(options.get(name, value) for name, value in words.options.items())]
        loop.store(loop.apply(parsed(words.forward), [loop.add(one) for one in values]), Y)
        loop.emit(builder)
        return (Y,), words.keep(inputs, Y, options)

    def backward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> Lowered:
        dY, *saved = inputs
        loop = Operands(dY.shape, dY.dtype)
        found: list[Any] = []
        for place, (name, need) in enumerate(zip(words.inputs, needs, strict=True)):
            body = words.backward.get(name)
            if not need or body is None:
                found.append(None)
            elif body is unchanged:
                found.append(dY)
            else:
                values = [dY, *(saved[k] for k in words.takes[name])]
                dX = builder.output(place, dY.shape, dY.dtype)
                loop.store(loop.apply(parsed(body), [loop.add(one) for one in values]), dX)
                found.append(dX)
        if loop.outputs:
            loop.emit(builder)
        return tuple(found), None

    lowerings: dict[str, Lowering] = {"forward": forward}
    if words.backward:
        lowerings["backward"] = backward
    refusals: dict[str, Refusal] = {
        "forward": partial(_check, words.inputs),
        "backward": partial(_check, ("dY", *words.saved)),
    }
    return CpuKernel(
        lowerings,
        refusals,
        passes=lambda: max(1, round(parsed(words.forward).cost / 0.04)),
        strided=True,
    )


def _check(names: tuple[str, ...], inputs: Inputs, options: Options) -> str | None:
    """Refuse what the reference says more about: mixtures of dtypes, shapes that do not fit."""
    shapes = []
    for name, item in zip(names, inputs, strict=False):
        if isinstance(item, np.ndarray):
            # Only a condition is no float; two floats of one dtype was checked before.
            if (item.dtype == bool) != (name == "C") or not (name == "C" or item.dtype in FLOATS):
                return f"{name} is {item.dtype}"
            shapes.append(item.shape)
        elif not isinstance(item, (bool, int, float)):
            return f"{type(item).__name__} is no number"
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return f"the shapes {' and '.join(map(str, shapes))} do not broadcast"
    return None
