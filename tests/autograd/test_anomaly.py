"""The anomaly mode: where PyTorch raises for a NaN in a backward pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import nnscratch
from nnscratch.errors import GradientError

LIBRARIES = [nnscratch, torch]


def bad(library: Any, **options: Any) -> None:
    x = library.tensor([0.0, 4.0], requires_grad=True)
    (x.sqrt() * library.zeros(2)).sum().backward(**options)  # 0 times infinity


@pytest.mark.filterwarnings("ignore:Anomaly Detection:UserWarning")
@pytest.mark.filterwarnings("ignore:Error detected in:UserWarning")
@pytest.mark.filterwarnings("ignore:Using backward:UserWarning")
@pytest.mark.parametrize("library", LIBRARIES)
def test_where_it_raises(library: Any) -> None:
    words, a = "returned nan values in its", library.autograd
    bad(library)
    for options in ({}, {"create_graph": True}):
        with a.detect_anomaly(), pytest.raises(RuntimeError, match=words):
            bad(library, **options)
        bad(library)
    with a.set_detect_anomaly(True):
        with pytest.raises(RuntimeError, match=words):
            bad(library)
        with a.set_detect_anomaly(mode=False):
            bad(library)
        with a.detect_anomaly(check_nan=False):
            bad(library)
        x = library.tensor([0.0, 1.0], requires_grad=True)
        x.log().sum().backward()  # infinities are none
    a.set_detect_anomaly(True)
    try:
        with pytest.raises(RuntimeError, match=words):
            bad(library)
    finally:
        a.set_detect_anomaly(False)
    bad(library)


@pytest.mark.filterwarnings("ignore:Anomaly Detection:UserWarning")
@pytest.mark.filterwarnings("ignore:Error detected in:UserWarning")
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_function_of_ones_own(library: Any) -> None:
    class Bad(library.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            return a + b

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy, dy * float("nan")

    x, y = (library.ones(2, requires_grad=True) for _ in range(2))
    with library.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"Bad.* nan values"):
        Bad.apply(x, y).sum().backward()


def test_a_compiled_step_runs_eagerly() -> None:
    x = nnscratch.tensor([1.0, 4.0], requires_grad=True)

    @nnscratch.compile
    def step(z: Any) -> None:
        x.grad = None
        (x.sqrt() * z).sum().backward()

    for _ in range(3):
        step(nnscratch.ones(2))
    with nnscratch.autograd.detect_anomaly(), pytest.raises(GradientError, match="output 0"):
        step(nnscratch.tensor([float("nan"), 1.0]))
