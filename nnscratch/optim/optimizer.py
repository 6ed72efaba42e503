"""The base of all optimizers: parameter groups, state, and a step that is one formula."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from nnscratch.array import dtype_name, to_numpy
from nnscratch.errors import CheckpointError, ConfigurationError, PlanError
from nnscratch.formulas import Formula, registry
from nnscratch.formulas.all_reduce import ALL_GATHER
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.optim.states import States, copied
from nnscratch.optim.step_hooks import StepHooks
from nnscratch.tensors import Tensor, as_tensor, clear_gradient
from nnscratch.tensors.grad_mode import enable_grad


class Optimizer(StepHooks):
    """Steps parameters along their gradients by an update formula.

    A subclass names its formula, and the state that it keeps beside each parameter; it is found by
    its name in ``nnscratch.optim`` and, in small letters, by the command line. Or it has no
    formula, but a ``step`` of its own in tensor operations and whatever it likes in ``state``, as
    optimizers are written for PyTorch.

    Attributes:
        kinds: all optimizers that step by a formula, by their names in small letters; for the
            command line and ``fit``, which call them with nothing but parameters and a rate.
        formula: the update, whose inputs are the parameter, its gradient and the state.
        numbers: Python numbers kept beside each parameter, with what they start from.
        param_groups: dictionaries with "params" and hyper-parameters, which may be changed between
            steps, as in PyTorch.

    >>> from nnscratch import no_grad, ones
    >>> class Plain(Optimizer):
    ...     def __init__(self, params, lr):
    ...         super().__init__(params, {"lr": lr})
    ...     @no_grad()
    ...     def step(self):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.sub_(p.grad * group["lr"])
    >>> p = ones(2, requires_grad=True)
    >>> p.sum().backward()
    >>> Plain([p], lr=0.5).step()
    >>> p.tolist()
    [0.5, 0.5]
    """

    formula: ClassVar[Formula]
    kinds: ClassVar[dict[str, type[Optimizer]]] = {}
    numbers: ClassVar[Mapping[str, float]] = {}
    # Whether any parameters and a loss without a closure will do, as ``kinds`` has to know.
    takes_any: ClassVar[bool] = True

    def __init_subclass__(cls, **options: Any) -> None:
        """Enter the class by its name, the first of that name in a module of its own."""
        super().__init_subclass__(**options)
        known = Optimizer.kinds.get(cls.__name__.lower())
        here = known is None or known.__module__ == cls.__module__
        if cls._has_formula() and cls.takes_any and "." not in cls.__qualname__ and here:
            Optimizer.kinds[cls.__name__.lower()] = cls

    @classmethod
    def _has_formula(cls) -> bool:
        """Say whether it is a formula of each element, or ``update``, one of each parameter."""
        return hasattr(cls, "formula") or isinstance(getattr(cls, "update", None), Formula)

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        """Take parameters, or dictionaries of parameters with hyper-parameters of their own.

        Raises:
            ConfigurationError: if there are none, one comes twice, or a value makes no sense.
        """
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._flats: list[list[FlatParameters]] = []
        self._by_hand = not hasattr(type(self), "formula")
        self._state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        if isinstance(params, Tensor):
            raise ConfigurationError("an optimizer needs a list of parameters, got a single tensor")
        given = list(params)
        if not given:
            raise ConfigurationError("an optimizer needs at least one parameter, got an empty list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def state(self) -> Mapping[Tensor, dict[str, Any]]:
        """What is kept beside each parameter that has taken a step, by the parameter.

        Tensors in it share memory with the optimizer's. An optimizer with a ``step`` of its own
        keeps there what it likes; the entries of others are written through
        ``state[p][name].copy_(...)`` or ``load_state_dict``.
        """
        if self._by_hand:
            return self._state
        return States(self._entries())

    @state.setter
    def state(self, state: Mapping[Tensor, dict[str, Any]]) -> None:
        """Take an empty dictionary to begin anew; or whatever, with a ``step`` of its own."""
        if self._by_hand and not hasattr(self, "_kept"):
            self._state = defaultdict(dict, state)
        elif state:
            raise ConfigurationError(
                f"the state of {type(self).__name__} lies in buffers of its own; load_state_dict "
                "writes into them, and an empty dictionary begins anew"
            )
        else:
            groups = self.state_dict()["param_groups"]
            type(self).load_state_dict(self, {"state": {}, "param_groups": groups})

    def _entries(self) -> dict[Tensor, dict[str, Any]]:
        return {
            flat.parameters[i]: {
                "step": flat.steps[i],
                **{name: values[i] for name, values in flat.numbers.items()},
                **{name: Tensor(array) for name, array in flat.entry(i).items()},
            }
            for flat, i in self._members()
            if flat.steps[i]
        }

    def state_names(self, group: Mapping[str, Any]) -> tuple[str | None, ...]:
        """Return the names of the state arrays, in the order of the formula's inputs.

        None stands for an input that is not kept with these hyper-parameters.
        """
        raise TypeError(f"{type(self).__name__} does not say which state it keeps")

    def initial_state(self, group: Mapping[str, Any]) -> dict[str, float]:
        """Return what state arrays start from that do not start from 0."""
        return {}

    def options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the formula's options, without ``step``, from a group's hyper-parameters.

        They have the same names, but for PyTorch's ``betas`` and ``decoupled_weight_decay``.
        """
        found = {name: group[name] for name in self.formula.options if name in group}
        if "betas" in group:
            found["beta1"], found["beta2"] = group["betas"]
        if "decoupled_weight_decay" in group:
            found["decoupled"] = group["decoupled_weight_decay"]
        return found

    def check(self, group: Mapping[str, Any]) -> None:
        """Check a group's hyper-parameters.

        Raises:
            ConfigurationError: if one is outside of its limits.
        """
        for name, low, high in self.limits:
            value = group.get(name)
            if value is None:
                continue
            for item in value if isinstance(value, (tuple, list)) else (value,):
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
        self.param_groups.append(made)
        try:
            if self._has_formula():  # what the names of others' hyper-parameters mean is theirs
                self.check(made)
        except Exception:
            self.param_groups.pop()
            raise
        if self._by_hand:
            self._flats.append([])
            return
        alike: dict[tuple[str, str], list[Tensor]] = {}
        for parameter in params:
            form = (dtype_name(parameter.array.dtype), str(parameter.device))
            alike.setdefault(form, []).append(parameter)
        start = self.initial_state(made)
        state = {name: start.get(name, 0.0) for name in self.state_names(made) if name is not None}
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
        if self._by_hand:
            raise TypeError(f"{type(self).__name__} defines no step(self)")
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group, flats in zip(self.param_groups, self._flats, strict=True):
            names = self.state_names(group)
            for flat in flats:
                runs = flat.runs()
                for name in names:
                    if runs and name is not None and name not in flat.state:
                        self.begin_state(group, flat, runs, name)
                for run in runs:
                    self._step_run(group, flat, run, names)
                if flat.collect is not None:
                    registry.update(ALL_GATHER, flat.values, over=flat.collect)
        return loss

    def _step_run(
        self,
        group: Mapping[str, Any],
        flat: FlatParameters,
        run: Run,
        names: tuple[str | None, ...],
    ) -> None:
        where = flat.part(run)
        state = [None if name is None else flat.of_state(name, where) for name in names]

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
        if Tensor in map(type, options.values()):
            options = {name: _value(value) for name, value in options.items()}
        if "step" in self.formula.options:
            options["step"] = step
        return options

    def flats(self) -> list[FlatParameters]:
        """Return the flat buffers of all groups: values, gradients and state of the parameters.

        There are none in an optimizer whose formula is not of each element by itself, or that has
        a ``step`` of its own: there each parameter has a gradient for itself.

        >>> from nnscratch import nn, optim
        >>> [flat.values.size for flat in optim.SGD(nn.Linear(3, 2).parameters(), lr=0.1).flats()]
        [32]
        """
        return [flat for flats in self._flats for flat in flats]

    # Saving.

    def _members(self) -> list[tuple[FlatParameters, int]]:
        found: list[tuple[FlatParameters, int]] = []
        if self._by_hand:
            return found
        for group, flats in zip(self.param_groups, self._flats, strict=True):
            where = {id(p): (flat, i) for flat in flats for i, p in enumerate(flat.parameters)}
            found += [where[id(p)] for p in group["params"]]
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return state and hyper-parameters; state arrays share memory with the optimizer's."""
        entries = self._state if self._by_hand else self._entries()
        members = [p for group in self.param_groups for p in group["params"]]
        state = {index: dict(entries[p]) for index, p in enumerate(members) if p in entries}
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
        parameters = [p for group in self.param_groups for p in group["params"]]
        sizes = [len(group["params"]) for group in groups]
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise CheckpointError(
                f"the optimizer state is of groups with {sizes} parameters, this one has {own}"
            )
        entries = {int(index): _without_none(entry) for index, entry in state["state"].items()}
        if self._by_hand:
            self._state = defaultdict(dict, {parameters[i]: copied(e) for i, e in entries.items()})
            entries = {}
        for index, entry in entries.items():
            self._check_entry(index, entry, members)
        for index, (flat, i) in enumerate(members):
            entry = entries.get(index, {})
            # PyTorch's SGD counts no steps, but has taken some where it has a buffer.
            flat.steps[i] = int(_value(entry["step"])) if "step" in entry else int(bool(len(entry)))
            for name, values in flat.numbers.items():
                values[i] = float(_value(entry.get(name, self.numbers[name])))
            for name in flat.state:
                flat.put(name, i, entry.get(name))
        for group, saved in zip(self.param_groups, groups, strict=True):
            for key, value in saved.items():
                if isinstance(group.get(key), Tensor):
                    group[key].fill_(_value(value))  # whoever else has this tensor sees it too
                elif key != "params":
                    group[key] = _value(value)

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


def check_switches(
    differentiable: bool = False, foreach: bool | None = None, fused: bool | None = None
) -> None:
    """Check PyTorch's switches between implementations of one step, of which there is one here.

    Raises:
        ConfigurationError: for ``differentiable``, which asks for another step; or for two at once.
    """
    if differentiable:
        raise ConfigurationError(
            "differentiable=True asks for a step that is part of the graph, which is not there; "
            "write the update in tensor operations on new tensors"
        )
    if foreach and fused:
        raise ConfigurationError("foreach and fused are two ways to take one step; choose one")


def _without_none(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the state beside a parameter without PyTorch's None for a buffer that is not kept."""
    if not isinstance(entry, dict):
        return entry  # read from a file where it is asked for
    return {name: value for name, value in entry.items() if value is not None}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return to_numpy(value.array).item() if isinstance(value, Tensor) else value
