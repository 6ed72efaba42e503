"""The program of the document's section 5.2 runs with nothing changed but its imports."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout

import numpy as np
import torch

import nnscratch

# As printed there, without its comments.
PROGRAM = """
import torch
import torch.nn as nn
import torch.optim as optim

class SimpleNN(nn.Module):
    def __init__(self, input_dim, hidden_dim, output_dim):
        super(SimpleNN, self).__init__()
        self.fc1 = nn.Linear(input_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = self.fc2(x)
        return x

model = SimpleNN(input_dim=10, hidden_dim=10, output_dim=2)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=0.001)

x_data = torch.randn(1000, 10)
y_data = torch.randint(0, 2, (1000,))
x_data, y_data = x_data.to('cuda' if torch.cuda.is_available() else 'cpu'), y_data.to('cuda' if torch.cuda.is_available() else 'cpu')

for epoch in range(500):
    optimizer.zero_grad()
    y_pred = model(x_data)
    loss = criterion(y_pred, y_data)
    loss.backward()
    optimizer.step()
    if (epoch + 1) % 100 == 0:
        print(f'Epoch [{epoch + 1}/{500}], Loss: {loss.item()}')

with torch.no_grad():
    y_pred = model(x_data)
    accuracy = (y_pred.argmax(1) == y_data).float().mean()
    print(f'Accuracy: {accuracy.item()}')
"""  # noqa: E501
IMPORTS = {
    "import torch\n": "import nnscratch as torch\n",
    "import torch.nn as nn\n": "import nnscratch.nn as nn\n",
    "import torch.optim as optim\n": "import nnscratch.optim as optim\n",
}


def run(program: str) -> tuple[list[float], float]:
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})
    losses = [float(x) for x in re.findall(r"Epoch \[\d+/500\], Loss: (\S+)", printed.getvalue())]
    (accuracy,) = re.findall(r"Accuracy: (\S+)", printed.getvalue())
    return losses, float(accuracy)


def with_imports() -> str:
    program = PROGRAM
    for old, new in IMPORTS.items():
        assert old in program
        program = program.replace(old, new)
    assert len(program.splitlines()) == len(PROGRAM.splitlines())
    return program


def test_the_program_runs() -> None:
    nnscratch.manual_seed(0)
    losses, accuracy = run(with_imports())
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)
    # The labels are random: there is nothing to learn but the 1000 labels themselves.
    assert 0.5 < accuracy < 0.7


def test_the_program_has_the_losses_of_pytorch_from_the_same_start() -> None:
    start = np.random.default_rng(0)
    bound = 1 / np.sqrt(10)
    weights = [start.uniform(-bound, bound, size=shape) for shape in ((10, 10), 10, (2, 10), 2)]
    x, y = start.normal(size=(1000, 10)), start.integers(0, 2, size=1000)

    def same_start(program: str) -> str:
        program = program.replace("torch.randn(1000, 10)", "torch.tensor(X)")
        program = program.replace("torch.randint(0, 2, (1000,))", "torch.tensor(Y)")
        load = "for p, w in zip(model.parameters(), WEIGHTS): p.data = torch.tensor(w)\noptimizer ="
        return program.replace("optimizer =", load, 1)

    found = []
    for program in (with_imports(), PROGRAM):
        space = {
            "X": x.astype("float32"),
            "Y": y,
            "WEIGHTS": [w.astype("float32") for w in weights],
            "__name__": "__main__",
        }
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(same_start(program), "program", "exec"), space)
        found.append(
            [float(n) for n in re.findall(r"(?:Loss|Accuracy): (\S+)", printed.getvalue())]
        )
    (*losses, accuracy), (*wanted, counted) = found
    assert len(losses) == 5
    np.testing.assert_allclose(losses, wanted, 2e-4)
    # Of 1000 samples, one or two may have scores so close that rounding decides between them.
    assert abs(accuracy - counted) <= 0.0021
    assert torch.is_grad_enabled()
