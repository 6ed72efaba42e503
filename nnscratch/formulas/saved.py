"""What a forward saves for its backward."""

from __future__ import annotations

from nnscratch.array.named import NamedValues


class Saved(NamedValues):
    """What the backward of a formula needs, by names; ``typing.NamedTuple`` serves as well."""

    __slots__ = ()
