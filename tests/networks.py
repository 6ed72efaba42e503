"""Comparing a network with PyTorch's of the same text: outputs, gradients, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import nnscratch
from nnscratch import optim


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape)


def tokens(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 20, shape)


def summed(output: Any) -> Any:
    """A number that depends on all that a network returns, each value with another weight."""
    if isinstance(output, (tuple, list)):
        return sum(summed(one) for one in output)
    return (output * output).mean() + output.flatten()[::3].mean()


def close(ours: Any, theirs: Any, what: str, least: float = 1e-10) -> None:
    expected = theirs.detach().numpy()
    got = np.asarray(ours.detach())
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=least, err_msg=what)


def compare(ours: Any, theirs: Any, inputs: tuple[np.ndarray, ...], steps: int = 10) -> None:
    """Outputs, all gradients, and the weights behind steps of Adam."""
    ours, theirs = ours.double(), theirs.double()
    given = [nnscratch.tensor(one) for one in inputs]
    expected = [torch.tensor(one) for one in inputs]
    optimizer = optim.Adam(ours.parameters(), lr=1e-3)
    theirs_optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    for step in range(steps):
        loss, true = summed(ours(*given)), summed(theirs(*expected))
        close(loss, true, f"the loss of step {step}")
        optimizer.zero_grad()
        theirs_optimizer.zero_grad()
        loss.backward()
        true.backward()
        if step == 0:
            grads = dict(theirs.named_parameters())
            for name, parameter in ours.named_parameters():
                close(parameter.grad, grads[name].grad, f"the gradient of {name}")
        optimizer.step()
        theirs_optimizer.step()
    state = theirs.state_dict()
    for name, value in ours.state_dict().items():
        close(value, state[name], f"{name} behind {steps} steps", least=1e-6)
