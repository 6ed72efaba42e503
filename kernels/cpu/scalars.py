"""Every activation on one number: f(x, p, q) and dY · f'(v). Imports Numba.

``v`` is the input or the output, as the table of activations says; p and q are the activation's
parameters in the kernel's dtype. ``forward`` and ``backward`` pick by the activation's code while
a kernel compiles. The equations are those of ``nnscratch.formulas``. Each ends in selections
instead of branches, which is what lets a loop over it vectorise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from .activation_table import BY_NAME
from .functions import exp, expm1, log1p, normal_tail, sigmoid, tanh
from .intrinsics import INLINE, cast

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
ROOT = math.sqrt(2.0 / math.pi)
CUBIC = 0.044715
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)

_forward: dict[int, Callable[..., Any]] = {}
_backward: dict[int, Callable[..., Any]] = {}


def _enter(table: dict[int, Callable[..., Any]], name: str) -> Callable[[Any], Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        table[BY_NAME[name].code] = function
        return function

    return decorate


def forward(code: int, x: Any, p: Any, q: Any) -> Any:
    """f(x) of the activation with that code; only in compiled code."""
    raise NotImplementedError


def backward(code: int, dy: Any, v: Any, p: Any, q: Any) -> Any:
    """DY · f' of the activation with that code, f' written in v; only in compiled code."""
    raise NotImplementedError


@overload(forward, prefer_literal=True, jit_options=INLINE)
def _choose_forward(code, x, p, q):
    return _forward[code.literal_value] if isinstance(code, types.IntegerLiteral) else None


@overload(backward, prefer_literal=True, jit_options=INLINE)
def _choose_backward(code, dy, v, p, q):
    return _backward[code.literal_value] if isinstance(code, types.IntegerLiteral) else None


@_enter(_forward, "identity")
def _(code, x, p, q):
    return x


@_enter(_backward, "identity")
def _(code, dy, v, p, q):
    return dy


@_enter(_forward, "relu")
def _(code, x, p, q):
    zero = cast(0.0, x)
    return zero if x <= zero else x


@_enter(_backward, "relu")
def _(code, dy, v, p, q):
    zero = cast(0.0, v)
    return zero if v <= zero else dy


@_enter(_forward, "leaky_relu")
def _(code, x, p, q):
    return x if x > cast(0.0, x) else p * x


@_enter(_backward, "leaky_relu")
def _(code, dy, v, p, q):
    return dy if v > cast(0.0, v) else p * dy


@_enter(_forward, "elu")
def _(code, x, p, q):
    zero = cast(0.0, x)
    tail = p * expm1(zero if x > zero else x)
    return x if x > zero else tail


@_enter(_backward, "elu")
def _(code, dy, v, p, q):
    zero = cast(0.0, v)
    tail = dy * (p * exp(zero if v > zero else v))
    return dy if v > zero else tail


@_enter(_forward, "selu")
def _(code, x, p, q):
    zero = cast(0.0, x)
    tail = cast(SELU_SCALE * SELU_ALPHA, x) * expm1(zero if x > zero else x)
    return cast(SELU_SCALE, x) * x if x > zero else tail


@_enter(_backward, "selu")
def _(code, dy, v, p, q):
    zero = cast(0.0, v)
    tail = cast(SELU_SCALE * SELU_ALPHA, v) * exp(zero if v > zero else v)
    return dy * (cast(SELU_SCALE, v) if v > zero else tail)


@_enter(_forward, "gelu")
def _(code, x, p, q):
    tail, _density = normal_tail(x)
    return x * (tail if x < cast(0.0, x) else cast(1.0, x) - tail)


@_enter(_backward, "gelu")
def _(code, dy, v, p, q):
    tail, density = normal_tail(v)
    below = tail if v < cast(0.0, v) else cast(1.0, v) - tail
    return dy * (below + v * (density * cast(DENSITY, v)))


@_enter(_forward, "gelu_tanh")
def _(code, x, p, q):
    # Beyond 100 the tanh is flat in every dtype; cut there, the cube cannot overflow.
    near = cast(100.0, x) if x > cast(100.0, x) else x
    near = cast(-100.0, x) if near < cast(-100.0, x) else near
    t = tanh(cast(ROOT, x) * (near + cast(CUBIC, x) * (near * near * near)))
    return cast(0.5, x) * x * (cast(1.0, x) + t)


@_enter(_backward, "gelu_tanh")
def _(code, dy, v, p, q):
    one, half = cast(1.0, v), cast(0.5, v)
    near = cast(100.0, v) if v > cast(100.0, v) else v
    near = cast(-100.0, v) if near < cast(-100.0, v) else near
    t = tanh(cast(ROOT, v) * (near + cast(CUBIC, v) * (near * near * near)))
    slope = cast(ROOT, v) * (one + cast(3.0 * CUBIC, v) * (near * near))
    return dy * (half * (one + t) + half * near * (one - t * t) * slope)


@_enter(_forward, "silu")
def _(code, x, p, q):
    return x * sigmoid(x)


@_enter(_backward, "silu")
def _(code, dy, v, p, q):
    one = cast(1.0, v)
    y = sigmoid(v)
    return dy * (y * (one + v * (one - y)))


@_enter(_forward, "sigmoid")
def _(code, x, p, q):
    return sigmoid(x)


@_enter(_backward, "sigmoid")
def _(code, dy, v, p, q):
    return dy * v * (cast(1.0, v) - v)


@_enter(_forward, "tanh")
def _(code, x, p, q):
    return tanh(x)


@_enter(_backward, "tanh")
def _(code, dy, v, p, q):
    return dy * (cast(1.0, v) - v * v)


@_enter(_forward, "softplus")
def _(code, x, p, q):
    scaled = p * x
    curve = log1p(exp(cast(0.0, x) if scaled > q else scaled)) / p
    return x if scaled > q else curve


@_enter(_backward, "softplus")
def _(code, dy, v, p, q):
    scaled = p * v
    slope = dy * sigmoid(scaled)
    return dy if scaled > q else slope


@_enter(_forward, "softsign")
def _(code, x, p, q):
    return x / (cast(1.0, x) + abs(x))


@_enter(_backward, "softsign")
def _(code, dy, v, p, q):
    under = cast(1.0, v) + abs(v)
    return dy / (under * under)


@_enter(_forward, "hardtanh")
def _(code, x, p, q):
    raised = p if x < p else x
    return q if raised > q else raised


@_enter(_backward, "hardtanh")
def _(code, dy, v, p, q):
    return cast(0.0, dy) if v <= p or v >= q else dy


KINDS: dict[str, Any] = {"float32": np.float32, "float64": np.float64}
"""The constructor of a dtype, which a factory closes over."""
