"""Which kernels there are: what the files of a folder of kernels make, each for a formula.

A kernel says by its name which formula it computes, so a new one costs one file and stands in no
list; and its file loads when that formula first meets an array.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from nnscratch.formulas import FORMULAS, Formula
from nnscratch.loading import files_of


class _Kernel(Protocol):
    @property
    def formula(self) -> str:
        """The name of the formula that it computes."""


K = TypeVar("K", bound=_Kernel)

SUFFIX = "_KERNEL"
"""How the names of kernels end; before it stands the formula's, in capitals."""
_MADE = re.compile(rb"^([A-Z][A-Z0-9_]*)_KERNEL\b[^=\n]*=(?!=)", re.MULTILINE)


def places_in(folders: Iterable[str]) -> dict[str, Path]:
    """Return the file that makes the kernel of each formula, by its text.

    A file without such a name makes none and is not loaded: it may import a compiler, which nothing
    needs before a kernel is compiled.

    Args:
        folders: where the files are, the ``__path__`` of a package.

    Raises:
        ValueError: if two kernels compute one formula, naming the files.

    >>> from nnscratch.kernels import cpu
    >>> places_in(cpu.__path__)["lstm"].name
    'lstm.py'
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for path in (Path(folder, f"{file}.py") for file in files_of(folder)):
            for name in _MADE.findall(path.read_bytes()):
                formula = name.decode().lower()
                if found.setdefault(formula, path) != path:
                    raise ValueError(
                        f"two kernels compute the formula {formula}: one is made in "
                        f"{found[formula]}, another in {path}; keep one of them"
                    )
    return found


class KernelsOf(Mapping[str, K], Generic[K]):
    """The kernels of a package by their formulas' names, each loaded when it is asked for.

    Those that files make, and those that the bodies of formulas become; a file comes first. A
    formula that is made later has its kernels from then on.

    >>> from nnscratch.kernels import cpu
    >>> cpu.IMPLEMENTATIONS["lstm"].formula, "no such formula" in cpu.IMPLEMENTATIONS
    ('lstm', False)
    """

    def __init__(
        self,
        package: str,
        folders: Iterable[str],
        kind: type[K],
        is_body: Callable[[Formula], bool],
        of_body: Callable[[Formula], K],
    ) -> None:
        """Look which files there are; none is loaded.

        Args:
            package: the name of the package.
            folders: where its files are, its ``__path__``.
            kind: the class of the kernels.
            is_body: whether the bodies of a formula become a kernel.
            of_body: that kernel.
        """
        self._package, self._kind = package, kind
        self._files = places_in(folders)
        self._is_body, self._of_body = is_body, of_body
        self._made: dict[str, tuple[Formula, K]] = {}

    def __getitem__(self, name: str) -> K:
        """Return the kernel of a formula.

        Raises:
            KeyError: if there is none.
            ValueError: if a kernel's name is not that of its formula.
        """
        formula = FORMULAS[name]
        of_formula, made = self._made.get(name, (None, None))
        if made is not None and of_formula is formula:
            return made
        if name in self._files:
            made = self._of_file(name)
        elif self._is_body(formula):
            made = self._of_body(formula)
        else:
            raise KeyError(name)
        self._made[name] = formula, made
        return made

    def _of_file(self, name: str) -> K:
        path, wanted = self._files[name], f"{name.upper()}{SUFFIX}"
        made: Any = getattr(import_module(f"{self._package}.{path.stem}"), wanted)
        if not isinstance(made, self._kind) or made.formula != name:
            what = getattr(made, "formula", type(made).__name__)
            raise ValueError(
                f"{path}: expected {wanted} to be the kernel of the formula {name}, got that of "
                f"{what}; name it after its formula"
            )
        return made

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the formulas that have a kernel; none is loaded."""
        yield from self._files
        for name, formula in tuple(FORMULAS.items()):
            if name not in self._files and self._is_body(formula):
                yield name

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(1 for _ in self)
