"""Descriptions of models: the sizes of a network, which are saved with its weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import Field, asdict, fields
from importlib import import_module
from typing import Any, ClassVar, Self

from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.nn import Module

_MOST = 1 << 31


class Architecture(ABC):
    """The description of a model, in plain numbers and names.

    A subclass is a frozen dataclass with a ``kind``; its fields are numbers, names, booleans or
    tuples of them. The command line finds it by its kind, and a run folder keeps what ``to_dict``
    returns.

    Attributes:
        kind: the name of the family, such as "mlp".
        kinds: all of them, by that name.

    >>> from dataclasses import dataclass
    >>> from nnscratch import nn
    >>> @dataclass(frozen=True)
    ... class Line(Architecture):
    ...     inputs: int = 1
    ...     def build(self):
    ...         return nn.Linear(self.inputs, 1)
    ...     @property
    ...     def parameters(self):
    ...         return self.inputs + 1
    ...     @property
    ...     def summary(self):
    ...         return f"a line through {self.inputs} dimensions"
    ...     kind = "line"
    >>> Line.from_dict(Line(3).to_dict())
    Line(inputs=3)
    """

    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type[Architecture]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        """Enter the class by its kind, where it is no class inside of a function."""
        super().__init_subclass__(**options)
        if "kind" in cls.__dict__ and "." not in cls.__qualname__:
            Architecture.kinds[cls.kind] = cls

    @abstractmethod
    def build(self) -> Module:
        """Return the model, its weights drawn from the default generator."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """The number of the model's weights and biases, or less by a few; nothing is allocated."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """The architecture in a few words, such as "MLP 64-32-10, relu, dropout 0.1"."""

    def to_dict(self) -> dict[str, Any]:
        """What ``from_dict`` reads, in plain JSON types."""
        values = asdict(self)  # type: ignore[call-overload]
        listed = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        return {"kind": self.kind, **listed}

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            CheckpointError: if it is something else.
        """
        known: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]
        wanted = {"kind", *(field.name for field in known)}
        if not isinstance(value, Mapping) or set(value) != wanted or value["kind"] != cls.kind:
            raise CheckpointError(
                f"expected the description of a model of kind {cls.kind!r}, found "
                f"{str(value)[:80]!r}"
            )
        try:
            made = cls(**{field.name: _typed(value[field.name], field.type) for field in known})
        except (TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"the description of the model is damaged: {error}") from None
        if made.parameters > _MOST:
            raise CheckpointError(f"a model of {made.parameters:,} parameters is not plausible")
        return made


def architecture_from(value: Any) -> Architecture:
    """Return the architecture that ``to_dict`` described.

    Raises:
        CheckpointError: if it is damaged, or of a kind that there is not.
    """
    for file in _KINDS:
        import_module(f"{__package__}.{file}")
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in Architecture.kinds:
        raise CheckpointError(
            f"expected the description of a model, of one of the kinds "
            f"{', '.join(Architecture.kinds)}; found {str(value)[:80]!r}"
        )
    return Architecture.kinds[kind].from_dict(value)


_KINDS = ("mlp", "language", "image_networks")
"""The files that define the kinds there are; those of others have been imported by whoever asks."""


def whole(**sizes: int) -> None:
    """Check that sizes are whole numbers from 1 on, and not larger than a layer may be.

    Raises:
        ConfigurationError: naming the one that is not.
    """
    for name, size in sizes.items():
        if type(size) is not int or not 1 <= size <= 1 << 20:
            raise ConfigurationError(
                f"{name} must be a whole number from 1 to {1 << 20:,}, got {size!r}"
            )


def fraction(**shares: float) -> None:
    """Check that shares, such as dropout, are from 0 to below 1.

    Raises:
        ConfigurationError: naming the one that is not.
    """
    for name, share in shares.items():
        if not 0.0 <= share < 1.0:
            raise ConfigurationError(f"{name} must be from 0 to below 1, got {share}")


def _typed(value: Any, annotation: Any) -> Any:
    """Return a value of JSON as its field has it, after checking its type."""
    kind = str(annotation)
    if kind.startswith("tuple["):
        if not isinstance(value, list):
            raise TypeError(f"expected a list, found {str(value)[:40]!r}")
        inner = kind[len("tuple[") :].partition(",")[0]
        return tuple(_typed(one, inner) for one in value)
    if kind == "float" and type(value) in (int, float):
        return float(value)
    if type(value).__name__ != kind:
        raise TypeError(f"expected a value of type {kind}, found {str(value)[:40]!r}")
    return value
