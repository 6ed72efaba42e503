"""Formulas that only move values, as instructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.shaping import PiecesSaved, ShapeSaved, StackSaved
from nnscratch.formulas.unary import CastSaved

from ..moved import never_alone, reshaped, why_not_concatenate, why_not_reshape, why_not_stack
from .elementwise import copy
from .implementation import Builder, CpuKernel, Inputs, Options
from .turned import turns

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]


def _reshape(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (A,) = inputs
    Y = builder.output(0, reshaped(A, options), A.dtype)
    copy(builder, A, Y.reshape(A.shape))
    return (Y,), ShapeSaved(tuple(A.shape))


def _reshape_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, shape = inputs
    dA = builder.output(0, tuple(shape), dY.dtype)
    copy(builder, dY, dA.reshape(dY.shape))
    return (dA,), None


def _getitem_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, shape, index = inputs
    dA = builder.output(0, tuple(shape), dY.dtype)
    copy(builder, 0.0, dA)
    target = dA[(*index, ...)]
    copy(builder, dY.reshape(target.shape), target)
    return (dA,), None


def _concatenate(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    axis = options.get("axis", 0) % inputs[0].ndim
    ends = np.cumsum([one.shape[axis] for one in inputs]).tolist()
    first = inputs[0]
    Y = builder.output(0, (*first.shape[:axis], ends[-1], *first.shape[axis + 1 :]), first.dtype)
    front = (slice(None),) * axis
    for one, start, end in zip(inputs, [0, *ends[:-1]], ends, strict=True):
        copy(builder, one, Y[(*front, slice(start, end))])
    return (Y,), PiecesSaved(axis, tuple(ends))


def _split_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    *dY, shape, axis, sizes = inputs
    dtype = next(one.dtype for one in dY if one is not None)
    dA = builder.output(0, shape, dtype)
    front, start = (slice(None),) * axis, 0
    for one, size in zip(dY, sizes, strict=True):
        if size:
            place = dA[(*front, slice(start, start + size))]
            copy(builder, 0.0 if one is None else one, place)
        start += size
    return (dA,), None


def _stack(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    first = inputs[0]
    axis = options.get("axis", 0) % (first.ndim + 1)
    Y = builder.output(0, (*first.shape[:axis], len(inputs), *first.shape[axis:]), first.dtype)
    front = (slice(None),) * axis
    for place, one in enumerate(inputs):
        copy(builder, one, Y[(*front, place, ...)])
    return (Y,), StackSaved(axis)


def _clone(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (A,) = inputs
    Y = builder.output(0, A.shape, A.dtype)
    copy(builder, A, Y)
    return (Y,), CastSaved(dtype_name(A.dtype))


def _clone_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    return _clone(builder, inputs[:1], options, needs)[0], None


def _why_not_clone(inputs: Inputs, options: Options) -> str | None:
    same = dtype_name(inputs[0].dtype) == options["dtype"]
    return None if same else "the dtype becomes another one"


def _why_not_clone_back(inputs: Inputs, options: Options) -> str | None:
    return _why_not_clone(inputs, {"dtype": inputs[1]})


def _moves(formula: str, lowerings: Any, refusals: Any = None) -> CpuKernel:
    return CpuKernel(formula, lowerings, refusals or {}, pays=never_alone, strided=True)


RESHAPE_KERNEL = CpuKernel(
    "reshape",
    {"forward": _reshape, "backward": _reshape_backward},
    {"forward": why_not_reshape},
    pays=turns,
    strided=True,
)
CAST_KERNEL = _moves(
    "cast",
    {"forward": _clone, "backward": _clone_backward},
    {"forward": _why_not_clone, "backward": _why_not_clone_back},
)
GETITEM_KERNEL = _moves("getitem", {"backward": _getitem_backward})
CONCATENATE_KERNEL = _moves(
    "concatenate", {"forward": _concatenate}, {"forward": why_not_concatenate}
)
SPLIT_KERNEL = CpuKernel(
    "split", {"backward": _split_backward}, {}, pays=never_alone, strided=True, several=True
)
STACK_KERNEL = _moves("stack", {"forward": _stack}, {"forward": why_not_stack})
