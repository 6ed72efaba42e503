"""Activations; where the engine has the formula itself, it is called."""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.interop.onnx.operators.room import axis_of
from nnscratch.interop.onnx.operators.table import operator
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T


@operator("Relu")
def relu(x: Tensor, /) -> Tensor:
    return T.maximum(x, T.mul(x, 0)) if x.dtype.name.startswith(("int", "uint")) else F.relu(x)


@operator("LeakyRelu")
def leaky_relu(x: Tensor, /, *, alpha: float = 0.01) -> Tensor:
    return F.leaky_relu(x, alpha)


@operator("PRelu")
def prelu(x: Tensor, slope: Tensor, /, *, opset: int, consumed_inputs: object = None) -> Tensor:
    if opset < 7 and slope.ndim == 1 and slope.shape[0] > 1:  # one for each channel
        slope = slope.reshape(-1, *(1,) * (x.ndim - 2))
    return T.where(x < 0, x * slope, x)


@operator("Elu")
def elu(x: Tensor, /, *, alpha: float = 1.0) -> Tensor:
    return F.elu(x, alpha)


@operator("Celu")
def celu(x: Tensor, /, *, alpha: float = 1.0) -> Tensor:
    return F.celu(x, alpha)


@operator("Selu")
def selu(
    x: Tensor, /, *, alpha: float = 1.6732631921768188, gamma: float = 1.0507010221481323
) -> Tensor:
    return F.elu(x, alpha) * gamma


@operator("Gelu")
def gelu(x: Tensor, /, *, approximate: str = "none") -> Tensor:
    return F.gelu(x, approximate)


@operator("Sigmoid")
def sigmoid(x: Tensor, /) -> Tensor:
    return T.sigmoid(x)


@operator("HardSigmoid")
def hard_sigmoid(x: Tensor, /, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    return T.clamp(x * alpha + beta, 0.0, 1.0)


@operator("HardSwish")
def hard_swish(x: Tensor, /) -> Tensor:
    return F.hardswish(x)


@operator("Swish")
def swish(x: Tensor, /, *, alpha: float = 1.0) -> Tensor:
    return F.silu(x) if alpha == 1.0 else x * T.sigmoid(x * alpha)


@operator("Mish")
def mish(x: Tensor, /) -> Tensor:
    return F.mish(x)


@operator("Softplus")
def softplus(x: Tensor, /) -> Tensor:
    return F.softplus(x)


@operator("Softsign")
def softsign(x: Tensor, /) -> Tensor:
    return F.softsign(x)


@operator("Tanh")
def tanh(x: Tensor, /) -> Tensor:
    return T.tanh(x)


@operator("ThresholdedRelu")
def thresholded_relu(x: Tensor, /, *, alpha: float = 1.0) -> Tensor:
    return apply(f.THRESHOLD, x, threshold=alpha, value=0.0)


@operator("Shrink")
def shrink(x: Tensor, /, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    zero = x * 0
    high = T.where(x > lambd, (x - bias).to(x.dtype), zero)
    return T.where(x < -lambd, (x + bias).to(x.dtype), high)


def _along_axis(name: str, function: Any, x: Tensor, axis: int | None, opset: int) -> Tensor:
    """Apply a function along an axis; before opset 13, along all axes from that one on."""
    if opset >= 13:
        return function(x, axis_of(name, -1 if axis is None else axis, x.ndim))
    first = (
        axis_of(name, 1 if axis is None else axis, x.ndim) if x.ndim > 1 or axis is not None else 0
    )
    flat = x.reshape(*x.shape[:first], -1)
    return function(flat, -1).reshape(x.shape)


@operator("Softmax")
def softmax(x: Tensor, /, *, axis: int | None = None, opset: int) -> Tensor:
    return _along_axis("Softmax", T.softmax, x, axis, opset)


@operator("LogSoftmax")
def log_softmax(x: Tensor, /, *, axis: int | None = None, opset: int) -> Tensor:
    return _along_axis("LogSoftmax", T.log_softmax, x, axis, opset)


def _hardmax(x: Tensor, axis: int) -> Tensor:
    best = T.argmax(x, axis, keepdim=True)
    places = [1] * x.ndim
    places[axis] = x.shape[axis]
    numbers = best.new_tensor(range(x.shape[axis])).reshape(places)
    return T.eq(numbers, best).to(x.dtype)


@operator("Hardmax")
def hardmax(x: Tensor, /, *, axis: int | None = None, opset: int) -> Tensor:
    return _along_axis("Hardmax", _hardmax, x, axis, opset)
