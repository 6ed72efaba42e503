"""PyTorch's own databases of example calls: what is here gives PyTorch's results in all of them."""

from __future__ import annotations

import re

import pytest

from benchmarks.databases import (
    ABSENT,
    FAILS,
    UNCOMPARED,
    Outcome,
    judge_module,
    judge_operator,
    modules,
    operators,
)

# The first calls of each dtype; `python -m benchmarks.databases` compares all of them.
MOST = 3

_INTEGERS = "expected floating-point"
# Calls that are legal in PyTorch and refused here, or whose results it does not specify: what the
# comparison says of each of them.
APART = {
    # Whole numbers where a derivative is usual: the error says .float().
    **dict.fromkeys(
        (
            *("nn.functional.relu", "nn.functional.relu6", "nn.functional.hardtanh"),
            *("nn.functional.threshold", "nn.functional.softsign", "nn.functional.tanhshrink"),
            *("nn.functional.linear", "nn.functional.cosine_embedding_loss"),
            "nn.functional.poisson_nll_loss",
        ),
        _INTEGERS,
    ),
    # Which of equal elements comes first.
    "argsort": "output: other values",
    **dict.fromkeys(("kthvalue", "sort", "topk"), "output 1: other values"),
    # The sign of an eigenvector.
    "linalg.eigh": "output 1: values differ",
    "linalg.lstsq.grad_oriented": "PyTorch has tuple",
    "linalg.pinv.singular": "one tolerance for all",
    # Where one triangle of a matrix is read, how the gradient is shared between both.
    "linalg.pinv.hermitian": "gradient of input 0: values differ",
    # The database views a larger array, whose storage is not handed over.
    "as_strided.partial_views": "values differ|other values|would leave axis",
    # In float32 by rounding: ours are nearer to float64.
    **dict.fromkeys(("logcumsumexp", "nn.functional.ctc_loss"), "float32.*gradient of input 0"),
}


# What PyTorch has and nnscratch has not; a name that is lost would be one more.
MISSING = frozenset(
    [
        "nn.LazyConv1d",
        "nn.LazyConv2d",
        "nn.LazyConv3d",
        "nn.LazyConvTranspose1d",
        "nn.LazyConvTranspose2d",
        "nn.LazyConvTranspose3d",
        "cauchy",
        "exponential",
        "geometric",
        "log_normal",
        "uniform",
        "sum_to_size",
        "i0",
        "frexp",
        "geqrf",
        "gradient",
        "lu_unpack",
        "lu",
        "lu_solve",
        "lcm",
        "gcd",
        "as_strided_scatter",
        "constant_pad_nd",
        "max_pool2d_with_indices_backward",
        "nextafter",
        "igamma",
        "igammac",
        "mvlgamma.mvlgamma_p_1",
        "mvlgamma.mvlgamma_p_3",
        "mvlgamma.mvlgamma_p_5",
        "ormqr",
        "__rdiv__",
        "rsub",
        "triangular_solve",
        "svd_lowrank",
        "pca_lowrank",
        "polygamma.polygamma_n_0",
        "polygamma.polygamma_n_1",
        "polygamma.polygamma_n_2",
        "polygamma.polygamma_n_3",
        "polygamma.polygamma_n_4",
        "index_reduce.mean",
        "index_reduce.prod",
        "index_reduce.amin",
        "index_reduce.amax",
        "new_empty_strided",
        "empty_strided",
        "empty_permuted",
        "scalar_tensor",
        "histogram",
        "histogramdd",
        "fill",
        "resize_",
        "resize_as_",
        "digamma",
        "lgamma",
        "nonzero_static",
        "grid_sampler_2d",
        "grid_sampler_3d",
        "nn.functional.pdist",
        "linalg.eig",
        "linalg.eigvals",
        "linalg.householder_product",
        "linalg.ldl_factor",
        "linalg.ldl_factor_ex",
        "linalg.ldl_solve",
        "linalg.lu_factor",
        "linalg.lu_factor_ex",
        "linalg.lu",
        "linalg.lu_solve",
        "signal.windows.hamming",
        "signal.windows.hann",
        "signal.windows.bartlett",
        "signal.windows.blackman",
        "signal.windows.cosine",
        "signal.windows.exponential",
        "signal.windows.gaussian",
        "signal.windows.kaiser",
        "signal.windows.general_cosine",
        "signal.windows.general_hamming",
        "signal.windows.nuttall",
        "special.i0e",
        "special.i1",
        "special.i1e",
        "special.polygamma.special_polygamma_n_0",
        "special.zeta",
        "special.erfcx",
        "special.airy_ai",
        "special.bessel_j0",
        "special.bessel_j1",
        "special.bessel_y0",
        "special.bessel_y1",
        "special.chebyshev_polynomial_t",
        "special.chebyshev_polynomial_u",
        "special.chebyshev_polynomial_v",
        "special.chebyshev_polynomial_w",
        "special.hermite_polynomial_h",
        "special.hermite_polynomial_he",
        "special.laguerre_polynomial_l",
        "special.legendre_polynomial_p",
        "special.modified_bessel_i0",
        "special.modified_bessel_i1",
        "special.modified_bessel_k0",
        "special.modified_bessel_k1",
        "special.scaled_modified_bessel_k0",
        "special.scaled_modified_bessel_k1",
        "special.shifted_chebyshev_polynomial_t",
        "special.shifted_chebyshev_polynomial_u",
        "special.shifted_chebyshev_polynomial_v",
        "special.shifted_chebyshev_polynomial_w",
        "special.spherical_bessel_j0",
        "masked.sum",
        "masked.prod",
        "masked.cumsum",
        "masked.cumprod",
        "masked.amax",
        "masked.amin",
        "masked.argmax",
        "masked.argmin",
        "masked.mean",
        "masked.median",
        "masked.norm",
        "masked.var",
        "masked.std",
        "masked.softmax",
        "masked.log_softmax",
        "masked.softmin",
        "masked.normalize",
        "masked.logaddexp",
        "masked.logsumexp",
    ]
)
# Entries whose every call is one of complex numbers, or one that PyTorch itself refuses.
NOTHING_TO_COMPARE = {
    *("view_as_real", "istft", "imag", "nn.functional.silu.complex"),
    "nn.functional.batch_norm.without_cudnn",
}


pytestmark = pytest.mark.filterwarnings("ignore:torch.qr is deprecated")  # by the database itself


def unexpected(outcome: Outcome) -> list[str]:
    """The faults of an entry that are not those that are known."""
    assert (outcome.state == ABSENT) == (outcome.name in MISSING), outcome.state
    assert (outcome.state == UNCOMPARED) == (outcome.name in NOTHING_TO_COMPARE), outcome.state
    known = APART.get(outcome.name)
    assert known is None or outcome.state == FAILS, "it passes: take it out of the list"
    return [one for one in outcome.faults if known is None or not re.search(known, one)]


@pytest.mark.parametrize("info", modules(), ids=lambda info: info.name)
def test_modules(info: object) -> None:
    assert not unexpected(judge_module(info, MOST))


@pytest.mark.parametrize("info", operators(), ids=lambda info: info.full_name)
def test_operators(info: object) -> None:
    assert not unexpected(judge_operator(info, MOST))
