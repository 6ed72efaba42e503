"""A ``forward`` of one's own: its twin does the same in both modes, or what it cannot is said."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from torch import nn as tnn

import nnscratch
from nnscratch import nn
from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.interop.torch import from_torch

X = np.random.default_rng(0).normal(size=(4, 6)).astype("f4")
Forward = Callable[..., Any]


def module(forward: Forward, parts: Callable[[Any], Any] | None = None) -> Any:
    """Return a module with a layer ``lin``, other parts, and a ``forward`` given as a function."""

    class Net(tnn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.lin = tnn.Linear(6, 6)
            if parts is not None:
                parts(self)

    Net.forward = forward  # type: ignore[method-assign]
    return Net()


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [x for one in value for x in flat(one)] if isinstance(value, (list, tuple)) else [value]


def as_numpy(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().float() if tensor.is_floating_point() else tensor.detach())


def assert_same(theirs: Any, *inputs: Any, modes: bool = True, **options: Any) -> nn.Module:
    """Outputs, gradients, states and their names are the same in both modes, twice in a row."""
    ours = from_torch(theirs)
    for training in (theirs.training, not theirs.training)[: 1 + modes]:
        if training is not theirs.training:
            theirs.train(training)
            ours.train(training)
        for _ in range(2):
            assert_same_call(theirs, ours, inputs, options)
    of = {name: one.training for name, one in theirs.named_modules()}
    assert {name: one.training for name, one in ours.named_modules()} == of
    return ours


def assert_same_call(theirs: Any, ours: Any, inputs: Any, options: Any) -> None:
    mine = [nnscratch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    its = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    theirs.zero_grad()
    ours.zero_grad()
    outputs, expected = flat(ours(*mine, **options)), flat(theirs(*its, **options))
    assert len(outputs) == len(expected)
    sums: list[Any] = [nnscratch.zeros(()), torch.zeros(())]
    for a, b in zip(outputs, expected, strict=True):
        if not torch.is_tensor(b):
            assert a == b
            continue
        assert str(a.dtype) == str(b.dtype).removeprefix("torch.")
        assert a.requires_grad is b.requires_grad
        np.testing.assert_allclose(as_numpy(a), as_numpy(b), rtol=1e-4, atol=1e-5)
        weights = np.random.default_rng(1).normal(size=tuple(b.shape)).astype("f4")
        sums[0] = sums[0] + (a.float() * nnscratch.tensor(weights)).sum()
        sums[1] = sums[1] + (b.float() * torch.tensor(weights)).sum()
    if sums[1].requires_grad:
        for one in sums:
            one.backward()
    pairs = list(zip(mine, its, strict=True))
    own = dict(ours.named_parameters(remove_duplicate=False))
    for name, parameter in theirs.named_parameters(remove_duplicate=False):
        pairs.append((own.pop(name), parameter))
        assert pairs[-1][0].requires_grad is parameter.requires_grad, name
    assert not own
    for a, b in pairs:
        assert (a.grad is None) is (b.grad is None)
        if b.grad is not None:
            np.testing.assert_allclose(as_numpy(a.grad), as_numpy(b.grad), rtol=1e-3, atol=1e-4)
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        assert str(state[name].dtype) == str(value.dtype).removeprefix("torch."), name
        np.testing.assert_allclose(as_numpy(state[name]), as_numpy(value), rtol=1e-4, atol=1e-5)


def statistics(self: Any) -> None:
    self.register_buffer("mean", torch.zeros(6))
    self.register_buffer("var", torch.ones(6))


def buffer(name: str, value: Any, persistent: bool = True) -> Callable[[Any], Any]:
    return lambda self: self.register_buffer(name, value, persistent)


def part(name: str, make: Callable[[], Any]) -> Callable[[Any], Any]:
    return lambda self: setattr(self, name, make())


def by_mode(self: Any, x: Any) -> Any:
    return self.lin(x) * 2 if self.training else self.lin(x)


def without_gradient(self: Any, x: Any) -> Any:
    with torch.no_grad():
        y = self.lin(x)
    return y + self.second(x)


def counts(self: Any, x: Any) -> Any:
    self.n.add_(1)
    self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
    return self.lin(x) / self.n - self.mean


def adds_up(self: Any, x: Any) -> Any:
    self.n += 1
    return self.lin(x) * self.n


def new_in_each_call(self: Any, x: Any) -> Any:
    h = torch.zeros(6)
    h.add_(self.lin(x).sum(0))
    h[0] = 1
    return h + 1


def sets_what_nobody_reads(self: Any, x: Any) -> Any:
    self.last = self.lin(x)
    return self.last * 2


def causal(self: Any, x: Any) -> Any:
    mask = torch.triu(torch.ones(x.size(0), x.size(0)), 1).bool()
    return self.attention(x, x, x, attn_mask=mask)[0]


def asks_for_weights(self: Any, x: Any) -> Any:
    y, weights = self.attention(x, x, x, need_weights=False)
    return y if weights is None else y * 2


def asks_for_none(self: Any, x: Any) -> Any:
    y, mask = self.part(x)
    return self.lin(y) if mask is None else self.lin(x) * mask


def asks_for_the_type(self: Any, x: Any) -> Any:
    return self.lin(torch.cat([x[:, :3], x[:, 3:]] if isinstance(x, torch.Tensor) else x, 1))


def optional(self: Any, x: Any, mask: Any = None, flag: bool = False, scale: float = 1.0) -> Any:
    y = self.lin(x) * scale
    if mask is not None:
        y = y * mask
    return -y if flag else y


class Returning(tnn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2, None


class ByMode(tnn.Module):
    """A part that can be traced by itself, and keeps its own mode."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = tnn.Linear(6, 6)

    def forward(self, x: Any, scale: float = 1.0) -> Any:
        return TF.dropout(self.lin(x), 0.0, self.training) * (3 if self.training else scale)


class ByText(tnn.Module):
    """A part whose calls have to stand among those of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = tnn.Linear(6, 6)

    def forward(self, x: Any, how: str) -> Any:
        return self.lin(x) if how == "a" else -self.lin(x)


class Untraced(tnn.Module):
    """A part of which only the weights are used."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = tnn.Linear(6, 6)

    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


SAME: dict[str, tuple[Forward, Callable[[Any], Any] | None]] = {
    "a branch by the mode": (by_mode, None),
    "training is always on": (
        lambda s, x: TF.batch_norm(s.lin(x), s.mean, s.var, training=True), statistics),
    "training is always off": (
        lambda s, x: TF.batch_norm(s.lin(x), s.mean, s.var, training=False), statistics),
    "training the other way": (
        lambda s, x: TF.batch_norm(s.lin(x), s.mean, s.var, training=not s.training), statistics),
    "no_grad": (without_gradient, part("second", lambda: tnn.Linear(6, 6))),
    "no_grad over all": (torch.no_grad()(lambda s, x: s.lin(x)), None),
    "buffers that change": (counts, lambda s: (s.register_buffer("n", torch.tensor(0)),
                                               s.register_buffer("mean", torch.zeros(6)))),
    "a buffer and +=": (adds_up, buffer("n", torch.zeros(()))),
    "a part of a buffer": (lambda s, x: s.lin(x) + s.places[: x.size(0)] + s.places.sum(),
                           buffer("places", torch.ones(9, 6), False)),
    "a tensor that is no buffer": (lambda s, x: s.lin(x) + s.c, part("c", lambda: torch.ones(6))),
    "a tensor in the text": (lambda s, x: s.lin(x)[:, torch.tensor([0, 2])], None),
    "a new tensor that changes": (new_in_each_call, None),
    "an attribute": (sets_what_nobody_reads, None),
    "a mask by a size": (causal, part("attention", lambda: tnn.MultiheadAttention(6, 2))),
    "weights of attention": (asks_for_weights,
                             part("attention", lambda: tnn.MultiheadAttention(6, 2))),
    "None from a part": (asks_for_none, part("part", Returning)),
    "isinstance": (asks_for_the_type, None),
    "a tied layer": (lambda s, x: s.second(TF.relu(s.lin(x))), lambda s: (
        setattr(s, "second", tnn.Linear(6, 6)), setattr(s.second, "weight", s.lin.weight))),
    "a tied parameter": (lambda s, x: s.lin(x) + x @ s.w.t(),
                         lambda s: setattr(s, "w", s.lin.weight)),
    "an option of a function": (
        lambda s, x: s.lin(x) + torch.div(s.lin(x), 0.3, rounding_mode="floor"), None),
    "a default of PyTorch's": (lambda s, x: TF.normalize(s.lin(x), dim=1), None),
    "bfloat16": (lambda s, x: s.lin(x.to(torch.bfloat16)).float(), lambda s: s.lin.bfloat16()),
    "parts in their modes": (lambda s, x: s.part(s.lin(x)) + s.part(x, 0.5), part("part", ByMode)),
    "a part by a text": (lambda s, x: s.part(s.lin(x), "a") + s.part(x, "b"),
                         part("part", ByText)),
    "weights of a part alone": (lambda s, x: s.part.lin(x), part("part", Untraced)),
    "lists of parameters": (lambda s, x: x @ s.some[0] @ s.some[1] * s.named["a"], lambda s: (
        setattr(s, "some", tnn.ParameterList([torch.eye(6), torch.ones(6, 6)])),
        setattr(s, "named", tnn.ParameterDict({"a": torch.ones(1)})))),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_the_same_in_both_modes(name: str) -> None:
    assert_same(module(*SAME[name]), X)


def test_a_part_in_another_mode() -> None:
    theirs = module(*SAME["parts in their modes"])
    theirs.part.eval()
    assert_same(theirs, X, modes=False)
    theirs = module(*SAME["a part by a text"])
    ours = from_torch(theirs)
    ours.part.eval()
    with pytest.raises(ConfigurationError, match="its part part was traced with it, in the same"):
        ours(nnscratch.tensor(X))
    theirs.part.eval()
    with pytest.raises(CheckpointError, match="its part part is in another mode"):
        from_torch(theirs)


class Frozen(tnn.Module):
    """Its norm stays in evaluation mode, whatever the whole is in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = tnn.BatchNorm1d(6), tnn.Linear(6, 2)
        self.norm.eval()

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Any) -> Any:
        return self.head(self.norm(x))


class Freezing(Frozen):
    def train(self, mode: bool = True) -> Any:
        self.head.requires_grad_(not mode)
        return super().train(mode)


def test_a_part_that_stays_in_its_mode() -> None:
    assert_same(Frozen(), X)
    whole = tnn.Sequential(Frozen(), tnn.Dropout())
    ours = from_torch(whole.eval()).train()
    assert [one.training for one in ours.modules()] == [x.training for x in whole.train().modules()]
    freezing = Freezing()
    with pytest.raises(CheckpointError, match=r"Freezing: its train\(\) does more than to choose"):
        from_torch(freezing)
    assert freezing.head.weight.requires_grad


def test_optional_arguments() -> None:
    theirs = module(optional)
    ours = assert_same(theirs, X)
    assert_same(theirs, X, X * 2)
    assert_same(theirs, X, flag=True, scale=3)
    assert_same(theirs, X, X * 2, flag=True)
    x = nnscratch.tensor(X)
    for arguments, options, error, said in (
        ((x, x, x), {}, ConfigurationError, "with mask, flag: only some combinations"),
        ((x,), {"more": 1}, TypeError, r"Net\.forward\(\): got an unexpected keyword .*'more'"),
        ((), {}, TypeError, r"missing a required argument: 'x'"),
        ((x, x, True, 1.0, x), {}, TypeError, "too many positional arguments"),
    ):
        with pytest.raises(error, match=said):
            ours(*arguments, **options)
    many = from_torch(module(lambda s, x, *rest: s.lin(x)))
    with pytest.raises(TypeError, match="it was traced without rest"):
        many(x, x)
    asking = from_torch(module(asks_for_the_type))
    with pytest.raises(ConfigurationError, match=r"traced with a tensor as x.* for a list"):
        asking([x, x])


def test_random_numbers_are_new_in_each_call() -> None:
    ours = from_torch(module(lambda s, x: s.lin(x) + torch.randn(6)))
    x = nnscratch.tensor(X)
    assert ours(x).tolist() != ours(x).tolist()


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g


def counter(self: Any, x: Any) -> Any:
    self.k = self.k + 1
    return self.lin(x) * self.k


def remembers(self: Any, x: Any) -> Any:
    if not hasattr(self, "kept"):
        self.kept = self.lin(x)
    return self.kept


def appends(self: Any, x: Any) -> Any:
    self.many.append(1)
    return self.lin(x) * len(self.many)


def automatic(self: Any, x: Any) -> Any:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return self.lin(x)


def asks_a_result(self: Any, x: Any) -> Any:
    y = self.lin(x)
    return y[0] if isinstance(y, tuple) else y


def evaluates(self: Any, x: Any) -> Any:
    self.eval()
    return self.lin(x)


def changes_no_buffer(self: Any, x: Any) -> Any:
    self.c.mul_(2)
    return self.lin(x) * self.c


CALLS = [0]


def counts_outside(self: Any, x: Any) -> Any:
    CALLS[0] += 1
    return self.lin(x) * CALLS[0]


def deletes(self: Any, x: Any) -> Any:
    if hasattr(self, "first"):
        del self.first
        return self.lin(x)
    return x


def hides_a_branch(self: Any, x: Any) -> Any:
    try:
        return self.lin(x) if x.sum() > 0 else x
    except Exception:
        return x


def hides_a_number(self: Any, x: Any) -> Any:
    try:
        factor = float(x.sum())
    except TypeError:
        factor = 1.0
    return self.lin(x) * factor


def relu(x: Any) -> Any:
    return x


REFUSED: dict[str, tuple[Forward, Callable[[Any], Any] | None, str]] = {
    "Function": (lambda s, x: Rounded.apply(s.lin(x)), None, "Rounded is an autograd.Function"),
    "random": (lambda s, x: s.lin(x) * random.random(), None, "it draws random numbers"),
    "numpy": (lambda s, x: s.lin(x) * float(np.random.rand()), None,  # noqa: NPY002
              "it draws random numbers"),
    "counter": (counter, part("k", lambda: 0), "its forward sets k, which its next call reads"),
    "memory": (remembers, None, "its forward sets kept, which its next call reads"),
    "list": (appends, part("many", list), "it changes its list many"),
    "autocast": (automatic, None, "it computes under torch.autocast"),
    "type": (asks_a_result, None, r"it asks for the type of a result \(lin\)"),
    "mode": (evaluates, None, "it changes the mode"),
    "tensor": (changes_no_buffer, part("c", lambda: torch.ones(1)), "changes a tensor in place"),
    "parameters": (lambda s, x: s.lin(x) + sum(p.sum() for p in s.parameters()), None,
                   "it computes with parameters that it does not name"),
    "option": (lambda s, x: TF.normalize(s.lin(x), out=torch.ones(4, 6)), None,
               "normalize has no option out="),
    "counter outside": (counts_outside, None, "its calls are others the second time"),
    "deletes": (deletes, part("first", lambda: 1), "its forward sets first, which its next call"),
    "hides a branch": (hides_a_branch, None, "it goes on behind an error: symbolically traced"),
    "hides a number": (hides_a_number, None, r"it goes on behind an error: float\(\) of a result"),
    "gradient": (lambda s, x: torch.autograd.grad(s.lin(x).sum(), x)[0], None,
                 r"the function torch\.autograd\.grad is not here"),
    "extra": (lambda s, x: s.lin(x), lambda s: setattr(type(s), "get_extra_state", lambda s: 1),
              "_extra_state is what get_extra_state returns"),
    "memory of two": (lambda s, x: s.lin(x) + s.w, lambda s: setattr(
        s, "w", tnn.Parameter(s.lin.weight.data[0])), "lin.weight shares memory with w"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_graph_cannot_show_is_said(name: str) -> None:
    forward, parts, said = REFUSED[name]
    theirs = module(forward, parts)
    before = {key: dict(one.__dict__) for key, one in theirs.named_modules()}
    state = {key: str(value) for key, value in theirs.state_dict().items()}
    many = list(getattr(theirs, "many", ()))
    with pytest.raises(CheckpointError, match=said):
        from_torch(theirs)
    assert {key: dict(one.__dict__) for key, one in theirs.named_modules()} == before
    assert list(getattr(theirs, "many", ())) == many
    if name != "tensor":
        assert {key: str(value) for key, value in theirs.state_dict().items()} == state


def test_a_mode_that_cannot_be_traced_is_said_by_its_call() -> None:
    theirs = module(lambda s, x: s.lin(x) if s.training or x.sum() > 0 else -s.lin(x))
    ours = from_torch(theirs)
    assert ours(nnscratch.tensor(X)).shape == (4, 6)
    with pytest.raises(ConfigurationError, match="Net in evaluation mode with no options: symbol"):
        ours.eval()(nnscratch.tensor(X))
    with pytest.raises(CheckpointError, match=r"cannot be traced \(symbolically"):
        from_torch(theirs.eval())


def parts_of_a_transformer() -> Any:
    layer = tnn.TransformerEncoderLayer(4, 2, 8, 0.1, TF.silu)
    made = tnn.TransformerEncoder(layer, 3, tnn.LayerNorm(4), enable_nested_tensor=False)
    made.layers[0].norm1.eps = 0.5
    made.layers[1].norm_first = True
    made.layers[1].norm2 = tnn.RMSNorm(4)
    made.layers[2].linear1, made.layers[2].linear2 = tnn.Linear(4, 6), tnn.Linear(6, 4)
    for one in made.modules():
        if isinstance(one, tnn.Dropout):
            one.p = 0.0
        if isinstance(one, tnn.MultiheadAttention):
            one.dropout = 0.0
    return made


def test_parts_of_layers_have_their_own_settings() -> None:
    x = np.random.default_rng(0).normal(size=(5, 2, 4)).astype("f4")
    assert_same(parts_of_a_transformer(), x)
    custom = tnn.Transformer(4, 2, 1, 1, 8, 0.0, custom_encoder=parts_of_a_transformer())
    assert_same(custom, x, x[:3])


class Named(tnn.BatchNorm1d):
    """A subclass that is the layer but for its name."""

    def extra_repr(self) -> str:
        return "mine"


def test_subclasses_dtypes_and_weights_of_layers() -> None:
    assert type(assert_same(Named(6), X)).__name__ == "BatchNorm1d"
    assert_same(tnn.BatchNorm1d(6, affine=False).double(), X.astype("f8"))
    mixed = tnn.Sequential(tnn.Embedding(5, 3).half(), tnn.Identity().double())
    assert_same(mixed, np.asarray([[0, 1], [2, 4]]))
    loss = tnn.BCEWithLogitsLoss(torch.rand(6), pos_weight=torch.rand(6))
    assert_same(loss, X, np.clip(np.abs(X), 0, 1))
    first, second = tnn.Linear(6, 6), tnn.Linear(6, 6)
    second.weight = first.weight
    ours = assert_same(tnn.Sequential(first, second), X)
    assert ours[0].weight is ours[1].weight


def hooked() -> Any:
    layer = tnn.Linear(3, 2)
    layer.weight.register_hook(lambda g: g * 0)
    return layer


def patched() -> Any:
    layer = tnn.Linear(3, 2)
    layer.forward = lambda x: x  # type: ignore[method-assign]
    return layer


def inner() -> Any:
    layer = tnn.TransformerEncoderLayer(4, 2, 8)
    layer.self_attn.out_proj.register_forward_hook(lambda *_: None)
    return layer


def nameless() -> Any:
    return tnn.TransformerEncoderLayer(4, 2, 8, activation=relu)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (hooked, "weight: it has hooks, which change its gradient"),
        (patched, "the forward of this Linear was replaced"),
        (inner, r"self_attn\.out_proj: .* has hooks"),
        (nameless, r"its activation is .*\.relu, and none of torch"),
        (lambda: tnn.utils.parametrizations.orthogonal(tnn.Linear(3, 3)),
         "has parametrizations of weight; call .*remove_parametrizations first$"),
        (lambda: tnn.Linear(3, 2, device="meta"), "weight is on the device meta"),
        (lambda: tnn.ParameterList([torch.ones(2), 3]), "ParameterList holds what is no parameter"),
    ],
)  # fmt: skip
def test_what_is_beside_a_forward_is_said(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        from_torch(make())
