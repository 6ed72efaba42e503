"""Multilayer perceptrons from a description, which is saved with the weights."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from nnscratch import nn
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import FORMULAS
from nnscratch.train.architectures import Architecture, fraction, whole


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


@dataclass(frozen=True)
class MLP(Architecture):
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
    kind: ClassVar[str] = "mlp"

    def __post_init__(self) -> None:
        whole(inputs=self.inputs, outputs=self.outputs)
        for size in self.hidden:
            whole(hidden=size)
        if self.activation not in ACTIVATIONS:
            raise ConfigurationError(
                f"there is no activation {self.activation!r}; choose from {', '.join(ACTIVATIONS)}"
            )
        fraction(dropout=self.dropout)

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

    @property
    def summary(self) -> str:
        """The sizes of the layers, the activation and the dropout."""
        sizes = "-".join(map(str, (self.inputs, *self.hidden, self.outputs)))
        return f"MLP {sizes}, {self.activation}, dropout {self.dropout:g}"
