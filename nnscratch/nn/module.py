"""``Module``: parameters with names, and modules inside modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from nnscratch.array import as_device, dtype_name, is_floating, move
from nnscratch.array.addresses import on_device_of
from nnscratch.array.dtypes import FLOATS, cast
from nnscratch.conversions import read_target
from nnscratch.errors import CheckpointError, DTypeError, NNScratchError
from nnscratch.formulas import registry
from nnscratch.nn.parameter import Parameter
from nnscratch.tape import Handle
from nnscratch.tensor import Tensor, as_tensor, clear_gradient


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` found too little or too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class _Structure:
    """Counts every change of a module's attributes and hooks, in all modules together.

    Whoever keeps something that depends on them (a compiled plan) looks at this one number first.
    """

    changes = 0


structure = _Structure()


class _Hooks(list[Any]):
    """A module's hooks: more or fewer of them are another structure."""

    def append(self, hook: Any) -> None:
        structure.changes += 1
        super().append(hook)

    def remove(self, hook: Any) -> None:
        structure.changes += 1
        super().remove(hook)


_KINDS = ("_parameters", "_buffers", "_modules")


class Module:
    """The base of all layers and models: assign parameters and modules as attributes.

    >>> from nnscratch import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc1 = nn.Linear(3, 2)
    ...     def forward(self, x):
    ...         return self.fc1(x).relu()
    >>> [name for name, _ in Net().named_parameters()]
    ['fc1.weight', 'fc1.bias']
    """

    training: bool

    def __init__(self) -> None:
        """Start with no parameters; a subclass calls this before it assigns any."""
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, _unsaved=set())
        self.__dict__.update(_hooks=_Hooks(), _pre_hooks=_Hooks(), training=True)

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise TypeError(f"{type(self).__name__} defines no forward(self, ...)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the hooks and ``forward``; an error that leaves here knows its layer's path."""
        watching = registry.observers()
        try:
            for observer in watching:
                observer.on_module(self)
            for hook in self._pre_hooks:
                changed = hook(self, inputs)
                if changed is not None:
                    inputs = changed if isinstance(changed, tuple) else (changed,)
            output = self.forward(*inputs, **options)
            for hook in self._hooks:
                changed = hook(self, inputs, output)
                output = output if changed is None else changed
            return output
        except NNScratchError as error:
            self._locate(error)
            raise
        finally:
            for observer in watching:
                observer.on_module_left(self)

    def _locate(self, error: NNScratchError) -> None:
        if error.module is None:
            error.layer = repr(self) if not self._modules else type(self).__name__
        else:
            # It may be deeper inside: a ModuleList is not called, only what it holds.
            for name, child in self.named_modules():
                if child is error.module:
                    error.path = f"{name}.{error.path}" if error.path else name
                    break
        error.module = self

    # Registration.

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self.__dict__
        if "_parameters" not in tables:
            raise AttributeError(
                f"call super().__init__() in {type(self).__name__}.__init__ before assigning {name}"
            )
        own = next((kind for kind in _KINDS if name in tables[kind]), None)
        if isinstance(value, Parameter):
            kind = "_parameters"
        elif isinstance(value, Module):
            kind = "_modules"
        elif own is None:
            structure.changes += 1
            tables[name] = value
            return
        elif value is None or (own == "_buffers" and isinstance(value, Tensor)):
            kind = own
        else:
            raise TypeError(
                f"{type(self).__name__}.{name} is one of its {own[1:]}; assign another one or None "
                f"to it, not a {type(value).__name__}, or del it first"
            )
        structure.changes += 1
        if own not in (kind, None):
            tables[own].pop(name)
        tables.pop(name, None)
        tables[kind][name] = value

    def __getattr__(self, name: str) -> Any:
        tables = self.__dict__
        for kind in _KINDS:
            if kind in tables and name in tables[kind]:
                return tables[kind][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        structure.changes += 1
        for kind in _KINDS:
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Register a parameter under a name; None reserves the name for none."""
        structure.changes += 1
        self._parameters[name] = parameter

    def register_buffer(self, name: str, buffer: Tensor | None, persistent: bool = True) -> None:
        """Register a tensor that is moved with the module but not learned.

        It is saved too, unless it is not ``persistent``.
        """
        structure.changes += 1
        self._buffers[name] = buffer
        if not persistent:
            self._unsaved.add(name)

    def add_module(self, name: str, module: Module) -> None:
        """Register a module under a name."""
        if not isinstance(module, Module):
            raise TypeError(f"expected a module as {name!r}, got {type(module).__name__}")
        structure.changes += 1
        self._modules[name] = module

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, inputs, output)`` after forward; what it returns replaces the output.

        The handle takes it away again.
        """
        self._hooks.append(hook)
        return Handle(self._hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, inputs)`` before forward; what it returns replaces the inputs."""
        self._pre_hooks.append(hook)
        return Handle(self._pre_hooks, hook)

    # Walking.

    def children(self) -> Iterator[Module]:
        """Yield the modules that are attributes of this one."""
        for _, child in self.named_children():
            yield child

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) of the modules that are attributes of this one."""
        for name, child in self._modules.items():
            if child is not None:
                yield name, child

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield (path, module) of this module and all inside it, each once."""
        yield from self._walk(prefix, set())

    def _walk(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(f"{prefix}.{name}" if prefix else name, seen)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all inside it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (path, parameter), a parameter used twice only under its first path."""
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield (f"{path}.{name}" if path else name), parameter

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield every parameter once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def get_submodule(self, path: str) -> Module:
        """Return the module at a dotted path.

        Raises:
            AttributeError: naming the part of the path that is no module.
        """
        module = self
        for name in path.split(".") if path else ():
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(f"{type(module).__name__} has no module {name!r} (of {path})")
            module = found
        return module

    def get_parameter(self, path: str) -> Parameter:
        """Return the parameter at a dotted path."""
        where, _, name = path.rpartition(".")
        found: Parameter = self.get_submodule(where)._parameters[name]
        return found

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (path, buffer)."""
        for path, module in self.named_modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    yield (f"{path}.{name}" if path else name), buffer

    def buffers(self) -> Iterator[Tensor]:
        """Yield every buffer."""
        for _, buffer in self.named_buffers():
            yield buffer

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call a function with every module inside, then with this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # Modes.

    def train(self, mode: bool = True) -> Self:
        """Go to training mode (dropout drops), here and in all modules inside."""
        structure.changes += 1
        for module in self.modules():
            module.__dict__["training"] = mode
        return self

    def eval(self) -> Self:
        """Go to evaluation mode (dropout is the identity)."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients of all parameters, or of none."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to 0."""
        for parameter in self.parameters():
            clear_gradient(parameter, set_to_none)

    # Moving and saving.

    def to(
        self, *target: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False
    ) -> Self:
        """Move all parameters and buffers to a device or a floating dtype, in place.

        ``non_blocking`` is there for PyTorch's sake and changes nothing.

        Raises:
            DeviceError: if this machine has no such device.
            DTypeError: for a dtype that is not floating.
        """
        device, dtype = read_target(target, device, dtype)
        name = None if dtype is None else dtype_name(dtype)
        if name is not None and name not in FLOATS:
            raise DTypeError(f"a model can be moved to {', '.join(FLOATS)}, got {name}")
        where = None if device is None else as_device(device)
        for held in [*self.parameters(), *self.buffers()]:
            for item in (held, held.grad):
                if item is None:
                    continue
                array = item.array
                if name is not None and is_floating(item.array):
                    with on_device_of(array):
                        array = cast(array, name)
                if where is not None:
                    array = move(array, where)
                if array is not item.array:
                    item.array = array
                    held.grad_slot = None
        return self

    def cpu(self) -> Self:
        """Move all parameters and buffers to the CPU."""
        return self.to("cpu")

    def cuda(self, index: int | None = None) -> Self:
        """Move all parameters and buffers to a GPU."""
        return self.to("cuda" if index is None else f"cuda:{index}")

    def float(self) -> Self:
        """Turn all parameters and buffers into float32."""
        return self.to("float32")

    def half(self) -> Self:
        """Turn all parameters and buffers into float16."""
        return self.to("float16")

    def double(self) -> Self:
        """Turn all parameters and buffers into float64."""
        return self.to("float64")

    def state_dict(self) -> dict[str, Tensor]:
        """Return the parameters and buffers by path; they share memory with the module's."""
        found: dict[str, Tensor] = {}
        self._collect("", found)
        return found

    def _collect(self, prefix: str, found: dict[str, Tensor]) -> None:
        for name, held in (*self._parameters.items(), *self._buffers.items()):
            if held is not None and name not in self._unsaved:
                found[prefix + name] = held.detach()
        for name, child in self.named_children():
            child._collect(f"{prefix}{name}.", found)

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values by path into the parameters and buffers.

        Nothing is copied unless everything fits.

        Raises:
            CheckpointError: naming missing and unexpected keys (if ``strict``) and every entry
                whose shape differs.
        """
        own = self.state_dict()
        missing = [key for key in own if key not in state]
        unexpected = [key for key in state if key not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing keys: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected keys: {', '.join(unexpected)}")
        values = {key: as_tensor(state[key]).detach() for key in own if key in state}
        problems += [
            f"{key} has shape {value.shape}, the model needs {own[key].shape}"
            for key, value in values.items()
            if value.shape != own[key].shape
        ]
        if problems:
            raise CheckpointError(
                f"the weights do not fit this {type(self).__name__}: " + "; ".join(problems)
            )
        for key, value in values.items():
            own[key].copy_(value)
        return IncompatibleKeys(missing, unexpected)

    # Showing.

    def extra_repr(self) -> str:
        """Return what stands in the parentheses of a layer's ``repr``."""
        return ""

    def __repr__(self) -> str:
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"{type(self).__name__}("]
        for name, child in self._modules.items():
            text = repr(child).replace("\n", "\n  ")
            lines.append(f"  ({name}): {text}")
        return "\n".join([*lines, ")"])
