"""Optimizer updates: one pass over flat buffers, in the order of PyTorch's operations.

A kernel names its arguments as the formula names its inputs and options, and so finds them and
their defaults there. ``flags`` is a compile-time sum of the constants below, so that an update
without weight decay has no trace of it. Scalars are computed in float64 and rounded once, as
PyTorch does.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.live import LiveFloat

from .implementation import Builder, CpuKernel, Inputs, Options
from .runtime.declaration import Constant, Floats, OptionalFloats, helper, kernel
from .runtime.language import KIND, cast, part

L2 = 1
"""Weight decay is added to the gradient."""
DECOUPLED = 2
"""Weight decay is taken off the parameter."""
MAXIMIZE = 4
"""Climb instead of descending."""
EXTRA = 8
"""amsgrad of Adam, nesterov of SGD, centered of RMSprop."""
MOMENTUM = 16
"""SGD and RMSprop keep a momentum buffer."""


GRAIN = 1024


def _constants(dtype: str, flags: int | str) -> Mapping[str, Any]:
    """Return the smallest normal number of a dtype."""
    return {"least": np.float32(2.0**-126) if dtype == "float32" else 2.0**-1022}


@helper
def gradient(flags, g, p, decay):
    """The gradient with its sign and the coupled weight decay."""
    if flags & MAXIMIZE:
        g = -g
    if flags & L2:
        g = g + decay * p
    return g


@helper
def lerp(m, g, weight):
    """M + weight (g - m)."""
    return m + weight * (g - m)


@helper
def flush(x, least):
    """x, or 0 where it is a denormal number: arithmetic on those is 50 times slower.

    An average of gradients that stay 0, as those of a dead unit, gets there within 900 steps.
    """
    return cast(0.0, x) if abs(x) < least else x


@kernel(cost=lambda count: 0.5 * count, constants=_constants)
def adam(
    P: Floats, G: Floats, M: Floats, V: Floats, Vmax: OptionalFloats, count: int,
    lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, step: float,
    tid, threads, *, flags: int, least: Constant,
):  # fmt: skip
    """P, M, V, and Vmax with the flag EXTRA, after step number ``step``, the first being 1."""
    first, last = part(count, tid, threads, GRAIN)
    # Over and under the fraction stands √(1 - β₂ᵗ) once: a division less for every number.
    root = math.sqrt(1.0 - beta2**step)
    size = KIND(-(lr / (1.0 - beta1**step)) * root)
    rest1, keep2, rest2 = KIND(1.0 - beta1), KIND(beta2), KIND(1.0 - beta2)
    tiny, decay, shrink = KIND(eps * root), KIND(weight_decay), KIND(1.0 - lr * weight_decay)
    for i in range(first, last):
        x = P[i]
        d = gradient(flags, G[i], x, decay)
        if flags & DECOUPLED:
            x = x * shrink
        mean = flush(lerp(M[i], d, rest1), least)
        square = flush(V[i] * keep2 + rest2 * d * d, least)
        M[i] = mean
        V[i] = square
        if flags & EXTRA:
            square = square if not (square <= Vmax[i]) else Vmax[i]
            Vmax[i] = square
        P[i] = x + size * mean / (KIND(math.sqrt(square)) + tiny)


@kernel(cost=lambda count: 0.3 * count, constants=_constants)
def sgd(
    P: Floats, G: Floats, M: OptionalFloats, count: int,
    lr: float, momentum: float, dampening: float, weight_decay: float, step: float,
    tid, threads, *, flags: int, least: Constant,
):  # fmt: skip
    """P, and the buffer M with the flag MOMENTUM. EXTRA: nesterov."""
    first, last = part(count, tid, threads, GRAIN)
    rate, ahead, decay = KIND(-lr), KIND(momentum), KIND(weight_decay)
    keep, rest = ahead, KIND(1.0 - dampening)
    if step <= 1.0:  # the first step: the buffer becomes the gradient, dampened or not
        keep, rest = KIND(0.0), KIND(1.0)
    for i in range(first, last):
        d = gradient(flags, G[i], P[i], decay)
        if flags & MOMENTUM:
            moved = flush(keep * M[i] + rest * d, least)
            M[i] = moved
            d = d + ahead * moved if flags & EXTRA else moved
        P[i] = P[i] + rate * d


@kernel(cost=lambda count: 0.5 * count, constants=_constants)
def rmsprop(
    P: Floats, G: Floats, V: Floats, Gavg: OptionalFloats, M: OptionalFloats, count: int,
    lr: float, alpha: float, eps: float, weight_decay: float, momentum: float,
    tid, threads, *, flags: int, least: Constant,
):  # fmt: skip
    """P, V, the buffer M with the flag MOMENTUM, the mean gradient with EXTRA, centered."""
    first, last = part(count, tid, threads, GRAIN)
    rate, keep, rest = KIND(-lr), KIND(alpha), KIND(1.0 - alpha)
    tiny, decay, inertia = KIND(eps), KIND(weight_decay), KIND(momentum)
    for i in range(first, last):
        x = P[i]
        d = gradient(flags, G[i], x, decay)
        square = flush(V[i] * keep + rest * d * d, least)
        V[i] = square
        if flags & EXTRA:
            average = flush(lerp(Gavg[i], d, rest), least)
            Gavg[i] = average
            square = square - average * average
        root = KIND(math.sqrt(square)) + tiny
        if flags & MOMENTUM:
            moved = flush(inertia * M[i] + d / root, least)
            M[i] = moved
            P[i] = x + rate * moved
        else:
            P[i] = x + rate * d / root


@kernel(cost=lambda count: 0.4 * count, constants=_constants)
def adagrad(
    P: Floats, G: Floats, S: Floats, count: int,
    lr: float, eps: float, weight_decay: float, lr_decay: float, step: float,
    tid, threads, *, flags: int, least: Constant,
):  # fmt: skip
    """P and the sum of squares S."""
    first, last = part(count, tid, threads, GRAIN)
    rate = KIND(-(lr / (1.0 + (step - 1.0) * lr_decay)))
    eps, decay = KIND(eps), KIND(weight_decay)
    for i in range(first, last):
        x = P[i]
        d = gradient(flags, G[i], x, decay)
        square = S[i] + d * d
        S[i] = square
        P[i] = x + rate * d / (KIND(math.sqrt(square)) + eps)


@kernel(cost=lambda count: 0.8 * count, constants=_constants)
def adadelta(
    P: Floats, G: Floats, V: Floats, D: Floats, count: int,
    lr: float, rho: float, eps: float, weight_decay: float,
    tid, threads, *, flags: int, least: Constant,
):  # fmt: skip
    """P, the mean square V of the gradient and D of the change."""
    first, last = part(count, tid, threads, GRAIN)
    rate, keep, rest = KIND(-lr), KIND(rho), KIND(1.0 - rho)
    eps, decay = KIND(eps), KIND(weight_decay)
    for i in range(first, last):
        x = P[i]
        d = gradient(flags, G[i], x, decay)
        square = flush(V[i] * keep + rest * d * d, least)
        V[i] = square
        old = D[i]
        change = KIND(math.sqrt(old + eps)) / KIND(math.sqrt(square + eps)) * d
        D[i] = flush(old * keep + rest * change * change, least)
        P[i] = x + rate * change


@kernel(cost=lambda count: 0.7 * count, constants=_constants)
def nadam(
    P: Floats, G: Floats, M: Floats, V: Floats, count: int,
    lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, step: float,
    momentum_decay: float, mu_product: float,
    tid, threads, *, flags: int, least: Constant,
):  # fmt: skip
    """P, M, V; mu_product is the product of all mu up to this step's."""
    first, last = part(count, tid, threads, GRAIN)
    mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * momentum_decay))
    after = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1.0) * momentum_decay))
    now = KIND(-lr * (1.0 - mu) / (1.0 - mu_product))
    ahead = KIND(-lr * after / (1.0 - mu_product * after))
    correction = KIND(1.0 - beta2**step)
    rest1, keep2, rest2 = KIND(1.0 - beta1), KIND(beta2), KIND(1.0 - beta2)
    eps, decay, shrink = KIND(eps), KIND(weight_decay), KIND(1.0 - lr * weight_decay)
    for i in range(first, last):
        x = P[i]
        d = gradient(flags, G[i], x, decay)
        if flags & DECOUPLED:
            x = x * shrink
        mean = flush(lerp(M[i], d, rest1), least)
        square = flush(V[i] * keep2 + rest2 * d * d, least)
        M[i] = mean
        V[i] = square
        root = KIND(math.sqrt(square / correction)) + eps
        x = x + now * d / root
        P[i] = x + ahead * mean / root


def optimizer_flags(
    *,
    l2: bool = False,
    decoupled: bool = False,
    maximize: bool = False,
    extra: bool = False,
    momentum: bool = False,
) -> int:
    """Return the option of an optimizer's kernel.

    Args:
        l2: weight decay is added to the gradient.
        decoupled: weight decay is taken off the parameter instead.
        maximize: climb instead of descending.
        extra: amsgrad of Adam, nesterov of SGD, centered of RMSprop.
        momentum: SGD and RMSprop keep a momentum buffer.
    """
    chosen = (
        (l2, L2),
        (decoupled, DECOUPLED),
        (maximize, MAXIMIZE),
        (extra, EXTRA),
        (momentum, MOMENTUM),
    )
    return sum(flag for wanted, flag in chosen if wanted)


def _decays(options: Options) -> bool:
    """Say whether an update must look at the weight decay: also if it may change later."""
    decay = options.get("weight_decay", 0.0)
    return isinstance(decay, LiveFloat) or decay != 0.0


def optimizer(declared: Any, extra: str | None = None, momentum: str | None = None) -> CpuKernel:
    """Return the kernel of one optimizer's formula, which has the kernel's name.

    Args:
        declared: the kernel.
        extra: the option, or the input that is present, with the flag EXTRA.
        momentum: the input that is present with the flag MOMENTUM.
    """
    formula = FORMULAS[declared.name]
    signature = inspect.signature(formula.forward)
    defaults = {name: one.default for name, one in signature.parameters.items()}

    def update(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        given = {**defaults, **options}
        given.update(zip(formula.inputs, inputs, strict=False))
        P = inputs[0]
        given["count"] = P.size
        decoupled = bool(given.get("decoupled", False))
        flags = optimizer_flags(
            l2=_decays(options) and not decoupled,
            decoupled=decoupled,
            maximize=bool(given.get("maximize", False)),
            extra=_wanted(given, extra),
            momentum=_wanted(given, momentum),
        )
        declared.emit_from(builder, given, dtype_name(P.dtype), flags)
        return (), None

    return CpuKernel({"update": update}, {"update": _alike})


def _wanted(given: Mapping[str, Any], name: str | None) -> bool:
    value = None if name is None else given[name]
    return value is not None and value is not False


def _alike(inputs: Inputs, options: Options) -> str | None:
    shapes = {item.shape for item in inputs if isinstance(item, np.ndarray)}
    return None if len(shapes) == 1 else f"the arrays have the shapes {sorted(shapes)}"


OPTIMIZER_KERNELS = {
    "sgd": optimizer(sgd, extra="nesterov", momentum="M"),
    "adam": optimizer(adam, extra="Vmax"),
    "rmsprop": optimizer(rmsprop, extra="centered", momentum="M"),
    "adagrad": optimizer(adagrad),
    "adadelta": optimizer(adadelta),
    "nadam": optimizer(nadam),
}
