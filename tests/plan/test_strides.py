"""Compiled steps on arrays whose elements do not lie in order."""

import numpy as np
import pytest

import nnscratch
from nnscratch import nn


def compiled_is_eager(function, *arguments, python=0):
    step = nnscratch.compile(function)
    for shift in range(3):
        given = [one + shift for one in arguments]
        wanted, got = function(*given), step(*given)
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=2e-5, atol=2e-6)
    (plan,) = step.plans
    assert plan.python == python
    return plan


def test_an_argument_that_lies_otherwise_than_the_recorded_one():
    step = nnscratch.compile(lambda x: x * 2 + 1)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for given in (x, np.asfortranarray(x), x[::-1], x[:, ::-1], np.asfortranarray(x[::-1])):
        tensor = nnscratch.as_tensor(given)
        np.testing.assert_array_equal(step(tensor).numpy(), given * 2 + 1)


@pytest.mark.parametrize("first", ["C", "F"])
def test_a_leaf_argument_in_either_order(first):
    x = np.asarray(np.arange(6, dtype=np.float32).reshape(2, 3), order=first)
    w = nnscratch.Tensor(x)
    w.requires_grad_()

    @nnscratch.compile
    def step(w):
        w.grad = None
        loss = (w * w.T.reshape(2, 3)).sum()
        loss.backward()
        return loss

    wanted = float((x * x.T.reshape(2, 3)).sum())
    assert [step(w).item() for _ in range(3)] == [wanted] * 3


def test_slices_transposes_and_pieces_run_in_kernels():
    x = nnscratch.randn(4, 6, 8)
    compiled_is_eager(lambda x: (x[:, 1:, ::2].transpose(1, 2) * 2).sigmoid(), x)
    compiled_is_eager(lambda x: nnscratch.cat([p.tanh() for p in x.chunk(4, 2)], 1), x)
    compiled_is_eager(lambda x: (x - x.mean(-1, keepdim=True)) / x.sum((0, 1)).abs().sqrt(), x)
    compiled_is_eager(lambda x: (x @ x.transpose(1, 2)).softmax(-1) @ x, x)
    compiled_is_eager(lambda x: nnscratch.stack([x[0], x[1]], 1), x)
    compiled_is_eager(lambda x: nnscratch.stack([x.sum(), x.mean()]), x)
    compiled_is_eager(lambda x: nnscratch.stack([x[0, 0, 0], x[1, 2, 3]]) * 2, x)


def test_more_axes_than_a_loop_has():
    x = nnscratch.randn(*(2, 3) * 4)
    compiled_is_eager(lambda x: x.sum((0, 2, 4, 6)), x)
    compiled_is_eager(lambda x: x.transpose(0, 7).transpose(1, 6).transpose(2, 5) * 2, x)
    a, b = nnscratch.randn(2, 1, 3, 1, 2, 3, 4), nnscratch.randn(1, 3, 1, 2, 1, 4, 3)
    compiled_is_eager(lambda a, b: a @ b, a, b)


def test_assignments_that_overlap():
    x = nnscratch.arange(8.0)

    @nnscratch.compile
    def step():
        x[1:].copy_(x[:-1].clone())
        return x * 1

    eager = np.arange(8.0, dtype=np.float32)
    for _ in range(4):
        eager[1:] = eager[:-1].copy()
        np.testing.assert_array_equal(step().numpy(), eager)


class LayerNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(nnscratch.ones(width))
        self.bias = nn.Parameter(nnscratch.zeros(width))

    def forward(self, x):
        d = x - x.mean(-1, keepdim=True)
        v = (d**2).mean(-1, keepdim=True)
        return d / (v + 1e-5).sqrt() * self.weight + self.bias


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.heads = nn.Linear(width, 3 * width), heads

    def forward(self, x):
        N, T, C = x.shape
        parts = (p.reshape(N, T, self.heads, -1).transpose(1, 2) for p in self.qkv(x).chunk(3, -1))
        q, k, v = parts
        p = (q @ k.transpose(-1, -2) / 2.0).softmax(-1)
        return (p @ v).transpose(1, 2).reshape(N, T, C)


class Cell(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ih, self.hh = nn.Linear(width, 4 * width), nn.Linear(width, 4 * width)

    def forward(self, x):
        h = c = nnscratch.zeros(x.shape[0], x.shape[2])
        for t in range(x.shape[1]):
            i, f, g, o = (self.ih(x[:, t]) + self.hh(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h


@pytest.mark.parametrize(
    "model", [LayerNorm(8), Attention(8, 2), Cell(8)], ids=lambda m: type(m).__name__
)
def test_networks_of_tensor_operations_leave_nothing_to_python(model):
    optimizer = nnscratch.optim.Adam(model.parameters())
    x = nnscratch.randn(3, 5, 8)

    @nnscratch.compile
    def step(x):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step(x)
    (plan,) = step.plans
    assert plan.python == 0
