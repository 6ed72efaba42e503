"""Joining neighbouring calls for which there is one faster kernel."""

from __future__ import annotations

from nnscratch import formulas as f
from nnscratch.formulas.fused import FUSABLE, LinearActivationSaved
from nnscratch.plan.recorder import Step, Value


def fuse(steps: list[Step], kept: set[Value]) -> list[Step]:
    """Return the steps with each linear layer and the activation behind it as one.

    Both ways: the forward of the pair where nothing else reads what is between them, and the
    backward, where dZ is read by the linear layer alone. The sums and products are the same ones
    in the same order, so the results are the same bits.
    """
    readers: dict[Value, list[int]] = {}
    for index, step in enumerate(steps):
        for value in step.inputs:
            if isinstance(value, Value):
                readers.setdefault(value, []).append(index)
    made = {
        value: index
        for index, step in enumerate(steps)
        for value in step.outputs
        if isinstance(value, Value) and value.kind == "made" and value.alias is None
    }
    joined = list(steps)
    gone: set[int] = set()
    for index, step in enumerate(steps):
        between = step.inputs[0] if step.inputs else None
        if not isinstance(between, Value) or between in kept or between not in made:
            continue
        before = steps[made[between]]
        if _activates(step, "forward") and _is(before, f.LINEAR, "forward"):
            others = [i for i in readers[between] if i != index]
            if all(_activates(steps[i], "backward") for i in others):
                joined[index] = _forward(before, step)
                gone.add(made[between])
        elif (
            _is(step, f.LINEAR, "backward")
            and _activates(before, "backward")
            and readers[between] == [index]
        ):
            joined[index] = _backward(before, step)
            gone.add(made[between])
    return [step for index, step in enumerate(joined) if index not in gone]


def _is(step: Step, formula: f.Formula, direction: str) -> bool:
    return step.formula is formula and step.direction == direction


def _activates(step: Step, direction: str) -> bool:
    return step.direction == direction and step.formula.name in FUSABLE


def _forward(linear: Step, activation: Step) -> Step:
    name = activation.formula.name
    names = FUSABLE[name][1]
    numbers = [*(activation.options.get(key) for key in names), None, None][:2]
    kept = activation.saved[0]
    return Step(
        f.LINEAR_ACTIVATION,
        "forward",
        linear.inputs,
        {"activation": name, "alpha": numbers[0], "beta": numbers[1]},
        activation.outputs,
        LinearActivationSaved(linear.saved.X, linear.saved.W, kept, name, *numbers),
        (),
    )


def _backward(activation: Step, linear: Step) -> Step:
    dY, kept, *rest = activation.inputs
    name = activation.formula.name
    numbers = [*rest, None, None][:2]
    X, W = linear.inputs[1:]
    saved = LinearActivationSaved(X, W, kept, name, *numbers)
    return Step(
        f.LINEAR_ACTIVATION,
        "backward",
        (dY, *saved),
        {},
        linear.outputs,
        saved,
        linear.needs,
    )
