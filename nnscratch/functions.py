"""Making tensors, and the functions that PyTorch has in its top-level namespace."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import asarray, default_dtype, dtype_name, dtype_of, is_floating
from nnscratch.array.dtypes import cast
from nnscratch.array.random import Generator, default_generator
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas import Formula, registry
from nnscratch.tensor import Tensor, apply, as_tensor, made_on

Size = Sequence[int]


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
    xp = made_on(device)
    made = xp.full(_size((size,) if isinstance(size, int) else tuple(size)), fill_value,
                   dtype=dtype_of(xp, dtype))  # fmt: skip
    return Tensor(made, requires_grad)


def zeros(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of zeros.

    >>> zeros(2, 1).shape
    (2, 1)
    """
    return full(_size(size), 0.0, dtype or default_dtype(), device, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones."""
    return full(_size(size), 1.0, dtype or default_dtype(), device, requires_grad)


def zeros_like(input: Tensor, dtype: Any = None) -> Tensor:  # noqa: A002
    """Return zeros in the shape, dtype and device of a tensor."""
    return full(input.shape, 0, dtype or input.dtype, input.device)


def ones_like(input: Tensor, dtype: Any = None) -> Tensor:  # noqa: A002
    """Return ones in the shape, dtype and device of a tensor."""
    return full(input.shape, 1, dtype or input.dtype, input.device)


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
    xp = made_on(device)
    return Tensor(xp.arange(first, last, step, dtype=dtype_of(xp, dtype)))


def linspace(start: float, end: float, steps: int, dtype: Any = None, device: Any = None) -> Tensor:
    """Return ``steps`` numbers evenly spaced from ``start`` to ``end``, both included."""
    xp = made_on(device)
    return Tensor(xp.linspace(start, end, steps, dtype=dtype_of(xp, dtype or default_dtype())))


def eye(n: int, m: int | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a matrix with ones on the diagonal."""
    xp = made_on(device)
    return Tensor(xp.eye(n, m, dtype=dtype_of(xp, dtype or default_dtype())))


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


def _random(formula: Formula, kind: str, size: tuple[int, ...], options: dict[str, Any]) -> Tensor:
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
    return _random(f.RANDOM_UNIFORM, "uniform", _size(size), options)


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
    return _random(f.RANDOM_NORMAL, "normal", _size(size), options)


def rand_like(input: Tensor) -> Tensor:  # noqa: A002
    """Return uniform numbers in the shape, dtype and device of a tensor."""
    return rand(input.shape, dtype=input.dtype, device=input.device)


def randn_like(input: Tensor) -> Tensor:  # noqa: A002
    """Return normal numbers in the shape, dtype and device of a tensor."""
    return randn(input.shape, dtype=input.dtype, device=input.device)


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
    if size is None:
        if not isinstance(high, (tuple, list)):
            raise ConfigurationError("randint needs a size: randint(low, high, (rows, columns))")
        low, high, size = 0, low, tuple(high)
    if isinstance(high, (tuple, list)):
        raise ConfigurationError("randint takes (low, high, size) or (high, size)")
    source = default_generator if generator is None else generator
    made = source.randint(low, high, _size(tuple(size)), device or "cpu")
    registry.notify_create(made, "randint(...)")
    return Tensor(made)


def randperm(n: int, device: Any = None, generator: Generator | None = None) -> Tensor:
    """Return the numbers 0 to n - 1 in random order."""
    made = (default_generator if generator is None else generator).permutation(n, device or "cpu")
    registry.notify_create(made, "randperm(...)")
    return Tensor(made)


# Functions of several tensors.


def _same_dtype(tensors: Sequence[Any]) -> list[Tensor]:
    from nnscratch.array import promote

    if not tensors:
        raise ShapeError("expected at least one tensor, got an empty list")
    items = [as_tensor(item) for item in tensors]
    common = promote(*(item.array for item in items))
    return [item.to(common) for item in items]


def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Return tensors joined along a dimension they have.

    >>> cat([ones(2), zeros(1)])
    tensor([1., 1., 0.])
    """
    from nnscratch.methods import axes_of

    items = _same_dtype(tensors)
    return apply(f.CONCATENATE, *items, axis=axes_of(dim, items[0].ndim))


concat = concatenate = cat


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Return tensors of one shape joined along a new dimension."""
    from nnscratch.methods import axes_of

    items = _same_dtype(tensors)
    return apply(f.STACK, *items, axis=axes_of(dim, items[0].ndim + 1))


def where(condition: Tensor, input: Any, other: Any) -> Tensor:  # noqa: A002
    """Return elements of ``input`` where the condition holds, of ``other`` elsewhere."""
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        input, other = _same_dtype([input, other])  # noqa: A001
    return apply(f.WHERE, condition, input, other)


def allclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False  # noqa: A002
) -> bool:
    """Say whether |input - other| <= atol + rtol |other| everywhere."""
    left, right = as_tensor(input).detach().cpu(), as_tensor(other).detach().cpu()
    return bool(np.allclose(left.numpy(), right.numpy(), rtol, atol, equal_nan))


def equal(input: Tensor, other: Tensor) -> bool:  # noqa: A002
    """Say whether two tensors have one shape and the same elements."""
    return input.shape == other.shape and bool((input == other).all())


def is_tensor(value: Any) -> bool:
    """Say whether a value is a tensor."""
    return isinstance(value, Tensor)


def is_floating_point(input: Tensor) -> bool:  # noqa: A002
    """Say whether a tensor holds floating-point numbers."""
    return is_floating(input.array)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:  # noqa: A002
    """Return class indices (...) as int64 rows (..., K) with a single one.

    >>> one_hot(tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if num_classes == -1:
        num_classes = int(input.max()) + 1 if input.numel() else 0
    return apply(f.ONE_HOT, input, num_classes=num_classes, dtype="int64")


# Functions of one tensor that are its methods by another way of writing.


def relu(input: Any) -> Tensor:  # noqa: A002
    """Return max(x, 0) of each element."""
    return as_tensor(input).relu()


def sigmoid(input: Any) -> Tensor:  # noqa: A002
    """Return 1 / (1 + e^-x) of each element."""
    return as_tensor(input).sigmoid()


def tanh(input: Any) -> Tensor:  # noqa: A002
    """Return the hyperbolic tangent of each element."""
    return as_tensor(input).tanh()


def softmax(input: Any, dim: int) -> Tensor:  # noqa: A002
    """Return e^x over its sum along a dimension."""
    return as_tensor(input).softmax(dim)


def log_softmax(input: Any, dim: int) -> Tensor:  # noqa: A002
    """Return the logarithm of the softmax along a dimension."""
    return as_tensor(input).log_softmax(dim)


def exp(input: Any) -> Tensor:  # noqa: A002
    """Return e to the power of each element."""
    return as_tensor(input).exp()


def log(input: Any) -> Tensor:  # noqa: A002
    """Return the natural logarithm of each element."""
    return as_tensor(input).log()


def sqrt(input: Any) -> Tensor:  # noqa: A002
    """Return the square root of each element."""
    return as_tensor(input).sqrt()


def abs(input: Any) -> Tensor:  # noqa: A001, A002
    """Return the absolute value of each element."""
    return as_tensor(input).abs()


def square(input: Any) -> Tensor:  # noqa: A002
    """Return the square of each element."""
    return as_tensor(input).square()


def pow(input: Any, exponent: Any) -> Tensor:  # noqa: A001, A002
    """Return each element to a power."""
    return as_tensor(input).pow(exponent)


def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:  # noqa: A002
    """Return each element, at least ``min`` and at most ``max``."""
    return as_tensor(input).clamp(min, max)


clip = clamp


def maximum(input: Any, other: Any) -> Tensor:  # noqa: A002
    """Return the larger of two elements."""
    return as_tensor(input).maximum(other)


def minimum(input: Any, other: Any) -> Tensor:  # noqa: A002
    """Return the smaller of two elements."""
    return as_tensor(input).minimum(other)


def matmul(input: Any, other: Any) -> Tensor:  # noqa: A002
    """Return the matrix product, batched over leading dimensions."""
    return as_tensor(input) @ other


mm = matmul


def sum(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:  # noqa: A001, A002
    """Return the sum of all elements, or along dimensions."""
    return as_tensor(input).sum(dim, keepdim)


def mean(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:  # noqa: A002
    """Return the mean of all elements, or along dimensions."""
    return as_tensor(input).mean(dim, keepdim)


def var(input: Any, dim: Any = None, keepdim: bool = False, correction: int = 1) -> Tensor:  # noqa: A002
    """Return the variance."""
    return as_tensor(input).var(dim, keepdim, correction)


def std(input: Any, dim: Any = None, keepdim: bool = False, correction: int = 1) -> Tensor:  # noqa: A002
    """Return the standard deviation."""
    return as_tensor(input).std(dim, keepdim, correction)


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: A001, A002
    """Return the largest element, or (values, indices) along a dimension."""
    return as_tensor(input).max(dim, keepdim)


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: A001, A002
    """Return the smallest element, or (values, indices) along a dimension."""
    return as_tensor(input).min(dim, keepdim)


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:  # noqa: A002
    """Return the index of the first largest element."""
    return as_tensor(input).argmax(dim, keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:  # noqa: A002
    """Return the index of the first smallest element."""
    return as_tensor(input).argmin(dim, keepdim)


def reshape(input: Any, shape: Sequence[int]) -> Tensor:  # noqa: A002
    """Return the elements in another shape."""
    return as_tensor(input).reshape(tuple(shape))


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:  # noqa: A002
    """Return the dimensions from start to end as one."""
    return as_tensor(input).flatten(start_dim, end_dim)


def isnan(input: Any) -> Tensor:  # noqa: A002
    """Say of each element whether it is NaN."""
    return as_tensor(input).isnan()


def isfinite(input: Any) -> Tensor:  # noqa: A002
    """Say of each element whether it is neither NaN nor infinite."""
    return as_tensor(input).isfinite()


def empty(*size: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a tensor to be written into; here its elements are 0, so that no run depends on it."""
    return zeros(*size, dtype=dtype, device=device)


def numpy_of(value: Any, dtype: Any = None) -> np.ndarray:
    """Return anything array-like, a tensor with a graph included, as a NumPy array."""
    from nnscratch.array import to_numpy

    array = to_numpy(value.array) if isinstance(value, Tensor) else np.asarray(value)
    return array if dtype is None else cast(array, dtype)
