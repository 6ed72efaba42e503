"""Tuples whose items have names, which are quick to define."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import get_annotations
from operator import itemgetter
from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform(frozen_default=True)
class NamedValues(tuple[Any, ...]):
    """A tuple whose items have names: what a function returns, or a formula saves.

    A class below it lists its fields, as one of ``typing.NamedTuple`` does, and has the same
    methods. There are more than a hundred of them, and Python writes and compiles a program for
    each of its own kind, which took an eighth of the instructions of an import.

    Attributes:
        _fields: the names.

    >>> class Line(NamedValues):
    ...     X: Any
    ...     slope: float = 1.0
    >>> Line(3)
    Line(X=3, slope=1.0)
    >>> Line(X=3, slope=2.0).slope
    2.0
    """

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()
    _field_defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        """Give each field that the class lists a place and a name."""
        fields = tuple(get_annotations(cls))
        cls._fields = fields
        cls._field_defaults = {name: cls.__dict__[name] for name in fields if name in cls.__dict__}
        for place, name in enumerate(fields):
            setattr(cls, name, property(itemgetter(place)))

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Make one of the values of all fields.

        Raises:
            TypeError: if one that has no default is missing, or one is given that is no field.
        """
        if named or len(values) != len(cls._fields):
            values = cls._completed(values, named)
        return tuple.__new__(cls, values)

    @classmethod
    def _completed(cls, values: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        names = cls._fields[len(values) :]
        rest = {**cls._field_defaults, **named}
        missing = [name for name in names if name not in rest]
        unknown = [name for name in named if name not in names]
        if missing or unknown or len(values) > len(cls._fields):
            raise TypeError(
                f"{cls.__name__} takes {', '.join(cls._fields) or 'nothing'}; got {len(values)} "
                f"by position{''.join(f', {name}' for name in named)}"
            )
        return (*values, *[rest[name] for name in names])

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Self:
        """Make one of the values of all fields, in one object."""
        return cls(*values)

    def _replace(self, **named: Any) -> Self:
        """Return one with other values in some fields.

        Raises:
            TypeError: if one is given that is no field.
        """
        return type(self)(**{**self._asdict(), **named})

    def _asdict(self) -> dict[str, Any]:
        """Return the values by their names."""
        return dict(zip(self._fields, self, strict=True))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        said = [f"{name}={value!r}" for name, value in self._asdict().items()]
        return f"{type(self).__name__}({', '.join(said)})"
