"""How tensor functions are called: NumPy's names, out=, in place, views, errors, compiled steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from calls import Call, same

import nnscratch
from nnscratch.errors import (
    ConfigurationError,
    DataError,
    DTypeError,
    GradientError,
    LinAlgError,
    ShapeError,
)

MATRIX = [[2.0, -0.5, 0.25], [0.5, 3.0, -1.0], [0.125, 0.75, 4.0]]


def test_axis_and_keepdims_stand_for_dim_and_keepdim() -> None:
    same(lambda lib, x: lib.cumsum(x, axis=1), MATRIX)
    same(lambda lib, x: x.median(axis=1, keepdims=True).values, MATRIX)
    with pytest.raises(ConfigurationError, match="mean the same"):
        nnscratch.cumsum(nnscratch.tensor(MATRIX), dim=0, axis=0)


def test_out_receives_the_result() -> None:
    x, out = nnscratch.tensor(MATRIX), nnscratch.zeros(3, 3)
    assert nnscratch.sin(x, out=out) is out
    np.testing.assert_array_equal(out.numpy(), nnscratch.sin(x).numpy())
    values, places = nnscratch.zeros(3, 3), nnscratch.zeros(3, 3, dtype="int64")
    nnscratch.sort(x, out=(values, places))
    assert places[0].tolist() == [1, 2, 0]
    with pytest.raises(ShapeError, match="out="):
        nnscratch.sin(x, out=nnscratch.zeros(2))
    with pytest.raises(GradientError, match="not recorded"):
        nnscratch.sin(x.requires_grad_(), out=out)


OUT: dict[str, Callable[[Any, Any, Any], Any]] = {
    "sin": lambda lib, x, out: lib.sin(x, out=out),
    "hstack": lambda lib, x, out: lib.hstack([x, x], out=out),
    "vstack": lambda lib, x, out: lib.vstack([x, x], out=out),
    "dstack": lambda lib, x, out: lib.dstack([x], out=out),
    "column_stack": lambda lib, x, out: lib.column_stack([x], out=out),
    "complex": lambda lib, x, out: lib.complex(x, x, out=out),
    "polar": lambda lib, x, out: lib.polar(x, x, out=out),
    "normal": lambda lib, x, out: lib.normal(x, 0.0, out=out),
    "multi_dot": lambda lib, x, out: lib.linalg.multi_dot([x, x, x], out=out),
}


@pytest.mark.parametrize("name", OUT)
def test_out_is_of_the_shape_and_kind_of_the_result(name: str) -> None:
    call, results = OUT[name], []
    for lib in (nnscratch, torch):
        x = lib.tensor(MATRIX)
        made = call(lib, x, None)
        out = lib.zeros(made.shape, dtype=made.dtype)
        assert call(lib, x, out) is out
        results.append(np.asarray(out))
        with pytest.raises((DTypeError, RuntimeError, TypeError)):
            call(lib, x, lib.zeros(made.shape, dtype=lib.int64))
        with pytest.raises((GradientError, RuntimeError)):
            call(lib, x, lib.zeros(made.shape, dtype=made.dtype).requires_grad_())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)
    x = nnscratch.tensor(MATRIX)
    with pytest.raises(ShapeError, match="out="):
        call(nnscratch, x, nnscratch.zeros(7, dtype=call(nnscratch, x, None).dtype))


IN_PLACE: dict[str, Call] = {
    "sin_": lambda lib, x: (x * 1).sin_(),
    "round_": lambda lib, x: (x * 1).round_(),
    "remainder_": lambda lib, x: (x * 1).remainder_(0.7),
    "%=": lambda lib, x: _modulo(x * 1),
    "tril_": lambda lib, x: (x * 1).tril_(),
    "cumsum_": lambda lib, x: (x * 1).cumsum_(0),
    "lerp_": lambda lib, x: (x * 1).lerp_(x * x, 0.25),
    "addcmul_": lambda lib, x: (x * 1).addcmul_(x, x, value=2),
    "scatter_": lambda lib, x: (x * 1).scatter_(1, lib.tensor([[2]] * 3), x[:, :1]),
    "index_add_": lambda lib, x: (x * 1).index_add_(0, lib.tensor([0]), x[:1]),
    "diagonal().mul_": lambda lib, x: _doubled(x * 1),
    "real.mul_": lambda lib, x: _after(_pair(lib, x), lambda z: z.real.mul_(3)).abs(),
    "imag.mul_": lambda lib, x: _after(_pair(lib, x), lambda z: z.imag.mul_(3)).abs(),
    "imag[0] =": lambda lib, x: _after(_pair(lib, x), lambda z: z.imag[0].copy_(x[1])).abs(),
    "real.copy_": lambda lib, x: _after(_pair(lib, x), lambda z: z.real.copy_(x * x)).abs(),
    "view_as_real().mul_": lambda lib, x: _after(
        _pair(lib, x), lambda z: lib.view_as_real(z).mul_(3)
    ).abs(),
    "view_as_complex().mul_": lambda lib, x: _after(
        lib.stack([x, x * 3], -1), lambda pairs: lib.view_as_complex(pairs).mul_(2j)
    ),
    "a part of a changed one": lambda lib, x: _part_of_turned(_pair(lib, x)),
    "of zeros": lambda lib, x: (
        _after(lib.zeros(3, 3, dtype=lib.complex128), lambda z: z.imag.copy_(x * x)).imag
    ),
}


def _pair(lib: Any, x: Any) -> Any:
    return lib.complex(x * 1, x * 2)


def _after(tensor: Any, change: Any) -> Any:
    change(tensor)
    return tensor


def _part_of_turned(z: Any) -> Any:
    part = z[1:].imag
    z.mul_(2j)
    return part


def _modulo(x: Any) -> Any:
    x %= 0.7
    return x


def _doubled(x: Any) -> Any:
    x.diagonal().mul_(2)
    return x


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name: str) -> None:
    same(IN_PLACE[name], MATRIX, "float64")


def test_a_leaf_is_not_changed_in_place() -> None:
    with pytest.raises(GradientError):
        nnscratch.tensor(MATRIX, requires_grad=True).sin_()


def test_views_are_views_and_copies_are_copies() -> None:
    x = nnscratch.zeros(3, 4)
    x.diagonal().fill_(1.0)
    x.unfold(1, 2, 2)[0, 1].fill_(5.0)
    x.select(1, 3).fill_(7.0)
    assert x.tolist() == [[1, 0, 5, 7], [0, 1, 0, 7], [0, 0, 1, 7]]
    for copied in (x.flip(0), x.roll(0, 0), x.tril(), x.diag(), x.sort().values):
        copied.fill_(9.0)
    assert x.tolist() == [[1, 0, 5, 7], [0, 1, 0, 7], [0, 0, 1, 7]]
    z = nnscratch.zeros(3, dtype="complex64")
    z.real.fill_(2.0)
    nnscratch.view_as_real(z)[0, 1] = 3.0
    assert z.tolist() == [2 + 3j, 2, 2]


REFUSED: dict[str, tuple[Call, Any]] = {
    "floor of booleans": (lambda lib, x: (x > 0).floor(), DTypeError),
    "integers by zero": (lambda lib, x: x.long() // 0, ZeroDivisionError),
    "rounding_mode": (lambda lib, x: x.div(2, rounding_mode="up"), ConfigurationError),
    "too many of topk": (lambda lib, x: x.topk(4), ShapeError),
    "kthvalue of none": (lambda lib, x: x.kthvalue(0), ShapeError),
    "quantile of integers": (lambda lib, x: x.long().quantile(0.5), DTypeError),
    "quantile above 1": (lambda lib, x: x.quantile(1.5), ConfigurationError),
    "an index beyond": (lambda lib, x: x.gather(0, lib.tensor([[3]])), DataError),
    "a larger index": (lambda lib, x: x.gather(0, lib.zeros(1, 4).long()), ShapeError),
    "scatter of another dtype": (
        lambda lib, x: x.scatter(0, lib.tensor([[0]]), lib.tensor([[1]])),
        DTypeError,
    ),
    "einsum of other sizes": (lambda lib, x: lib.einsum("ij,jk->ik", x, x[:2]), ShapeError),
    "einsum of fewer": (lambda lib, x: lib.einsum("ij,jk->ik", x), ConfigurationError),
    "outer of matrices": (lambda lib, x: x.outer(x), ShapeError),
    "tril of a vector": (lambda lib, x: x[0].tril(), ShapeError),
    "movedim twice": (lambda lib, x: x.movedim((0, 0), (0, 1)), ShapeError),
    "a singular matrix": (lambda lib, x: lib.linalg.inv(x * 0), LinAlgError),
    "no positive matrix": (lambda lib, x: lib.linalg.cholesky(-x), LinAlgError),
    "a matrix that is not square": (lambda lib, x: lib.linalg.det(x[:2]), ShapeError),
    "rfft of complex numbers": (lambda lib, x: lib.fft.rfft(lib.complex(x, x)), DTypeError),
    "fft of another norm": (lambda lib, x: lib.fft.fft(x, norm="none"), ConfigurationError),
    "a shift of floats": (lambda lib, x: lib.bitwise_left_shift(x, 2), DTypeError),
    "a shift by floats": (lambda lib, x: x.long() >> x, DTypeError),
    "a shift by a float": (lambda lib, x: x.long() << 1.5, DTypeError),
    "probabilities above 1": (lambda lib, x: lib.bernoulli(x), DataError),
    "too many of multinomial": (lambda lib, x: lib.multinomial(x.abs(), 4), ShapeError),
    "negative weights": (lambda lib, x: lib.multinomial(x, 1), DataError),
    "an out= of integers": (
        lambda lib, x: lib.sin(x, out=lib.zeros(3, 3, dtype=lib.int64)),
        DTypeError,
    ),
    "an out= of real numbers": (
        lambda lib, x: lib.polar(x, x, out=lib.zeros(3, 3)),
        DTypeError,
    ),
    "masked_scatter of too few": (
        lambda lib, x: x.masked_scatter(x > 0, lib.zeros(0)),
        ShapeError,
    ),
    "half of a complex spectrum": (
        lambda lib, x: lib.stft(
            lib.complex(x, x).reshape(-1), 4, onesided=True, return_complex=True
        ),
        ConfigurationError,
    ),
    "a deviation below 0": (lambda lib, x: lib.normal(0.0, x), DataError),
    "a deviation of NaN": (lambda lib, x: lib.normal(0.0, x.log()), DataError),
    "another output_size": (
        lambda lib, x: x.repeat_interleave(2, dim=0, output_size=5),
        ShapeError,
    ),
    "another output_size of counts": (
        lambda lib, x: lib.repeat_interleave(lib.tensor([1, 2]), output_size=4),
        ShapeError,
    ),
    "renorm of a vector": (lambda lib, x: x[0].renorm(2, 0, 1.0), ShapeError),
    "cond 1 of no square": (lambda lib, x: lib.linalg.cond(x[:2], 1), ShapeError),
    "rfftn of a number": (lambda lib, x: lib.fft.rfftn(x[0, 0]), ShapeError),
    "irfftn of a number": (lambda lib, x: lib.fft.irfftn(x[0, 0]), ShapeError),
    "hfftn over no dimension": (lambda lib, x: lib.fft.hfftn(x, dim=()), ShapeError),
    "ihfftn over no dimension": (lambda lib, x: lib.fft.ihfftn(x, dim=()), ShapeError),
    "fft of a number": (lambda lib, x: lib.fft.fft(x[0, 0]), ShapeError),
    "irfft of a number": (lambda lib, x: lib.fft.irfft(x[0, 0]), ShapeError),
    "lstsq of another driver": (
        lambda lib, x: lib.linalg.lstsq(x, x, driver="gel"),
        ConfigurationError,
    ),
    "windows beyond": (lambda lib, x: x.unfold(0, 4, 1), ShapeError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused(name: str) -> None:
    call, kind = REFUSED[name]
    with pytest.raises((RuntimeError, TypeError, IndexError, ValueError)):
        call(torch, torch.tensor(MATRIX))
    with pytest.raises(kind):
        call(nnscratch, nnscratch.tensor(MATRIX))


def test_complex_numbers_have_no_derivative_through_functions_of_real_ones() -> None:
    z = nnscratch.complex(nnscratch.tensor([1.0]), nnscratch.tensor([2.0])).requires_grad_()
    with pytest.raises((GradientError, DTypeError, TypeError)):
        nnscratch.nn.functional.relu(z)


UNORDERED: dict[str, Call] = {
    **{
        name: lambda lib, z, name=name: getattr(lib, name)(z)
        for name in (
            *(
                "sign",
                "floor",
                "ceil",
                "trunc",
                "round",
                "relu",
                "sort",
                "argsort",
                "max",
                "median",
            ),
            *("amax", "argmax", "histc", "signbit", "erf", "erfinv", "unique"),
        )
    },
    **{
        name: lambda lib, z, name=name: getattr(lib, name)(z, z)
        for name in ("atan2", "hypot", "xlogy", "maximum", "fmod", "remainder", "searchsorted")
    },
    "<": lambda lib, z: z < z,
    "> 1": lambda lib, z: z > 1,
    "//": lambda lib, z: z // 2,
    "clamp": lambda lib, z: z.clamp(min=0),
    "clamp by floats": lambda lib, z: z.clamp(0.0, 1.0),
    "clip": lambda lib, z: lib.clip(z, max=1.0),
    "clamp_min": lambda lib, z: z.clamp_min(0.5),
    "clamp_max": lambda lib, z: lib.clamp_max(z, 0.5),
    "clamp_": lambda lib, z: z.clone().clamp_(0.0, 1.0),
    "clip_": lambda lib, z: z.clone().clip_(0.0, 1.0),
    "clamp_min_": lambda lib, z: z.clone().clamp_min_(0.5),
    "clamp_max_": lambda lib, z: z.clone().clamp_max_(0.5),
    "logit(eps)": lambda lib, z: lib.logit(z, 0.1),
    "cummax": lambda lib, z: z.cummax(0),
    "topk": lambda lib, z: z.topk(1),
    "entr": lambda lib, z: lib.special.entr(z),
    "gelu": lambda lib, z: lib.nn.functional.gelu(z),
    **{
        name: lambda lib, z, name=name: getattr(lib.nn.functional, name)(z, z)
        for name in ("mse_loss", "huber_loss", "binary_cross_entropy")
    },
    "kl_div": lambda lib, z: lib.nn.functional.kl_div(z.real, z, reduction="batchmean"),
    "copysign": lambda lib, z: lib.copysign(z, 1.0),
    "a real one of a complex number": lambda lib, z: lib.full_like(z.real, 1j),
    "fill_": lambda lib, z: z.real.clone().fill_(1j),
    "tensor of another dtype": lambda lib, z: lib.tensor([1j], dtype=lib.float32),
    "adding to a bool": lambda lib, z: z & z,
    **{
        f"{name} of real numbers": lambda lib, z, name=name: getattr(lib.ones(2), name)(1j)
        for name in ("add_", "mul_", "sub_", "div_", "pow_")
    },
    "add_ of real and complex ones": lambda lib, z: z.real.clone().add_(z),
    "addcmul_ of real numbers": lambda lib, z: lib.ones(2).addcmul_(z, z),
    "add_ of integers": lambda lib, z: lib.tensor([1, 2]).add_(1j),
    "/= of integers": lambda lib, z: lib.tensor([1, 2]).__itruediv__(z),
    "masked_fill_ by a tensor": lambda lib, z: lib.ones(2).masked_fill_(z == z, z[0]),
    "an item": lambda lib, z: lib.ones(2).__setitem__(0, 1j),
    "an item in a graph": lambda lib, z: lib.ones(2, requires_grad=True).mul(1).__setitem__(0, 1j),
    "an item of NumPy": lambda lib, z: lib.ones(2).__setitem__(0, np.complex64(1j)),
}


@pytest.mark.parametrize("name", UNORDERED)
def test_what_complex_numbers_do_not_have_is_refused(name: str) -> None:
    for library, kinds in ((torch, (RuntimeError, TypeError)), (nnscratch, (DTypeError,))):
        with pytest.raises(kinds):
            UNORDERED[name](library, library.tensor([1 + 2j, -1 + 0.5j], dtype=library.complex64))


OF_COMPLEX: dict[str, Call] = {
    "tensor": lambda lib, z: lib.tensor([[1, 2j], [0.5, 0]]),
    "tensor of a number": lambda lib, z: lib.tensor(1j),
    "full": lambda lib, z: lib.full((2,), 1j),
    "sinc": lambda lib, z: lib.sinc(z),
    "sinc of imaginary ones": lambda lib, z: lib.sinc(z * 1j * z.conj()),
    "sinc of 0": lambda lib, z: lib.sinc(z * 0),
    "norm": lambda lib, z: z.norm(),
    "norm 1": lambda lib, z: lib.norm(z, 1, 0),
    "masked_fill": lambda lib, z: z.masked_fill(lib.tensor([True, False]), 3j),
    "where of a number": lambda lib, z: lib.where(lib.tensor([True, False]), 3j, z),
    "where of two": lambda lib, z: lib.where(lib.tensor([True, False]), z, 3j),
    "sgn": lambda lib, z: lib.sgn(z),
    "==": lambda lib, z: z == z.conj().resolve_conj(),
    "float_power": lambda lib, z: lib.float_power(z, 2),
    "ldexp": lambda lib, z: lib.ldexp(z, lib.tensor([1, 2])),
    "fill_": lambda lib, z: z.clone().fill_(1j),
    "fill_ of real numbers": lambda lib, z: z.real.clone().fill_(np.complex128(3 + 0j)),
    "div_": lambda lib, z: z.clone().div_(2),
    "/=": lambda lib, z: z.clone().__itruediv__(2j),
    "pow_": lambda lib, z: z.clone().pow_(2j),
    "isclose": lambda lib, z: lib.isclose(z, z + 1e-9),
    "corrcoef": lambda lib, z: lib.corrcoef(lib.stack([z, z.flip(0) * 3j, z * z + 1])),
    "corrcoef of one": lambda lib, z: lib.corrcoef(z),
}


@pytest.mark.parametrize("name", OF_COMPLEX)
def test_complex_numbers(name: str) -> None:
    mine, theirs = (
        OF_COMPLEX[name](lib, lib.tensor([1 + 2j, -1 + 0.5j], dtype=lib.complex64))
        for lib in (nnscratch, torch)
    )
    assert str(mine.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5)


def test_items_of_real_numbers_are_not_set_to_complex_ones() -> None:
    z = nnscratch.tensor([1 + 2j, 3j])
    for value in (z, z[0], z.numpy()):  # PyTorch drops the imaginary parts
        for x in (nnscratch.ones(2), nnscratch.ones(2, requires_grad=True) * 1):
            with pytest.raises(DTypeError, match="complex"):
                x[:] = value


def test_second_derivatives_through_complex_numbers() -> None:
    def penalty(lib: Any) -> Any:
        x = lib.tensor([0.5, -1.0, 2.0, 0.25], dtype=lib.float64, requires_grad=True)
        energy = (lib.fft.rfft(x).abs() ** 3).sum()
        (first,) = lib.autograd.grad(energy, x, create_graph=True)
        (second,) = lib.autograd.grad((first**2).sum(), x)
        return second

    np.testing.assert_allclose(penalty(nnscratch).numpy(), penalty(torch).numpy(), rtol=1e-9)


def test_draws_follow_their_parameters() -> None:
    nnscratch.manual_seed(3)
    weights = nnscratch.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 0.0]])
    drawn = weights.multinomial(4000, replacement=True)
    share = (drawn == 2).float().mean(1).tolist()
    assert abs(share[0] - 0.75) < 0.03
    assert share[1] == 0.0
    assert not (drawn[0] == 1).any()
    every = nnscratch.multinomial(nnscratch.tensor([0.1, 0.2, 0.7]), 3)
    assert sorted(every.tolist()) == [0, 1, 2]
    first = [nnscratch.multinomial(nnscratch.tensor([1.0, 9.0]), 1).item() for _ in range(500)]
    assert 0.85 < np.mean(first) < 0.95
    ones = nnscratch.bernoulli(nnscratch.full((4000,), 0.25))
    assert abs(ones.mean().item() - 0.25) < 0.03
    made = nnscratch.normal(nnscratch.tensor([0.0, 100.0]), 2.0)
    assert made[1].item() > 50
    assert nnscratch.normal(1.0, 2.0, (3, 2)).shape == (3, 2)
    assert abs(nnscratch.zeros(4000).exponential_(2.0).mean().item() - 0.5) < 0.04
    assert abs(nnscratch.poisson(nnscratch.full((4000,), 3.0)).mean().item() - 3.0) < 0.15
    like = nnscratch.randint_like(nnscratch.zeros(100), 3, 5)
    assert set(like.tolist()) == {3.0, 4.0}
    nnscratch.manual_seed(3)
    assert (drawn == weights.multinomial(4000, replacement=True)).all()


def test_a_determinant_of_0_has_the_gradient_of_its_cofactors() -> None:
    A = nnscratch.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    nnscratch.linalg.det(A).backward()
    np.testing.assert_allclose(A.grad.numpy(), [[4.0, -2.0], [-2.0, 1.0]], atol=1e-5)


@pytest.mark.parametrize("kind", ["values", "spectrum", "triangles", "conditions"])
def test_compiled_steps_are_eager_ones(kind: str) -> None:
    def loss(x: Any, w: Any) -> Any:
        y = (x @ w).cumsum(1).sin() + nnscratch.einsum("ij,kj->ik", x, x)[:, :3].tril()
        if kind == "spectrum":
            return (nnscratch.fft.rfft(y).abs() ** 2).mean()
        if kind == "triangles":
            square = x[:, :3] + 3 * nnscratch.eye(3, dtype=x.dtype)
            lower = nnscratch.linalg.solve_triangular(square, y, upper=False)
            return (lower + nnscratch.linalg.solve_triangular(square, y, upper=True)).mean()
        if kind == "conditions":
            return nnscratch.linalg.cond(y + nnscratch.eye(3, dtype=x.dtype), 1)
        best = y.topk(2, dim=1).values.sum() + y.sort(0).values[0].sum()
        return best + y.flip(0).gather(1, nnscratch.tensor([[0], [2], [1]])).prod()

    def run(compiled: bool) -> Any:
        rng = np.random.default_rng(0)
        w = nnscratch.tensor(rng.standard_normal((4, 3)), requires_grad=True)
        optimizer = nnscratch.optim.SGD([w], lr=0.01)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            made = loss(x, w)
            made.backward()
            optimizer.step()
            return made

        called = nnscratch.compile(step) if compiled else step
        losses = []
        for _ in range(4):
            losses.append(called(nnscratch.tensor(rng.standard_normal((3, 4)))).item())
        return losses, w.detach().numpy()

    eager, planned = run(False), run(True)
    np.testing.assert_allclose(planned[0], eager[0], rtol=1e-12)
    np.testing.assert_allclose(planned[1], eager[1], rtol=1e-12)
    assert math.isfinite(eager[0][-1])


def test_a_compiled_step_meets_a_matrix_that_has_no_inverse() -> None:
    @nnscratch.compile
    def step(x: Any) -> Any:
        solved = nnscratch.linalg.solve_triangular(x, nnscratch.ones(2, 1), upper=True)
        return nnscratch.linalg.cond(x, "fro"), nnscratch.linalg.cond(x, 1), solved

    for corner in (2.0, 0.0, 4.0):
        matrix = [[1.0, 1.0], [0.0, corner]]
        made = step(nnscratch.tensor(matrix))
        x = torch.tensor(matrix)
        theirs = [torch.linalg.cond(x, p).item() for p in ("fro", 1)]
        np.testing.assert_allclose([one.item() for one in made[:2]], theirs, rtol=1e-6)
        solved = torch.linalg.solve_triangular(x, torch.ones(2, 1), upper=True)
        np.testing.assert_allclose(made[2].numpy(), solved.numpy(), rtol=1e-6)
