"""Names that PyTorch has and nnscratch has not: the error that says what to write instead.

A module's ``__getattr__`` raises what ``absent`` returns. Nothing is looked up before the error is
shown, so ``hasattr`` costs no more than Python's own error does. What stands in ``INSTEAD`` is
code, which a test runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from types import FrameType, ModuleType
from typing import Any

from nnscratch.instead import INSTEAD, METHODS

_PACKAGE = "nnscratch"
_PAGE = "docs/migrating_from_pytorch.md lists what PyTorch has and nnscratch has not"
_CLASSES = ("Tensor", "nn.Module")
_PLACES = (
    *("", ".nn", ".nn.functional", ".optim", ".optim.lr_scheduler", ".utils.data", ".linalg"),
    *(".autograd.functional", ".backends", ".random", ".amp"),
    *(".fft", ".special", ".nn.utils", ".nn.init", ".cuda", ".cuda.amp", ".autograd", ".utils"),
)
"""Where PyTorch's users look for names, or find them by ``from ... import``."""


class AbsentNameError(AttributeError):
    """There is no such name; the text says what to write instead.

    Attributes:
        name: what was asked for.
        obj: the module, the tensor or the layer that was asked.
    """

    def __init__(self, owner: str, where: str, name: str, obj: Any = None) -> None:
        """Keep what the text will be made of.

        Args:
            owner: what was asked, in words.
            where: the place without "nnscratch.", as in the keys of ``INSTEAD``.
            name: what was asked for.
            obj: what was asked.
        """
        super().__init__(owner, where, name, name=name, obj=obj)

    def __str__(self) -> str:
        owner, where, name = self.args
        return f"{owner} has no attribute {name!r}{mend(where, name, self.obj)}"


def absent(module: str, name: str) -> AttributeError:
    """Return the error of a module's ``__getattr__`` for a name that the module has not.

    Args:
        module: its ``__name__``.
        name: what was asked for.

    >>> print(absent("nnscratch", "rsub"))
    module 'nnscratch' has no attribute 'rsub'; write: 1.0 - x
    """
    obj, owner = sys.modules.get(module), f"module {module!r}"
    if name.startswith("__"):  # which Python asks for by itself
        return AttributeError(f"{owner} has no attribute {name!r}", name=name, obj=obj)
    return AbsentNameError(owner, _place(module), name, obj)


def _place(module: str) -> str:
    return module.removeprefix(_PACKAGE).removeprefix(".")


def refuse_absent_names(module: str) -> None:
    """Give a module the ``__getattr__`` that raises what ``absent`` returns.

    It is given here and not written in the module, because a type checker would take a module with
    a ``__getattr__`` for one that has all names.
    """

    def refuse(name: str) -> Any:
        raise absent(module, name)

    vars(sys.modules[module])["__getattr__"] = refuse


def mend(where: str, name: str, obj: Any = None) -> str:
    """Return what to write instead of a name, as the end of a sentence.

    Args:
        where: the place without "nnscratch.", such as "nn.functional"; "Tensor" for a method.
        name: what is not there.
        obj: what is asked; its names may be near.

    >>> mend("", "cross_entropy")
    '; it is nnscratch.nn.functional.cross_entropy'
    """
    code = _instead(where, name)
    if code:
        return f"; write: {code}"
    elsewhere = _elsewhere(where, name)
    if elsewhere:
        return f"; it is {elsewhere}"
    near = _near(name, obj)
    page = "" if where in _CLASSES else f"; {_PAGE}"
    return (f"; near names: {', '.join(near)}" if near else "") + page


def _instead(where: str, name: str) -> str:
    """Return the code for a name: of this place, or of a method that is a function too."""
    function = [name, name.removesuffix("_")] if where == "Tensor" else []
    for full in (f"{where}.{name}".removeprefix("."), *function):
        for pattern, code in INSTEAD.items():
            # A user's attributes of a module have any names: only patterns of nn.Module count.
            meant = where != "nn.Module" or pattern.startswith("nn.Module.")
            if meant and fnmatchcase(full, pattern):
                return code
    return ""


def _elsewhere(where: str, name: str) -> str:
    # A name that a module of the user has not was to be its own: its near names help.
    for place in _PLACES if where != "nn.Module" else ():
        module = sys.modules.get(_PACKAGE + place)
        if place != f".{where}".rstrip(".") and name in _names(module):
            return f"{_PACKAGE}{place}.{name}"
    return ""


def _near(name: str, obj: Any) -> list[str]:
    # Of optim.adam and optim.Adam the class: capital letters come last.
    # The name itself is there where a property of that name raised the AttributeError.
    known = {known.lower(): known for known in sorted(_names(obj), reverse=True) if known != name}
    import difflib  # seldom needed, and loaded by every import otherwise

    found = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.75)
    return [known[one] for one in found]


def _names(obj: Any) -> Iterator[str]:
    """Return the public names of an object; of a module not those that it imports for itself."""
    if isinstance(obj, ModuleType):
        own = (k for k, v in vars(obj).items() if getattr(v, "__module__", "") == obj.__name__)
        names: Iterable[str] = getattr(obj, "__all__", own)
    else:
        names = dir(obj) if obj is not None else ()
    return (name for name in names if not name.startswith("_"))


class HidingAbsent(type):
    """The class of ``Tensor``: ``dir(Tensor)`` does not show what stands for absent methods."""

    def __dir__(cls) -> list[str]:
        return [name for name in super().__dir__() if name not in METHODS]


class AbsentMethod:
    """Stands in ``Tensor`` for a method of PyTorch's tensors that is not there.

    A ``__getattr__`` would make every look at a tensor's fields slower.
    """

    def __init__(self, name: str) -> None:
        """Take the name."""
        self._name = name

    def __get__(self, obj: Any, kind: type | None = None) -> Any:
        raise AbsentNameError("a tensor", "Tensor", self._name, obj)


class AbsentFinder:
    """The last of ``sys.meta_path``: says of a module that is not there what to write instead.

    ``import nnscratch.distributed`` asks it, and so does ``from nnscratch.nn import LazyLinear``,
    for what is no attribute of a package might be a module in it.
    """

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> None:
        """Raise the error for a name in one of the packages that users import from.

        Whoever only asks whether there is such a module (``importlib.util.find_spec``) gets None.

        Raises:
            ModuleNotFoundError: if a module is imported that is not there.
            ImportError: if a name is imported from a package that has not got it.
        """
        package, _, name = fullname.rpartition(".")
        place = package.removeprefix(_PACKAGE)
        if not package.startswith(_PACKAGE) or place not in _PLACES or name.startswith("_"):
            return
        steps = _steps_of_the_import()
        if "_find_and_load_unlocked" not in steps:
            return
        said = mend(_place(package), name, sys.modules.get(package))
        if "_handle_fromlist" in steps:
            raise ImportError(f"{package} has no {name!r}{said}", name=package)
        raise ModuleNotFoundError(f"{package} has no {name!r}{said}", name=fullname)


def _steps_of_the_import() -> set[str]:
    """Return the names of importlib's functions that are running for the innermost import."""
    steps = set()
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") == "importlib._bootstrap":
        steps.add(frame.f_code.co_name)
        frame = frame.f_back
    return steps
