"""Modules that hold modules: in a chain, a list or a dictionary."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self

from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def _position(index: int, count: int) -> int:
    place = index.__index__()
    if not -count <= place < count:
        raise IndexError(f"index {place} is out of range for {count} entries")
    return place % count


class _Listed(Module):
    """Modules under the names "0", "1", ..."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __contains__(self, module: object) -> bool:
        return any(module is child for child in self._modules.values())

    def __getitem__(self, index: Any) -> Any:
        """Return a module, or of a slice a container of the same modules."""
        if isinstance(index, slice):
            return self._of(list(self._modules.items())[index])
        return list(self._modules.values())[_position(index, len(self))]

    def _of(self, items: list[tuple[str, Module]]) -> Any:
        raise TypeError(f"{type(self).__name__} does not say how it is sliced")

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[_position(index, len(self))], module)

    def __delitem__(self, index: Any) -> None:
        chosen = index if isinstance(index, slice) else _position(index, len(self))
        modules = list(self)
        del modules[chosen]
        self._number(modules)

    def _number(self, modules: list[Any]) -> None:
        self._modules.clear()
        for place, module in enumerate(modules):
            self.add_module(str(place), module)

    def append(self, module: Module) -> Self:
        """Put a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at ``index``."""
        modules = list(self)
        modules.insert(index, module)
        self._number(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put modules at the end."""
        for module in list(modules):  # which may be this container itself
            self.append(module)
        return self

    def pop(self, index: int) -> Any:
        """Remove the module at ``index``, and return it."""
        found = self[index]
        del self[index]
        return found

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> Any:
        """Return a container of the modules of both."""
        made: Any = type(self)()
        return made.extend(self).extend(modules)


class Sequential(_Listed):
    """Modules in a chain: each takes what the one before it returned.

    Args:
        modules: modules, or one dictionary of modules by name.

    >>> from nnscratch import nn, zeros
    >>> model = Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> model(zeros(3, 4)).shape, model[-1]
    ((3, 2), Linear(in_features=8, out_features=2, bias=True))
    """

    def __init__(self, *modules: Any) -> None:
        """Register the modules under their names, or under "0", "1", ..."""
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def _of(self, items: list[tuple[str, Module]]) -> Sequential:
        return Sequential(dict(items))

    def forward(self, *inputs: Any) -> Any:
        """Return what the last module returns; an empty chain returns its input."""
        modules = iter(self._modules.values())
        for module in modules:
            output = module(*inputs)
            break
        else:
            return inputs[0] if len(inputs) == 1 else inputs
        for module in modules:
            output = module(output)
        return output


class ModuleList(_Listed):
    """A list of modules, all of them registered; what is done with them is up to ``forward``.

    >>> from nnscratch import nn
    >>> len(ModuleList([nn.Linear(2, 2), nn.ReLU()]))
    2
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        """Register the modules under "0", "1", ..."""
        super().__init__()
        self.extend(modules)

    def _of(self, items: list[tuple[str, Module]]) -> ModuleList:
        return ModuleList(module for _, module in items)

    def __repr__(self) -> str:
        """Show neighbours that look alike once, with their number."""
        lines: list[str] = []
        for text, alike in groupby(enumerate(map(repr, self)), key=lambda item: item[1]):
            places = [place for place, _ in alike]
            many = len(places) > 1
            where = f"{places[0]}-{places[-1]}" if many else str(places[0])
            count = f"{len(places)} x " if many else ""
            lines.append(f"  ({where}): {count}{text}".replace("\n", "\n  "))
        return "\n".join([f"{type(self).__name__}(", *lines, ")"]) if lines else "ModuleList()"


class ModuleDict(Module):
    """A dictionary of modules, all of them registered.

    >>> from nnscratch import nn
    >>> list(ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()}))
    ['a', 'b']
    """

    def __init__(self, modules: Any = None) -> None:
        """Register the modules under their keys, see ``update``."""
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Any:
        """Return the module of a key."""
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """Return the keys."""
        return list(self._modules.keys())

    def values(self) -> Iterable[Any]:
        """Return the modules."""
        return list(self._modules.values())

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return keys and modules."""
        return list(self._modules.items())

    def update(self, modules: Any) -> None:
        """Register modules under their keys: of a dictionary, another one of these, or pairs."""
        pairs = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
        for key, module in pairs:
            self[key] = module

    def pop(self, key: str) -> Any:
        """Remove a key, and return its module."""
        found = self[key]
        del self[key]
        return found

    def clear(self) -> None:
        """Remove all keys."""
        self._modules.clear()


class ParameterList(Module):
    """A list of parameters, all of them registered; tensors become parameters.

    >>> from nnscratch import zeros
    >>> len(list(ParameterList([zeros(2), zeros(3)]).parameters()))
    2
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        """Register the parameters under "0", "1", ..."""
        super().__init__()
        for value in values:
            self.append(value)

    def append(self, value: Any) -> Self:
        """Put a parameter at the end."""
        parameter = value if isinstance(value, Parameter) else Parameter(value)
        self.register_parameter(str(len(self)), parameter)
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Put parameters at the end."""
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters.values())

    def __getitem__(self, index: Any) -> Any:
        """Return the parameter at an index, or of a slice a list of the same parameters."""
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        found: Parameter = self._parameters[str(_position(index, len(self)))]
        return found

    def __setitem__(self, index: int, value: Any) -> None:
        parameter = value if isinstance(value, Parameter) else Parameter(value)
        self.register_parameter(str(_position(index, len(self))), parameter)


class ParameterDict(Module):
    """A dictionary of parameters, all of them registered; tensors become parameters.

    What is no tensor is kept as it is. A plain dictionary is taken in the order of its keys, as in
    PyTorch.

    >>> from nnscratch import zeros
    >>> own = ParameterDict({"a": zeros(2), "b": zeros(3)})
    >>> [name for name, _ in own.named_parameters()], "b" in own
    (['a', 'b'], True)
    """

    def __init__(self, parameters: Any = None) -> None:
        """Register the parameters under their keys.

        Args:
            parameters: a dictionary, another one of these, or pairs of a key and a value.
        """
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        """Return what is under a key."""
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key of a ParameterDict is a string, got {type(key).__name__}")
        self._keys[key] = None
        if isinstance(value, Tensor) and not isinstance(value, Parameter):
            value = Parameter(value)
        setattr(self, key, value)

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __or__(self, other: Any) -> ParameterDict:
        found = self.copy()
        found.update(other)
        return found

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def copy(self) -> ParameterDict:
        """Return another one with the same parameters."""
        return ParameterDict(list(self.items()))

    def keys(self) -> Iterable[str]:
        """Return the keys."""
        return self._keys.keys()

    def values(self) -> Iterable[Any]:
        """Return the parameters."""
        return [self[key] for key in self._keys]

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return keys and parameters."""
        return [(key, self[key]) for key in self._keys]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the parameter of a key, or a default where there is none."""
        return self[key] if key in self else default  # noqa: SIM401

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the parameter of a key, which becomes a default where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Remove a key, and return its parameter."""
        found = self[key]
        del self[key]
        return found

    def popitem(self) -> tuple[str, Any]:
        """Remove the last key, and return it with its parameter."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def clear(self) -> None:
        """Remove all keys."""
        for key in list(self._keys):
            del self[key]

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """Return a new one with these keys, all with one default."""
        return ParameterDict([(key, default) for key in keys])

    def update(self, parameters: Any) -> None:
        """Register parameters under their keys, in the place of those that are there."""
        if isinstance(parameters, (ParameterDict, OrderedDict)):
            pairs = parameters.items()
        elif isinstance(parameters, Mapping):
            pairs = sorted(parameters.items())
        else:
            pairs = parameters
        for key, value in pairs:
            self[key] = value

    def extra_repr(self) -> str:
        """Return the parameters with their sizes."""
        lines = []
        for key, value in self.items():
            text = f"Object of type: {type(value).__name__}"
            if isinstance(value, Tensor):
                kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
                size = "x".join(map(str, value.shape))
                text = f"{kind} containing: [{value.dtype} of size {size}]"
            lines.append(f"  ({key}): {text}")
        return "\n".join(lines)
