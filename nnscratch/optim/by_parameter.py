"""The base of optimizers that look at a whole parameter at once, not at each of its elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from nnscratch.errors import CheckpointError, DeviceError, ShapeError
from nnscratch.formulas import Formula, registry
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.states import copied
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import zeros
from nnscratch.tensors.grad_mode import enable_grad


class ParameterOptimizer(Optimizer):
    """Steps each parameter by a formula of its own shape, with a state of any shapes.

    A subclass names the formula ``update``, and says what the state is and what the options are.
    It is found by its name in ``nnscratch.optim``.

    Attributes:
        update: the formula, whose inputs are the parameter, its gradient and the state.
        counts: whether ``step`` is part of the state.
    """

    update: ClassVar[Formula]
    counts: ClassVar[bool] = True

    def state_shapes(
        self, group: Mapping[str, Any], shape: tuple[int, ...]
    ) -> dict[str, tuple[int, ...] | None]:
        """Return the shape of each state of a parameter, None of one that is not kept."""
        raise TypeError(f"{type(self).__name__} does not say which state it keeps")

    def options_of(self, group: Mapping[str, Any], parameter: Tensor, step: int) -> dict[str, Any]:
        """Return the options of the formula for a step."""
        raise TypeError(f"{type(self).__name__} does not say what the options are")

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add a group of parameters with hyper-parameters of its own."""
        super().add_param_group(group)
        made = self.param_groups[-1]
        # Before the first step, so that a compiled one has them; they are shown once it was taken.
        self._kept = getattr(self, "_kept", {})
        for parameter in made["params"]:
            shapes = self.state_shapes(made, tuple(parameter.shape)).items()
            form = {"dtype": parameter.dtype, "device": parameter.device}
            kept = {name: zeros(*shape, **form) for name, shape in shapes if shape is not None}
            self._kept[parameter] = kept

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step with the gradients that the parameters have; those without one stay.

        Args:
            closure: computes the loss again and returns it, for those who write it so.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            registry.notify_seen(group["params"])
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_one(group, parameter)
        return loss

    def _step_one(self, group: Mapping[str, Any], parameter: Tensor) -> None:
        gradient = parameter.grad
        assert gradient is not None
        if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
            raise ShapeError(
                f"a parameter of shape {parameter.shape} and dtype {parameter.dtype} was given a "
                f"gradient of shape {gradient.shape} and dtype {gradient.dtype}; both must be the "
                "same"
            )
        kept = self._kept[parameter]
        for one in kept.values():
            if one.device != parameter.device or one.dtype != parameter.dtype:
                raise DeviceError(
                    f"a parameter of shape {parameter.shape} was moved after the optimizer was "
                    "made; make the optimizer after model.to(...), from the moved model's "
                    "parameters()"
                )

        def advance() -> dict[str, Any]:
            state = self._state[parameter]
            if not state:  # the first step, perhaps after somebody emptied ``state``
                for one in kept.values():
                    one.array[...] = 0
            if self.counts:
                state["step"] = state.get("step", 0) + 1
            state |= kept
            return self.options_of(group, parameter, state.get("step", 1))

        options = registry.host(advance)
        names = self.state_shapes(group, tuple(parameter.shape))
        arrays = [kept[name].array if name in kept else None for name in names]
        registry.update(self.update, parameter.array, gradient.array, *arrays, **options)
        parameter._version[0] += 1

    def state_dict(self) -> dict[str, Any]:
        """Return state and hyper-parameters; its tensors are copies, which no step writes into."""
        # A reset writes zeros into the buffers, for a compiled step has them.
        saved = super().state_dict()
        saved["state"] = {index: copied(entry) for index, entry in saved["state"].items()}
        return saved

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over state and hyper-parameters that ``state_dict`` returned.

        Raises:
            CheckpointError: if they belong to other parameters.
        """
        members = [p for group in self.param_groups for p in group["params"]]
        groups = [group for group in self.param_groups for _ in group["params"]]
        for index, entry in state["state"].items():
            if not 0 <= int(index) < len(members):
                raise CheckpointError(f"the state has a parameter {index}, this optimizer has not")
            parameter, group = members[int(index)], groups[int(index)]
            wanted = self.state_shapes(group, tuple(parameter.shape))
            kept = {name: shape for name, shape in wanted.items() if shape is not None}
            if not entry:
                continue  # as PyTorch writes it of a parameter that has taken no step
            found = {k: tuple(as_tensor(v).shape) for k, v in entry.items() if k != "step"}
            if found != kept:
                raise CheckpointError(
                    f"the state of parameter {index} has the shapes {found}, expected {kept}; it "
                    "is of another optimizer, or of another model"
                )
        super().load_state_dict(state)
        for parameter, kept in self._kept.items():
            # The arrays stay, for a compiled step has them, and get the values.
            entry = self._state.get(parameter, {})
            for name, array in kept.items():
                if name in entry:
                    array.copy_(as_tensor(entry[name]).detach())
                    entry[name] = array
                else:
                    array.zero_()
            if "step" in entry:
                entry["step"] = int(float(entry["step"]))
