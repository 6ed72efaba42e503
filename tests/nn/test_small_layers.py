"""Small layers against PyTorch: distances, gated and random activations, bilinear, adaptive."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, DataError, PlanError, ShapeError

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(2, 4, 6))
IMAGES = RNG.normal(size=(2, 3, 4, 5))
F, G = nn.functional, torch.nn.functional


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("kind", "options", "arrays"),
    [
        ("PairwiseDistance", {}, [X, Y]),
        ("PairwiseDistance", {"p": 3.0, "eps": 0.1, "keepdim": True}, [X, Y]),
        ("PairwiseDistance", {"p": float("inf")}, [X[0], Y[0]]),
        ("PairwiseDistance", {"p": 1}, [X, Y[:1]]),
        ("CosineSimilarity", {}, [X, Y]),
        ("CosineSimilarity", {"dim": 0, "eps": 5.0}, [X, Y]),
        ("CosineSimilarity", {"dim": -1}, [IMAGES[:, :1], IMAGES[:1, 0]]),
        ("CosineSimilarity", {"dim": 1}, [IMAGES[:, :1], IMAGES]),
        ("CosineSimilarity", {"dim": 0}, [X[0] * 0.0, Y[0]]),
        ("GLU", {}, [X]),
        ("GLU", {"dim": 0}, [X]),
        ("Softmin", {"dim": 1}, [X]),
        ("Softmax2d", {}, [IMAGES]),
        ("Softmax2d", {}, [IMAGES[0]]),
        ("Softmax2d", {}, [IMAGES[:0]]),
    ],
)
def test_without_parameters(
    kind: str, options: dict[str, Any], arrays: list[np.ndarray], dtype: str
) -> None:
    mine, its = getattr(nn, kind)(**options), getattr(torch.nn, kind)(**options)
    assert repr(mine) == repr(its)
    check(mine, its, [a.astype(dtype) for a in arrays], times=2.0)


def test_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="halved must be even"):
        F.glu(ours(X[:, :5]))
    with pytest.raises(ShapeError, match="at least one dimension"):
        F.glu(ours(np.array(1.0)))
    with pytest.raises(IndexError, match="out of range"):
        F.glu(ours(X), 2)
    with pytest.raises(ShapeError, match="expected an input"):
        nn.Softmax2d()(ours(X))
    with pytest.raises(UserWarning, match="softmin without a dimension"):
        F.softmin(ours(X))
    with pytest.raises(ConfigurationError, match="exchange them"):
        F.rrelu(ours(X), 0.5, 0.25)
    with pytest.raises(ShapeError, match="a weight"):
        nn.Bilinear(3, 4, 5)(ours(X), ours(Y))
    with pytest.raises(ConfigurationError, match="above 0"):
        nn.Bilinear(0, 4, 5)


def test_rrelu() -> None:
    check(nn.RReLU(0.2, 0.4).eval(), torch.nn.RReLU(0.2, 0.4).eval(), [X])
    check(F.rrelu, G.rrelu, [X])
    assert repr(nn.RReLU(0.2, inplace=True)) == repr(torch.nn.RReLU(0.2, inplace=True))
    nnscratch.manual_seed(0)
    x = -nnscratch.ones(4000, requires_grad=True)
    y = nn.RReLU(0.25, 0.75)(x)
    slopes = -y.detach().numpy()
    assert slopes.min() >= 0.25
    assert slopes.max() < 0.75
    assert abs(slopes.mean() - 0.5) < 0.02
    assert np.unique(slopes).size > 3900
    (g,) = nnscratch.autograd.grad(y.sum(), x)
    np.testing.assert_array_equal(g.numpy(), slopes)
    z = ours(X)
    assert F.rrelu(z, training=True, inplace=True) is z


def test_gumbel_softmax() -> None:
    nnscratch.manual_seed(1)
    p = np.array([0.5, 0.2, 0.3])
    logits = nnscratch.tensor(np.log(p)).expand(4000, 3)
    drawn = F.gumbel_softmax(logits, tau=0.7, hard=True)
    np.testing.assert_allclose(drawn.mean(0).numpy(), p, atol=0.03)
    np.testing.assert_allclose(drawn.sum(1).numpy(), 1.0, atol=1e-12)
    soft = F.gumbel_softmax(logits.t(), dim=0)
    np.testing.assert_allclose(soft.sum(0).numpy(), 1.0, atol=1e-6)
    x = ours(X, True)
    nnscratch.manual_seed(2)
    hard = F.gumbel_softmax(x, hard=True, dim=0)
    nnscratch.manual_seed(2)
    other = ours(X, True)
    soft = F.gumbel_softmax(other, dim=0)
    for y in (hard, soft):
        (y * ours(Y)).sum().backward()
    assert_same(x.grad, other.grad.numpy())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,)])
def test_bilinear(shape: tuple[int, ...], bias: bool) -> None:
    mine = nn.Bilinear(3, 4, 5, bias=bias, dtype="float64")
    its = torch.nn.Bilinear(3, 4, 5, bias=bias, dtype=torch.float64)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    assert repr(mine) == repr(its)
    check(mine, its, [RNG.normal(size=(*shape, 3)), RNG.normal(size=(*shape, 4))], times=4.0)
    for p, q in zip(mine.parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad)
    assert float(mine.weight.detach().abs().max()) <= 1 / np.sqrt(3)


@pytest.mark.parametrize("options", [{}, {"div_value": 2.0, "head_bias": True}])
def test_adaptive_softmax(options: dict[str, Any]) -> None:
    mine = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 12], **options, dtype="float64")
    its = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 12], **options, dtype=torch.float64)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    assert repr(mine) == repr(its)
    x = RNG.normal(size=(9, 16))
    for target in (np.array([0, 19, 6, 12, 4, 5, 10, 16, 7]), np.arange(9) % 5):
        for part in ("output", "loss"):

            def one(model: Any, make: Any, target: Any = target, part: str = part) -> Any:
                return lambda x: getattr(model(x, make(target)), part)

            mine.zero_grad()
            its.zero_grad()
            check(one(mine, ours), one(its, theirs), [x], times=4.0)
            for p, q in zip(mine.parameters(), its.parameters(), strict=True):
                assert_same(p.grad, q.grad)
    one_row = mine(ours(x[0]), ours(np.array(12)))
    assert_same(one_row.output, its(theirs(x[0]), theirs(np.array(12))).output)
    check(mine.log_prob, its.log_prob, [x])
    assert mine.predict(ours(x)).tolist() == its.predict(theirs(x)).tolist()
    with pytest.raises(DataError, match="from 0 to 19, got 20"):
        mine(ours(x), ours(np.full(9, 20)))
    with pytest.raises(ShapeError, match="expected an input"):
        mine(ours(x), ours(np.zeros(8, np.int64)))
    with pytest.raises(ConfigurationError, match="rise from 1 to 19"):
        nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 5])
    # Which rows are in a cluster is not known when a step is compiled, and that is said.
    with pytest.raises(PlanError, match="reads a value"):
        nnscratch.compile(lambda x, t: mine(x, t).loss)(ours(x), ours(target))


def test_compiled_steps_draw_new_numbers_and_are_the_eager_ones() -> None:
    def build() -> Any:
        nnscratch.manual_seed(3)
        model = nn.Sequential(nn.Linear(6, 8), nn.RReLU(), nn.GLU(), nn.Linear(4, 4))
        form = nn.Bilinear(4, 4, 3)
        sgd = nnscratch.optim.SGD([*model.parameters(), *form.parameters()], lr=0.1)

        def step(x: Any) -> Any:
            sgd.zero_grad()
            y = F.gumbel_softmax(model(x))
            loss = form(y, y).square().sum() + F.cosine_similarity(y, x[:, :4]).sum()
            loss.backward()
            sgd.step()
            return loss

        return step

    losses = []
    for compiled in (False, True):
        step = build()
        run = nnscratch.compile(step) if compiled else step
        nnscratch.manual_seed(4)
        losses.append([run(ours(X.astype(np.float32))).item() for _ in range(4)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert len(set(losses[0])) == 4


def test_parameter_dict() -> None:
    def use(library: Any) -> list[Any]:
        own = library.nn.ParameterDict({"b": library.zeros(2, 3), "a": library.ones(1)})
        seen: list[Any] = [list(own), [name for name, _ in own.named_parameters()], len(own)]
        own["c"] = library.nn.Parameter(library.ones(2))
        own.update(OrderedDict(e=library.ones(1), d=library.ones(1)))
        own |= {"n": 5}
        seen += [list(own.keys()), own.pop("e").shape[0], own.popitem(), list(reversed(own))]
        seen += ["a" in own, own.get("z"), own.get("z", 1), sorted(own.state_dict())]
        copied = own.copy() | {"q": library.ones(1)}
        seen += [list(copied), copied["a"] is own["a"], type(copied["q"]).__name__]
        seen += [own.setdefault("k", 3), own["k"], list(own.fromkeys(["x", "y"], 1).items())]
        del own["a"]
        seen.append([tuple(one.shape) for one in own.values() if hasattr(one, "shape")])
        own.clear()
        return [*seen, list(own)]

    assert use(nnscratch) == use(torch)
    with pytest.raises(KeyError):
        nn.ParameterDict()["training"]
    with pytest.raises(TypeError, match="is a string"):
        nn.ParameterDict({1: nnscratch.ones(1)})
    assert "(a): Parameter containing: [float32 of size 2x3]" in repr(
        nn.ParameterDict({"a": nnscratch.zeros(2, 3)})
    )
