"""What Keras' layers do and ours do not: channels that come last, padding called "same"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnscratch import nn
from nnscratch.nn import functional as F
from nnscratch.tensors.creation import ones_like
from nnscratch.tensors.functions import cat
from nnscratch.tensors.ops.moving import flip


class KerasLayer(nn.Module):
    """A layer on images (N, H, W, C) or sequences (N, T, C), with an activation behind it.

    Args:
        inner: the layer, whose channels are axis 1.
        activation: what follows; None for nothing.
        channels_last: whether the input's channels are its last axis.
        same: (kernel sizes, strides, dilations) of padding "same": the output is ceil(H / stride)
            long, and of an odd number of zeros the larger half comes behind.
        pad: the value of the padding; None for averages, which count no padding.
    """

    def __init__(
        self,
        inner: nn.Module,
        activation: nn.Module | None = None,
        channels_last: bool = False,
        same: tuple[Sequence[int], Sequence[int], Sequence[int]] | None = None,
        pad: float | None = 0.0,
    ) -> None:
        """Take the parts."""
        super().__init__()
        self.inner = inner
        self.activation = activation
        self.channels_last, self.same, self.pad = channels_last, same, pad

    def forward(self, x: Any) -> Any:
        """Return the output, with its channels where the input has them."""
        turn = self.channels_last and x.ndim > 2
        y = x.movedim(-1, 1) if turn else x
        y = self._padded(y)
        y = y.movedim(1, -1) if turn else y
        return y if self.activation is None else self.activation(y)

    def _padded(self, x: Any) -> Any:
        if self.same is None:
            return self.inner(x)
        padding: list[int] = []
        for size, kernel, stride, dilation in zip(x.shape[2:], *self.same, strict=True):
            reach = (kernel - 1) * dilation + 1
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            padding = [total // 2, total - total // 2, *padding]
        made = self.inner(F.pad(x, padding, value=self.pad or 0.0))
        if self.pad is None:
            made = made / self.inner(F.pad(ones_like(x), padding))
        return made


class KerasNorm(nn.Module):
    """A batch norm of the channels on any axis, by the statistics over all other axes."""

    def __init__(self, inner: nn.BatchNorm1d, axis: int) -> None:
        """Take the norm and the axis of the channels."""
        super().__init__()
        self.inner, self.axis = inner, axis

    def forward(self, x: Any) -> Any:
        """Return the normalised input."""
        last = x.movedim(self.axis, -1)
        made = self.inner(last.reshape(-1, last.shape[-1])).reshape(last.shape)
        return made.movedim(-1, self.axis)


class KerasRecurrent(nn.Module):
    """A recurrent layer (N, T, C) that returns all outputs, or the last of each direction."""

    def __init__(self, inner: Any, sequences: bool, backwards: bool = False) -> None:
        """Take the layer, whether all outputs are wanted, and whether it reads backwards."""
        super().__init__()
        self.inner, self.sequences, self.backwards = inner, sequences, backwards

    def forward(self, x: Any) -> Any:
        """Return (N, T, H), or (N, H) of the last step."""
        y, _ = self.inner(flip(x, (1,)) if self.backwards else x)
        if self.sequences:
            return y
        if not self.inner.bidirectional:
            return y[:, -1]
        width = y.shape[-1] // 2
        return cat([y[:, -1, :width], y[:, 0, width:]], dim=-1)


class KerasFunction(nn.Module):
    """A layer without weights: a function of its inputs."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        """Take the name of Keras' layer and what it computes."""
        super().__init__()
        self.name, self.function = name, function

    def forward(self, *inputs: Any) -> Any:
        """Return the function of the inputs."""
        return self.function(*inputs)

    def extra_repr(self) -> str:
        """Return the name."""
        return self.name


class KerasModel(nn.Module):
    """The layers of a Keras model, and which takes what.

    Attributes:
        layers: by Keras' names.
        config: what ``config.json`` said, which is written back.

    Args:
        layers: by Keras' names.
        steps: for each layer that runs, in order: its name and those of its inputs.
        inputs: the names of the model's inputs, in order.
        outputs: the names of the layers whose outputs it returns.
        config: what ``config.json`` said.
    """

    def __init__(
        self,
        layers: dict[str, nn.Module],
        steps: list[tuple[str, list[str]]],
        inputs: list[str],
        outputs: list[str],
        config: dict[str, Any],
    ) -> None:
        """Take the parts."""
        super().__init__()
        self.layers = nn.ModuleDict({attribute_name(name): layer for name, layer in layers.items()})
        self.config = config
        self._steps, self._inputs, self._outputs = steps, inputs, outputs

    def forward(self, *inputs: Any) -> Any:
        """Return the outputs; of a model with one output that alone."""
        if len(inputs) != len(self._inputs):
            raise TypeError(f"expected {len(self._inputs)} inputs, got {len(inputs)}")
        values = dict(zip(self._inputs, inputs, strict=True))
        for name, given in self._steps:
            values[name] = self.layers[attribute_name(name)](*(values[one] for one in given))
        made = tuple(values[name] for name in self._outputs)
        return made[0] if len(made) == 1 else made


def attribute_name(name: str) -> str:
    """Return a layer's name as a module may have it."""
    return name.replace(".", "_").replace("/", "_") or "layer"
