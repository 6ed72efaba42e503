"""The gradient checker on PyTorch's functions and modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.verify.gradients.checking import assert_gradients, gradcheck
from nnscratch.verify.gradients.elements import Verdict


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


class Plain(torch.autograd.Function):
    """The identity times 2; its subclasses do one thing wrong."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return 2 * gradient


class ChangesDY(Plain):
    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient.mul_(2)


class AtRandom(Plain):
    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return 2 * gradient * (1 + 0.1 * torch.randn(1).item())


class ReturnsItsInput(Plain):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return 1 * gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_a_function_does_in_memory_and_at_random(dtype: Any) -> None:
    x = torch.randn(4, 3, dtype=dtype)
    state = torch.random.get_rng_state()
    assert gradcheck(ChangesDY, [x]).faults == ["dY was changed by the call."]
    assert "Two runs of the backward" in gradcheck(AtRandom, [x]).faults[0]
    shared = assert_gradients(ReturnsItsInput, [x])
    assert "the output shares memory with input" in shared.text()
    assert torch.equal(state, torch.random.get_rng_state())


class TooFew(Plain):
    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        return x + y


def test_what_cannot_be_checked_is_said() -> None:
    x = torch.randn(3)
    with pytest.raises(ConfigurationError, match=r"torch\.bfloat16 .* cannot be checked"):
        gradcheck(Plain, [x.bfloat16()])
    with pytest.raises(ConfigurationError, match=r"torch\.sparse_coo"):
        gradcheck(Plain, [torch.eye(3).to_sparse()])
    with pytest.raises(GradientError, match=r"TooFew: .*incorrect number of gradients"):
        gradcheck(TooFew, [x, x])
    with pytest.raises(GradientError, match="does not run in float64"):
        gradcheck(torch.nn.Linear(3, 2).forward, [x])


def test_plain_arrays_take_the_dtype_of_the_model() -> None:
    assert_gradients(torch.nn.Linear(4, 2), [np.ones((3, 4))])
    assert_gradients(
        (torch.nn.Linear(4, 2), torch.nn.CrossEntropyLoss()), [np.eye(4).tolist(), [0, 1, 1, 0]]
    )


def test_random_numbers_that_depend_on_the_dtype_cannot_be_judged() -> None:
    report = gradcheck(lambda x: x * torch.randn(20, dtype=x.dtype), [torch.ones(20)])
    assert report.verdict is Verdict.CANNOT_TELL
    assert "Check with inputs in float64" in report.text()
    assert_gradients(
        lambda x: x * torch.randn(20, dtype=x.dtype), [torch.ones(20, dtype=torch.float64)]
    )
