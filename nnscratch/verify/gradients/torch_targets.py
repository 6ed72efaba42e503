"""Problems made of PyTorch's things. PyTorch is imported here only, when it is asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.verify.gradients.problem import (
    AnalyticRun,
    Array,
    Problem,
    Rng,
    Slot,
    bits,
    is_checkable,
    memory_findings,
    output_name,
)
from nnscratch.verify.gradients.tensors import demand_target


def _flat(output: Any) -> list[Any]:
    torch = importlib.import_module("torch")
    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, Mapping):
        return [t for item in output.values() for t in _flat(item)]
    if isinstance(output, (tuple, list)):
        return [t for item in output for t in _flat(item)]
    return []


def _array(tensor: Any) -> Any:
    return np.array(_view(tensor.cpu()))


def _view(tensor: Any) -> Any:
    """Return a tensor on the CPU as NumPy sees it, without a copy where that can be.

    Raises:
        ConfigurationError: for a dtype or a layout that NumPy does not have.
    """
    try:
        return tensor.detach().resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError) as error:
        raise ConfigurationError(
            f"a tensor of {tensor.dtype} in the layout {tensor.layout} cannot be checked, for "
            "NumPy has no such array; check with dense float32 or float64 tensors"
        ) from error


def _seen(tensor: Any) -> Any:
    return _view(tensor) if tensor.device.type == "cpu" else _array(tensor)


class TorchProblem(Problem):
    """A function of PyTorch tensors, with the parameters and buffers of its modules."""

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Any],
        options: dict[str, Any],
        modules: Mapping[str, Any],
        name: str,
        training: bool | None,
        checked: Sequence[str] | None,
    ) -> None:
        self.torch = importlib.import_module("torch")
        self.function, self.options, self.name = function, options, name
        self.modules = modules
        self.runs = 0
        self.random = self.torch.random.get_rng_state()
        self.training = training
        self.mode = "" if training is None else "train" if training else "eval"
        self.given = [
            self.torch.as_tensor(v) if isinstance(v, (np.ndarray, list)) else v for v in inputs
        ]
        self.slots = []
        for index, given in enumerate(self.given):
            tensor = isinstance(given, self.torch.Tensor)
            value = _array(given) if tensor else given
            label = "input" if len(self.given) == 1 else f"input {index}"
            device = str(given.device) if tensor else "cpu"
            self.slots.append(Slot(label, value, is_checkable(value), device))
        self.parameters: dict[str, Any] = {}
        self.buffers: list[Any] = []
        for prefix, module in modules.items():
            self.parameters |= {prefix + k: p for k, p in module.named_parameters()}
            self.buffers += list(module.buffers())
        for label, parameter in self.parameters.items():
            self.slots.append(
                Slot(label, _array(parameter), parameter.requires_grad, str(parameter.device))
            )
        if checked is not None:
            for slot in self.slots:
                slot.checked = slot.checked and slot.name in checked

    @contextmanager
    def _set(self, values: Sequence[Any], double: bool) -> Iterator[None]:
        torch = self.torch
        held = [*self.parameters.values(), *self.buffers]
        data = [(t, t.data, t.grad) for t in held]
        contents = [(t, t.detach().clone()) for t in self.buffers]
        modes = [(m, m.training) for root in self.modules.values() for m in root.modules()]
        state = torch.random.get_rng_state()
        dtype = torch.get_default_dtype()
        try:
            for tensor in held:
                tensor.grad = None
            for tensor, value in zip(self.parameters.values(), values, strict=True):
                if double:
                    tensor.data = torch.from_numpy(np.array(value))
                else:
                    tensor.data = torch.as_tensor(value, dtype=tensor.dtype, device=tensor.device)
            for buffer in self.buffers:
                if double:
                    moved = buffer.detach().cpu().clone()
                    buffer.data = moved.double() if moved.is_floating_point() else moved
            if self.training is not None:
                for module, _ in modes:
                    module.training = self.training
            if double:
                torch.set_default_dtype(torch.float64)
            torch.random.set_rng_state(self.random)
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.random.set_rng_state(state)
            for tensor, array, grad in data:
                tensor.data = array
                tensor.grad = grad
            for buffer, content in contents:
                buffer.data.copy_(content)
            for module, training in modes:
                module.training = training

    def evaluate(self, values: Sequence[Any]) -> list[Array]:
        """Call the function with everything in float64 (or complex128) on the CPU."""
        count = len(self.given)
        inputs = [
            self.torch.from_numpy(np.array(v)) if isinstance(v, np.ndarray) else v
            for v in values[:count]
        ]
        with self._set(values[count:], True), self.torch.no_grad():
            outputs = _flat(self.function(*inputs, **self.options))
            return [_array(t) for t in outputs]

    def run(
        self, values: Sequence[Any], cotangents: Sequence[Any], nudge: Rng | None = None
    ) -> AnalyticRun:
        """Call the function and let PyTorch walk back from all of its outputs."""
        torch = self.torch
        count = len(self.given)
        inputs = []
        for given, slot, value in zip(self.given, self.slots, values, strict=False):
            if not isinstance(given, torch.Tensor):
                inputs.append(value)
                continue
            tensor = torch.as_tensor(np.array(value)).to(given.dtype).to(given.device)
            inputs.append(tensor.requires_grad_(slot.checked))
        with self._set(values[count:], False):
            leaves = [*inputs, *self.parameters.values()]
            watched = [
                (slot.name, leaf)
                for slot, leaf in zip(self.slots, leaves, strict=True)
                if isinstance(leaf, torch.Tensor)
            ]
            before = [bits(_array(leaf)) for _, leaf in watched]
            outputs = _flat(self.function(*inputs, **self.options))
            # A backward draws no random numbers; one that does gives others each time.
            self.runs += 1
            torch.random.default_generator.manual_seed(self.runs)
            roots = [
                (t, torch.as_tensor(np.array(c)).to(t.dtype).to(t.device))
                for t, c in zip(outputs, cotangents, strict=True)
                if c is not None and t.requires_grad
            ]
            watched += [("dY", c) for _, c in roots]
            before += [bits(_array(c)) for _, c in roots]
            if not roots:
                raise GradientError(
                    f"{self.name}: no output depends on an input or parameter that asks for a "
                    "gradient, so there is nothing to check"
                )
            asked = [
                leaf
                for slot, leaf in zip(self.slots, leaves, strict=True)
                if slot.checked and isinstance(leaf, torch.Tensor) and leaf.requires_grad
            ]
            try:
                found = torch.autograd.grad(
                    [t for t, _ in roots], asked, [c for _, c in roots], allow_unused=True
                )
            except RuntimeError as error:
                if "invalid gradient" in str(error) or "number of gradients" in str(error):
                    raise GradientError(f"{self.name}: {error}") from error
                raise
            by_leaf = {id(leaf): g for leaf, g in zip(asked, found, strict=True)}
            gradients = [by_leaf.get(id(leaf)) for leaf in leaves]
            kept = [(n, _seen(t), was) for (n, t), was in zip(watched, before, strict=True)]
            named = [(output_name(i, len(outputs)), _seen(t)) for i, t in enumerate(outputs)]
            return AnalyticRun(
                [_array(t) for t in outputs],
                [None if g is None else _array(g) for g in gradients],
                ["cpu" if g is None else str(g.device) for g in gradients],
                memory_findings(kept, named, [], True),
            )


def _in_dtype(torch: Any, value: Any, dtype: Any) -> Any:
    if not isinstance(value, (np.ndarray, list)):
        return value
    tensor = torch.as_tensor(value)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def torch_problems(
    target: Any,
    inputs: Sequence[Any],
    options: dict[str, Any],
    loss: Any,
    modes: Sequence[str],
    checked: Sequence[str] | None,
) -> list[Problem]:
    """Return the problems to check for a module or function of PyTorch."""
    torch = importlib.import_module("torch")
    if isinstance(target, tuple) and len(target) == 2:
        target, loss = target
    if inspect.isclass(target) and issubclass(target, torch.autograd.Function):
        name, apply = target.__name__, getattr(target, "apply")  # noqa: B009
        return [TorchProblem(apply, inputs, options, {}, name, None, checked)]
    name = getattr(target, "__name__", type(target).__name__)
    modules = {"": target} if isinstance(target, torch.nn.Module) else {}
    function = target
    own = {p.dtype for p in target.parameters()} if modules else set()
    if len(own) == 1:
        # Plain arrays and lists take the model's dtype; a tensor is taken as it is.
        inputs = [_in_dtype(torch, value, own.copy().pop()) for value in inputs]
    if loss is not None:
        demand_target(name, inputs)
        if isinstance(loss, torch.nn.Module):
            modules["loss."] = loss
        name += f" with {getattr(loss, '__name__', type(loss).__name__)}"

        def function(*items: Any, **options: Any) -> Any:
            *xs, wanted = items
            return loss(target(*xs, **options), wanted)

    if not modules:
        return [TorchProblem(function, inputs, options, {}, name, None, checked)]
    return [
        TorchProblem(function, inputs, options, modules, name, mode == "train", checked)
        for mode in modes
    ]
