"""Checks of formulas' inputs, and small functions on arrays that several formulas share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnscratch.array.dtypes import FLOATS, dtype_name
from nnscratch.errors import DTypeError, ShapeError
from nnscratch.formulas.live import LiveFloat, LiveInt
from nnscratch.formulas.saved import Saved

_COMPLEX = ("complex64", "complex128")
_INEXACT = (*FLOATS, *_COMPLEX)


class NothingSaved(Saved):
    """What a formula saves whose backward needs only ``dY``, or that has no backward."""


NOTHING = NothingSaved()
LIVE = frozenset({LiveFloat, LiveInt})


def plain(value: Any) -> Any:
    """Return a dynamic scalar as a plain Python number; return anything else unchanged.

    NumPy treats a subclass of float as a float64, so that arithmetic would promote a float32 array.

    >>> type(plain(LiveFloat(0.5, 0, "lr")))
    <class 'float'>
    """
    if isinstance(value, LiveFloat):
        return float(value)
    if isinstance(value, LiveInt):
        return int(value)
    return value


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of an array, () of a Python number."""
    return tuple(getattr(value, "shape", ()))


def _floats_among(kinds: tuple[str, ...]) -> Callable[..., str | None]:
    def need(where: str, **arrays: Any) -> str | None:
        """Check that all arrays have the same floating dtype, and return its name.

        None and Python numbers are ignored.

        Raises:
            DTypeError: if they do not; it names the argument, its dtype and a conversion.
        """
        seen = first = first_name = None
        for name, array in arrays.items():
            # Most often all are of the very same dtype object.
            kind = getattr(array, "dtype", None)
            if kind is seen or kind is None:
                continue
            seen, dtype = kind, dtype_name(kind)
            if dtype not in kinds:
                refuse_complex(where, array)
                raise DTypeError(
                    f"{where}: expected floating-point numbers for {name}, got {dtype}; "
                    "convert it first with .float()"
                )
            if first is None:
                first, first_name = dtype, name
            elif dtype != first and not (dtype + first).count("complex"):
                raise DTypeError(
                    f"{where}: {first_name} is {first} but {name} is {dtype}; "
                    f"convert one of them first, for example {name}.to({first_name}.dtype)"
                )
        return first

    return need


need_floats = _floats_among(_INEXACT)
"""The check of formulas that accept complex numbers, which may be mixed in."""
need_reals = _floats_among(FLOATS)
"""The check of all others."""


def refuse_complex(where: str, *arrays: Any) -> None:
    """Raise a DTypeError if one of the arrays is complex, of any library."""
    for one in arrays:
        kind = getattr(one, "dtype", None)
        if kind is not None and dtype_name(kind) in _COMPLEX:
            raise DTypeError(
                f"{where} is not defined for complex numbers, got {dtype_name(kind)}; compute with "
                "z.real and z.imag, or with z.abs()"
            )


def need_axis(where: str, shape: tuple[int, ...], axis: int) -> int:
    """Return an axis counted from the front.

    Raises:
        ShapeError: if the array has no such axis.
    """
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(
            f"{where}: there is no axis {axis} in an array of shape {shape}; "
            f"expected {-len(shape)} to {len(shape) - 1}"
        )
    return axis % len(shape)


def need_axes(where: str, shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """Return axes given as None (all), an integer or a tuple, as a tuple counted from 0.

    Raises:
        ShapeError: if the array has no such axis, or one is named twice.
    """
    if axis is None:
        return tuple(range(len(shape)))
    if isinstance(axis, int):
        return (need_axis(where, shape, axis),)
    axes = tuple(need_axis(where, shape, one) for one in axis)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{where}: an axis is named twice in {tuple(axis)}")
    return axes


def broadcast_shape(where: str, *arrays: Any) -> tuple[int, ...]:
    """Return the shape that arrays (or shapes) broadcast to.

    Raises:
        ShapeError: if they do not.

    >>> broadcast_shape("add", (3, 1), (4,))
    (3, 4)
    """
    shapes = [array if isinstance(array, tuple) else shape_of(array) for array in arrays]
    sizes: list[int] = [1] * max(len(shape) for shape in shapes)
    for shape in shapes:
        start = len(sizes) - len(shape)
        for position, size in enumerate(shape, start):
            if size == 1 or sizes[position] == size:
                continue
            if sizes[position] != 1:
                raise ShapeError(
                    f"{where}: shapes {' and '.join(map(str, shapes))} do not broadcast: "
                    f"{sizes[position]} against {size}, counted from the last axis, "
                    "and neither is 1"
                )
            sizes[position] = size
    return tuple(sizes)


def need_broadcast(where: str, *operands: Any) -> None:
    """Check that operands (arrays or numbers) broadcast.

    Raises:
        ShapeError: if they do not.
    """
    first = None
    for operand in operands:
        shape = getattr(operand, "shape", None)
        if not shape:
            continue
        if first is None:
            first = shape
        elif shape != first:
            broadcast_shape(where, *operands)
            return


def real(xp: Any, X: Any) -> Any:
    """Return the real part, by which a formula chooses its branch when X is complex.

    Only the complex-step checker makes complex numbers; real arrays come back as they are.
    """
    return xp.real(X) if dtype_name(X.dtype) in _COMPLEX else X


def full_like_shape(xp: Any, dY: Any, shape: tuple[int, ...]) -> Any:
    """Return a copy of dY broadcast to a shape."""
    return xp.asarray(xp.broadcast_to(dY, shape), copy=True)
