"""The base of all optimizers: parameter groups, state, and a step that is one formula."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from nnscratch.array import dtype_name, to_numpy
from nnscratch.errors import CheckpointError, ConfigurationError, PlanError
from nnscratch.formulas import Formula, registry
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.tensor import Tensor, as_tensor, clear_gradient


class Optimizer:
    """Steps parameters along their gradients by an update formula.

    A subclass names its formula, the state that it keeps beside each parameter, and how its
    options come from a group's hyper-parameters.

    Attributes:
        formula: the update, whose inputs are the parameter, its gradient and the state.
        numbers: Python numbers kept beside each parameter, with what they start from.
        param_groups: dictionaries with "params" and hyper-parameters, which may be changed between
            steps, as in PyTorch.
    """

    formula: ClassVar[Formula]
    numbers: ClassVar[Mapping[str, float]] = {}

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        """Take parameters, or dictionaries of parameters with hyper-parameters of their own.

        Raises:
            ConfigurationError: if there are none, one comes twice, or a value makes no sense.
        """
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._flats: list[list[FlatParameters]] = []
        if isinstance(params, Tensor):
            raise ConfigurationError("an optimizer needs a list of parameters, got a single tensor")
        given = list(params)
        if not given:
            raise ConfigurationError("an optimizer needs at least one parameter, got an empty list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def state_names(self, group: Mapping[str, Any]) -> tuple[str | None, ...]:
        """Return the names of the state arrays, in the order of the formula's inputs.

        None stands for an input that is not kept with these hyper-parameters.
        """
        raise TypeError(f"{type(self).__name__} does not say which state it keeps")

    def initial_state(self, group: Mapping[str, Any]) -> dict[str, float]:
        """Return what state arrays start from that do not start from 0."""
        return {}

    def options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the formula's options, without ``step``, from a group's hyper-parameters."""
        raise TypeError(f"{type(self).__name__} does not say which options its formula has")

    def check(self, group: Mapping[str, Any]) -> None:
        """Check a group's hyper-parameters."""
        for name, low, high in self.limits:
            value = group.get(name)
            if value is None:
                continue
            for item in value if isinstance(value, tuple) else (value,):
                if not low <= item < high:
                    raise ConfigurationError(
                        f"{type(self).__name__}: {name} must be at least {low:g} and below "
                        f"{high:g}, got {value!r}"
                    )

    limits: ClassVar[tuple[tuple[str, float, float], ...]] = (
        ("lr", 0.0, float("inf")),
        ("weight_decay", 0.0, float("inf")),
        ("momentum", 0.0, float("inf")),
        ("eps", 0.0, float("inf")),
        ("betas", 0.0, 1.0),
        ("alpha", 0.0, 1.0),
        ("rho", 0.0, 1.0),
        ("lr_decay", 0.0, float("inf")),
        ("momentum_decay", 0.0, float("inf")),
        ("initial_accumulator_value", 0.0, float("inf")),
    )

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add a group of parameters with hyper-parameters of its own."""
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        params = [item[1] if isinstance(item, tuple) else item for item in params]
        made = {**self.defaults, **group, "params": params}
        seen = {id(p) for g in self.param_groups for p in g["params"]}
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise ConfigurationError(
                    f"an optimizer takes tensors, got {type(parameter).__name__}"
                )
            if not parameter.is_leaf:
                raise ConfigurationError("an optimizer takes leaf tensors, got a computed one")
            if id(parameter) in seen:
                raise ConfigurationError("a parameter was given to the optimizer twice")
            seen.add(id(parameter))
        self.check(made)
        alike: dict[tuple[str, str], list[Tensor]] = {}
        for parameter in params:
            form = (dtype_name(parameter.array.dtype), str(parameter.device))
            alike.setdefault(form, []).append(parameter)
        start = self.initial_state(made)
        state = {name: start.get(name, 0.0) for name in self.state_names(made) if name is not None}
        self.param_groups.append(made)
        self._flats.append(
            [FlatParameters(members, state, self.numbers) for members in alike.values()]
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                clear_gradient(parameter, set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step with the gradients that the parameters have; those without one stay.

        Args:
            closure: computes the loss again and returns it, for those who write it so.
        """
        loss = None if closure is None else closure()
        for group, flats in zip(self.param_groups, self._flats, strict=True):
            names = self.state_names(group)
            for flat in flats:
                runs = flat.runs()
                for name in names:
                    if runs and name is not None and name not in flat.state:
                        self.begin_state(group, flat, runs, name)
                for run in runs:
                    self._step_run(group, flat, run, names)
        return loss

    def _step_run(
        self,
        group: Mapping[str, Any],
        flat: FlatParameters,
        run: Run,
        names: tuple[str | None, ...],
    ) -> None:
        where = slice(run.start, run.stop)
        state = [None if name is None else flat.state[name][where] for name in names]

        def advance() -> dict[str, Any]:
            if self.state_names(group) != names:
                raise PlanError(
                    f"hyper-parameters of {type(self).__name__} were changed between two steps "
                    f"so that it keeps {self.state_names(group)} in the place of {names}, and a "
                    "plan writes to those that it was recorded with. Compile the step again"
                )
            return self.advance(group, flat, run)

        options = registry.host(advance)
        registry.update(self.formula, flat.values[where], flat.gradients[where], *state, **options)
        for parameter in flat.parameters[run.first : run.last]:
            parameter._version[0] += 1

    def begin_state(
        self, group: Mapping[str, Any], flat: FlatParameters, runs: list[Run], name: str
    ) -> None:
        """Make a state array that the hyper-parameters need now, and did not need in the beginning.

        Raises:
            ConfigurationError: if steps were taken that it should know of.
        """
        if any(flat.steps):
            raise ConfigurationError(
                f"{type(self).__name__}: with the hyper-parameters as they are now it needs "
                f"{name}, which was not kept in the steps so far. Choose them before the first "
                "step, or make a new optimizer"
            )
        flat.begin(name, self.initial_state(group).get(name, 0.0))

    def advance(self, group: Mapping[str, Any], flat: FlatParameters, run: Run) -> dict[str, Any]:
        """Count a step and return the options of the formula for it.

        A compiled step calls it again each time.
        """
        _, _, first, last = run
        step = flat.steps[first] + 1
        flat.steps[first:last] = [step] * (last - first)
        options = self.options(group)
        if "step" in self.formula.options:
            options["step"] = step
        return options

    # Saving.

    def _members(self) -> list[tuple[FlatParameters, int]]:
        found = []
        for group, flats in zip(self.param_groups, self._flats, strict=True):
            where = {id(p): (flat, i) for flat in flats for i, p in enumerate(flat.parameters)}
            found += [where[id(p)] for p in group["params"]]
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return state and hyper-parameters; state arrays share memory with the optimizer's."""
        state = {
            index: {
                "step": flat.steps[i],
                **{name: values[i] for name, values in flat.numbers.items()},
                **{name: Tensor(flat.view(array, i)) for name, array in flat.state.items()},
            }
            for index, (flat, i) in enumerate(self._members())
            if flat.steps[i]
        }
        groups, count = [], 0
        for group in self.param_groups:
            size = len(group["params"])
            groups.append({**group, "params": list(range(count, count + size))})
            count += size
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over state and hyper-parameters that ``state_dict`` returned.

        Raises:
            CheckpointError: if they belong to other parameters.
        """
        groups, members = state["param_groups"], self._members()
        sizes = [len(group["params"]) for group in groups]
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise CheckpointError(
                f"the optimizer state is of groups with {sizes} parameters, this one has {own}"
            )
        entries = {int(index): entry for index, entry in state["state"].items()}
        for index, entry in entries.items():
            self._check_entry(index, entry, members)
        for index, (flat, i) in enumerate(members):
            entry = entries.get(index, {})
            flat.steps[i] = int(_value(entry.get("step", 0)))
            for name, values in flat.numbers.items():
                values[i] = float(_value(entry.get(name, self.numbers[name])))
            for name, array in flat.state.items():
                target = Tensor(flat.view(array, i))
                if name in entry:
                    target.copy_(as_tensor(entry[name]).detach())
                else:
                    target.fill_(flat.start[name])
        for group, saved in zip(self.param_groups, groups, strict=True):
            group.update({key: _value(v) for key, v in saved.items() if key != "params"})

    def _check_entry(
        self, index: int, entry: Mapping[str, Any], members: list[tuple[FlatParameters, int]]
    ) -> None:
        if not 0 <= index < len(members):
            raise CheckpointError(f"the optimizer state has a parameter {index}, this one has not")
        flat, i = members[index]
        expected = {*flat.state, *flat.numbers}
        names = {name for name in entry if name != "step"}
        if names != expected:
            raise CheckpointError(
                f"the optimizer state of parameter {index} holds {sorted(names)}, expected "
                f"{sorted(expected)}; it is of another optimizer, or of other options"
            )
        for name in flat.state:
            shape, own = as_tensor(entry[name]).shape, flat.parameters[i].shape
            if shape != own:
                raise CheckpointError(
                    f"{name} of parameter {index} has shape {shape}, the parameter {own}"
                )

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for index, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {index}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return to_numpy(value.array).item() if isinstance(value, Tensor) else value
