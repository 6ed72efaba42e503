"""What an optimizer knows at a moment, to be brought back after steps that are not to count."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.optim.optimizer import Optimizer
from nnscratch.tensors import Tensor


def remembered(optimizer: Optimizer) -> Callable[[], None]:
    """Return a function that brings back an optimizer's state and hyper-parameters as they are now.

    The arrays of the state stay where they are, for a compiled step has them. Where the state is
    divided among ranks, each remembers its part.

    >>> from nnscratch import nn, optim
    >>> layer = nn.Linear(1, 1)
    >>> optimizer = optim.Adam(layer.parameters(), lr=0.1)
    >>> bring_back = remembered(optimizer)
    >>> layer(Tensor([[1.0]])).sum().backward()
    >>> optimizer.step()
    >>> bring_back()
    >>> optimizer.state_dict()["state"]
    {}
    """
    flats = optimizer.flats()
    if not flats:
        return _by_state_dict(optimizer)
    groups = [{k: copied(v) for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    kept = [
        (
            flat,
            {name: copied(array) for name, array in flat.state.items()},
            list(flat.steps),
            {name: list(values) for name, values in flat.numbers.items()},
        )
        for flat in flats
    ]

    def bring_back() -> None:
        for flat, state, steps, numbers in kept:
            for name, array in flat.state.items():
                # A state that was begun meanwhile starts anew.
                array[...] = state.get(name, flat.start[name])
            flat.steps[:] = steps
            for name, values in numbers.items():
                flat.numbers[name][:] = values
        for group, saved in zip(optimizer.param_groups, groups, strict=True):
            for name, value in saved.items():
                if isinstance(value, Tensor):
                    group[name].copy_(value)
                else:
                    group[name] = value

    return bring_back


def counted(optimizer: Optimizer) -> Callable[[], None]:
    """Return a function that brings back how many steps were counted, as it is now.

    It is for a step that was broken off before any array changed: a compiled step counts first.
    """
    kept = [
        (flat, list(flat.steps), {name: list(values) for name, values in flat.numbers.items()})
        for flat in optimizer.flats()
    ]
    entries = [(entry, dict(entry)) for entry in ([] if kept else optimizer.state.values())]

    def bring_back() -> None:
        for flat, steps, numbers in kept:
            flat.steps[:] = steps
            for name, values in numbers.items():
                flat.numbers[name][:] = values
        for entry, saved in entries:
            entry.clear()
            entry.update(saved)

    return bring_back


def _by_state_dict(optimizer: Optimizer) -> Callable[[], None]:
    state = optimizer.state_dict()
    state["state"] = {
        index: {name: copied(value) for name, value in entry.items()}
        for index, entry in state["state"].items()
    }
    return lambda: optimizer.load_state_dict(state)


def copied(value: Any) -> Any:
    """Return a copy of a number, a tensor or an array that shares no memory with it."""
    if isinstance(value, Tensor):
        return Tensor(copied(value.array))
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return array_namespace(value).asarray(value, copy=True)
    return copy.copy(value)
