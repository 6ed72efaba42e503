"""Which kernels there are: what the files of a folder of kernels make, each for a formula.

A kernel says itself which formula it computes, so a new one costs one file and stands in no list.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol, TypeVar


class _Kernel(Protocol):
    @property
    def formula(self) -> str:
        """The name of the formula that it computes."""


K = TypeVar("K", bound=_Kernel)

SUFFIX = "_KERNEL"
"""How the names of kernels end."""


def made_in(package: str, folders: Iterable[str], kind: type[K]) -> dict[str, K]:
    """Return the kernels of one class that the files of a package make, by the formula's name.

    A kernel is found by standing in its file under a name that ends in ``_KERNEL``. A file without
    such a name makes none and is not loaded: it may import a compiler, which nothing needs before a
    kernel is compiled.

    Args:
        package: the name of the package.
        folders: where its files are, its ``__path__``.
        kind: the class.

    Raises:
        ValueError: if two kernels compute one formula, naming the files.

    >>> from nnscratch.kernels import cpu
    >>> made_in(cpu.__name__, cpu.__path__, cpu.CpuKernel)["lstm"] is cpu.IMPLEMENTATIONS["lstm"]
    True
    """
    found: dict[str, K] = {}
    places: dict[str, str] = {}
    for folder in folders:
        for file in iter_modules([folder]):
            path = Path(folder, f"{file.name}.py")
            if file.ispkg or SUFFIX.encode() not in path.read_bytes():
                continue
            held: dict[str, Any] = vars(import_module(f"{package}.{file.name}"))
            for name, value in held.items():
                if not name.endswith(SUFFIX) or not isinstance(value, kind):
                    continue
                if found.get(value.formula) is value:
                    continue
                if value.formula in found:
                    raise ValueError(
                        f"two kernels compute the formula {value.formula}: one is made in "
                        f"{places[value.formula]}, another in {path}; keep one of them"
                    )
                found[value.formula], places[value.formula] = value, str(path)
    return found
