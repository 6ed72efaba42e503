"""What is asked of the server in a request, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from nnscratch.cli.serving import binary
from nnscratch.cli.serving.reading import BadRequestError, ReadRows


@dataclass(frozen=True)
class Answered:
    """An answer.

    Args:
        content: its body.
        status: such as 200.
        wrong: how many rows are.
        headers: its kind, if it is no JSON, and others.
    """

    content: bytes
    status: int = 200
    wrong: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()


Asked = tuple[ReadRows, Callable[[Any], Answered]]
"""The rows of a request, and what makes its answer from their outputs."""
_ONCE = (
    *(b"host", b"authorization", b"content-type", b"content-encoding", b"content-length"),
    binary.LENGTH,
)


def refuse_twice(names: list[bytes]) -> None:
    """Refuse headers that say two things.

    Raises:
        BadRequestError: naming the header.
    """
    for name in _ONCE:
        if names.count(name) > 1:
            raise BadRequestError(400, f"the header {name.decode()} is there twice")


def wants_probabilities(query: bytes) -> bool:
    """Return whether a query asks for the probability of every class.

    Raises:
        BadRequestError: if it says neither true nor false.
    """
    told = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("probabilities", ["false"])
    found = {"true": True, "1": True, "false": False, "0": False}.get(told[-1].lower())
    if found is None:
        raise BadRequestError(400, f"probabilities is true or false, got {told[-1][:40]!r}")
    return found
