"""Writes down steps of a model of ours or of PyTorch's: one text, since names are the same."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.interop.comparing.copies import (
    copy_of_model,
    copy_of_optimizer,
    scalars_of_64_bits,
)
from nnscratch.interop.comparing.noise import rounding
from nnscratch.interop.comparing.steps import (
    NO_OPTIMIZER,
    StepLog,
    name_of,
    optimizer_settings,
    plain_settings,
)
from nnscratch.interop.keras.modules import KerasModel
from nnscratch.tensors import Tensor


def record_steps(
    model: Any,
    batch: Any,
    loss: Any = None,
    optimizer: Any = None,
    steps: int = 1,
    *,
    exact: bool = True,
    rates: Sequence[float] | None = None,
) -> StepLog:
    """Return the log of training steps of a model, which itself stays as it is.

    Args:
        model: one of ours, a ``torch.nn.Module``, or a Keras model.
        batch: the inputs and, behind them, the target: ``(x, y)``; arrays or tensors of any kind.
            Without a loss there is no target.
        loss: what is called with the output and the target; without one the output is multiplied by
            fixed random numbers and added up, so that every element of it has a gradient.
        optimizer: an optimizer of the model's parameters, which stays as it is; without one there
            is one step, and no parameter moves.
        steps: how many steps, with the same batch.
        exact: whether to compute in float64, so that rounding hides nothing. Keras computes in its
            own dtype.
        rates: the learning rate of each step; None to leave it.

    Raises:
        ConfigurationError: if the model is of no known kind, it or the loss raises, the batch or
            the output has no numbers, or there are no steps or fewer rates than steps.

    >>> model = nn.Sequential(nn.Linear(2, 1), nn.Tanh())
    >>> log = record_steps(model, (np.ones((3, 2)),))
    >>> [path for path, _ in log.named(0, "forward", "output")]
    ['0', '1', '']
    """
    if steps < 1:
        raise ConfigurationError(f"expected 1 step or more, got steps={steps}")
    if rates is not None and optimizer is not None and len(rates) < steps:
        raise ConfigurationError(f"there are {steps} steps, and only {len(rates)} rates")
    torch = sys.modules.get("torch")
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        from nnscratch.interop.comparing.of_keras import record_keras

        return record_keras(model, batch, loss, optimizer, steps, rates)
    if isinstance(model, nn.Module):
        return _Recording("nnscratch", Tensor).log(
            model, batch, loss, optimizer, steps, exact, rates
        )
    if torch is not None and isinstance(model, torch.nn.Module):
        return _Recording("PyTorch", torch.tensor).log(
            model, batch, loss, optimizer, steps, exact, rates
        )
    raise ConfigurationError(
        f"expected a module of ours, a torch.nn.Module or a Keras model, got {type(model).__name__}"
    )


def values_of(item: Any) -> np.ndarray:
    """Return a copy of the values of a tensor of any library."""
    if hasattr(item, "detach"):
        item = item.detach()
    if hasattr(item, "cpu"):
        item = item.cpu()
    if str(getattr(item, "dtype", "")).endswith("bfloat16"):
        item = item.float()
    return np.array(item.numpy() if hasattr(item, "numpy") else item, copy=True)


def cotangent(shape: tuple[int, ...]) -> np.ndarray:
    """Return the numbers by which outputs are multiplied where there is no loss."""
    return np.random.default_rng(0).normal(size=shape)


def named_parts(value: Any, name: str = "output") -> dict[str, Any]:
    """Return the tensors and numbers in what a model returns, by names.

    Those of a tuple are counted, those of a dictionary or a dataclass have their keys. What is
    neither a number nor a tensor is there as it is.

    >>> named_parts((1.5, [2.5, None], {"a": 3.5}))
    {'output': 1.5, 'output1': 2.5, 'output.a': 3.5}
    """
    found: dict[str, Any] = {}
    _add_parts(value, name, found)
    return found


def _add_parts(value: Any, name: str, found: dict[str, Any]) -> None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        for key, part in value.items():
            _add_parts(part, f"{name}.{str(key).replace('/', '%2F')}", found)
    elif isinstance(value, (tuple, list)):
        for part in value:
            _add_parts(part, name, found)
    elif value is not None:
        number = next(n for n in itertools.count() if f"{name}{n or ''}" not in found)
        found[f"{name}{number or ''}"] = value


def tensors_in(value: Any) -> list[Any]:
    """Return all tensors in a value, in order."""
    return [one for one in named_parts(value).values() if hasattr(one, "register_hook")]


def batch_values(batch: Any, targets: int) -> list[np.ndarray]:
    """Return the arrays of a batch, the last ``targets`` of which are no inputs.

    Raises:
        ConfigurationError: if one is no array of numbers, or the inputs have no elements.
    """
    parts = batch if isinstance(batch, (tuple, list)) else (batch,)
    found = [values_of(one) for one in parts]
    for array, part in zip(found, parts, strict=True):
        if array.dtype.kind not in "biufc":
            raise ConfigurationError(
                f"expected a batch (x, y) of arrays or tensors, got a {type(part).__name__} in it"
            )
    inputs = found[: len(found) - targets]
    if not inputs or not any(one.size for one in inputs):
        raise ConfigurationError("the batch has no elements, so that nothing could be compared")
    return found


class StoppedError(ConfigurationError):
    """A model that raised, with the log up to there.

    Attributes:
        log: what happened before.
    """

    def __init__(self, said: str, log: StepLog) -> None:
        """Take what is said, and the log."""
        super().__init__(said)
        self.log = log


class _Recording:
    """One log as it is written."""

    def __init__(self, source: str, make: Callable[[Any], Any]) -> None:
        self._log = StepLog(source)
        self._make = make
        self._step = 0
        self._exact = False

    def log(
        self,
        model: Any,
        batch: Any,
        loss: Any,
        optimizer: Any,
        steps: int,
        exact: bool,
        rates: Sequence[float] | None,
    ) -> StepLog:
        """Take the steps with copies of everything."""
        original, model = model, copy_of_model(model)
        self._exact = exact
        loss = copy.deepcopy(loss) if hasattr(loss, "parameters") else loss
        # As they are, before they become float64: so that another dtype is seen.
        for name, tensor in self._state(original):
            self._keep("weights", name, "", tensor)
        if exact:
            model.double()
            if hasattr(loss, "double"):
                loss.double()
        mine = None if optimizer is None else copy_of_optimizer(optimizer, original, model)
        self._watch(model)
        floats = (p.dtype for p in model.parameters() if values_of(p).dtype.kind == "f")
        dtype = None if exact else next(floats, None)
        given = [self._given(one, dtype) for one in batch_values(batch, int(loss is not None))]
        for step in range(steps if mine is not None else 1):
            self._step = step
            if rates is not None and mine is not None:
                for group in mine.param_groups:
                    group["lr"] = rates[self._step]
            self._take(model, given, loss, mine)
        if loss is not None and hasattr(loss, "parameters"):
            self._log.settings["loss"] = plain_settings(loss)
        self._log.loss = loss
        if optimizer is not None:
            self._keep_groups(original, optimizer, rates)
        return self._log

    def _keep_groups(self, model: Any, optimizer: Any, rates: Sequence[float] | None) -> None:
        """Write down the settings of the first group, and of each parameter of the others."""
        names = {id(p): self._name(model, name) for name, p in model.named_parameters()}
        for number, group in enumerate(optimizer.param_groups):
            settings = optimizer_settings(optimizer, group)
            if rates is not None:
                settings["rates"] = list(rates)
            if not number:
                self._log.settings["optimizer"] = settings
                continue
            for parameter in group["params"]:
                self._log.settings[f"optimizer/{names[id(parameter)]}"] = settings
        self._log.settings["optimizer state"] = {"parameters": len(optimizer.state)}
        moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for key, name in names.items():
            if key not in moved:
                self._log.settings[f"optimizer/{name}"] = {"class": NO_OPTIMIZER}

    def _given(self, values: np.ndarray, dtype: Any) -> Any:
        """Return a tensor of float64, or of the model's dtype where it stays what it is."""
        if values.dtype.kind == "f" and dtype is None:
            return self._make(values.astype(np.float64))
        made = self._make(values)
        return made.to(dtype) if values.dtype.kind == "f" else made

    def _take(self, model: Any, given: list[Any], loss: Any, optimizer: Any) -> None:
        model.zero_grad()
        output = self._called("model", model, *(given if loss is None else given[:-1]))
        parts = named_parts(output)
        for name, one in parts.items():
            if not (hasattr(one, "register_hook") or values_of(one).dtype.kind in "biufc"):
                raise ConfigurationError(
                    f"the {name} of {self._log.source}'s model is a {type(one).__name__}, which "
                    "cannot be compared"
                )
        if not parts:
            raise ConfigurationError(
                f"{self._log.source}'s model returned a {type(output).__name__}, in which there is "
                "no number"
            )
        if loss is None:
            value = sum(map(self._weighed, tensors_in(output)))
        else:
            self._keep("forward", "", "target", given[-1])
            value = self._called("loss", loss, output, given[-1])
            if values_of(value).size != 1:
                raise ConfigurationError(
                    f"the loss of {self._log.source} has the shape {tuple(value.shape)}; expected "
                    "one number"
                )
        if not isinstance(value, int):  # the sum of nothing
            self._keep("loss", "", "", value)
        if getattr(value, "requires_grad", False):
            self._called("backward of the model", value.backward)
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                self._keep("gradient", self._name(model, name), "", parameter.grad)
        if optimizer is not None:
            if self._exact:
                self._clear_noise(model)
            with scalars_of_64_bits(self._exact and self._log.source == "PyTorch"):
                self._called("optimizer", optimizer.step)
            for name, tensor in self._state(model):
                self._keep("update", name, "", tensor)

    def _clear_noise(self, model: Any) -> None:
        """Take gradients that are 0 but for rounding as 0.

        Optimizers divide by the size of a gradient, and would make other steps of each rounding.
        """
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                continue
            values = values_of(parameter.grad)
            path = self._name(model, name)
            small = np.abs(values) <= rounding(self._log, self._step, path, values)
            if (small & (values != 0)).any():
                parameter.grad.copy_(self._make(np.where(small, 0.0, values)))

    def _weighed(self, tensor: Any) -> Any:
        """Return the sum of a tensor times fixed numbers; 0 of what has no gradient."""
        kind = values_of(tensor).dtype.kind
        if kind == "c":
            return self._weighed(tensor.real) + self._weighed(tensor.imag)
        if kind != "f":
            return 0
        dtype = values_of(tensor).dtype
        return (tensor * self._make(cotangent(tuple(tensor.shape)).astype(dtype))).sum()

    def _called(self, what: str, function: Callable[..., Any], *given: Any) -> Any:
        """Call, and say whose call it was that raised."""
        try:
            return function(*given)
        except Exception as error:
            reason = str(error).partition("\n")[0][:300]
            raise StoppedError(
                f"the {what} of {self._log.source} raised {type(error).__name__} in step "
                f"{self._step}: {reason}",
                self._log,
            ) from error

    def _keep(self, phase: str, path: str, what: str, tensor: Any) -> None:
        name = name_of(self._step, phase, path, what)
        self._log.arrays[name] = values_of(tensor)
        if str(getattr(tensor, "dtype", "")).endswith("bfloat16"):
            self._log.dtypes[name] = "bfloat16"

    def _state(self, model: Any) -> list[tuple[str, Any]]:
        found = [*model.named_parameters(), *model.named_buffers()]
        return [(self._name(model, name), tensor) for name, tensor in found]

    def _name(self, model: Any, name: str) -> str:
        """Return a path; in a model of Keras' the layers have Keras' names."""
        if not isinstance(model, KerasModel):
            return name
        parts = name.removeprefix("layers").removeprefix(".").split(".")
        return ".".join(part for n, part in enumerate(parts) if n != 1 or part != "inner")

    def _watch(self, model: Any) -> None:
        for name, module in model.named_modules():
            path = self._name(model, name)
            if isinstance(model, KerasModel) and name.count(".") != bool(name):
                continue  # "layers" and what lies in a layer of Keras'
            self._log.modules.setdefault(path, module)
            settings = plain_settings(module)
            self._log.settings[path] = {**self._log.settings.get(path, {}), **settings}
            module.register_forward_hook(self._hook(path))

    def _hook(self, path: str) -> Callable[..., None]:
        def after(module: Any, inputs: Any, output: Any) -> None:
            again, number = "", 1
            while name_of(self._step, "forward", path + again, "output") in self._log.arrays:
                number += 1
                again = f"[call {number}]"
            for one in tensors_in(inputs)[:1]:
                self._keep("forward", path + again, "input", one)
            for what, one in named_parts(output).items():
                if hasattr(one, "register_hook") or values_of(one).dtype.kind in "biufc":
                    self._keep("forward", path + again, what, one)
                if getattr(one, "requires_grad", False):
                    one.register_hook(self._gradient_hook(path + again, what))

        return after

    def _gradient_hook(self, path: str, what: str) -> Callable[[Any], None]:
        def keep(gradient: Any) -> None:
            self._keep("backward", path, what, gradient)

        return keep
