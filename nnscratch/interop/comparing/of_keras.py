"""Writes down steps of a Keras model, in our names and layouts.

Gradients and steps are taken where Keras runs on PyTorch (``KERAS_BACKEND=torch``); on its other
backends the log has the weights, what each layer returned, and the loss.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.errors import CheckpointError
from nnscratch.interop.comparing.recording import batch_values, cotangent, values_of
from nnscratch.interop.comparing.steps import StepLog, name_of
from nnscratch.interop.keras.files import load_model
from nnscratch.interop.keras.layouts import from_keras

_OTHER_NAMES = {"learning_rate": "lr", "epsilon": "eps"}


def record_keras(
    model: Any,
    batch: Any,
    loss: Any,
    optimizer: Any,
    steps: int,
    rates: Sequence[float] | None,
) -> StepLog:
    """Return the log of training steps of a copy of a Keras model.

    Args:
        model: the model.
        batch: the inputs and, behind them, the target.
        loss: what is called with the target and the output, as Keras' losses are.
        optimizer: of Keras; a new one with its settings is used.
        steps: how many steps.
        rates: the learning rate of each step; None to leave it.
    """
    return _KerasRecording(model).log(batch, loss, optimizer, steps, rates)


class _KerasRecording:
    """One log as it is written."""

    def __init__(self, model: Any) -> None:
        self._keras: Any = sys.modules["keras"]
        self._model = self._keras.models.clone_model(model)
        self._model.set_weights(model.get_weights())
        self._log = StepLog("Keras")
        self._twin = self._twin_of(self._model)
        self._step = 0
        self._torch = sys.modules["torch"] if self._keras.backend.backend() == "torch" else None

    def _twin_of(self, model: Any) -> dict[str, nn.Module]:
        """Return our layers by Keras' names; none if one of them is not read here."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            model.save(path)
            try:
                made = load_model(path)
            except CheckpointError:
                return {}
        return {
            name: getattr(layer, "inner", layer) for name, layer in made.layers.named_children()
        }

    def log(
        self,
        batch: Any,
        loss: Any,
        optimizer: Any,
        steps: int,
        rates: Sequence[float] | None,
    ) -> StepLog:
        """Take the steps."""
        mine = None if optimizer is None else type(optimizer).from_config(optimizer.get_config())
        if optimizer is not None:
            config = optimizer.get_config()
            self._log.settings["optimizer"] = {"class": f"Keras' {type(optimizer).__name__}"} | {
                _OTHER_NAMES.get(k, k): v
                for k, v in config.items()
                if isinstance(v, (int, float, bool))
            }
        self._state("weights")
        for layer in self._model.layers:
            settings = {"class": type(layer).__name__}
            if hasattr(layer, "epsilon"):
                settings["eps"] = layer.epsilon
            self._log.settings[layer.name] = settings
            layer.call = self._watched(layer.name, layer.call)
        parts = batch_values(batch, int(loss is not None))
        count = steps if mine is not None and self._torch is not None else 1
        for step in range(count):
            self._step = step
            if mine is not None and rates is not None:
                mine.learning_rate = rates[self._step]
            self._take(parts, loss, mine)
        return self._log

    def _take(self, parts: list[np.ndarray], loss: Any, optimizer: Any) -> None:
        ops = self._keras.ops
        for variable in self._model.trainable_variables if self._torch is not None else ():
            variable.value.grad = None
        given = [ops.convert_to_tensor(one) for one in parts]
        inputs = given if loss is None else given[:-1]
        output = self._model(inputs[0] if len(inputs) == 1 else inputs, training=False)
        self._keep("forward", "", "output", output)
        if loss is None:
            weights = ops.convert_to_tensor(
                cotangent(tuple(output.shape)).astype(output_dtype(output))
            )
            value = ops.sum(output * weights)
        else:
            value = loss(given[-1], output)
        self._keep("loss", "", "", value)
        if self._torch is None:
            return
        value.backward()
        variables = self._model.trainable_variables
        self._state("gradient")
        if optimizer is not None:
            with self._torch.no_grad():
                optimizer.apply([v.value.grad for v in variables], variables)
            self._state("update")

    def _keep(self, phase: str, path: str, what: str, tensor: Any) -> None:
        self._log.arrays[name_of(self._step, phase, path, what)] = values_of(tensor)

    def _watched(self, path: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: Any, **options: Any) -> Any:
            output = call(*inputs, **options)
            if hasattr(inputs[0], "shape"):
                self._keep("forward", path, "input", inputs[0])
            if hasattr(output, "shape"):
                self._keep("forward", path, "output", output)
                if getattr(output, "requires_grad", False):
                    output.register_hook(lambda g: self._keep("backward", path, "output", g))
            return output

        return run

    def _state(self, phase: str) -> None:
        """Write down the variables, or their gradients, by our names and in our layouts."""
        for layer in self._model.layers:
            module = self._twin.get(layer.name)
            if module is None or not layer.variables:
                continue
            stored, known = {}, set()
            for place, variable in _variables(layer):
                array = values_of(variable.value)
                if phase == "gradient":
                    gradient = getattr(variable.value, "grad", None)
                    if gradient is None:
                        array = np.full_like(array, np.nan)
                    else:
                        array = values_of(gradient)
                        known.add(place)
                stored[place] = array
            for name, array in from_keras(module, stored).items():
                # Keras has one bias where there are two here, whose sum it is.
                if name.startswith("bias_hh") and not isinstance(module, nn.GRU):
                    continue
                if phase != "gradient" or not np.isnan(array).all():
                    self._keep(phase, f"{layer.name}.{name}", "", array)


def output_dtype(output: Any) -> str:
    """Return the name of the dtype of a tensor of any of Keras' backends."""
    return str(output.dtype).rpartition(".")[2]


def _variables(layer: Any) -> list[tuple[str, Any]]:
    """Return the variables of a layer by their places in Keras' files."""
    found = []
    for place, holder in (
        ("", layer),
        ("cell/", getattr(layer, "cell", None)),
        ("forward_layer/cell/", getattr(getattr(layer, "forward_layer", None), "cell", None)),
        ("backward_layer/cell/", getattr(getattr(layer, "backward_layer", None), "cell", None)),
    ):
        if holder is None:
            continue
        own = [*holder._trainable_variables, *holder._non_trainable_variables]
        found += [(f"{place}vars/{n}", v) for n, v in enumerate(own)]
    return found
