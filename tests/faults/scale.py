"""How much the fault tests do: little in the whole suite, a lot with ``make faults``."""

from __future__ import annotations

import os

LONG = os.environ.get("NNSCRATCH_FAULTS") == "long"


def count(short: int, long: int) -> int:
    """How often to do something in this run."""
    return long if LONG else short


def say(text: str) -> None:
    """Say what was tried, for the summary that the long run ends with."""
    TRIED.append(text)


TRIED: list[str] = []
