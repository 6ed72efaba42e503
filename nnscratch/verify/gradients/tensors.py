"""Problems made of Tensors: a function of them, a module, a model with its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from nnscratch.array import default_dtype, is_array, is_complex, is_floating, set_default_dtype
from nnscratch.array.random import default_generator
from nnscratch.autograd import backward
from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.formulas import registry
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor
from nnscratch.verify.gradients.problem import (
    AnalyticRun,
    Array,
    Finding,
    FindingKind,
    Problem,
    Rng,
    Slot,
    bits,
    device_name,
    is_checkable,
    joined,
    memory_findings,
    nudged,
    on_cpu,
    output_name,
    paired,
)

_WRITTEN = (
    "The incoming gradient dY was changed in place by a backward, and another function may be "
    "given the same array: write dY * x instead of dY.mul_(x), or clone it first."
)


def flat_tensors(output: Any) -> list[Tensor]:
    """Return the tensors in an output: itself, or those in its tuples, lists and dictionaries."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        return [t for item in output.values() for t in flat_tensors(item)]
    if isinstance(output, (tuple, list)):
        return [t for item in output for t in flat_tensors(item)]
    return []


class _Nudge(registry.Observer):
    """Moves the output of every formula by a rounding error."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng

    def on_call(self, call: registry.Call) -> None:
        """Change the output in place, before anything else has seen it."""
        if call.direction == "forward" and not call.formula.aliases:
            for Y in call.outputs:
                if isinstance(Y, np.ndarray) and Y.flags.writeable:
                    Y[...] = nudged(Y, self.rng)


class TensorProblem(Problem):
    """A function of Tensors, with parameters that it reaches by itself.

    Both sides call the same function. The numeric side gives it float64 on the CPU: inputs,
    parameters and buffers alike; everything is put back after each call. Each call starts from the
    same state of the random generator, so dropout drops the same units.

    Complex tensors are pairs of real numbers to the checker (``paired``), in slots, outputs and
    gradients alike.
    """

    together = False

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Any],
        options: dict[str, Any],
        parameters: Mapping[str, Tensor] | None = None,
        buffers: Sequence[Tensor] = (),
        modules: Sequence[Module] = (),
        name: str = "",
        training: bool | None = None,
        checked: Sequence[str] | None = None,
    ) -> None:
        self.function, self.options = function, options
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.parameters = dict(parameters or {})
        self.buffers = list(buffers)
        self.modules = list(modules)
        self.training = training
        self.mode = "" if training is None else "train" if training else "eval"
        self.tensors = [_tensor(value) for value in inputs]
        self.slots = []
        for index, given in enumerate(self.tensors):
            value = paired(on_cpu(given.array)) if isinstance(given, Tensor) else given
            where = device_name(given.array) if isinstance(given, Tensor) else "cpu"
            label = "input" if len(self.tensors) == 1 else f"input {index}"
            wanted = is_checkable(value)
            self.slots.append(Slot(label, value, wanted, where))
        for label, parameter in self.parameters.items():
            value = paired(np.array(on_cpu(parameter.array)))
            self.slots.append(
                Slot(label, value, parameter.requires_grad, device_name(parameter.array))
            )
        if checked is not None:
            for slot in self.slots:
                slot.checked = slot.checked and slot.name in checked
        self.random = default_generator.state()

    @contextmanager
    def _set(self, values: Sequence[Any], double: bool) -> Iterator[None]:
        """Put values into the parameters for a block; with ``double`` all state goes to float64."""
        held = [*self.parameters.values(), *self.buffers]
        arrays = [(t, t.array, t.grad, t.grad_slot, t._version[0]) for t in held]
        contents = [(t.array, np.array(on_cpu(t.array))) for t in self.buffers if not double]
        modes = [(m, m.training) for root in self.modules for m in root.modules()]
        before = default_generator.state()
        dtype = default_dtype()
        try:
            for tensor, value in zip(self.parameters.values(), values, strict=True):
                tensor.array = _as_given(tensor.array, value, double)
                tensor.grad = tensor.grad_slot = None
            for buffer in self.buffers:
                if double and is_floating(buffer.array):
                    buffer.array = np.array(on_cpu(buffer.array), dtype=np.float64)
                elif double:
                    wide = "complex128" if is_complex(buffer.array) else None
                    buffer.array = np.array(on_cpu(buffer.array), dtype=wide)
            if self.training is not None:
                for module, _ in modes:
                    module.__dict__["training"] = self.training
            default_generator.set_state(self.random)
            if double:
                set_default_dtype("float64")
            yield
        finally:
            for tensor, array, grad, slot, version in arrays:
                tensor.array, tensor.grad, tensor.grad_slot = array, grad, slot
                tensor._version[0] = version
            for array, content in contents:
                if bits(on_cpu(array)) != bits(content):
                    array[...] = _as(array, content)
            for module, training in modes:
                module.__dict__["training"] = training
            default_generator.set_state(before)
            set_default_dtype(dtype)

    def evaluate(self, values: Sequence[Any]) -> list[Array]:
        """Call the function with everything in float64 on the CPU, by the reference formulas."""
        from nnscratch.tensors.grad_mode import no_grad

        count = len(self.tensors)
        inputs = [
            Tensor(_as_given(given.array, value, True)) if isinstance(given, Tensor) else value
            for given, value in zip(self.tensors, values, strict=False)
        ]
        with self._set(values[count:], True), no_grad(), registry.use_kernels("off"):
            outputs = flat_tensors(self.function(*inputs, **self.options))
        return [paired(np.array(on_cpu(t.array))) for t in outputs]

    def run(
        self, values: Sequence[Any], cotangents: Sequence[Any], nudge: Rng | None = None
    ) -> AnalyticRun:
        """Call the function and walk back from all of its outputs."""
        return self._walk(values, cotangents, nudge, False)

    def run64(self, values: Sequence[Any], cotangents: Sequence[Any]) -> AnalyticRun:
        """Do the same with everything in float64 on the CPU."""
        return self._walk(values, cotangents, None, True)

    def _walk(
        self, values: Sequence[Any], cotangents: Sequence[Any], nudge: Rng | None, double: bool
    ) -> AnalyticRun:
        count = len(self.tensors)
        inputs = []
        for given, slot, value in zip(self.tensors, self.slots, values, strict=False):
            if not isinstance(given, Tensor):
                inputs.append(value)
                continue
            placed = _as_given(given.array, value, double)
            inputs.append(Tensor(placed, requires_grad=slot.checked))
        leaves: list[Any] = [*inputs, *self.parameters.values()]
        watch: AbstractContextManager[Any] = nullcontext()
        if nudge is not None:
            watch = registry.observing(_Nudge(nudge))
        with self._set(values[count:], double), watch:
            kept = [
                (slot.name, t.array, bits(on_cpu(t.array)))
                for slot, t in zip(self.slots, leaves, strict=True)
                if isinstance(t, Tensor)
            ]
            outputs = flat_tensors(self.function(*inputs, **self.options))
            named = [(output_name(i, len(outputs)), t.array) for i, t in enumerate(outputs)]
            roots = [
                (t, c)
                for t, c in zip(outputs, cotangents, strict=True)
                if c is not None and t.requires_grad
            ]
            if not roots:
                raise GradientError(
                    f"{self.name}: no output depends on an input or parameter that asks for a "
                    "gradient, so there is nothing to check"
                )
            walks = [roots] if self.together else [[root] for root in roots]
            changed = False
            for walk in walks:
                seeds = [Tensor(_as_given(tensor.array, c, False)) for tensor, c in walk]
                before = [bits(on_cpu(seed.array)) for seed in seeds]
                backward([tensor for tensor, _ in walk], seeds, retain_graph=walk is not walks[-1])
                changed = changed or before != [bits(on_cpu(seed.array)) for seed in seeds]
            found = [
                None if not isinstance(t, Tensor) or t.grad is None else t.grad.array
                for t in leaves
            ]
            made = [
                (f"the gradient of {slot.name}", gradient)
                for slot, gradient in zip(self.slots, found, strict=True)
                if gradient is not None
            ]
            findings = memory_findings(kept, named, [], True)
            findings += [f for f in memory_findings([], [], made, False) if f.severity == "fault"]
            if changed:
                findings.append(Finding(FindingKind.CHANGED, "dY", "fault", _WRITTEN))
            return AnalyticRun(
                [paired(np.array(on_cpu(t.array))) for t in outputs],
                [None if g is None else paired(np.array(on_cpu(g))) for g in found],
                [device_name(g) for g in found],
                findings,
            )


def module_problem(
    module: Module,
    inputs: Sequence[Any],
    options: dict[str, Any],
    training: bool,
    loss: Any = None,
    checked: Sequence[str] | None = None,
) -> TensorProblem:
    """Return the problem of a module, or of ``loss(model(x...), target)``."""
    modules = [module]
    own = {p.array.dtype for p in module.parameters() if is_floating(p.array)}
    if len(own) == 1:
        # Plain arrays and lists take the model's dtype; a tensor is taken as it is.
        inputs = [_in_dtype(value, next(iter(own))) for value in inputs]
    parameters: dict[str, Tensor] = dict(module.named_parameters())
    buffers = list(module.buffers())
    function: Callable[..., Any] = module
    name = type(module).__name__
    if loss is not None:
        demand_target(name, inputs)
        if isinstance(loss, Module):
            modules.append(loss)
            parameters |= {f"loss.{k}": p for k, p in loss.named_parameters()}
            buffers += list(loss.buffers())
        name += f" with {getattr(loss, '__name__', type(loss).__name__)}"

        def function(*items: Any, **options: Any) -> Any:
            *xs, target = items
            return loss(module(*xs, **options), target)

    return TensorProblem(
        function, inputs, options, parameters, buffers, modules, name, training, checked
    )


def demand_target(name: str, inputs: Sequence[Any]) -> None:
    """Raise unless there are inputs of a model and a target of its loss.

    Raises:
        ConfigurationError: if there are not.
    """
    if len(inputs) < 2:
        raise ConfigurationError(
            f"{name}: a model with its loss takes the inputs of the model and then the target, in "
            f"a list; got {len(inputs)} in all"
        )


def _in_dtype(value: Any, dtype: Any) -> Any:
    if isinstance(value, list):
        value = np.asarray(value)
    if is_checkable(value):
        return value.astype(dtype, copy=False)
    return value


def _tensor(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value
    if is_array(value):
        return Tensor(value)
    if isinstance(value, list):
        return Tensor(np.asarray(value))
    return value


def _as_given(like: Any, value: Array, double: bool) -> Any:
    """Return a slot's value as an array of the kind that was given, or of twice the precision."""
    value = joined(value) if is_complex(like) else value
    return value if double else _as(like, value)


def _as(like: Any, value: Any) -> Any:
    from nnscratch.array import array_namespace

    xp = array_namespace(like)
    return xp.asarray(value, dtype=like.dtype, device=like.device, copy=True)
