"""Multilayer perceptrons from a description, which is saved with the weights."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from nnscratch import nn
from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.formulas import FORMULAS


class _Activations(Mapping[str, str]):
    """Return the activation modules that may follow a layer, by the name of their formula.

    These are the activations that can be made without arguments. It is a view: one that somebody
    makes later is in it.
    """

    def __iter__(self) -> Iterator[str]:
        return (name for name in FORMULAS if self._module(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> str:
        found = self._module(name)
        if not found:
            raise KeyError(name)
        return found

    @staticmethod
    def _module(name: str) -> str:
        made = FORMULAS.get(name)
        public = None if made is None else made.public
        if made is None or public is None or public.kind != "activation":
            return ""
        options = {} if made.pointwise is None else made.pointwise.options
        return "" if inspect.Parameter.empty in options.values() else public.module


ACTIVATIONS = _Activations()
_MOST = 1 << 20


@dataclass(frozen=True)
class MLP:
    """The description of a multilayer perceptron: linear layers with activations between them.

    Args:
        inputs: how many features it takes.
        hidden: how many units each hidden layer has.
        outputs: how many numbers it gives.
        activation: behind each hidden layer, one of ``ACTIVATIONS``.
        dropout: behind each activation, the share that is dropped in training.

    Raises:
        ConfigurationError: if a size or name makes no sense.
    """

    inputs: int
    hidden: tuple[int, ...]
    outputs: int
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for size in (self.inputs, *self.hidden, self.outputs):
            if type(size) is not int or not 1 <= size <= _MOST:
                raise ConfigurationError(
                    f"a layer needs a whole number of units from 1 to {_MOST:,}, got {size!r}"
                )
        if self.activation not in ACTIVATIONS:
            raise ConfigurationError(
                f"there is no activation {self.activation!r}; choose from {', '.join(ACTIVATIONS)}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigurationError(f"dropout must be from 0 to below 1, got {self.dropout}")

    def build(self) -> nn.Sequential:
        """Return the model, its weights drawn from the default generator.

        >>> model = MLP(4, (8,), 2).build()
        >>> [tuple(p.shape) for p in model.parameters()]
        [(8, 4), (8,), (2, 8), (2,)]
        """
        layers: list[nn.Module] = []
        width = self.inputs
        for units in self.hidden:
            layers += [nn.Linear(width, units), getattr(nn, ACTIVATIONS[self.activation])()]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
            width = units
        return nn.Sequential(*layers, nn.Linear(width, self.outputs))

    @property
    def parameters(self) -> int:
        """The number of the model's weights and biases, without PReLU's slopes."""
        sizes = (self.inputs, *self.hidden, self.outputs)
        return sum((a + 1) * b for a, b in pairwise(sizes))

    def to_dict(self) -> dict[str, Any]:
        """What ``from_dict`` reads, in plain JSON types."""
        return {"kind": "mlp", **asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, value: Any) -> MLP:
        """Read what ``to_dict`` wrote.

        Raises:
            CheckpointError: if it is something else.
        """
        wanted = {"kind", "inputs", "hidden", "outputs", "activation", "dropout"}
        if not isinstance(value, Mapping) or set(value) != wanted or value["kind"] != "mlp":
            raise CheckpointError(f"expected the description of an MLP, found {str(value)[:80]!r}")
        try:
            made = cls(
                value["inputs"],
                tuple(value["hidden"]),
                value["outputs"],
                value["activation"],
                float(value["dropout"]),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"the description of an MLP is damaged: {error}") from None
        if made.parameters > 1 << 31:
            raise CheckpointError(f"an MLP of {made.parameters:,} parameters is not plausible")
        return made
