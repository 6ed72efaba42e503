"""The Python state that a step's code can reach: what it is while recording, and whether it stays.

A plan has no Python in it. So the step's own code is read for the names it mentions, and behind
them stand the objects it can look at: in closures and globals, on ``self``, in lists and
dictionaries, and in the functions, methods, modules and hooks that it may call. What is found is
watched: of containers all entries, of objects the attributes whose names some code mentions.
"""

from __future__ import annotations

import functools
import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nnscratch.array import Generator, to_numpy
from nnscratch.array.addresses import shares_memory
from nnscratch.nn.hooks import structure
from nnscratch.nn.module import Module
from nnscratch.optim import Optimizer
from nnscratch.optim.stateful import Stateful
from nnscratch.plan.guards import HOOKS, module_state
from nnscratch.tensors import Tensor

PLAIN = (bool, int, float, complex, str, bytes, type(None))
MOST_ENTRIES = 1000
"""Of a container with more entries only the length is watched, of an array only which it is."""
MOST_OBJECTS = 5000
"""How many objects are looked at behind a step: a bound on the time that recording takes."""
_FOREIGN = {
    *sys.stdlib_module_names, "nnscratch", "numpy", "numba", "cupy", "torch", "jax", "scipy",
    "pandas", "polars", "sklearn", "matplotlib", "tqdm", "rich", "click",
} - {"__main__"}  # fmt: skip
_MISSING = object()


class Reach:
    """What a step's code could see when this was made, and a quick way to look again."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Look at everything behind a function."""
        names: set[str] = set()
        while True:  # what a function found late mentions may be an attribute of an early object
            walk = _Walk(names)
            walk.callable(function, is_root=True)
            if walk.names == names:
                break
            names = walk.names
        self.names = walk.names
        self._cells, self._entries = walk.cells, walk.entries
        self._lists, self._sizes = walk.lists, walk.sizes
        self._randoms = [(one, _random_state(one)) for one in walk.randoms]
        self._draws = "random" in names
        self._global = _global_randoms() if self._draws else None
        self.iterator, self.arrays, self.modules = walk.iterator, walk.arrays, walk.modules
        self.tensors = [(tensor, tensor.array) for tensor in walk.tensors]
        held = [array for _, array in self.tensors] + list(self.arrays.values())
        self._contents = [(array, _bytes(array)) for array in held if array.size <= MOST_ENTRIES]
        self._structure = structure.changes
        self._modules = [(module, module_state(module)) for module in self.modules]

    def hold(self) -> bool:
        """Say whether every name still stands for what it stood for."""
        for cell, _, value in self._cells:
            if cell.cell_contents is not value and not _equal(cell.cell_contents, value):
                return False
        for get, name, value in self._entries:
            now = get(name, _MISSING)
            if now is not value and not _equal(now, value):
                return False
        for size, container in self._sizes:
            if len(container) != size:
                return False
        for one, copy in self._lists:
            if len(one) != len(copy):
                return False
            for now, value in zip(one, copy, strict=True):
                if now is not value and not _equal(now, value):
                    return False
        return True

    def changed(self, written: Iterable[Any] = ()) -> str | None:
        """Say in words what is no longer as it was, None if everything is.

        Args:
            written: the arrays that formulas changed in place, which a replay changes too.
        """
        for cell, name, value in self._cells:
            if cell.cell_contents is not value and not _equal(cell.cell_contents, value):
                return repr(name)
        for get, name, value in self._entries:
            now = get(name, _MISSING)
            if now is not value and not _equal(now, value):
                return repr(name)
        if structure.changes != self._structure:
            for module, state in self._modules:
                if module_state(module) != state:
                    return f"an attribute of {type(module).__name__}"
        if not self.hold():
            return "a list or dictionary"
        arrays = list(written)
        for array, before in self._contents:
            if _bytes(array) != before and not any(shares_memory(array, one) for one in arrays):
                return f"the entries of an array of shape {tuple(array.shape)}"
        for one, drawn in self._randoms:
            if _random_state(one) != drawn:
                return "the state of a NumPy generator"
        if self._global is not None and _global_randoms() != self._global:
            return "the state of Python's or NumPy's random numbers"
        return None


def _equal(now: Any, value: Any) -> bool:
    """Say whether two plain values that are not one object are the same; NaN is not."""
    if type(now) is not type(value):
        return False
    if isinstance(value, (*PLAIN, np.generic)):
        return bool(now == value)
    # A method is a new object whenever it is asked for.
    return isinstance(value, types.MethodType) and bool(now == value)


def _bytes(array: Any) -> bytes:
    return bytes(to_numpy(array).tobytes())


def _random_state(one: Any) -> str:
    if isinstance(one, random.Random):
        return repr(one.getstate())
    if isinstance(one, np.random.RandomState):
        return repr(one.get_state(legacy=False))
    return repr(one.bit_generator.state)


def _global_randoms() -> tuple[Any, Any]:
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 (what users may draw from)
    inner = state["state"]
    return hash(random.getstate()), (inner["pos"], inner["key"].tobytes(), state["has_gauss"])


class _Walk:
    """One walk through everything behind a function, for attributes of some names.

    Attributes:
        names: the names that all the code found mentions.
        cells: (cell, name, value) of closures.
        entries: (getter, key, value) of dictionaries, globals and attributes.
        lists: (list, its entries).
        sizes: (length, container).
        randoms: generators of random numbers that are not nnscratch's.
        arrays: NumPy arrays, by id.
        tensors: tensors, the parameters and buffers of modules included.
        modules: all modules.
        iterator: the name of a type of iterator among the objects, if there is one.
    """

    def __init__(self, wanted: set[str]) -> None:
        self._wanted = wanted
        self._seen: dict[int, Any] = {}
        self.names: set[str] = set()
        self.cells: list[tuple[Any, str, Any]] = []
        self.entries: list[tuple[Callable[..., Any], Any, Any]] = []
        self.lists: list[tuple[Any, list[Any]]] = []
        self.sizes: list[tuple[int, Any]] = []
        self.randoms: list[Any] = []
        self.arrays: dict[int, Any] = {}
        self.tensors: list[Tensor] = []
        self.modules: list[Module] = []
        self.iterator: str | None = None

    def _is_new(self, item: Any) -> bool:
        if id(item) in self._seen or len(self._seen) >= MOST_OBJECTS:
            return False
        self._seen[id(item)] = item
        return True

    # Code.

    def callable(self, function: Any, is_root: bool = False) -> None:
        """Look at what may be called: a function, a method, a partial, a module, an object."""
        if isinstance(function, functools.partial):
            self.callable(function.func, is_root)
            self.value(function.args)
            self.value(function.keywords)
        elif isinstance(function, types.MethodType):
            self.value(function.__self__, is_root)
            self.callable(function.__func__, is_root)
        elif isinstance(function, types.FunctionType):
            self._function(function, is_root)
        else:
            self.value(function, is_root)

    def _function(self, function: types.FunctionType, is_root: bool = False) -> None:
        if not is_root and _is_foreign(function.__module__):
            return
        if not self._is_new(function):
            return
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                value = cell.cell_contents
            except ValueError:  # a name that has no value yet
                continue
            self.cells.append((cell, name, value))
            self.value(value)
        mentioned = set(_names(function.__code__))
        self.names |= mentioned
        for name in sorted(mentioned & function.__globals__.keys()):
            self._entry(function.__globals__, name)
        for name in ("__defaults__", "__kwdefaults__"):
            if getattr(function, name) is not None:
                self._attribute(function, name)
        self._attributes(vars(function))
        if (wrapped := getattr(function, "__wrapped__", None)) is not None:
            self.callable(wrapped, is_root)

    # Values.

    def _entry(self, table: Mapping[Any, Any], name: Any) -> None:
        value = table[name]
        if not isinstance(value, types.ModuleType):
            self.entries.append((table.get, name, value))
        self.value(value)

    def value(self, item: Any, is_root: bool = False) -> None:
        """Look at a value that code can reach."""
        if isinstance(item, (types.FunctionType, types.MethodType, functools.partial)):
            self.callable(item)
            return
        if isinstance(item, PLAIN) or not self._is_new(item):
            return
        if isinstance(item, Tensor):
            self._tensor(item)
        elif isinstance(item, np.ndarray):
            self.arrays[id(item)] = item
        elif isinstance(item, (np.random.Generator, np.random.RandomState, random.Random)):
            self.randoms.append(item)
        elif isinstance(item, (dict, list, tuple, set, frozenset, deque)):
            self._container(item)
        elif isinstance(item, types.BuiltinMethodType):
            self.value(item.__self__)  # such as a generator's method under a name of its own
        elif isinstance(item, types.ModuleType):
            if not _is_foreign(item.__name__):
                self._attributes(vars(item))
        elif isinstance(item, type):
            if not _is_foreign(item.__module__):
                self._class(item)
        elif isinstance(item, Module):
            self._module(item, is_root)
        elif not isinstance(item, Generator):
            self._object(item)

    def _tensor(self, tensor: Tensor) -> None:
        self.tensors.append(tensor)
        for hook in tensor.hooks or ():
            self.callable(hook, is_root=True)  # the user's own is inside of one of nnscratch's

    def _container(self, items: Any) -> None:
        if len(items) > MOST_ENTRIES:
            self.sizes.append((len(items), items))
            return
        if isinstance(items, dict):
            self.sizes.append((len(items), items))
            for key in list(items):
                self._entry(items, key)
            return
        if not isinstance(items, (tuple, frozenset)):
            self.lists.append((items, list(items)))
        for item in list(items):
            self.value(item)

    def _attribute(self, item: Any, name: str) -> None:
        value = getattr(item, name)
        self.entries.append((functools.partial(getattr, item), name, value))
        self.value(value)

    def _attributes(self, table: Mapping[str, Any], watch: bool = True) -> None:
        wanted = table.keys() if self._wanted & _BY_ANY_NAME else self._wanted & table.keys()
        for name in sorted(wanted)[:MOST_ENTRIES]:
            if watch:
                self._entry(table, name)
            else:
                self.value(table[name])

    def _object(self, item: Any) -> None:
        kind = type(item)
        if isinstance(item, Iterator) and not hasattr(item, "fileno"):
            self.iterator = kind.__name__
            return
        if (wrapped := getattr(item, "__wrapped__", None)) is not None:
            self.callable(wrapped)  # a compiled step inside of this one, or a cache
        own = getattr(item, "__dict__", {})
        if isinstance(item, (Optimizer, Stateful)) and _is_foreign(kind.__module__):
            # Its numbers are read at every replay; here it is what the step's code says of them.
            own = {name: value for name, value in own.items() if name in self._wanted}
            if "get_last_lr" in self._wanted and isinstance(item, Stateful):
                self.entries += [(vars(item).get, "last_epoch", vars(item).get("last_epoch"))]
        if isinstance(item, Optimizer):  # where its hooks are, once it has any
            self.entries.append((vars(item).get, "step", vars(item).get("step", _MISSING)))
            self.value(vars(item).get("step"))
        if isinstance(item, Optimizer) and "state" in self._wanted:
            self.value(item._state)  # of an optimizer that is written by hand
        if not own and _is_foreign(kind.__module__):
            return
        self._attributes(vars(item) if hasattr(item, "__dict__") else {})
        for name in _slots(kind):
            if name in self._wanted and hasattr(item, name):
                self._attribute(item, name)
        if not _is_foreign(kind.__module__):
            self._class(kind, getattr(item, "__dict__", None))

    def _class(self, kind: type, instance: dict[str, Any] | None = None) -> None:
        """Look at the methods and data of a class, and of those that it is derived from."""
        found: set[str] = set()
        # What made an object has run; a class may still be called.
        always = _ALWAYS if instance is None else _ALWAYS - {"__init__"}
        for base in kind.__mro__:
            if _is_foreign(base.__module__):
                continue
            table = vars(base)
            for name in sorted(((self._wanted | always) & table.keys()) - found):
                found.add(name)
                value = table[name]
                if isinstance(value, (staticmethod, classmethod)):
                    value = value.__func__
                if isinstance(value, property):
                    for part in (value.fget, value.fset):
                        self.value(part)
                elif isinstance(value, types.FunctionType):
                    self._function(value)
                elif name not in _ALWAYS:
                    self.entries.append((table.get, name, value))
                    if instance is not None and name not in instance:
                        self.entries.append((instance.get, name, _MISSING))
                    self.value(value)

    def _module(self, module: Module, is_root: bool) -> None:
        """Look at a module and all inside it; what is assigned to them is counted elsewhere."""
        for inner in module.modules():
            if inner is not module and not self._is_new(inner):
                continue
            self.modules.append(inner)
            own = inner.__dict__
            for hook in (hook for name in HOOKS for hook in own[name]):
                self.callable(hook.function)
            for tensor in (*own["_parameters"].values(), *own["_buffers"].values()):
                if tensor is not None and self._is_new(tensor):
                    self._tensor(tensor)
            if not _is_foreign(type(inner).__module__):
                self._attributes(own, watch=False)
                self._class(type(inner))
            if "forward" in own:
                self.callable(own["forward"])


_BY_ANY_NAME = {"getattr", "vars", "__dict__", "attrgetter"}
"""Code that mentions one of these may read attributes whose names it does not mention."""
_ALWAYS = {"__call__", "forward", "__init__", "__getitem__", "__enter__", "__exit__", "__len__"}


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        yield from (slots,) if isinstance(slots, str) else slots


def _is_foreign(module: str | None) -> bool:
    """Say whether code is not the user's: it changes for nobody, or is read at every replay."""
    return module is None or module.partition(".")[0] in _FOREIGN


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
