"""The article's program: a 10-10-2 network, 1000 rows, 500 epochs of Adam on the whole batch.

    python document.py nnscratch
    python document.py torch
    python document.py nnscratch --compile

The same lines run with either library. Data and first weights come from NumPy, so that both print
the same losses; the labels are random, so the accuracy means nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

lib = importlib.import_module(sys.argv[1])
nn = importlib.import_module(f"{sys.argv[1]}.nn")
optim = importlib.import_module(f"{sys.argv[1]}.optim")
EPOCHS = 500


class SimpleNN(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, x: Any) -> Any:
        return self.fc2(lib.relu(self.fc1(x)))


rng = np.random.default_rng(0)
model = SimpleNN(10, 10, 2)
with lib.no_grad():
    for parameter in model.parameters():
        shape = tuple(parameter.shape)
        parameter.copy_(lib.tensor(rng.uniform(-0.3, 0.3, shape).astype(np.float32)))
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=0.001)
x_data = lib.tensor(rng.standard_normal((1000, 10), dtype=np.float32))
y_data = lib.tensor(rng.integers(0, 2, 1000))


def step(x: Any, y: Any) -> Any:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


if "--compile" in sys.argv:
    step = lib.compile(step)
for epoch in range(EPOCHS):
    loss = step(x_data, y_data)
    if (epoch + 1) % 100 == 0:
        print(f"Epoch [{epoch + 1}/{EPOCHS}], Loss: {loss.item()}")

with lib.no_grad():
    accuracy = (model(x_data).argmax(1) == y_data).float().mean()
    print(f"Accuracy: {accuracy.item()}")
