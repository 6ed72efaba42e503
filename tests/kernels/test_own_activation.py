"""An activation of one's own file that is edited: no kernel of the former text is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MINE = '''
from typing import Any

from nnscratch.formulas.pointwise import activation


def squared_forward(X: Any) -> Any:
    """Compute a multiple of X²."""
    return {factor} * X * X


def squared_backward(dY: Any, X: Any) -> Any:
    """Return dX."""
    return dY * (2.0 * {factor} * X)


SQUARED = activation(
    squared_forward, squared_backward, module="Squared", equation="Y = c X²", slope="2 c X",
    source="me",
)
'''
STEP = """
import nnscratch as ns
from mine import SQUARED
from nnscratch import nn, optim

layer = nn.Linear(2, 1)
layer.weight = nn.Parameter(ns.ones(1, 2))
layer.bias = nn.Parameter(ns.zeros(1))
last = nn.Linear(1, 1)
last.weight = nn.Parameter(ns.ones(1, 1))
last.bias = nn.Parameter(ns.zeros(1))
network = nn.Sequential(layer, nn.Squared(), last)
optimizer = optim.SGD(network.parameters(), lr=0.1)


def step(x):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(network(x), ns.zeros(4, 1))
    loss.backward()
    return loss


step = ns.compile(step)
for _ in range(6):
    loss = step(ns.ones(4, 2))
print(loss.item(), layer.weight.grad.numpy().tolist(), step.plans[0].replays > 2)
"""


def test_kernels_follow_the_text_of_an_activation(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    for factor in ("3.0", "5.0", "3.0"):
        (tmp_path / "mine.py").write_text(MINE.format(factor=factor))
        done = subprocess.run(
            [sys.executable, "-B", "-c", STEP], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        squared = 16 * float(factor) ** 2
        assert done.stdout == f"{squared} [[{2 * squared}, {2 * squared}]] True\n"
