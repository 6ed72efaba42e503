"""Random numbers of distributions whose parameters are tensors, from counter-based generators."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_floating, to_device_of, to_numpy
from nnscratch.array.bfloat16 import limits_of
from nnscratch.array.random import Generator
from nnscratch.errors import ConfigurationError, DataError, DTypeError, ShapeError
from nnscratch.formulas import registry
from nnscratch.tensors.creation import rand, randint, randn
from nnscratch.tensors.ops.calling import tensor_function, written
from nnscratch.tensors.ops.joining import broadcast_shapes
from nnscratch.tensors.tensor import Tensor

__all__ = ["bernoulli", "multinomial", "normal", "poisson", "randint_like"]


def _uniform(like: Tensor, shape: Any, generator: Generator | None) -> Tensor:
    """Return uniform numbers in [0, 1) in the dtype of a tensor, float32 for half precision."""
    name = dtype_name(like.array.dtype)
    kind = name if name in ("float32", "float64") else "float32"
    return rand(tuple(shape), dtype=kind, device=like.device, generator=generator)


@tensor_function()
def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Return 1 with the probability that each element says (or with probability p), else 0.

    Raises:
        DTypeError: if the elements are no floating-point numbers, without p.
        DataError: if a probability is not from 0 to 1.
    """
    if p is None:
        if not is_floating(input.array):
            raise DTypeError(f"bernoulli needs probabilities in a floating dtype: {input.dtype}")
        bad = registry.host(lambda: _outside(to_numpy(input.array)))
        if bad:
            raise DataError("bernoulli: expected probabilities from 0 to 1")
    elif not 0 <= p <= 1:
        raise DataError(f"bernoulli: expected a probability from 0 to 1, got {p}")
    drawn = _uniform(input, input.shape, generator)
    chances: Any = input.detach().to(drawn.dtype) if p is None else p
    return (drawn < chances).to(input.dtype)


def _outside(array: Any) -> bool:
    return bool(np.any(~((array >= 0) & (array <= 1))))


def _bernoulli_in_place(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Write 1 with probability p, a number or a tensor, and 0 otherwise into every element."""
    drawn = _uniform(self, self.shape, generator)
    chances = p.to(drawn.dtype) if isinstance(p, Tensor) else p
    return self.copy_((drawn < chances).to(self.dtype))


def _exponential_in_place(self: Tensor, lambd: float = 1.0, *, generator: Any = None) -> Tensor:
    """Write numbers of the exponential distribution with a rate into every element."""
    if lambd <= 0:
        raise ConfigurationError(f"exponential_: the rate must be above 0, got {lambd}")
    drawn = _uniform(self, self.shape, generator)
    return self.copy_(-((-drawn)._apply(f.LOG1P)) / lambd)


def _random_in_place(
    self: Tensor, low: Any = None, to: Any = None, *, generator: Any = None
) -> Tensor:
    """Write whole numbers from ``low`` (or 0) up to, not including, ``to`` into every element."""
    first, last = (0, low) if to is None else (low, to)
    if last is None:
        name = dtype_name(self.array.dtype)
        digits = limits_of(name).nmant + 1 if is_floating(self.array) else 0
        last = 2**digits + 1 if digits else 2 if name == "bool" else int(np.iinfo(name).max)
    drawn = randint(int(first), int(last), self.shape, device=self.device, generator=generator)
    return self.copy_(drawn.to(self.dtype))


for _name, _method in (
    ("bernoulli_", _bernoulli_in_place),
    ("exponential_", _exponential_in_place),
    ("random_", _random_in_place),
):
    setattr(Tensor, _name, _method)


@tensor_function()
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return indices drawn with the weights of each row, int64.

    Args:
        input: weights of at least 0, (K,) or (N, K); they need not add up to 1.
        num_samples: how many to draw from each row.
        replacement: whether an index may be drawn again.

    Raises:
        DataError: if a weight is negative or not finite, or none of a row is above 0.
        ShapeError: if more are to be drawn without replacement than there are.
    """
    if not is_floating(input.array):
        raise DTypeError(f"multinomial needs weights in a floating dtype, got {input.dtype}")
    if input.ndim not in (1, 2):
        raise ShapeError(f"multinomial needs weights (K,) or (N, K), got shape {input.shape}")
    count = input.shape[-1]
    if num_samples < 1 or (not replacement and num_samples > count):
        raise ShapeError(f"multinomial: {num_samples} cannot be drawn from {count}")

    def wrong() -> str:
        array = to_numpy(input.array)
        if not np.isfinite(array).all() or (array < 0).any():
            return "expected finite weights of at least 0"
        if (array.sum(-1) <= 0).any():
            return "expected a weight above 0 in each row"
        return ""

    if said := registry.host(wrong):
        raise DataError(f"multinomial: {said}")
    weights = input.detach().to("float64" if str(input.dtype) == "float64" else "float32")
    rows = weights.reshape(-1, count)
    if not replacement:
        # The largest of p / e with exponential e are a draw without replacement (Efraimidis 2006).
        drawn = _uniform(weights, rows.shape, generator)
        keys = rows / -((-drawn)._apply(f.LOG1P))
        keys = keys.masked_fill(rows == 0, -1.0)
        found = keys._apply(f.ARGSORT, axis=1, descending=True, count=int(num_samples))
    else:
        ends = rows._apply(f.CUMULATIVE_SUM, axis=1)
        drawn = _uniform(weights, (rows.shape[0], num_samples), generator)
        places = drawn * ends.narrow(1, count - 1, 1)
        found = ends._apply(f.SEARCHSORTED, places, right=True)
        # A rounded product may reach the end; no index of weight 0 is there.
        turned = (rows > 0).to("int64")._apply(f.GETITEM, index=(..., slice(None, None, -1)))
        last = count - 1 - turned._apply(f.ARGMAX, axis=1, keepdims=True)
        found = found.minimum(last.expand(found.shape))
    return found.reshape(*input.shape[:-1], num_samples)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    out: Any = None,
) -> Tensor:
    """Return normal numbers of these means and standard deviations: tensors, or numbers and a size.

    Raises:
        ConfigurationError: if a standard deviation is negative, or two numbers come without a size.
        DataError: if one of a tensor is.
    """
    tensors = [one for one in (mean, std) if isinstance(one, Tensor)]
    if not isinstance(std, Tensor) and std < 0:
        raise ConfigurationError(f"normal: the standard deviation must be at least 0, got {std}")
    if isinstance(std, Tensor):
        registry.notify_read(std.array, "normal()")
        if not (to_numpy(std.detach().array) >= 0).all():  # NaN is none either
            raise DataError("normal: expected standard deviations of at least 0")
    if not tensors:
        if size is None:
            raise ConfigurationError("normal: two numbers need a size")
        made = randn(tuple(size), dtype=dtype, device=device, generator=generator)
        made = made * std + mean
    else:
        like = tensors[0]
        shape = broadcast_shapes(*(one.shape for one in tensors))
        drawn = randn(shape, dtype=like.dtype, device=like.device, generator=generator)
        parts = [one.detach() if isinstance(one, Tensor) else one for one in (mean, std)]
        made = drawn * parts[1] + parts[0]
    made = made.requires_grad_() if requires_grad else made
    return written("normal", made, out)


@tensor_function(method=False)
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Return whole numbers of the Poisson distribution with each element as its mean."""
    registry.notify_read(input.array, "poisson()")
    means = to_numpy(input.detach().array).astype(np.float64)
    if (means < 0).any():
        raise DataError("poisson: expected means of at least 0")
    seed = randint(0, 2**31, (2,), generator=generator).tolist()
    made = np.random.Generator(np.random.Philox(seed)).poisson(means)
    return input._wrap(to_device_of(np.asarray(made, dtype_name(input.array.dtype)), input.array))


@tensor_function(method=False)
def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return whole numbers in the shape, dtype and device of a tensor, as ``randint`` does."""
    first, last = (0, low) if high is None else (low, high)
    made = randint(
        int(first), int(last), input.shape, device=device or input.device, generator=generator
    )
    return made.to(dtype or input.dtype).requires_grad_(requires_grad)
