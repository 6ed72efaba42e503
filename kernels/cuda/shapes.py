"""Formulas that only move values, as launches of copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.shaping import PiecesSaved, ShapeSaved, StackSaved

from ..moved import never_alone, reshaped, why_not_concatenate, why_not_reshape, why_not_stack
from .copies import copy
from .implementation import CudaKernel, Inputs, Lowering, Needs, Options, Refusal
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]


def _reshape(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (A,) = inputs
    Y = target.output(0, reshaped(A, options), A.dtype)
    copy(target, A, Y.reshape(A.shape))
    return (Y,), ShapeSaved(tuple(A.shape))


def _reshape_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, shape = inputs
    dA = target.output(0, tuple(shape), dY.dtype)
    copy(target, dY, dA.reshape(dY.shape))
    return (dA,), None


def _getitem_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, shape, index = inputs
    dA = target.output(0, tuple(shape), dY.dtype)
    place = dA[(*index, ...)]
    if place.size < dA.size:
        copy(target, 0.0, dA)
    copy(target, dY.reshape(place.shape), place)
    return (dA,), None


def _concatenate(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    first = inputs[0]
    axis = options.get("axis", 0) % first.ndim
    ends = np.cumsum([one.shape[axis] for one in inputs]).tolist()
    Y = target.output(0, (*first.shape[:axis], ends[-1], *first.shape[axis + 1 :]), first.dtype)
    front = (slice(None),) * axis
    for one, start, end in zip(inputs, [0, *ends[:-1]], ends, strict=True):
        copy(target, one, Y[(*front, slice(start, end))])
    return (Y,), PiecesSaved(axis, tuple(ends))


def _split_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    *dY, shape, axis, sizes = inputs
    dtype = next(one.dtype for one in dY if one is not None)
    dA = target.output(0, shape, dtype)
    if any(one is None for one in dY):
        copy(target, 0.0, dA)
    front, start = (slice(None),) * axis, 0
    for one, size in zip(dY, sizes, strict=True):
        if size and one is not None:
            copy(target, one, dA[(*front, slice(start, start + size))])
        start += size
    return (dA,), None


def _stack(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    first = inputs[0]
    axis = options.get("axis", 0) % (first.ndim + 1)
    Y = target.output(0, (*first.shape[:axis], len(inputs), *first.shape[axis:]), first.dtype)
    front = (slice(None),) * axis
    for place, one in enumerate(inputs):
        copy(target, one, Y[(*front, place, ...)])
    return (Y,), StackSaved(axis)


def _moves(
    formula: str,
    lowerings: dict[str, Lowering],
    refusals: dict[str, Refusal] | None = None,
    several: bool = False,
) -> CudaKernel:
    files = ("elementwise", "copies")
    return CudaKernel(
        formula, files, lowerings, refusals or {}, never_alone, strided=True, several=several
    )


RESHAPE_KERNEL = _moves(
    "reshape", {"forward": _reshape, "backward": _reshape_backward}, {"forward": why_not_reshape}
)
GETITEM_KERNEL = _moves("getitem", {"backward": _getitem_backward})
CONCATENATE_KERNEL = _moves(
    "concatenate", {"forward": _concatenate}, {"forward": why_not_concatenate}
)
SPLIT_KERNEL = _moves("split", {"backward": _split_backward}, several=True)
STACK_KERNEL = _moves("stack", {"forward": _stack}, {"forward": why_not_stack})
