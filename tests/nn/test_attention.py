"""Attention, alone and with several heads, against PyTorch."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs, values
from torch.nn.attention import SDPBackend, sdpa_kernel

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError

F, TF = nn.functional, torch.nn.functional
RNG = np.random.default_rng(0)
INF = float("inf")


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def mask(*shape: int) -> np.ndarray:
    made = RNG.integers(0, 2, shape) == 1
    made[..., 0] = True
    return made


Q, K, V = normal(2, 4, 3, 5), normal(2, 4, 6, 5), normal(2, 4, 6, 7)
CALLS: dict[str, tuple[list[np.ndarray], dict[str, Any]]] = {
    "as it is": ([Q, K, V], {}),
    "matrices": ([Q[0, 0], K[0, 0], V[0, 0]], {}),
    "causal": ([Q, K, V], {"is_causal": True}),
    "causal, more queries": ([K, Q, Q], {"is_causal": True}),
    "a scale": ([Q, K, V], {"scale": 0.3}),
    "broadcast": ([Q[0], K, V], {}),
    "one head for all": ([Q, K[:, :1], V[:, :1]], {}),
    "groups": ([Q, K[:, :2], V[:, :2]], {"enable_gqa": True}),
    "groups of three dimensions": ([Q[0], K[0, :2], V[0, :2]], {"enable_gqa": True}),
    "booleans": ([Q, K, V, mask(3, 6)], {}),
    "booleans for each head": ([Q, K, V, mask(2, 1, 3, 6)], {}),
    "booleans of keys": ([Q, K, V, mask(2, 1, 1, 6)], {}),
    "numbers": ([Q, K, V, normal(3, 6)], {}),
    "numbers for each head": ([Q, K, V, normal(1, 4, 1, 6)], {}),
    "no queries": ([Q[:, :, :0], K, V], {}),
    "transposed": ([x.transpose(0, 2, 1, 3) for x in (Q, Q, Q)], {"is_causal": True}),
}


@pytest.mark.parametrize("name", CALLS)
def test_scaled_dot_product_attention(name: str) -> None:
    arrays, options = CALLS[name]
    for dtype in ("float64", "float32"):
        given = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
        check(
            lambda *x: F.scaled_dot_product_attention(*x, **options),
            lambda *x: TF.scaled_dot_product_attention(*x, **options),
            given,
        )


def test_half_and_a_mask_of_another_dtype() -> None:
    half = [x.astype(np.float16) for x in (Q, K, V)]
    got = F.scaled_dot_product_attention(*map(ours, half))
    assert got.dtype == "float16"
    exact = F.scaled_dot_product_attention(*(ours(x.astype(np.float64)) for x in half))
    assert np.abs(values(got) - values(exact)).max() < 1e-3
    added = normal(3, 6).astype(np.float32)
    check(F.scaled_dot_product_attention, TF.scaled_dot_product_attention, [Q, K, V, added],
          [True, True, True, False])  # fmt: skip


def attend(q: Any, k: Any, v: Any, **options: Any) -> list[Any]:
    """Return the output and the gradients of queries, keys and values."""
    tensors = [nnscratch.tensor(x, requires_grad=True) for x in (q, k, v)]
    y = F.scaled_dot_product_attention(*tensors, **options)
    y.sum().backward()
    return [y.detach().tolist(), *(x.grad.tolist() for x in tensors if x.grad is not None)]


ONE, THREE = [[1.0, 1.0]], [[1.0, 1.0]] * 3
COUNTED = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]


@pytest.mark.parametrize("hidden", [[[False] * 3], [[-INF] * 3]])
def test_a_query_that_sees_nothing_is_zero_and_so_are_its_gradients(hidden: Any) -> None:
    y, *gradients = attend(ONE, THREE, COUNTED, attn_mask=nnscratch.tensor(hidden))
    assert y == [[0.0, 0.0]]
    assert not np.any([x for g in gradients for x in g])
    dropped = attend(ONE, THREE, COUNTED, attn_mask=nnscratch.tensor(hidden), dropout_p=0.5)
    assert dropped[0] == [[0.0, 0.0]]
    assert not np.any([x for g in dropped[1:] for x in g])


def test_a_mask_and_causal() -> None:
    seen = mask(3, 3)
    both = {"attn_mask": ours(seen), "is_causal": True}
    one = theirs(seen & np.tri(3, dtype=bool))
    check(
        lambda *x: F.scaled_dot_product_attention(*x, **both),
        lambda *x: TF.scaled_dot_product_attention(*x, attn_mask=one),
        [Q, Q, Q],
    )


def test_corners() -> None:
    lowest = nnscratch.full((1, 3), float(np.finfo(np.float32).min))
    assert attend(ONE, THREE, COUNTED, attn_mask=lowest)[0] == [[1.0, 1.0]]  # a uniform row
    last = nnscratch.tensor([[False, False, True]])
    assert attend(ONE, THREE, COUNTED, attn_mask=last)[0] == [[2.0, 2.0]]  # True is seen
    spoilt = [[0.0, 0.0], [1.0, 1.0], [float("nan")] * 2]
    seen = nnscratch.tensor([[True, True, False]])
    assert np.isnan(attend(ONE, THREE, spoilt, attn_mask=seen)[0]).all()
    assert attend([[1e4, 1e4]], [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], COUNTED)[0] == [[2.0, 2.0]]
    assert F.scaled_dot_product_attention(
        nnscratch.ones(1, 2), nnscratch.ones(0, 2), nnscratch.ones(0, 2)
    ).tolist() == [[0.0, 0.0]]


def test_long_sequences_go_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [normal(2, 3, 50, 4) for _ in range(3)]
    for options in ({}, {"is_causal": True}, {"attn_mask": ours(mask(50, 50))}):
        whole, parts = [], []
        for found, size in ((whole, 1 << 22), (parts, 2000)):
            monkeypatch.setattr("nnscratch.formulas.attention.BLOCK", size)
            with nnscratch.formulas.registry.use_kernels("off"):
                tensors = [ours(x, True) for x in arrays]
                y = F.scaled_dot_product_attention(*tensors, **options)
                (y**2).sum().backward()
            found += [y, *(x.grad for x in tensors)]
        for one, other in zip(whole, parts, strict=True):
            np.testing.assert_allclose(values(one), values(other), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"dropout_p": 0.0, "scale": 0.7}])
def test_second_derivatives(options: dict[str, Any]) -> None:
    arrays, upstream = [Q, K, V], normal(*Q.shape[:3], 7)
    found = []
    for lib, make in ((nnscratch, ours), (torch, theirs)):
        xs = [make(x, True) for x in arrays]
        with sdpa_kernel(SDPBackend.MATH):
            y = lib.nn.functional.scaled_dot_product_attention(*xs, **options)
        g = lib.autograd.grad((y * make(upstream)).sum(), xs, create_graph=True)
        found.append(lib.autograd.grad(sum((one**2).sum() for one in g), xs))
    for mine, its in zip(*found, strict=True):
        assert_same(mine, its, times=10.0)


def test_dropout_drops_weights_and_keeps_their_mean() -> None:
    nnscratch.manual_seed(0)
    v = nnscratch.eye(200).expand(4, 200, 200)
    zeros = nnscratch.zeros(4, 200, 3)
    y = F.scaled_dot_product_attention(zeros, zeros, v, dropout_p=0.25)
    weights = values(y)
    assert set(np.round(weights.ravel() * 150, 3)) == {0.0, 1.0}
    assert abs((weights == 0).mean() - 0.25) < 0.01
    assert not F.scaled_dot_product_attention(zeros, zeros, v, dropout_p=1.0).any()
    exact = F.scaled_dot_product_attention(*map(ours, (Q, K, V)))
    repeated = (ours(x).unsqueeze(0).expand(400, *x.shape) for x in (Q, K, V))
    many = F.scaled_dot_product_attention(*repeated, dropout_p=0.2).mean(0)
    assert np.abs(values(many) - values(exact)).max() < 0.2


def test_refused_attention() -> None:
    q = nnscratch.ones(2, 3, 4)
    sdpa = F.scaled_dot_product_attention
    with pytest.raises(ShapeError, match="at least 2 dimensions"):
        sdpa(q[0, 0], q, q)
    with pytest.raises(ShapeError, match="same last dimension"):
        sdpa(q, nnscratch.ones(2, 3, 5), q)
    with pytest.raises(ShapeError, match="as many rows"):
        sdpa(q, nnscratch.ones(2, 5, 4), q)
    with pytest.raises(ShapeError, match="enable_gqa=True"):
        sdpa(nnscratch.ones(1, 4, 2, 2), nnscratch.ones(1, 2, 2, 2), nnscratch.ones(1, 2, 2, 2))
    with pytest.raises(ShapeError, match="divide those of the query"):
        sdpa(q[:, None].expand(2, 4, 3, 4), *[nnscratch.ones(2, 3, 3, 4)] * 2, enable_gqa=True)
    for shape in ((4, 3), (5, 2, 3, 3)):
        with pytest.raises(ShapeError, match="mask"):
            sdpa(q, q, q, attn_mask=nnscratch.ones(shape, dtype="bool"))
    for kind in ("float64", "int64"):
        with pytest.raises(DTypeError, match="a mask is bool"):
            sdpa(q, q, q, attn_mask=nnscratch.zeros(3, 3, dtype=kind))
    with pytest.raises(DTypeError, match="Q is float32 but K is float64"):
        sdpa(q, q.double(), q)
    with pytest.raises(DTypeError, match="floating-point"):
        sdpa(*[nnscratch.ones(2, 2, dtype="int64")] * 3)
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        sdpa(q, q, q, dropout_p=1.5)


# Several heads.


def twins(*args: Any, **options: Any) -> tuple[Any, Any]:
    """A layer and PyTorch's with the same weights, in float64."""
    its = torch.nn.MultiheadAttention(*args, dtype=torch.float64, **options)
    mine = nn.MultiheadAttention(*args, dtype="float64", **options)
    assert list(mine.state_dict()) == list(its.state_dict())
    assert repr(mine) == repr(its)
    for p in its.parameters():
        torch.nn.init.normal_(p, std=0.5)
    mine.load_state_dict({name: ours(p.detach()) for name, p in its.state_dict().items()})
    return mine, its


def compare(mine: Any, its: Any, arrays: list[Any], **options: Any) -> None:
    """Compare outputs, weights and all gradients."""
    xs, ys = [ours(x, True) for x in arrays], [theirs(x, True) for x in arrays]
    xs, ys = [[one[0]] * 3 if len(one) == 1 else one for one in (xs, ys)]
    made = {k: ours(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    other = {k: theirs(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*mismatched.*")
        got, expected = mine(*xs, **made), its(*ys, **other)
    for one, two in zip(got, expected, strict=True):
        assert_same(one, two, "output and weights")
    upstream = RNG.normal(size=expected[0].shape)
    loss, target = (got[0] * ours(upstream)).sum(), (expected[0] * theirs(upstream)).sum()
    if got[1] is not None:
        loss, target = loss + (got[1] ** 2).sum(), target + (expected[1] ** 2).sum()
    loss.backward()
    target.backward()
    for x, y in zip(xs, ys, strict=True):
        assert_same(x.grad, y.grad, "gradient of an input", 10.0)
    for (name, p), q in zip(mine.named_parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad, name, 10.0)
        p.grad = q.grad = None


B, N, S, E = 2, 3, 4, 6
HIDDEN = ~mask(N, S)
PADDED = ~mask(B, S)


@pytest.mark.parametrize("needed", [True, False])
def test_masks_of_several_heads(needed: bool) -> None:
    mine, its = twins(E, 2)
    inputs = [normal(N, B, E), normal(S, B, E), normal(S, B, E)]
    compare(mine, its, inputs, need_weights=needed)
    added = np.where(HIDDEN, -INF, 0.0)
    of_queries = (None, HIDDEN, added, ~mask(2 * B, N, S), normal(N, S))
    for attn, padding in itertools.product(of_queries, (None, PADDED, PADDED * -3.0)):
        options = {"attn_mask": attn, "key_padding_mask": padding, "need_weights": needed}
        compare(mine, its, inputs, average_attn_weights=padding is None, **options)


@pytest.mark.parametrize("options", [
    {}, {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "bias": False}, {"kdim": 5, "vdim": 7},
    {"vdim": 7, "bias": False},
])  # fmt: skip
@pytest.mark.parametrize("batch_first", [False, True])
def test_several_heads(options: dict[str, Any], batch_first: bool) -> None:
    mine, its = twins(E, 3, batch_first=batch_first, **options)
    shape = (B, S) if batch_first else (S, B)
    rows = (B, N) if batch_first else (N, B)
    k, v = options.get("kdim", E), options.get("vdim", E)
    inputs = [normal(*rows, E), normal(*shape, k), normal(*shape, v)]
    for needed in (True, False):
        compare(mine, its, inputs, need_weights=needed)
        compare(mine, its, inputs, need_weights=needed, key_padding_mask=PADDED, attn_mask=HIDDEN)
        alone = [x[0] if batch_first else x[:, 0] for x in inputs]
        compare(mine, its, alone, need_weights=needed, key_padding_mask=PADDED[0])
    if k == v == E:
        compare(mine, its, inputs[:1])  # all of one tensor
        compare(mine, its, inputs[:1], need_weights=False, is_causal=True,
                attn_mask=np.triu(np.ones((N, N), bool), 1))  # fmt: skip


def test_queries_that_see_nothing() -> None:
    everything = np.ones((B, S), bool)
    mine, its = twins(E, 2)
    x = normal(S, B, E)
    assert np.isnan(values(mine(*[ours(x)] * 3, key_padding_mask=ours(everything))[0])).all()
    compare(mine, its, [x, x, x], key_padding_mask=everything, need_weights=False)
    left = np.zeros((B, S), bool)
    left[:, 0] = True
    causal = np.triu(np.full((S, S), -INF), 1)
    y = mine(*[ours(x)] * 3, attn_mask=ours(causal), key_padding_mask=ours(left))[0]
    assert np.array_equal(np.isnan(values(y)).all((1, 2)), [True, False, False, False])


def test_dropout_of_several_heads() -> None:
    nnscratch.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, dropout=0.5)
    x = nnscratch.randn(30, 2, 4)
    assert 0.4 < values(layer(x, x, x, average_attn_weights=False)[1] == 0).mean() < 0.6
    layer.eval()
    assert (layer(x, x, x)[1] > 0).all()
    assert nnscratch.equal(
        layer(x, x, x, need_weights=False)[0], layer(x, x, x, need_weights=False)[0]
    )


def test_a_new_layer() -> None:
    nnscratch.manual_seed(0)
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = (6 / (4 * 64)) ** 0.5
    assert 0.99 * bound < layer.in_proj_weight.abs().max().item() <= bound
    assert not layer.in_proj_bias.any()
    assert not layer.out_proj.bias.any()
    assert abs(layer.bias_k.std().item() - (2 / (2 * 64)) ** 0.5) < 0.04
    assert nn.MultiheadAttention(4, 2, dtype="float64").out_proj.weight.dtype == "float64"


def test_static_keys_and_values() -> None:
    x, k, v = normal(N, B, E), normal(B * 2, S, 3), normal(B * 2, S, 3)
    weights = [normal(3 * E, E), normal(3 * E)]
    out = [normal(E, E), normal(E)]
    found = []
    for lib, make in ((F, ours), (TF, theirs)):
        tail = (None, None, False, 0.0, make(out[0]), make(out[1]))
        inputs = [make(x)] * 3
        found.append(lib.multi_head_attention_forward(
            *inputs, E, 2, make(weights[0]), make(weights[1]), *tail, static_k=make(k),
            static_v=make(v)))  # fmt: skip
    for mine, its in zip(*found, strict=True):
        assert_same(mine, its)


def test_compiled() -> None:
    def build() -> Any:
        nnscratch.manual_seed(0)
        layer = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        sgd = optim.SGD(layer.parameters(), lr=0.01)
        causal = nnscratch.tensor(np.triu(np.ones((5, 5), bool), 1))

        def step(x: Any) -> Any:
            y, _ = layer(x, x, x, need_weights=False, attn_mask=causal, is_causal=True)
            loss = (y**2).sum() + F.scaled_dot_product_attention(x, y, y, is_causal=True).sum()
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            return loss

        return layer, step

    layer, eager = build()
    nnscratch.manual_seed(1)
    losses = [eager(ours(normal_of(i))).item() for i in range(4)]
    other, step = build()
    compiled = nnscratch.compile(step)
    nnscratch.manual_seed(1)
    assert losses == pytest.approx(
        [compiled(ours(normal_of(i))).item() for i in range(4)], rel=1e-5
    )
    for p, q in zip(layer.parameters(), other.parameters(), strict=True):
        assert nnscratch.allclose(p, q, rtol=1e-4, atol=1e-5)


def normal_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, 5, 8)).astype(np.float32)


def test_refused_heads() -> None:
    with pytest.raises(ConfigurationError, match="num_heads divides embed_dim"):
        nn.MultiheadAttention(5, 2)
    layer, x = nn.MultiheadAttention(4, 2), nnscratch.ones(3, 2, 4)
    with pytest.raises(ConfigurationError, match="generate_square_subsequent_mask"):
        layer(x, x, x, is_causal=True)
    with pytest.raises(ShapeError, match="a query of 4 features"):
        layer(nnscratch.ones(3, 2, 5), x, x)
    with pytest.raises(ShapeError, match="key and value have shapes"):
        layer(x, x, nnscratch.ones(4, 2, 4))
    with pytest.raises(ShapeError, match=r"\(rows, batch, features\)"):
        layer(x, x[0], x[0])
    with pytest.raises(ShapeError, match=r"attn_mask is \(3, 3\) or \(4, 3, 3\), got"):
        layer(x, x, x, attn_mask=nnscratch.zeros(3, 4))
    with pytest.raises(ShapeError, match=r"key_padding_mask is \(2, 3\), got"):
        layer(x, x, x, key_padding_mask=nnscratch.zeros(3, 2))
    with pytest.raises(DTypeError, match="key_padding_mask is bool"):
        layer(x, x, x, key_padding_mask=nnscratch.zeros(2, 3, dtype="int64"))


@pytest.mark.parametrize("needed", [True, False])
def test_batches_of_query_and_key_are_one(needed: bool) -> None:
    layer, its = nn.MultiheadAttention(4, 2), torch.nn.MultiheadAttention(4, 2)
    for batch in (1, 2):
        with pytest.raises(ShapeError, match=f"one batch, got 3 and {batch}"):
            layer(nnscratch.ones(5, 3, 4), *[nnscratch.ones(6, batch, 4)] * 2, need_weights=needed)
        with pytest.raises(RuntimeError):
            its(torch.ones(5, 3, 4), *[torch.ones(6, batch, 4)] * 2, need_weights=needed)
    first = nn.MultiheadAttention(4, 2, batch_first=True)
    with pytest.raises(ShapeError, match="one batch, got 3 and 1"):
        first(nnscratch.ones(3, 5, 4), *[nnscratch.ones(1, 6, 4)] * 2, need_weights=needed)
