"""Optimizer updates and what clips gradients as launches of kernels.

What depends on the step only, such as a bias correction, is computed here in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnscratch.formulas.checks import NOTHING
from nnscratch.formulas.momentum import nadam_momentum

from .driver import cover
from .implementation import CudaKernel, Inputs, Needs, Options
from .launch import Numbers
from .sums import total
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]


def optimizer(name: str, count: int, numbers: Callable[[Options], tuple[Any, ...]]) -> CudaKernel:
    """Return the kernel of an optimizer.

    Args:
        name: of the kernel, and of the formula.
        count: how many arrays it takes, those that may be missing included.
        numbers: from the options to the numbers behind them.
    """

    def update(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        P = inputs[0]
        arrays = [*inputs, *[None] * count][:count]
        if name == "rmsprop" and not options.get("centered", False):
            arrays[-1] = None
        target.launch(
            "optimizers", name, P.dtype, cover(P.size, 4), (*arrays, P.size),
            numbers=Numbers(numbers, options),
        )  # fmt: skip
        return (), None

    return CudaKernel(name, ("optimizers",), {"update": update}, {"update": _alike})


def _alike(inputs: Inputs, options: Options) -> str | None:
    shapes = {item.shape for item in inputs if hasattr(item, "dtype")}
    return None if len(shapes) == 1 else f"the arrays have the shapes {sorted(shapes)}"


def _decays(options: Options) -> tuple[float, float]:
    """Return the decay that joins the gradient, and the factor of a decoupled one."""
    decay = options.get("weight_decay", 0.0)
    if not options.get("decoupled", False):
        return decay, 1.0
    return 0.0, 1.0 - options.get("lr", 2e-3) * decay


def _sgd(o: Options) -> tuple[Any, ...]:
    return (
        o["lr"],
        o.get("momentum", 0.0),
        1.0 - o.get("dampening", 0.0),
        o.get("weight_decay", 0.0),
        o.get("step", 1) == 1,
        o.get("nesterov", False),
        o.get("maximize", False),
    )


def _adam(o: Options) -> tuple[Any, ...]:
    beta1, beta2, step = o.get("beta1", 0.9), o.get("beta2", 0.999), o["step"]
    return (
        o["lr"] / (1.0 - beta1**step),
        1.0 - beta1,
        beta2,
        1.0 - beta2,
        o.get("eps", 1e-8),
        math.sqrt(1.0 - beta2**step),
        *_decays(o),
        o.get("maximize", False),
    )


def _rmsprop(o: Options) -> tuple[Any, ...]:
    alpha = o.get("alpha", 0.99)
    return (
        o["lr"],
        alpha,
        1.0 - alpha,
        o.get("eps", 1e-8),
        o.get("weight_decay", 0.0),
        o.get("momentum", 0.0),
        o.get("maximize", False),
    )


def _adagrad(o: Options) -> tuple[Any, ...]:
    rate = o["lr"] / (1.0 + (o["step"] - 1) * o.get("lr_decay", 0.0))
    decay = o.get("weight_decay", 0.0)
    return rate, o.get("eps", 1e-10), decay, o.get("maximize", False)


def _adadelta(o: Options) -> tuple[Any, ...]:
    rho = o.get("rho", 0.9)
    return (
        o.get("lr", 1.0),
        rho,
        1.0 - rho,
        o.get("eps", 1e-6),
        o.get("weight_decay", 0.0),
        o.get("maximize", False),
    )


def _nadam(o: Options) -> tuple[Any, ...]:
    lr, beta1, beta2 = o.get("lr", 2e-3), o.get("beta1", 0.9), o.get("beta2", 0.999)
    step, slowing, product = o["step"], o.get("momentum_decay", 4e-3), o["mu_product"]
    mu, mu_next = (nadam_momentum(beta1, slowing, at) for at in (step, step + 1))
    return (
        lr * (1.0 - mu) / (1.0 - product),
        lr * mu_next / (1.0 - product * mu_next),
        1.0 - beta1,
        beta2,
        1.0 - beta2,
        1.0 - beta2**step,
        o.get("eps", 1e-8),
        *_decays(o),
        o.get("maximize", False),
    )


def _squared_norm(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    return (total(target, inputs[0], "square_blocks", 1.0),), NOTHING


def _scale_by_norm(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    G, norm = inputs
    arguments = (G, norm, G.size, options["max_norm"])
    target.launch("reductions", "scale_by_norm", G.dtype, cover(G.size, 4), arguments)
    return (), None


def _check_scale_by_norm(inputs: Inputs, options: Options) -> str | None:
    norm = inputs[1]
    if not hasattr(norm, "dtype") or norm.shape != () or norm.dtype != inputs[0].dtype:
        return "the norm is not one number of the same dtype"
    return None


SGD_KERNEL = optimizer("sgd", 3, _sgd)
ADAM_KERNEL = optimizer("adam", 5, _adam)
RMSPROP_KERNEL = optimizer("rmsprop", 5, _rmsprop)
ADAGRAD_KERNEL = optimizer("adagrad", 3, _adagrad)
ADADELTA_KERNEL = optimizer("adadelta", 4, _adadelta)
NADAM_KERNEL = optimizer("nadam", 4, _nadam)
SQUARED_NORM_KERNEL = CudaKernel("squared_norm", ("reductions",), {"forward": _squared_norm})
SCALE_BY_NORM_KERNEL = CudaKernel(
    "scale_by_norm", ("reductions",), {"update": _scale_by_norm}, {"update": _check_scale_by_norm}
)
