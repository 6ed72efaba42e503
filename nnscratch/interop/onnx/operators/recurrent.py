"""Recurrent layers: the engine's formulas where they compute the same, else step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError
from nnscratch.interop.onnx.operators.table import operator
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T

_PLAIN: dict[str, tuple[Callable[..., Tensor], tuple[float | None, ...]]] = {
    "relu": (F.relu, ()),
    "tanh": (T.tanh, ()),
    "sigmoid": (T.sigmoid, ()),
    "softsign": (F.softsign, ()),
    "softplus": (F.softplus, ()),
    "affine": (lambda x, a, b: x * a + b, (None, None)),
    "leakyrelu": (F.leaky_relu, (0.01,)),
    "thresholdedrelu": (lambda x, a: apply(f.THRESHOLD, x, threshold=a, value=0.0), (1.0,)),
    "scaledtanh": (lambda x, a, b: T.tanh(x * b) * a, (None, None)),
    "hardsigmoid": (lambda x, a, b: T.clamp(x * a + b, 0.0, 1.0), (0.2, 0.5)),
    "elu": (F.elu, (1.0,)),
}
"""The activations, and which numbers (alpha, beta) each takes unless others are given.

ONNX says that they are those of the operators of these names; two are no operators any more, and
have none: onnxruntime takes 0, with which they give 0.
"""


_SHARED = (
    "activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size",
    "layout", "output_sequence",
)  # fmt: skip
"""The attributes that all three have. Of an output that nobody asks for nothing need be said."""


class _Layer:
    """What the three have in common: directions, layouts, lengths, activations."""

    def __init__(
        self,
        name: str,
        x: Tensor,
        W: Tensor,
        R: Tensor,
        lengths: Tensor | None,
        usual: Sequence[str],
        options: dict[str, Any],
    ) -> None:
        self.name, self.usual = name, list(usual)
        self.batch_first = bool(options.get("layout", 0))
        self.x = T.transpose(x, 0, 1) if self.batch_first else x
        self.lengths = None if lengths is None else lengths.to("int64")
        self.directions = {
            "forward": [False],
            "reverse": [True],
            "bidirectional": [False, True],
        }.get(options.get("direction", "forward"))
        if self.directions is None:
            raise ConfigurationError(
                f"{name}: direction is forward, reverse or bidirectional; got "
                f"{options['direction']!r}"
            )
        self.W, self.R, self.size = W, R, R.shape[-1]
        self.clip = options.get("clip")
        given = options.get("activations") or self.usual * len(self.directions)
        self.activations = [one.lower() for one in given]
        self.alphas = list(options.get("activation_alpha") or [])
        self.betas = list(options.get("activation_beta") or [])
        if len(self.activations) != len(self.usual) * len(self.directions):
            raise ConfigurationError(
                f"{name}: expected {len(self.usual)} activations for each direction, got {given}"
            )
        for one in self.activations:
            if one not in _PLAIN:
                raise ConfigurationError(
                    f"{name}: an activation is one of {', '.join(_PLAIN)}; got {one!r}"
                )

    def ordinary(self, d: int) -> bool:
        """Say whether a direction has the usual activations, and nothing is clipped."""
        count = len(self.usual)
        mine = self.activations[d * count : (d + 1) * count]
        return mine == [one.lower() for one in self.usual] and self.clip is None

    def acts(self, d: int) -> list[Callable[[Tensor], Tensor]]:
        """Return the activations of a direction; numbers are given to those that take them."""
        alphas, betas = iter(self.alphas), iter(self.betas)
        made: list[Callable[[Tensor], Tensor]] = []
        count = len(self.usual)
        for i, name in enumerate(self.activations):
            function, usual = _PLAIN[name]
            numbers = [next(given, one) for given, one in zip((alphas, betas), usual, strict=False)]
            if None in numbers:
                raise ConfigurationError(
                    f"{self.name}: {name} needs activation_alpha and activation_beta, for which "
                    "ONNX has no values"
                )
            # What an LSTM's cell gives is not clipped, as in onnxruntime.
            clip = None if i % count == 2 else self.clip
            made.append(self._act(function, numbers, clip))
        return made[d * count : (d + 1) * count]

    @staticmethod
    def _act(
        function: Callable[..., Tensor], numbers: list[float | None], clip: float | None
    ) -> Callable[[Tensor], Tensor]:
        if clip is None:
            return lambda z: function(z, *numbers)
        return lambda z: function(T.clamp(z, -clip, clip), *numbers)

    def state(self, given: Tensor | None, d: int) -> Tensor:
        """Return the first state of a direction."""
        if given is None:
            return self.x.new_zeros((self.x.shape[1], self.size))
        return given[:, d] if self.batch_first else given[d]

    def biases(self, b: Tensor | None, d: int) -> tuple[Any, Any]:
        """Return the biases of inputs and state."""
        if b is None:
            return None, None
        half = b.shape[-1] // 2
        return b[d, :half], b[d, half:]

    def walk(
        self, d: int, states: list[Tensor], turn: Callable[[Tensor, list[Tensor]], list[Tensor]]
    ) -> list[Tensor]:
        """Go step by step in a direction; return what came out and the last states."""
        steps = self.x.shape[0]
        out: list[Any] = [None] * steps
        back = self.directions[d]  # type: ignore[index]
        for t in range(steps)[:: -1 if back else 1]:
            new = turn(self.x[t], states)
            if self.lengths is not None:
                inside = (self.lengths > t).reshape(-1, 1)
                new = [T.where(inside, a, b) for a, b in zip(new, states, strict=True)]
                out[t] = T.where(inside, new[0], new[0] * 0)
            else:
                out[t] = new[0]
            states = new
        return [T.stack(out, 0), *states]

    def joined(self, found: list[list[Tensor]]) -> tuple[Tensor, ...]:
        """Return the outputs of all directions in ONNX's layout."""
        y, *states = (list(one) for one in zip(*found, strict=True))
        if self.batch_first:
            outputs = T.stack(y, 2)
            return (T.transpose(outputs, 0, 1), *(T.stack(one, 1) for one in states))
        return (T.stack(y, 1), *(T.stack(one, 0) for one in states))


def _reordered(weights: Any, order: Sequence[int], size: int) -> Any:
    """Return the rows of gates in another order."""
    if weights is None:
        return None
    return T.cat([weights[g * size : (g + 1) * size] for g in order], 0)


def _plus(a: Tensor, b: Tensor | None) -> Tensor:
    return a if b is None else a + b


@operator("RNN", more=_SHARED)
def rnn(
    x: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    H: Tensor | None = None,
    /,
    **options: Any,
) -> tuple[Tensor, ...]:
    layer = _Layer("RNN", x, W, R, lengths, ["Tanh"], options)
    found = []
    for d, back in enumerate(layer.directions or []):
        first, (bw, br) = layer.state(H, d), layer.biases(b, d)
        if layer.activations[d] in ("tanh", "relu") and layer.clip is None:
            y, last = apply(
                f.RNN, layer.x, first, W[d], R[d], bw, br, layer.lengths,
                nonlinearity=layer.activations[d], reverse=back,
            )  # fmt: skip
            found.append([y, last])
            continue
        act = layer.acts(d)[0]

        def turn(now: Tensor, states: list[Tensor], d: int = d, act: Any = act) -> list[Tensor]:
            bw, br = layer.biases(b, d)
            return [act(F.linear(now, W[d], bw) + F.linear(states[0], R[d], br))]

        found.append(layer.walk(d, [first], turn))
    return layer.joined(found)


@operator("GRU", more=_SHARED)
def gru(
    x: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    H: Tensor | None = None,
    /,
    *,
    linear_before_reset: int = 0,
    **options: Any,
) -> tuple[Tensor, ...]:
    layer = _Layer("GRU", x, W, R, lengths, ["Sigmoid", "Tanh"], options)
    n, found = layer.size, []
    for d, back in enumerate(layer.directions or []):
        first, (bw, br) = layer.state(H, d), layer.biases(b, d)
        if linear_before_reset and layer.ordinary(d):
            # ONNX's order of gates is z, r, n; the formula's r, z, n.
            own = [_reordered(one, (1, 0, 2), n) for one in (W[d], R[d], bw, br)]
            y, last = apply(f.GRU, layer.x, first, *own, layer.lengths, reverse=back)
            found.append([y, last])
            continue
        gate, inner = layer.acts(d)

        def turn(
            now: Tensor, states: list[Tensor], d: int = d, gate: Any = gate, inner: Any = inner
        ) -> list[Tensor]:
            bw, br = layer.biases(b, d)
            h = states[0]
            A = F.linear(now, W[d], bw)
            B = F.linear(h, R[d][: 2 * n], None if br is None else br[: 2 * n])
            z, r = gate(A[:, :n] + B[:, :n]), gate(A[:, n : 2 * n] + B[:, n:])
            bias = None if br is None else br[2 * n :]
            if linear_before_reset:
                new = inner(A[:, 2 * n :] + r * F.linear(h, R[d][2 * n :], bias))
            else:
                new = inner(A[:, 2 * n :] + F.linear(r * h, R[d][2 * n :], bias))
            return [new - z * new + z * h]

        found.append(layer.walk(d, [first], turn))
    return layer.joined(found)


@operator("LSTM", more=_SHARED)
def lstm(
    x: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    H: Tensor | None = None,
    C: Tensor | None = None,
    P: Tensor | None = None,
    /,
    *,
    input_forget: int = 0,
    **options: Any,
) -> tuple[Tensor, ...]:
    layer = _Layer("LSTM", x, W, R, lengths, ["Sigmoid", "Tanh", "Tanh"], options)
    n, found = layer.size, []
    for d, back in enumerate(layer.directions or []):
        first = [layer.state(H, d), layer.state(C, d)]
        bw, br = layer.biases(b, d)
        if layer.ordinary(d) and P is None and not input_forget:
            # ONNX's order of gates is i, o, f, g; the formula's i, f, g, o.
            own = [_reordered(one, (0, 2, 3, 1), n) for one in (W[d], R[d], bw, br)]
            outputs = apply(f.LSTM, layer.x, *first, *own, None, layer.lengths, reverse=back)
            found.append(list(outputs))
            continue
        acts = layer.acts(d)

        def turn(now: Tensor, states: list[Tensor], d: int = d, acts: Any = acts) -> list[Tensor]:
            bw, br = layer.biases(b, d)
            gate, inner, out = acts
            h, c = states
            Z = F.linear(now, W[d], bw) + F.linear(h, R[d], br)
            zi, zo, zf, zc = (Z[:, k * n : (k + 1) * n] for k in range(4))
            pi, po, pf = (
                (None, None, None) if P is None else [P[d, k * n : (k + 1) * n] for k in range(3)]
            )
            i = gate(_plus(zi, None if pi is None else pi * c))
            forget = gate(_plus(zf, None if pf is None else pf * c))
            kept = (i * -1.0 + 1.0) if input_forget else forget
            new = kept * c + i * inner(zc)
            o = gate(_plus(zo, None if po is None else po * new))
            return [o * out(new), new]

        found.append(layer.walk(d, first, turn))
    return layer.joined(found)
