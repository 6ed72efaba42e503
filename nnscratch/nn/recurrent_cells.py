"""One step of a recurrent layer: RNNCell, LSTMCell and GRUCell."""

from __future__ import annotations

import math
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn import init
from nnscratch.nn.module import Module
from nnscratch.nn.options import need_one_dtype
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import empty, zeros

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What cells have in common: parameters uniform in ±1/sqrt(H), and shapes."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters from a generator, the default one unless another is given."""
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        wide, place = num_chunks * hidden_size, {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(empty(wide, input_size, **place))
        self.weight_hh = Parameter(empty(wide, hidden_size, **place))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(wide, **place)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw all parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, generator)

    def _inputs(self, input: Any, hx: Any, count: int) -> tuple[bool, list[Tensor]]:
        """Return whether there is a batch, and the input (1, B, I) and states (B, H)."""
        name, x = type(self).__name__, as_tensor(input)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: expected an input (batch, {self.input_size}) or ({self.input_size},), "
                f"got shape {x.shape}"
            )
        need_one_dtype(name, x, weights=self._parameters["weight_ih"])
        batched = x.ndim == 2
        x = x if batched else x.unsqueeze(0)
        wanted = (x.shape[0], self.hidden_size)
        if hx is None:
            made = zeros(*wanted, dtype=x.dtype, device=x.device)
            return batched, [x.unsqueeze(0), *[made] * count]
        states = [as_tensor(one) for one in (hx if count > 1 else (hx,))]
        states = [one if batched else one.unsqueeze(0) for one in states]
        for one in states:
            if tuple(one.shape) != wanted:
                raise ShapeError(
                    f"{name}: expected a state of shape {wanted if batched else wanted[1:]}, got "
                    f"{one.shape if batched else one.shape[1:]}"
                )
        return batched, [x.unsqueeze(0), *states]

    def _weights(self) -> list[Any]:
        own = self._parameters
        return [own["weight_ih"], own["weight_hh"], own["bias_ih"], own["bias_hh"]]

    def extra_repr(self) -> str:
        """Return the sizes, and the options that are not their defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        if not self.bias:
            shown.append(f"bias={self.bias}")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            shown.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(shown)


class RNNCell(RNNCellBase):
    r"""$h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})$.

    Args:
        input_size: the features I of the input.
        hidden_size: H.
        bias: whether there are the two b.
        nonlinearity: "tanh" or "relu".

    >>> from nnscratch import nn, zeros
    >>> nn.RNNCell(3, 5)(zeros(7, 3)).shape
    (7, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters."""
        super().__init__(input_size, hidden_size, bias, 1, device, dtype, generator=generator)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        """Return the next state (B, H) of inputs (B, I) and a state, 0 unless given.

        Raises:
            ShapeError: if they do not fit.
            ConfigurationError: for another nonlinearity.
        """
        if self.nonlinearity not in ("tanh", "relu"):
            raise ConfigurationError(
                f"RNNCell: nonlinearity is 'tanh' or 'relu', got {self.nonlinearity!r}"
            )
        batched, inputs = self._inputs(input, hx, 1)
        options = {"nonlinearity": self.nonlinearity}
        made: Any = apply(f.RNN, *inputs, *self._weights(), None, **options)
        h: Tensor = made[1]
        return h if batched else h[0]


class LSTMCell(RNNCellBase):
    r"""One step of ``LSTM``: $c' = f \odot c + i \odot g$ and $h' = o \odot \tanh c'$.

    Args:
        input_size: the features I of the input.
        hidden_size: H.
        bias: whether there are biases.

    >>> from nnscratch import nn, zeros
    >>> h, c = nn.LSTMCell(3, 5)(zeros(7, 3))
    >>> h.shape, c.shape
    ((7, 5), (7, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters."""
        super().__init__(input_size, hidden_size, bias, 4, device, dtype, generator=generator)

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        """Return the next state and cells (B, H) of inputs (B, I) and a pair of both, 0 for None.

        Raises:
            ShapeError: if they do not fit.
        """
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise ShapeError(f"LSTMCell: the states are a pair (h, c), got {type(hx).__name__}")
        batched, inputs = self._inputs(input, hx, 2)
        made: Any = apply(f.LSTM, *inputs, *self._weights(), None, None)
        _, h, c = made
        return (h, c) if batched else (h[0], c[0])


class GRUCell(RNNCellBase):
    r"""One step of ``GRU``: $h' = (1 - z) \odot n + z \odot h$.

    Args:
        input_size: the features I of the input.
        hidden_size: H.
        bias: whether there are biases.

    >>> from nnscratch import nn, zeros
    >>> nn.GRUCell(3, 5)(zeros(7, 3)).shape
    (7, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters."""
        super().__init__(input_size, hidden_size, bias, 3, device, dtype, generator=generator)

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        """Return the next state (B, H) of inputs (B, I) and a state, 0 unless given.

        Raises:
            ShapeError: if they do not fit.
        """
        batched, inputs = self._inputs(input, hx, 1)
        made: Any = apply(f.GRU, *inputs, *self._weights(), None)
        h: Tensor = made[1]
        return h if batched else h[0]
