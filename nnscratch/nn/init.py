r"""How parameters start, by PyTorch's names; each function fills a tensor and returns it.

The fan-in of a weight (out, in, ...) is in times the size of the rest, the fan-out is out times it.
Numbers come from the default generator unless another is given.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import Formula
from nnscratch.tensors import Tensor
from nnscratch.tensors.creation import random_tensor
from nnscratch.tensors.grad_mode import no_grad

_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "selu": 0.75,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""Return the factor that keeps the variance through an activation.

    For "leaky_relu" it is $\sqrt{2 / (1 + a^2)}$ with the slope a = ``param``, 0.01 by default.

    Raises:
        ConfigurationError: for an activation that has none.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        raise ConfigurationError(f"a gain is known for {known}; got {nonlinearity!r}")
    return _GAINS[nonlinearity]


def _fans(tensor: Tensor) -> dict[str, int]:
    if tensor.ndim < 2:
        raise ShapeError(f"a fan needs a weight of at least 2 dimensions, got {tensor.shape}")
    out_features, in_features, *rest = tensor.shape
    field = math.prod(rest)
    return {"fan_in": in_features * field, "fan_out": out_features * field}


def _fan(tensor: Tensor, mode: str) -> int:
    fans = _fans(tensor)
    if mode not in fans:
        raise ConfigurationError(f"mode is 'fan_in' or 'fan_out', got {mode!r}")
    return fans[mode]


def _fill(
    tensor: Tensor, formula: Formula, kind: str, generator: Generator | None, **options: float
) -> Tensor:
    made: dict[str, Any] = {"dtype": tensor.dtype, "device": tensor.device, "generator": generator}
    with no_grad():
        tensor.copy_(random_tensor(formula, kind, tensor.shape, made | options))
    return tensor


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers uniform from a to b."""
    return _fill(tensor, f.RANDOM_UNIFORM, "uniform", generator, low=a, high=b)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with normal numbers."""
    return _fill(tensor, f.RANDOM_NORMAL, "normal", generator, mean=mean, std=std)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    r"""Fill uniformly in $\pm g \sqrt{6 / (\mathrm{fan_{in}} + \mathrm{fan_{out}})}$.

    Glorot and Bengio 2010.
    """
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor).values()))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    r"""Fill with normal numbers of deviation $g \sqrt{2 / (\mathrm{fan_{in}} +
    \mathrm{fan_{out}})}$.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor).values())), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill uniformly in $\pm g \sqrt{3 / \mathrm{fan}}$, with the gain g of the activation.

    He, Zhang, Ren and Sun 2015. ``a`` is the slope of a leaky ReLU.
    """
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    r"""Fill with normal numbers of deviation $g / \sqrt{\mathrm{fan}}$."""
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)
