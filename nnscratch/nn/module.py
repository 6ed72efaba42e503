"""``Module``: parameters with names, and modules inside modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from nnscratch.absent import AbsentNameError
from nnscratch.errors import NNScratchError
from nnscratch.formulas.observing import WATCHING
from nnscratch.nn.compiling import Compiling
from nnscratch.nn.converting import Converting
from nnscratch.nn.hooks import Hook, Hooks, Table, structure
from nnscratch.nn.parameter import Buffer, Parameter
from nnscratch.nn.states import ExtraState, IncompatibleKeys, collect, load, nothing
from nnscratch.tensors import Tensor, clear_gradient
from nnscratch.tensors.tape import Handle

__all__ = ["Module"]

_KINDS = ("_parameters", "_buffers", "_modules")


class Module(Compiling, Converting, ExtraState):
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
            _parameters=Table(), _buffers=Table(), _modules=Table(), _unsaved=set()
        )
        self.__dict__.update(_hooks=Hooks(), _pre_hooks=Hooks(), training=True)
        self.__dict__.update(_backward_hooks=Hooks(), _backward_pre_hooks=Hooks())
        self.__dict__.update(_state_hooks=Hooks(), _load_hooks=Hooks())

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise TypeError(f"{type(self).__name__} defines no forward(self, ...)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the hooks and ``forward``; an error that leaves here knows its layer's path."""
        watching = WATCHING.observers
        output = None
        try:
            for observer in watching:
                observer.on_module(self, (*inputs, *options.values()))
            if self._compiled_call is not None and not watching:
                output = self._compiled_call(*inputs, **options)
            elif self._pre_hooks or self._hooks or self._backward_hooks or self._backward_pre_hooks:
                output = self._hooked(inputs, options)
            else:
                output = self.forward(*inputs, **options)
            return output
        except NNScratchError as error:
            self._locate(error)
            raise
        finally:
            for observer in watching:
                observer.on_module_left(self, output)

    def _hooked(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        done: set[int] = set()
        try:
            for before in list(self._pre_hooks):
                inputs, options = before.before(self, inputs, options)
            passage = None
            if self._backward_hooks or self._backward_pre_hooks:
                # Here, because it needs autograd, which an import can do without.
                from nnscratch.nn.backward_hooks import Passage

                passage = Passage(self)
                inputs = passage.enter(inputs)
            output = self.forward(*inputs, **options)
            for after in list(self._hooks):
                done.add(id(after))
                output = after.after(self, inputs, options, output)
            return output if passage is None else passage.leave(output)
        except Exception:
            for after in list(self._hooks):
                if after.always_call and id(after) not in done:
                    after.after(self, inputs, options, None)
            raise

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
        elif isinstance(value, Buffer):
            kind = "_buffers"
            unsaved = tables["_unsaved"]
            unsaved.discard(name) if value.persistent else unsaved.add(name)
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
            if own == "_buffers":
                tables["_unsaved"].discard(name)
        tables.pop(name, None)
        tables[kind][name] = value

    def __getattr__(self, name: str) -> Any:
        tables = self.__dict__
        for kind in _KINDS:
            table = tables.get(kind)
            if table is not None and name in table:
                return table[name]
        kind = type(self).__name__
        if name.startswith("__"):  # which Python asks for by itself
            raise AttributeError(f"{kind} has no attribute {name!r}", name=name, obj=self)
        if hasattr(type(self), name):  # a property, in which an AttributeError was raised
            return object.__getattribute__(self, name)
        raise AbsentNameError(kind, "nn.Module", name, self)

    def __delattr__(self, name: str) -> None:
        structure.changes += 1
        for kind in _KINDS:
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                if kind == "_buffers":
                    self._unsaved.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def _check_name(self, name: Any, own: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a name is a string, got {type(name).__name__}")
        if name == "" or "." in name:
            raise KeyError(f"a name in a module is not empty and has no dots, got {name!r}")
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                f"call super().__init__() in {type(self).__name__}.__init__ before registering "
                f"{name}"
            )
        if hasattr(self, name) and name not in self.__dict__[own]:
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already; del it first")
        structure.changes += 1

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a parameter under a name; None reserves the name for none.

        Raises:
            TypeError: if it is no parameter.
            KeyError: if the name is taken, empty or has a dot.
        """
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"expected a Parameter or None as {name!r}, got {type(param).__name__}; write "
                "nn.Parameter(...)"
            )
        self._check_name(name, "_parameters")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Register a tensor that is moved with the module but not learned.

        It is saved too, unless it is not ``persistent``.

        Raises:
            TypeError: if it is no tensor.
            KeyError: if the name is taken, empty or has a dot.
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"expected a tensor or None as the buffer {name!r}, got {type(tensor).__name__}"
            )
        self._check_name(name, "_buffers")
        self._buffers[name] = tensor
        self._unsaved.discard(name) if persistent else self._unsaved.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a module under a name.

        Raises:
            TypeError: if it is no module.
            KeyError: if the name is taken, empty or has a dot.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"expected a module as {name!r}, got {type(module).__name__}")
        self._check_name(name, "_modules")
        self._modules[name] = module

    register_module = add_module

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> Handle:
        """Call ``hook(module, inputs, output)`` after forward; what it returns replaces the output.

        The handle takes it away again.

        Args:
            hook: the function.
            prepend: call it before the hooks that are there already.
            with_kwargs: call it with (module, inputs, keyword arguments, output).
            always_call: call it, with the output None, also where forward raises.
        """
        entry = Hook(hook, with_kwargs, always_call)
        self._hooks.add(entry, prepend)
        return Handle(self._hooks, entry)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> Handle:
        """Call ``hook(module, inputs)`` before forward; what it returns replaces the inputs.

        ``prepend`` calls it before those that are there already; ``with_kwargs`` calls it with
        (module, inputs, keyword arguments), and it returns None or a pair of both.
        """
        entry = Hook(hook, with_kwargs)
        self._pre_hooks.add(entry, prepend)
        return Handle(self._pre_hooks, entry)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Handle:
        """Call ``hook(module, grad_input, grad_output)`` when ∂L/∂inputs are known.

        Both are tuples: ∂L/∂input for each input by position, None for one without a gradient, and
        ∂L/∂output for each output. A tuple that the hook returns replaces the former. If no input
        asks for a gradient, the hook is called when ∂L/∂outputs are known.

        Args:
            hook: the function; the handle takes it away again.
            prepend: call it before the hooks that are there already.

        >>> import nnscratch
        >>> from nnscratch import nn
        >>> x, layer = nnscratch.ones(1, 2, requires_grad=True), nn.ReLU()
        >>> handle = layer.register_full_backward_hook(lambda m, dx, dy: (dx[0] * 10,))
        >>> layer(x).sum().backward()
        >>> x.grad
        tensor([[10., 10.]])
        """
        return self._add(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Handle:
        """Call ``hook(module, grad_output)`` when ∂L/∂outputs are known, before the module's.

        A tuple that the hook returns replaces them.
        """
        return self._add(self._backward_pre_hooks, hook, prepend)

    @staticmethod
    def _add(hooks: Hooks, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        entry = Hook(hook)
        hooks.add(entry, prepend)
        return Handle(hooks, entry)

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call a function with every module inside, then with this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # Modes.

    def train(self, mode: bool = True) -> Self:
        """Go to training mode (dropout drops), here and in all modules inside.

        Raises:
            ValueError: if the mode is no boolean.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"train takes True or False, got {mode!r}")
        structure.changes += 1
        self.__dict__["training"] = mode
        # By their own methods: a module may want to stay in one mode.
        for child in self.children():
            child.train(mode)
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

    # Saving.

    def state_dict(
        self, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Return the parameters and buffers by path; they share memory with the module's.

        What a module's ``get_extra_state`` returns is there as ``_extra_state``.

        Args:
            destination: a dictionary that they are written into, and that is returned.
            prefix: what the paths begin with.
            keep_vars: whether they are the parameters themselves, not detached tensors.
        """
        found: dict[str, Any] = {} if destination is None else destination
        collect(self, prefix, found, keep_vars)
        for hook in list(self._state_hooks):
            nothing("state_dict", hook.function(self, found, prefix, {"version": 1}))
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values by path into the parameters and buffers.

        Nothing is copied unless everything fits.

        Args:
            state_dict: what ``state_dict`` returned.
            strict: whether every key has to be there, and no other.
            assign: put the tensors themselves in the place of the module's, in their dtype and on
                their device, instead of copying their values.

        Raises:
            CheckpointError: naming missing and unexpected keys (if ``strict``) and every entry
                whose shape differs.
        """
        return load(self, state_dict, strict, assign)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when a state dict is made.

        It is called once this module's entries and those of all inside are there, under paths that
        begin with the prefix, and changes the dictionary in place. The metadata are PyTorch's
        ``{"version": 1}``, and are not kept.
        """
        return self._add(self._state_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, incompatible_keys)`` when ``load_state_dict`` has copied the values.

        It may change the lists ``missing_keys`` and ``unexpected_keys`` in place: a key that it
        takes away is no error. Since it may, values are copied before keys are an error, where
        there is such a hook; shapes have to fit as ever.

        >>> from nnscratch import nn
        >>> layer = nn.Linear(3, 2)
        >>> handle = layer.register_load_state_dict_post_hook(lambda m, keys: keys[0].clear())
        >>> layer.load_state_dict({})
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        """
        return self._add(self._load_hooks, hook)

    # Showing.

    def extra_repr(self) -> str:
        """Return what stands in the parentheses of a layer's ``repr``."""
        return ""

    def __repr__(self) -> str:
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()})"
        extra = self.extra_repr()
        lines = [f"{type(self).__name__}(", *(f"  {line}" for line in extra.split("\n") if line)]
        for name, child in self._modules.items():
            text = repr(child).replace("\n", "\n  ")
            lines.append(f"  ({name}): {text}")
        return "\n".join([*lines, ")"])
