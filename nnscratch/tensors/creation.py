"""Functions that create tensors: from data, of one value, of ranges, of random numbers."""

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
from nnscratch.array.dtypes import INTEGERS, PARTS, cast
from nnscratch.array.memory import explaining
from nnscratch.array.random import Generator, default_generator
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas import Formula, registry
from nnscratch.tensors.accepted import with_memory_options
from nnscratch.tensors.promotion import checked_number
from nnscratch.tensors.tensor import Tensor, apply, as_tensor, made_on

__all__ = [
    "arange",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "logspace",
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


def _size(size: tuple[Any, ...], named: Any = None) -> tuple[int, ...]:
    """Return a size given by position, as integers or one tuple, or by the name ``size``."""
    if named is not None:
        if size:
            raise ShapeError(f"the size is given twice: {size} and size={named}")
        size = (named,)
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    if not builtins.all(isinstance(n, (int, np.integer)) and n >= 0 for n in size):
        raise ShapeError(f"a size must be made of integers of at least 0, got {size}")
    return tuple(int(n) for n in size)


@with_memory_options
def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor with a copy of the data.

    Raises:
        DTypeError: if the data holds no numbers, or ``requires_grad`` is True for a dtype that is
            not floating.

    >>> tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(data, Tensor):
        # By a formula, which a recorder sees.
        moved = as_tensor(data.detach(), dtype, device)
        made = moved.clone() if moved.array is data.array else moved
        return made.requires_grad_(requires_grad)
    made = as_tensor(data, dtype, device)
    registry.notify_copied(made.array)
    copied = Tensor(made.array.copy() if hasattr(made.array, "copy") else made.array)
    return copied.requires_grad_(requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """Return a tensor that shares memory with a NumPy array.

    Raises:
        DTypeError: if it is no NumPy array, holds no numbers, or is not in native byte order.
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"expected a numpy.ndarray, got {type(array).__name__}")
    if not array.dtype.isnative:
        raise DTypeError(
            f"expected an array in native byte order, got dtype {array.dtype.str}, whose memory "
            "cannot be shared; use nnscratch.tensor(array), which copies it"
        )
    dtype_name(array.dtype)
    registry.notify_create(array, "from_numpy(...)")
    return Tensor(asarray(array))


@with_memory_options
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
        if isinstance(fill_value, builtins.complex):
            dtype = "complex128" if dtype == "float64" else "complex64"
    shape = _size((size,) if isinstance(size, int) else tuple(size))
    fill_value = checked_number("full", fill_value, dtype_name(dtype))
    with _making(device) as xp:
        made = xp.full(shape, fill_value, dtype=dtype_of(xp, dtype))
    registry.notify_create(made, "full(...)")
    return Tensor(made, requires_grad)


@with_memory_options
def zeros(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of zeros.

    >>> zeros(2, 1).shape
    (2, 1)
    """
    return full(_size(shape, size), 0.0, dtype or default_dtype(), device, requires_grad)


@with_memory_options
def ones(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of ones."""
    return full(_size(shape, size), 1.0, dtype or default_dtype(), device, requires_grad)


@with_memory_options
def empty(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor to be written into. It is filled with 0, so that every run is repeatable."""
    return zeros(*shape, size=size, dtype=dtype, device=device, requires_grad=requires_grad)


@with_memory_options
def full_like(
    input: Tensor,
    fill_value: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor filled with one value, in the shape, dtype and device of another."""
    dtype, device = dtype or input.dtype, device or input.device
    return full(input.shape, fill_value, dtype, device, requires_grad)


@with_memory_options
def zeros_like(
    input: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return zeros in the shape, dtype and device of a tensor."""
    return full_like(input, 0, dtype, device, requires_grad)


@with_memory_options
def empty_like(
    input: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of zeros to be written into, in the shape, dtype and device of another."""
    return full_like(input, 0, dtype, device, requires_grad)


@with_memory_options
def ones_like(
    input: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return ones in the shape, dtype and device of a tensor."""
    return full_like(input, 1, dtype, device, requires_grad)


@with_memory_options
def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the numbers from ``start`` up to, not including, ``end``.

    Raises:
        ShapeError: if ``step`` is 0, or has another sign than ``end - start``.

    >>> arange(3)
    tensor([0, 1, 2])
    """
    first, last = (0, start) if end is None else (start, end)
    if step == 0 or (last - first) / step < 0:
        raise ShapeError(f"arange: no steps of {step} lead from {first} to {last}")
    if dtype is None:
        whole = builtins.all(isinstance(n, int) for n in (first, last, step))
        dtype = "int64" if whole else default_dtype()
    if dtype_name(dtype) in INTEGERS:
        first, last, step = int(first), int(last), int(step)
    with _making(device) as xp:
        made = xp.arange(first, last, step, dtype=dtype_of(xp, dtype))
    return Tensor(made, requires_grad)


@with_memory_options
def linspace(
    start: Any,
    end: Any,
    steps: int,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return ``steps`` numbers evenly spaced from ``start`` to ``end``, both included.

    An integer dtype drops their fractions.
    """
    name = dtype_name(dtype or default_dtype())
    start, end = (one.item() if isinstance(one, Tensor) else one for one in (start, end))
    whole = name in INTEGERS
    if whole:
        start, end = int(start), int(end)
    with _making(device) as xp:
        made = xp.linspace(start, end, steps, dtype=dtype_of(xp, "float64" if whole else name))
        made = cast(xp.trunc(made), name) if whole else made
    return Tensor(made, requires_grad)


@with_memory_options
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return ``base`` to the power of numbers evenly spaced from ``start`` to ``end``.

    >>> logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    name = dtype_name(dtype or default_dtype())
    start, end = (one.item() if isinstance(one, Tensor) else one for one in (start, end))
    if name in INTEGERS:
        start, end = int(start), int(end)
    with _making(device) as xp:
        powers = xp.linspace(start, end, steps, dtype=dtype_of(xp, "float64"))
        made = float(base) ** powers
        made = cast(xp.trunc(made) if name in INTEGERS else made, name)
    return Tensor(made, requires_grad)


@with_memory_options
def eye(
    n: int,
    m: int | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a matrix with ones on the diagonal."""
    with _making(device) as xp:
        made = xp.eye(n, m, dtype=dtype_of(xp, dtype or default_dtype()))
    return Tensor(made, requires_grad)


@contextmanager
def _making(device: Any) -> Iterator[Any]:
    """Return a context that yields the array namespace of a device and makes the device current."""
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


def seed_and_offset(
    kind: str, size: tuple[int, ...], dtype: Any, generator: Generator | None
) -> Any:
    """Reserve numbers of a generator's stream; a compiled step reserves new ones at each replay."""
    source = default_generator if generator is None else generator
    count, rows = math.prod(size), size[0] if size else None
    return registry.host(lambda: source.reserve(kind, count, dtype, rows))


def random_tensor(
    formula: Formula, kind: str, size: tuple[int, ...], options: dict[str, Any]
) -> Tensor:
    """Return a tensor of random numbers by a formula of kind "uniform" or "normal".

    Both parts of a complex number are drawn; normal ones have half of the variance each, and the
    mean is that of the real part.
    """
    dtype = dtype_name(options.pop("dtype") or default_dtype())
    requires_grad = options.pop("requires_grad", False)
    if dtype in PARTS:
        mean = options.pop("mean", 0.0)
        if kind == "normal":
            options |= {"mean": 0.0, "std": options["std"] / math.sqrt(2.0)}
        parts = random_tensor(formula, kind, (*size, 2), options | {"dtype": PARTS[dtype]})
        made = parts._apply(f.VIEW_AS_COMPLEX)
        return (made + mean if mean else made).requires_grad_(requires_grad)
    seed, offset = seed_and_offset(kind, size, dtype, options.pop("generator"))
    device = options.pop("device") or "cpu"
    return apply(
        formula, shape=size, dtype=dtype, device=str(device), seed=seed, offset=offset, **options
    ).requires_grad_(requires_grad)


@with_memory_options
def rand(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return numbers uniform in [0, 1); complex ones have two such parts."""
    options = {"dtype": dtype, "device": device, "generator": generator}
    options |= {"requires_grad": requires_grad, "low": 0.0, "high": 1.0}
    return random_tensor(f.RANDOM_UNIFORM, "uniform", _size(shape, size), options)


@with_memory_options
def randn(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return standard normal numbers; the parts of complex ones have a variance of 1/2 each.

    >>> randn(1000, 10).shape
    (1000, 10)
    """
    options = {"dtype": dtype, "device": device, "generator": generator}
    options |= {"requires_grad": requires_grad, "mean": 0.0, "std": 1.0}
    return random_tensor(f.RANDOM_NORMAL, "normal", _size(shape, size), options)


@with_memory_options
def rand_like(
    input: Tensor,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return uniform numbers in the shape, dtype and device of a tensor."""
    dtype, device = dtype or input.dtype, device or input.device
    options = {"dtype": dtype, "device": device, "generator": generator}
    return rand(input.shape, requires_grad=requires_grad, **options)


@with_memory_options
def randn_like(
    input: Tensor,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return normal numbers in the shape, dtype and device of a tensor."""
    dtype, device = dtype or input.dtype, device or input.device
    options = {"dtype": dtype, "device": device, "generator": generator}
    return randn(input.shape, requires_grad=requires_grad, **options)


@with_memory_options
def randint(
    *bounds: Any,
    low: int = 0,
    high: int | None = None,
    size: Any = None,
    dtype: Any = "int64",
    device: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return integers from ``low`` to ``high - 1``, as ``randint(low, high, size)`` or
    ``randint(high, size)``.

    Raises:
        ConfigurationError: for other arguments, or an empty range.

    >>> bool((randint(0, 2, (100,)) < 2).all())
    True
    """
    given = list(bounds)
    if given and isinstance(given[-1], (tuple, list)):
        size = given.pop()
    if len(given) == 2:
        low, high = given
    elif len(given) == 1:
        low, high = (given[0], high) if high is not None else (low, given[0])
    if len(given) > 2 or not isinstance(high, (int, np.integer)) or size is None:
        raise ConfigurationError("randint takes (low, high, size) or (high, size), size a tuple")
    if high <= low:
        raise ConfigurationError(f"randint: there is no integer from {low} to below {high}")
    source = default_generator if generator is None else generator
    with explaining("randint"):
        made = source.randint(int(low), int(high), _size(tuple(size)), device or "cpu")
    registry.notify_create(made, "randint(...)")
    return Tensor(cast(made, dtype), requires_grad)


@with_memory_options
def randperm(
    n: int, device: Any = None, generator: Generator | None = None, dtype: Any = "int64"
) -> Tensor:
    """Return the numbers 0 to n - 1 in random order."""
    made = (default_generator if generator is None else generator).permutation(n, device or "cpu")
    registry.notify_create(made, "randperm(...)")
    return Tensor(cast(made, dtype))
