"""Parametrized weights, weight and spectral norm, fused layers, norms of gradients, inits."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, NonFiniteError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
U, V = nn.utils, torch.nn.utils


def twins(make: Any, change: Any) -> tuple[Any, Any]:
    """The same layer of both libraries, changed, with ours loaded into PyTorch's."""
    mine, its = make(nn).double(), make(torch.nn).double()
    mine, its = change(U, mine), change(V, its)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    assert list(mine.state_dict()) == list(its.state_dict())
    return mine, its


NORMS = {
    "weight norm": lambda u, m: u.parametrizations.weight_norm(m),
    "weight norm, columns": lambda u, m: u.parametrizations.weight_norm(m, dim=1),
    "weight norm, from behind": lambda u, m: u.parametrizations.weight_norm(m, dim=-2),
    "weight norm, one length": lambda u, m: u.parametrizations.weight_norm(m, dim=None),
    "spectral norm": lambda u, m: u.parametrizations.spectral_norm(m, n_power_iterations=2),
    "spectral norm, columns": lambda u, m: u.parametrizations.spectral_norm(m, dim=1),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms(name: str) -> None:
    mine, its = twins(lambda n: n.Linear(3, 5), NORMS[name])
    for _ in range(3):
        mine.zero_grad()
        its.zero_grad()
        check(mine, its, [X], times=8.0)
        for p, q in zip(mine.parameters(), its.parameters(), strict=True):
            assert_same(p.grad, q.grad, times=8.0)
    mine.eval()
    its.eval()
    check(mine, its, [X], times=8.0)
    value = mine.weight.detach().numpy()
    for one, utils in ((mine, U), (its, V)):
        assert utils.parametrize.is_parametrized(one, "weight")
        assert not utils.parametrize.is_parametrized(one, "bias")
        utils.parametrize.remove_parametrizations(one, "weight")
        assert list(one.state_dict()) == ["bias", "weight"]
        assert type(one).__name__ == "Linear"
    np.testing.assert_allclose(mine.weight.detach().numpy(), value, 1e-12)
    assert_same(mine.weight.detach(), its.weight.detach(), times=8.0)


def test_a_vector_and_a_convolution_with_a_spectral_norm() -> None:
    change = NORMS["spectral norm"]
    mine, its = twins(lambda n: n.Conv1d(3, 4, 2), change)
    check(mine, its, [RNG.normal(size=(2, 3, 6))], times=8.0)
    mine, its = twins(lambda n: n.ConvTranspose1d(3, 4, 2), change)
    check(mine, its, [RNG.normal(size=(2, 3, 6))], times=8.0)
    assert mine.parametrizations.weight[0].dim == 1

    def derived(library: Any) -> Any:
        class Upwards(library.ConvTranspose1d):
            pass

        return Upwards(3, 4, 2)

    mine, _ = twins(derived, change)
    assert mine.parametrizations.weight[0].dim == 1


@pytest.mark.parametrize("dim", [2, -3])
def test_a_length_along_a_dimension_that_is_not_there(dim: int) -> None:
    with pytest.raises(ShapeError, match=f"dim={dim} is out of range"):
        U.parametrizations.weight_norm(nn.Linear(2, 3), dim=dim)
    with pytest.raises(IndexError):
        V.parametrizations.weight_norm(torch.nn.Linear(2, 3), dim=dim)


def test_a_parametrization_takes_over_the_mode_of_its_module() -> None:
    for utils, library in ((U, nn), (V, torch.nn)):
        layer = library.Linear(3, 5).eval()
        utils.parametrizations.spectral_norm(layer)
        before = [one.tolist() for one in layer.buffers()]
        assert layer.weight.tolist() == layer.weight.tolist()
        assert [one.tolist() for one in layer.buffers()] == before
        utils.parametrize.register_parametrization(layer, "weight", library.Identity())
        assert [one.training for one in layer.parametrizations.weight] == [False, False]
        assert [one.tolist() for one in layer.buffers()] == before


def test_a_frozen_weight_stays_frozen() -> None:
    for utils, library in ((U, nn), (V, torch.nn)):
        layer = library.Linear(3, 5)
        layer.weight.requires_grad_(False)
        utils.parametrizations.weight_norm(layer)
        utils.parametrize.remove_parametrizations(layer, "weight")
        assert not layer.weight.requires_grad
        norm = library.BatchNorm1d(5).eval()
        for bias in (False, True):
            made = utils.fusion.fuse_linear_bn_eval(library.Linear(3, 5, bias=bias).eval(), norm)
            assert (made.weight.requires_grad, made.bias.requires_grad) == (True, bias)


def test_a_second_weight_norm_of_old_is_refused() -> None:
    layer = U.weight_norm(nn.Linear(3, 2))
    with pytest.raises(ConfigurationError, match="has a weight_norm already"):
        U.weight_norm(layer)
    U.weight_norm(U.remove_weight_norm(layer))


def test_weights_without_elements_are_left_alone() -> None:
    for library, zeros in ((nn, nnscratch.zeros), (torch.nn, torch.zeros)):
        for name in ("kaiming_uniform_", "kaiming_normal_"):
            with pytest.warns(UserWarning, match="zero-element"):
                assert getattr(library.init, name)(zeros(3, 0)).shape == (3, 0)
        assert library.init.calculate_gain("conv_transpose2d") == 1


def test_a_recurrent_layer_with_weight_norm() -> None:
    def change(utils: Any, layer: Any) -> Any:
        for name in ("weight_hh_l0", "bias_ih_l0"):
            utils.parametrizations.weight_norm(layer, name)
        return layer

    mine, its = twins(lambda n: n.LSTM(3, 4), change)
    x = RNG.normal(size=(5, 2, 3))
    check(lambda x: mine(x)[0], lambda x: its(x)[0], [x], times=8.0)
    for p, q in zip(mine.parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad, times=8.0)


def test_own_parametrizations() -> None:
    def made(library: Any) -> list[Any]:
        class Symmetric(library.nn.Module):
            def forward(self, x: Any) -> Any:
                return x + x.t()

            def right_inverse(self, x: Any) -> Any:
                return x * 0.5

        class Scaled(library.nn.Module):
            def forward(self, x: Any) -> Any:
                return 3.0 * x

            def right_inverse(self, x: Any) -> Any:
                return x / 3.0

        p = library.nn.utils.parametrize
        layer = library.nn.Linear(3, 3)
        with library.no_grad():
            layer.weight.fill_(2.0)
        original = layer.weight
        p.register_parametrization(layer, "weight", Symmetric())
        seen = [layer.weight.tolist(), layer.parametrizations.weight.original is original]
        p.register_parametrization(layer, "weight", Scaled())
        seen += [layer.weight.tolist(), layer.parametrizations.weight.original.tolist()]
        layer.weight = library.ones(3, 3)
        seen += [layer.weight.tolist(), type(layer).__name__, len(layer.parametrizations.weight)]
        with p.cached():
            seen.append(layer.weight is layer.weight)
        seen.append(layer.weight is layer.weight)
        other = copy.deepcopy(layer)
        other.weight = library.zeros(3, 3)
        seen += [other.weight.tolist(), layer.weight.tolist()]
        p.remove_parametrizations(layer, "weight", leave_parametrized=False)
        seen += [layer.weight.tolist(), hasattr(layer, "parametrizations"), type(layer).__name__]
        seen.append(p.type_before_parametrizations(other).__name__)
        return seen

    assert made(nnscratch) == made(torch)


def test_what_cannot_be_parametrized() -> None:
    class Row(nn.Module):
        def forward(self, x: Any) -> Any:
            return x[:1]

    p = U.parametrize
    with pytest.raises(ConfigurationError, match="no parameter or buffer 'own'"):
        p.register_parametrization(nn.Linear(2, 2), "own", Row())
    with pytest.raises(ShapeError, match="say unsafe=True"):
        p.register_parametrization(nn.Linear(2, 2), "weight", Row())
    layer = p.register_parametrization(nn.Linear(2, 2), "weight", Row(), unsafe=True)
    assert layer.weight.shape == (1, 2)
    assert layer.parametrizations.weight.unsafe
    with pytest.raises(ConfigurationError, match="no right_inverse"):
        layer.weight = nnscratch.ones(1, 2)
    with pytest.raises(ConfigurationError, match="is not parametrized"):
        p.remove_parametrizations(layer, "bias")
    both = U.parametrizations.weight_norm(nn.Linear(2, 2))
    with pytest.raises(ConfigurationError, match="of 2 tensors"):
        p.remove_parametrizations(both, "weight", leave_parametrized=False)
    with pytest.raises(ConfigurationError, match="has no parameter or buffer"):
        U.parametrizations.spectral_norm(nn.ReLU())
    with pytest.raises(ConfigurationError, match="n_power_iterations"):
        U.parametrizations.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)


def test_pickled_and_compiled() -> None:
    def build() -> Any:
        nnscratch.manual_seed(0)
        first = U.parametrizations.weight_norm(nn.Linear(3, 4))
        model = nn.Sequential(first, U.parametrizations.spectral_norm(nn.Linear(4, 2)))
        sgd = nnscratch.optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            sgd.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            sgd.step()
            return loss

        return step, model

    (eager, model), (other, _) = build(), build()
    compiled = nnscratch.compile(other)
    for k in range(5):
        x = ours((X * (k + 1)).astype(np.float32))
        np.testing.assert_allclose(compiled(x).item(), eager(x).item(), 1e-5)
    again = pickle.loads(pickle.dumps(model))
    x = ours(X.astype(np.float32))
    assert_same(again.eval()(x).detach(), model.eval()(x).detach().numpy())
    assert U.parametrize.is_parametrized(again[0], "weight")


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_of_old(dim: int | None) -> None:
    mine, its = twins(lambda n: n.Linear(3, 5), lambda u, m: u.weight_norm(m, dim=dim))
    check(mine, its, [X], times=8.0)
    for p, q in zip(mine.parameters(), its.parameters(), strict=True):
        assert_same(p.grad, q.grad, times=8.0)
    for one, utils in ((mine, U), (its, V)):
        utils.remove_weight_norm(one)
        assert list(one.state_dict()) == ["bias", "weight"]
    check(mine, its, [X], times=8.0)
    with pytest.raises(ConfigurationError, match="has no weight_norm"):
        U.remove_weight_norm(mine)


@pytest.mark.parametrize("kind", ["Conv1d", "ConvTranspose1d", "Linear"])
def test_fused_with_batch_norm(kind: str) -> None:
    linear = kind == "Linear"
    for library, make, utils in ((nnscratch, ours, U), (torch, theirs, V)):
        layer = getattr(library.nn, kind)(3, 4, **({} if linear else {"kernel_size": 2}))
        norm = library.nn.BatchNorm1d(4)
        x = make((X if linear else RNG.normal(size=(2, 3, 5))).astype(np.float32))
        norm(layer(x))
        layer.eval()
        norm.eval()
        fuse = utils.fuse_linear_bn_eval if linear else utils.fuse_conv_bn_eval
        options = {"transpose": True} if kind == "ConvTranspose1d" else {}
        fused = fuse(layer, norm, **options)
        np.testing.assert_allclose(
            fused(x).detach().numpy(), norm(layer(x)).detach().numpy(), 1e-4, 1e-5
        )
    with pytest.raises(ConfigurationError, match=r"call \.eval"):
        U.fuse_conv_bn_eval(nn.Conv1d(3, 4, 2), nn.BatchNorm1d(4))
    with pytest.raises(ConfigurationError, match="cannot be fused"):
        U.fuse_linear_bn_eval(nn.Linear(3, 4).eval(), nn.BatchNorm1d(5).eval())


@pytest.mark.parametrize("power", [2.0, 1.0, float("inf")])
def test_norms_of_gradients(power: float) -> None:
    arrays = [RNG.normal(size=(3, 2)), RNG.normal(size=4)]
    results = []
    for library, make in ((nnscratch, ours), (torch, theirs)):
        params = [make(a, True) for a in arrays]
        for p, a in zip(params, arrays, strict=True):
            p.grad = make(a * 3)
        u = library.nn.utils
        total = u.get_total_norm([p.grad for p in params], power)
        u.clip_grads_with_norm_(params, 0.5, total)
        results.append([total, *(p.grad for p in params)])
    for a, b in zip(*results, strict=True):
        assert_same(a, b, times=4.0)
    with pytest.raises(NonFiniteError, match="is nan"):
        U.get_total_norm([ours([float("nan")])], error_if_nonfinite=True)
    assert U.get_total_norm([]).item() == 0.0
    assert U.skip_init(nn.Linear, 2, 3).weight.shape == (3, 2)


SINGLE, HALF = np.array([[1e5, -3.0]], np.float32), np.array([1.0, 2.0], np.float16)
DOUBLE, COMPLEX = np.array([-2.0, 0.5]), np.array([1 + 2j, 3 - 1j], np.complex64)


@pytest.mark.parametrize("power", [2.0, 1.0, 3.0, 0.0, float("inf")])
@pytest.mark.parametrize(
    "arrays",
    [(HALF, SINGLE), (SINGLE, HALF), (HALF, DOUBLE), (HALF, HALF), (COMPLEX,), (DOUBLE, COMPLEX)],
    ids=lambda given: "-".join(one.dtype.name for one in given),
)
def test_norms_of_several_dtypes(arrays: tuple[np.ndarray, ...], power: float) -> None:
    # PyTorch rounds the norm of float16 tensors to float16 before it adds others.
    wide = [theirs(a).to(torch.promote_types(theirs(a).dtype, torch.float64)) for a in arrays]
    truth = torch.nn.utils.get_total_norm(wide, power).item()
    dtype = torch.nn.utils.get_total_norm([theirs(a) for a in arrays], power).dtype
    params = [ours(a, True) for a in arrays]
    for p, a in zip(params, arrays, strict=True):
        p.grad = ours(a.copy())
    for found in (
        U.get_total_norm([p.grad for p in params], power),
        U.clip_grad_norm_(params, 0.5, power),
    ):
        assert str(found.dtype) == str(dtype).removeprefix("torch.")
        assert found.item() == pytest.approx(truth, rel=1e-3 if dtype == torch.float16 else 1e-6)
    for p, a in zip(params, arrays, strict=True):
        expected = a * min(0.5 / (truth + 1e-6), 1.0)
        np.testing.assert_allclose(p.grad.numpy(), expected, 2e-3 if a is HALF else 1e-6, 1e-7)


def test_inits() -> None:
    init = nn.init
    for shape, groups in (((4, 6, 3), 1), ((4, 2, 3, 2), 2), ((2, 2, 1, 3, 3), 1)):
        mine = init.dirac_(nnscratch.empty(*shape), groups)
        assert_same(mine, torch.nn.init.dirac_(torch.empty(shape), groups))
    assert_same(init.eye_(nnscratch.empty(3, 5)), torch.nn.init.eye_(torch.empty(3, 5)))
    for shape in ((4, 7), (7, 4), (3, 2, 2), (5, 5)):
        Q = init.orthogonal_(nnscratch.empty(*shape), gain=2.0).numpy().reshape(shape[0], -1)
        G = Q @ Q.T if Q.shape[0] <= Q.shape[1] else Q.T @ Q
        np.testing.assert_allclose(G, 4.0 * np.eye(len(G)), atol=1e-5)
    S = init.sparse_(nnscratch.empty(40, 9), 0.33, std=2.0).numpy()
    assert ((S == 0).sum(0) == 14).all()
    assert 1.5 < S[S != 0].std() < 2.5
    nnscratch.manual_seed(0)
    for low, high, expected in ((-2.0, 2.0, 0.0), (1.0, 3.0, 1.5), (-0.1, 0.2, 0.05)):
        drawn = init.trunc_normal_(nnscratch.empty(20000), a=low, b=high).numpy()
        assert drawn.min() >= np.float32(low)
        assert drawn.max() <= np.float32(high)
        assert abs(drawn.mean() - expected) < 0.03
    for wrong, match in (
        (lambda: init.eye_(nnscratch.empty(3)), "2 dimensions"),
        (lambda: init.dirac_(nnscratch.empty(3, 3)), "3 to 5 dimensions"),
        (lambda: init.dirac_(nnscratch.empty(3, 3, 1), 2), "do not divide"),
        (lambda: init.orthogonal_(nnscratch.empty(3)), "at least 2"),
        (lambda: init.sparse_(nnscratch.empty(3), 0.5), "2 dimensions"),
    ):
        with pytest.raises(ShapeError, match=match):
            wrong()
    for low, high in ((1.0, 1.0), (50.0, 51.0)):
        with pytest.raises(ConfigurationError, match="trunc_normal_"):
            init.trunc_normal_(nnscratch.empty(3), a=low, b=high)
