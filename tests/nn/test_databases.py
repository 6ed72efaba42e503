"""PyTorch's own databases of example calls: what is here gives PyTorch's results in all of them."""

from __future__ import annotations

import pytest

from benchmarks.databases import ABSENT, PASSES, judge_module, judge_operator, modules, operators

# The first calls of each dtype; `python -m benchmarks.databases` compares all of them.
MOST = 3

_INTEGERS = "expected floating-point"
# Calls that are legal in PyTorch and refused here, or whose results it does not specify, with a
# part of what the comparison says.
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
    **dict.fromkeys(("argsort", "kthvalue", "sort", "topk"), "other values"),
    # The sign of an eigenvector.
    "linalg.eigh": "values differ",
    # What a tensor without entries, or a part that is empty, has for a gradient.
    **dict.fromkeys(("linalg.lstsq", "linalg.slogdet"), "without a gradient"),
    "linalg.lstsq.grad_oriented": "PyTorch has tuple",
    "linalg.pinv.singular": "one tolerance for all",
    # Where one triangle of a matrix is read, how the gradient is shared between both.
    "linalg.pinv.hermitian": "values differ",
    # The database views a larger array, whose storage is not handed over.
    "as_strided.partial_views": "values differ",
    # In float32 by rounding: ours are nearer to float64.
    **dict.fromkeys(("logcumsumexp", "nn.functional.ctc_loss"), "differ"),
}


pytestmark = pytest.mark.filterwarnings("ignore:torch.qr is deprecated")  # by the database itself


@pytest.mark.parametrize("info", modules(), ids=lambda info: info.name)
def test_modules(info: object) -> None:
    outcome = judge_module(info, MOST)
    assert outcome.state in (PASSES, ABSENT), outcome.fault


@pytest.mark.parametrize("info", operators(), ids=lambda info: info.full_name)
def test_operators(info: object) -> None:
    outcome = judge_operator(info, MOST)
    if outcome.name in APART:
        assert outcome.state == PASSES or APART[outcome.name] in outcome.fault
    else:
        assert outcome.state in (PASSES, ABSENT), outcome.fault
