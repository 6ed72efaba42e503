"""The Transformer against PyTorch's: outputs and all gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, ours, theirs, values

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError, ShapeError

RNG = np.random.default_rng(0)
T, S, B, E = 5, 4, 3, 6
INF = float("inf")
CAUSAL = np.triu(np.full((T, T), -INF), 1)
PADDED = np.arange(S) >= np.array([[4], [2], [3]])
SHAPES: dict[str, tuple[int, ...]] = {"src": (S, B, E), "tgt": (T, B, E), "memory": (S, B, E)}
OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "norm first": {"norm_first": True, "activation": "gelu", "batch_first": True},
    "no bias": {"bias": False, "layer_norm_eps": 1e-3, "batch_first": True},
}


def twins(kind: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """A model and PyTorch's with the same weights, in float64."""
    its = getattr(torch.nn, kind)(*args, dropout=0.0, dtype=torch.float64, **options)
    mine = getattr(nn, kind)(*args, dropout=0.0, dtype="float64", **options)
    return alike(mine, its)


def alike(mine: Any, its: Any) -> tuple[Any, Any]:
    assert repr(mine) == repr(its)
    assert list(mine.state_dict()) == list(its.state_dict())
    for p in its.parameters():
        torch.nn.init.normal_(p, std=0.4)
    mine.load_state_dict({name: ours(p.detach()) for name, p in its.state_dict().items()})
    return mine, its


def compare(mine: Any, its: Any, *inputs: str, batch_first: bool = False, **masks: Any) -> None:
    arrays = [RNG.normal(size=SHAPES[name]) for name in inputs]
    arrays = [a.transpose(1, 0, 2).copy() if batch_first else a for a in arrays]
    x, y = [ours(a, True) for a in arrays], [theirs(a, True) for a in arrays]
    made = [
        {k: make(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()}
        for make in (ours, theirs)
    ]
    got, expected = mine(*x, **made[0]), its(*y, **made[1])
    assert_same(got, expected, "output", 10.0)
    upstream = RNG.normal(size=expected.shape)
    (got * ours(upstream)).sum().backward()
    (expected * theirs(upstream)).sum().backward()
    for one, two in zip(x, y, strict=True):
        assert_same(one.grad, two.grad, "gradient of an input", 10.0)
    for (name, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad, name, 10.0)
        p.grad = q.grad = None


@pytest.mark.filterwarnings("ignore:.*mismatched.*")
@pytest.mark.parametrize("name", OPTIONS)
def test_layers(name: str) -> None:
    options = OPTIONS[name]
    first = options.get("batch_first", False)
    encoder = twins("TransformerEncoderLayer", E, 2, 7, **options)
    compare(*encoder, "tgt", batch_first=first, src_mask=CAUSAL, is_causal=True)
    compare(*encoder, "src", batch_first=first, src_key_padding_mask=PADDED)
    decoder = twins("TransformerDecoderLayer", E, 2, 7, **options)
    compare(*decoder, "tgt", "memory", batch_first=first)
    compare(*decoder, "tgt", "memory", batch_first=first, tgt_mask=CAUSAL, tgt_is_causal=True,
            memory_mask=RNG.normal(size=(T, S)), memory_key_padding_mask=PADDED)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*mismatched.*")
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("name", ["as it is", "norm first"])
def test_stacks(name: str) -> None:
    options = OPTIONS[name]
    first = options.get("batch_first", False)
    model = twins("Transformer", E, 2, 2, 2, 7, **options)
    compare(*model, "src", "tgt", batch_first=first, tgt_mask=CAUSAL, tgt_is_causal=True,
            src_key_padding_mask=PADDED, memory_key_padding_mask=PADDED)  # fmt: skip
    for train in (True, False):
        for one in model:
            one.train(train)
        compare(*model, "src", "tgt", batch_first=first, tgt_mask=CAUSAL)
    pair = []
    for lib in (nn, torch.nn):
        layer = lib.TransformerEncoderLayer(E, 2, 7, 0.0).double()
        pair.append(lib.TransformerEncoder(layer, 2, lib.LayerNorm(E).double()))
    compare(*alike(*pair), "src")


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_without_a_batch() -> None:
    mine, its = twins("Transformer", E, 2, 1, 1, 7)
    src, tgt = RNG.normal(size=(S, E)), RNG.normal(size=(T, E))
    assert_same(mine(ours(src), ours(tgt)), its(theirs(src), theirs(tgt)))


def test_a_new_model() -> None:
    model = nn.Transformer(16, 2, 2, 1, 32)
    first, second = model.encoder.layers
    # Drawn by Transformer, one by one; a stack alone starts with copies.
    assert not nnscratch.equal(first.linear1.weight, second.linear1.weight)
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2)
    assert nnscratch.equal(stack.layers[0].linear1.weight, stack.layers[1].linear1.weight)
    assert stack.layers[0].linear1.weight is not stack.layers[1].linear1.weight
    bound = (6 / (16 + 32)) ** 0.5
    assert 0.9 * bound < first.linear1.weight.abs().max().item() <= bound
    mask = nn.Transformer.generate_square_subsequent_mask(T)
    assert_same(mask, torch.nn.Transformer.generate_square_subsequent_mask(T))
    assert nn.Transformer.generate_square_subsequent_mask(2, dtype="float64").dtype == "float64"
    other = nn.Transformer(8, 2, custom_encoder=nn.Identity(), num_decoder_layers=1)
    assert isinstance(other.encoder, nn.Identity)


def test_dropout_acts_in_training_alone() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5)
    x = nnscratch.randn(S, B, 8)
    assert not nnscratch.allclose(layer(x), layer(x))
    layer.eval()
    assert nnscratch.equal(layer(x), layer(x))


def test_compiled() -> None:
    def build() -> Any:
        nnscratch.manual_seed(0)
        model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.1, batch_first=True, norm_first=True)
        sgd = optim.SGD(model.parameters(), lr=0.01)
        mask = nn.Transformer.generate_square_subsequent_mask(T)

        def step(src: Any, tgt: Any) -> Any:
            loss = (model(src, tgt, tgt_mask=mask, tgt_is_causal=True) ** 2).sum()
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            return loss

        return model, step

    batches = [
        tuple(RNG.normal(size=(B, n, 8)).astype(np.float32) for n in (S, T)) for _ in range(3)
    ]
    (model, eager), (other, step) = build(), build()
    compiled = nnscratch.compile(step)
    losses = []
    for run in (eager, compiled):
        nnscratch.manual_seed(1)
        losses.append([run(ours(a), ours(b)).item() for a, b in batches])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert np.allclose(values(p), values(q), rtol=1e-4, atol=1e-5)


def test_refused() -> None:
    with pytest.raises(ConfigurationError, match="'relu', 'gelu' or a function"):
        nn.TransformerEncoderLayer(8, 2, activation="tanh")
    with pytest.raises(ConfigurationError, match="num_heads divides embed_dim"):
        nn.TransformerDecoderLayer(8, 3)
    model = nn.Transformer(8, 2, 1, 1, 16)
    for shapes in (((4, 2, 8), (5, 3, 8)), ((4, 2, 7), (5, 2, 8))):
        with pytest.raises(ShapeError, match="two sequences of one batch and 8 features"):
            model(*(nnscratch.zeros(one) for one in shapes))
    with pytest.raises(ConfigurationError, match="is_causal says what the mask is"):
        model.encoder(nnscratch.zeros(4, 2, 8), is_causal=True)
