"""What the ``forward`` of a PyTorch module calls, found by ``torch.fx`` without running it.

``torch.fx`` calls ``forward`` with stand-ins for tensors and writes down what is done with them.
Python itself goes on as ever meanwhile: a branch is taken, a number is drawn, an attribute is set.
So a graph is true for one mode (``self.training``) and one choice of optional arguments only, and
is made for each of them; and all that a graph cannot show is looked for, and refused.
"""

from __future__ import annotations

import inspect
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnscratch.interop.torch.stand_ins import (
    IN_PLACE_SAID,
    Untraceable,
    factories,
    patched_factories,
    stand_in_kind,
)
from nnscratch.interop.torch.traced import GIVEN, Choice, choices_of, choose, plain_signature

_DEVICES = ("cpu", "cuda")


@dataclass
class TracedGraph:
    """The calls of one ``forward`` for one choice.

    Attributes:
        nodes: of ``torch.fx``, in their order.
        constants: tensors that are no parameters or buffers, by the names in the graph; and whether
            each call has a new one, since ``forward`` itself makes it.
        inlined: the paths of modules whose own calls are among these.
        called: the modules that are called as a whole.
        caught: an error of tracing that ``forward`` did not let pass, "" for none.
        asked: arguments whose type ``forward`` asks for: it was told that they are tensors.
    """

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, tuple[Any, bool]] = field(default_factory=dict)
    inlined: list[str] = field(default_factory=list)
    called: list[Any] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    caught: str = ""


def traces_of(
    torch: Any, module: Any, is_whole: Callable[[Any, Choice | None], bool]
) -> dict[tuple[bool, Choice], TracedGraph | str]:
    """Return what a ``forward`` calls, by the mode and the choice; or why that cannot be said.

    Args:
        torch: the library.
        module: with a ``forward`` of its own, which is left as it is.
        is_whole: says whether a module in it is called as a whole with a choice of its arguments.
    """
    signature = inspect.signature(type(module).forward)
    found: dict[tuple[bool, Choice], TracedGraph | str] = {}
    for choice in choices_of(plain_signature(signature)):
        for training in (True, False):
            try:
                found[training, choice] = _traced(torch, module, training, choice, is_whole)
            except Untraceable as error:
                found[training, choice] = str(error)
            except Exception as error:
                reason = str(error).partition("\n")[0][:160]
                found[training, choice] = reason or type(error).__name__
    first = found[module.training, ()]
    if isinstance(first, TracedGraph):
        again = _traced(torch, module, module.training, (), is_whole)
        calls = [[node.format_node() for node in one.nodes] for one in (first, again)]
        if calls[0] != calls[1]:
            found[module.training, ()] = "its calls are others the second time"
    return found


def _traced(torch: Any, module: Any, training: bool, choice: Choice, is_whole: Any) -> TracedGraph:
    """Trace once; and again where attributes are set, to see whether calls read them."""
    with _kept(torch, module, training) as kept:
        tracer = _tracer(torch, module, choice, is_whole)
        graph = tracer.trace(module)
        trace: TracedGraph = tracer.found
        trace.nodes = list(graph.nodes)
        trace.constants = _constants(torch, module, trace.nodes, kept)
        kept.check_tensors()
        if trace.caught:
            raise Untraceable(f"it goes on behind an error: {trace.caught}")
        made = kept.set_attributes()
    if not made:
        return trace
    names = ", ".join(sorted({name for _, name in made})[:5])
    state = Untraceable(f"its forward sets {names}, which its next call reads")
    for without in (True, False):
        with _kept(torch, module, training):
            for holder, name in made:
                if hasattr(type(holder), name):
                    raise state
                holder.__dict__.pop(name, None)
            try:
                other = _tracer(torch, module, choice, is_whole)
                again = str(other.trace(module))
                if not without:  # as a call leaves them
                    again = str(_tracer(torch, module, choice, is_whole).trace(module))
            except Exception:
                raise state from None
        if again != str(graph):
            raise state
    return trace


def own_modes(torch: Any, module: Any) -> dict[bool, list[str]]:
    """Return the paths of the parts that ``train(mode)`` leaves in the other mode, by the mode.

    A module may keep a part in one mode by a ``train`` of its own.

    Raises:
        Untraceable: if it does anything else.
    """
    kind, base = type(module), torch.nn.Module
    if kind.eval is not base.eval:
        raise Untraceable("its eval() is a method of its own")
    found: dict[bool, list[str]] = {}
    for mode in (True, False) if kind.train is not base.train else ():
        with _kept(torch, module, not mode) as kept:
            asked = [p.requires_grad for p in module.parameters()]
            module.train(mode)
            found[mode] = [path for path, one in module.named_modules() if one.training is not mode]
            changed = [p.requires_grad for p in module.parameters()] != asked
            for parameter, before in zip(module.parameters(), asked, strict=True):
                parameter.requires_grad_(before)
            if changed or kept.set_attributes():
                raise Untraceable("its train() does more than to choose modes")
    return found


class _Kept:
    """A module as it was before it was traced."""

    def __init__(self, torch: Any, module: Any, training: bool) -> None:
        self._torch, self.training = torch, training
        self._modules = list(module.modules())
        self.before = [dict(one.__dict__) for one in self._modules]
        tables = ("_parameters", "_buffers", "_modules")
        self._tables = [{key: dict(one.__dict__[key]) for key in tables} for one in self._modules]
        self._random = self._generators()
        held = [*module.parameters(), *module.buffers()]
        held += [x for one in self.before for x in one.values() if isinstance(x, torch.Tensor)]
        self._held = [(x, x._version) for x in held]
        kinds = (list, dict, set)
        self._lists: list[tuple[str, Any, Any]] = [
            (name, value, value.copy())
            for one in self.before
            for name, value in one.items()
            if isinstance(value, kinds) and not name.startswith("_")
        ]

    def _generators(self) -> tuple[Any, ...]:
        legacy = np.random.get_state()  # noqa: NPY002  (what PyTorch's scripts draw from)
        return random.getstate(), legacy, self._torch.random.get_rng_state()

    def check_tensors(self) -> None:
        """Refuse what happened beside the graph: numbers drawn, tensors and lists changed."""
        now = self._generators()
        drawn = now[0] != self._random[0] or not self._torch.equal(now[2], self._random[2])
        for a, b in zip(now[1], self._random[1], strict=True):
            drawn = drawn or not np.array_equal(a, b)
        if drawn:
            raise Untraceable("it draws random numbers of no shape of its inputs")
        if any(tensor._version != version for tensor, version in self._held):
            raise Untraceable(IN_PLACE_SAID)
        if any(one.__dict__["training"] is not self.training for one in self._modules):
            raise Untraceable("it changes the mode")
        for name, value, before in self._lists:
            if len(value) != len(before) or any(
                a is not b for a, b in zip(_items(value), _items(before), strict=True)
            ):
                raise Untraceable(f"it changes its {type(value).__name__} {name}")

    def set_attributes(self) -> list[tuple[Any, str]]:
        """Return the attributes that ``forward`` sets or deletes."""
        deleted = [
            (one, name)
            for one, before in zip(self._modules, self.before, strict=True)
            for name in before
            if name not in one.__dict__
        ]
        return deleted + [
            (one, name)
            for one, before in zip(self._modules, self.before, strict=True)
            for name, value in one.__dict__.items()
            if not (name in before and before[name] is value)
            and name != "training"
            and not name.startswith(("_tensor_constant", "_tree_spec_constant"))
        ]

    def has(self, module: Any, name: str) -> bool:
        """Say whether a module had an attribute before."""
        place = next((n for n, one in enumerate(self._modules) if one is module), None)
        return place is not None and name in self.before[place]

    def restore(self) -> None:
        """Make everything what it was."""
        for one, before, tables in zip(self._modules, self.before, self._tables, strict=True):
            one.__dict__.clear()
            one.__dict__.update(before)
            for key, table in tables.items():
                one.__dict__[key].clear()
                one.__dict__[key].update(table)
        for _, value, before in self._lists:
            if isinstance(value, list):
                value[:] = before
            elif _items(value) != _items(before):
                value.clear()
                value.update(before)
        random.setstate(self._random[0])
        np.random.set_state(self._random[1])  # noqa: NPY002
        self._torch.random.set_rng_state(self._random[2])


@contextmanager
def _kept(torch: Any, module: Any, training: bool) -> Iterator[_Kept]:
    """Put a module into a mode, and make it what it was afterwards."""
    kept = _Kept(torch, module, training)
    of = torch.autograd.Function
    apply = of.__dict__["apply"]

    def refused(kind: Any, *_: Any, **__: Any) -> Any:
        raise Untraceable(f"{kind.__name__} is an autograd.Function with a backward of its own")

    try:
        for one in module.modules():
            one.__dict__["training"] = training
        of.apply = classmethod(refused)
        with torch.enable_grad():
            yield kept
    finally:
        of.apply = apply
        kept.restore()


def _items(value: Any) -> list[Any]:
    return [x for pair in value.items() for x in pair] if isinstance(value, dict) else [*value]


def _constants(torch: Any, module: Any, nodes: list[Any], kept: _Kept) -> dict[str, Any]:
    """Return the tensors that a graph names, and that are no parameters or buffers."""
    known = dict(module.named_parameters(remove_duplicate=False))
    known |= dict(module.named_buffers(remove_duplicate=False))
    found: dict[str, tuple[Any, bool]] = {}
    for node in nodes:
        if node.op != "get_attr" or node.target in known:
            continue
        path, _, name = node.target.rpartition(".")
        holder = module.get_submodule(path)
        value = getattr(holder, name)
        if not isinstance(value, torch.Tensor):
            raise Untraceable(f"it uses the attribute {node.target}, which is no tensor")
        fresh = not kept.has(holder, name)
        if fresh and value.requires_grad:
            raise Untraceable("it computes with parameters that it does not name")
        found[node.target] = value.detach().clone() if fresh else value, fresh
    return found


def _tracer(torch: Any, module: Any, choice: Choice, is_whole: Any) -> Any:
    """Return a tracer of ``torch.fx`` that knows what modules are called as a whole."""
    proxy = stand_in_kind(torch)
    signature = inspect.signature(type(module).forward)
    chosen = dict(choice)
    found = TracedGraph()
    cast = [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in _DEVICES]

    class ModuleTracer(torch.fx.Tracer):  # type: ignore[misc]
        """Buffers are stand-ins too, and each call has the mode of gradients that it is in."""

        proxy_buffer_attributes = True

        def __init__(self) -> None:
            super().__init__()
            self.found = found

        def proxy(self, node: Any) -> Any:
            return proxy(node, self)

        def create_node(self, *args: Any, **options: Any) -> Any:
            node = super().create_node(*args, **options)
            node.meta["gradients"] = torch.is_grad_enabled()
            if cast != [
                (torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind))
                for kind in _DEVICES
            ]:
                raise Untraceable("it computes under torch.autocast")
            return node

        def create_args_for_root(self, fn: Any, is_module: bool, concrete: Any = None) -> Any:
            """Take the choice: what is not given has its default, as in any call."""
            (own, _), *rest = signature.parameters.items()
            values: dict[str, Any] = {own: self.root}
            for name, parameter in rest:
                required = parameter.default is parameter.empty
                if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                    continue
                if required or chosen.get(name) == GIVEN:
                    values[name] = self.create_proxy("placeholder", name, (), {})
                elif name in chosen:
                    values[name] = chosen[name]
            bound = inspect.BoundArguments(signature, OrderedDict(values))

            def run() -> Any:
                with factories(torch, self), patched_factories(torch, self):
                    return fn(*bound.args, **bound.kwargs)

            return run, []

        def to_bool(self, obj: Any) -> bool:
            return bool(self._noted(super().to_bool, obj))

        def iter(self, obj: Any) -> Iterator[Any]:
            made: Iterator[Any] = self._noted(super().iter, obj)
            return made

        def _noted(self, function: Callable[[Any], Any], obj: Any) -> Any:
            """Call, and remember an error: a ``try`` in ``forward`` could hide it."""
            try:
                return function(obj)
            except Exception as error:
                found.caught = str(error).partition("\n")[0][:120]
                raise

        def is_leaf_module(self, m: Any, name: str) -> bool:
            return self._whole

        def call_module(self, m: Any, forward: Any, args: Any, kwargs: Any) -> Any:
            self._whole = is_whole(m, None) or self._is_twin(m, args, kwargs)
            if self._whole:
                found.called.append(m)
            elif not type(m).__module__.startswith("torch.nn"):
                found.inlined.append(self.path_of_module(m))
            made = super().call_module(m, forward, args, kwargs)
            weights = kwargs.get("need_weights", args[4] if len(args) > 4 else True)
            if self._whole and isinstance(m, torch.nn.MultiheadAttention) and weights is False:
                return made[0], None  # which forward may ask for
            return made

        def _is_twin(self, m: Any, args: Any, kwargs: Any) -> bool:
            """Say whether a call can be one of a module that was traced by itself."""
            if type(m).__module__.startswith("torch.nn"):
                return False
            of = plain_signature(inspect.signature(type(m).forward))
            try:
                bound = of.bind(*args, **kwargs)
                picked, given = choose(of, bound.arguments)
            except TypeError:
                return False
            for name, one in given.items():
                number = isinstance(of.parameters[name].default, (int, float))
                if not (
                    isinstance(one, torch.fx.Proxy) or (number and isinstance(one, (int, float)))
                ):
                    return False
            return bool(is_whole(m, picked))

    return ModuleTracer()
