"""All modules of a folder, for packages where a new file is found without being listed.

And how they are loaded quickly.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any


def files_of(folder: str) -> list[str]:
    """Return the names of the modules whose files stand in a folder, without the packages in it.

    ``pkgutil`` says the same, also of an archive, in ten times the time: it looks into each file's
    name for all suffixes of modules there are, and asks the disk about each.

    >>> import logging
    >>> files_of(logging.__path__[0])
    ['config', 'handlers']
    """
    if not os.path.isdir(folder):
        return [file.name for file in iter_modules([folder]) if not file.ispkg]
    names = {os.path.splitext(name)[0] for name in os.listdir(folder) if name.endswith(_SUFFIXES)}
    return sorted(names - {"__init__"})


_SUFFIXES = (".py", ".pyc")  # without the sources, where somebody has left them out


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
        import_module(f"{package}.{name}")
        for folder in folders
        for name in files_of(folder)
        if name not in without
    ]


def later(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose files load when their names are first used.

    A name is kept in the package from then on, so that Python finds it there without asking.

    Args:
        package: its name.
        places: the file, without its suffix and from the package on, of each public name.

    >>> find = later("logging", {"RotatingFileHandler": "handlers"})
    >>> find("RotatingFileHandler").__module__
    'logging.handlers'
    >>> find("Rotating")
    Traceback (most recent call last):
    AttributeError: module 'logging' has no attribute 'Rotating'
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        item = getattr(import_module(f"{package}.{places[name]}"), name)
        sys.modules[package].__dict__[name] = item
        return item

    return find


@contextmanager
def collecting_later() -> Iterator[None]:
    """Leave the garbage collector alone meanwhile, where what is made stays: imports, plans.

    It would look for garbage each time that there are some hundred objects more, and now and then
    among all there are. Behind scikit-learn's 130,000 objects that was 0.15 s of the 0.4 s which
    the import of its estimators' kin took here.

    >>> with collecting_later():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
