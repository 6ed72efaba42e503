"""Optimizer updates, assignments, arithmetic and reductions as instructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.addresses import shares_memory
from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.checks import NOTHING
from nnscratch.formulas.live import LiveFloat

from ..bodies import parsed
from .catalogue import kernel
from .implementation import Builder, CpuKernel, Inputs, Lowering, Options
from .lower_elementwise import copy, plus
from .lower_shapes import total
from .operands import Operands
from .optimizer_flags import optimizer_flags
from .runtime.table import address

Lowered = tuple[tuple[Any, ...], Any]


def _decays(options: Options) -> bool:
    """Say whether an update must look at the weight decay: also if it may change later."""
    decay = options.get("weight_decay", 0.0)
    return isinstance(decay, LiveFloat) or decay != 0.0


def _flags(options: Options, extra: bool = False, momentum: bool = False) -> int:
    decoupled = bool(options.get("decoupled", False))
    return optimizer_flags(
        l2=_decays(options) and not decoupled,
        decoupled=decoupled,
        maximize=bool(options.get("maximize", False)),
        extra=extra,
        momentum=momentum,
    )


def optimizer(
    name: str,
    state: tuple[int, ...],
    scalars: tuple[tuple[str, float], ...],
    extra: str | int | None = None,
    momentum: int | None = None,
) -> CpuKernel:
    """Return the kernel of one optimizer.

    Args:
        name: of the kernel, and of the formula.
        state: which inputs of the formula stand behind P and G in the kernel's ``a``.
        scalars: names and defaults of the options in the kernel's ``s``.
        extra: the option, or the input that is present, with the flag EXTRA.
        momentum: the input that is present with the flag MOMENTUM.
    """

    def update(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> Lowered:
        given = dict(enumerate(inputs))
        P, G = inputs[:2]
        wants = given.get(extra) is not None if isinstance(extra, int) else bool(
            extra and options.get(extra, False)
        )  # fmt: skip
        flags = _flags(options, wants, momentum is not None and given.get(momentum) is not None)
        words = (P, G, *(given.get(index) for index in state), P.size)
        numbers = [options.get(option, default) for option, default in scalars]
        builder.emit(kernel(name, dtype_name(P.dtype), flags), words, numbers)
        return (), None

    return CpuKernel({"update": update}, {"update": _alike})


def _alike(inputs: Inputs, options: Options) -> str | None:
    shapes = {item.shape for item in inputs if isinstance(item, np.ndarray)}
    return None if len(shapes) == 1 else f"the arrays have the shapes {sorted(shapes)}"


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
    builder.emit(kernel("clip_factor", dtype_name(G.dtype)), (norm, factor), (options["max_norm"],))
    builder.emit(kernel("scale", dtype_name(G.dtype)), (G, G, factor, G.size), (1.0,))
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


def _same_pair(inputs: Inputs, options: Options) -> str | None:
    target, source = inputs
    if not isinstance(source, np.ndarray) or source.shape != target.shape:
        return "target and source differ in shape"
    if source.dtype != target.dtype:
        return "target and source differ in dtype"
    same = address(source) == address(target) and source.strides == target.strides
    return None if same or not shares_memory(source, target) else "target and source overlap"


def _made(
    lowering: Lowering, direction: str, refusal: Any = None, strided: bool = False
) -> CpuKernel:
    refusals = {} if refusal is None else {direction: refusal}
    return CpuKernel({direction: lowering}, refusals, strided=strided)


_ADAM = (("lr", 1e-3), ("beta1", 0.9), ("beta2", 0.999), ("eps", 1e-8), ("weight_decay", 0.0))

UPDATE_KERNELS = {
    "sgd": optimizer(
        "sgd",
        (2,),
        (
            ("lr", 1e-3),
            ("momentum", 0.0),
            ("dampening", 0.0),
            ("weight_decay", 0.0),
            ("step", 1.0),
        ),
        extra="nesterov",
        momentum=2,
    ),
    "adam": optimizer("adam", (2, 3, 4), (*_ADAM, ("step", 1.0)), extra=4),
    "rmsprop": optimizer(
        "rmsprop",
        (2, 4, 3),
        (("lr", 1e-2), ("alpha", 0.99), ("eps", 1e-8), ("weight_decay", 0.0), ("momentum", 0.0)),
        extra="centered",
        momentum=3,
    ),
    "adagrad": optimizer(
        "adagrad",
        (2,),
        (("lr", 1e-2), ("eps", 1e-10), ("weight_decay", 0.0), ("lr_decay", 0.0), ("step", 1.0)),
    ),
    "adadelta": optimizer(
        "adadelta", (2, 3), (("lr", 1.0), ("rho", 0.9), ("eps", 1e-6), ("weight_decay", 0.0))
    ),
    "nadam": optimizer(
        "nadam",
        (2, 3),
        (
            ("lr", 2e-3),
            *_ADAM[1:],
            ("step", 1.0),
            ("momentum_decay", 4e-3),
            ("mu_product", 1.0),
        ),
    ),
    "copy_into": _made(_copy_into, "update", _same_pair, strided=True),
    "accumulate": _made(_accumulate, "update", _same_pair, strided=True),
    "fill": _made(_fill, "update", strided=True),
    "scale_by_norm": _made(_scale_by_norm, "update", _check_scale_by_norm),
    "squared_norm": _made(_squared_norm, "forward"),
}
