"""All modules of a folder, for packages where a new file is found without being listed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def modules_of(
    package: str, folders: Iterable[str], without: Iterable[str] = ()
) -> list[ModuleType]:
    """Import the modules of a package, but not the packages in it, and return them by their names.

    Args:
        package: its name.
        folders: where its files are, its ``__path__``.
        without: names of modules that are left out.

    >>> import logging
    >>> [one.__name__ for one in modules_of("logging", logging.__path__)]
    ['logging.config', 'logging.handlers']
    """
    return [
        import_module(f"{package}.{file.name}")
        for file in iter_modules(folders)
        if not file.ispkg and file.name not in without
    ]
