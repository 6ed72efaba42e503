"""Parameters that are computed of others whenever they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from nnscratch.absent import refuse_absent_names
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn.containers import ModuleDict, ModuleList
from nnscratch.nn.hooks import Table, structure
from nnscratch.nn.module import Module
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]

_cache: dict[tuple[int, str], Any] = {}
_open = 0


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor once only within the block."""
    global _open
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        if not _open:
            _cache.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in order, and what they are computed of.

    Attributes:
        original: the parameter; ``original0``, ``original1``, ... where there are several.
        is_tensor: whether there is one.
        unsafe: whether shape and dtype may change.
    """

    def __init__(self, modules: list[Module], original: Tensor, unsafe: bool = False) -> None:
        """Take the parametrizations; the first whose ``right_inverse`` gives several has these."""
        super().__init__(modules)
        made: Any = original
        with no_grad():
            for module in reversed(modules):
                inverse = getattr(module, "right_inverse", None)
                if inverse is not None:
                    made = inverse(made)
        self.unsafe = unsafe
        self.is_tensor = isinstance(made, Tensor)
        self.ntensors = 1 if self.is_tensor else len(made)
        keep = isinstance(original, Parameter)
        first: Any = original
        for name, value in zip(self._originals(), [made] if self.is_tensor else made, strict=True):
            if not isinstance(value, Tensor):
                raise ConfigurationError(
                    "right_inverse of a parametrization returns tensors, got "
                    f"{type(value).__name__}"
                )
            if not keep:
                self.register_buffer(name, value)
            elif self.is_tensor and value is not original and value.shape == original.shape:
                with no_grad():
                    first.copy_(value)
                self.register_parameter(name, first)
            else:
                asks = original.requires_grad
                held = value if isinstance(value, Parameter) else Parameter(value, asks)
                self.register_parameter(name, held)
        if not unsafe:
            with no_grad():
                _need_alike(original, self.forward())

    def _originals(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the parametrized tensor has a value, as near as can be."""
        with no_grad():
            made: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise ConfigurationError(
                        f"{type(module).__name__} has no right_inverse, so no value can be assigned"
                    )
                made = module.right_inverse(made)
            for name, one in zip(
                self._originals(), [made] if self.is_tensor else made, strict=True
            ):
                getattr(self, name).copy_(one)

    def forward(self) -> Any:
        """Return the parametrized tensor."""
        modules = iter(self)
        found = next(modules)(*[getattr(self, name) for name in self._originals()])
        for module in modules:
            found = module(found)
        return found


def _need_alike(before: Tensor, after: Tensor) -> None:
    if after.shape != before.shape or after.dtype != before.dtype:
        raise ShapeError(
            f"a parametrization turns shape {tuple(before.shape)} and dtype {before.dtype} into "
            f"{tuple(after.shape)} and {after.dtype}; say unsafe=True if it is meant to"
        )


class ComputedParameters(Table):
    """The parameters of a module; what is computed of them is found by the name of a parameter.

    Layers read their weights here. Whoever goes through the parameters, or asks whether a name is
    that of one, as an assignment does, finds those alone that are trained.
    """

    def __init__(self, held: dict[str, Any], module: Any) -> None:
        super().__init__(held)
        self.module = module

    @property
    def computed(self) -> Collection[str]:
        """The names that the norms of before parametrizations compute, as plain attributes."""
        own = self.module.__dict__
        return {*own.get("_weight_norms", ()), *own.get("_spectral_norms", ())}

    def __missing__(self, name: str) -> Any:
        if name in self.computed or is_parametrized(self.module, name):
            return getattr(self.module, name)
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a parameter, or a default where there is none."""
        try:
            return self[name]
        except KeyError:
            return default


class _Parametrized:
    """Put before a module's class: its parametrized tensors are properties."""

    parametrizations: ModuleDict

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(getattr(type(self), name, None), property):
            self.parametrizations[name].right_inverse(value)
        else:
            super().__setattr__(name, value)

    def __reduce__(self) -> Any:
        """Copy and pickle as the class before, and make the properties anew."""
        held = {**self.__dict__, "_parameters": Table(self.__dict__["_parameters"])}
        return _restored, (type_before_parametrizations(self), held)  # type: ignore[arg-type]


def _restored(kind: Any, held: dict[str, Any]) -> Any:
    made = kind.__new__(kind)
    made.__dict__.update(held)
    for name in made.parametrizations:
        _make_property(made, name)
    return made


def _make_property(module: Module, name: str) -> None:
    if not isinstance(module, _Parametrized):
        kind = type(module)
        body = {"__module__": kind.__module__}
        made = type(f"Parametrized{kind.__name__}", (_Parametrized, kind), body)
        object.__setattr__(module, "__class__", made)
        module.__dict__["_parameters"] = ComputedParameters(module._parameters, module)
        structure.changes += 1

    def read(self: Any) -> Any:
        found = self.parametrizations[name]
        if not _open:
            return found()
        key = id(self), name
        if key not in _cache:
            _cache[key] = found()
        return _cache[key]

    setattr(type(module), name, property(read))


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let a parameter or buffer of a module be computed by another module when it is read.

    The tensor as it was becomes ``module.parametrizations[tensor_name].original``, and that is what
    is trained and saved. A ``right_inverse`` of the parametrization, if there is one, says what it
    starts from, and what is written when a value is assigned.

    Args:
        module: whose tensor it is.
        tensor_name: the name of the parameter or buffer.
        parametrization: takes the original and returns the tensor.
        unsafe: whether shape and dtype may change.

    Raises:
        ConfigurationError: if the module has no such tensor.
        ShapeError: if the shape or the dtype changes, without ``unsafe``.

    >>> from nnscratch import nn
    >>> class Double(nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> layer = register_parametrization(nn.Linear(1, 1, bias=False), "weight", Double())
    >>> own = layer.parametrizations.weight.original
    >>> layer.weight.item() == 2 * own.item()
    True
    """
    # First, since a spectral norm moves its buffers whenever it is read in training.
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        held: Any = module.parametrizations[tensor_name]
        if not unsafe:
            with no_grad():
                before = getattr(module, tensor_name)
                _need_alike(before, parametrization(before))
        held.append(parametrization)
        held.unsafe |= unsafe
        return module
    tensor = module._parameters.get(tensor_name)
    if tensor is None:
        tensor = module._buffers.get(tensor_name)
    if tensor is None:
        raise ConfigurationError(
            f"{type(module).__name__} has no parameter or buffer {tensor_name!r} to parametrize"
        )
    made = ParametrizationList([parametrization], tensor, unsafe)
    delattr(module, tensor_name)
    if "parametrizations" not in module._modules:
        module.parametrizations = ModuleDict()
    made.train(module.training)
    module.parametrizations[tensor_name] = made
    _make_property(module, tensor_name)
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Say whether a module has a parametrized tensor, or one of a name."""
    held = module._modules.get("parametrizations")
    if held is None or not isinstance(module, _Parametrized):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a parametrized tensor an ordinary one again.

    Args:
        module: whose tensor it is.
        tensor_name: its name.
        leave_parametrized: whether it keeps the value that it has, and not that of the original.

    Raises:
        ConfigurationError: if it is not parametrized, or there is no single original.
    """
    if not is_parametrized(module, tensor_name):
        raise ConfigurationError(f"{tensor_name!r} of {type(module).__name__} is not parametrized")
    held = module.parametrizations[tensor_name]
    if not leave_parametrized and not held.is_tensor:
        raise ConfigurationError(
            f"{tensor_name!r} is computed of {held.ntensors} tensors; say leave_parametrized=True"
        )
    first: Any = getattr(held, held._originals()[0])
    with no_grad():
        value = held() if leave_parametrized else first
    if held.is_tensor and leave_parametrized and value.shape == first.shape:
        with no_grad():
            first.copy_(value)
        value = first
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(first, Parameter):
        asks = any(getattr(held, name).requires_grad for name in held._originals())
        keep = value if isinstance(value, Parameter) else Parameter(value.detach().clone(), asks)
        module.register_parameter(tensor_name, keep)
    else:
        module.register_buffer(tensor_name, value.detach())
    if not len(module.parametrizations):
        delattr(module, "parametrizations")
        module.__dict__["_parameters"] = Table(module._parameters)
        object.__setattr__(module, "__class__", type_before_parametrizations(module))
        structure.changes += 1
    return module


def type_before_parametrizations(module: Module) -> type:
    """Return the class that a module had before it was parametrized."""
    kind = type(module)
    return kind.__mro__[2] if isinstance(module, _Parametrized) else kind


refuse_absent_names(__name__)
