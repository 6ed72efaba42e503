"""Parity with PyTorch: the value and every gradient of every formula, on all of its cases."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from formulas.contract import cotangents, needs_of, outputs_of, place, unbroadcast
from formulas.pooling_of_pytorch import max_pool, max_unpool, resample
from formulas.torch_convolutions import CONVOLUTIONS
from parity import torch_functions
from tolerances import PARITY, allowed
from torch.nn.attention import SDPBackend, sdpa_kernel

from nnscratch.formulas import FORMULAS, Formula, registry, striding
from nnscratch.formulas.cases import Case, cases
from nnscratch.formulas.checks import plain
from nnscratch.formulas.fused import FUSABLE

Tensor = torch.Tensor


def _reduced(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a reduction over dimensions with the names of the array API."""

    def compute(x: Tensor, *, axis: Any = None, keepdims: bool = False, **more: Any) -> Tensor:
        dim = tuple(range(x.ndim)) if axis is None else axis
        return function(x, dim=dim, keepdim=keepdims, **more) if x.ndim else function(x, **more)

    return compute


def _hits(C: Tensor, Z: Tensor, T: Tensor, *, ignore_index: int | None = None) -> Tensor:
    kept = torch.ones_like(T, dtype=torch.bool) if ignore_index is None else ignore_index != T
    return torch.stack([((Z.argmax(1) == T) & kept).sum(), kept.sum()]).to(C.dtype)


def _extreme(name: str) -> Callable[..., Tensor]:
    def compute(x: Tensor, *, axis: Any = None, keepdims: bool = False) -> Tensor:
        if axis is None:
            y = getattr(x, name)()
            return y.reshape((1,) * x.ndim) if keepdims else y
        if isinstance(axis, tuple):
            return getattr(torch, f"a{name}")(x, dim=axis, keepdim=keepdims)
        return getattr(torch, name)(x, dim=axis, keepdim=keepdims).values

    return compute


def _getitem(x: Tensor, *, index: Any) -> Tensor:
    entries = index if isinstance(index, tuple) else (index,)
    if any(isinstance(one, slice) and (one.step or 1) < 0 for one in entries):
        # PyTorch has no negative steps: pick the same entries by their numbers.
        places = np.arange(x.numel()).reshape(x.shape)[index]
        return x.reshape(-1)[torch.from_numpy(np.ascontiguousarray(places))]
    return x[index]


def _place(x: Tensor, *, shape: tuple[int, ...], index: Any) -> Tensor:
    places = np.arange(math.prod(shape)).reshape(shape)[index]
    flat = torch.from_numpy(np.array(places).reshape(-1))
    return x.new_zeros(math.prod(shape)).index_put((flat,), x.reshape(-1)).reshape(shape)


def _clip(x: Tensor, *, min: Any = None, max: Any = None) -> Tensor:
    return x.clone() if min is None and max is None else torch.clamp(x, min, max)


def _ordered(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def compute(a: Any, b: Any) -> Tensor:
        like = a if isinstance(a, Tensor) else b
        both = (one if isinstance(one, Tensor) else like.new_tensor(float(one)) for one in (a, b))
        return function(*both)

    return compute


def _axis(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *x, axis, **more: function(x[0], dim=axis, **more)


def _standardize(
    x: Tensor, w: Any, b: Any, *, axes: tuple[int, ...], first: int = 1, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    def beside(one: Tensor) -> Tensor:
        return one.reshape(*one.shape, *(1,) * (x.ndim - first - one.ndim))

    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    y = (x - mean) / (variance + eps).sqrt()
    y = y if w is None else y * beside(w)
    y = y if b is None else y + beside(b)
    return y, mean.squeeze(axes), variance.squeeze(axes)


def _batch_norm_inference(x: Tensor, m: Tensor, v: Tensor, w: Any, b: Any, *, eps: float) -> Tensor:
    # F.batch_norm itself has no second derivative where there is a shift and no scale.
    ones = torch.ones_like(m) if w is None else w
    return F.batch_norm(x, m, v, ones, b, eps=eps)


def _running_mean(
    mean: Tensor, var: Tensor, count: Any, m: Tensor, v: Tensor, *, momentum: Any, **more: Any
) -> Tensor:
    share = 1.0 / (count.item() + 1) if momentum is None else momentum
    return mean.lerp(m.mean(0) if m.ndim > 1 else m, share)


def _linear_activation(
    x: Tensor, w: Tensor, b: Any, *, activation: str, alpha: Any = None, beta: Any = None
) -> Tensor:
    names = FUSABLE[activation][1]
    options = {
        name: value for name, value in zip(names, (alpha, beta), strict=False) if value is not None
    }
    return TORCH[activation](F.linear(x, w, b), **options)


def _svd(a: Tensor, full_matrices: bool = False) -> tuple[Tensor, ...]:
    """Return PyTorch's vectors with the signs of NumPy's, which LAPACK leaves open."""
    u, s, vh = torch.linalg.svd(a, full_matrices)
    ours = np.linalg.svd(a.detach().numpy(), full_matrices)[0]
    signs = (u.detach() * torch.from_numpy(ours)).sum(-2).sign()
    return u * signs[..., None, :], s, vh * signs[..., None]


def _fourier(p: Tensor, *, axes: Any, inverse: bool = False, norm: str = "backward") -> Tensor:
    transform = torch.fft.ifftn if inverse else torch.fft.fftn
    dims = [axis % (p.ndim - 1) for axis in axes]
    return torch.view_as_real(transform(torch.view_as_complex(p), dim=dims, norm=norm))


def _stride(a: Tensor, *, sizes: Any, steps: Any, start: Any) -> Tensor:
    places = striding.places(tuple(a.shape), sizes, steps, start)
    return a.reshape(-1)[torch.from_numpy(places)]


def _attention(q: Tensor, k: Tensor, v: Tensor, m: Any, **more: Any) -> Tensor:
    if m is not None and more.pop("is_causal", False):  # it takes both for some shapes only
        causal = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
        m = m & causal if m.dtype == torch.bool else m.masked_fill(~causal, -math.inf)
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        return F.scaled_dot_product_attention(q, k, v, m, **more)


def _over_time(mode: str, x: Tensor, states: Any, weights: Any, lengths: Any, reverse: bool) -> Any:
    """Return what PyTorch's recurrent layer gives for each sequence by itself."""
    params = [one for one in weights if one is not None]
    made, last = [], []
    tail = (weights[2] is not None, 1, 0.0, False, False, False)
    count = x.shape[1]
    pieces = [slice(0, count)] if lengths is None else [slice(i, i + 1) for i in range(count)]
    for one in pieces if count else ():
        steps = x.shape[0] if lengths is None else int(lengths[one.start])
        piece = x[:steps, one].flip(0) if reverse else x[:steps, one]
        start = tuple(state[None, one] for state in states)
        begin = start if len(start) > 1 else start[0]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LSTM with projections")
            y, *end = getattr(torch, mode)(piece, begin, params, *tail)
        made.append(F.pad(y.flip(0) if reverse else y, (0, 0, 0, 0, 0, x.shape[0] - steps)))
        last.append([state[0] for state in end])
    if not made:
        return (x.new_zeros(x.shape[0], 0, states[0].shape[1]), *states)
    return (torch.cat(made, 1), *(torch.cat(one) for one in zip(*last, strict=True)))


def _rnn(x: Any, h: Any, w: Any, u: Any, b: Any, d: Any, n: Any, *, nonlinearity: str = "tanh",
         reverse: bool = False) -> Any:  # fmt: skip
    return _over_time(f"rnn_{nonlinearity}", x, [h], [w, u, b, _zero(b, d)], n, reverse)


def _gru(x: Any, h: Any, w: Any, u: Any, b: Any, d: Any, n: Any, *, reverse: bool = False) -> Any:
    return _over_time("gru", x, [h], [w, u, b, _zero(b, d)], n, reverse)


def _lstm(x: Any, h: Any, c: Any, w: Any, u: Any, b: Any, d: Any, r: Any, n: Any, *,
          reverse: bool = False) -> Any:  # fmt: skip
    return _over_time("lstm", x, [h, c], [w, u, b, _zero(b, d), r], n, reverse)


def _zero(b: Any, d: Any) -> Any:
    return torch.zeros_like(b) if d is None and b is not None else d


def _ctc(x: Tensor, t: Tensor, frames: Tensor, lengths: Tensor, **more: Any) -> Tensor:
    """PyTorch's, without the derivative of the softmax that it takes for granted before it."""
    losses = F.ctc_loss(x, t, frames, lengths, reduction="none", **more)
    runs = torch.arange(len(x))[:, None] < frames
    softmax = (x.exp().sum(2) * runs).sum(0) * (losses.detach() != 0)
    return losses - (softmax - softmax.detach())


# By PyTorch's name for a formula where it is ours, or as the formula says; else it stands here.
TORCH: dict[str, Callable[..., Any]] = {
    **torch_functions(),
    **CONVOLUTIONS,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "linear_cross_entropy": lambda x, w, t, b=None, weight=None, *, rows, **options: (
        F.linear_cross_entropy(x, w, t, linear_bias=b, weight=weight, **options)
    ),
    "softmax": _axis(F.softmax),
    "log_softmax": _axis(F.log_softmax),
    "logsumexp": lambda x, *, axis, keepdims=False: torch.logsumexp(x, axis, keepdims),
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": torch.pow,
    **{name: getattr(torch.linalg, name) for name in ("solve", "det", "slogdet", "qr", "pinv")},
    # PyTorch reads one triangle, and its gradient is not symmetric where the matrix is.
    "cholesky": lambda a: torch.linalg.cholesky((a + a.mT) / 2),
    "eigh": lambda a: torch.linalg.eigh((a + a.mT) / 2),
    "svd": _svd,
    "fourier": _fourier,
    "conjugate": torch.conj_physical,
    "stride": _stride,
    "cumulative_sum": _axis(torch.cumsum),
    "cumulative_prod": _axis(torch.cumprod),
    "cumulative_logsumexp": _axis(torch.logcumsumexp),
    "cumulative_argmax": lambda a, axis: torch.cummax(a, axis).indices,
    "cumulative_argmin": lambda a, axis: torch.cummin(a, axis).indices,
    "prod": lambda a, axis, keepdims=False: torch.prod(a, axis, keepdims),
    "gather": lambda a, i, axis: torch.gather(a, axis, i),
    "scatter": lambda a, i, u, axis: torch.scatter(a, axis, i, u),
    "scatter_add": lambda a, i, u, axis: torch.scatter_add(a, axis, i, u),
    **{
        f"scatter_{name}": lambda a, i, u, axis, include_self=True, word=word: a.scatter_reduce(
            axis, i, u, word, include_self=include_self
        )
        for name, word in {"max": "amax", "min": "amin", "prod": "prod"}.items()
    },
    "argsort": lambda a, axis, descending=False, count=None: torch.argsort(
        a, dim=axis, descending=descending, stable=True
    ).narrow(axis, 0, a.shape[axis] if count is None else count),
    "floor_divide": lambda a, b: torch.div(a, b, rounding_mode="floor"),
    "maximum": _ordered(torch.maximum),
    "minimum": _ordered(torch.minimum),
    "clip": _clip,
    "cast": lambda x, *, dtype: x.to(getattr(torch, dtype)),
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
    "bitwise_left_shift": operator.lshift,
    "bitwise_right_shift": operator.rshift,
    "sum": _reduced(torch.sum),
    "mean": _reduced(torch.mean),
    "var": _reduced(torch.var),
    "var_mean": _reduced(torch.var_mean),
    "split": lambda x, *, sizes, axis: x.split(sizes, axis),
    "std": _reduced(torch.std),
    "norm": lambda x, *, p=2.0, axis=None, keepdims=False: torch.linalg.vector_norm(
        x, p, axis, keepdims
    ),
    "max": _extreme("max"),
    "min": _extreme("min"),
    "argmax": lambda x, *, axis=None, keepdims=False: torch.argmax(x, axis, keepdims),
    "argmin": lambda x, *, axis=None, keepdims=False: torch.argmin(x, axis, keepdims),
    "sum_to": lambda x, *, shape: x.sum_to_size(shape),
    "reshape": lambda x, *, shape: x.reshape(shape),
    "transpose": lambda x, *, axes: x.permute(axes),
    "broadcast_to": lambda x, *, shape: x.broadcast_to(shape),
    "getitem": _getitem,
    "place": _place,
    "add_rows": lambda x, i, *, count: x.new_zeros(count, x.shape[1]).index_add(0, i, x),
    "take": lambda x, i, *, axis: x[(slice(None),) * (axis % x.ndim) + (i,)],
    "concatenate": lambda *x, axis: torch.cat(x, axis),
    "stack": lambda *x, axis: torch.stack(x, axis),
    "scaled_dot_product_attention": lambda q, k, v, m=None, **more: _attention(q, k, v, m, **more),
    "embedding": lambda w, i, **more: F.embedding(i, w, **more),
    "embedding_bag": lambda w, i, o, s, **more: F.embedding_bag(
        i, w, o, per_sample_weights=s, **more
    ),
    "embedding_renorm": lambda w, i, *, max_norm, norm_type=2.0: torch.embedding_renorm_(
        w, i, max_norm, norm_type
    ),
    "rnn": _rnn,
    "gru": _gru,
    "lstm": _lstm,
    "one_hot": lambda i, *, num_classes, dtype="int64": F.one_hot(i, num_classes).to(
        getattr(torch, dtype)
    ),
    "linear_activation": _linear_activation,
    "standardize": _standardize,
    "batch_norm_inference": _batch_norm_inference,
    "running_statistics": _running_mean,
    "rms_norm": lambda x, w, *, dims, eps: F.rms_norm(x, x.shape[x.ndim - dims :], w, eps),
    "bce": F.binary_cross_entropy,
    "bce_with_logits": lambda x, t, w, pos_weight, **more: F.binary_cross_entropy_with_logits(
        x, t, w, pos_weight=pos_weight, **more
    ),
    "cross_entropy_probabilities": F.cross_entropy,
    "ctc": _ctc,
    "multi_margin": lambda x, t, w, **more: F.multi_margin_loss(x, t, weight=w, **more),
    "squared_norm": lambda g: (g * g).sum(),
    "copy_into": lambda target, source: target.copy_(source),
    "fill": lambda target, *, value: target.fill_(value),
    "accumulate": lambda target, source: target.add_(source),
    "count_hits": _hits,
    "resample": resample,
    "max_pool": max_pool,
    "max_unpool": max_unpool,
}
# Compared in test_optimizers.py and test_random.py, sums over ranks with their tree in
# tests/parallel.
OTHERS = ("all_reduce", "clipping", "random")
ELSEWHERE = {name for name, made in FORMULAS.items() if made.family in OTHERS}
ELSEWHERE |= {name for name, made in FORMULAS.items() if "P" in made.updates}
ELSEWHERE.discard("squared_norm")
for _name in ELSEWHERE:
    TORCH.pop(_name, None)


def slope_at_nan(made: Formula) -> float:
    """The derivative of an activation where its input is NaN."""
    options = next(iter(made.public.variants.values()), {}) if made.public else {}
    _, saved = made.forward(np.array([np.nan]), **options)
    assert made.backward is not None
    return float(made.backward(np.ones(1), saved, (True,))[0][0])


# Where nnscratch differs on purpose: the inputs whose gradients are not compared, and why.
NAN = "a NaN has the gradient NaN, where PyTorch's branch happens to give dY or 0"
DIFFERENT: dict[tuple[str, str], tuple[tuple[int, ...], str]] = {
    ("abs", "NaN"): ((0,), NAN),
    ("l1", "NaN"): ((0, 1), NAN),
    ("l1", "NaN in the mean"): ((0, 1), NAN),
    **{
        (name, "NaN"): ((0,), NAN)
        for name, made in FORMULAS.items()
        if made.pointwise and made.public and np.isnan(slope_at_nan(made))
    },
    **{
        ("linear_activation", f"{name}, NaN"): ((0, 1, 2), NAN)
        for name, (made, _) in FUSABLE.items()
        if np.isnan(slope_at_nan(made))
    },
    ("var", "correction above the number"): ((0,), "the value is infinite, and so is its slope"),
    ("var_mean", "correction above the number"): ((0,), "as for var"),
    ("kl_div", "T zero"): ((1,), "the derivative at T = 0 is -inf; PyTorch divides 0 by 0"),
    ("logaddexp", "far apart"): ((0, 1), "of two infinities PyTorch's is NaN, here they share it"),
    ("embedding_bag", "by frequency"): (
        (0,),
        "PyTorch divides the gradient of a row by how often another row was picked",
    ),
    ("bce", "exact"): ((1,), "the logarithms are clamped in the derivative as in the loss"),
}
# Where PyTorch refuses what nnscratch computes.
REFUSED = {("bce", "NaN"): "between 0 and 1"}

pytestmark = [
    pytest.mark.filterwarnings("ignore:var.*degrees of freedom"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides"),
]


def _inputs(case: Case, dtype: str, needs: tuple[bool, ...]) -> list[Any]:
    made: list[Any] = []
    for value, need in zip(case.build(), needs, strict=True):
        placed = place(value, dtype)
        if isinstance(placed, np.ndarray):
            tensor = torch.from_numpy(placed.copy())
            made.append(tensor.requires_grad_() if need else tensor)
        else:
            made.append(plain(placed))
    return made


def _close(got: Any, wanted: Tensor, dtype: str, case: Case, what: str) -> None:
    truth = wanted.detach().numpy()
    got = np.asarray(got)
    assert got.shape == truth.shape, f"{what}: shape {got.shape}, PyTorch has {truth.shape}"
    assert got.dtype == truth.dtype, f"{what}: {got.dtype}, PyTorch has {truth.dtype}"
    if truth.dtype.kind != "f":
        assert np.array_equal(got, truth), what
        return
    rtol, atol = PARITY[dtype]
    limit = atol + rtol * np.abs(np.nan_to_num(truth))
    if dtype == "float32":
        limit = np.maximum(limit, 2 * allowed(truth, dtype, case.terms, case.magnitude))
    with np.errstate(all="ignore"):
        good = (np.abs(got - truth) <= limit) | (got == truth) | (np.isnan(got) & np.isnan(truth))
    assert good.all(), f"{what}: {got[~good][:3]}, PyTorch has {truth[~good][:3]}"


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{case.name}")
        for name in TORCH
        for case in cases(name)
        if (name, case.name) not in REFUSED
    ],
)
def test_formula(name: str, case: Case) -> None:
    formula = FORMULAS[name]
    values = case.build()
    needs = needs_of(formula, values)
    options = {key: plain(value) for key, value in case.options.items()}
    for dtype in ("float64", "float32"):
        tensors = _inputs(case, dtype, needs)
        wanted = TORCH[name](*tensors, **options)
        inputs = tuple(place(value, dtype) for value in values)
        if formula.updates:
            registry.update(formula, *inputs, **case.options)
            _close(inputs[0], wanted, dtype, case, "the updated array")
            continue
        with registry.use_kernels("off"):
            Y, saved = registry.forward(formula, *inputs, **case.options)
        results = outputs_of(wanted)
        for got, right in zip(outputs_of(Y), results, strict=True):
            _close(got, right, dtype, case, "the output")
        if not results[0].requires_grad:
            continue
        given = [np.asarray(one, dtype=dtype) for one in outputs_of(cotangents(Y))]
        dY = tuple(given) if formula.outputs else given[0]
        asked = [one for one, need in zip(tensors, needs, strict=True) if need]
        slopes = [k for k, one in enumerate(results) if one.requires_grad]  # not the integers
        upstream = [torch.from_numpy(given[k]) for k in slopes]
        theirs = iter(torch.autograd.grad([results[k] for k in slopes], asked, upstream))
        with registry.use_kernels("off"):
            ours = registry.backward(formula, dY, saved, needs)
        for index, gradient in enumerate(ours):
            if gradient is None:
                continue
            theirs_here = next(theirs)
            if index not in DIFFERENT.get((name, case.name), ((), ""))[0]:
                what = f"the gradient of input {index}"
                gradient = unbroadcast(formula, gradient, inputs[index], what)
                _close(gradient, theirs_here, dtype, case, what)


def test_every_formula_is_compared() -> None:
    assert set(TORCH) | ELSEWHERE == set(FORMULAS)
    assert not set(TORCH) & ELSEWHERE


@pytest.mark.parametrize(("name", "label"), REFUSED)
def test_pytorch_still_refuses(name: str, label: str) -> None:
    case = next(case for case in cases(name) if case.name == label)
    with pytest.raises(RuntimeError, match=REFUSED[name, label]):
        TORCH[name](*_inputs(case, "float64", (False,) * len(case.inputs)), **case.options)


def test_every_difference_is_one() -> None:
    for name, label in DIFFERENT:
        assert label in {case.name for case in cases(name)}, (name, label)
