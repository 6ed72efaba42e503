"""Which implementation of a formula a call takes: the reference, or a kernel that accepts it.

A reference formula is always there. An implementation (a kernel) declares what it accepts; it is
asked, and where it refuses the reference computes. Nothing else in the project chooses.

``NNSCRATCH_KERNELS`` is ``auto`` (a kernel where it accepts the arrays), ``off`` (the reference
everywhere) or ``require`` (an error where a formula has a kernel for this library that refuses).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from nnscratch.errors import ConfigurationError, NNScratchError
from nnscratch.formulas.formula import FORMULAS, Formula

MODES = ("auto", "off", "require")


class Implementation(Protocol):
    """A faster way to compute a formula: same inputs, same outputs, same ``saved``.

    ``refuses`` returns None if it can take these arrays, or the reason why not, and ``worthwhile``
    whether a single call pays: that depends on sizes only, so a run repeats. ``direction`` is
    "forward", "backward" or "update"; for "backward" the inputs are ``(dY, *saved)``, of a formula
    with several outputs ``(*dY, *saved)``.
    """

    @property
    def name(self) -> str:
        """The name of the implementation: "numba" or "cuda"."""

    @property
    def library(self) -> str:
        """Whose arrays it is for: "numpy" or "cupy"."""

    def refuses(
        self, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> str | None:
        """Return the reason for which it cannot take the arrays, or None."""

    def worthwhile(self, direction: str, inputs: tuple[Any, ...]) -> bool:
        """Say by their sizes alone whether taking the arrays is quicker than the reference."""

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute what the formula's forward computes."""

    def backward(self, dY: Any, saved: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Compute what the formula's backward computes."""

    def update(self, *inputs: Any, **options: Any) -> None:
        """Write the new values straight into the inputs that the formula updates."""


class KernelRefused(NNScratchError, RuntimeError):
    """In mode ``require``: a kernel that was wanted did not accept the arrays."""


_implementations: dict[str, list[Implementation]] = {}
_later: dict[str, Callable[[], Mapping[str, Implementation]]] = {}
_waiting: dict[str, list[Mapping[str, Implementation]]] = {}
"""Where implementations of a formula, by its name, are still to be loaded from."""
_entering = threading.RLock()
_libraries: dict[type, str] = {}


def _checked_mode(mode: str) -> str:
    if mode not in MODES:
        raise ConfigurationError(
            f"NNSCRATCH_KERNELS must be one of {', '.join(MODES)}; got {mode!r}"
        )
    return mode


_mode = _checked_mode(os.environ.get("NNSCRATCH_KERNELS", "auto"))


def kernels_mode() -> str:
    """Return which kernels may run: "auto", "off" or "require"."""
    return _mode


@contextmanager
def use_kernels(mode: str) -> Iterator[None]:
    """Set for the block, in all threads, which kernels may run.

    >>> with use_kernels("off"):
    ...     kernels_mode()
    'off'
    """
    global _mode
    before, _mode = _mode, _checked_mode(mode)
    try:
        yield
    finally:
        _mode = before


def implement(name: str, implementation: Implementation) -> None:
    """Enter an implementation of the formula of that name, to be asked before earlier ones.

    Raises:
        ConfigurationError: if there is no such formula; a kernel always has a reference.
    """
    if name not in FORMULAS:
        raise ConfigurationError(f"no formula is named {name!r}: a kernel implements a formula")
    _implementations.setdefault(name, []).insert(0, implementation)


def implement_later(library: str, make: Callable[[], Mapping[str, Implementation]]) -> None:
    """Enter implementations by their formulas' names when arrays of that library first meet one.

    There are many of them, and their files take longer to load than the formulas. So each is looked
    up when its own formula is first computed. They are asked after those that ``implement`` has
    entered by then.

    Args:
        library: whose arrays they are for.
        make: returns them; going through their names loads none.
    """
    _later[library] = make


def awaits(library: str) -> bool:
    """Say whether there are implementations for arrays of that library still to be entered."""
    return library in _later


def _enter(library: str) -> None:
    with _entering:  # another thread that needs them too waits until all are there
        if library in _later:
            made = _later[library]()
            for name in made:
                _waiting.setdefault(name, []).append(made)
            del _later[library]


def _load(name: str) -> None:
    """Load the implementations of a formula that wait for their first call."""
    with _entering:
        found = [made[name] for made in _waiting.get(name, ())]
        known = _implementations.setdefault(name, [])
        known += [one for one in found if one not in known]
        _waiting.pop(name, None)


def entered() -> dict[str, list[Implementation]]:
    """Return the implementations of all formulas, by name; those that waited are entered first."""
    for library in tuple(_later):
        _enter(library)
    for name in tuple(_waiting):
        _load(name)
    return _implementations


def implementations(name: str) -> tuple[Implementation, ...]:
    """Return the implementations of a formula besides its reference."""
    for library in tuple(_later):
        _enter(library)
    if name in _waiting:
        _load(name)
    return tuple(_implementations.get(name, ()))


def choose(
    formula: Formula, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Implementation | None:
    """Return the implementation that such a call takes, None for the reference."""
    if _mode == "off":
        return None
    library = "numpy" if inputs and type(inputs[0]) is np.ndarray else _library(inputs)
    if library in _later:
        _enter(library)
    if formula.name in _waiting:
        _load(formula.name)
    candidates = _implementations.get(formula.name)
    if candidates is None:
        return None
    refusals = []
    for candidate in candidates:
        if candidate.library != library:
            continue
        if _mode == "auto" and not candidate.worthwhile(direction, inputs):
            continue
        refusal = candidate.refuses(direction, inputs, options)
        if refusal is None:
            return candidate
        refusals.append(f"{candidate.name}: {refusal}")
    if _mode == "require" and refusals:
        raise KernelRefused(
            f"NNSCRATCH_KERNELS=require, but no kernel takes the {direction} of {formula.name}: "
            + "; ".join(refusals)
        )
    return None


def _library(inputs: tuple[Any, ...]) -> str | None:
    """Return whose arrays a call was given, None if there are none."""
    for item in inputs:
        kind = type(item)
        library = _libraries.get(kind)
        if library is None:
            module = kind.__module__.partition(".")[0] if hasattr(item, "dtype") else ""
            library = _libraries[kind] = module
        if library:
            return library
    return None


def plannable(
    formula: Formula, direction: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """Return the implementation that can lower such a call into a plan's instructions, or None.

    Inside a plan a kernel costs no dispatch, so it need not be worthwhile by itself.
    """
    if _mode == "off":
        return None
    library = _library(inputs)
    if library in _later:
        _enter(library)
    if formula.name in _waiting:
        _load(formula.name)
    for candidate in _implementations.get(formula.name, ()):
        if candidate.library != library or not hasattr(candidate, "lower"):
            continue
        if candidate.refuses(direction, inputs, options) is None:
            return candidate
    return None
