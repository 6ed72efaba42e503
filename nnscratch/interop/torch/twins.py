"""``from_torch``: the twin of a PyTorch module, or what it cannot be made of, by name.

A layer of PyTorch's becomes the layer of ours with that name and its settings. A module with a
``forward`` of its own is traced by ``torch.fx`` into a graph of calls; each call becomes that of
ours with the same name, since the names and arguments are PyTorch's.
"""

from __future__ import annotations

import builtins
import inspect
import math
import operator
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.absent import AbsentNameError
from nnscratch.array.bfloat16 import bfloat16
from nnscratch.errors import CheckpointError
from nnscratch.interop.torch.copying import copy_state, shared_memory
from nnscratch.interop.torch.settings import MissingSettingError, settings_of
from nnscratch.interop.torch.stand_ins import Untraceable
from nnscratch.interop.torch.traced import (
    Choice,
    Result,
    TracedCalls,
    TracedModule,
    TraceStep,
    plain_signature,
)
from nnscratch.interop.torch.tracing import TracedGraph, own_modes, traces_of
from nnscratch.interop.torch.values import NoValuesError, tensor_of
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor, creation, functions, ops

_HOMES = re.compile(r"torch(\.(functional|_tensor|_VF|_jit_internal)|\.(nn|_C)(\..*)?)?")
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")
_MOST = 20
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
# What a subclass of a layer may have without computing anything else.
_SAME = {"__init__", "__repr__", "__annotate__", "__annotate_func__", "extra_repr", "from_float"}


def from_torch(module: Any) -> nn.Module:
    """Return a module of ours that computes what a PyTorch module does, with its weights.

    Parameters and buffers have the same names, so state dicts go both ways afterwards. The mode
    (``training``), dtypes, ``requires_grad`` and ties are taken over; everything is on the CPU.

    Args:
        module: a ``torch.nn.Module``, which is left as it is. Layers of ``torch.nn`` may be nested
            as one likes; a ``forward`` of one's own must be one that ``torch.fx`` can trace: no
            branch on a tensor's values. It is traced in both modes, and with and without its
            optional arguments.

    Raises:
        CheckpointError: naming each layer, function or setting that has no equal here, or why the
            module cannot be traced.

    >>> import torch
    >>> theirs = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.GELU())
    >>> from_torch(theirs)
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): GELU(approximate='none')
    )
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        raise CheckpointError(
            f"from_torch: expected a torch.nn.Module, got {type(module).__name__}"
        )
    maker = _Maker(torch)
    made = maker.twin(module, "")
    problems = [*maker.problems(module), *_beside(module, torch), *shared_memory(module)]
    problems = problems or copy_state(module, made)
    if problems:
        more = len(problems) - _MOST
        further = f"; and {more} more" if more > 0 else ""
        raise CheckpointError(
            f"no twin of this {type(module).__name__}: {'; '.join(problems[:_MOST])}{further}"
        )
    return made


class _Maker:
    """Makes twins, and collects what it cannot make."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._made: dict[int, nn.Module] = {}
        self._problems: dict[int, list[str]] = {}
        self._runs: dict[int, list[Any]] = {}

    def twin(self, module: Any, path: str) -> nn.Module:
        """Return the twin of a module; the same one again for a module that comes twice."""
        key = id(module)
        if key not in self._made:
            self._problems[key], self._runs[key] = [], []
            self._made[key] = self._new(module, path)
        return self._made[key]

    def problems(self, module: Any) -> list[str]:
        """Return what has no equal here, each with its path, of what a call of a module runs.

        A part whose own ``forward`` is of no use may well be one whose calls stand in another's.
        """
        found: dict[str, None] = {}
        seen: set[int] = set()
        left = [module]
        while left:
            one = left.pop(0)
            if id(one) not in seen:
                seen.add(id(one))
                found |= dict.fromkeys(self._problems[id(one)])
                left += self._runs[id(one)]
        return list(found)

    def _problem(self, module: Any, path: str, what: str) -> nn.Module:
        self._problems[id(module)].append(f"{path or 'the module itself'}: {what}")
        return nn.Identity()

    def _new(self, module: Any, path: str) -> nn.Module:
        theirs = _layer_kind(module)
        name = type(module).__name__
        children = {key: self.twin(one, _joined(path, key)) for key, one in _children(module)}
        if "parametrizations" in module._modules:
            return nn.Identity()  # which is said of the whole
        if theirs is None:
            return self._traced(module, path, children)
        kind = theirs.__name__
        self._runs[id(module)] = [one for _, one in _children(module)]
        if kind in _CONTAINERS:
            if kind == "ModuleList":
                return nn.ModuleList(list(children.values()))
            made = nn.Sequential() if kind == "Sequential" else nn.ModuleDict()
            for key, child in children.items():
                made.add_module(key, child)
            return made
        if kind in ("ParameterList", "ParameterDict"):
            parameters = list(module.named_parameters(recurse=False, remove_duplicate=False))
            if len(parameters) != len(module):
                return self._problem(module, path, f"{name} holds what is no parameter")
            held = {k: nn.Parameter(Tensor(np.zeros(tuple(p.shape)))) for k, p in parameters}
            return nn.ParameterDict(held) if "Dict" in kind else nn.ParameterList(held.values())
        own = getattr(nn, kind, None)
        if not isinstance(own, type) or not issubclass(own, nn.Module):
            return self._problem(module, path, f"{name}, which is not here")
        try:
            layer = own(**settings_of(module, theirs, own, partial(self.twin, path=path)))
        except MissingSettingError as error:
            return self._problem(module, path, f"{name}: {error}")
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
            return self._problem(module, path, f"{name}: {str(error)[:200]}")
        for key, child in children.items():  # one may have been replaced, or have other settings
            there = getattr(layer, key, None)
            if not isinstance(there, nn.Module):
                self._problem(module, path, f"its part {key} is not here")
            elif type(there).__module__.startswith("nnscratch.nn") and hasattr(
                nn, type(there).__name__
            ):
                setattr(layer, key, child)
        return layer

    def _traced(self, module: Any, path: str, children: dict[str, nn.Module]) -> nn.Module:
        name = type(module).__name__
        calls: dict[tuple[bool, Choice], TracedCalls | str] = {}
        try:
            signature = plain_signature(inspect.signature(type(module).forward))
            modes = own_modes(self._torch, module)
            traces = traces_of(self._torch, module, self._is_whole)
        except Untraceable as error:
            return self._problem(module, path, f"{name}: {error}")
        except (AttributeError, TypeError, ValueError) as error:
            return self._problem(module, path, f"{name} has no forward to be traced ({error})")
        for (training, choice), trace in traces.items():
            made = trace if isinstance(trace, str) else self._calls(trace, module)
            calls[training, choice] = made
            if choice or training is not module.training:
                continue  # a call of these says it
            if isinstance(trace, str):
                what = f"the forward of {name} cannot be traced ({trace})"
                self._problem(module, path, what)
                continue
            if isinstance(made, str):
                for one in made.split("; "):
                    self._problem(module, _joined(path, "forward"), one)
            self._runs[id(module)] += trace.called
            for part in trace.inlined:
                if module.get_submodule(part).training is not training:
                    what = f"its part {part} is in another mode, and cannot be traced by itself"
                    self._problem(module, path, what)
        twin = TracedModule(name, signature, calls, modes)
        for key, child in children.items():
            setattr(twin, key, child)
        for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            setattr(twin, key, nn.Parameter(Tensor(np.zeros(tuple(parameter.shape)))))
        unsaved = module._non_persistent_buffers_set
        for key, buffer in module.named_buffers(recurse=False, remove_duplicate=False):
            values = Tensor(np.zeros(tuple(buffer.shape)))
            twin.register_buffer(key, values, persistent=key not in unsaved)
        return twin

    def _is_whole(self, module: Any, choice: Choice | None) -> bool:
        """Say whether a part is called as a whole: a layer, or one that was traced by itself."""
        if choice is None:
            theirs = _layer_kind(module)
            return theirs is not None and theirs.__name__ not in _CONTAINERS
        twin = self._made.get(id(module))
        return isinstance(twin, TracedModule) and twin.has(choice, module.training)

    def _calls(self, trace: TracedGraph, module: Any) -> TracedCalls | str:
        """Return the calls of a trace as ours, or what of them is not here."""
        said: list[str] = []
        steps = [self._step(node, module, trace, said) for node in trace.nodes]
        if said:
            return "; ".join(dict.fromkeys(said))
        return TracedCalls(steps, frozenset(trace.asked), tuple(dict.fromkeys(trace.inlined)))

    def _step(self, node: Any, module: Any, trace: TracedGraph, said: list[str]) -> TraceStep:
        target, kind = node.target, node.op
        args = self._plain(node.args, said)
        options = self._plain(dict(node.kwargs), said)
        if kind == "get_attr" and target in trace.constants:
            tensor, fresh = trace.constants[target]
            kind, args = ("new" if fresh else "constant"), (target,)
            try:
                target = tensor_of(tensor)
                target.requires_grad_(tensor.requires_grad)
            except NoValuesError as error:
                said.append(f"a tensor {error}")
        elif kind == "call_function":
            target = self._function(target, said)
            if target is not node.target:
                options = _accepted(target, node.target, args, options, said)
        elif kind == "call_method":
            if _there(Tensor, target):
                own = getattr(Tensor, target)
                options = _accepted(own, None, args, options, said)
            else:
                said.append(f"the method Tensor.{target} is not here")
        return TraceStep(node.name, kind, target, args, options, node.meta["gradients"])

    def _function(self, function: Any, said: list[str]) -> Any:
        """Return our function of the same name."""
        name = getattr(function, "__name__", str(function))
        home = str(getattr(function, "__module__", None) or "torch")
        if home in ("_operator", "math", "builtins"):
            place: Any = {"_operator": operator, "math": math, "builtins": builtins}[home]
            return getattr(place, name, function)
        if _HOMES.fullmatch(
            home
        ):  # a function of one's own, or of torch.autograd, may have any name
            rooms = (F,) if home.startswith("torch.nn") else (F, ops, functions, creation)
            for room in rooms:
                if callable(found := getattr(room, name, None)):
                    return found
            if _there(Tensor, name) and callable(getattr(Tensor, name)):
                return _method(name)
        said.append(f"the function {home}.{name} is not here")
        return function

    def _plain(self, item: Any, said: list[str]) -> Any:
        torch = self._torch
        if isinstance(item, torch.fx.Node):
            return Result(item.name)
        if isinstance(item, (tuple, list)):
            made = [self._plain(one, said) for one in item]
            return tuple(made) if isinstance(item, tuple) else made
        if isinstance(item, dict):
            return {key: self._plain(one, said) for key, one in item.items()}
        if isinstance(item, slice):
            return slice(*(self._plain(x, said) for x in (item.start, item.stop, item.step)))
        if isinstance(item, torch.dtype):
            if item is torch.bfloat16:
                return bfloat16()
            try:
                return np.dtype(str(item).removeprefix("torch."))
            except TypeError:
                said.append(f"it uses the dtype {item}")
                return None
        if isinstance(item, torch.device):
            return "cpu"
        if item is None or isinstance(item, (bool, int, float, str, complex)) or item is Ellipsis:
            return item
        said.append(f"it has an argument of the type {type(item).__name__}")
        return None


def _accepted(
    own: Any, theirs: Any, args: Any, options: dict[str, Any], said: list[str]
) -> dict[str, Any]:
    """Return the options of a call that our function takes; what it has not is noted.

    PyTorch writes down options with their defaults too: those do nothing, and are left out.
    """
    try:
        known = inspect.signature(own).parameters.values()
    except (TypeError, ValueError):
        return options
    names = {one.name for one in known if one.kind is not one.POSITIONAL_ONLY}
    if any(one.kind is one.VAR_KEYWORD for one in known):
        return options
    try:
        defaults = {key: one.default for key, one in inspect.signature(theirs).parameters.items()}
    except (TypeError, ValueError):
        defaults = {}
    kept = {}
    for key, value in options.items():
        if key in names:
            kept[key] = value
        elif value is not None and not (key in defaults and value == defaults[key]):
            name = getattr(own, "__name__", str(own))
            said.append(f"{name} has no option {key}={value!r} here")
    try:
        inspect.signature(own).bind(*args, **kept)
    except TypeError as error:
        said.append(f"the call of {getattr(own, '__name__', own)} does not fit: {error}")
    return kept


def _method(name: str) -> Callable[..., Any]:
    """Return a method of tensors as a function."""

    def call(x: Any, *args: Any, **options: Any) -> Any:
        return getattr(x, name)(*args, **options)

    call.__name__ = name
    with suppress(TypeError, ValueError):
        call.__signature__ = inspect.signature(getattr(Tensor, name))  # type: ignore[attr-defined]
    return call


def _layer_kind(module: Any) -> Any:
    """Return the class of PyTorch's that a module is, None if it has a ``forward`` of its own.

    A subclass that changes nothing but how it is made is the layer.
    """
    for kind in type(module).__mro__:
        theirs = kind.__module__.startswith("torch.nn.") and kind.__name__ != "Module"
        if theirs and (kind.__name__ in _CONTAINERS or hasattr(nn, kind.__name__)):
            return kind
        own = (key for key, one in vars(kind).items() if callable(one) or isinstance(one, property))
        if not set(own) <= _SAME:
            return kind if theirs else None
    return None


def _beside(module: Any, torch: Any) -> list[str]:
    """Return what a module does beside its ``forward``, or what was made of it on the object."""
    found: list[str] = []
    for path, one in module.named_modules():
        name, where = type(one).__name__, path or "the module itself"
        if any(getattr(one, key, None) for key in _HOOKS):
            found.append(f"{where}: {name} has hooks, which would have to be written again")
        own_call = type(one).__call__ is not torch.nn.Module.__call__
        if "forward" in vars(one) or (own_call and not type(one).__module__.startswith("torch.")):
            found.append(f"{where}: the forward of this {name} was replaced by another")
        if "parametrizations" in one._modules:
            names = ", ".join(one.parametrizations)
            found.append(
                f"{where}: {name} has parametrizations of {names}; call "
                "torch.nn.utils.parametrize.remove_parametrizations first"
            )
        for key, tensor in one.named_parameters(recurse=False):
            if any(getattr(tensor, hooks, None) for hooks in _TENSOR_HOOKS):
                found.append(f"{_joined(path, key)}: it has hooks, which change its gradient")
    return found


def _children(module: Any) -> list[tuple[str, Any]]:
    """Return a module's children by name, also one that comes twice."""
    return [(name, child) for name, child in module._modules.items() if child is not None]


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _there(kind: type, name: str) -> bool:
    try:
        return hasattr(kind, name)
    except AbsentNameError:
        return False
