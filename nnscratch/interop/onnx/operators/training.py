"""One step of an optimizer, as ``ai.onnx.preview.training`` has it."""

from __future__ import annotations

from typing import Any

from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.tensors import Tensor
from nnscratch.tensors import functions as T


def _groups(where: str, tensors: tuple[Tensor, ...], each: int) -> list[tuple[Tensor, ...]]:
    """Return what belongs to each parameter; all parameters come first, then all gradients, ..."""
    if len(tensors) % each:
        raise ShapeError(f"{where}: {len(tensors)} tensors are not {each} for each parameter")
    count = len(tensors) // each
    return [tensors[i::count] for i in range(count)]


def _columns(rows: list[Any]) -> tuple[Tensor, ...]:
    return tuple(one for column in zip(*rows, strict=True) for one in column)


@operator("Adagrad")
def adagrad(
    rate: Tensor,
    step: Tensor,
    *tensors: Tensor,
    decay_factor: float = 0.0,
    epsilon: float = 1e-6,
    norm_coefficient: float = 0.0,
) -> tuple[Tensor, ...]:
    lr = rate / (step.to(rate.dtype) * decay_factor + 1.0)
    rows = []
    for P, G, S in _groups("Adagrad", tensors, 3):
        D = P * norm_coefficient + G
        new = S + D * D
        rows.append((P - lr * D / (T.sqrt(new) + epsilon), new))
    return _columns(rows)


@operator("Adam")
def adam(
    rate: Tensor,
    step: Tensor,
    *tensors: Tensor,
    alpha: float = 0.9,
    beta: float = 0.999,
    epsilon: float = 1e-6,
    norm_coefficient: float = 0.0,
    norm_coefficient_post: float = 0.0,
) -> tuple[Tensor, ...]:
    t = step.to(rate.dtype)
    first = T.sqrt(T.sub(1.0, T.pow(beta, t))) / T.sub(1.0, T.pow(alpha, t))
    lr = T.where(t > 0, rate * first, rate)
    rows = []
    for P, G, M, V in _groups("Adam", tensors, 4):
        D = P * norm_coefficient + G
        m, v = M * alpha + D * (1 - alpha), V * beta + D * D * (1 - beta)
        new = P - lr * m / (T.sqrt(v) + epsilon)
        rows.append((new * (1 - norm_coefficient_post), m, v))
    return _columns(rows)


@operator("Momentum")
def momentum(
    rate: Tensor,
    step: Numbers,
    *tensors: Tensor,
    alpha: float,
    beta: float,
    mode: str,
    norm_coefficient: float,
) -> tuple[Tensor, ...]:
    if mode not in ("standard", "nesterov"):
        raise ConfigurationError(f"Momentum: mode is standard or nesterov, got {mode!r}")
    share: Any = beta if int(step.item()) > 0 else 1.0
    rows = []
    for P, G, M in _groups("Momentum", tensors, 3):
        D = P * norm_coefficient + G
        m = M * alpha + D * share
        rows.append((P - rate * (D + m * alpha if mode == "nesterov" else m), m))
    return _columns(rows)
