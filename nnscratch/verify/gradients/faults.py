"""The faults of gradients as data: a kind, and the numbers that describe the fault."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """The kind of a fault; the text of each says which fields of ``Fault`` it sets."""

    # The gradient as a whole.
    ABOVE = auto()
    """The forward is wrong; a finding of its own reports it."""
    NONE = auto()
    """There is no gradient."""
    SHAPE = auto()
    """Another shape: ``given`` instead of ``shape``."""
    RESHAPED = auto()
    """The right values in another shape: ``given`` instead of ``shape``."""
    NOT_SUMMED = auto()
    """Summed over ``axes`` it would be right: ``given`` is the output's shape."""
    NOT_SUMMED_AND_WRONG = auto()
    """Not summed over ``axes``, and wrong as well."""
    TRANSPOSED = auto()
    NOT_FINITE = auto()
    """Not finite where the function is."""
    ZERO = auto()
    """0 everywhere."""
    RIGHT_IS_ZERO = auto()
    """Not 0, though the output does not change with the input."""
    # Factors.
    SIGN = auto()
    DOUBLE = auto()
    """``factor`` is 2 or -2."""
    HALF = auto()
    """``factor`` is 1/2 or -1/2."""
    TIMES_LENGTH = auto()
    """``factor`` is ``length`` or its negative, the length of ``name``."""
    OVER_LENGTH = auto()
    """``factor`` is 1/``length`` or its negative."""
    FACTOR = auto()
    """Any other ``factor``."""
    FACTOR_PER_SLICE = auto()
    """One factor along ``axes``, another for each slice."""
    MAGNITUDE = auto()
    """The absolute value of the right gradient."""
    SIGNS = auto()
    """Wrong signs in some elements."""
    ROUNDED = auto()
    """Right to the digits of float32, in a check that has more."""
    NO_COTANGENT = auto()
    """The incoming gradient is left out."""
    COTANGENT_TWICE = auto()
    # The wrong array is used.
    NOT_AT_OUTPUT = auto()
    """Taken at ``name`` instead of at the output."""
    AT_OUTPUT = auto()
    """Taken at the output instead of at ``needed``."""
    WRONG_ARRAY = auto()
    """``name`` is used where ``needed`` is."""
    SAVED_EXCHANGED = auto()
    """The saved arrays ``name`` and ``needed`` are exchanged."""
    OTHER_INPUT = auto()
    """It is the gradient of the input ``name``."""
    ARRAY_LEFT_OUT = auto()
    """``name`` is left out as a factor, or multiplied in once too often."""
    SIGN_OF_TERM = auto()
    """One of two terms has the wrong sign."""
    ANOTHER_FUNCTION = auto()
    """It is the derivative of the function ``name``."""
    TRANSFORMED = auto()
    """With ``needed`` applied to ``name`` it would be right."""
    DIAGONAL = auto()
    """The diagonal of the Jacobian alone."""
    WRONG_AXIS = auto()
    """It is summed along ``axes`` instead of another axis."""
    REVERSED = auto()
    """Along ``axes``."""
    SHIFTED = auto()
    """By one, along ``axes``."""
    # A term is missing.
    MISSING_SUM = auto()
    """The error is the same along ``axes``."""
    MISSING_TERM_OF_OUTPUT = auto()
    """Along ``axes`` the error is proportional to the output."""
    MISSING_TERM_OF_EXPONENTIAL = auto()
    """Along ``axes`` the error is proportional to the exponential of the output."""
    MISSING_TERM_OF_INPUT = auto()
    """Along ``axes`` the error is proportional to the input."""
    # Only a part of the elements is wrong.
    KINKS = auto()
    """Wrong at kinks only, as at ``point`` with its ``slopes``."""
    MASK = auto()
    """Wrong only where the mask ``name`` is 0."""
    REPEATED = auto()
    """Wrong only where ``name`` has an index more than once."""
    LABELS = auto()
    """Wrong only at the classes ``name``."""
    FEW = auto()
    """``indices`` alone are wrong; ``factor`` is 0 if it is a single one that is 0."""
    ZERO_BLOCK = auto()
    """0 in the block between ``indices``, the first and the last; none for a 0-d gradient."""
    REGION = auto()
    """Wrong in ``region``; there it is ``factor`` times the right one, where that is known."""
    # The fault is not recognised.
    DIRECTIONS = auto()
    """A difference along random directions that no single element explains."""
    UNKNOWN = auto()
    """``counts`` elements are wrong, of those that were checked."""


class RegionKind(Enum):
    """What the elements in a region have in common: the sign of the input, or their position."""

    NEGATIVE = auto()
    """Where the input is negative."""
    POSITIVE = auto()
    LARGE = auto()
    """Where the input is beyond ± ``limit``."""
    FROM = auto()
    """From ``position`` on, along ``axis`` of ``size``."""
    UP_TO = auto()
    """Up to ``position``, along ``axis`` of ``size``."""
    TAIL = auto()
    """From flat ``position`` on."""


@dataclass(frozen=True)
class Region:
    """The part of a tensor in which a gradient is wrong.

    Attributes:
        place: the kind of the region, which says which of the numbers below it uses.
        limit: the magnitude of the input beyond which the gradient is wrong.
        position: the first or last wrong position.
        axis: the axis of the position.
        size: the size of the axis.
    """

    place: RegionKind
    limit: float = 0.0
    position: int = 0
    axis: int = 0
    size: int = 0


@dataclass(frozen=True)
class Fault:
    """The likely fault of a gradient; its kind says which of the other fields are set.

    Attributes:
        kind: what is wrong.
        factor: the gradient as a multiple of the right one.
        length: by which a mean divides.
        name: of the array whose length that is, or that was used.
        needed: the name of the array that would be right.
        axes: along which something is missing, shifted or wrong.
        indices: of elements.
        region: in which it is wrong.
        given: the gradient's shape.
        shape: the shape that it should have.
        point: an input.
        slopes: to both sides of the point.
        counts: how many elements are wrong, and how many were looked at.
    """

    kind: Kind
    factor: float | None = None
    length: int = 0
    name: str = ""
    needed: str = ""
    axes: tuple[int, ...] = ()
    indices: tuple[tuple[int, ...], ...] = ()
    region: Region | None = None
    given: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    point: float = 0.0
    slopes: tuple[float, float] = (0.0, 0.0)
    counts: tuple[int, int] = (0, 0)
