"""Making tensors: of data, of one value, of ranges, of random numbers."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import asarray, default_dtype, dtype_name, dtype_of
from nnscratch.array.device import current
from nnscratch.array.memory import explaining
from nnscratch.array.random import Generator, default_generator
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas import Formula, registry
from nnscratch.tensor import Tensor, apply, as_tensor, made_on

__all__ = [
    "arange",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "manual_seed",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "tensor",
    "zeros",
    "zeros_like",
]


def _size(size: tuple[Any, ...]) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    if not builtins.all(isinstance(n, (int, np.integer)) and n >= 0 for n in size):
        raise ShapeError(f"a size must be made of integers of at least 0, got {size}")
    return tuple(int(n) for n in size)


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor with a copy of the data.

    Raises:
        DTypeError: if the data are no numbers, or ask for a gradient without being floats.

    >>> tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    made = as_tensor(data.detach() if isinstance(data, Tensor) else data, dtype, device)
    copied = Tensor(made.array.copy() if hasattr(made.array, "copy") else made.array)
    return copied.requires_grad_(requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """Return a tensor that shares memory with a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"expected a numpy.ndarray, got {type(array).__name__}")
    registry.notify_create(array, "from_numpy(...)")
    return Tensor(asarray(array))


def full(
    size: Any, fill_value: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor filled with one value.

    >>> full((2,), 7)
    tensor([7, 7])
    """
    if dtype is None:
        kinds = {builtins.bool: "bool", builtins.int: "int64"}
        dtype = kinds.get(builtins.type(fill_value), default_dtype())
    shape = _size((size,) if isinstance(size, int) else tuple(size))
    with _making(device) as xp:
        made = xp.full(shape, fill_value, dtype=dtype_of(xp, dtype))
    registry.notify_create(made, "full(...)")
    return Tensor(made, requires_grad)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of zeros.

    >>> zeros(2, 1).shape
    (2, 1)
    """
    return full(_size(size), 0.0, dtype or default_dtype(), device, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones."""
    return full(_size(size), 1.0, dtype or default_dtype(), device, requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a tensor to be written into; its elements are 0, so that no run depends on them."""
    return zeros(*size, dtype=dtype, device=device)


def full_like(input: Tensor, fill_value: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a tensor filled with one value, in the shape, dtype and device of another."""
    return full(input.shape, fill_value, dtype or input.dtype, device or input.device)


def zeros_like(input: Tensor, dtype: Any = None, device: Any = None) -> Tensor:
    """Return zeros in the shape, dtype and device of a tensor."""
    return full_like(input, 0, dtype, device)


def empty_like(input: Tensor, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a tensor to be written into, like another one; its elements are 0."""
    return full_like(input, 0, dtype, device)


def ones_like(input: Tensor, dtype: Any = None, device: Any = None) -> Tensor:
    """Return ones in the shape, dtype and device of a tensor."""
    return full_like(input, 1, dtype, device)


def arange(
    start: float, end: float | None = None, step: float = 1, dtype: Any = None, device: Any = None
) -> Tensor:
    """Return the numbers from ``start`` up to, not including, ``end``.

    >>> arange(3)
    tensor([0, 1, 2])
    """
    first, last = (0, start) if end is None else (start, end)
    if dtype is None:
        whole = builtins.all(isinstance(n, int) for n in (first, last, step))
        dtype = "int64" if whole else default_dtype()
    with _making(device) as xp:
        return Tensor(xp.arange(first, last, step, dtype=dtype_of(xp, dtype)))


def linspace(start: float, end: float, steps: int, dtype: Any = None, device: Any = None) -> Tensor:
    """Return ``steps`` numbers evenly spaced from ``start`` to ``end``, both included."""
    with _making(device) as xp:
        return Tensor(xp.linspace(start, end, steps, dtype=dtype_of(xp, dtype or default_dtype())))


def eye(n: int, m: int | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a matrix with ones on the diagonal."""
    with _making(device) as xp:
        return Tensor(xp.eye(n, m, dtype=dtype_of(xp, dtype or default_dtype())))


@contextmanager
def _making(device: Any) -> Iterator[Any]:
    """Give the namespace of a device, which is the current one meanwhile."""
    xp = made_on(device)
    with current("cpu" if device is None else device), explaining("a new tensor"):
        yield xp


# Random numbers, from the default generator unless another is given.


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, whose numbers are the same on every backend.

    >>> _ = manual_seed(0)
    >>> a = rand(3)
    >>> _ = manual_seed(0)
    >>> bool((a == rand(3)).all())
    True
    """
    return default_generator.manual_seed(seed)


def seed_and_offset(kind: str, count: int, dtype: Any, generator: Generator | None) -> Any:
    """Take numbers out of a generator's stream, at every step of a compiled plan anew."""
    source = default_generator if generator is None else generator
    return registry.host(lambda: source.reserve(kind, count, dtype))


def random_tensor(
    formula: Formula, kind: str, size: tuple[int, ...], options: dict[str, Any]
) -> Tensor:
    """Return a tensor of random numbers of a formula, "uniform" or "normal" in kind."""
    dtype = dtype_name(options.pop("dtype") or default_dtype())
    requires_grad = options.pop("requires_grad", False)
    seed, offset = seed_and_offset(kind, math.prod(size), dtype, options.pop("generator"))
    device = options.pop("device") or "cpu"
    return apply(
        formula, shape=size, dtype=dtype, device=str(device), seed=seed, offset=offset, **options
    ).requires_grad_(requires_grad)


def rand(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return numbers uniform in [0, 1)."""
    options = {"dtype": dtype, "device": device, "generator": generator}
    options |= {"requires_grad": requires_grad, "low": 0.0, "high": 1.0}
    return random_tensor(f.RANDOM_UNIFORM, "uniform", _size(size), options)


def randn(
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return standard normal numbers.

    >>> randn(1000, 10).shape
    (1000, 10)
    """
    options = {"dtype": dtype, "device": device, "generator": generator}
    options |= {"requires_grad": requires_grad, "mean": 0.0, "std": 1.0}
    return random_tensor(f.RANDOM_NORMAL, "normal", _size(size), options)


def rand_like(input: Tensor, dtype: Any = None, device: Any = None) -> Tensor:
    """Return uniform numbers in the shape, dtype and device of a tensor."""
    return rand(input.shape, dtype=dtype or input.dtype, device=device or input.device)


def randn_like(input: Tensor, dtype: Any = None, device: Any = None) -> Tensor:
    """Return normal numbers in the shape, dtype and device of a tensor."""
    return randn(input.shape, dtype=dtype or input.dtype, device=device or input.device)


def randint(
    low: int,
    high: int | tuple[int, ...],
    size: tuple[int, ...] | None = None,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Return integers from ``low`` to ``high - 1``, as ``randint(low, high, size)`` or
    ``randint(high, size)``.

    >>> bool((randint(0, 2, (100,)) < 2).all())
    True
    """
    start, stop, shape = (low, high, size) if size is not None else (0, low, high)
    if not isinstance(stop, int) or not isinstance(shape, (tuple, list)):
        raise ConfigurationError("randint takes (low, high, size) or (high, size), size a tuple")
    source = default_generator if generator is None else generator
    with explaining("randint"):
        made = source.randint(start, stop, _size(tuple(shape)), device or "cpu")
    registry.notify_create(made, "randint(...)")
    return Tensor(made)


def randperm(n: int, device: Any = None, generator: Generator | None = None) -> Tensor:
    """Return the numbers 0 to n - 1 in random order."""
    made = (default_generator if generator is None else generator).permutation(n, device or "cpu")
    registry.notify_create(made, "randperm(...)")
    return Tensor(made)
