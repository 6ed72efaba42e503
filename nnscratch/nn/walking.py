"""Going through a module: its children, parameters and buffers, by their paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor

if TYPE_CHECKING:
    from nnscratch.nn.module import Module


class Walking:
    """What a module knows about what is in it."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]

    def children(self) -> Iterator[Module]:
        """Yield the modules that are attributes of this one, each once."""
        for _, child in self.named_children():
            yield child

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) of the modules that are attributes of this one, each once."""
        seen: set[int] = set()
        for name, child in self._modules.items():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield (path, module) of this module and all inside it.

        Args:
            memo: modules that are not to come; those that came are added.
            prefix: what the paths begin with.
            remove_duplicate: whether a module comes only under its first path.
        """
        seen = set() if memo is None else memo
        if remove_duplicate:
            if self in seen:
                return
            seen.add(self)
        yield prefix, cast("Module", self)
        for name, child in self._modules.items():
            if child is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(seen, path, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Yield this module and all inside it, each once unless duplicates are asked for."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def _named(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        """Yield (path, entry) of a table of this module, and of all modules inside."""
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        seen: set[int] = set()
        for path, module in modules:
            for name, held in getattr(module, table).items():
                if held is None or (remove_duplicate and id(held) in seen):
                    continue
                seen.add(id(held))
                yield (f"{path}.{name}" if path else name), held

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (path, parameter), a parameter used twice only under its first path.

        Args:
            prefix: what the paths begin with.
            recurse: whether those of the modules inside come too.
            remove_duplicate: False to have each under all its paths.
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield every parameter once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield (path, buffer), with the arguments of ``named_parameters``."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield every buffer once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """Return the module at a dotted path.

        Raises:
            AttributeError: naming the part of the path that is no module.
        """
        module = cast("Module", self)
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(
                    f"{type(module).__name__} has no module {name!r} (of {target})"
                )
            module = found
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted path, in the place of one that is there or as a new one.

        Args:
            target: the path.
            module: the module.
            strict: whether one has to be there already.

        Raises:
            ValueError: if the path is empty, or what is to stand there is no module.
            AttributeError: naming the part of the path that is no module.

        >>> from nnscratch import nn
        >>> net = nn.Sequential(nn.Sequential(nn.Linear(3, 2)))
        >>> net.set_submodule("0.0", nn.ReLU())
        >>> net[0][0]
        ReLU()
        """
        where, _, name = target.rpartition(".")
        if not name or not isinstance(module, Walking):
            raise ValueError(
                f"set_submodule takes a path and a module, got {target!r} and "
                f"{type(module).__name__}"
            )
        parent = self.get_submodule(where)
        if (strict or hasattr(parent, name)) and parent._modules.get(name) is None:
            raise AttributeError(f"{type(parent).__name__} has no module {name!r} (of {target})")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a dotted path.

        Raises:
            AttributeError: if there is none.
        """
        found: Parameter = self._at(target, "_parameters")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a dotted path.

        Raises:
            AttributeError: if there is none.
        """
        found: Tensor = self._at(target, "_buffers")
        return found

    def _at(self, target: str, table: str) -> Any:
        where, _, name = target.rpartition(".")
        module = self.get_submodule(where)
        found = getattr(module, table).get(name)
        if found is None:
            what = table[1:-1]
            raise AttributeError(f"{type(module).__name__} has no {what} {name!r} (of {target})")
        return found
