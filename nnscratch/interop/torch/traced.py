"""A module that runs the calls which ``torch.fx`` found in a PyTorch module's ``forward``."""

from __future__ import annotations

import inspect
import itertools
import operator
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.tensors import Tensor, no_grad

GIVEN = "given"
_MOST_CHOICES = 8
_OTHER = object()

Choice = tuple[tuple[str, Any], ...]
"""Which optional arguments a call gives, by name: True or False itself, or GIVEN."""


@dataclass
class TracedCalls:
    """The calls of a ``forward`` for one mode and one choice of optional arguments.

    Attributes:
        steps: in their order.
        asked: arguments that have to be tensors, since ``forward`` asks whether they are.
        inlined: the paths of modules whose calls are among these, in the same mode.
    """

    steps: list[TraceStep]
    asked: frozenset[str]
    inlined: tuple[str, ...]


class TracedModule(nn.Module):
    """A module with the calls of a PyTorch module's ``forward``, in their order.

    Attributes:
        source: the name of PyTorch's class.

    Args:
        source: the name of the class.
        signature: of its ``forward``, as ``plain_signature`` returns it.
        calls: by the mode and the choice of optional arguments; a text for what has none and why.
        modes: the paths of parts that ``train(mode)`` leaves in the other mode, by the mode.
    """

    def __init__(
        self,
        source: str,
        signature: inspect.Signature,
        calls: Mapping[tuple[bool, Choice], TracedCalls | str],
        modes: Mapping[bool, list[str]] | None = None,
    ) -> None:
        """Take the calls; layers are assigned afterwards."""
        super().__init__()
        self.source = source
        self._modes = dict(modes or {})
        self._signature = signature
        self._calls = dict(calls)

    def train(self, mode: bool = True) -> Self:
        """Go to a mode, but for the parts that PyTorch's module keeps in the other."""
        super().train(mode)
        for path in self._modes.get(mode, ()):
            self.get_submodule(path).training = not mode
        return self

    def has(self, choice: Choice, training: bool) -> bool:
        """Say whether a call with a choice of optional arguments can stand in another's calls.

        One that returns None cannot: whoever calls it may ask whether it does.
        """
        calls = self._calls.get((training, choice))
        return isinstance(calls, TracedCalls) and not _has_none(calls.steps[-1].args)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Run the calls.

        Raises:
            ConfigurationError: for optional arguments or a mode that were not traced, saying why.
        """
        try:
            bound = self._signature.bind(*inputs, **named)
            choice, given = choose(self._signature, bound.arguments)
        except TypeError as error:
            raise TypeError(f"{self.source}.forward(): {error}") from None
        calls = self._calls.get((self.training, choice))
        if not isinstance(calls, TracedCalls):
            mode = "training" if self.training else "evaluation"
            said = ", ".join(n if v == GIVEN else f"{n}={v}" for n, v in choice) or "no options"
            why = calls or "only some combinations of its optional arguments were traced"
            raise ConfigurationError(f"{self.source} in {mode} mode with {said}: {why}")
        for name in calls.asked & set(given):
            if not isinstance(given[name], Tensor):
                raise ConfigurationError(
                    f"{self.source}: it was traced with a tensor as {name}, and has other calls "
                    f"for a {type(given[name]).__name__}"
                )
        for path in calls.inlined:
            if self.get_submodule(path).training is not self.training:
                raise ConfigurationError(
                    f"{self.source}: its part {path} was traced with it, in the same mode; call "
                    "train() or eval() on the whole"
                )
        values: dict[str, Any] = {}
        for step in calls.steps:
            with nullcontext() if step.gradients else no_grad():
                if step.kind == "output":
                    return _filled(step.args[0], values)
                values[step.name] = self._result(step, values, given)
        return None

    def _result(self, step: TraceStep, values: dict[str, Any], given: dict[str, Any]) -> Any:
        if step.kind == "placeholder":
            return given[step.target]
        if step.kind == "constant":
            return step.target
        if step.kind == "new":  # forward makes it in each call, and may change it
            made = values.setdefault(f"new/{step.args[0]}", step.target.clone())
            return made
        if step.kind == "get_attr":
            return operator.attrgetter(step.target)(self)
        args = _filled(step.args, values)
        options = {key: _filled(value, values) for key, value in step.options.items()}
        if step.kind == "call_module":
            return self.get_submodule(step.target)(*args, **options)
        if step.kind == "call_method":
            return getattr(args[0], step.target)(*args[1:], **options)
        return step.target(*args, **options)

    def extra_repr(self) -> str:
        """Return the name of PyTorch's class."""
        return f"of {self.source}"


class TraceStep:
    """One call."""

    def __init__(
        self,
        name: str,
        kind: str,
        target: Any,
        args: Any,
        options: dict[str, Any],
        gradients: bool = True,
    ) -> None:
        self.name, self.kind, self.target = name, kind, target
        self.args, self.options, self.gradients = args, options, gradients


class Result(str):
    """The name of an earlier result."""

    __slots__ = ()


def plain_signature(signature: inspect.Signature) -> inspect.Signature:
    """Return the signature of a ``forward`` without ``self`` and without annotations.

    Defaults are numbers, texts, truths, tuples of such or None; any other is one of no value.
    """
    _, *rest = signature.parameters.values()
    made = []
    for one in rest:
        plain = one.default is one.empty or _plain(one.default)
        made.append(one.replace(annotation=one.empty, default=one.default if plain else _OTHER))
    return inspect.Signature(made)


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def choices_of(signature: inspect.Signature) -> Iterator[Choice]:
    """Go through the choices of optional arguments that are traced, that of none first.

    An argument that is None or a number by default may be given, and one that is True or False may
    be the other. These are all combinations if they are few, else each by itself.
    """
    ways: list[list[tuple[str, Any] | None]] = []
    for name, one in signature.parameters.items():
        if isinstance(one.default, bool):
            ways.append([None, (name, not one.default)])
        elif one.default is None or isinstance(one.default, (int, float)):
            ways.append([None, (name, GIVEN)])
    if 2 ** len(ways) <= _MOST_CHOICES:
        for picked in itertools.product(*ways):
            yield tuple(one for one in picked if one is not None)
        return
    yield ()
    yield from ((way[1],) for way in ways if way[1] is not None)


def choose(
    signature: inspect.Signature, arguments: Mapping[str, Any]
) -> tuple[Choice, dict[str, Any]]:
    """Return the choice that a call's arguments make, and those that stand for inputs.

    Raises:
        TypeError: for arguments behind ``*`` or ``**``.
    """
    choice: list[tuple[str, Any]] = []
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        one = signature.parameters[name]
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            raise TypeError(f"it was traced without {name}")
        if one.default is one.empty:
            given[name] = value
        elif type(value) is type(one.default) and (value is one.default or value == one.default):
            continue
        elif isinstance(value, bool) and isinstance(one.default, bool):
            choice.append((name, value))
        else:
            choice.append((name, GIVEN))
            given[name] = value
    return tuple(choice), given


def _has_none(item: Any) -> bool:
    if isinstance(item, (tuple, list)):
        return any(map(_has_none, item))
    return item is None or (isinstance(item, dict) and _has_none(list(item.values())))


def _filled(item: Any, values: dict[str, Any]) -> Any:
    if type(item) is Result:
        return values[item]
    if isinstance(item, (tuple, list)):
        return type(item)(_filled(one, values) for one in item)
    if isinstance(item, dict):
        return {key: _filled(one, values) for key, one in item.items()}
    if isinstance(item, slice):
        return slice(*(_filled(one, values) for one in (item.start, item.stop, item.step)))
    return item
