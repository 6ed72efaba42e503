"""The gradient checker on PyTorch's functions and modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from nnscratch.verify.gradients import assert_gradients, gradcheck
from nnscratch.verify.report import Verdict


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class WrongCube(Cube):
    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (x,) = ctx.saved_tensors
        return -3 * x**2 * gradient


def test_an_autograd_function() -> None:
    assert_gradients(Cube, [torch.randn(4, 3)])
    report = gradcheck(WrongCube, [torch.randn(4, 3)])
    assert report.verdict is Verdict.WRONG
    assert report.faults[0].startswith("input: sign")


def test_a_function_of_tensors_and_arrays() -> None:
    assert_gradients(torch.nn.functional.gelu, [torch.randn(5, 4)])
    assert_gradients(lambda x, y: torch.stack([x, y]).prod(0), [torch.randn(3), np.ones(3)])


def test_a_model_with_its_loss_in_both_modes() -> None:
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.Dropout(0.5), torch.nn.Linear(5, 3)
    )
    before = {k: v.clone() for k, v in model.state_dict().items()}
    inputs = [torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])]
    report = assert_gradients((model, torch.nn.CrossEntropyLoss()), inputs)
    assert {t.mode for t in report.tensors} == {"train", "eval"}
    assert {t.name for t in report.tensors} >= {"input 0", "0.weight", "1.bias"}
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_a_graph_that_is_cut_is_found() -> None:
    report = gradcheck(lambda x: x * x.detach(), [torch.randn(3, dtype=torch.float64)])
    assert "factor 1/2" in report.faults[0]
