"""``Module``: parameters with names, and modules inside modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from nnscratch.array import as_device, dtype_name, is_floating, move
from nnscratch.array.dtypes import FLOATS, cast
from nnscratch.errors import CheckpointError, DTypeError, NNScratchError
from nnscratch.formulas import registry
from nnscratch.nn.parameter import Parameter
from nnscratch.tensor import Tensor, as_tensor, clear_gradient


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` found too little or too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class _Structure:
    """Counts every change of a module's parameters, children or mode, in all modules together.

    Whoever keeps something that depends on them (a compiled plan) looks at this one number first.
    """

    changes = 0


structure = _Structure()


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
        self.__dict__.update(
            _parameters={}, _buffers={}, _modules={}, _hooks=[], _pre_hooks=[], training=True
        )

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise TypeError(f"{type(self).__name__} defines no forward(self, ...)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the hooks and ``forward``; an error that leaves here knows its layer's path."""
        try:
            for observer in registry.observers():
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

    def _locate(self, error: NNScratchError) -> None:
        if error.module is None:
            error.layer = repr(self) if not self._modules else type(self).__name__
        else:
            for name, child in self._modules.items():
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
        if isinstance(value, (Tensor, Module)) or name in self._parameters or name in self._modules:
            structure.changes += 1
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind != "_buffers" or not isinstance(value, Tensor) or isinstance(value, Parameter):
                tables[kind].pop(name, None)
        if isinstance(value, Parameter):
            tables.pop(name, None)
            self._parameters[name] = value
        elif isinstance(value, Module):
            tables.pop(name, None)
            self._modules[name] = value
        elif name in self._buffers:
            self._buffers[name] = value
        else:
            tables[name] = value

    def __getattr__(self, name: str) -> Any:
        for kind in ("_parameters", "_buffers", "_modules"):
            table = self.__dict__.get(kind, {})
            if name in table:
                return table[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        structure.changes += 1
        for kind in ("_parameters", "_buffers", "_modules"):
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

    def register_buffer(self, name: str, buffer: Tensor | None) -> None:
        """Register a tensor that is saved and moved with the module but not learned."""
        self._buffers[name] = buffer

    def add_module(self, name: str, module: Module) -> None:
        """Register a module under a name."""
        structure.changes += 1
        self._modules[name] = module

    def register_forward_hook(self, hook: Callable[..., Any]) -> Callable[[], None]:
        """Call ``hook(module, inputs, output)`` after forward; returns a function that removes it."""
        self._hooks.append(hook)
        return lambda: self._hooks.remove(hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Callable[[], None]:
        """Call ``hook(module, inputs)`` before forward; returns a function that removes it."""
        self._pre_hooks.append(hook)
        return lambda: self._pre_hooks.remove(hook)

    # Walking.

    def children(self) -> Iterator[Module]:
        """Yield the modules that are attributes of this one."""
        yield from self._modules.values()

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) of the modules that are attributes of this one."""
        yield from self._modules.items()

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield (path, module) of this module and all inside it, each once."""
        yield from self._walk(prefix, set())

    def _walk(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, child in self._modules.items():
            yield from child._walk(f"{prefix}.{name}" if prefix else name, seen)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all inside it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (path, parameter), a parameter used twice only under its first path."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield (f"{path}.{name}" if path else name), parameter

    def parameters(self) -> Iterator[Parameter]:
        """Yield every parameter once."""
        for _, parameter in self.named_parameters():
            yield parameter

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

    def to(self, *target: Any, device: Any = None, dtype: Any = None) -> Self:
        """Move all parameters and buffers to a device or a floating dtype, in place.

        Raises:
            DeviceError: if this machine has no such device.
            DTypeError: for a dtype that is not floating.
        """
        for item in target:
            if isinstance(item, Tensor):
                device, dtype = item.device, item.dtype
            elif isinstance(item, str) and item.partition(":")[0] in ("cpu", "cuda"):
                device = item
            elif hasattr(item, "index") and hasattr(item, "type") and not isinstance(item, str):
                device = item
            else:
                dtype = item
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
            if held is not None:
                found[prefix + name] = held.detach()
        for name, child in self._modules.items():
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
