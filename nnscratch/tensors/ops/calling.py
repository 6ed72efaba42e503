"""How a function of tensors is called: array-like inputs, NumPy's names, ``out=``, as a method."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from nnscratch.array import to_device_of
from nnscratch.errors import ConfigurationError, DTypeError, GradientError, ShapeError
from nnscratch.tensors.grad_mode import is_grad_enabled
from nnscratch.tensors.promotion import of_higher_kind
from nnscratch.tensors.tensor import Tensor, as_tensor, wrap

R = TypeVar("R")
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x1": "input", "x2": "other"}


def tensor_function(
    *names: str, method: bool = True, inplace: bool = False
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Make a function of PyTorch's namespace of one whose first argument is a tensor.

    The first argument may be array-like. ``axis`` and ``keepdims`` stand for ``dim`` and
    ``keepdim``, and ``out=`` for a tensor (or a tuple of them) to write the result into.

    Args:
        *names: the names of its methods, where they are others than its own.
        method: whether it is a method of ``Tensor`` too.
        inplace: whether there is a method with ``_`` that writes the result into the tensor.
    """

    def decorate(body: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(body)
        def function(*args: Any, **kwargs: Any) -> Any:
            out = _arguments(kwargs) if kwargs else None
            if args and not isinstance(args[0], Tensor):
                args = (_first(args), *args[1:])
            made = body(*args, **kwargs)
            return written(body.__name__, made, out)

        for name in names or ((body.__name__,) if method else ()):
            setattr(Tensor, name, function)
            if inplace:
                setattr(Tensor, f"{name}_", in_place(name, body))
        return function

    return decorate


def _arguments(kwargs: dict[str, Any]) -> Any:
    """Rename NumPy's names, and return what stands for ``out``."""
    for theirs, ours in _NUMPY_NAMES.items():
        if theirs in kwargs:
            if ours in kwargs:
                raise ConfigurationError(f"{ours} and {theirs} mean the same; give one")
            kwargs[ours] = kwargs.pop(theirs)
    return kwargs.pop("out", None)


def _first(args: tuple[Any, ...]) -> Tensor:
    """Return the first argument as a tensor, a number on the device of the second."""
    made = as_tensor(args[0])
    if isinstance(args[0], (int, float)) and len(args) > 1 and isinstance(args[1], Tensor):
        return wrap(to_device_of(made.array, args[1].array))
    return made


def written(name: str, made: Any, out: Any) -> Any:
    """Write results into the tensors of ``out``, and return these; without ``out`` the results.

    Raises:
        GradientError: if what is written would have to be recorded.
        ShapeError: if the shapes differ.
        DTypeError: if the dtype of ``out`` is of a lower kind: integers for floats.
    """
    if out is None:
        return made
    if isinstance(out, (tuple, list)):
        if not isinstance(made, tuple) or len(made) != len(out):
            raise ConfigurationError(f"{name}: out= has {len(out)} tensors for its results")
        return tuple(written(name, value, one) for one, value in zip(out, made, strict=True))
    if is_grad_enabled() and (out.requires_grad or made.requires_grad):
        raise GradientError(
            f"{name}: what is written by out= is not recorded; call it under no_grad(), or write "
            "y = f(x)"
        )
    if out.shape != made.shape:
        raise ShapeError(f"{name}: out= has shape {out.shape}, the result {made.shape}")
    if of_higher_kind(made, out):
        raise DTypeError(f"{name}: results of {made.dtype} do not fit into an out= of {out.dtype}")
    return out.copy_(made)


def in_place(name: str, body: Callable[..., Any]) -> Callable[..., Tensor]:
    """Return the method that writes into the tensor what a function makes of it."""

    @functools.wraps(body)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs:
            _arguments(kwargs)
        self._refuse_leaf_requiring_grad()
        others = [one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)]
        return self._replace(body(self._copy_if_aliased(*others), *args, **kwargs))

    method.__name__ = method.__qualname__ = f"{name}_"
    method.__doc__ = f"Compute ``{name}`` in place."
    return method


def also_named(**names: str) -> None:
    """Give methods of ``Tensor``, and those of the same name in place, other names too."""
    for theirs, ours in names.items():
        for end in ("", "_"):
            if hasattr(Tensor, ours + end):
                setattr(Tensor, theirs + end, getattr(Tensor, ours + end))
