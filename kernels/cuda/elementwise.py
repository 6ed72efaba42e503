"""Elementwise formulas, assignments and matrix products, as launches of kernels."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from nnscratch.formulas.formula import FORMULAS
from nnscratch.formulas.pointwise import Pointwise, unchanged
from nnscratch.formulas.products import MatmulSaved

from ..moved import why_not_assign
from ..strided import TooManyAxesError, broadcast_strides, walk
from . import bodies
from .copies import contiguous, copy
from .driver import cover
from .implementation import CudaKernel, Inputs, Lowering, Needs, Options, Refusal
from .launch import FLOATS, Numbers, Strided
from .linear import product
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]


def elementwise(name: str) -> CudaKernel:
    """Return the kernels of an elementwise formula."""
    words: Pointwise = FORMULAS[name].pointwise

    def forward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        arrays = [item for item in inputs if hasattr(item, "dtype")]
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        dtype = next(array.dtype for array in arrays if array.dtype in FLOATS)
        Y = target.output(0, shape, np.dtype("bool") if words.truth else dtype)
        values = [*inputs, *(options.get(option, value) for option, value in words.options.items())]
        apply(target, name, bodies.kernels(name)[""], dtype, values, Y)
        return (Y,), words.keep(inputs, Y, options)

    def backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        dY, *saved = inputs
        found: list[Any] = []
        for position, (one, need) in enumerate(zip(words.inputs, needs, strict=True)):
            body = words.backward.get(one)
            if not need or body is None:
                found.append(None)
            elif body is unchanged:
                found.append(dY)
            else:
                dX = target.output(position, dY.shape, dY.dtype)
                values = [dY, *(saved[place] for place in words.takes[one])]
                apply(target, name, bodies.kernels(name)[one], dY.dtype, values, dX)
                found.append(dX)
        return tuple(found), None

    lowerings: dict[str, Lowering] = {"forward": forward}
    if words.backward:
        lowerings["backward"] = backward

    def check_forward(inputs: Inputs, options: Options) -> str | None:
        return _check(words.inputs, inputs, None) or words.senseless(options)

    def check_backward(inputs: Inputs, options: Options) -> str | None:
        why = _check(("dY", *words.saved), inputs, inputs[0].shape)
        if why is None and len(words.inputs) == 1 and _shapes(inputs) != {inputs[0].shape}:
            why = f"dY {inputs[0].shape} is not of the shape of what was saved"
        return why

    refusals: dict[str, Refusal] = {"forward": check_forward, "backward": check_backward}
    return CudaKernel(name, (name,), lowerings, refusals, strided=True)


def apply(
    target: Target, file: str, kernel: bodies.KernelText, dtype: Any, values: Any, out: Any
) -> None:
    """Add out = the body of a kernel, of values that are arrays or numbers."""
    if not kernel.broadcasts:
        values = [contiguous(target, one) for one in values]
    given = dict(zip(kernel.body.parameters, values, strict=True))
    arrays = [given[name] if hasattr(given[name], "dtype") else None for name in kernel.arrays]
    numbers = {
        name: 0.0 if hasattr(given[name], "dtype") else given[name] for name in kernel.numbers
    }
    late = Numbers(partial(_in_order, kernel.numbers), numbers) if numbers else None
    if all(one is None or (one.shape == out.shape and one.flags.c_contiguous) for one in arrays):
        arguments = (*arrays, out, out.size)
        target.launch(file, kernel.name, dtype, cover(out.size, 4), arguments, numbers=late)
        return
    sizes, strides = walk(out.shape, tuple([_strides(array, out.shape) for array in arrays]))
    steps = [step for one in strides for step in one]
    pointers = [None if one is None else Strided(one) for one in arrays]
    arguments = (*pointers, out, out.size, *sizes[:3], *steps)
    grid = cover(out.size)
    target.launch(file, f"{kernel.name}_broadcast", dtype, grid, arguments, numbers=late)


def _in_order(names: tuple[str, ...], numbers: Options) -> tuple[Any, ...]:
    return tuple([float(numbers[name]) for name in names])


def _strides(array: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the elements between neighbours along each axis of a shape; 0 where it repeats."""
    if array is None:
        return (0,) * len(shape)
    return tuple(step // array.itemsize for step in broadcast_strides(array, shape))


def _shapes(inputs: Inputs) -> set[tuple[int, ...]]:
    return {item.shape for item in inputs if hasattr(item, "dtype")}


def _check(names: tuple[str, ...], inputs: Inputs, shape: tuple[int, ...] | None) -> str | None:
    """Refuse what the reference says more about, and more axes than a kernel has."""
    arrays = []
    for name, item in zip(names, inputs, strict=False):
        if hasattr(item, "dtype"):
            if (item.dtype == bool) != (name == "C") or not (name == "C" or item.dtype in FLOATS):
                return f"{name} is {item.dtype}"
            arrays.append(item)
        elif not isinstance(item, (bool, int, float)):
            return f"{type(item).__name__} is no number"
    try:
        out = np.broadcast_shapes(*(array.shape for array in arrays))
        walk(out, tuple([_strides(array, out) for array in arrays]))
    except TooManyAxesError as error:
        return str(error)
    except ValueError:
        return f"the shapes {' and '.join(str(array.shape) for array in arrays)} do not broadcast"
    return None if shape in (None, out) else f"dY has shape {shape}"


def _copy_into(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    T, S = inputs
    copy(target, S, T)
    return (), None


def _accumulate(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    T, S = inputs
    apply(target, "add", bodies.kernels("add")[""], T.dtype, (T, S), T)
    return (), None


def _fill(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (T,) = inputs
    value = Numbers(lambda given: (given["value"],), options)
    grid = cover(T.size, 4)
    target.launch("elementwise", "fill", T.dtype, grid, (T, T.size), numbers=value)
    return (), None


def _matmul(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    A, B = inputs
    Y = target.output(0, (A.shape[0], B.shape[1]), A.dtype)
    product(target, A, B, Y)
    return (Y,), MatmulSaved(A, B)


def _matmul_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, A, B = inputs
    dA = dB = None
    if needs[0]:
        dA = target.output(0, A.shape, A.dtype)
        product(target, dY, B, dA, transpose_b=True)
    if needs[1]:
        dB = target.output(1, B.shape, B.dtype)
        product(target, A, dY, dB, transpose_a=True)
    return (dA, dB), None


def _check_matmul(inputs: Inputs, options: Options) -> str | None:
    A, B = inputs[-2:]
    if A.ndim != 2 or B.ndim != 2:
        return "it multiplies two matrices"
    return None if A.shape[1] == B.shape[0] else "the shapes do not fit"


def _made(
    formula: str,
    lowering: Lowering,
    direction: str,
    refusal: Any = None,
    file: str = "elementwise",
) -> CudaKernel:
    refusals = {} if refusal is None else {direction: refusal}
    return CudaKernel(formula, (file,), {direction: lowering}, refusals)


COPY_INTO_KERNEL = CudaKernel(
    "copy_into",
    ("elementwise",),
    {"update": _copy_into},
    {"update": why_not_assign},
    strided=True,
)
ACCUMULATE_KERNEL = _made("accumulate", _accumulate, "update", why_not_assign, "add")
FILL_KERNEL = _made("fill", _fill, "update")
MATMUL_KERNEL = CudaKernel(
    "matmul",
    ("matmul",),
    {"forward": _matmul, "backward": _matmul_backward},
    {"forward": _check_matmul, "backward": _check_matmul},
)
