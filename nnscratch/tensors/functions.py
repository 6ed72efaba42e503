"""The functions of PyTorch's top-level namespace, except those that create tensors."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import is_floating, promote, to_device_of
from nnscratch.array.wholes import whole_number
from nnscratch.errors import ShapeError
from nnscratch.tensors.methods import axes_of, numpy_names
from nnscratch.tensors.tensor import Tensor, apply, as_tensor, wrap

__all__ = [
    "__all__",
    "abs",
    "absolute",
    "add",
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "bmm",
    "cat",
    "chunk",
    "clone",
    "clamp",
    "clip",
    "concat",
    "concatenate",
    "detach",
    "div",
    "dot",
    "eq",
    "equal",
    "exp",
    "flatten",
    "gather",
    "ge",
    "gt",
    "index_select",
    "is_floating_point",
    "is_tensor",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "log",
    "log_softmax",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "logsumexp",
    "masked_fill",
    "lt",
    "masked_select",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mm",
    "mul",
    "multiply",
    "narrow",
    "ne",
    "neg",
    "negative",
    "nonzero",
    "norm",
    "numel",
    "one_hot",
    "permute",
    "pow",
    "reciprocal",
    "relu",
    "reshape",
    "rsqrt",
    "sigmoid",
    "softmax",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "std_mean",
    "sub",
    "subtract",
    "sum",
    "t",
    "tanh",
    "transpose",
    "unbind",
    "unsqueeze",
    "var",
    "var_mean",
    "where",
]

P = ParamSpec("P")
R = TypeVar("R")


def _as_function(method: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Return a method of ``Tensor`` as a function whose first argument may be array-like."""

    def function(input: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        tensor = as_tensor(input)
        if isinstance(input, (int, float)) and args and isinstance(args[0], Tensor):
            tensor = wrap(to_device_of(tensor.array, args[0].array))
        return method(tensor, *args, **kwargs)

    function.__name__ = function.__qualname__ = method.__name__
    function.__doc__ = method.__doc__
    # It takes input= by name too, which the type of a method cannot say.
    return cast("Callable[Concatenate[Any, P], R]", function)


# Elementwise.
abs = absolute = _as_function(Tensor.abs)
add = _as_function(Tensor.add)
clamp = clip = _as_function(Tensor.clamp)
div = _as_function(Tensor.div)
eq = _as_function(Tensor.eq)
ge = _as_function(Tensor.ge)
gt = _as_function(Tensor.gt)
le = _as_function(Tensor.le)
lt = _as_function(Tensor.lt)
ne = _as_function(Tensor.ne)
exp = _as_function(Tensor.exp)
isfinite = _as_function(Tensor.isfinite)
isinf = _as_function(Tensor.isinf)
isnan = _as_function(Tensor.isnan)
log = _as_function(Tensor.log)
log_softmax = _as_function(Tensor.log_softmax)
logical_and = _as_function(Tensor.logical_and)
logical_or = _as_function(Tensor.logical_or)
logical_xor = _as_function(Tensor.logical_xor)
logical_not = _as_function(Tensor.logical_not)
maximum = _as_function(Tensor.maximum)
minimum = _as_function(Tensor.minimum)
mul = multiply = _as_function(Tensor.mul)
neg = negative = _as_function(Tensor.neg)
pow = _as_function(Tensor.pow)
reciprocal = _as_function(Tensor.reciprocal)
relu = _as_function(Tensor.relu)
rsqrt = _as_function(Tensor.rsqrt)
sigmoid = _as_function(Tensor.sigmoid)
softmax = _as_function(Tensor.softmax)
sqrt = _as_function(Tensor.sqrt)
square = _as_function(Tensor.square)
sub = subtract = _as_function(Tensor.sub)
tanh = _as_function(Tensor.tanh)

# Reductions and products.
all = _as_function(Tensor.all)
amax = _as_function(Tensor.amax)
amin = _as_function(Tensor.amin)
any = _as_function(Tensor.any)
argmax = _as_function(Tensor.argmax)
argmin = _as_function(Tensor.argmin)
bmm = _as_function(Tensor.bmm)
matmul = _as_function(Tensor.matmul)
mm = _as_function(Tensor.mm)
dot = _as_function(Tensor.dot)
logsumexp = _as_function(Tensor.logsumexp)
max = _as_function(Tensor.max)
mean = _as_function(Tensor.mean)
min = _as_function(Tensor.min)
norm = _as_function(Tensor.norm)
std = _as_function(Tensor.std)
sum = _as_function(Tensor.sum)
var = _as_function(Tensor.var)

# Shapes and picking elements.
chunk = _as_function(Tensor.chunk)
clone = _as_function(Tensor.clone)
detach = _as_function(Tensor.detach)
flatten = _as_function(Tensor.flatten)
gather = _as_function(Tensor.gather)
index_select = _as_function(Tensor.index_select)
masked_fill = _as_function(Tensor.masked_fill)
masked_select = _as_function(Tensor.masked_select)
narrow = _as_function(Tensor.narrow)
nonzero = _as_function(Tensor.nonzero)
numel = _as_function(Tensor.numel)
permute = _as_function(Tensor.permute)
reshape = _as_function(Tensor.reshape)
squeeze = _as_function(Tensor.squeeze)
t = _as_function(Tensor.t)
transpose = _as_function(Tensor.transpose)
unbind = _as_function(Tensor.unbind)
unsqueeze = _as_function(Tensor.unsqueeze)


# Functions of several tensors, and functions that return several.


@numpy_names
def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Return a tensor split along a dimension into parts of one size, or of a list of sizes.

    >>> [part.tolist() for part in split(as_tensor([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    return as_tensor(tensor).split(split_size_or_sections, dim)


@numpy_names
def var_mean(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the variance, as ``var`` does, and the mean, in one pass.

    >>> var_mean(as_tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
    spread: tuple[Tensor, Tensor] = as_tensor(input)._spread(
        f.VAR_MEAN, dim, unbiased, keepdim, correction
    )
    return spread


@numpy_names
def std_mean(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the standard deviation, as ``std`` does, and the mean.

    >>> std_mean(as_tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    tensor = as_tensor(input)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return tensor.std(dim, unbiased, keepdim, correction=correction), tensor.mean(dim, keepdim)


def _same_dtype(tensors: Sequence[Any]) -> list[Tensor]:
    if not tensors:
        raise ShapeError("expected at least one tensor, got an empty list")
    items = [as_tensor(item) for item in tensors]
    common = promote(*(item.array for item in items))
    return [item.to(common) for item in items]


@numpy_names
def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Return tensors joined along a dimension they have; empty vectors are passed over.

    Raises:
        ShapeError: if there are none, or they differ along another dimension.

    >>> from nnscratch.tensors.creation import ones, zeros
    >>> cat([ones(2), zeros(1)])
    tensor([1., 1., 0.])
    """
    items = _same_dtype(tensors)
    items = [item for item in items if item.shape != (0,)] or items[:1]
    if builtins.any(item.ndim == 0 for item in items):
        raise ShapeError("cat: 0-d tensors have no dimension to be joined along; use stack")
    return apply(f.CONCATENATE, *items, axis=axes_of(dim, items[0].ndim))


concat = concatenate = cat


@numpy_names
def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Return tensors of one shape joined along a new dimension.

    Raises:
        ShapeError: if there are none, or their shapes differ.
    """
    items = _same_dtype(tensors)
    return apply(f.STACK, *items, axis=axes_of(dim, items[0].ndim + 1))


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """Return elements of ``input`` where the condition holds, of ``other`` elsewhere.

    With the condition alone: the positions where it holds, one vector a dimension.

    >>> where(as_tensor([True, False]), 1.0, as_tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    condition = as_tensor(condition)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    return condition._where(input, other)


def allclose(
    input: Any,
    other: Any,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> bool:
    """Say whether |input - other| <= atol + rtol |other| everywhere."""
    left, right = as_tensor(input).detach().cpu(), as_tensor(other).detach().cpu()
    return bool(np.allclose(left.numpy(), right.numpy(), rtol, atol, equal_nan))


def equal(input: Tensor, other: Tensor) -> bool:
    """Say whether two tensors have one shape and the same elements."""
    return input.shape == other.shape and bool((input == other).all())


def is_tensor(value: Any) -> bool:
    """Say whether a value is a tensor."""
    return isinstance(value, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Say whether a tensor holds floating-point numbers."""
    return is_floating(input.array)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """Return class indices (...) as int64 rows (..., K) with a single one.

    K is the largest index + 1 unless it is given.

    >>> one_hot(as_tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if num_classes == -1:
        num_classes = int(input.max()) + 1 if input.numel() else 0
    num_classes = whole_number("one_hot: num_classes", num_classes)
    return apply(f.ONE_HOT, input, num_classes=num_classes, dtype="int64")


for _name, _function in (("allclose", allclose), ("equal", equal)):
    setattr(Tensor, _name, _function)
