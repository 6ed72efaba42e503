"""Recurrent layers: RNN, LSTM and GRU of several layers and two directions."""

from __future__ import annotations

import math
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError, ShapeError, warn
from nnscratch.formulas import Formula
from nnscratch.nn import init
from nnscratch.nn.dropout import dropout
from nnscratch.nn.module import Module
from nnscratch.nn.options import need_one_dtype
from nnscratch.nn.parameter import Parameter
from nnscratch.nn.utils.rnn import PackedSequence, lengths_of, packed_again, padded
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import empty, tensor, zeros
from nnscratch.tensors.functions import cat, stack

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


class RNNBase(Module):
    """What recurrent layers have in common: parameters, shapes, layers and directions.

    The parameters of layer k are ``weight_ih_lk``, ``weight_hh_lk``, ``bias_ih_lk``, ``bias_hh_lk``
    and ``weight_hr_lk`` (of a projection), with ``_reverse`` behind for the other direction.
    All start uniform in ±1/sqrt(H).
    """

    formula: Formula
    cells = False

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters from a generator, the default one unless another is given."""
        super().__init__()
        name = type(self).__name__
        sizes: dict[str, Any] = {"hidden_size": hidden_size, "num_layers": num_layers}
        for label, size in sizes.items():
            if not isinstance(size, int) or size <= 0:
                raise ConfigurationError(f"{name}: {label} is an integer above 0, got {size!r}")
        if isinstance(dropout, bool) or not 0.0 <= dropout <= 1.0:
            raise ConfigurationError(f"{name}: dropout is from 0 to 1, got {dropout!r}")
        if dropout > 0 and num_layers == 1:
            warn(
                f"{name}: dropout acts behind every layer but the last, and num_layers is 1; set "
                "num_layers to 2 or more, or leave dropout out",
            )
        if proj_size and mode != "LSTM":
            raise ConfigurationError(f"{name}: proj_size is for LSTM only; leave it out")
        if not 0 <= proj_size < hidden_size:
            raise ConfigurationError(
                f"{name}: proj_size is from 0 to below hidden_size, {hidden_size}; got {proj_size}"
            )
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self.proj_size = proj_size
        out, place = proj_size or hidden_size, {"device": device, "dtype": dtype}
        wide = _GATES[mode] * hidden_size
        for layer, suffix in self._places():
            width = input_size if layer == 0 else out * self._directions
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (wide, width), "weight_hh": (wide, out)
            }  # fmt: skip
            if bias:
                shapes |= {"bias_ih": (wide,), "bias_hh": (wide,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for label, shape in shapes.items():
                made = Parameter(empty(shape, **place))
                self.register_parameter(f"{label}_l{layer}{suffix}", made)
        self.reset_parameters(generator)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _places(self) -> list[tuple[int, str]]:
        """Return the layers and directions, in the order of their states."""
        suffixes = ["", "_reverse"][: self._directions]
        return [(layer, suffix) for layer in range(self.num_layers) for suffix in suffixes]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        own = self._parameters
        found = [
            [own.get(f"{name}_l{layer}{suffix}") for name in names]
            for layer, suffix in self._places()
        ]
        return [[one for one in some if one is not None] for some in found]

    def flatten_parameters(self) -> None:
        """Do nothing: it is there for PyTorch's sake."""

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw all parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, generator)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Return the states of the last layer after each step, and the last states of all layers.

        Args:
            input: (T, B, I), (B, T, I) if ``batch_first``, (T, I) without a batch, or a
                ``PackedSequence``.
            hx: the states at the beginning, (layers · directions, B, H) also if ``batch_first``,
                (layers · directions, H) without a batch; 0 unless given. Of an LSTM it is a pair:
                states (..., proj_size or H) and cells (..., H).

        Returns:
            The outputs (T, B, directions · H) in the form of the input, the other direction behind
            the first one, and the last states in the form of ``hx``.

        Raises:
            ShapeError: if the input or the states do not fit, or there is no step.
            DTypeError: if the input has another dtype than the weights.
        """
        packed = isinstance(input, PackedSequence)
        x = input.data if isinstance(input, PackedSequence) else as_tensor(input)
        self._check_input(x, packed)
        lengths = None
        batched = packed or x.ndim == 3
        if isinstance(input, PackedSequence):
            sizes = lengths_of(input)
            x, lengths = padded(x, sizes, int(sizes[0])), tensor(sizes, device=x.device)
        elif not batched:
            x = x.unsqueeze(1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        if x.shape[0] == 0:
            raise ShapeError(f"{type(self).__name__}: expected at least one step, got none")
        order = input.sorted_indices if isinstance(input, PackedSequence) else None
        states = self._states(hx, x, batched, order)
        y, last = self._run(x, states, lengths)
        if isinstance(input, PackedSequence):
            out: Any = PackedSequence(
                packed_again(y, sizes), input.batch_sizes, order, input.unsorted_indices
            )
            if input.unsorted_indices is not None:
                last = [one.index_select(1, input.unsorted_indices) for one in last]
        elif not batched:
            out, last = y[:, 0], [one[:, 0] for one in last]
        else:
            out = y.transpose(0, 1) if self.batch_first else y
        return out, tuple(last) if self.cells else last[0]

    def _check_input(self, x: Tensor, packed: bool) -> None:
        name = type(self).__name__
        if x.ndim not in ((2,) if packed else (2, 3)) or x.shape[-1] != self.input_size:
            form = "batch, steps" if self.batch_first else "steps, batch"
            raise ShapeError(
                f"{name}: expected an input ({form}, {self.input_size}) or (steps, "
                f"{self.input_size}), got shape {x.shape}"
            )
        need_one_dtype(name, x, weights=self._parameters["weight_ih_l0"])

    def _states(self, hx: Any, x: Tensor, batched: bool, order: Tensor | None) -> list[Tensor]:
        """Return the states at the beginning (layers · directions, B, H), and the cells if any."""
        count, batch = self.num_layers * self._directions, x.shape[1]
        widths = [self.proj_size or self.hidden_size, self.hidden_size][: 1 + self.cells]
        if hx is None:
            return [zeros(count, batch, n, dtype=x.dtype, device=x.device) for n in widths]
        name = type(self).__name__
        if self.cells and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise ShapeError(f"{name}: the states are a pair (h, c), got {type(hx).__name__}")
        given = [as_tensor(one) for one in (hx if self.cells else (hx,))]
        for one, width in zip(given, widths, strict=True):
            wanted = (count, batch, width) if batched else (count, width)
            if tuple(one.shape) != wanted:
                raise ShapeError(f"{name}: expected a state of shape {wanted}, got {one.shape}")
        if not batched:
            given = [one.unsqueeze(1) for one in given]
        return given if order is None else [one.index_select(1, order) for one in given]

    def _run(
        self, x: Tensor, states: list[Tensor], lengths: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the output of the last layer, and the last states of all layers."""
        last: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0.0 and self.training:
                # The batch first: then ranks that share it draw for their rows what one would.
                x = dropout(x.transpose(0, 1), self.dropout).transpose(0, 1)
            outputs = []
            for suffix in ["", "_reverse"][: self._directions]:
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
                own = {name: self._parameters.get(f"{name}_l{layer}{suffix}") for name in names}
                first = [one[len(last)] for one in states]
                made = self._step(x, first, own, lengths, suffix != "")
                outputs.append(made[0])
                last.append(list(made[1:]))
            x = outputs[0] if len(outputs) == 1 else cat(outputs, -1)
        return x, [stack(one) for one in zip(*last, strict=True)]

    def _step(
        self,
        x: Tensor,
        states: list[Tensor],
        own: dict[str, Any],
        lengths: Tensor | None,
        reverse: bool,
    ) -> Any:
        """Return a layer in one direction: the output and the last states."""
        weights = [own[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        if self.cells:
            weights.append(own["weight_hr"])
        options = self._options()
        return apply(self.formula, x, *states, *weights, lengths, reverse=reverse, **options)

    def _options(self) -> dict[str, Any]:
        """Return the options of the formula beside the direction."""
        return {}

    def extra_repr(self) -> str:
        """Return the sizes, and the options that are not their defaults."""
        usual: dict[str, float] = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
        }
        usual |= {"dropout": 0.0, "bidirectional": False}
        shown = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in usual.items():
            value = getattr(self, name)
            if value != default:
                shown.append(f"{name}={value}")
        return ", ".join(shown)


class RNN(RNNBase):
    r"""$h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})$, in one or more layers.

    Args:
        input_size: the features I of the input.
        hidden_size: H.
        num_layers: layers, each of which has the outputs of the one before as inputs.
        nonlinearity: "tanh" or "relu".
        bias: whether there are the two b.
        batch_first: whether inputs and outputs are (B, T, ...).
        dropout: the probability of dropping an output of all layers but the last, in training.
        bidirectional: whether each layer goes backwards too.

    Raises:
        ConfigurationError: for sizes and options that do not fit.

    >>> from nnscratch import nn, zeros
    >>> y, h = nn.RNN(3, 5, num_layers=2)(zeros(4, 7, 3))
    >>> y.shape, h.shape
    ((4, 7, 5), (2, 7, 5))
    """

    formula = f.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters."""
        if nonlinearity not in ("tanh", "relu"):
            raise ConfigurationError(f"RNN: nonlinearity is 'tanh' or 'relu', got {nonlinearity!r}")
        self.__dict__["nonlinearity"] = nonlinearity
        options = (num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(mode, input_size, hidden_size, *options, generator=generator)

    def _options(self) -> dict[str, Any]:
        return {"nonlinearity": self.nonlinearity}


class LSTM(RNNBase):
    r"""The long short-term memory, in one or more layers.

    $$i, f, o = \sigma(\cdot), \quad g = \tanh(\cdot) \text{ of }
      W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}$$
    $$c_t = f \odot c_{t-1} + i \odot g, \quad h_t = o \odot \tanh c_t$$

    Args:
        input_size: the features I of the input.
        hidden_size: H.
        num_layers: layers, each of which has the outputs of the one before as inputs.
        bias: whether there are the two b.
        batch_first: whether inputs and outputs are (B, T, ...).
        dropout: the probability of dropping an output of all layers but the last, in training.
        bidirectional: whether each layer goes backwards too.
        proj_size: the width P of a projection of h_t, 0 for none.

    Raises:
        ConfigurationError: for sizes and options that do not fit.

    >>> from nnscratch import nn, zeros
    >>> y, (h, c) = nn.LSTM(3, 5, bidirectional=True)(zeros(4, 7, 3))
    >>> y.shape, h.shape, c.shape
    ((4, 7, 10), (2, 7, 5), (2, 7, 5))
    """

    formula, cells = f.LSTM, True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters."""
        options = (num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)
        super().__init__("LSTM", input_size, hidden_size, *options, generator=generator)


class GRU(RNNBase):
    r"""The gated recurrent unit, in one or more layers.

    $$r, z = \sigma(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})$$
    $$n = \tanh(W_{in} x_t + b_{in} + r \odot (W_{hn} h_{t-1} + b_{hn})), \quad
      h_t = (1 - z) \odot n + z \odot h_{t-1}$$

    Args:
        input_size: the features I of the input.
        hidden_size: H.
        num_layers: layers, each of which has the outputs of the one before as inputs.
        bias: whether there are the two b.
        batch_first: whether inputs and outputs are (B, T, ...).
        dropout: the probability of dropping an output of all layers but the last, in training.
        bidirectional: whether each layer goes backwards too.

    Raises:
        ConfigurationError: for sizes and options that do not fit.

    >>> from nnscratch import nn, zeros
    >>> y, h = nn.GRU(3, 5, batch_first=True)(zeros(7, 4, 3))
    >>> y.shape, h.shape
    ((7, 4, 5), (1, 7, 5))
    """

    formula = f.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters."""
        options = (num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)
        super().__init__("GRU", input_size, hidden_size, *options, generator=generator)
