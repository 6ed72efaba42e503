"""JAX under PyTorch's names: as much of it as the models of ``benchmarks.networks`` are made of.

The text of ``nnscratch.models`` runs with these layers, as it does with PyTorch's
(``benchmarks/twins.py``). A layer calls what JAX's own users call: ``lax.conv_general_dilated``,
``lax.reduce_window``, ``jax.nn.dot_product_attention``, ``lax.scan``. Pictures have their channels
last, where XLA's convolutions on a CPU are quickest. Nothing is random: dropout has to be 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


class Tensor:
    """An array with those methods of PyTorch's tensors that the models call.

    Args:
        array: JAX's.
        picture: whether it is (N, H, W, C), which the models know as (N, C, H, W).
    """

    device = None

    def __init__(self, array: Any, picture: bool = False) -> None:
        self.array, self.picture = array, picture

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes, in PyTorch's order."""
        return tuple(self._plain().shape)

    def _plain(self) -> Any:
        return self.array.transpose(0, 3, 1, 2) if self.picture else self.array

    def flatten(self, start_dim: int) -> Tensor:
        """Return one axis for all from ``start_dim`` on."""
        array = self._plain()
        return Tensor(array.reshape(*array.shape[:start_dim], -1))

    def mean(self, dim: tuple[int, ...]) -> Tensor:
        """Return the mean over axes."""
        return Tensor(self._plain().mean(dim))

    def reshape(self, *shape: int) -> Tensor:
        """Return the same numbers in another shape."""
        return Tensor(self._plain().reshape(shape))

    def permute(self, *dims: int) -> Tensor:
        """Return the axes in another order."""
        return Tensor(self._plain().transpose(dims))

    def transpose(self, first: int, second: int) -> Tensor:
        """Return two axes exchanged."""
        return Tensor(jnp.swapaxes(self._plain(), first, second))

    def t(self) -> Tensor:
        """Return a matrix's transpose."""
        return Tensor(self.array.T)

    def unbind(self, dim: int) -> tuple[Tensor, ...]:
        """Return the parts along an axis."""
        return tuple(Tensor(one) for one in jnp.moveaxis(self._plain(), dim, 0))

    def __add__(self, other: Tensor) -> Tensor:
        """Return the sum."""
        if self.picture and other.picture:
            return Tensor(self.array + other.array, picture=True)
        return Tensor(self._plain() + other._plain())

    def __getitem__(self, index: Any) -> Tensor:
        """Return a part."""
        return Tensor(self._plain()[index])


class Parameter(Tensor):
    """What is learned."""


class Buffer(Tensor):
    """What is kept and not learned."""


class Module:
    """A layer, and what it is made of: the attributes that are tensors of its own or modules."""

    training = True

    def __call__(self, *given: Any) -> Any:
        """Compute the output."""
        return self.forward(*given)  # type: ignore[attr-defined]

    def _children(self) -> Iterator[tuple[str, Module]]:
        yield from ((name, one) for name, one in vars(self).items() if isinstance(one, Module))

    def modules(self) -> Iterator[Module]:
        """Go through this module and all inside it."""
        yield self
        for _, child in self._children():
            yield from child.modules()

    def named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Go through parameters and buffers with PyTorch's names, shared ones several times."""
        for name, one in vars(self).items():
            if isinstance(one, (Parameter, Buffer)):
                yield prefix + name, one
        for name, child in self._children():
            yield from child.named_tensors(f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Go through the parameters, each once."""
        seen: set[int] = set()
        for name, one in self.named_tensors():
            if isinstance(one, Parameter) and id(one) not in seen:
                seen.add(id(one))
                yield name, one

    def train(self, mode: bool = True) -> Module:
        """Say to all modules whether they are trained."""
        for one in self.modules():
            one.training = mode
        return self


class Sequential(Module):
    """Modules one behind the other."""

    def __init__(self, *modules: Module) -> None:
        self._modules = modules

    def _children(self) -> Iterator[tuple[str, Module]]:
        yield from ((str(k), one) for k, one in enumerate(self._modules))

    def forward(self, x: Tensor) -> Tensor:
        """Return what comes out of the last."""
        for one in self._modules:
            x = one(x)
        return x


class ModuleList(Sequential):
    """Modules that somebody else calls."""

    def __init__(self, modules: Iterable[Module]) -> None:
        super().__init__(*modules)

    def __iter__(self) -> Iterator[Module]:
        """Go through them."""
        return iter(self._modules)


def _weights(*shape: int) -> Parameter:
    return Parameter(jnp.zeros(shape, jnp.float32))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


class Linear(Module):
    """X Wᵀ + b."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.weight = _weights(out_features, in_features)
        self.bias = _weights(out_features) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return linear(x, self.weight, self.bias)


class Conv2d(Module):
    """A convolution of pictures."""

    def __init__(
        self, in_channels: int, channels: int, size: int, stride: int = 1, padding: int = 0,
        groups: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        self.weight = _weights(channels, in_channels // groups, size, size)
        self.bias = _weights(channels) if bias else None
        self._how = {"window_strides": _pair(stride), "feature_group_count": groups}
        self._how |= {"padding": [(padding, padding)] * 2}

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        order = ("NHWC", "OIHW", "NHWC")
        out = lax.conv_general_dilated(
            x.array, self.weight.array, dimension_numbers=order, **self._how
        )
        return Tensor(out if self.bias is None else out + self.bias.array, picture=True)


class BatchNorm2d(Module):
    """Each channel with the mean and variance of the batch, which running means follow."""

    def __init__(self, channels: int) -> None:
        self.weight, self.bias = _weights(channels), _weights(channels)
        self.running_mean = Buffer(jnp.zeros(channels, jnp.float32))
        self.running_var = Buffer(jnp.ones(channels, jnp.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, and move the running means on."""
        mean, var = self.running_mean.array, self.running_var.array
        if self.training:
            unbiased = x.array.size / mean.size / (x.array.size / mean.size - 1)
            known, mean, var = (mean, var), x.array.mean((0, 1, 2)), x.array.var((0, 1, 2))
            self.running_mean.array = 0.9 * known[0] + 0.1 * mean
            self.running_var.array = 0.9 * known[1] + 0.1 * var * unbiased
        scale = self.weight.array * lax.rsqrt(var + 1e-5)
        return Tensor((x.array - mean) * scale + self.bias.array, picture=True)


class MaxPool2d(Module):
    """The largest number of each window."""

    def __init__(self, size: int, stride: int | None = None, padding: int = 0) -> None:
        self._how = (1, size, size, 1), (1, stride or size, stride or size, 1)
        self._padding = ((0, 0), (padding, padding), (padding, padding), (0, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        out = lax.reduce_window(x.array, -jnp.inf, lax.max, *self._how, self._padding)
        return Tensor(out, picture=True)


class AdaptiveAvgPool2d(Module):
    """Means of windows that divide a picture evenly."""

    def __init__(self, size: Any) -> None:
        self._size = _pair(size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        (N, H, W, C), (h, w) = x.array.shape, self._size
        return Tensor(x.array.reshape(N, h, H // h, w, W // w, C).mean((2, 4)), picture=True)


class Elementwise(Module):
    """A function of each number."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return Tensor(self._function(x.array), x.picture)


def _gelu(approximate: str = "none") -> Elementwise:
    return Elementwise(lambda x: jax.nn.gelu(x, approximate=approximate == "tanh"))


def _dropout(p: float) -> Elementwise:
    if p:
        raise ValueError(f"dropout is {p}; expected 0, for nothing here is random")
    return Elementwise(lambda x: x)


class Embedding(Module):
    """Rows of a table."""

    def __init__(self, count: int, size: int) -> None:
        self.weight = _weights(count, size)

    def forward(self, places: Tensor) -> Tensor:
        """Return the rows."""
        return Tensor(self.weight.array[places.array])


class LayerNorm(Module):
    """The last axis with mean 0 and variance 1."""

    def __init__(self, size: int) -> None:
        self.weight, self.bias = _weights(size), _weights(size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        mean, var = x.array.mean(-1, keepdims=True), x.array.var(-1, keepdims=True)
        normal = (x.array - mean) * lax.rsqrt(var + 1e-5)
        return Tensor(normal * self.weight.array + self.bias.array)


class LSTM(Module):
    """Layers of an LSTM over sequences (N, T, E)."""

    def __init__(
        self, size: int, hidden: int, layers: int, batch_first: bool = True, dropout: float = 0.0
    ) -> None:
        _dropout(dropout)
        assert batch_first
        self._layers, self._hidden = range(layers), hidden
        for k in self._layers:
            shapes = {"weight_ih": (4 * hidden, hidden if k else size)}
            shapes |= {"weight_hh": (4 * hidden, hidden)}
            shapes |= {"bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}
            for name, shape in shapes.items():
                setattr(self, f"{name}_l{k}", _weights(*shape))

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, Any]:
        """Return the outputs (N, T, H) and the last states; it begins with 0."""
        rows, ends = jnp.swapaxes(x.array, 0, 1), []
        for k in self._layers:
            W, V, b, c = (
                getattr(self, f"{name}_l{k}").array
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )

            def step(before: Any, given: Any, V: Any = V) -> Any:
                h, cell = before
                i, f, g, o = jnp.split(given + h @ V.T, 4, axis=1)
                cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(cell)
                return (h, cell), h

            start = jnp.zeros((rows.shape[1], self._hidden), jnp.float32)
            end, rows = lax.scan(step, (start, start), rows @ W.T + (b + c))
            ends.append(end)
        return Tensor(jnp.swapaxes(rows, 0, 1)), ends


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return X Wᵀ + b."""
    out = x.array @ weight.array.T
    return Tensor(out if bias is None else out + bias.array)


def scaled_dot_product_attention(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: None, dropout_p: float, is_causal: bool
) -> Tensor:
    """Return softmax(Q Kᵀ / √D) V of (N, H, T, D)."""
    _dropout(dropout_p)
    assert attn_mask is None
    given = [jnp.swapaxes(one.array, 1, 2) for one in (q, k, v)]
    return Tensor(jnp.swapaxes(jax.nn.dot_product_attention(*given, is_causal=is_causal), 1, 2))


def arange(start: int, stop: int, device: None = None) -> Tensor:
    """Return the numbers from ``start`` to ``stop`` - 1."""
    return Tensor(jnp.arange(start, stop))


def cat(parts: Any, dim: int) -> Tensor:
    """Return parts one behind the other."""
    return Tensor(jnp.concatenate([one.array for one in parts], dim))


def zeros(*shape: int) -> Tensor:
    """Return zeros, which the weights of the model that is compared replace."""
    return Tensor(jnp.zeros(shape, jnp.float32))


def _left(*given: Any, **options: Any) -> None:
    """Leave a parameter as it is: it gets the weights of the model that is compared."""


empty = zeros
functional = SimpleNamespace(
    linear=linear, scaled_dot_product_attention=scaled_dot_product_attention
)
nn = SimpleNamespace(
    **{one.__name__: one for one in itertools.chain(
        (Module, Sequential, ModuleList, Linear, Conv2d, BatchNorm2d, MaxPool2d),
        (AdaptiveAvgPool2d, Embedding, LayerNorm, LSTM),
    )},
    Parameter=lambda tensor: Parameter(tensor.array),
    ReLU=lambda inplace=False: Elementwise(jax.nn.relu),
    ReLU6=lambda inplace=False: Elementwise(jax.nn.relu6),
    GELU=_gelu, Dropout=_dropout, Identity=lambda: Elementwise(lambda x: x), functional=functional,
    init=SimpleNamespace(kaiming_normal_=_left, normal_=_left, zeros_=_left),
)  # fmt: skip
