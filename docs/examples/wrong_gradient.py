"""A wrong gradient that learns: three broken backwards train to full accuracy, and who notices.

Each takes the place of the right one while the same network trains: the slope of tanh is doubled,
a bias has the mean of its gradients instead of the sum, and the weights' gradient is divided by
the size of the batch. An optimizer that scales its steps hides all three; only a comparison with
numeric derivatives finds them. Run it: ``python docs/examples/wrong_gradient.py``.
"""

from contextlib import nullcontext

import nnscratch
from nnscratch import nn, optim

FAULTS = {
    "none": None,
    "tanh' doubled": ("tanh", lambda dY, Y: 2 * dY * (1 - Y**2), ()),
    "db as a mean": ("linear", lambda dZ: dZ.mean(0), "b"),
    "dW / N": ("linear", lambda dZ, X: dZ.T @ X / len(X), "W"),
}


def make_data(samples=64):
    """Return rows of four features, and on which side of a plane each is."""
    nnscratch.manual_seed(0)
    x = nnscratch.randn(samples, 4)
    return x, (x.sum(1) > 0).long()


def make_model():
    """Return a network of one hidden layer, the same each time."""
    nnscratch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def train(model, x, y, steps=300):
    """Train with Adam, and return the share of rows that are right."""
    criterion, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    return float((model(x).argmax(1) == y).float().mean())


def examine(fault):
    """Return the accuracy with a fault, and what the check-up, the checker and homework say."""
    x, y = make_data()
    work = None if fault is None else nnscratch.homework(fault[0], fault[1], of=fault[2])
    with nullcontext() if work is None else work:
        accuracy = train(make_model(), x, y)
        symptoms = nnscratch.checkup(make_model(), nn.CrossEntropyLoss(), x, y).symptoms
        report = nnscratch.gradcheck(
            (make_model().double(), nn.CrossEntropyLoss()), [x[:5].double(), y[:5]]
        )
    warnings = [one.text for one in symptoms if one.severity in ("fault", "warning")]
    return accuracy, warnings, report, work


def main():
    """Print a paragraph for each fault."""
    for name, fault in FAULTS.items():
        accuracy, symptoms, report, work = examine(fault)
        print(f"{name}: accuracy {accuracy:.0%}, check-up {symptoms or 'sees nothing'}")
        print(f"  gradcheck: {report.verdict}")
        for line in report.faults[:2]:
            print(f"    {line}")
        if work is not None:
            print(f"  homework: {work.points} of 100 points. {work.hint(3)}")


if __name__ == "__main__":
    main()
