"""Calls without a kernel: their reference, replayed in Python on planned arrays, or run once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.formulas import registry
from nnscratch.formulas.live import split_live
from nnscratch.graph import Node, Value

Places = list[tuple[int, bool, Any]]
"""For each result its number, whether it is among what is saved, and what stands for it."""


def makes_nothing(node: Node) -> bool:
    """Say whether a call made nothing new, like the backward of an addition."""
    if node.direction == "update":
        return False
    saved = node.saved if isinstance(node.saved, tuple) and node.direction == "forward" else ()
    for value in (*node.outputs, *saved):
        if isinstance(value, Value) and value not in node.inputs:
            return False
    return True


def is_view(node: Node) -> bool:
    """Say whether all that a call returns lies in the memory of what it took."""
    return all(
        value.alias is not None or value in node.inputs
        for value in node.outputs
        if isinstance(value, Value)
    )


def viewed(node: Node, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
    """Return what such a call returns and saves: once and for all, as nothing is computed."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if node.direction == "forward":
            Y, saved = node.formula.forward(*inputs, **node.options)
            return Y if node.formula.outputs else (Y,), saved
        assert node.formula.backward is not None
        dY, saved = node.given(inputs)
        return tuple(node.formula.backward(dY, saved, node.needs)), saved


def updating(node: Node, inputs: tuple[Any, ...], produced: list[Any]) -> Callable[[], None]:
    """Return what changes the inputs that an update changes.

    Args:
        node: the update.
        inputs: its arrays in the plan.
        produced: what the host events produced last.
    """
    fixed, dynamic = split_live(node.options)
    names = node.formula.inputs
    at = [names.index(name) for name in node.formula.updates]
    targets = [inputs[place] for place in at if place < len(inputs)]
    update = registry.choose(node.formula, "update", inputs, node.options)

    def change() -> None:
        options = {**fixed, **_dynamic(produced, dynamic)} if dynamic else fixed
        if update is not None:
            update.update(*inputs, **options)
            return
        results = node.formula.forward(*inputs, **options)
        for target, result in zip(targets, results, strict=False):
            if target is not None:
                target[...] = result

    return change


def results_of(node: Node) -> Places:
    """Return the values that a call makes, each once."""
    made: Places = []

    def place(position: int, is_saved: bool, value: Any) -> None:
        if not isinstance(value, Value) or value.kind != "computed" or value in node.inputs:
            return
        if not any(existing[2] is value for existing in made):
            made.append((position, is_saved, value))

    for position, value in enumerate(node.outputs):
        place(position, False, value)
    if node.direction == "forward" and isinstance(node.saved, tuple):
        for position, value in enumerate(node.saved):
            place(position, True, value)
    return made


def replaying(
    node: Node, inputs: tuple[Any, ...], produced: list[Any], places: Places
) -> Callable[[], None]:
    """Return what computes a call and writes its results into arrays.

    Args:
        node: the call.
        inputs: its arrays in the plan.
        produced: what the host events produced last.
        places: the arrays for its results.
    """
    fixed, dynamic = split_live(node.options)
    compute = _computing(node, inputs)

    def replay() -> None:
        outputs, saved = compute({**fixed, **_dynamic(produced, dynamic)})
        for position, is_saved, target in places:
            target[...] = saved[position] if is_saved else outputs[position]

    return replay


def _computing(node: Node, inputs: tuple[Any, ...]) -> Callable[[dict[str, Any]], Any]:
    chosen = registry.choose(node.formula, node.direction, inputs, node.options)
    if node.direction == "forward":
        forward = node.formula.forward if chosen is None else chosen.forward

        def run_forward(options: dict[str, Any]) -> Any:
            Y, saved = forward(*inputs, **options)
            return Y if node.formula.outputs else (Y,), saved

        return run_forward
    backward = node.formula.backward if chosen is None else chosen.backward
    assert backward is not None
    dY, saved = node.given(inputs)
    return lambda options: (backward(dY, saved, node.needs), None)


def _dynamic(produced: list[Any], scalars: dict[str, Any]) -> dict[str, Any]:
    """Return the dynamic scalars of a call as the host events of this replay produced them."""
    return {name: produced[item.event][item.key] for name, item in scalars.items()}


def write(target: Any, value: Any) -> None:
    """Copy an array into another one."""
    target[...] = value
