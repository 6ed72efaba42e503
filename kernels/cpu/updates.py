"""Assignments, accumulation and clipping as instructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.checks import NOTHING

from ..bodies import parsed
from ..moved import why_not_assign
from .elementwise import copy, plus, scale
from .implementation import Builder, CpuKernel, Inputs, Lowering, Options
from .operands import Operands
from .reductions import total
from .runtime.declaration import Floats, Number, kernel
from .runtime.language import KIND

Lowered = tuple[tuple[Any, ...], Any]


@kernel(cost=lambda: 1.0)
def clip_factor(norm: Floats, factor: Floats, limit: Number, tid, threads):
    """Factor = min(1, limit / (norm + 1e-6)) of clip_grad_norm_, for ``scale``. By one thread."""
    if tid == 0:
        ratio = limit / (norm[0] + KIND(1e-6))
        factor[0] = KIND(1.0) if ratio > KIND(1.0) else ratio


def _copy_into(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    target, source = inputs
    copy(builder, source, target)
    return (), None


def _accumulate(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    target, source = inputs
    loop = Operands(target.shape, target.dtype)
    loop.store(loop.apply(parsed(plus), [loop.add(target), loop.add(source)]), target)
    loop.emit(builder)
    return (), None


def _fill(builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]) -> Lowered:
    (target,) = inputs
    copy(builder, options["value"], target)
    return (), None


def _scale_by_norm(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    G, norm = inputs
    factor = builder.empty((), G.dtype)
    name = dtype_name(G.dtype)
    clip_factor.emit(builder, name, norm=norm, factor=factor, limit=options["max_norm"])
    scale.emit(builder, name, X=G, Y=G, factor=factor, count=G.size, c=1.0)
    return (), None


def _check_scale_by_norm(inputs: Inputs, options: Options) -> str | None:
    norm = inputs[1]
    if not isinstance(norm, np.ndarray) or norm.shape != () or norm.dtype != inputs[0].dtype:
        return "the norm is not one number of the same dtype"
    return None


def _squared_norm(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> Lowered:
    (X,) = inputs
    Y = builder.output(0, (), X.dtype)
    total(builder, X, Y, 1.0, squared=True)
    return (Y,), NOTHING


def _made(
    formula: str, lowering: Lowering, direction: str, refusal: Any = None, strided: bool = False
) -> CpuKernel:
    refusals = {} if refusal is None else {direction: refusal}
    return CpuKernel(formula, {direction: lowering}, refusals, strided=strided)


COPY_INTO_KERNEL = _made("copy_into", _copy_into, "update", why_not_assign, strided=True)
ACCUMULATE_KERNEL = _made("accumulate", _accumulate, "update", why_not_assign, strided=True)
FILL_KERNEL = _made("fill", _fill, "update", strided=True)
SCALE_BY_NORM_KERNEL = _made("scale_by_norm", _scale_by_norm, "update", _check_scale_by_norm)
SQUARED_NORM_KERNEL = _made("squared_norm", _squared_norm, "forward")
